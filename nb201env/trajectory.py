"""Trajectories: every query of one search in order, enough to replay and to check it.

A trajectory file is JSON lines. The first line is the header: the environment's specification,
the table's id, the agent and its hyper-parameters, the seed, versions, and the command that
writes the same file again. Then comes one line per answered query, and a last line that says the
search ended; without it the file is of a search that was cut short.

What the agent itself cost, in measured seconds, differs from run to run. So it stands in a file
of its own, ``<path>.cost.json``, and a trajectory of the same seed has the same bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nb201env.architecture import all_strings, index_of
from nb201env.arrays import FloatArray, IntArray
from nb201env.table import Table

FORMAT, VERSION = "nb201-trajectory", 1


class BadTrajectory(ValueError):
    """A file that is not a trajectory; the message says which line and why."""


@dataclass(frozen=True)
class Trajectory:
    """One search.

    Attributes:
        path: Its file.
        header: The first line.
        queries: One dict per answered query: architecture, run, accuracy, seconds, clock, reward;
            and epochs, where the agent asked for those of a shorter training.
        complete: Whether the search ran to its end.
    """

    path: Path
    header: dict[str, Any]
    queries: list[dict[str, Any]]
    complete: bool

    @property
    def index(self) -> IntArray:
        """The lexicographic index of every query's architecture; int64 [queries].

        Raises:
            BadTrajectory: If a query names no architecture.
        """
        known = _indices()
        asked = [q["architecture"] for q in self.queries]
        try:
            # A name that is not known is parsed for the sake of the error's message.
            return np.array([known[a] if a in known else index_of(a) for a in asked], dtype=np.int64)
        except ValueError as error:
            raise BadTrajectory(f"{self.path}: {error}") from None

    @property
    def accuracy(self) -> FloatArray:
        """The validation accuracy of every query, a fraction; float64 [queries]."""
        return np.array([q["accuracy"] for q in self.queries])

    @property
    def clock(self) -> FloatArray:
        """Simulated seconds spent after every query; float64 [queries]."""
        return np.array([q["clock"] for q in self.queries])

    def check_table(self, table: Table) -> None:
        """Check that `table` is the one that answered this search.

        Raises:
            ValueError: If its id is another one.
        """
        recorded = self.header["table"]
        if table.id != recorded["id"]:
            raise ValueError(
                f"{self.path}: searched the table {recorded['name']} with id {recorded['id'][:12]}; the one "
                f"here has id {table.id[:12]}"
            )

    def incumbents(self) -> IntArray:
        """After every query, the index of the architecture whose accuracy was the best so far."""
        accuracy = self.accuracy
        new_best = accuracy > np.concatenate([[-np.inf], np.maximum.accumulate(accuracy)[:-1]])
        latest = np.maximum.accumulate(np.where(new_best, np.arange(len(accuracy)), 0))
        return self.index[latest]


@cache
def _indices() -> dict[str, int]:
    return {name: index for index, name in enumerate(all_strings())}


class Cost(NamedTuple):
    """What one search cost on the machine that ran it, the environment's lookups included.

    Attributes:
        wall_seconds: By the clock on the wall.
        cpu_seconds: Of the processor, all threads together; other programs disturb it less.
    """

    wall_seconds: float
    cpu_seconds: float


def write_cost(path: str | os.PathLike[str], cost: Cost) -> None:
    """Write a search's cost beside its trajectory `path`."""
    rounded = {name: round(seconds, 3) for name, seconds in cost._asdict().items()}
    _cost_file(path).write_text(json.dumps(rounded) + "\n", encoding="utf-8")


def read_cost(path: str | os.PathLike[str]) -> Cost:
    """The cost of the search whose trajectory is `path`.

    Raises:
        FileNotFoundError: If it was not recorded.
    """
    return Cost(**json.loads(_cost_file(path).read_text(encoding="utf-8")))


def _cost_file(path: str | os.PathLike[str]) -> Path:
    return Path(f"{os.fspath(path)}.cost.json")


class Writer:
    """Writes a trajectory; the file appears under its name when the search has ended.

    Until then the lines are in ``<path>.partial``, where a killed search leaves them.
    """

    def __init__(self, path: str | os.PathLike[str], header: dict[str, Any]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._partial = self.path.with_name(self.path.name + ".partial")
        # Line by line to the system, so that a kill loses nothing that was answered.
        self._file = open(self._partial, "w", encoding="utf-8", buffering=1)  # noqa: SIM115
        self._line({"format": FORMAT, "version": VERSION} | header)

    def query(self, query: dict[str, Any]) -> None:
        """Write one answered query."""
        self._line(query)

    def close(self, *, complete: bool) -> None:
        """Finish: a complete file gets its name, an incomplete one stays partial."""
        if complete:
            self._line({"end": "search over"})
        self._file.close()
        if complete:
            os.replace(self._partial, self.path)

    def _line(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value) + "\n")


def read(path: str | os.PathLike[str]) -> Trajectory:
    """Read a trajectory file, finished or partial (a last line cut in two is left out).

    Raises:
        BadTrajectory: If it is not one.
        FileNotFoundError: If there is no such file.
    """
    lines = _lines(path)
    complete = "end" in lines[-1]
    queries = lines[1:-1] if complete else lines[1:]
    for number, query in enumerate(queries, start=2):
        if not {"architecture", "run", "accuracy", "seconds", "clock"} <= set(query):
            raise BadTrajectory(f"{path}, line {number}: not a query")
    return Trajectory(Path(path), lines[0], queries, complete)


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the first line of a trajectory file alone.

    Raises:
        BadTrajectory: If it is no header.
        FileNotFoundError: If there is no such file.
    """
    return _lines(path, most=1)[0]


def _lines(path: str | os.PathLike[str], most: int | None = None) -> list[dict[str, Any]]:
    """The header, checked, and the lines after it; `most` lines if given."""
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = list(islice(_parse(path, file), most))
    if not lines or lines[0].get("format") != FORMAT:
        raise BadTrajectory(f"{path}: not a trajectory file (its first line is no header)")
    if lines[0].get("version") != VERSION:
        raise BadTrajectory(f"{path}: version {lines[0].get('version')}; this program reads {VERSION}")
    return lines


def _parse(path: str | os.PathLike[str], lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.endswith("\n"):
            return
        try:
            value = json.loads(line)
        except ValueError:
            raise BadTrajectory(f"{path}, line {number}: not JSON") from None
        if not isinstance(value, dict):
            raise BadTrajectory(f"{path}, line {number}: not a JSON object")
        yield value
