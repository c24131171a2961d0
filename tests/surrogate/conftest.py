"""Shared by the surrogate's tests: the CIFAR-10 table, small fitted surrogates, a table with epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import canonical_classes
from nb201env.space import SIZE
from nb201env.surrogate.fidelity.protocol import random_draw
from nb201env.surrogate.model import Surrogate, fit_surrogate
from nb201env.table import Table, write_table
from nb201env.tables import open_table

SMALL: dict[str, Any] = {"n_members": 3, "n_estimators": 20}
CURVE_EPOCHS = (1, 3, 6, 12)


@pytest.fixture(scope="session")
def table() -> Table:
    return open_table("cifar10-valid-200")


@pytest.fixture(scope="session")
def truth(table: Table) -> FloatArray:
    return table.accuracy(split="valid", epochs=200, run="mean")


@pytest.fixture(scope="session")
def train(truth: FloatArray) -> IntArray:
    return random_draw(truth, 150, 50)[0]


@pytest.fixture(scope="session")
def small(table: Table, train: IntArray) -> Surrogate:
    """A quick surrogate of the real CIFAR-10 table."""
    return fit_surrogate(table, train, split="valid", epochs=200, settings=SMALL)


@pytest.fixture(scope="session")
def curve_table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A synthetic table of two seeds that records four epochs; accuracies depend on the class alone."""
    return write_curve_table(tmp_path_factory.mktemp("curves") / "curves.safetensors")


def write_curve_table(path: Path) -> Table:
    rng = np.random.default_rng(0)
    final = 0.5 + 0.4 * np.sin(canonical_classes() / 900) ** 2
    rate = np.array(CURVE_EPOCHS) / (np.array(CURVE_EPOCHS) + 2.0)
    accuracy = (final[:, None] * rate)[:, None, :] + rng.normal(0, 0.004, (SIZE, 2, 1))
    epochs = list(CURVE_EPOCHS)
    specs = {
        "valid_accuracy": {"unit": "fraction", "epochs": epochs},
        "train_seconds": {"unit": "s", "epochs": epochs},
        "valid_seconds": {"unit": "s", "epochs": epochs},
    }
    seconds = (10 + canonical_classes() / 1000)[:, None, None] * np.array(epochs)
    return write_table(
        path,
        {
            "name": "curves-12", "task": {"name": "toy", "dataset": "toy"}, "seeds": [1, 2],
            "schedule": {"epochs": 12}, "columns": specs, "provenance": {}, "licence": "MIT",
        },
        {
            "valid_accuracy": accuracy.astype(np.float32),
            "train_seconds": np.repeat(seconds, 2, axis=1).astype(np.float32),
            "valid_seconds": np.full((SIZE, 2, len(epochs)), 0.5, dtype=np.float32),
        },
    )  # fmt: skip
