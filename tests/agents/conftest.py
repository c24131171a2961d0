"""Small benchmarks, run once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import run_all
from nb201env.space import SIZE
from nb201env.table import Table, write_table
from nb201env.tables import open_table

LIGHT = ["random_search", "regularized_evolution"]
ENVS = ["NB201-cifar10-v0", "NB201-cifar100-v0"]


@pytest.fixture(scope="session")
def bench_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two agents on two environments, six searches of 80 queries each."""
    folder = tmp_path_factory.mktemp("bench")
    searches = plan(LIGHT, ENVS, range(6), {"budget_queries": 80}, folder)
    assert run_all(searches, 1, lambda *_: None) == []
    return folder


@pytest.fixture(scope="session")
def tested_table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table that records test accuracy: the validation accuracy minus one hundredth."""
    official = open_table("cifar10-valid-200")
    valid = official.runs(split="valid", epochs=200)[:, :2]
    manifest = {
        "name": "tested-200", "task": {"name": "toy", "dataset": "cifar10"}, "schedule": {"epochs": 200},
        "seeds": [777, 888], "provenance": {}, "licence": "none",
        "columns": {name: {"epochs": [200]} for name in ("valid_accuracy", "test_accuracy", "train_seconds")},
    }  # fmt: skip
    columns = {
        "valid_accuracy": valid[:, :, None],
        "test_accuracy": np.maximum(valid[:, :, None] - 0.01, 0),
        "train_seconds": np.full((SIZE, 2, 1), 100.0),
    }
    return write_table(tmp_path_factory.mktemp("table") / "tested-200.safetensors", manifest, columns)
