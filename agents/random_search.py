"""Random search: uniformly random architectures until the budget is spent.

The baseline every other agent has to beat (Li & Talwalkar, UAI 2019). Because the table is
known, what it reaches on average is known too: `expected_best`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nb201env.agents.contract import Env, query
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.space import sample
from nb201env.table import Table


@dataclass(frozen=True)
class RandomSearch:
    """Ask for uniformly random architectures, with replacement."""

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        rng = np.random.default_rng(seed)
        over = False
        while not over:
            over = query(env, Architecture.from_index(int(sample(rng)))).over


def expected_best(table: Table, queries: npt.ArrayLike, *, epochs: int) -> FloatArray:
    """The mean accuracy that random search's incumbent has, on average over its luck.

    The incumbent is the architecture whose sampled run was the best so far. With the
    architecture-run pairs sorted by accuracy and p_k the chance of drawing pair k,
    ``E = sum_k mean_k * (F_k**n - F_{k-1}**n)`` where F_k sums p up to k: the chance that the
    best of n draws is pair k. Pairs of equal accuracy share their chance.

    Args:
        table: The table, queried with run="sample".
        queries: Numbers of queries n, any shape.
        epochs: Epochs completed.

    Returns:
        Fractions, in the shape of `queries`.
    """
    runs = table.runs(split="valid", epochs=epochs)
    recorded = ~np.isnan(runs)
    mean = table.accuracy(split="valid", epochs=epochs, run="mean")
    architecture = np.nonzero(recorded)[0]
    chance = (1.0 / recorded.sum(axis=1)[architecture]) / len(runs)
    group = np.unique(runs[recorded], return_inverse=True)[1]
    weight = np.bincount(group, chance)
    group_mean = np.bincount(group, chance * mean[architecture]) / weight
    cumulative = np.concatenate([[0.0], np.cumsum(weight)])
    cumulative[-1] = 1.0
    n = np.asarray(queries, dtype=np.float64)[..., None]
    return np.asarray((np.diff(cumulative**n) * group_mean).sum(axis=-1))
