"""Evaluations of one's own in a CSV or Parquet file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nb201env.arrays import FloatArray
from nb201env.sources.errors import SourceError
from nb201env.sources.opening import open_source
from nb201env.sources.rows import Rows, check_range, read_rows
from nb201env.sources.targets import Target
from nb201env.space import SIZE
from nb201env.surrogate.evaluations import CLOCK, Evaluations, Note, gather

UNITS = ("percent", "fraction")
MOST_ROWS = 16 * SIZE


def read_evaluations(
    source: str | os.PathLike[str],
    *,
    key: str,
    values: Sequence[str],
    unit: str | None = None,
    index: str | None = None,
    seconds: str | None = None,
    valid_seconds: str | None = None,
    name: str | None = None,
    dataset: str | None = None,
    split: str = "valid",
    epochs: int | None = None,
    note: Note = lambda text: None,
) -> Evaluations:
    """Read evaluations of one's own; several rows or value columns of an architecture are several runs.

    Args:
        source: A CSV file, or a Parquet file if its name ends so.
        key: Its column of architectures, as `nb201env.sources.rows.import_rows` takes it.
        values: Its columns of accuracies.
        unit: Of the accuracies, "percent" or "fraction". If None, they are per cent where one is above 1.
        index: What bare numbers in the key count by, "official" or "lexicographic".
        seconds: The column of each row's training seconds, if there is one.
        valid_seconds: The column of its validation seconds.
        name: What the evaluations are called; the file's name without its ending if None.
        dataset: The data set that they are of; `name` if None.
        split: The split of the accuracies.
        epochs: After how many epochs they were measured; None if that is not known.
        note: Told what is worth a word.

    Raises:
        SourceError: If a row or a number is not what it should be.
        ValueError: If an argument is not, or fewer than 20 architectures have an accuracy.
        OSError: If the file cannot be read.
        MissingExtra: For a Parquet file, if pyarrow is not installed.
    """
    source = Path(source)
    clock = {ours: column for ours, column in zip(CLOCK, (seconds, valid_seconds), strict=True) if column}
    names = [*values, *clock.values()]
    _check_columns(values, names, unit)
    rows = read_rows(source, key, names, index, MOST_ROWS)
    if len(rows.indices) > MOST_ROWS:
        raise SourceError(source, "rows", f"more than {MOST_ROWS:,}, as no evaluations have")
    numbers = dict(zip(names, rows.numbers, strict=True))
    percent = _is_percent(numbers, values) if unit is None else unit == "percent"
    _check_numbers(source, numbers, values, clock, rows, percent)
    accuracy = np.stack([numbers[column] for column in values], axis=1) / (100.0 if percent else 1.0)
    return gather(
        rows.indices, accuracy, name=source.stem if name is None else name, dataset=dataset, split=split,
        epochs=epochs, seconds={ours: numbers[column] for ours, column in clock.items()},
        source={"file": source.name, "sha256": _sha256(source), "rows": len(rows.indices), "key": key,
                "values": list(values), "unit": UNITS[not percent]},
        note=lambda text: note(f"{source.name}: {text}"),
    )  # fmt: skip


def _check_columns(values: Sequence[str], names: Sequence[str], unit: str | None) -> None:
    if not values:
        raise ValueError("name the column of accuracies: --value COLUMN")
    twice = next((column for column in names if list(names).count(column) > 1), None)
    if twice is not None:
        raise ValueError(f"the file's column {twice!r} is named twice; name each once")
    if unit is not None and unit not in UNITS:
        raise ValueError(f"--unit is {' or '.join(UNITS)}; got {unit!r}")


def _is_percent(numbers: dict[str, FloatArray], values: Sequence[str]) -> bool:
    """Only one unit is possible: accuracies per cent of which none is above 1 are refused."""
    return any(bool((numbers[column] > 1).any()) for column in values)


def _check_numbers(
    source: Path,
    numbers: dict[str, FloatArray],
    values: Sequence[str],
    clock: dict[str, str],
    rows: Rows,
    percent: bool,
) -> None:
    for column in values:
        check_range(source, column, Target.parse("valid_accuracy@1"), numbers[column], rows.places, percent)
    for ours, column in clock.items():
        check_range(source, column, Target.parse(ours), numbers[column], rows.places, percent)
        zero = np.flatnonzero(numbers[column] == 0)
        if len(zero):
            raise SourceError(
                source, f"{rows.places[zero[0]]}, {column} ({ours})", "is 0; seconds are above 0"
            )


def _sha256(source: Path) -> str:
    with open_source(source) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
