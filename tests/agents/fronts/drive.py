"""Searches for a front, driven by rewards that a test knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from nb201env.agents import make_agent
from nb201env.agents.contract import SeveralProposals
from nb201env.arrays import FloatArray
from nb201env.fronts.objectives import Given, known_objectives, objective_costs
from nb201env.fronts.objectives import rewards as rewards_of
from nb201env.table import Table


def drive(proposals: SeveralProposals, rewards: FloatArray, queries: int) -> list[int]:
    """The indices that a search asks for, when these are the rewards; float64 [15625, m]."""
    asked = [next(proposals).index]
    while len(asked) < queries:
        asked.append(proposals.send(rewards[asked[-1]].copy()).index)
    return asked


def searched(name: str, rewards: FloatArray, queries: int, seed: int = 0, **kwargs: Any) -> list[int]:
    """The same for a registered agent."""
    agent: Any = make_agent(name, **kwargs)
    return drive(agent.proposals(np.random.default_rng(seed)), rewards, queries)


def one_draw(table: Table, objectives: Given, rng: np.random.Generator) -> FloatArray:
    """The rewards of all architectures, each accuracy that of one random run; float64 [15625, m].

    What an environment with run="sample" gives to a search that asks for nothing twice.
    """
    known = known_objectives(table, objectives)
    runs = table.runs(split="valid", epochs=table.epochs)
    chosen = np.where(np.isnan(runs), -1.0, rng.random(runs.shape)).argmax(axis=1)
    return rewards_of(known, runs[np.arange(len(runs)), chosen], objective_costs(table, known))
