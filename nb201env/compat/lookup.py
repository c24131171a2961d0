"""Finding the official numbers in our tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nb201env.arrays import BoolArray, FloatArray
from nb201env.compat.results import ArchResults
from nb201env.cost import CLOSED_FORMS
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
        except NotRecorded as error:  # then the official API leaves out the split's seconds, too
            missing[split] = str(error)
            continue
        total = metrics["all_time"]
        if total is not None:
            per_epoch = total / (metrics["iepoch"] + 1)
        else:  # where other passes over a set were not timed, this one stands for them
            per_epoch = None if split == "train" else metrics["cur_time"]
        for key, column, number in (
            ("loss", "loss", metrics["loss"]), ("accuracy", "accuracy", metrics["accuracy"]),
            ("per-time", "seconds", per_epoch), ("all-time", "seconds", total),
        ):  # fmt: skip
            if number is None:
                missing[f"{split}-{key}"] = results.why_not(dataset, f"{split}_{column}", iepoch, run)
            else:
                found[f"{split}-{key}"] = number
    return found, missing


def official_index(index: Any) -> int:
    """An official index, as one of Python's numbers.

    Raises:
        ValueError: If it is none.
    """
    whole = isinstance(index, int | np.integer) and not isinstance(index, bool)
    if not whole or not 0 <= index < SIZE:
        raise ValueError(f"an official index is in 0..{SIZE - 1}; got {index!r}")
    return int(index)


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

    What the table records, as officially: where an architecture's runs disagree the run of seed 888
    counts. The closed form, which equals it, stands in where that is missing.
    """
    closed = CLOSED_FORMS[column](np.arange(SIZE), table.dataset) / 1e6
    if column not in table.columns:
        return closed
    values = table.values(column) / 1e6
    if values.ndim == 2:
        agree = np.fmax.reduce(values, axis=1) - np.fmin.reduce(values, axis=1) < 1e-5
        right = values[:, table.seeds.index(888)] if 888 in table.seeds else np.nan
        values = np.where(agree, mean_of_held(values), right)
    return np.where(np.isnan(values), closed, values)


def runs_held(table: Table) -> BoolArray:
    """Which runs have an accuracy, by lexicographic index: bool [15625, runs], of means [15625, 0]."""
    held = np.zeros((SIZE, len(table.seeds)), dtype=bool)
    for values in _accuracies(table):
        if values.ndim == 2:
            held |= ~np.isnan(values)
    return held


def any_held(table: Table) -> BoolArray:
    """Which architectures have an accuracy, of a run or as the mean; bool [15625]."""
    held = [~np.isnan(values.reshape(SIZE, -1)).all(axis=1) for values in _accuracies(table)]
    return np.asarray(np.any(held, axis=0)) if held else np.zeros(SIZE, dtype=bool)


def _accuracies(table: Table) -> Iterator[FloatArray]:
    """The accuracies after the last recorded epoch of every split."""
    for column in table.columns:
        if column.endswith("_accuracy"):
            recorded = table.recorded_epochs(column)
            yield table.values(column, epochs=recorded[-1] if recorded else None)
