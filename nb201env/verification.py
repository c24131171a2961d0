"""What is wrong with a table's numbers, beyond bytes that are not those that were written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from nb201env.arrays import BoolArray, FloatArray

if TYPE_CHECKING:
    from nb201env.table import Table


def problems(table: Table) -> list[str]:
    """Read every byte of a table again and say what is wrong, a sentence each; none means nothing is.

    Beside damage that is: numbers that are infinite, negative, or above 1 where they are accuracies; a
    column without any number; and runs with an accuracy but without the seconds that they cost.
    """
    found = [table.container.damage(name) for name in table.manifest["arrays"]]
    if any(found):
        return [problem for problem in found if problem]
    found = [problem for column in table.columns for problem in _of_column(table, column)]
    return [f"{table.name}: {problem}" for problem in (*found, *_without_seconds(table))]


def _of_column(table: Table, column: str) -> Iterator[str]:
    values = table.everything(column)
    if bool(np.isnan(values).all()):
        yield f"column {column!r} holds no number"
    for epoch, here in zip(table.recorded_epochs(column) or (None,), _by_epoch(values), strict=False):
        where = f"column {column!r}" + (f" at epoch {epoch}" if epoch else "")
        if bool(np.isinf(here).any()):
            yield f"{where} is infinite"
        elif column.endswith("_accuracy") and bool((here > 1).any()):
            yield f"{where} exceeds 1"
        if bool((here < 0).any()):
            yield f"{where} is negative"


def _by_epoch(values: FloatArray) -> list[FloatArray]:
    """The epochs of a column [rows, runs, epochs], one by one; other columns as they are."""
    return list(np.moveaxis(values, 2, 0)) if values.ndim == 3 else [values]


def _without_seconds(table: Table) -> Iterator[str]:
    """Runs whose accuracy is recorded, but not what they cost: the clock would become NaN."""
    if not {"valid_accuracy", "train_seconds"} <= {*table.columns}:
        return
    both = {*table.recorded_epochs("valid_accuracy")} & {*table.recorded_epochs("train_seconds")}
    for epochs in sorted(both):
        lost = _held(table, "valid_accuracy", epochs) & ~_held(table, "train_seconds", epochs)
        if bool(lost.any()):
            runs = f"{int(lost.sum()):,} runs that have a 'valid_accuracy'"
            yield f"at epoch {epochs} there are {runs} but no 'train_seconds'"
            return


def _held(table: Table, column: str, epochs: int) -> BoolArray:
    """Which runs have a number; [architectures, runs], or [architectures, 1] for one of all runs."""
    held = ~np.isnan(table.values(column, epochs=epochs))
    return held if held.ndim == 2 else held[:, None]
