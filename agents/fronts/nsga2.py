"""NSGA-II: parents from tournaments by dominance, survivors by rank and crowding; through pymoo.

Deb, Pratap, Agarwal & Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
Transactions on Evolutionary Computation 6(2), 2002; pymoo: Blank & Deb, IEEE Access 8, 2020. An edge is a
variable with five values of no order, so children take each edge from either parent, and a mutation draws its
op anew; simulated binary crossover and polynomial mutation, pymoo's own choice, are for numbers.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nb201env.agents.contract import Env, SeveralProposals, follow, never_asked
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.extras import check, require
from nb201env.space import NUM_EDGES, NUM_OPS


@dataclass(frozen=True)
class NSGA2:
    """pymoo's NSGA-II by ask and tell, generation by generation.

    No architecture is asked twice, unless all are known: children that were asked before do not count, and
    more are bred. Where a hundred rounds of that, pymoo's limit, yield too few, a generation is smaller;
    where they yield none, it is one random architecture.

    Attributes:
        population: How many survive, and how many children a generation has; the default is that of Syne
            Tune's ``NSGA2Searcher``, for budgets of some hundred queries.
        crossover: The chance that two parents' children are mixtures, each edge from either; if not, they
            start as copies. pymoo's default, and Deb's.
        mutation: The chance that a child's edge is drawn anew, from all five ops; Deb's is one over the
            number of variables.
    """

    population: int = 20
    crossover: float = 0.9
    mutation: float = 1 / NUM_EDGES

    def __post_init__(self) -> None:
        if self.population < 2:
            raise ValueError(f"population must be at least 2; got {self.population}")
        if not (0 <= self.crossover <= 1 and 0 <= self.mutation <= 1):
            raise ValueError(
                f"crossover and mutation are chances in 0..1; got {self.crossover} and {self.mutation}"
            )
        check("pymoo", "multi")

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        follow(env, self.proposals(np.random.default_rng(seed)))

    def proposals(self, rng: np.random.Generator) -> SeveralProposals:
        """The search itself."""
        known: dict[int, FloatArray] = {}
        algorithm = self._algorithm(int(rng.integers(2**32)), known)
        while True:
            children = algorithm.ask()
            if children is None:  # pymoo would end here
                algorithm.termination.force_termination = False
                stranger = Architecture.from_index(never_asked(known, rng))
                children = _pymoo("core.population").Population.new("X", np.array([stranger.ops]))
            for child in children:
                architecture = _architecture(child)
                reward = yield architecture
                known[architecture.index] = reward
                child.F = -reward  # pymoo minimises
            algorithm.tell(children)

    def _algorithm(self, seed: int, known: Container[int]) -> Any:
        """pymoo's NSGA-II without an end; all that it draws comes from a generator of its own."""
        _pymoo("config").Config.warnings["not_compiled"] = False  # it would be printed
        edge = _pymoo("core.variable").Integer(bounds=(0, NUM_OPS - 1))
        # How many objectives there are it sees by the first answers.
        problem = _pymoo("core.problem").Problem(
            n_var=NUM_EDGES, xl=0, xu=NUM_OPS - 1, vars={str(place): edge for place in range(NUM_EDGES)}
        )
        algorithm = _pymoo("algorithms.moo.nsga2").NSGA2(
            pop_size=self.population,
            sampling=_pymoo("operators.sampling.rnd").IntegerRandomSampling(),
            crossover=_pymoo("operators.crossover.ux").UniformCrossover(prob=self.crossover),
            mutation=_pymoo("operators.mutation.rm").ChoiceRandomMutation(prob_var=self.mutation, vtype=int),
            eliminate_duplicates=_OnlyNew(known),
            output=None,
            seed=seed,
        )
        return algorithm.setup(problem, termination=_pymoo("core.termination").NoTermination())


@dataclass(frozen=True)
class _OnlyNew:
    """Which children pymoo keeps: none that was asked before, and none twice."""

    known: Container[int]

    def do(self, children: Any, *others: Iterable[Any]) -> Any:
        """The children that are new, of a population, beside other populations."""
        there = {_architecture(one).index for other in others for one in other}
        kept = []
        for place, child in enumerate(children):
            index = _architecture(child).index
            if index not in there and index not in self.known:
                there.add(index)
                kept.append(place)
        return children[kept]


def _architecture(individual: Any) -> Architecture:
    return Architecture(tuple(individual.X.tolist()))


def _pymoo(module: str) -> Any:
    return require(f"pymoo.{module}", "multi")
