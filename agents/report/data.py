"""What a report is computed from: trajectories, and the tables they name by id."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.agents.registry import AGENTS, display_name
from nb201env.agents.report.elsewhere import Place, at_hand
from nb201env.agents.report.words import own_command
from nb201env.agents.searches.outcome import Landscape, Outcome, outcome
from nb201env.agents.searches.recorder import environment_of, replay
from nb201env.arrays import FloatArray
from nb201env.envs.registration import WITH_TABLE
from nb201env.output import named, unlike
from nb201env.table import Table
from nb201env.trajectory import BadTrajectory, read

BUDGETS = ("budget_queries", "budget_seconds")


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
    searches: tuple[Outcome, ...]

    @property
    def seeds(self) -> list[int]:
        """The seeds of its searches."""
        return [search.seed for search in self.searches]

    def finals(self, of: str = "regret") -> FloatArray:
        """Per search, float64 [searches]: "regret" (a fraction), or "gap_left"."""
        return np.array([search.gap_left if of == "gap_left" else search.regret for search in self.searches])


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

    @property
    def objectives(self) -> list[Any]:
        """The environment's objectives as its arguments name them; none where a reward is one number."""
        return self.env["kwargs"].get("objectives") or []


@dataclass(frozen=True)
class Bench:
    """All that a report is about.

    Attributes:
        settings: One per environment.
        unfinished: Files of searches that were cut short; they are not part of any number.
        digest: sha256 over the sha256 of every trajectory file, sorted by agent and seed.
        replayed: Whether every trajectory was replayed against its table without a difference.
        places: The tables in which to look up what was chosen.
    """

    settings: tuple[Setting, ...]
    unfinished: tuple[str, ...]
    digest: str
    replayed: bool
    places: tuple[Place, ...]

    @property
    def searches(self) -> list[Outcome]:
        """All searches."""
        return [s for setting in self.settings for entry in setting.entries for s in entry.searches]

    @property
    def labels(self) -> list[str]:
        """Every entry's label once."""
        return list(dict.fromkeys(e.label for setting in self.settings for e in setting.entries))


def load(
    folders: Sequence[Path],
    *,
    check: bool = False,
    tables: Sequence[str | os.PathLike[str]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Bench:
    """Read all trajectories in folders and below.

    Args:
        folders: Where they are.
        check: Also replay every trajectory against its table.
        tables: Names or paths of tables that may have answered them, besides those that have a name;
            which did, the ids say. What was chosen is looked up in all of them.
        progress: Called now and then with how many trajectories are read, and how many there are.

    Raises:
        ValueError: If there is none, one is damaged, names something else than an environment of ours,
            asked nothing, is there twice, or was searched with another budget than the others.
        OSError: If there is no such folder, no table of a trajectory's id, or what is named like a
            trajectory is no file.
    """
    files = [file for folder in folders for file in _files(folder, "*.jsonl")]
    if not files:
        raise ValueError(f"no finished search (*.jsonl) in {', '.join(map(str, folders))}")
    partial = [p.relative_to(f).as_posix() for f in folders for p in _files(f, "*.jsonl*.partial")]
    return load_files(files, unfinished=partial, check=check, tables=tables, progress=progress)


def load_files(
    files: Sequence[Path],
    *,
    unfinished: Sequence[str] = (),
    check: bool = False,
    tables: Sequence[str | os.PathLike[str]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Bench:
    """Read these trajectories; see `load`.

    Args:
        files: Of finished searches.
        unfinished: Names of those that were cut short.
        check: Also replay every trajectory against its table.
        tables: Of tables that may have answered them.
        progress: Called now and then with how many are read, and how many there are.
    """
    places = at_hand(tables)  # first, for a table that is not there is no trajectory's fault
    reader = _Reader(check, tables)
    searches = []
    for done, path in enumerate(files):
        if progress is not None and done % _TICK == 0:
            progress(done, len(files))
        searches.append(reader.read(path))
    digest = hashlib.sha256("\n".join(sha for _, _, sha in sorted(reader.hashes)).encode()).hexdigest()
    return Bench(tuple(_settings(searches)), tuple(sorted(unfinished)), digest, check, places)


_TICK = 50


def _files(folder: Path, pattern: str) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; name the --out of `nb201 bench` or `nb201 search`")
    return sorted(folder.rglob(pattern), key=lambda path: path.relative_to(folder).as_posix())


class _Reader:
    """Reads one search after another; of each it keeps little.

    Attributes:
        hashes: Per search its agent, its seed, and the sha256 of its file.
    """

    def __init__(self, check: bool, tables: Sequence[str | os.PathLike[str]]) -> None:
        self._check, self._tables = check, tables
        self._opened: dict[str, Table] = {}
        self.hashes: list[tuple[str, int, str]] = []

    def read(self, path: Path) -> Outcome:
        """One search."""
        trajectory = read(path)
        head = trajectory.header
        if not trajectory.complete:
            again = f"run its search again: {own_command(head['command'])}"
            mend = again if head["command"] else "its search has not ended, or was stopped in the middle"
            raise BadTrajectory(f"{path}: cut short; {mend}")
        environment_of(trajectory)  # raises if its environment is none of ours
        table_id = head["table"]["id"]
        if table_id not in self._opened:
            self._opened[table_id] = trajectory.table(self._tables)
        found = outcome(trajectory, self._opened[table_id])
        if self._check and (differences := replay(trajectory, self._opened[table_id])):
            raise BadTrajectory(f"{path}: does not replay: {differences[0]}")
        self.hashes.append((head["agent"], head["seed"], trajectory.sha256))
        return found


# -- settings and entries --------------------------------------------------------------------


def _settings(searches: Sequence[Outcome]) -> list[Setting]:
    groups: dict[str, list[Outcome]] = {}
    for search in searches:
        env = search.header["env"]
        kwargs = {key: value for key, value in env["kwargs"].items() if key not in BUDGETS}
        groups.setdefault(_key([env["id"], kwargs, search.header["table"]["id"]]), []).append(search)
    labels = _labels(searches)
    ids = [group[0].header["env"]["id"] for group in groups.values()]
    names = [
        named(env["id"] if ids.count(env["id"]) == 1 else f"{env['id']} ({_differing(env['kwargs'])})")
        for env in (group[0].header["env"] for group in groups.values())
    ]
    made = [
        Setting(name, group[0].header["env"], _one_budget(group), group[0].landscape,
                tuple(_entries(group, labels)))
        for name, group in zip(unlike(names), groups.values(), strict=True)
    ]  # fmt: skip
    return sorted(made, key=lambda setting: (_place(setting.env["id"], [*WITH_TABLE]), setting.name))


def _one_budget(group: Sequence[Outcome]) -> dict[str, Any]:
    budgets: dict[str, Outcome] = {}
    for search in group:
        budgets.setdefault(_key(_budget(search)), search)
    if len(budgets) > 1:
        one, other = list(budgets.values())[:2]
        raise ValueError(
            f"{one.path} and {other.path} had different budgets, {_key(_budget(one))} and "
            f"{_key(_budget(other))}: they can't be compared; report on them separately"
        )
    return _budget(group[0])


def _budget(search: Outcome) -> dict[str, Any]:
    kwargs = search.header["env"]["kwargs"]
    return {key: kwargs[key] for key in BUDGETS if kwargs.get(key) is not None}


def _entries(group: Sequence[Outcome], labels: Mapping[str, str]) -> list[Entry]:
    by_label: dict[str, dict[int, Outcome]] = {}
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


def _labels(searches: Sequence[Outcome]) -> dict[str, str]:
    """A label for every agent with its hyper-parameters; these only where they differ.

    Agents whose names would read alike, "ppo" and a "PPO" of one's own, keep those of the trajectories.
    """
    variants: dict[str, dict[str, dict[str, Any]]] = {}
    for search in searches:
        head = search.header
        variants.setdefault(head["agent"], {})[_agent_key(search)] = _what(search)
    read_as = Counter(map(display_name, variants))
    labels = {}
    for agent, by_key in variants.items():
        title = display_name(agent) if read_as[display_name(agent)] == 1 else agent
        names = sorted({name for settings in by_key.values() for name in settings})
        differ = [n for n in names if len({_key(settings.get(n)) for settings in by_key.values()}) > 1]
        for key, settings in by_key.items():
            shown = ", ".join(f"{n} {_key(settings.get(n))}" for n in differ)
            labels[key] = named(title + (f" ({shown})" if shown else ""))
    return dict(zip(labels, unlike(labels.values()), strict=True))


def _agent_key(search: Outcome) -> str:
    return _key([search.header["agent"], _what(search)])


def _what(search: Outcome) -> dict[str, Any]:
    """What tells an agent from others of its name: its hyper-parameters; of one's own its version too."""
    settings: dict[str, Any] = search.header["hyperparameters"]
    source = {
        f"its {name.removesuffix('_sha256')}": text[:16] for name, text in search.header["source"].items()
    }
    return settings | source


def _differing(kwargs: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(kwargs.items()) if key not in BUDGETS)


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
