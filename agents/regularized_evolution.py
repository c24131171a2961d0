"""Regularized evolution: mutate the best of a random few; the oldest dies.

Real, Aggarwal, Huang & Le, AAAI 2019, with the population and sample size of the official
NAS-Bench-201 experiments (AutoDL-Projects ``exps/NATS-algos/regularized_ea.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from nb201env.agents.contract import Env, Proposals, follow
from nb201env.architecture import Architecture
from nb201env.space import sample

R = TypeVar("R")


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
        follow(env, self.proposals(np.random.default_rng(seed)))

    def proposals(self, rng: np.random.Generator) -> Proposals:
        """The search itself."""
        return evolve(rng, self.population, self.sample, self.edges, np.argmax)


def evolve(
    rng: np.random.Generator, population: int, rivals: int, edges: str, winner: Callable[[Sequence[R]], Any]
) -> Generator[Architecture, R, None]:
    """Evolution with aging, whatever is rewarded.

    Args:
        rng: The source of randomness.
        population: How many architectures are alive.
        rivals: How many of them, drawn with replacement, compete to be the parent.
        edges: See `nb201env.space.mutate`.
        winner: The position of the best of these rewards.
    """
    alive: deque[tuple[R, Architecture]] = deque(maxlen=population)
    while True:
        if len(alive) < population:
            child = Architecture.from_index(int(sample(rng)))
        else:
            drawn = [alive[i] for i in rng.integers(len(alive), size=rivals)]
            parent = drawn[winner([reward for reward, _ in drawn])][1]
            child = parent.mutate(rng, edges)
        reward = yield child
        alive.append((reward, child))  # a full deque drops its oldest
