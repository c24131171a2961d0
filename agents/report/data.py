"""What a report is computed from: trajectories, and the tables they name by id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.agents.registry import AGENTS, display_name
from nb201env.agents.searches.recorder import replay
from nb201env.agents.searches.trajectory import BadTrajectory, Trajectory, read
from nb201env.arrays import BoolArray, FloatArray, IntArray
from nb201env.envs.registration import SURROGATES, TABLES
from nb201env.table import Table
from nb201env.tables import open_table

BUDGETS = ("budget_queries", "budget_seconds")


@dataclass(frozen=True)
class Landscape:
    """A table as a report sees it.

    Attributes:
        table: The table.
        valid: Mean validation accuracy over runs at the schedule's end, a fraction; float64 [15625].
        test: Likewise test accuracy; None where the table does not record it.
        optimum: The best of `valid`.
    """

    table: Table
    valid: FloatArray
    test: FloatArray | None
    optimum: float

    @classmethod
    def of(cls, table: Table) -> Landscape:
        """Read what is needed of a table."""
        valid = table.accuracy(split="valid", epochs=table.epochs, run="mean")
        recorded = "test_accuracy" in table.columns and table.epochs in table.recorded_epochs("test_accuracy")
        test = table.accuracy(split="test", epochs=table.epochs, run="mean") if recorded else None
        return cls(table, valid, test, float(np.nanmax(valid)))

    @cached_property
    def rank(self) -> IntArray:
        """Every architecture's place by `valid`, 1 the best, equals alike; int64 [15625]."""
        held = np.sort(self.valid[~np.isnan(self.valid)])
        return np.asarray(len(held) - np.searchsorted(held, self.valid, side="right") + 1)

    @property
    def typical(self) -> float:
        """The median architecture's `valid`: where the scale of `Finished.gap_left` begins."""
        return float(np.nanmedian(self.valid))


@dataclass(frozen=True)
class Finished:
    """One finished search.

    Attributes:
        path: Its file.
        header: The file's first line.
        landscape: The table it searched.
        index: The architecture of every query; int64 [queries].
        clock: Simulated seconds spent after every query; float64 [queries].
        incumbents: The best so far by what the search saw, after every query; int64 [queries].
        whole: Whether a query was of the whole training, and not of its first epochs; bool [queries].
    """

    path: Path
    header: dict[str, Any]
    landscape: Landscape
    index: IntArray
    clock: FloatArray
    incumbents: IntArray
    whole: BoolArray

    @property
    def seed(self) -> int:
        """The search's seed."""
        return int(self.header["seed"])

    @property
    def queries(self) -> int:
        """How many it asked."""
        return len(self.index)

    @property
    def chosen(self) -> int:
        """The final incumbent's index."""
        return int(self.incumbents[-1])

    @cached_property
    def asked_regret(self) -> FloatArray:
        """The optimum minus the mean accuracy of every architecture asked for; float64 [queries].

        Infinite where the query was of a part of the training.
        """
        return np.where(self.whole, self.landscape.optimum - self.landscape.valid[self.index], np.inf)

    @cached_property
    def regret(self) -> FloatArray:
        """The optimum minus the incumbent's mean accuracy, after every query; float64 [queries]."""
        return self.landscape.optimum - self.landscape.valid[self.incumbents]

    @property
    def gap_left(self) -> float:
        """The final regret as a share of the median architecture's: comparable between tables."""
        return float(self.regret[-1] / (self.landscape.optimum - self.landscape.typical))


@dataclass(frozen=True)
class Entry:
    """One agent with its hyper-parameters in one setting.

    Attributes:
        agent: Its name in the trajectories.
        label: Its name in the report; with hyper-parameters where one agent appears with several.
        searches: By rising seed.
    """

    agent: str
    label: str
    searches: tuple[Finished, ...]

    @property
    def seeds(self) -> list[int]:
        """The seeds of its searches."""
        return [search.seed for search in self.searches]

    def finals(self, of: str = "regret") -> FloatArray:
        """Per search, float64 [searches]: "regret" (a fraction), or "gap_left"."""
        if of == "gap_left":
            return np.array([search.gap_left for search in self.searches])
        return np.array([search.regret[-1] for search in self.searches])


@dataclass(frozen=True)
class Setting:
    """One environment with one budget, and all who searched in it.

    Attributes:
        name: The environment's id, with what distinguishes it where one id appears twice.
        env: The environment's specification.
        budget: {"budget_queries": n} or {"budget_seconds": s}, or both.
        landscape: The table.
        entries: In the order of `nb201env.agents.registry.AGENTS`.
    """

    name: str
    env: dict[str, Any]
    budget: dict[str, Any]
    landscape: Landscape
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Bench:
    """All that a report is about.

    Attributes:
        settings: One per environment.
        unfinished: Files of searches that were cut short; they are not part of any number.
        digest: sha256 over the sha256 of every trajectory file, sorted by agent and seed.
        replayed: Whether every trajectory was replayed against its table without a difference.
    """

    settings: tuple[Setting, ...]
    unfinished: tuple[str, ...]
    digest: str
    replayed: bool

    @property
    def searches(self) -> list[Finished]:
        """All searches."""
        return [s for setting in self.settings for entry in setting.entries for s in entry.searches]

    @property
    def labels(self) -> list[str]:
        """Every entry's label once."""
        return list(dict.fromkeys(e.label for setting in self.settings for e in setting.entries))


def load(folders: Sequence[Path], *, check: bool = False) -> Bench:
    """Read all trajectories in folders and below.

    Args:
        folders: Where they are.
        check: Also replay every trajectory against its table.

    Raises:
        ValueError: If there is none, one is damaged, was answered by a table with another id, asked
            nothing, is there twice, or was searched with another budget than the others.
        FileNotFoundError: If there is no such folder, or no table of that name.
    """
    files = [file for folder in folders for file in _files(folder, "*.jsonl")]
    if not files:
        raise ValueError(f"no finished search (*.jsonl) in {', '.join(map(str, folders))}")
    partial = [p.relative_to(f).as_posix() for f in folders for p in _files(f, "*.jsonl.partial")]
    return load_files(files, unfinished=partial, check=check)


def load_files(files: Sequence[Path], *, unfinished: Sequence[str] = (), check: bool = False) -> Bench:
    """Read these trajectories; see `load`.

    Args:
        files: Of finished searches.
        unfinished: Names of those that were cut short.
        check: Also replay every trajectory against its table.
    """
    landscapes: dict[str, Landscape] = {}
    searches = [_read(path, landscapes, check) for path in files]
    hashes = sorted((search.header["agent"], search.seed, _sha256(search.path)) for search in searches)
    digest = hashlib.sha256("\n".join(sha for _, _, sha in hashes).encode()).hexdigest()
    return Bench(tuple(_settings(searches)), tuple(sorted(unfinished)), digest, check)


def _files(folder: Path, pattern: str) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; name the --out of `nb201 bench` or `nb201 search`")
    return sorted(folder.rglob(pattern), key=lambda path: path.relative_to(folder).as_posix())


def _read(path: Path, landscapes: dict[str, Landscape], check: bool) -> Finished:
    trajectory = read(path)
    if not trajectory.complete:
        raise BadTrajectory(f"{path}: cut short; run its search again: {trajectory.header.get('command')}")
    if not trajectory.queries:
        raise BadTrajectory(f"{path}: this search asked nothing: its budget does not cover one query")
    landscape = _landscape(path, trajectory, landscapes)
    try:
        index, incumbents = trajectory.index, trajectory.incumbents()
    except ValueError as error:
        raise BadTrajectory(f"{path}: {error}") from None
    if check and (differences := replay(trajectory)):
        raise BadTrajectory(f"{path}: does not replay: {differences[0]}")
    whole = np.array(["epochs" not in query for query in trajectory.queries])
    return Finished(path, trajectory.header, landscape, index, trajectory.clock, incumbents, whole)


def _landscape(path: Path, trajectory: Trajectory, landscapes: dict[str, Landscape]) -> Landscape:
    recorded = trajectory.header["table"]
    if recorded["id"] not in landscapes:
        table = open_table(trajectory.header["env"]["kwargs"]["table"])
        if table.id != recorded["id"]:
            raise ValueError(
                f"{path}: searched the table {recorded['name']} with id {recorded['id'][:12]}; the one "
                f"here has id {table.id[:12]}"
            )
        landscapes[recorded["id"]] = Landscape.of(table)
    return landscapes[recorded["id"]]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- settings and entries --------------------------------------------------------------------


def _settings(searches: Sequence[Finished]) -> list[Setting]:
    groups: dict[str, list[Finished]] = {}
    for search in searches:
        env = search.header["env"]
        kwargs = {key: value for key, value in env["kwargs"].items() if key not in BUDGETS}
        groups.setdefault(_key([env["id"], kwargs, search.header["table"]["id"]]), []).append(search)
    labels = _labels(searches)
    ids = [group[0].header["env"]["id"] for group in groups.values()]
    made = []
    for group in groups.values():
        first = group[0]
        env = first.header["env"]
        name = env["id"] if ids.count(env["id"]) == 1 else f"{env['id']} ({_differing(env['kwargs'])})"
        landscape = first.landscape
        made.append(Setting(name, env, _one_budget(group), landscape, tuple(_entries(group, labels))))
    return sorted(made, key=lambda setting: (_place(setting.env["id"], [*TABLES, *SURROGATES]), setting.name))


def _one_budget(group: Sequence[Finished]) -> dict[str, Any]:
    budgets: dict[str, Finished] = {}
    for search in group:
        budgets.setdefault(_key(_budget(search)), search)
    if len(budgets) > 1:
        one, other = list(budgets.values())[:2]
        raise ValueError(
            f"{one.path} and {other.path} had different budgets, {_key(_budget(one))} and "
            f"{_key(_budget(other))}: they can't be compared; report on them separately"
        )
    return _budget(group[0])


def _budget(search: Finished) -> dict[str, Any]:
    kwargs = search.header["env"]["kwargs"]
    return {key: kwargs[key] for key in BUDGETS if kwargs.get(key) is not None}


def _entries(group: Sequence[Finished], labels: Mapping[str, str]) -> list[Entry]:
    by_label: dict[str, dict[int, Finished]] = {}
    for search in group:
        mine = by_label.setdefault(labels[_agent_key(search)], {})
        if search.seed in mine:
            raise ValueError(f"{mine[search.seed].path} and {search.path} are the same search; keep one")
        mine[search.seed] = search
    found = [
        Entry(next(iter(mine.values())).header["agent"], label, tuple(mine[seed] for seed in sorted(mine)))
        for label, mine in by_label.items()
    ]
    return sorted(found, key=lambda entry: (_place(entry.agent, list(AGENTS)), entry.agent, entry.label))


def _labels(searches: Sequence[Finished]) -> dict[str, str]:
    """A label for every agent with its hyper-parameters; these only where they differ."""
    variants: dict[str, dict[str, dict[str, Any]]] = {}
    for search in searches:
        head = search.header
        variants.setdefault(head["agent"], {})[_agent_key(search)] = head["hyperparameters"]
    labels = {}
    for agent, by_key in variants.items():
        names = sorted({name for settings in by_key.values() for name in settings})
        differ = [n for n in names if len({_key(settings.get(n)) for settings in by_key.values()}) > 1]
        for key, settings in by_key.items():
            shown = ", ".join(f"{name} {_key(settings.get(name))}" for name in differ)
            labels[key] = display_name(agent) + (f" ({shown})" if shown else "")
    return labels


def _agent_key(search: Finished) -> str:
    return _key([search.header["agent"], search.header["hyperparameters"]])


def _differing(kwargs: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(kwargs.items()) if key not in BUDGETS)


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
