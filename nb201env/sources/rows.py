"""CSV and Parquet files with rows of architectures; `import_rows` makes a table of one, through a column map.

A column map says which column of ours each column of the file is (`nb201env.sources.targets`):
``{"test_acc": "test_accuracy@200", "acc_seed_777": "valid_accuracy@200#777"}``. Accuracies in the file
are fractions or, with ``percent=True``, per cent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nb201env.architecture import Architecture
from nb201env.arrays import Array, FloatArray
from nb201env.sources.cells import read_cells
from nb201env.sources.errors import SourceError, show
from nb201env.sources.targets import Target, read_map
from nb201env.space import SIZE, official_order
from nb201env.table import Table, write_table
from nb201env.tables import place
from nb201env.verification import named_unit

ORDERS = ("official", "lexicographic")
"""What a bare number may count by; the first is the official files', the second this package's `index`."""


class Rows(NamedTuple):
    """What was read of a file.

    Attributes:
        indices: Each row's architecture, by lexicographic index.
        places: How messages name each row: "line 7", "row 7".
        numbers: Of each wanted column, one per row; NaN where there is none.
    """

    indices: list[int]
    places: list[str]
    numbers: list[FloatArray]


def read_rows(
    source: Path, key: str, names: Sequence[str], index: str | None = None, most: int = SIZE
) -> Rows:
    """Read the rows of a CSV file, or a Parquet file if its name ends so; their numbers are not judged.

    Args:
        source: The file.
        key: Its column of architectures, as for `import_rows`.
        names: The columns of numbers that are wanted.
        index: What bare numbers in the key count by, as for `import_rows`.
        most: How many rows there may be; see `nb201env.sources.cells.read_cells`.

    Raises:
        SourceError: If a row is not what it should be.
        OSError: If the file cannot be read.
        ValueError: If the key is among the columns of numbers.
        MissingExtra: For a Parquet file, if pyarrow is not installed.
    """
    if index is not None and index not in ORDERS:
        raise ValueError(f"--index is {' or '.join(ORDERS)}; got {index!r}")
    if key in names:
        raise ValueError(f"{key!r} is the key, so it is no column of numbers too")
    cells = read_cells(source, key, names, most)
    order = index or _order_of(key, cells.headings)
    rows = []
    for where, value in zip(cells.places, cells.keys, strict=True):
        try:
            rows.append(_row(value, order))
        except (ValueError, TypeError, OverflowError) as error:
            raise SourceError(source, f"{where}, {key}", f"{show(value)}: {error}") from None
    return Rows(rows, cells.places, cells.numbers)


def import_rows(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    key: str,
    columns: Mapping[str, str],
    name: str,
    dataset: str,
    epochs: int,
    percent: bool,
    task: str | None = None,
    index: str | None = None,
    units: Mapping[str, str] | None = None,
    replace: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Table:
    """Import a CSV or Parquet file with one row per architecture.

    Args:
        source: The file; Parquet if its name ends so.
        path: Where the table goes.
        key: The file's column of architectures: official strings, official:6111, index:4711, or bare
            numbers that count by `index`.
        columns: The column map.
        name: The table's name.
        dataset: "cifar10", "cifar100", "ImageNet16-120", …
        epochs: The schedule's length.
        percent: Whether the file's accuracies are per cent (else fractions).
        task: The task's name, such as "cifar10-valid"; the data set's if None.
        index: One of `ORDERS`. None if the file tells: by the name "official_index" of the key, or by a
            column of that name beside the key "index" (so `Table.to_pandas` writes them).
        units: By our column, the unit of costs whose names don't say theirs: {"synflow": "score"}. Only such
            costs may be negative.
        replace: Take the place of another table.
        note: Told what is worth a word.

    Raises:
        SourceError: If a row or a number is not what it should be.
        OSError: If the file cannot be read; `FileExistsError` if there is another table at `path`.
        ValueError: If the column map is not what it should be.
        MissingExtra: For a Parquet file, if pyarrow is not installed.
    """
    source = Path(source)
    found = read_columns(source, key, read_map(columns.items(), epochs, units), percent, index)
    manifest = {
        "name": name,
        "space": "NAS-Bench-201",
        "task": {"name": task or dataset, "dataset": dataset, "splits": {}},
        "schedule": {"epochs": epochs, "what": "as stated by the importer"},
        "seeds": found.seeds,
        "columns": found.specs,
        "provenance": {"layout": "rows", "source": source.name, "columns": dict(columns), "key": key},
        "licence": "as the source's",
    }
    write = partial(write_table, manifest=manifest, columns=found.arrays)
    return place(Path(path), write, replace=replace, note=note)


class Columns(NamedTuple):
    """What a file of rows holds, as columns of a table.

    Attributes:
        arrays: Of each column; [15625] or [15625, runs, epochs].
        specs: Their descriptions, for the manifest.
        seeds: Of the runs, ascending.
    """

    arrays: dict[str, Array]
    specs: dict[str, Any]
    seeds: list[int]


def read_columns(
    source: Path, key: str, targets: Mapping[str, Target], percent: bool, index: str | None
) -> Columns:
    """Read a file with one row per architecture; for the arguments and what it raises see `import_rows`."""
    rows = read_rows(source, key, list(targets), index)
    _check_once(source, rows)
    numbers: dict[Target, FloatArray] = {}
    for (column, target), values in zip(targets.items(), rows.numbers, strict=True):
        check_range(source, column, target, values, rows.places, percent)
        numbers[target] = np.full(SIZE, np.nan)
        numbers[target][rows.indices] = values
    return Columns(*_arrays(numbers, percent))


def _order_of(key: str, headings: Sequence[str]) -> str | None:
    """What a column's bare numbers count by, where its name and its neighbours say so."""
    if key == "official_index":
        return "official"
    return "lexicographic" if key == "index" and "official_index" in headings else None


def _check_once(source: Path, rows: Rows) -> None:
    seen: dict[int, str] = {}
    for index, where in zip(rows.indices, rows.places, strict=True):
        if index in seen:
            problem = f"two rows for architecture {Architecture.from_index(index)} (the other: {seen[index]})"
            raise SourceError(source, where, problem)
        seen[index] = where


def _row(value: Any, order: str | None) -> int:
    if value is None or value == "":
        raise ValueError("no architecture")
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and not (text.isascii() and text.removeprefix("-").isdecimal()):
        return Architecture.parse(text).index
    index = int(text)
    if not 0 <= index < SIZE or (index != text and not isinstance(text, str)):
        raise ValueError(f"an index is a whole number in 0..{SIZE - 1}")
    if order is None:
        raise ValueError(
            "could be two architectures: say whether the numbers count in the official order or the "
            "lexicographic one, --index official or --index lexicographic"
        )
    return int(official_order()[index]) if order == "official" else index


def check_range(
    source: Path, column: str, target: Target, values: FloatArray, places: Sequence[str], percent: bool
) -> None:
    """Check that a column's numbers can be what its target says.

    Args:
        source: The file, for messages.
        column: The column's heading, for messages.
        target: What the numbers are to be.
        values: The numbers, NaN where there is none.
        places: How messages name each number's row.
        percent: Whether accuracies are per cent.

    Raises:
        SourceError: If one is out of range, or accuracies are in the other unit.
    """
    where = column if column == target.column else f"{column} ({target.column})"
    most = (100.0 if percent else 1.0) if target.is_accuracy else np.inf
    least = 0.0 if named_unit(target.column) else -np.inf
    wrong = np.flatnonzero((values < least) | (values > most) | np.isinf(values))
    if len(wrong):
        hint = f" (a column in {target.unit} has none below 0)" if least == 0 else ""
        if target.is_accuracy:
            hint = f" 0..{most:g}; are they {'per cent' if percent else 'fractions'}?"
        first = wrong[0]
        raise SourceError(source, f"{places[first]}, {where}", f"{values[first]} is out of range{hint}")
    if target.is_accuracy and percent and np.nanmax(values) <= 1:
        raise SourceError(source, where, "no accuracy is above 1 per cent; are they fractions?")


def _arrays(
    numbers: dict[Target, FloatArray], percent: bool
) -> tuple[dict[str, Array], dict[str, Any], list[int]]:
    """Columns [15625] or [15625, runs, epochs] for a table, their descriptions, and the seeds."""
    seeds = sorted({target.seed for target in numbers if target.seed is not None})
    arrays: dict[str, Array] = {}
    specs: dict[str, Any] = {}
    for column in sorted({target.column for target in numbers}):
        mine = {target: values for target, values in numbers.items() if target.column == column}
        epochs = sorted({target.epochs for target in mine if target.epochs is not None})
        with_epochs = [target.epochs is not None for target in mine]
        if any(with_epochs) != all(with_epochs):
            raise ValueError(f"column {column!r}: say after how many epochs for every target, or for none")
        with_seed = [target.seed is not None for target in mine]
        if any(with_seed) != all(with_seed) or (len(epochs) > 1 and not all(with_seed)):
            raise ValueError(f"column {column!r}: give every target a seed, or map one column without a seed")
        spec: dict[str, Any] = {"unit": next(iter(mine)).unit}
        if column.endswith("_accuracy") and percent:
            spec["scale"] = 100
        if epochs:
            spec["epochs"] = epochs
        arrays[column], specs[column] = _stack(mine, seeds, epochs), spec
    return arrays, specs, seeds


def _stack(mine: dict[Target, FloatArray], seeds: list[int], epochs: list[int]) -> FloatArray:
    if next(iter(mine)).seed is None:
        return next(iter(mine.values()))
    array = np.full((SIZE, len(seeds), max(len(epochs), 1)), np.nan)
    for target, values in mine.items():
        at = epochs.index(target.epochs) if target.epochs is not None else 0
        array[:, seeds.index(target.seed or 0), at] = values
    return array if epochs else array[:, :, 0]
