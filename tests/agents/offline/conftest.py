"""A Minari store of the tests' own, searches to convert, and the four sets, made once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nb201env import cli
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import run_all

ENV = "NB201-cifar10-v0"
EPISODES = 240


def nb201(*words: object) -> str:
    """What a command prints; it raises what the command raises."""
    result = CliRunner().invoke(cli.build(), [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def searched(out: Path, agents: str = "random_search", seeds: int = 1, **more: Any) -> Path:
    """A folder of finished searches."""
    given = {"envs": [ENV], "budget": {"budget_queries": 12}} | more
    searches = plan(agents.split(","), seeds=range(seeds), out=out, **given)
    assert run_all(searches, 1, lambda *_: None) == []
    return out


@pytest.fixture(scope="session")
def datasets_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the four sets of `ENV`, in the namespace nb201/cifar10."""
    store = tmp_path_factory.mktemp("minari")
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(store)
    try:
        nb201("trajectories", "datasets", "--out", "nb201/cifar10", "--episodes", EPISODES, "--seed", 1)
    finally:
        os.environ.pop("MINARI_DATASETS_PATH")
        if before is not None:
            os.environ["MINARI_DATASETS_PATH"] = before
    return store


@pytest.fixture
def four(datasets_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store of the four sets, as the one that Minari uses."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(datasets_store))
    return datasets_store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "store"))
    return tmp_path / "store"
