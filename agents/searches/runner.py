"""Runs searches: here, in several processes, or on a Ray cluster, with the same results."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import gymnasium as gym

import nb201env  # noqa: F401  (registers the ids)
from nb201env import workers
from nb201env.agents.contract import Agent, Env
from nb201env.agents.registry import make_agent
from nb201env.agents.searches.recorder import header, record
from nb201env.files import appearing
from nb201env.reading import Budget, format_budget

OnProgress = Callable[["Search", int], None]


@dataclass(frozen=True)
class Search:
    """One search to run.

    Attributes:
        agent: A name in `nb201env.agents.registry.AGENTS`.
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
        return self.folder / f"{self.agent}-{self.seed}.jsonl"

    @property
    def command(self) -> str:
        """The command that runs this search alone."""
        words = ["nb201", "search", "--agent", self.agent, "--env", self.env_id]
        words += ["--seeds", str(self.seed), "--budget", format_budget(self.budget)]
        for option, value in (("--agent-kwargs", self.agent_kwargs), ("--env-kwargs", self.env_kwargs)):
            if value:
                words += [option, json.dumps(value)]
        return shlex.join(words)

    def header(self) -> dict[str, Any]:
        """The first line of its trajectory; also a check that it can be run at all."""
        agent, env = self._make()
        head = header(agent, env, self.seed, self.agent, self.command)
        env.close()
        return dict(json.loads(json.dumps(head)))

    def run(self, on_query: Callable[[dict[str, Any]], None] | None = None) -> Path:
        """Run it and return the trajectory's file."""
        agent, env = self._make()
        record(agent, env, self.seed, self.path, name=self.agent, command=self.command, on_query=on_query)
        env.close()
        return self.path

    def _make(self) -> tuple[Agent, Env]:
        env = gym.make(self.env_id, **self.env_kwargs, **self.budget)
        return make_agent(self.agent, **self.agent_kwargs), env


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
        The searches that failed; all others have written their trajectories.
    """
    if address is not None:
        return _on_ray(searches, jobs, on_progress, address)
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
    except Exception as error:  # in words, because not every error can be sent to another process
        return f"{type(error).__name__}: {error}"
    on_queries(search, asked % _TICK)
    return ""


def _run_and_tell(search: Search) -> str:
    return _run_one(search, lambda *said: workers.tell(said))


def _on_ray(searches: Sequence[Search], jobs: int, on_progress: OnProgress, address: str) -> list[Failure]:
    failures = []
    for done in workers.ray(_run_apart, searches, jobs, workers.Cluster(address), retries=1):
        search, error = done.job, done.error
        outcome = f"{type(error).__name__}: {error}" if error is not None else done.result()
        if isinstance(outcome, str):
            failures.append(Failure(search, outcome))
            continue
        search.folder.mkdir(parents=True, exist_ok=True)
        for name in sorted(outcome, key=search.path.name.__eq__):  # the trajectory last
            with appearing(search.folder / name) as partial_file:
                partial_file.write_bytes(outcome[name])
        on_progress(search, outcome[search.path.name].count(b"\n") - 2)
    return failures


def _run_apart(search: Search) -> dict[str, bytes] | str:
    """The files that a search writes by name, or why there are none."""
    with TemporaryDirectory() as folder:
        reason = _run_one(replace(search, folder=Path(folder)), lambda *_: None)
        return reason or {path.name: path.read_bytes() for path in Path(folder).iterdir()}
