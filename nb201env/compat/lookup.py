"""Finding the official numbers in our tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from nb201env import comparison
from nb201env.arrays import BoolArray, FloatArray
from nb201env.compat.results import ArchResults
from nb201env.compat.traps import Info
from nb201env.official import TASKS
from nb201env.space import SIZE
from nb201env.table import NotRecorded, Table


def all_splits(
    results: ArchResults, dataset: str, iepoch: int | None, run: bool | int
) -> tuple[dict[str, Any], dict[str, str]]:
    """The official keys of all recorded splits, and why the others are missing."""
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    sets = {"train": "train"} | {split: name for name, split in TASKS[dataset].sets.items()}
    for split in ("train", "valid", "test", "valtest"):
        if split not in sets:
            missing[split] = f"a training on {dataset!r} is not evaluated on a split {split!r}"
            continue
        try:
            metrics = results.get_metrics(dataset, sets[split], iepoch, run)
        except NotRecorded as error:
            missing[split] = str(error)
            continue
        if metrics["loss"] is None:
            missing[f"{split}-loss"] = f"the table of {dataset!r} does not record it"
        else:
            found[f"{split}-loss"] = metrics["loss"]
        epochs = metrics["iepoch"] + 1
        total = metrics["all_time"]
        found[f"{split}-accuracy"] = metrics["accuracy"]
        found[f"{split}-per-time"] = None if total is None else total / epochs
        found[f"{split}-all-time"] = total
    return found, missing


def known(info: Info, key: str) -> float:
    """A number that the clock needs.

    Raises:
        NotRecorded: If it was not recorded.
    """
    if info[key] is None:
        raise NotRecorded(f"{key!r} was not recorded in this table, so the clock cannot be kept")
    return float(info[key])


def remap(dataset: str, metric_on_set: str) -> tuple[str, str]:
    """The official table and our split that a data set and a split name stand for."""
    if dataset == "cifar10" and metric_on_set == "valid":
        return "cifar10-valid", "valid"
    if dataset not in TASKS:
        raise ValueError(f"dataset must be one of {', '.join(TASKS)}; got {dataset!r}")
    sets = TASKS[dataset].sets
    split = sets.get(metric_on_set, metric_on_set)
    if split not in {"train", *sets.values()}:
        raise ValueError(f"{dataset!r} has the sets train, {', '.join(sets)}; got {metric_on_set!r}")
    return dataset, split


def mean_of_held(runs: FloatArray) -> FloatArray:
    """The mean over the recorded runs [..., runs], added in the order of the seeds; NaN if none."""
    count = (~np.isnan(runs)).sum(axis=1)
    total = np.nan_to_num(runs[:, 0])
    for run in range(1, runs.shape[1]):
        total = total + np.nan_to_num(runs[:, run])
    return np.asarray(total / np.where(count, count, np.nan))


def millions(table: Table, column: str) -> FloatArray:
    """Parameters or multiply-accumulates in millions, by lexicographic index; float64 [15625].

    Where an architecture's runs disagree, the run of seed 888 counts, as officially.
    """
    if column not in table.columns or table.values(column).ndim == 1:
        return comparison.costs(table, column) / 1e6
    values = table.values(column) / 1e6
    agree = np.fmax.reduce(values, axis=1) - np.fmin.reduce(values, axis=1) < 1e-5
    right = values[:, table.seeds.index(888)] if 888 in table.seeds else mean_of_held(values)
    return np.where(agree, mean_of_held(values), right)


def runs_held(table: Table) -> BoolArray:
    """Which runs there are, by lexicographic index: bool [15625, runs], or [15625, 1] for means."""
    column = next(name for name in table.columns if name.endswith("_accuracy"))
    values = table.values(column, epochs=table.recorded_epochs(column)[-1])
    return np.asarray(~np.isnan(values.reshape(SIZE, -1)))
