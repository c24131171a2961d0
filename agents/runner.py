"""Runs searches, several at a time, and returns their trajectories."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from queue import Empty
from typing import Any

import gymnasium as gym

import nb201env  # noqa: F401  (registers the ids)
from agents.recorder import record
from agents.registry import make_agent

Budget = dict[str, Any]
OnProgress = Callable[["Search", int], None]


@dataclass(frozen=True)
class Search:
    """One search to run.

    Attributes:
        agent: A name in `agents.registry.AGENTS`.
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

    def run(self, on_query: Callable[[dict[str, Any]], None] | None = None) -> Path:
        """Run it and return the trajectory's file."""
        env = gym.make(self.env_id, **self.env_kwargs, **self.budget)
        agent = make_agent(self.agent, **self.agent_kwargs)
        record(agent, env, self.seed, self.path, name=self.agent, command=self.command, on_query=on_query)
        env.close()
        return self.path


def parse_budget(text: str) -> Budget:
    """Read "500" (queries) or "12000s" (simulated seconds).

    Raises:
        ValueError: If it is neither, or not above 0.
    """
    try:
        budget: Budget = (
            {"budget_seconds": float(text[:-1])} if text.endswith("s") else {"budget_queries": int(text)}
        )
    except ValueError:
        budget = {}
    if not budget or not min(budget.values()) > 0:
        raise ValueError(f"a budget is a number of queries (500) or simulated seconds (12000s); got {text!r}")
    return budget


def format_budget(budget: Budget) -> str:
    """The text that `parse_budget` reads."""
    return f"{budget['budget_seconds']:g}s" if "budget_seconds" in budget else str(budget["budget_queries"])


def parse_seeds(text: str) -> list[int]:
    """Read "4", "0-9" or "0,3,7-9".

    Raises:
        ValueError: If it is none of these.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        some = range(int(match[1]), int(match[2] or match[1]) + 1) if match else ()
        if not some:
            raise ValueError(f"seeds look like 4, 0-9 or 0,3,7-9; got {text!r}")
        seeds += some
    return seeds


def run_all(searches: Sequence[Search], jobs: int, on_progress: OnProgress) -> None:
    """Run searches in up to `jobs` processes; the results do not depend on their number.

    Args:
        searches: What to run.
        jobs: Processes; 1 runs everything here.
        on_progress: Called with a search and how many further queries it has asked.
    """
    if jobs == 1:
        for search in searches:
            search.run(lambda _, search=search: on_progress(search, 1))  # type: ignore[misc]
        return
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(jobs, context) as pool:
        ticks: Any = manager.Queue()
        futures = [pool.submit(_run_one, i, search, ticks) for i, search in enumerate(searches)]
        for number, count in _ticks(ticks, futures):
            on_progress(searches[number], count)
        for future in futures:
            future.result()


_TICK = 20


def _run_one(number: int, search: Search, ticks: Any) -> None:
    asked = 0

    def count(_: dict[str, Any]) -> None:
        nonlocal asked
        asked += 1
        if asked % _TICK == 0:
            ticks.put((number, _TICK))

    search.run(count)
    ticks.put((number, asked % _TICK))


def _ticks(ticks: Any, futures: list[Future[None]]) -> Iterator[tuple[int, int]]:
    pending = set(futures)
    while pending:
        try:
            while True:
                yield ticks.get_nowait()
        except Empty:
            pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED).not_done
    while not ticks.empty():
        yield ticks.get_nowait()
