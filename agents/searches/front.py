"""What a search for a front has found: its share of the true front's hypervolume, query by query.

Everything is judged by the table's means over runs, as it is with one objective: a search sees single runs,
of which the lucky ones look best. Two sets are told apart: all that a search *asked for*, and its *answer*,
the architectures that looked best to it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from nb201env.agents.searches.outcome import Outcome
from nb201env.arrays import FloatArray, IntArray
from nb201env.fronts.expected import expected_hypervolume, expected_share
from nb201env.fronts.front import Points, points
from nb201env.fronts.quality import hypervolume, hypervolumes, met
from nb201env.space import SIZE
from nb201env.table import Table


@dataclass(frozen=True, eq=False)
class FrontLandscape:
    """A table and objectives as searches for a front are judged by them.

    Attributes:
        table: The table.
        all: Every architecture that it holds, by means over runs.
        front: The true front.
    """

    table: Table
    all: Points
    front: Points

    @classmethod
    def of(cls, table: Table, objectives: list[Any], epochs: int | None = None) -> FrontLandscape:
        """That of a table; `objectives` and `epochs` are an environment's arguments."""
        every = points(table, objectives, epochs=epochs)
        return cls(table, every, every.front())

    @cached_property
    def scaled(self) -> FloatArray:
        """By lexicographic index: rewards so that 0 is the worst of each objective and 1 the best.

        float64 [15626, m]; NaN where the table has none, and in the last row, which is of no architecture.
        """
        found = np.full((SIZE + 1, self.all.rewards.shape[1]), np.nan)
        found[self.all.index] = self.all.scaled(self.all.rewards)
        return found

    @cached_property
    def scaled_front(self) -> FloatArray:
        """The true front likewise; float64 [k, m]."""
        return self.all.scaled(self.front.rewards)

    @cached_property
    def volume(self) -> float:
        """The true front's hypervolume, with the worst of each objective as the reference point."""
        return hypervolume(self.scaled_front, self._origin)

    @property
    def _origin(self) -> FloatArray:
        return np.zeros(self.scaled.shape[1])

    def volumes(self, asked: IntArray) -> FloatArray:
        """The share of the true front's hypervolume after each query; float64 [queries], in [0, 1]."""
        return hypervolumes(self.scaled[asked], self._origin) / self.volume

    def shares(self, asked: IntArray) -> FloatArray:
        """The share of the true front's points found after each query; float64 [queries], in [0, 1]."""
        found = met(self.scaled[asked], self.scaled_front)
        return np.asarray(np.logical_or.accumulate(found, axis=0).mean(axis=1))

    def expected_volumes(self, queries: IntArray) -> FloatArray:
        """What random search's `volumes` are on average, in closed form.

        Raises:
            ValueError: With objectives for which it takes too long; see `nb201env.fronts.expected`.
        """
        every = self.scaled[self.all.index]
        return expected_hypervolume(every, self._origin, queries) / self.volume

    def expected_shares(self, queries: IntArray) -> FloatArray:
        """What random search's `shares` are on average, in closed form."""
        return expected_share(self.scaled[self.all.index], self.scaled_front, queries)


def front_landscape(outcome: Outcome) -> FrontLandscape:
    """What a search is judged by: its table, and the objectives of its environment.

    Raises:
        ValueError: If it had one objective.
    """
    kwargs = outcome.header["env"]["kwargs"]
    if not kwargs.get("objectives"):
        raise ValueError(f"{outcome.path}: a search with one objective has no front")
    return _landscape(outcome.landscape.table, json.dumps(kwargs["objectives"]), kwargs.get("epochs"))


@lru_cache(maxsize=16)
def _landscape(table: Table, objectives: str, epochs: int | None) -> FrontLandscape:
    return FrontLandscape.of(table, json.loads(objectives), epochs)


def whole_queries(outcome: Outcome) -> IntArray:
    """The architectures asked for at the whole training; int64 [queries], -1 for shorter ones."""
    return np.where(outcome.whole, outcome.index.astype(np.int64), -1)


def gap(volumes: FloatArray) -> FloatArray:
    """What shares of the true front's hypervolume lack of it; float64 like `volumes`, in [0, 1].

    Equal sets of points lack exactly as much, in whatever order their volumes were summed.
    """
    return np.clip(np.round(1 - volumes, 12), 0, 1)


def answer_volume(outcome: Outcome, landscape: FrontLandscape) -> float:
    """The share of the true front's hypervolume that a search's answer has by means over runs, in [0, 1]."""
    if outcome.answer is None or not len(outcome.answer):  # nothing was asked at the whole training
        return 0.0
    return 1 - float(gap(landscape.volumes(outcome.answer.astype(np.int64)))[-1])
