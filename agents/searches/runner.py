"""Runs searches: here, in several processes, or on a Ray cluster, with the same results."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import gymnasium as gym

import nb201env  # noqa: F401  (registers the ids)
from nb201env import workers
from nb201env.agents.contract import Agent, Env, objectives_of
from nb201env.agents.loading import look_in
from nb201env.agents.registry import check_objectives, file_name, make_agent, settings_of
from nb201env.agents.searches.heading import header
from nb201env.agents.searches.recorder import record
from nb201env.agents.searches.writing import partial_name, publish, remove_orphans
from nb201env.envs.options import Options
from nb201env.files import appearing, try_lock
from nb201env.reading import Budget, format_budget, format_seeds
from nb201env.table import Table
from nb201env.tables import open_table

OnProgress = Callable[["Search", int], None]


@dataclass(frozen=True)
class Search:
    """One search to run.

    Attributes:
        agent: A name that `nb201env.agents.registry.make_agent` takes.
        env_id: A registered id.
        seed: The search's seed.
        budget: {"budget_queries": n} or {"budget_seconds": s}.
        folder: Where the trajectory goes, as ``<agent>-<seed>.jsonl``.
        agent_kwargs: Hyper-parameters that differ from their defaults.
        env_kwargs: Further keyword arguments of the environment.
    """

    agent: str
    env_id: str
    seed: int
    budget: Budget
    folder: Path
    agent_kwargs: dict[str, Any] = field(default_factory=dict)
    env_kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The trajectory file."""
        return self.folder / f"{file_name(self.agent)}-{self.seed}.jsonl"

    @property
    def table(self) -> Table:
        """The table that it searches."""
        return open_table((gym.spec(self.env_id).kwargs | self.env_kwargs)["table"])

    @property
    def command(self) -> str:
        """The command that runs this search alone."""
        return self.command_with([self.seed])

    def command_with(self, seeds: Sequence[int]) -> str:
        """The command that runs this search with other seeds."""
        words = ["nb201", "search", "--agent", self.agent, "--env", self.env_id]
        words += ["--seeds", format_seeds(seeds), "--budget", format_budget(self.budget)]
        for option, value in (("--agent-kwargs", self.agent_kwargs), ("--env-kwargs", self.env_kwargs)):
            if value:
                words += [option, json.dumps(value)]
        return shlex.join(words)

    def header(self) -> dict[str, Any]:
        """The first line of its trajectory; also a check that it can be run at all."""
        agent, env = self.make()
        head = header(agent, env, self.seed, self.agent, self.command, self._given)
        env.close()
        return dict(json.loads(json.dumps(head)))

    def run(self, on_query: Callable[[dict[str, Any]], None] | None = None) -> Path:
        """Run it and return the trajectory's file.

        Raises:
            FileExistsError: If another search has finished there meanwhile.
        """
        agent, env = self.make()
        record(agent, env, self.seed, self.path, name=self.agent, command=self.command, given=self._given,
               on_query=on_query, keep=True)  # fmt: skip
        env.close()
        return self.path

    @property
    def _given(self) -> dict[str, Any]:
        return settings_of(self.agent, **self.agent_kwargs)

    def make(self) -> tuple[Agent, Env]:
        """The agent, and the environment that it searches.

        Raises:
            ValueError: If either cannot be made so; the agent's is raised as in `make_agent`.
            MissingExtra: If the agent needs a package that is not installed.
        """
        check_arguments(self.env_kwargs, self.budget)
        env = gym.make(self.env_id, **self.env_kwargs, **self.budget)
        check_objectives(self.agent, objectives_of(env))
        return make_agent(self.agent, **self.agent_kwargs), env


def check_arguments(env_kwargs: Mapping[str, Any], budget: Budget) -> None:
    """Check the arguments of a search's environment: a table and options, and nothing that gym.make knows.

    Raises:
        ValueError: If there is another one, a value is not allowed, or there are two budgets.
    """
    if twice := sorted(env_kwargs.keys() & {"budget_queries", "budget_seconds"}):
        raise ValueError(
            f"the budget is given twice, also as {twice[0]!r} of the environment; leave that out"
        )
    if not isinstance(table := env_kwargs.get("table", ""), str):
        raise ValueError(f"the table of an environment is the name or path of one; got {table!r}")
    try:
        Options.of({name: value for name, value in env_kwargs.items() if name != "table"} | budget)
    except TypeError as error:
        raise ValueError(str(error)) from None


class Failure(NamedTuple):
    """A search that did not finish, and why."""

    search: Search
    reason: str


def run_all(
    searches: Sequence[Search], jobs: int, on_progress: OnProgress, address: str | None = None
) -> list[Failure]:
    """Run searches; the results depend neither on how many at a time nor on where.

    Args:
        searches: What to run.
        jobs: How many at a time; 1 runs everything in this process, unless there is an address.
        on_progress: Called with a search and how many further queries it has asked.
        address: Of the Ray cluster to run them on, see `nb201env.workers.Cluster`. The trajectories
            come back here. Without it they run in processes of this machine.

    Returns:
        The searches that failed; all others have written their trajectories. What killed searches
        of the same names have left behind is removed.
    """
    if address is not None:
        failures = _on_ray(searches, jobs, on_progress, address)
    else:
        failures = _on_this_machine(searches, jobs, on_progress)
    for folder in dict.fromkeys(search.folder for search in searches):
        remove_orphans(folder)
    return failures


def _on_this_machine(searches: Sequence[Search], jobs: int, on_progress: OnProgress) -> list[Failure]:
    if jobs == 1:
        outcomes = workers.here(partial(_run_one, on_queries=on_progress), searches)
    else:
        outcomes = workers.processes(_run_and_tell, searches, jobs, hear=lambda said: on_progress(*said))
    return [failure for done in outcomes if (failure := _failure(done)) is not None]


def _failure(done: workers.Done[Search, str]) -> Failure | None:
    reason = str(done.error) if isinstance(done.error, workers.WorkerDied) else done.result()
    return Failure(done.job, reason) if reason else None


_TICK = 20


def _run_one(search: Search, on_queries: OnProgress) -> str:
    """Run one search, reporting its queries in bundles; returns why it failed, or an empty string."""
    asked = 0

    def count(_: dict[str, Any]) -> None:
        nonlocal asked
        asked += 1
        if asked % _TICK == 0:
            on_queries(search, _TICK)

    try:
        search.run(count)
    except (Exception, SystemExit) as error:  # in words: not every error can be sent to another process
        return f"{type(error).__name__}: {error}"
    on_queries(search, asked % _TICK)
    return ""


def _run_and_tell(search: Search) -> str:
    return _run_one(search, lambda *said: workers.tell(said))


def _on_ray(searches: Sequence[Search], jobs: int, on_progress: OnProgress, address: str) -> list[Failure]:
    failures = []
    apart = partial(_run_apart, os.getcwd())
    for done in workers.ray(apart, searches, jobs, workers.Cluster(address), retries=1):
        search, error = done.job, done.error
        outcome = f"{type(error).__name__}: {error}" if error is not None else done.result()
        if isinstance(outcome, str):
            failures.append(Failure(search, outcome))
            continue
        try:
            _put(outcome, search)
        except (OSError, ValueError) as cause:
            failures.append(Failure(search, f"{type(cause).__name__}: {cause}"))
            continue
        on_progress(search, outcome[search.path.name].count(b"\n") - 2)
    return failures


def _put(files: Mapping[str, bytes], search: Search) -> None:
    """Write a search's files, brought from elsewhere, as it would have done here."""
    search.folder.mkdir(parents=True, exist_ok=True)
    with partial_name(search.path).open("xb") as file:
        try_lock(file)
        file.write(files[search.path.name])
        file.flush()
        publish(Path(file.name), search.path)
    for name in files.keys() - {search.path.name}:
        with appearing(search.folder / name) as beside:
            beside.write_bytes(files[name])


def _run_apart(home: str, search: Search) -> dict[str, bytes] | str:
    """The files that a search writes by name, or why there are none.

    Args:
        home: The folder where the command was given, in which an agent of one's own is looked for here too.
        search: The search.
    """
    if ":" in search.agent:
        look_in(home)
    with TemporaryDirectory() as folder:
        reason = _run_one(replace(search, folder=Path(folder)), lambda *_: None)
        if not reason:
            return {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    where = "" if ":" not in search.agent or Path(home).is_dir() else f", which has no folder {home}"
    return f"on {platform.node()}{where}: {reason}"
