"""The whole GPU lease in miniature: a clean copy of the checkout, on a CPU, without Gymnasium."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks.checkout import ROOT
from tests.benchmarks.lease_miniature import collect, copy_checkout, prepare, run

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a lease carries a Git checkout")

ABSENT = ("gymnasium", "numba", "sklearn", "fsspec", "scipy", "xgboost", "stable_baselines3")
BLOCKER = f"""
import sys
from importlib.machinery import PathFinder

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            return None
        return PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Bare
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """In which those packages cannot be imported."""
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text(BLOCKER)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"PYTHONPATH": str(tmp_path / "blocked"), "PYTHONWARNINGS": "error"}


def test_the_whole_lease_in_miniature(tmp_path: Path, env: dict[str, str]) -> None:
    said = prepare(tmp_path)
    assert f"carry {tmp_path / 'parts' / 'part-1'}: python3 -m benchmarks.gpu_lease all" in said

    checkout = copy_checkout(tmp_path / "checkout")
    said = run(tmp_path, checkout, "--seconds", "300", env=env)
    stages = [json.loads(line) for line in (tmp_path / "work" / "stages.jsonl").read_text().splitlines()]
    assert {line["stage"]: line["outcome"] for line in stages} == {
        "check": "done", "rows": "done", "profile": "done", "validate": "done", "build": "done",
    }, said  # fmt: skip
    assert "usable: stacked, graphs, plain" in said
    summary = (tmp_path / "out" / "summary.md").read_text()
    for found in ("# A lease of cpu", "| stacked | 2 |", "## Kernels of a step, official-12",
                  "mean difference", "smoke-2-stacked: of 2 classes, seed 777: 2"):  # fmt: skip
        assert found in summary

    lines = collect(tmp_path).splitlines()
    assert lines == [
        "smoke-2-stacked: of 2 classes, seed 777: 2",
        "validate-smoke-2-stacked: of 2 classes, seed 777: 2",
    ]
    assert {path.name for path in tmp_path.iterdir()} >= {"work", "out", "builds"}


def test_a_clean_copy_has_nothing_that_git_ignores(tmp_path: Path) -> None:
    copy_checkout(tmp_path)
    assert (tmp_path / "training" / "network.py").is_file()
    assert not (tmp_path / ".venv").exists()
    assert not (tmp_path / ".git").exists()
    assert tmp_path != ROOT
