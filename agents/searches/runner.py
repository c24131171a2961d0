"""Runs searches: here, in several processes, or on a Ray cluster, with the same results."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import gymnasium as gym

import nb201env  # noqa: F401  (registers the ids)
from nb201env.agents.contract import Agent, Env
from nb201env.agents.registry import make_agent
from nb201env.agents.searches.recorder import header, record
from nb201env.extras import require
from nb201env.processes import end_with_parent
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


Outcomes = Iterator[Failure | None]
"""One value per search that has ended, as they end; None where it finished."""


def run_all(
    searches: Sequence[Search], jobs: int, on_progress: OnProgress, address: str | None = None
) -> list[Failure]:
    """Run searches; the results depend neither on how many at a time nor on where.

    Args:
        searches: What to run.
        jobs: How many at a time; 1 runs everything in this process, unless there is an address.
        on_progress: Called with a search and how many further queries it has asked.
        address: Of the Ray cluster to run them on: "local" (workers on this machine), "auto" (the
            cluster this machine belongs to) or "ray://host:10001". The trajectories come back
            here, so the hosts share no folder. Without it they run in processes of this machine.

    Returns:
        The searches that failed; all others have written their trajectories.
    """
    if address is not None:
        outcomes = _on_ray(searches, jobs, on_progress, address)
    else:
        outcomes = (_here if jobs == 1 else _in_processes)(searches, jobs, on_progress)
    return [outcome for outcome in outcomes if outcome is not None]


def _here(searches: Sequence[Search], _: int, on_progress: OnProgress) -> Outcomes:
    for search in searches:
        yield _run_one(search, lambda count, search=search: on_progress(search, count))  # type: ignore[misc]


_TICK = 20


def _run_one(search: Search, on_queries: Callable[[int], None]) -> Failure | None:
    """Run one search; reports its queries in bundles."""
    asked = 0

    def count(_: dict[str, Any]) -> None:
        nonlocal asked
        asked += 1
        if asked % _TICK == 0:
            on_queries(_TICK)

    try:
        search.run(count)
    except Exception as error:  # whatever an agent does wrong must not take the others with it
        return Failure(search, f"{type(error).__name__}: {error}")
    on_queries(asked % _TICK)
    return None


# -- processes -------------------------------------------------------------------------------


def _in_processes(searches: Sequence[Search], jobs: int, on_progress: OnProgress) -> Outcomes:
    waiting, suspects = list(reversed(searches)), list[Search]()
    while waiting:
        suspects += yield from _in_pool(waiting, jobs, on_progress)
    for suspect in suspects:  # one of them ended its process: each alone, to learn which
        for search in (yield from _in_pool([suspect], 1, on_progress)):
            yield Failure(search, "its process died (killed, or out of memory)")


def _in_pool(
    waiting: list[Search], jobs: int, on_progress: OnProgress
) -> Generator[Failure | None, None, list[Search]]:
    """Run what is waiting until all is done or a process dies; returns what was running then."""
    context = get_context("spawn")
    ticks = context.SimpleQueue()
    flying: dict[Future[Failure | None], Search] = {}
    by_path = {search.path: search for search in waiting}
    with ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(ticks,)) as pool:
        while waiting or flying:
            while waiting and len(flying) < jobs:
                try:
                    future = pool.submit(_run_in_process, waiting[-1])
                except BrokenProcessPool:
                    return [*flying.values(), waiting.pop()]
                flying[future] = waiting.pop()
            landed = wait(flying, timeout=0.1, return_when=FIRST_COMPLETED).done
            while not ticks.empty():
                path, count = ticks.get()
                on_progress(by_path[path], count)
            alive = [future for future in landed if not isinstance(future.exception(), BrokenProcessPool)]
            for future in alive:
                del flying[future]
                yield future.result()
            if len(alive) < len(landed):
                return list(flying.values())
    return []


_ticks: Any = None


def _begin(ticks: Any) -> None:
    """Prepare a process: where to count, and not to outlive a killed parent and write behind its back."""
    global _ticks
    _ticks = ticks
    end_with_parent()


def _run_in_process(search: Search) -> Failure | None:
    return _run_one(search, lambda count: _ticks.put((search.path, count)))


# -- Ray -------------------------------------------------------------------------------------


def _on_ray(searches: Sequence[Search], jobs: int, on_progress: OnProgress, address: str) -> Outcomes:
    ray: Any = require("ray", "ray")
    ray.init(address=address, num_cpus=jobs if address == "local" else None,
             log_to_driver=False, configure_logging=False)  # fmt: skip
    try:
        remote = ray.remote(num_cpus=1, max_retries=1)(_run_remotely)
        waiting, flying = list(reversed(searches)), dict[Any, Search]()
        while waiting or flying:
            while waiting and len(flying) < jobs:
                search = waiting.pop()
                flying[remote.remote(search)] = search
            (landed,), _ = ray.wait(list(flying), num_returns=1)
            search = flying.pop(landed)
            try:
                outcome = ray.get(landed)
            except ray.exceptions.RayError as error:
                outcome = f"{type(error).__name__}: {error}"
            if isinstance(outcome, str):
                yield Failure(search, outcome)
                continue
            for name in sorted(outcome, key=search.path.name.__eq__):  # the trajectory last
                _write(search.path.with_name(name), outcome[name])
            on_progress(search, outcome[search.path.name].count(b"\n") - 2)
            yield None
    finally:
        ray.shutdown()


def _run_remotely(search: Search) -> dict[str, bytes] | str:
    """The files that a search writes by name, or why there are none."""
    with TemporaryDirectory() as folder:
        failure = _run_one(replace(search, folder=Path(folder)), lambda _: None)
        return failure.reason if failure else {p.name: p.read_bytes() for p in Path(folder).iterdir()}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)
