"""CSV and Parquet files with one row per architecture, through a column map.

A column map says which column of ours each column of the file is:
``{"test_acc": "test_accuracy@200", "acc_seed_777": "valid_accuracy@200#777"}``. A target reads
``<column>[@<epochs completed>][#<seed>]``; without a seed the numbers are no single run (a mean,
say), and the table answers them for ``run="mean"`` only. Accuracies in the file are fractions
or, with ``percent=True``, per cent.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.architecture import Architecture
from nb201env.arrays import Array, FloatArray
from nb201env.extras import require
from nb201env.sources.errors import SourceError, show
from nb201env.space import SIZE, official_order
from nb201env.table import Table, write_table

_TARGET = re.compile(r"(?P<column>[A-Za-z][A-Za-z0-9_]*)(@(?P<epochs>\d{1,6}))?(#(?P<seed>\d{1,9}))?")
_SPLITS = ("train", "valid", "test", "valtest")
LONGEST_LINE = 1 << 16


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file's column goes: our column, the epochs completed, the seed."""

    column: str
    epochs: int | None
    seed: int | None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``<column>[@<epochs>][#<seed>]``.

        Raises:
            ValueError: If the text is not that.
        """
        match = _TARGET.fullmatch(text)
        if match is None:
            raise ValueError(f"a target column reads like valid_accuracy@200#777; got {text!r}")
        epochs, seed = match["epochs"], match["seed"]
        target = cls(match["column"], int(epochs) if epochs else None, int(seed) if seed else None)
        if target.metric in ("accuracy", "loss") and target.epochs is None:
            raise ValueError(f"say after how many epochs {text!r} was recorded: {text}@200, say")
        return target

    @property
    def metric(self) -> str:
        """What comes after the split: "accuracy", "loss", "seconds"; or the whole name."""
        split, _, metric = self.column.partition("_")
        return metric if split in _SPLITS else self.column


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
) -> Table:
    """Import a CSV or Parquet file with one row per architecture.

    Args:
        source: The file; Parquet if its name ends so.
        path: Where the table goes.
        key: The file's column of official strings or official indices.
        columns: The column map.
        name: The table's name.
        dataset: "cifar10", "cifar100", "ImageNet16-120", …
        epochs: The schedule's length.
        percent: Whether the file's accuracies are per cent (else fractions).
        task: The task's name, such as "cifar10-valid"; the data set's if None.

    Raises:
        SourceError: If a row or a number is not what it should be.
        ValueError: If the column map is not.
        MissingExtra: For a Parquet file, if pyarrow is not installed.
    """
    source = Path(source)
    targets = {column: Target.parse(text) for column, text in columns.items()}
    if not targets:
        raise ValueError("the column map is empty; map at least one column, such as acc=valid_accuracy@200")
    raw = read_columns(source, key, list(targets))
    numbers = dict(zip(targets.values(), raw, strict=True))
    if len(numbers) < len(targets):
        raise ValueError("two columns of the file are mapped to the same target")
    for target, values in numbers.items():
        _check_range(source, target, values, percent)
    arrays, specs, seeds = _arrays(numbers, percent)
    manifest = {
        "name": name,
        "space": "NAS-Bench-201",
        "task": {"name": task or dataset, "dataset": dataset, "splits": {}},
        "schedule": {"epochs": epochs, "what": "as stated by the importer"},
        "seeds": seeds,
        "columns": specs,
        "provenance": {"layout": "rows", "source": source.name, "columns": dict(columns), "key": key},
        "licence": "as the source's",
    }
    return write_table(path, manifest, arrays)


def read_columns(source: Path, key: str, names: list[str]) -> list[FloatArray]:
    """Columns of a file by lexicographic index; float64 [15625] each, NaN where a row is missing."""
    if source.suffix == ".parquet":
        keys, cells = _read_parquet(source, key, names)
    else:
        keys, cells = _read_csv(source, key, names)
    if len(keys) > SIZE:
        raise SourceError(source, key, f"more than {SIZE} rows")
    rows = [_row(source, key, line, value) for line, value in enumerate(keys, start=1)]
    if len(set(rows)) < len(rows):
        twice = next(row for line, row in enumerate(rows) if row in rows[:line])
        raise SourceError(source, key, f"two rows for architecture {Architecture.from_index(twice)}")
    out = []
    for values in cells:
        column = np.full(SIZE, np.nan)
        column[rows] = values
        out.append(column)
    return out


def _row(source: Path, key: str, line: int, value: Any) -> int:
    try:
        if isinstance(value, str) and not value.strip().isdecimal():
            return Architecture.parse(value).index
        index = int(value)
        if not 0 <= index < SIZE or (index != value and not isinstance(value, str)):
            raise ValueError(f"an official index is in 0..{SIZE - 1}")
        return int(official_order()[index])
    except (ValueError, TypeError, OverflowError) as error:
        raise SourceError(source, f"row {line}, {key}", f"{show(value)}: {error}") from None


def _read_csv(source: Path, key: str, names: list[str]) -> tuple[list[Any], list[FloatArray]]:
    keys: list[Any] = []
    cells: list[list[float]] = [[] for _ in names]
    try:
        with open(source, newline="", encoding="utf-8-sig") as file:
            lines = iter(lambda: file.readline(LONGEST_LINE), "")
            reader = csv.reader(lines, strict=True)
            header = next(reader, [])
            at = [_position(source, header, name) for name in [key, *names]]
            for line, row in enumerate(reader, start=1):
                if not row:
                    continue
                if len(row) != len(header):
                    raise SourceError(source, f"row {line}", f"{len(row)} cells under {len(header)} headings")
                if line > SIZE + 1000:
                    raise SourceError(source, f"row {line}", f"more than {SIZE} rows")
                keys.append(row[at[0]])
                for name, values, column in zip(names, cells, at[1:], strict=True):
                    values.append(_cell(source, line, name, row[column]))
    except (csv.Error, UnicodeDecodeError) as error:
        raise SourceError(source, f"row {len(keys) + 1}", f"not a CSV file in UTF-8 ({error})") from None
    return keys, [np.array(values, dtype=np.float64) for values in cells]


def _position(source: Path, header: list[str], name: str) -> int:
    if header.count(name) != 1:
        shown = ", ".join(heading[:40] for heading in header[:20])
        raise SourceError(source, name, f"is not one of the columns {shown or '(none)'}")
    return header.index(name)


def _cell(source: Path, line: int, name: str, text: str) -> float:
    if text.strip().lower() in ("", "nan", "null", "none"):
        return np.nan
    try:
        return float(text)
    except ValueError:
        raise SourceError(source, f"row {line}, {name}", f"{show(text)} is no number") from None


def _read_parquet(source: Path, key: str, names: list[str]) -> tuple[list[Any], list[FloatArray]]:
    parquet = require("pyarrow.parquet", "parquet")
    pyarrow = require("pyarrow", "parquet")
    try:
        file = parquet.ParquetFile(source)
        if file.metadata.num_rows > SIZE:
            raise SourceError(source, key, f"more than {SIZE} rows")
        for name in [key, *names]:
            _position(source, file.schema_arrow.names, name)
        table = file.read(columns=[key, *names])
        cells = []
        for name in names:
            kind = table.schema.field(name).type
            if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
                raise SourceError(source, name, f"expected numbers, got {kind}")
            cells.append(table.column(name).cast("float64").to_numpy())
        return table.column(key).to_pylist(), cells
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SourceError(
            source, "parquet", f"damaged or not a Parquet file ({type(error).__name__})"
        ) from error


def _check_range(source: Path, target: Target, values: FloatArray, percent: bool) -> None:
    is_accuracy = target.metric == "accuracy"
    most = (100.0 if percent else 1.0) if is_accuracy else np.inf
    wrong = values[(values < 0) | (values > most) | np.isinf(values)]
    if len(wrong):
        hint = f" 0..{most:g}; are they {'per cent' if percent else 'fractions'}?" if is_accuracy else ""
        raise SourceError(source, target.column, f"{wrong[0]} is out of range{hint}")


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
        with_seed = [target.seed is not None for target in mine]
        if any(with_seed) != all(with_seed) or (len(epochs) > 1 and not all(with_seed)):
            raise ValueError(f"column {column!r}: give every target a seed, or map one column without a seed")
        spec: dict[str, Any] = {"unit": _unit(column)}
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


def _unit(column: str) -> str:
    for ending, unit in (("_accuracy", "fraction"), ("seconds", "s"), ("_joules", "J"), ("_loss", "nats")):
        if column.endswith(ending):
            return unit
    return "count"
