"""What may be wrong with a column's numbers, although its bytes are those that were written.

A column's name may say what its numbers count: "train_seconds" are seconds. Such numbers are never negative;
those of other columns, a zero-cost proxy's, say, may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nb201env.arrays import FloatArray

SIZES = ("params", "macs")
"""Counts that follow from an architecture alone."""
ENDINGS = {
    "_accuracy": "fraction",
    "_loss": "nats",
    "_seconds": "s",
    "_joules": "J",
    "_bytes": "B",
    "_count": "count",
}
"""The units that the ending of a column's name says."""


def named_unit(column: str) -> str:
    """The unit that a column's name says; empty where it says none, so that the numbers may be negative."""
    if column in SIZES:
        return "count"
    return next((unit for ending, unit in ENDINGS.items() if column.endswith(ending)), "")


def problems(column: str, values: FloatArray, epochs: Sequence[int]) -> Iterator[str]:
    """What is wrong with a column, a sentence each.

    That is: no number at all; and numbers that are infinite, negative where the name says a unit, or above 1
    where they are accuracies.

    Args:
        column: Its name.
        values: Its numbers, NaN where missing: [rows], [rows, runs] or [rows, runs, epochs].
        epochs: The epochs at which it was recorded; empty if it has none.
    """
    if bool(np.isnan(values).all()):
        yield f"column {column!r} holds no number"
    for epoch, here in zip(epochs or (None,), _by_epoch(values), strict=False):
        where = f"column {column!r}" + (f" at epoch {epoch}" if epoch else "")
        if bool(np.isinf(here).any()):
            yield f"{where} is infinite"
        elif column.endswith("_accuracy") and bool((here > 1).any()):
            yield f"{where} exceeds 1"
        if named_unit(column) and bool((here < 0).any()):
            yield f"{where} is negative"


def _by_epoch(values: FloatArray) -> list[FloatArray]:
    """The epochs of a column [rows, runs, epochs], one by one; other columns as they are."""
    return list(np.moveaxis(values, 2, 0)) if values.ndim == 3 else [values]


def runs_without(seconds: FloatArray, accuracy: FloatArray) -> int:
    """How many runs have an accuracy, but not the seconds that they cost: the clock would become NaN.

    Args:
        seconds: Of every run, NaN where missing: [rows, runs], or [rows] if they are the same for all runs.
        accuracy: Likewise.
    """
    held = [~np.isnan(values if values.ndim == 2 else values[:, None]) for values in (seconds, accuracy)]
    return int((held[1] & ~held[0]).sum())
