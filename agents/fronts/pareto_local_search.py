"""Pareto local search: look around what nothing dominates, until nothing new is there.

Paquete, Chiarandini & Stützle, "Pareto local optimum sets in the biobjective traveling salesman problem: an
experimental study" (in: Metaheuristics for Multiobjective Optimisation, Springer 2004): local search with an
archive in the place of the current architecture. As published it asks for all neighbours of a member before
it looks elsewhere, which is slow to begin with (Dubois-Lacoste, López-Ibáñez & Stützle, "Anytime Pareto local
search", European Journal of Operational Research 243(2), 2015); one random neighbour of a random member at a
time is faster (Liang & Li, "Random is faster than systematic in multi-objective local search",
arXiv:2601.06318, 2026), here too.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nb201env.agents.contract import Env, SeveralProposals, follow, never_asked
from nb201env.agents.fronts.archive import Archive, offer
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray


@dataclass(frozen=True)
class ParetoLocalSearch:
    """Grow an archive from random starts; once all around it is known, begin another one.

    An answer is one run's, so an architecture that was unlucky once is left out of the archive for good. None
    is asked twice, unless all are known. The defaults were chosen on CIFAR-100; the preset "published" is the
    algorithm of 2004.

    Attributes:
        start: How many random architectures an archive begins with.
        move: What is asked before the next member is chosen, at random among those around which something may
            be new: "one" random neighbour that is not known, or "all" of the 24 one-edge neighbours.
    """

    start: int = 20
    move: str = "one"

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"published": {"start": 1, "move": "all"}}

    def __post_init__(self) -> None:
        if self.start < 1:
            raise ValueError(f"start must be at least 1; got {self.start}")
        if self.move not in ("one", "all"):
            raise ValueError(f"move must be 'one' or 'all'; got {self.move!r}")

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        follow(env, self.proposals(np.random.default_rng(seed)))

    def proposals(self, rng: np.random.Generator) -> SeveralProposals:
        """The search itself."""
        known: dict[int, FloatArray] = {}
        while True:
            archive: Archive = {}
            for _ in range(self.start):
                yield from _ask(never_asked(known, rng), archive, known)
            explored = set[int]()
            while waiting := [index for index in archive if index not in explored]:
                member = waiting[int(rng.integers(len(waiting)))]
                if (yield from self._explore(member, archive, known, rng)):
                    explored.add(member)

    def _explore(
        self, member: int, archive: Archive, known: dict[int, FloatArray], rng: np.random.Generator
    ) -> Generator[Architecture, FloatArray, bool]:
        """Look at a member's neighbours; whether all of them are known now."""
        around = [neighbour.index for neighbour in Architecture.from_index(member).neighbours()]
        for neighbour in rng.permutation(around).tolist():
            if neighbour in known:
                offer(archive, neighbour, known[neighbour])
                continue
            yield from _ask(neighbour, archive, known)
            if self.move == "one":
                return False
        return True


def _ask(
    index: int, archive: Archive, known: dict[int, FloatArray]
) -> Generator[Architecture, FloatArray, None]:
    known[index] = yield Architecture.from_index(index)
    offer(archive, index, known[index])
