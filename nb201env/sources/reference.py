"""The CSV of official CIFAR-10 numbers that validations and the papers' protocols read, from imported tables.

One row per architecture in the official order, accuracies in per cent. `reference_sources` in
`nb201env.agents.papers.protocols`, ``benchmarks.studies`` and ``benchmarks.gpu_lease`` take it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nb201env.architecture import official_strings
from nb201env.arrays import FloatArray
from nb201env.files import appearing
from nb201env.missing import PAGE
from nb201env.space import official_order
from nb201env.table import NotRecorded, Table, mean_over_runs
from nb201env.tables import SUFFIX, open_table

COLUMNS = {
    "cifar10_test_acc_200": ("cifar10-200", "test_accuracy", 200),
    "cifar10_valid_acc_12": ("cifar10-valid-12", "valid_accuracy", 12),
    "cifar10_test_acc_12": ("cifar10-12", "test_accuracy", 12),
    "cifar10_train_seconds_12": ("cifar10-valid-12", "train_seconds", 12),
}
"""The CSV's columns after index and arch: of which official table they are, which column, at which epoch."""


def find_tables(folder: Path, prefix: str) -> dict[str, Table]:
    """The imported tables that the CSV is made of, by their names without the prefix.

    Raises:
        FileNotFoundError: If one is missing.
    """
    paths = {name: folder / f"{prefix}{name}{SUFFIX}" for name, _, _ in COLUMNS.values()}
    missing = [path.name.removesuffix(SUFFIX) for path in paths.values() if not path.exists()]
    if missing:
        raise FileNotFoundError(
            f"no table {', '.join(missing)} in {folder}: import the official files of both schedules first "
            f"(nb201 table import; {PAGE})"
        )
    return {name: open_table(path) for name, path in paths.items()}


def write_reference(tables: Mapping[str, Table], path: Path) -> int:
    """Write the CSV: means over runs, of the architectures of which every number is known.

    Args:
        tables: See `find_tables`.
        path: The file.

    Returns:
        How many architectures it holds.

    Raises:
        NotRecorded: If a table lacks a column, or no architecture has all numbers.
        FileNotFoundError: If there is no such folder.
    """
    columns = {
        name: _means(tables[table], column, epochs) for name, (table, column, epochs) in COLUMNS.items()
    }
    whole = ~np.isnan(np.array(list(columns.values()))).any(axis=0)
    if not whole.any():
        raise NotRecorded(f"no architecture has all of {', '.join(COLUMNS)} in these tables")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} into")
    strings = official_strings()
    with appearing(path) as new, open(new, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["index", "arch", *columns])
        for index in np.flatnonzero(whole).tolist():
            numbers = [round(float(values[index]), 6) for values in columns.values()]
            writer.writerow([index, strings[index], *numbers])
    return int(whole.sum())


def _means(table: Table, column: str, epochs: int) -> FloatArray:
    """A column's means over runs by official index, accuracies in per cent."""
    values = table.values(column, epochs=epochs)[official_order()]
    means = values if values.ndim == 1 else mean_over_runs(values)
    return 100 * means if column.endswith("_accuracy") else means
