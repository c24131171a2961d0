"""A made-up table with learning curves: 12 epochs, two runs, some missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nb201env import Table
from nb201env.space import SIZE, all_ops
from nb201env.table import write_table

EPOCHS = tuple(range(1, 13))
SEEDS = (7, 8)
PREFERRED = np.array([3, 3, 3, 1, 3, 2])
"""The best architecture: accuracy falls with the number of edges that differ from it."""


def write_epoch_table(path: Path) -> Table:
    """Accuracy rises with the epochs, seconds of an epoch differ by architecture and run."""
    rng = np.random.default_rng(0)
    final = 0.9 - 0.1 * (all_ops() != PREFERRED).sum(axis=1)
    noise = 0.002 * rng.random((SIZE, 2))
    growth = 1 - 0.5 ** np.arange(1, 13)
    accuracy = ((final[:, None] + noise)[:, :, None] * growth).astype(np.float64)
    accuracy[::3, 1] = np.nan
    seconds = 5 + rng.random((SIZE, 2, 12))
    seconds[::3, 1] = np.nan
    columns = {"valid_accuracy": accuracy, "train_seconds": seconds,
               "valid_seconds": np.where(np.isnan(accuracy), np.nan, 0.5)}  # fmt: skip
    manifest = {
        "name": "curves-12",
        "task": {"name": "toy", "dataset": "cifar10", "splits": {}},
        "schedule": {"epochs": 12},
        "seeds": list(SEEDS),
        "columns": {
            "valid_accuracy": {"unit": "fraction", "epochs": list(EPOCHS)},
            "train_seconds": {"unit": "s", "epochs": list(EPOCHS), "accumulates": True},
            "valid_seconds": {"unit": "s", "epochs": list(EPOCHS)},
        },
        "provenance": {},
        "licence": "MIT",
    }
    return write_table(path, manifest, columns)
