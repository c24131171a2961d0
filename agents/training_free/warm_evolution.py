"""Warm evolution: regularized evolution whose first population is what zero-cost proxies promise most of.

The warm-up of Abdelfattah, Mehrotra, Dudziak & Lane, "Zero-Cost Proxies for Lightweight NAS" (ICLR 2021),
with their pool of 3,000 and their proxy, synflow; and, with `moves`, their move proposal: of several
mutations of a parent the one that promises most is asked. Otherwise it is
`nb201env.agents.regularized_evolution`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nb201env.agents.contract import Proposals
from nb201env.agents.regularized_evolution import RegularizedEvolution, at_random, evolve
from nb201env.agents.training_free.scores import best_first, check_proxies, class_scores
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.classes import canonical_classes, representatives
from nb201env.space import SIZE, mutate


@dataclass(frozen=True)
class WarmEvolution(RegularizedEvolution):
    """Evolution with aging that starts from promising architectures.

    Attributes:
        population: How many architectures are alive.
        sample: How many of them, drawn with replacement, compete to be the parent.
        edges: How a mutation chooses its edge: "official" or "uniform"; see `nb201env.space.mutate`.
        proxies: Names of `nb201env.open_proxies`, or "params" or "macs".
        combine: See `nb201env.agents.training_free.proxy_ranks.ProxyRanks`.
        pool: Of so many different random architectures the best by proxy are asked first. Members of a
            canonical class are one network, which is asked once: its first member.
        moves: Of so many mutations of a parent the best by proxy is asked; 1 is plain mutation.
    """

    proxies: tuple[str, ...] = ("synflow",)
    combine: str = "log"
    pool: int = 3000
    moves: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_proxies(self.proxies, self.combine)
        if not (self.population <= self.pool <= SIZE and self.moves >= 1):
            raise ValueError(
                f"pool must be from population ({self.population}) to {SIZE}, and moves at least 1; "
                f"got {self.pool} and {self.moves}"
            )

    def proposals(self, rng: np.random.Generator) -> Proposals:
        """The search itself."""
        scores = class_scores(self.proxies, rng, self.combine)

        def child(parent: Architecture) -> Architecture:
            children = mutate(np.full(self.moves, parent.index), rng, self.edges)
            promises = scores[canonical_classes()[children]]
            return Architecture.from_index(int(children[best_first(promises, rng)[0]]))

        return evolve(rng, self.population, self.sample, np.argmax, self._start(scores, rng), child)

    def _start(self, scores: FloatArray, rng: np.random.Generator) -> Iterator[Architecture]:
        """The pool's classes, best first; where it holds too few for a population, other random ones."""
        drawn = np.unique(canonical_classes()[rng.choice(SIZE, self.pool, replace=False)])
        for chosen in drawn[best_first(scores[drawn], rng)].tolist():
            yield Architecture.from_index(int(representatives()[chosen]))
        yield from at_random(rng)
