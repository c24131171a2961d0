"""Regularized evolution towards a front: every choice of a parent weighs the objectives anew.

The evolution is that of one objective (`nb201env.agents.regularized_evolution`; Real, Aggarwal, Huang & Le,
AAAI 2019). Which of the rivals is the best is asked of one user at a time, whose weights are drawn uniformly
from the simplex, as in ParEGO (Knowles, "ParEGO: a hybrid algorithm with on-line landscape approximation for
expensive multiobjective optimization problems", IEEE Transactions on Evolutionary Computation 10(1), 2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nb201env.agents.contract import Env, SeveralProposals, follow
from nb201env.agents.fronts.archive import Archive, offer
from nb201env.agents.regularized_evolution import at_random, evolve
from nb201env.arrays import FloatArray
from nb201env.fronts.front import scale

AUGMENTATION = 0.05
"""How much the weighted sum counts beside the largest regret; ParEGO's."""


@dataclass(frozen=True)
class ScalarizedEvolution:
    """Evolution with aging, its tournaments decided by random weights.

    Rewards are scaled so that 0 is the worst and 1 the best that an objective has on the front so far: on
    what nothing seen dominates. By the range of all that was seen, good accuracies would hardly differ. An
    objective that has one value on that front does not count.

    The defaults were chosen on CIFAR-100; with the 10 and 3 of one objective much of the front dies of age.

    Attributes:
        population: How many architectures are alive.
        sample: How many of them, drawn with replacement, compete to be the parent.
        edges: How a mutation chooses its edge: "official" or "uniform"; see `nb201env.space.mutate`.
        scalarization: What makes one number of a reward and weights: "chebyshev", ParEGO's augmented
            Chebyshev function, which also wants what lies in a hollow of the front, or "linear", the
            weighted sum, which only ever wants corners of its convex hull.
    """

    population: int = 50
    sample: int = 10
    edges: str = "official"
    scalarization: str = "chebyshev"

    def __post_init__(self) -> None:
        if self.population < 1 or self.sample < 1:
            raise ValueError(
                f"population and sample must be at least 1; got {self.population} and {self.sample}"
            )
        if self.edges not in ("official", "uniform"):
            raise ValueError(f"edges must be 'official' or 'uniform'; got {self.edges!r}")
        if self.scalarization not in SCALARIZATIONS:
            raise ValueError(f"scalarization must be 'chebyshev' or 'linear'; got {self.scalarization!r}")

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        follow(env, self.proposals(np.random.default_rng(seed)))

    def proposals(self, rng: np.random.Generator) -> SeveralProposals:
        """The search itself."""
        front: Archive = {}
        evolution = evolve(
            rng,
            self.population,
            self.sample,
            partial(self._winner, rng, front),
            at_random(rng),
            lambda parent: parent.mutate(rng, self.edges),
        )
        child = next(evolution)
        while True:
            reward = yield child
            offer(front, child.index, reward)
            child = evolution.send(reward)

    def _winner(self, rng: np.random.Generator, front: Archive, rewards: Sequence[FloatArray]) -> int:
        scaled = scale(np.array(rewards), [*front.values()])
        weights = rng.dirichlet(np.ones(scaled.shape[1]))
        return int(SCALARIZATIONS[self.scalarization](scaled, weights).argmax())


def chebyshev(rewards: FloatArray, weights: FloatArray) -> FloatArray:
    """How little is missing where it weighs most: ParEGO's augmented Chebyshev function, turned upside down.

    With the regrets c = 1 - reward it is -(max_j w_j c_j + 0.05 sum_j w_j c_j). A point of the front is the
    best one for weights in proportion to 1 / c, in a hollow too, unless another gains much in one objective
    for next to nothing in the rest; the sum sees to it that, of two points, the one that dominates is better.

    Args:
        rewards: Scaled so that 1 is the best of each objective; float64 [n, m].
        weights: float64 [m], which add up to 1.

    Returns:
        float64 [n]; more is better.
    """
    missed = weights * (1.0 - rewards)
    return np.asarray(-(missed.max(axis=1) + AUGMENTATION * missed.sum(axis=1)))


def linear(rewards: FloatArray, weights: FloatArray) -> FloatArray:
    """The weighted sum; arguments and result as of `chebyshev`."""
    return np.asarray(rewards @ weights)


SCALARIZATIONS = {"chebyshev": chebyshev, "linear": linear}
