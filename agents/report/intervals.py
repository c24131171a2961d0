"""Confidence intervals of chances and shares, right for few searches too: none has no width.

Each formula is solved for all values at once; nothing is redrawn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nb201env.agents.report.distributions import normal_quantile
from nb201env.arrays import FloatArray

LEVEL = 0.95
_STEPS = 50  # of a bisection between 0 and 1


class Limits(NamedTuple):
    """The ends of intervals; float64, of the shape of what they are of."""

    low: FloatArray
    high: FloatArray


def wilson(share: npt.ArrayLike, count: int, level: float = LEVEL) -> Limits:
    """The score interval of a share of `count` independent searches.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, Journal of the
    American Statistical Association 22, 1927.
    """
    p, z = np.asarray(share, dtype=np.float64), _z(level)
    centre = (p + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    return Limits(np.clip(centre - half, 0, p), np.clip(centre + half, p, 1))


def chance(ours: FloatArray, theirs: FloatArray) -> float:
    """The share of pairs in which our score is the lower one; a tie counts half.

    It is the Mann-Whitney U statistic divided by the number of pairs.
    """
    held = np.sort(theirs)
    not_above = np.searchsorted(held, ours, side="left") + np.searchsorted(held, ours, side="right")
    return 1 - int(not_above.sum()) / (2 * len(ours) * len(theirs))


def mann_whitney(
    chances: npt.ArrayLike, ours: npt.ArrayLike, theirs: npt.ArrayLike, level: float = LEVEL
) -> Limits:
    """The score interval of a chance that was computed from all pairs of two groups of searches.

    Source: Newcombe, Confidence intervals for an effect size measure based on the Mann-Whitney statistic,
    part 2, Statistics in Medicine 25, 2006, method 5: all chances that lie no more than z of their own
    standard errors (Hanley & McNeil's for equal groups) from the one observed.

    Args:
        chances: See `chance`.
        ours, theirs: How many searches each group has.
        level: Of the interval.
    """
    observed = np.asarray(chances, dtype=np.float64)
    counts = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    high = _farthest(observed, *counts, _z(level))
    return Limits(1 - _farthest(1 - observed, *counts, _z(level)), high)


def _farthest(observed: FloatArray, ours: FloatArray, theirs: FloatArray, z: float) -> FloatArray:
    """The largest chance from which the observed one lies at most z standard errors; by bisection."""
    near, far = observed.copy(), np.ones_like(observed)
    for _ in range(_STEPS):
        middle = (near + far) / 2
        inside = (middle - observed) ** 2 <= z**2 * _variance(middle, ours, theirs)
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return np.asarray((near + far) / 2)


def _variance(chances: FloatArray, ours: FloatArray, theirs: FloatArray) -> FloatArray:
    each = (ours + theirs) / 2 - 1
    spread = 1 + each * (1 - chances) / (2 - chances) + each * chances / (1 + chances)
    return np.asarray(chances * (1 - chances) * spread / (ours * theirs))


def mean_limits(values: FloatArray, limits: Limits) -> Limits:
    """The interval of the mean of independent values that have intervals of their own.

    Source: Zou & Donner, Construction of confidence limits about effect measures: a general approach,
    Statistics in Medicine 27, 2008: squared distances to the limits add up.

    Args:
        values: float64 [values, ...].
        limits: Theirs, of the same shape.
    """
    mean, count = values.mean(axis=0), len(values)
    below = np.sqrt(((values - limits.low) ** 2).sum(axis=0)) / count
    above = np.sqrt(((limits.high - values) ** 2).sum(axis=0)) / count
    return Limits(np.maximum(mean - below, 0), np.minimum(mean + above, 1))


def _z(level: float) -> float:
    return normal_quantile((1 + level) / 2)
