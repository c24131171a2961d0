"""Regularized evolution: mutate the best of a random few; the oldest dies.

Real, Aggarwal, Huang & Le, AAAI 2019, with the population and sample size of the official
NAS-Bench-201 experiments (AutoDL-Projects ``exps/NATS-algos/regularized_ea.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
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
        return evolve(
            rng,
            self.population,
            self.sample,
            np.argmax,
            at_random(rng),
            lambda parent: parent.mutate(rng, self.edges),
        )


def at_random(rng: np.random.Generator) -> Iterator[Architecture]:
    """Uniformly random architectures, without end."""
    while True:
        yield Architecture.from_index(int(sample(rng)))


def evolve(
    rng: np.random.Generator,
    population: int,
    rivals: int,
    winner: Callable[[Sequence[R]], Any],
    first: Iterator[Architecture],
    mutate: Callable[[Architecture], Architecture],
) -> Generator[Architecture, R, None]:
    """Evolution with aging, whatever is rewarded.

    Args:
        rng: The source of randomness.
        population: How many architectures are alive.
        rivals: How many of them, drawn with replacement, compete to be the parent.
        winner: The position of the best of these rewards.
        first: Where the first population is from; no shorter than that.
        mutate: A child of a parent.
    """
    alive: deque[tuple[R, Architecture]] = deque(maxlen=population)
    while True:
        if len(alive) < population:
            child = next(first)
        else:
            drawn = [alive[i] for i in rng.integers(len(alive), size=rivals)]
            parent = drawn[winner([reward for reward, _ in drawn])][1]
            child = mutate(parent)
        reward = yield child
        alive.append((reward, child))  # a full deque drops its oldest
