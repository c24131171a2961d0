"""Trajectories: every query of one search in order, enough to replay and to check it.

A trajectory file is JSON lines. The first line is the header: the environment's id and arguments,
the table's id, the agent and its hyper-parameters, the seed, versions, and the command that
writes the same file again; of an agent that is none of ours also its class, version and a digest of its
code ("source"), and what is wrapped around the environment ("wrappers"). Then comes one line per answered
query, and a last line that says how the search ended; without it the file is of a search that was cut short.
An agent may say which architecture it takes for the best: its choice before a query stands in that query's
line, its last one in the last line, as "incumbent".

Files come from anywhere: `read` checks every field and takes memory in proportion to the file's size, at
most 40 times as much. What a header says is text and numbers; nothing of it is looked up or run here.

What the agent itself cost stands in a file of its own (`nb201env.trajectory_cost`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from operator import itemgetter, le
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.architecture import all_strings, index_of
from nb201env.arrays import FloatArray, IntArray
from nb201env.fields import Fields, parse_json, parse_json_lines, shown
from nb201env.files import open_regular
from nb201env.fronts.objectives import LEAST, MOST
from nb201env.table import Table
from nb201env.tables import open_by_id, open_table

FORMAT, VERSION = "nb201-trajectory", 1
OVER, STOPPED = "search over", "agent stopped"
"""How a search ends: its budget is spent, or its agent asks for no more."""
LONGEST_LINE = 1 << 20
"""The most bytes that a line of a trajectory may have."""


class BadTrajectory(ValueError):
    """A file that is not a trajectory; the message says which line and why."""


@dataclass(frozen=True)
class Trajectory:
    """One search.

    Attributes:
        path: Its file.
        header: The first line.
        queries: One dict per answered query: architecture, run, accuracy, seconds, clock, reward (a list of
            numbers where there are several objectives); and epochs, where the agent asked for those of a
            shorter training; and incumbent, where the agent had made a choice before.
        complete: Whether the search ran to its end.
        stopped: Whether that was the agent's decision, before the budget was spent.
        sha256: Of the file that was read; else empty.
        choice: The architecture that the agent chose at the end; empty if it made no choice.
    """

    path: Path
    header: dict[str, Any]
    queries: list[dict[str, Any]]
    complete: bool
    stopped: bool = False
    sha256: str = ""
    choice: str = ""

    @property
    def index(self) -> IntArray:
        """The lexicographic index of every query's architecture; int64 [queries].

        Raises:
            BadTrajectory: If a query names no architecture.
        """
        return self._index_of([q["architecture"] for q in self.queries])

    def _index_of(self, names: Sequence[str]) -> IntArray:
        known = _indices()
        try:
            # A name that is not known is parsed for the sake of the error's message.
            return np.array([known[a] if a in known else index_of(a) for a in names], dtype=np.int64)
        except ValueError as error:
            raise BadTrajectory(f"{self.path}: {error}") from None

    @property
    def accuracy(self) -> FloatArray:
        """The validation accuracy of every query, a fraction; float64 [queries]."""
        return np.array([q["accuracy"] for q in self.queries], dtype=np.float64)

    @property
    def clock(self) -> FloatArray:
        """Simulated seconds spent after every query; float64 [queries]."""
        return np.array([q["clock"] for q in self.queries], dtype=np.float64)

    def table(self, paths: Sequence[str | os.PathLike[str]] = ()) -> Table:
        """The table that answered this search, found by its id.

        Args:
            paths: Names or paths of tables that may have answered; see `nb201env.tables.open_by_id`.

        Raises:
            FileNotFoundError: If it is not at hand, or one of `paths` is not there.
            DamagedTable: If one of `paths` is no table.
        """
        recorded = self.header["table"]
        for path in paths:
            open_table(path)  # first, for what is wrong with one of these is not this file's fault
        try:
            return open_by_id(recorded["id"], paths)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.path}: searched the table {_plain(recorded['name'])} with id "
                f"{recorded['id'][:12]}: {error}"
            ) from None

    def check_table(self, table: Table) -> None:
        """Check that `table` is the one that answered this search.

        Raises:
            ValueError: If its id is another one.
        """
        recorded = self.header["table"]
        if table.id != recorded["id"]:
            raise ValueError(
                f"{self.path}: searched the table {_plain(recorded['name'])} with id "
                f"{recorded['id'][:12]}; the one here, {table.name}, has id {table.id[:12]}"
            )

    def incumbents(self) -> IntArray:
        """After every query, the index of what the search takes for the best; int64 [queries].

        That is the agent's choice where it made one, and else the one whose accuracy was the best so far.

        Raises:
            BadTrajectory: If the agent chose what it had not asked for.
        """
        accuracy, index = self.accuracy, self.index
        new_best = accuracy > np.concatenate([[-np.inf], np.maximum.accumulate(accuracy)[:-1]])
        best = index[np.maximum.accumulate(np.where(new_best, np.arange(len(accuracy)), 0))]
        told = [*(q.get("incumbent", "") for q in self.queries[1:]), self.choice]
        if not any(told):
            return best
        made = np.flatnonzero(told)
        chosen = self._index_of([told[place] for place in made])
        asked, first = np.unique(index, return_index=True)
        known = dict(zip(asked.tolist(), first.tolist(), strict=True))
        for place, one in zip(made.tolist(), chosen.tolist(), strict=True):
            if known.get(one, len(index)) > place:
                raise BadTrajectory(f"{self.path}: after query {place + 1} it chose what it never asked for")
        best[made] = chosen
        return best


def _plain(text: str) -> str:
    """A text from a file as it can stand in a message: short, and without control characters."""
    return shown(text).strip('"')


@cache
def _indices() -> dict[str, int]:
    return {name: index for index, name in enumerate(all_strings())}


# -- reading ---------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> Trajectory:
    """Read a trajectory file, finished or partial (a last line cut in two is left out).

    Raises:
        BadTrajectory: If it is not one.
        FileNotFoundError: If there is no such file.
        OSError: If it is a folder, a pipe or a device.
    """
    digest = hashlib.sha256()
    blocks = _blocks(path, digest.update)
    first, newline, rest = next(blocks, b"").partition(b"\n")
    header = _header(path, first + newline)
    queries = _Queries(path)
    for block in chain([rest], blocks):
        cut = block.rfind(b"\n", 0, -1) + 1  # where its last line begins, which may end the search
        queries.add(block[:cut])
        queries.add(block[cut:])
    return Trajectory(
        Path(path), header, queries.found, queries.end != "", queries.end == STOPPED, digest.hexdigest(),
        queries.choice,
    )  # fmt: skip


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the first line of a trajectory file alone.

    Raises:
        BadTrajectory: If it is no header.
        FileNotFoundError: If there is no such file.
        OSError: If it is a folder, a pipe or a device.
    """
    first, newline, _ = next(_blocks(path), b"").partition(b"\n")
    return _header(path, first + newline)


_BLOCK = 1 << 16


def _blocks(path: str | os.PathLike[str], see: Callable[[bytes], object] = len) -> Iterator[bytes]:
    """The whole lines of a file, many at a time.

    Args:
        path: The file.
        see: Called with all of its bytes, piece by piece.
    """
    with open_regular(path) as file:
        begun, number = b"", 1
        while piece := file.read(_BLOCK):
            see(piece)
            whole, newline, rest = piece.rpartition(b"\n")
            block, begun = (begun + whole + newline, rest) if newline else (b"", begun + rest)
            # Of a block only the first line can be longer than a piece.
            if block.find(b"\n") >= LONGEST_LINE:
                begun, block = block, b""
            if block:
                yield block
                number += block.count(b"\n")
            if len(begun) >= LONGEST_LINE:
                raise BadTrajectory(
                    f"{path}, line {number}: more than {LONGEST_LINE:,} bytes; too long for a trajectory"
                )


class _Queries:
    """The queries of a file, line by line or, where that is the same, many lines at once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path, self.number = path, 2
        self.found: list[dict[str, Any]] = []
        self.clock, self.end, self.choice = 0.0, "", ""

    def add(self, lines: bytes) -> None:
        """Read whole lines."""
        values = parse_json_lines(lines)
        if values and not self.end and _are_plain(values, self.clock):
            self.found += values
            self.clock = values[-1]["clock"]
            self.number += len(values)
            return
        for line in lines.split(b"\n")[:-1]:
            self._add_line(line)
            self.number += 1

    def _add_line(self, line: bytes) -> None:
        where = f"{self.path}, line {self.number}"
        if self.end:
            raise BadTrajectory(f"{where}: something after the end of the search")
        query = parse_json(line, where, BadTrajectory)
        if not _are_plain([query], self.clock):
            self.end = _end(last := Fields(query, where, BadTrajectory))
            if self.end:
                self.choice = _choice(last)
                return
            _check_query(Fields(query, f"{where}: not a query", BadTrajectory), self.clock)
        self.clock = query["clock"]
        self.found.append(query)


def _header(path: str | os.PathLike[str], line: bytes) -> dict[str, Any]:
    """A first line, checked; what may be missing is there."""
    if not line:
        raise BadTrajectory(f"{path}: not a trajectory file (its first line is no header)")
    head = Fields.parse(line, f"{path}, line 1", BadTrajectory)
    if head.value.get("format") != FORMAT:
        raise BadTrajectory(f"{path}: not a trajectory file (its first line is no header)")
    if (version := head.whole("version", least=0)) != VERSION:
        raise BadTrajectory(f"{path}: version {shown(version)}; this program reads {VERSION}")
    head.text("agent")
    head.whole("seed", least=0)
    env, table, versions = head.object("env"), head.object("table"), head.object("versions", {})
    source = head.object("source", {})
    head.texts("wrappers", [])
    env.text("id")
    env.object("kwargs")
    table.text("name")
    if not re.fullmatch("[0-9a-f]{64}", table.text("id")):
        raise table.refuse("id", f"should be 64 hexadecimal digits, not {shown(table.text('id'))}")
    if not all(isinstance(version, str) for version in versions.value.values()):
        raise head.refuse("versions", "should be texts by library")
    if not all(isinstance(text, str) for text in source.value.values()):
        raise head.refuse("source", "should be texts: of the agent's class, distribution, version and code")
    try:
        json.dumps(head.value, allow_nan=False)
    except ValueError:
        raise BadTrajectory(f"{path}, line 1: a number that is too large for any computer") from None
    return head.value | {
        "source": source.value,
        "hyperparameters": head.object("hyperparameters", {}).value,
        "versions": versions.value,
        "command": head.text("command", ""),
    }


def _end(fields: Fields) -> str:
    """How the search ended, if this line is the last; else an empty text."""
    if "end" not in fields.value:
        return ""
    if (end := fields.text("end")) not in (OVER, STOPPED):
        raise fields.refuse("end", f"should be {OVER!r} or {STOPPED!r}")
    return end


def _choice(fields: Fields) -> str:
    """What the agent chose, if this line says so; else an empty text."""
    return _architecture(fields, "incumbent") if "incumbent" in fields.value else ""


def _architecture(fields: Fields, key: str) -> str:
    """An official string."""
    name = fields.text(key)
    try:
        index_of(name)
    except ValueError as error:
        why = str(error) if len(name) < 200 else f"{shown(name)} is no official string"
        raise fields.refuse(key, why) from None
    return name


def _check_query(query: Fields, clock: float) -> None:
    """Refuse what is no answered query; `clock` is that of the query before."""
    _architecture(query, "architecture")
    _choice(query)
    query.text("run")
    query.number("accuracy", least=0, most=1)
    query.number("seconds", least=0)
    query.number("clock", least=clock)
    rewards = query.value.get("reward", 0.0)
    if isinstance(rewards, list):  # of several objectives
        query.numbers("reward", least=LEAST, most=MOST)
    else:
        query.number("reward", default=0.0)
    query.whole("epochs", least=1, default=1)


_MOST = sys.float_info.max
_ALWAYS = itemgetter("architecture", "run", "accuracy", "seconds", "clock")


def _are_plain(queries: Sequence[Any], clock: float) -> bool:
    """Whether `_check_query` takes them all, at a tenth of its price; of some that it takes it says no."""
    try:
        architectures, runs, accuracies, seconds, clocks = zip(*map(_ALWAYS, queries), strict=True)
        rewards = [query.get("reward", 0.0) for query in queries]
        if set(map(type, rewards)) == {list}:  # of several objectives
            sizes = set(map(len, rewards))
            if not LEAST <= min(sizes) <= max(sizes) <= MOST:
                return False
            rewards = [*chain.from_iterable(rewards)]
        epochs = [query.get("epochs", 1) for query in queries]
        chosen = {query["incumbent"] for query in queries if "incumbent" in query}
        return (
            _indices().keys() >= {*architectures, *chosen}
            and set(map(type, runs)) == {str}
            and set(map(type, chain(accuracies, seconds, clocks, rewards))) == {float}
            and set(map(type, epochs)) == {int}
            and 0 <= min(accuracies) <= max(accuracies) <= 1
            and 0 <= min(seconds) <= max(seconds) <= _MOST
            and -_MOST <= min(rewards) <= max(rewards) <= _MOST
            and min(epochs) >= 1
            and all(map(le, (clock, *clocks), (*clocks, _MOST)))
        )
    except (KeyError, TypeError, AttributeError):
        return False
