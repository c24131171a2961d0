"""Further columns for a table: a copy of it that holds them too.

A table never changes, for its id names its numbers. So whoever wants a limit on the energy that a device of
their own takes writes a new table, which has the old one's numbers and theirs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.arrays import Array
from nb201env.sources.opening import open_source
from nb201env.sources.rows import read_columns
from nb201env.sources.targets import read_map
from nb201env.space import SIZE
from nb201env.table import Table, write_table
from nb201env.tables import place


def extend(
    table: Table,
    columns: Mapping[str, Array],
    specs: Mapping[str, Any],
    path: str | os.PathLike[str],
    name: str,
    provenance: Mapping[str, Any],
    *,
    replace: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Table:
    """Write a copy of a table that has further columns.

    Args:
        table: The table to extend.
        columns: The new columns by lexicographic index; [15625].
        specs: Their descriptions, for the manifest.
        path: Where the new table goes.
        name: Its name.
        provenance: What the new table's provenance says beside the old one's and its id.
        replace: Take the place of another table.
        note: Told what is worth a word.

    Raises:
        OSError: If the file cannot be written; `FileExistsError` if there is another table at `path`.
        ValueError: If the table has such columns already.
    """
    _check_new(table, columns)
    # The new numbers belong to architectures, so rows of classes are spread over their members.
    rows = table.container.array("row") if "row" in table.container else slice(None)
    arrays = {column: table.container.array(column)[rows] for column in table.columns}
    manifest = {key: value for key, value in table.manifest.items() if key not in ("arrays", "schema")}
    manifest |= {
        "name": name,
        "columns": table.manifest["columns"] | dict(specs),
        "provenance": table.manifest["provenance"] | {"table": table.id} | dict(provenance),
    }
    write = partial(write_table, manifest=manifest, columns=arrays | dict(columns))
    return place(Path(path), write, replace=replace, note=note)


def add_columns(
    table: Table,
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    name: str,
    *,
    key: str,
    columns: Mapping[str, str],
    units: Mapping[str, str] | None = None,
    percent: bool | None = None,
    index: str | None = None,
    replace: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Table:
    """Write a copy of a table that also has columns of a CSV or Parquet file with one row per architecture.

    Args:
        table: The table to extend.
        source: The file; Parquet if its name ends so.
        path: Where the new table goes.
        name: Its name.
        key: The file's column of architectures, see `nb201env.sources.rows.import_rows`.
        columns: The column map, without seeds; architectures without a row get no number.
        units: By our column, the unit of costs whose names don't say theirs.
        percent: Whether the file's accuracies are per cent (else fractions); needed if there are any.
        index: What bare numbers in the key count by, "official" or "lexicographic".
        replace: Take the place of another table.
        note: Told what is worth a word.

    Raises:
        SourceError: If a row or a number is not what it should be.
        OSError: If a file cannot be read or written; `FileExistsError` if there is another table at `path`.
        ValueError: If the column map is not what it should be, or the table has such columns already.
        MissingExtra: For a Parquet file, if pyarrow is not installed.
    """
    source = Path(source)
    targets = read_map(columns.items(), table.epochs, units)
    _check_new(table, {target.column for target in targets.values()})
    if any(target.seed is not None for target in targets.values()):
        raise ValueError("a column is added with one number per architecture; leave out the #SEED")
    if percent is None and any(target.is_accuracy for target in targets.values()):
        raise ValueError("say whether the file's accuracies are --unit percent or --unit fraction")
    with open_source(source) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    found = read_columns(source, key, targets, bool(percent), index)
    for column, numbers in found.arrays.items():
        if lacking := int(np.isnan(numbers).sum()):
            note(f"{lacking:,} of {SIZE:,} architectures have no {column}")
    specs = {column: spec | {"what": f"added from {source.name}"} for column, spec in found.specs.items()}
    added = {"source": source.name, "source_sha256": sha256, "columns": dict(columns), "key": key}
    before = table.manifest["provenance"].get("added", [])
    provenance = {"added": [*(before if isinstance(before, list) else [before]), added]}
    return extend(table, found.arrays, specs, path, name, provenance, replace=replace, note=note)


def _check_new(table: Table, columns: Collection[str]) -> None:
    if both := sorted({*columns} & {*table.columns}):
        raise ValueError(f"{table.name} has the columns {', '.join(both)} already; choose other names")
