"""True Pareto fronts: of all that a table holds, computed from its numbers.

All objectives are turned so that more is better (see `nb201env.fronts.objectives`). One point dominates
another if it is at least as good in every objective and better in one; the front is what nothing dominates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nb201env.architecture import Architecture
from nb201env.arrays import BoolArray, FloatArray, IntArray
from nb201env.classes import canonical_classes, representatives
from nb201env.fronts.objectives import ACCURACY, DEFAULT, Given, Known, known_objectives, objective_costs
from nb201env.missing import NotRecorded
from nb201env.space import SIZE
from nb201env.table import Run, Table

Per = Literal["architecture", "class"]


@dataclass(frozen=True, eq=False)
class Points:
    """Architectures as points: one value for each objective.

    Attributes:
        objectives: What the columns are.
        index: Whose points they are, lexicographic indices; of a class, that of its first member; int64 [n].
        values: In the units of the objectives; float64 [n, m].
    """

    objectives: tuple[Known, ...]
    index: IntArray
    values: FloatArray

    @cached_property
    def rewards(self) -> FloatArray:
        """The values as rewards, more being better; float64 [n, m]."""
        return np.asarray(self.values * np.array([one.factor for one in self.objectives]))

    @cached_property
    def worst(self) -> FloatArray:
        """The worst reward of each objective; float64 [m]. The reference point of hypervolumes."""
        return np.asarray(self.rewards.min(axis=0))

    @cached_property
    def best(self) -> FloatArray:
        """The best reward of each objective, which no single point may have; float64 [m]."""
        return np.asarray(self.rewards.max(axis=0))

    @cached_property
    def worst_values(self) -> FloatArray:
        """`worst` in the units of the objectives; float64 [m]."""
        return self._values_at(self.rewards.argmin(axis=0))

    @cached_property
    def best_values(self) -> FloatArray:
        """`best` in the units of the objectives; float64 [m]."""
        return self._values_at(self.rewards.argmax(axis=0))

    def _values_at(self, rows: IntArray) -> FloatArray:
        return np.asarray(self.values[rows, np.arange(len(self.objectives))])

    @property
    def architectures(self) -> list[Architecture]:
        """Whose points they are."""
        return [Architecture.from_index(index) for index in self.index.tolist()]

    def front(self) -> Points:
        """The points that none dominates, the best of the first objective first; equal points count once."""
        kept = np.flatnonzero(nondominated(self.rewards))
        first = kept[np.unique(self.rewards[kept], axis=0, return_index=True)[1]]
        order = first[np.lexsort(-self.rewards[first].T[::-1])]
        return Points(self.objectives, self.index[order], self.values[order])

    def scaled(self, rewards: FloatArray) -> FloatArray:
        """Rewards so that `worst` is 0 and `best` is 1; see `scale`."""
        return scale(rewards, np.stack([self.worst, self.best]))


def points(
    table: Table,
    objectives: Given = DEFAULT,
    *,
    run: Run = "mean",
    per: Per = "architecture",
    epochs: int | None = None,
) -> Points:
    """All that a table holds, as points.

    Args:
        table: The table.
        objectives: See `nb201env.fronts.objectives.Objective`.
        run: Whose accuracy: "mean" over the runs of each architecture, or one seed's.
        per: "architecture", or "class": one point for each canonical class, the mean over its members that
            the table holds, for these compute the same function and differ by chance alone. Costs are means
            over them too: of two members of a class one may have parameters that nothing uses.
        epochs: Epochs completed; the schedule's end if None.

    Raises:
        NotRecorded: If the table lacks an objective, the run, or any accuracy.
        ValueError: If the objectives are not what they should be.
    """
    if per not in ("architecture", "class"):
        raise ValueError(f"per must be 'architecture' or 'class'; got {per!r}")
    known = known_objectives(table, objectives)
    if ACCURACY in [one.name for one in known]:
        accuracy = table.accuracy(split="valid", epochs=table.epochs if epochs is None else epochs, run=run)
    else:
        accuracy = np.zeros(SIZE)
    prices = iter(objective_costs(table, known))
    values = np.stack([accuracy if one.name == ACCURACY else next(prices) for one in known], axis=1)
    held = ~np.isnan(accuracy)
    if not held.any():
        raise NotRecorded(f"{table.name} holds no accuracy of run {run!r}")
    if per == "class":
        return _by_class(known, values, held)
    index = np.flatnonzero(held)
    return Points(known, index, values[index])


def true_front(table: Table, objectives: Given = DEFAULT, **how: Any) -> Points:
    """The Pareto front of all that a table holds; arguments and errors as of `points`."""
    return points(table, objectives, **how).front()


def _by_class(known: tuple[Known, ...], values: FloatArray, held: BoolArray) -> Points:
    classes = canonical_classes()[held]
    counts = np.bincount(classes, minlength=len(representatives()))
    sums = [np.bincount(classes, column[held], minlength=len(counts)) for column in values.T]
    there = counts > 0
    means = np.stack(sums, axis=1)[there] / counts[there, None]
    return Points(known, representatives()[there], means)


def scale(rewards: FloatArray, among: npt.ArrayLike) -> FloatArray:
    """Rewards so that 0 is the worst and 1 the best that points have, in each objective.

    Args:
        rewards: float64 [..., m].
        among: The points; float64 [k, m].

    Returns:
        float64 [..., m]; 0 in an objective in which these points are alike.
    """
    worst, best = np.min(among, axis=0), np.max(among, axis=0)
    return np.asarray((rewards - worst) / np.where(best > worst, best - worst, np.inf))


def nondominated(rewards: FloatArray) -> BoolArray:
    """Which points no other one dominates, more being better.

    Of equal points all or none are.

    Args:
        rewards: float64 [n, m], without NaN.

    Returns:
        bool [n].
    """
    unique, where = np.unique(rewards + 0.0, axis=0, return_inverse=True)  # -0.0 is 0.0
    found = np.zeros(len(unique), dtype=np.bool_)
    # In falling order of the first objective, then the next, nothing is dominated by what comes later.
    left, order = unique[::-1], np.arange(len(unique))[::-1]
    while len(left):
        found[order[0]] = True
        better = (left > left[0]).any(axis=1)
        left, order = left[better], order[better]
    return found[where.reshape(-1)]
