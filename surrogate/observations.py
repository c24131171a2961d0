"""Observations: the rows that a regressor is fitted on, each once, with what was seen of it and its weight.

scikit-learn takes a weight of 3 for a row that stands three times, and 0 for one that does not stand there.
Here that is so by construction: rows that are equal become one, with their weighted mean, before anything is
drawn or learnt. Only ratios of weights count: a row for each of ten runs of every architecture, or a weight
of ten for all, makes no architecture more certain than one row each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from nb201env.arrays import Array, FloatArray, IntArray


@dataclass(frozen=True)
class Observations:
    """What was seen of k different rows.

    Attributes:
        rows: Where each stands first, int64 [k].
        values: Its weighted mean, float64 [k].
        scatter: The weighted variance around it, float64 [k]; 0 where all values are equal.
        weight: Its weight, float64 [k], 1 on average; None if all weigh the same.
    """

    rows: IntArray
    values: FloatArray
    scatter: FloatArray
    weight: FloatArray | None

    @classmethod
    def of(cls, X: Array, values: FloatArray, sample_weight: npt.ArrayLike | None) -> Self:
        """Join the rows of `X` [n, columns] that are equal.

        Args:
            X: Numbers.
            values: What was seen, float64 [n].
            sample_weight: How much each row weighs, float [n]; None for all the same.

        Raises:
            ValueError: If a weight is negative or no number, all are zero, or there is not one for each row.
        """
        each = _relative(sample_weight, len(values))
        kept = np.flatnonzero(each)
        each, values = each[kept], values[kept]
        _, first, of = np.unique(X[kept], axis=0, return_index=True, return_inverse=True)
        of = of.reshape(-1)  # NumPy 2.0 has another shape here
        weight = np.bincount(of, each)
        # From each row's first value, so that the mean of equal values is that value to the last bit.
        off = values - values[first][of]
        mean = np.bincount(of, each * off) / weight
        scatter = np.bincount(of, each * (off - mean[of]) ** 2) / weight
        found = cls(kept[first], values[first] + mean, scatter, weight * (len(weight) / weight.sum()))
        return found._in_order() if (weight == weight[0]).all() else found

    def _in_order(self) -> Self:
        """Rows that weigh the same, as they came. Others stay sorted: repeated rows have no order."""
        order = np.argsort(self.rows)
        return type(self)(self.rows[order], self.values[order], self.scatter[order], None)

    def mean(self) -> float:
        """The weighted mean of all values."""
        return float(np.average(self.values, weights=self.weight))

    def deviation(self) -> float:
        """Their weighted standard deviation."""
        squares = (self.values - self.mean()) ** 2 + self.scatter
        return float(np.sqrt(np.average(squares, weights=self.weight)))


def _relative(sample_weight: npt.ArrayLike | None, rows: int) -> FloatArray:
    """A weight for each row, checked; float64 [rows].

    Divided by a power of two, so that the largest is at most 1 and no bit is lost.
    """
    if sample_weight is None:
        return np.ones(rows)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (rows,):
        raise ValueError(
            f"sample_weight is one number for each of the {rows:,} rows of X; got shape {list(weight.shape)}"
        )
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(wrong):
        raise ValueError(
            f"sample_weight are finite numbers of 0 or more; got {weight[wrong[0]]:g} for row {wrong[0]} of X"
        )
    if not weight.any():
        raise ValueError("every sample_weight is zero; give at least one row of X a weight")
    return np.asarray(np.ldexp(weight, -np.frexp(weight.max())[1]))
