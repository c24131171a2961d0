"""Searches with several objectives, made by agents of different strength that know the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np

from nb201env import Architecture, open_table
from nb201env.agents.contract import query
from nb201env.agents.report.data import load
from nb201env.agents.report.summary import Summary, summarise
from nb201env.agents.searches.recorder import Recorder
from nb201env.agents.searches.writing import Writer
from nb201env.fronts.front import points
from nb201env.space import SIZE

ENV, TABLE, QUERIES = "NB201-cifar10-mo-v0", "cifar10-valid-200", 30
PARAMS, THREE = ("accuracy", "params"), ("accuracy", "latency_seconds", "params")


def searched(
    folder: Path, agents: Sequence[str], objectives: Sequence[str] = PARAMS, searches: int = 3
) -> None:
    """Write the trajectories of agents: the later its name, the more a search draws before each query."""
    table = open_table(TABLE)
    every = points(table, objectives)
    scaled = every.scaled(every.rewards)
    for place, name in enumerate(agents):
        for seed in range(searches):
            env = gym.make(ENV, objectives=list(objectives), budget_queries=QUERIES)
            kwargs = {"table": table.name, "objectives": list(objectives), "budget_queries": QUERIES}
            header = {
                "agent": name, "hyperparameters": {}, "seed": seed, "env": {"id": ENV, "kwargs": kwargs},
                "table": {"name": table.name, "id": table.id}, "versions": {"nb201env": "1.0"}, "command": "",
            }  # fmt: skip
            writer = Writer(folder / f"{len(objectives)}-{place}-{seed}.jsonl", header)
            recorder, drawn = Recorder(env, seed, writer.query), np.random.default_rng(100 * place + seed)
            over = False
            while not over:
                found = drawn.integers(0, SIZE, 1 + 40 * place * place)
                worth = scaled[found] @ drawn.dirichlet(np.ones(len(objectives)))
                over = query(recorder, Architecture.from_index(int(found[worth.argmax()]))).over
            writer.close(complete=True)


def summarised(folder: Path, *made: tuple[Sequence[str], Sequence[str]]) -> Summary:
    """The numbers of agents with their objectives."""
    for agents, objectives in made:
        searched(folder, agents, objectives)
    return summarise(load([folder]))
