"""From tables back to other programs: the NATS layout, CSV, Parquet.

The NATS-layout export is what ``nats_bench.create(folder, "tss", fast_mode=True)`` opens; it
answers the same numbers from it. (`Table.to_pandas` is the export to pandas.)
"""

from __future__ import annotations

import bz2
import csv
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.architecture import Architecture, official_strings
from nb201env.compat.results import ArchResults
from nb201env.extras import require
from nb201env.files import appearing
from nb201env.official import TASKS
from nb201env.space import SIZE, official_order
from nb201env.table import NotRecorded, Table
from nb201env.tables import open_table
from nb201env.workers import local

_NEEDED = ("train_accuracy", "train_loss")


def to_nats(
    tables: Iterable[Table],
    folder: str | os.PathLike[str],
    *,
    indices: Sequence[int] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write tables as a NATS-layout folder: a meta file and one file per architecture.

    Args:
        tables: One table per official task and schedule (12 or 200 epochs).
        folder: Where to write; made if missing.
        indices: Official indices to write; None for all that have results.
        workers: Processes to use; None for all cores.
        progress: Called with the number of architectures done, and how many there are.

    Returns:
        How many architectures were written.

    Raises:
        NotRecorded: If a table lacks what the layout cannot do without.
        ValueError: If a table is of no official task or schedule, or two are of the same.
    """
    folder = Path(folder)
    by_schedule: dict[str, dict[str, Path]] = {}
    for table in tables:
        task = _check(table)
        if task in by_schedule.setdefault(str(table.epochs), {}):
            raise ValueError(f"two tables of {task} with {table.epochs} epochs; give one of them")
        by_schedule[str(table.epochs)][task] = table.container.path
    folder.mkdir(parents=True, exist_ok=True)
    meta = {
        "meta_archs": official_strings(),
        "total_archs": SIZE,
        "arch2infos": None,
        "evaluated_indexes": set(),
    }
    _write_pickle(folder / "meta.pickle.pbz2", meta)
    todo = [int(i) for i in (range(SIZE) if indices is None else indices)]
    chunks = [todo[start : start + 64] for start in range(0, len(todo), 64)]
    written = done = 0
    count = min(workers or os.cpu_count() or 1, max(1, len(chunks)))
    for ended in local(partial(_write_chunk, by_schedule, folder), chunks, count):
        written, done = written + ended.result(), done + len(ended.job)
        if progress:
            progress(done, len(todo))
    return written


def _check(table: Table) -> str:
    task = str(table.manifest["task"].get("name"))
    if task not in TASKS or table.epochs not in (12, 200):
        raise ValueError(
            f"{table.name} is of no official task and schedule, so the layout has no place for it"
        )
    missing = [column for column in _NEEDED if column not in table.columns]
    if missing:
        raise NotRecorded(f"{table.name} does not record {', '.join(missing)}, which the NATS layout needs")
    return task


def _write_chunk(paths: dict[str, dict[str, Path]], folder: Path, indices: list[int]) -> int:
    tables = {hp: {task: open_table(path) for task, path in held.items()} for hp, held in paths.items()}
    written = 0
    for index in indices:
        values = nats_record(index, tables)
        if values:
            _write_pickle(folder / f"{index:06d}.pickle.pbz2", values)
            written += 1
    return written


def nats_record(index: int, tables: Mapping[str, dict[str, Table]]) -> OrderedDict[str, Any]:
    """What the official file of one architecture holds, by schedule ("12", "200")."""
    values: OrderedDict[str, Any] = OrderedDict()
    for hp in sorted(tables):
        results = ArchResults(Architecture.from_official_index(index), tables[hp])
        if results.all_results:
            values[hp] = results.state_dict()
    return values


def _write_pickle(path: Path, values: Any) -> None:
    with appearing(path) as new:
        new.write_bytes(bz2.compress(pickle.dumps(values, protocol=4)))


def to_csv(table: Table, path: str | os.PathLike[str], *, epochs: int | None = None) -> None:
    """Write a table's numbers, one row per architecture, in official index order; fractions and seconds.

    Args:
        table: The table.
        path: The file.
        epochs: Epochs completed; None for the last recorded.
    """
    columns = flat_columns(table, epochs)
    with appearing(path) as new, open(new, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        lists = [np.asarray(values).tolist() for values in columns.values()]
        for row in zip(*lists, strict=True):
            writer.writerow(["" if cell != cell else cell for cell in row])


def to_parquet(table: Table, path: str | os.PathLike[str], *, epochs: int | None = None) -> None:
    """The same as a Parquet file; missing runs are nulls, the manifest is in the metadata.

    Raises:
        MissingExtra: If pyarrow is not installed.
    """
    pyarrow = require("pyarrow", "parquet")
    parquet = require("pyarrow.parquet", "parquet")
    columns = {
        name: pyarrow.array(values, from_pandas=True) for name, values in flat_columns(table, epochs).items()
    }
    content = pyarrow.table(columns).replace_schema_metadata({"nb201_table_id": table.id, "name": table.name})
    with appearing(path) as new:
        parquet.write_table(content, new)


def flat_columns(table: Table, epochs: int | None = None) -> dict[str, Any]:
    """Names to one value per architecture, in official index order.

    Names are ``<column>[@<epochs>][#<seed>]``, as `nb201env.sources.rows` reads them back.
    """
    order = official_order()
    flat: dict[str, Any] = {"architecture": official_strings(), "official_index": np.arange(SIZE)}
    for column in table.columns:
        recorded = table.recorded_epochs(column)
        if epochs is not None and recorded and epochs not in recorded:
            continue
        at = (epochs or recorded[-1]) if recorded else None
        values = table.values(column, epochs=at)[order]
        name = column if at is None else f"{column}@{at}"
        if values.ndim == 1:
            flat[name] = values
        else:
            flat |= {f"{name}#{seed}": values[:, run] for run, seed in enumerate(table.seeds)}
    return flat
