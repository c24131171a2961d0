"""From tables back to other programs: the NATS layout, CSV, Parquet.

The NATS-layout export is what ``nats_bench.create(folder, "tss", fast_mode=True)`` opens; it
answers the same numbers from it. (`Table.to_pandas` is the export to pandas.)
"""

from __future__ import annotations

import bz2
import csv
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.architecture import official_strings
from nb201env.compat.lookup import official_index
from nb201env.extras import require
from nb201env.files import alone, appearing, read_limited
from nb201env.sources.layout import check, nats_record
from nb201env.space import SIZE, official_order
from nb201env.table import NotRecorded, Table, ranges
from nb201env.tables import open_table
from nb201env.workers import local


def to_nats(
    tables: Iterable[Table],
    folder: str | os.PathLike[str],
    *,
    indices: Sequence[int] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write tables as a NATS-layout folder: one file per architecture, and at last the meta file.

    ``nats_bench`` opens no folder without its meta file, so one that is not whole is not taken for whole.
    An export that was stopped goes on when it is started again with the same tables.

    The layout holds the seconds of every epoch. Where a table holds totals after some epochs, each epoch
    between two of them gets an equal share, so that the totals come out; a validation pass that was timed
    after the last epoch alone stands for all, and what was not timed at all is NaN, as is what one run of an
    architecture lacks and others have.

    Args:
        tables: One table per official task and schedule (12 or 200 epochs).
        folder: Where to write: a new or empty folder.
        indices: Official indices to write; None for all that have results.
        workers: Processes to use; None for all cores.
        progress: Called with the number of architectures done, and how many there are.

    Returns:
        How many architectures were written.

    Raises:
        NotRecorded: If a table lacks what the layout cannot do without.
        ValueError: If a table is of no official task or schedule, two are of the same, or the layout has no
            place for a column.
        FileExistsError: If there is something else in the folder.
        AtWork: If another export writes there.
    """
    folder, opened = Path(folder), list(tables)
    by_schedule: dict[str, dict[str, Path]] = {}
    for table in opened:
        task = check(table)
        if task in by_schedule.setdefault(str(table.epochs), {}):
            raise ValueError(f"two tables of {task} with {table.epochs} epochs; give one of them")
        by_schedule[str(table.epochs)][task] = table.container.path
    if not opened:
        raise ValueError("an export needs at least one table")
    todo = range(SIZE) if indices is None else [official_index(index) for index in indices]
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / ".lock", f"exporting into {folder}"), _unfinished(folder, opened):
        written = _write_all(by_schedule, folder, todo, workers, progress)
        _write_pickle(folder / META, {
            "meta_archs": official_strings(), "total_archs": SIZE, "arch2infos": None,
            "evaluated_indexes": set(),
        })  # fmt: skip
    return written


META = "meta.pickle.pbz2"


@contextmanager
def _unfinished(folder: Path, tables: Iterable[Table]) -> Iterator[None]:
    """Mark a folder as one that these tables are being exported to, until the block has ended well."""
    marker = folder / ".unfinished-export"
    mine = " ".join(sorted(table.id for table in tables))
    held = sorted(path.name for path in folder.iterdir() if path.name not in (".lock", marker.name))
    if held and not (marker.is_file() and read_limited(marker, 1 << 16).decode(errors="replace") == mine):
        other = ", an unfinished export of other tables" if marker.exists() else ""
        raise FileExistsError(
            f"{folder} is not empty (it holds {held[0]}{other}); export into a folder of its own"
        )
    with appearing(marker) as new:
        new.write_text(mine)
    yield
    for left in folder.glob(".*.partial"):  # of workers that were killed
        left.unlink()
    marker.unlink()


def _write_all(
    by_schedule: dict[str, dict[str, Path]], folder: Path, todo: Sequence[int], workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> int:  # fmt: skip
    written = done = 0
    chunks = [list(todo[start : start + 64]) for start in range(0, len(todo), 64)]
    count = min(workers or os.cpu_count() or 1, max(1, len(chunks)))
    jobs: Any = local(partial(_write_chunk, by_schedule, folder), chunks, count)
    with closing(jobs):  # at an error no further job begins
        for ended in jobs:
            written, done = written + ended.result(), done + len(ended.job)
            if progress:
                progress(done, len(todo))
    if not written:
        raise NotRecorded("the tables hold no run of any of these architectures")
    return written


def _write_chunk(paths: dict[str, dict[str, Path]], folder: Path, indices: list[int]) -> int:
    tables = {hp: {task: open_table(path) for task, path in held.items()} for hp, held in paths.items()}
    written = 0
    for index in indices:
        file = folder / f"{index:06d}.pickle.pbz2"
        if file.exists():  # whole, as all that appears
            written += 1
        elif values := nats_record(index, tables):
            _write_pickle(file, values)
            written += 1
    return written


def _write_pickle(path: Path, values: Any) -> None:
    with appearing(path) as new:
        new.write_bytes(bz2.compress(pickle.dumps(values, protocol=4)))


# -- rows ------------------------------------------------------------------------------------


def to_csv(table: Table, path: str | os.PathLike[str], *, epochs: int | None = None) -> None:
    """Write a table's numbers, one row per architecture, in official index order; fractions and seconds.

    Args:
        table: The table.
        path: The file.
        epochs: Epochs completed; columns that were not recorded then are left out. None for the last
            recorded.

    Raises:
        NotRecorded: If no column was recorded then.
        FileNotFoundError: If there is no such folder.
    """
    columns = flat_columns(table, epochs)
    with _file(path) as new, open(new, "w", newline="", encoding="utf-8") as file:
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
    with _file(path) as new:
        parquet.write_table(content, new)


def flat_columns(table: Table, epochs: int | None = None) -> dict[str, Any]:
    """Names to one value per architecture, in official index order.

    Names are ``<column>[@<epochs>][#<seed>]``, as `nb201env.sources.rows` reads them back; the columns
    ``architecture`` and ``official_index`` say which architecture it is.

    Raises:
        NotRecorded: If `epochs` are given, and no column was recorded then.
    """
    recorded_at = {column: table.recorded_epochs(column) for column in table.columns}
    if epochs is not None and not any(epochs in held for held in recorded_at.values()):
        held = "; ".join(f"{column}: {ranges(held)}" for column, held in recorded_at.items() if held)
        raise NotRecorded(f"{table.name} records nothing at epochs={epochs} ({held or 'no column by epoch'})")
    order = official_order()
    flat: dict[str, Any] = {"architecture": official_strings(), "official_index": np.arange(SIZE)}
    for column, recorded in recorded_at.items():
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


def _file(path: str | os.PathLike[str]) -> AbstractContextManager[Path]:
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {Path(path).parent} to write {Path(path).name} into")
    return appearing(path)
