"""A fixed benchmark of 13 agents on two environments, at which the page is looked at.

No agent of ours searches: their pictures would change whenever an agent does.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import gymnasium as gym

from nb201env.agents.contract import Env, query
from nb201env.agents.report.data import load
from nb201env.agents.report.page import page
from nb201env.agents.report.summary import summarise
from nb201env.agents.searches.recorder import Recorder
from nb201env.agents.searches.writing import Writer
from nb201env.architecture import Architecture
from nb201env.envs.registration import OFFICIAL
from nb201env.space import SIZE
from nb201env.tables import open_table

AGENTS = ("random_search", "regularized_evolution", "local_search", "mcts", "predictor_evolution", "cma_es",
          "tpe", "reinforce", "bohb", "ppo", "a2c", "dqn", "maskable_ppo")  # fmt: skip
ENVS, SEEDS, QUERIES = ("NB201-cifar10-v0", "NB201-ImageNet16-120-v0"), range(5), 60
VERSIONS = {"nb201env": "1.0", "python": "3.11"}


def searched(folder: Path) -> None:
    """Write the trajectories of all agents, by 13 strengths, into a folder."""
    for env_id in ENVS:
        table = open_table(OFFICIAL[env_id])
        accuracy = table.accuracy(split="valid", epochs=table.epochs, run="mean").tolist()
        for place, name in enumerate(AGENTS):
            for seed in SEEDS:
                env = gym.make(env_id, budget_queries=QUERIES)
                kwargs = {"table": table.name, "budget_queries": QUERIES}
                command = f"nb201 search --agent {name} --env {env_id} --seeds {seed} --budget {QUERIES}"
                header = {
                    "agent": name, "hyperparameters": {}, "seed": seed,
                    "env": {"id": env_id, "kwargs": kwargs}, "table": {"name": table.name, "id": table.id},
                    "versions": VERSIONS, "command": command,
                }  # fmt: skip
                writer = Writer(folder / env_id / f"{name}-{seed}.jsonl", header)
                _search(Recorder(env, seed, writer.query), accuracy, place, random.Random(100 * place + seed))
                writer.close(complete=True)


def _search(env: Env, accuracy: list[float], strength: int, drawn: random.Random) -> None:
    """Ask for the best of some drawn architectures, again and again; of more with more strength."""
    over, candidates = False, 1 + 5 * strength * strength // 4
    while not over:
        found = [int(SIZE * drawn.random()) for _ in range(candidates)]
        over = query(env, Architecture.from_index(max(found, key=accuracy.__getitem__))).over


def report() -> str:
    """The report's page about these searches."""
    with tempfile.TemporaryDirectory() as folder:
        searched(Path(folder))
        return page(summarise(load([Path(folder)])), "nb201 report runs/bench --out report")
