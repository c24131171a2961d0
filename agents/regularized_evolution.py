"""Regularized evolution: mutate the best of a random few; the oldest dies.

Real, Aggarwal, Huang & Le, AAAI 2019, with the population and sample size of the official
NAS-Bench-201 experiments (AutoDL-Projects ``exps/NATS-algos/regularized_ea.py``).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from nb201env.agents.contract import Env, query
from nb201env.architecture import Architecture
from nb201env.space import sample


@dataclass(frozen=True)
class RegularizedEvolution:
    """Evolution with aging.

    Attributes:
        population: How many architectures are alive.
        sample: How many of them, drawn with replacement, compete to be the parent.
        edges: How a mutation chooses its edge: "official" (a node, then one of its edges) or
            "uniform"; see `nb201env.space.mutate`.
    """

    population: int = 10
    sample: int = 3
    edges: str = "official"

    def __post_init__(self) -> None:
        if self.population < 1 or self.sample < 1:
            raise ValueError(
                f"population and sample must be at least 1; got {self.population} and {self.sample}"
            )

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        rng = np.random.default_rng(seed)
        alive: deque[tuple[float, Architecture]] = deque(maxlen=self.population)
        over = False
        while not over:
            if len(alive) < self.population:
                child = Architecture.from_index(int(sample(rng)))
            else:
                rivals = [alive[i] for i in rng.integers(len(alive), size=self.sample)]
                child = max(rivals, key=lambda rival: rival[0])[1].mutate(rng, self.edges)
            reward, _, over = query(env, child)
            alive.append((reward, child))  # a full deque drops its oldest
