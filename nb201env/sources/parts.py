"""Parts: the results of some architectures, between a foreign file and our tables.

An import works through its source in parts of 125 architectures. Each finished part is one file,
written atomically, so that an interrupted import goes on where it stopped. Part files live in a
hidden folder beside the tables, are checked by hash when they are read, and are deleted at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.arrays import Array
from nb201env.container import Container, DamagedTable, write
from nb201env.sources.records import Record, Run

PART_SIZE = 125
Epochs = tuple[int, ...]


class PartWriter:
    """Collects records and writes a part file for every `PART_SIZE` of them.

    Attributes:
        count: How many records were added.
        paths: The files that were written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.paths: list[Path] = []
        self._records: list[Record] = []

    def add(self, record: Record) -> None:
        """Take one architecture's results."""
        self.count += 1
        self._records.append(record)
        if len(self._records) == PART_SIZE:
            self.close()

    def close(self) -> None:
        """Write what is left."""
        if self._records:
            path = part_path(self.folder, len(self.paths))
            write_part(path, self._records)
            self.paths.append(path)
            self._records = []


def part_path(folder: Path, number: int) -> Path:
    """The file of a part."""
    return folder / f"part-{number:05d}.safetensors"


def is_done(path: Path) -> bool:
    """Whether a part file exists and is whole."""
    try:
        part = Container(path)
        return all(not part.damage(name) for name in part.manifest["arrays"])
    except (DamagedTable, OSError, KeyError, TypeError):
        return False


def sources_of(path: Path) -> list[str]:
    """The sha256 of the files that a part was made from."""
    return [str(line) for line in Container(path).manifest["sha256"]]


def write_part(path: Path, records: Sequence[Record], sha256: Sequence[str] = ()) -> None:
    """Write some architectures' results.

    The arrays are ``<task>-<epochs>/<column>`` [architectures, runs] or [architectures, runs,
    epochs], NaN where a run has no such number; seconds lose the epoch axis where they are the same
    for all epochs of the schedule. ``held`` says which runs there are.

    Args:
        path: Where to write.
        records: The results.
        sha256: Of the file of each architecture, where each has its own.
    """
    arrays: dict[str, Array] = {"index": np.array([record.index for record in records], dtype=np.int32)}
    tables: dict[str, Any] = {}
    for task, schedule in sorted({key for record in records for key in record.runs}):
        runs = [record.runs.get((task, schedule), {}) for record in records]
        name = f"{task}-{schedule}"
        seeds = sorted({seed for held in runs for seed in held})
        arrays[f"{name}/held"] = np.array([[seed in held for seed in seeds] for held in runs], dtype=np.uint8)
        epochs = _union_of_epochs(run for held in runs for run in held.values())
        for column, recorded in epochs.items():
            stacked = _stack(runs, seeds, column, recorded)
            every = column.endswith("_seconds") and len(recorded) == schedule
            arrays[f"{name}/{column}"] = _one_epoch(stacked) if every else stacked
        tables[name] = {
            "task": task,
            "schedule": schedule,
            "seeds": seeds,
            "columns": {column: list(recorded) for column, recorded in epochs.items()},
        }
    write(path, {"tables": tables, "sha256": list(sha256)}, arrays)


def _union_of_epochs(runs: Iterable[Run]) -> dict[str, Epochs]:
    epochs: dict[str, Epochs] = {}
    for run in runs:
        for column in run.series:
            recorded = run.epochs.get(column, ())
            if epochs.setdefault(column, recorded) != recorded:
                epochs[column] = tuple(sorted({*epochs[column], *recorded}))
    return epochs


def _stack(runs: list[dict[int, Run]], seeds: list[int], column: str, epochs: Epochs) -> Array:
    shape = (len(runs), len(seeds), len(epochs)) if epochs else (len(runs), len(seeds))
    array = np.full(shape, np.nan)
    for row, held in enumerate(runs):
        for axis, seed in enumerate(seeds):
            if seed in held and column in held[seed].series:
                run = held[seed]
                recorded = run.epochs.get(column, ())
                if recorded == epochs:
                    array[row, axis] = run.series[column]
                else:
                    array[row, axis, np.searchsorted(epochs, recorded)] = run.series[column]
    return array


def _one_epoch(array: Array) -> Array:
    """Without the epoch axis if nothing changes along it."""
    if array.ndim < 3:
        return array
    first = array[:, :, :1]
    return first[:, :, 0] if bool(((array == first) | (np.isnan(array) & np.isnan(first))).all()) else array


def part_paths(folder: Path) -> list[Path]:
    """All part files of a folder, in order."""
    return sorted(folder.glob("part-*.safetensors"))
