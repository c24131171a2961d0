"""Pareto local search: look at all neighbours of what nothing dominates, until nothing new is among them.

Paquete, Chiarandini & Stützle, "Pareto local optimum sets in the biobjective traveling salesman problem: an
experimental study" (in: Metaheuristics for Multiobjective Optimisation, Springer 2004): what local search is
with one objective, with an archive in the place of the current architecture.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from nb201env.agents.contract import Env, SeveralProposals, follow, never_asked
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray

Rewards = dict[int, FloatArray]
"""The reward of architectures, by index."""


@dataclass(frozen=True)
class ParetoLocalSearch:
    """Grow an archive from a random start; once all of it is explored, start again elsewhere.

    An answer is one run's, so an architecture that was unlucky once is left out of the archive for good. None
    is asked twice, unless all are known.

    Attributes:
        move: When the next member of the archive is chosen, at random among those that are not explored:
            "best" first asks for all 24 one-edge neighbours, as published; "first" asks in random order
            and chooses anew as soon as a neighbour dominates the member (Dubois-Lacoste, López-Ibáñez &
            Stützle, "Anytime Pareto local search", European Journal of Operational Research 243(2), 2015).
    """

    move: str = "best"

    def __post_init__(self) -> None:
        if self.move not in ("best", "first"):
            raise ValueError(f"move must be 'best' or 'first'; got {self.move!r}")

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        follow(env, self.proposals(np.random.default_rng(seed)))

    def proposals(self, rng: np.random.Generator) -> SeveralProposals:
        """The search itself."""
        known: Rewards = {}
        while True:
            start = never_asked(known, rng)
            archive, explored = {start: (yield from _reward(start, known))}, set[int]()
            while waiting := [index for index in archive if index not in explored]:
                member = waiting[int(rng.integers(len(waiting)))]
                if (yield from self._explore(member, archive, known, rng)):
                    explored.add(member)

    def _explore(
        self, member: int, archive: Rewards, known: Rewards, rng: np.random.Generator
    ) -> Generator[Architecture, FloatArray, bool]:
        """Offer a member's neighbours to the archive; whether all of them were offered."""
        own = archive[member]
        around = [neighbour.index for neighbour in Architecture.from_index(member).neighbours()]
        for neighbour in rng.permutation(around).tolist():
            reward = yield from _reward(neighbour, known)
            offer(archive, neighbour, reward)
            if self.move == "first" and dominates(reward, own):
                return False
        return True


def dominates(one: FloatArray, other: FloatArray) -> bool:
    """Whether a reward is at least as good as another in every objective, and better in one; both [m]."""
    return bool((one >= other).all() and (one > other).any())


def offer(archive: Rewards, index: int, reward: FloatArray) -> None:
    """Take an architecture into an archive unless a member is at least as good; what it dominates goes."""
    if any((member >= reward).all() for member in archive.values()):
        return
    for worse in [key for key, member in archive.items() if (reward >= member).all()]:
        del archive[worse]
    archive[index] = reward


def _reward(index: int, known: Rewards) -> Generator[Architecture, FloatArray, FloatArray]:
    if index not in known:
        known[index] = yield Architecture.from_index(index)
    return known[index]
