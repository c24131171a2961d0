"""An evolution strategy: CMA-ES (Hansen & Ostermeier, 2001; the library ``cma``) on op logits.

A point has 30 numbers, one for each edge and op, and names an architecture by the greatest number of
each edge, so that the strategy searches a landscape of plateaus.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nb201env.agents.contract import Env, Proposals, follow
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.extras import check, require
from nb201env.space import NUM_EDGES, NUM_OPS, SIZE, encode

DIMENSIONS = NUM_EDGES * NUM_OPS


@dataclass(frozen=True)
class CMAES:
    """CMA-ES from logits of zero, with Hansen's default settings; starts afresh when it converges.

    Attributes:
        sigma: The first step size. From zero logits it changes nothing: only the numbers' order counts.
        population: Points per generation; None is 4 + floor(3 ln 30) = 14, Hansen's.
        ask_again: Whether an architecture met a second time is asked a second time; otherwise its
            first answer counts.
        patience: Generations in a row without a new architecture after which it starts afresh.
    """

    sigma: float = 1.0
    population: int | None = None
    ask_again: bool = False
    patience: int = 3

    def __post_init__(self) -> None:
        if not self.sigma > 0 or self.patience < 1 or (self.population is not None and self.population < 2):
            raise ValueError("sigma must be above 0, patience at least 1, population at least 2 (or None)")
        check("cma", "agents")

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        follow(env, self.proposals(np.random.default_rng(seed)))

    def proposals(self, rng: np.random.Generator) -> Proposals:
        """The search itself."""
        known: dict[int, float] = {}
        while True:
            strategy, stale = self._start(rng), 0
            while stale < self.patience and not strategy.stop():
                points, fresh = strategy.ask(), False
                chosen = [_index(point) for point in points]
                for index in chosen:
                    if self.ask_again or index not in known:
                        fresh = True
                        known[index] = yield Architecture.from_index(index)
                strategy.tell(points, [-known[index] for index in chosen])
                stale = 0 if fresh else stale + 1
            if len(known) == SIZE:
                known.clear()

    def _start(self, rng: np.random.Generator) -> Any:
        options: dict[str, Any] = {
            "randn": lambda *shape: rng.standard_normal(shape), "seed": math.nan,  # no global generator
            "verbose": -10, "verb_log": 0, "verb_disp": 0, "signals_filename": "",
        }  # fmt: skip
        if self.population is not None:
            options["popsize"] = self.population
        cma = require("cma", "agents")
        return cma.CMAEvolutionStrategy(DIMENSIONS * [0.0], self.sigma, options)


def _index(point: FloatArray) -> int:
    return int(encode(np.reshape(point, (NUM_EDGES, NUM_OPS)).argmax(axis=1)))
