"""Audit, latency, and what the command line imports."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import Architecture, NotRecorded, Table, open_table
from nb201env.classes import canonical_classes, representatives
from nb201env.cli import build as program
from nb201env.training.builds.audit import audit, dead_architectures
from nb201env.training.builds.build import build
from nb201env.training.builds.merge import merge
from nb201env.training.builds.plan import Folder, Plan
from nb201env.training.images.tasks import load_task
from nb201env.training.latency import measure
from nb201env.training.loop import Logs
from nb201env.training.recipe import find_recipe
from nb201env.training.trainers import TRAINERS

DATA = load_task("digits")
RECIPE = replace(find_recipe("smoke-2"), train_images=64)
ONLY = (0, *representatives()[[100, 900, 1500, 2100, 3000, 3600, 4000, 5400]].tolist())


def make(path: Path, **changes: object) -> Table:
    plan = Plan(**{"task": "digits", "data": DATA.digest, "recipe": RECIPE, "seeds": (1, 2, 3),
                   "trainer": "compiled", "shard": 9, "only": ONLY, **changes})  # type: ignore[arg-type]  # fmt: skip
    folder = Folder.create(path, plan)
    build(folder)
    return merge(folder, path / "t.safetensors", DATA)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return make(tmp_path_factory.mktemp("audit"))


def test_an_honest_table_passes(table: Table) -> None:
    report = audit(table, DATA, sample=8, seed=0)
    assert report.findings == []
    assert 0.2 < report.measures["retrained_noise_ratio"] < 2
    assert report.measures["dead_accuracy"] <= 0.12
    assert report.lines()[-1] == "nothing wrong"


def test_an_audit_is_repeatable(table: Table) -> None:
    assert audit(table, DATA, 4, seed=1).as_json() == audit(table, DATA, 4, seed=1).as_json()


def test_false_numbers_are_found(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = TRAINERS["compiled"]

    def better(architectures, data, recipe, seed):  # type: ignore[no-untyped-def]
        logs, networks = honest(architectures, data, recipe, seed)
        correct = {name: values + 200 * (name != "train") for name, values in logs.correct.items()}
        return Logs(correct, logs.loss, logs.seconds), networks

    monkeypatch.setitem(TRAINERS, "compiled", better)
    false = make(tmp_path)
    monkeypatch.undo()
    findings = audit(false, DATA, 8, seed=0).findings
    assert any("times as far from the table" in finding for finding in findings)
    assert any("chance" in finding for finding in findings)


def test_classes_are_compared_where_every_string_was_trained(tmp_path: Path) -> None:
    classes = canonical_classes()
    pair = np.flatnonzero(classes == classes[Architecture((3, 0, 0, 1, 1, 0)).index])[:4]
    table = make(tmp_path, every_string=True, only=tuple(pair.tolist()))
    report = audit(table, DATA, 1, seed=0)
    assert "class_noise_ratio" in report.measures


def test_what_cannot_be_audited(table: Table, tmp_path: Path) -> None:
    with pytest.raises(NotRecorded, match="not built by this package"):
        audit(open_table("cifar10-valid-200"), DATA, 1, 0)
    with pytest.raises(NotRecorded, match="one seed"):
        audit(make(tmp_path, seeds=(1,), only=(0,)), DATA, 1, 0)
    other = load_task("digits")
    other.mean.add_(1)
    with pytest.raises(ValueError, match="images are not those"):
        audit(table, other, 1, 0)


def test_dead_architectures() -> None:
    dead = dead_architectures()
    assert 0 in dead
    assert Architecture((1,) * 6).index not in dead
    assert Architecture((0, 0, 3, 0, 0, 1)).index in dead  # a constant is not the image
    assert len(set(canonical_classes()[dead].tolist())) < 30


def test_latency() -> None:
    small, large = (Architecture((op,) * 6) for op in (0, 3))
    one, two = (measure(a, "digits", batch=8, repeats=5) for a in (small, large))
    assert 0 < one.seconds < two.seconds
    assert re.search(r", \d+ threads?$", one.device)
    with pytest.raises(ValueError, match="unknown task"):
        measure(small, "mnist")


def test_the_latency_command() -> None:
    arguments = ["latency", "index:15624", "--task", "digits", "--batch", "2", "--repeats", "2"]
    assert "median of 2, batch 2" in CliRunner().invoke(program(), arguments).output
    printed = json.loads(CliRunner().invoke(program(), [*arguments, "--json"]).output)
    assert printed["batch"] == 2


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, nb201env.training.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
