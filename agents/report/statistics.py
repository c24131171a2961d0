"""The statistics of a report: numpy alone, so that a report needs no extra; tests hold it to scipy.

Chances and shares have score intervals (see `nb201env.agents.report.intervals`), means Student's t
intervals, interquartile means bootstrap intervals, stratified where there are several environments: searches
are redrawn within each environment (Agarwal et al., Deep Reinforcement Learning at the Edge of the
Statistical Precipice, NeurIPS 2021). Percentiles of redrawn means are too narrow for few searches, so they
are taken farther out (Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician
69, 2015). All intervals are of 95 %. The same scores give the same interval, whatever else is in the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np

from nb201env.agents.report.distributions import normal_cdf, t_quantile
from nb201env.agents.report.intervals import LEVEL, Limits, chance, mann_whitney, mean_limits, wilson
from nb201env.arrays import FloatArray, IntArray

RESAMPLES = 2000
FEWEST = 5
"""The fewest searches whose interquartile mean has an interval: fewer, redrawn, do not spread enough."""
_SEED = 201
_HAIR = 1e-12  # what sums of the same numbers in another order differ by


class Estimate(NamedTuple):
    """A number and its interval; `low` and `high` are NaN where the scores do not give one."""

    value: float
    low: float
    high: float


def iqm(scores: FloatArray) -> FloatArray:
    """Interquartile mean along the last axis: the mean without the lowest and highest quarter.

    A quarter is rounded down, as in ``scipy.stats.trim_mean(scores, 0.25)``.
    """
    cut = scores.shape[-1] // 4
    return np.asarray(np.sort(scores, axis=-1)[..., cut : scores.shape[-1] - cut].mean(axis=-1))


def iqm_estimate(strata: Sequence[FloatArray], resamples: int = RESAMPLES) -> Estimate:
    """The interquartile mean of all scores together, with its stratified bootstrap interval.

    There is none of fewer than `FEWEST` scores, and none where redrawn scores have the same interquartile
    mean: all alike, say.

    Args:
        strata: The scores, one array [searches] per environment.
        resamples: How often the scores are redrawn.
    """
    value = float(iqm(np.concatenate(strata)))
    if min(map(len, strata)) < FEWEST:
        return Estimate(value, np.nan, np.nan)
    tail = _tail(sum(map(len, strata)), len(strata))
    low, high = np.quantile(_redrawn(strata, resamples), [tail, 1 - tail]).tolist()
    if high - low <= _HAIR:
        return Estimate(value, np.nan, np.nan)
    return Estimate(*np.round([value, low, high], 12).tolist())


def _redrawn(strata: Sequence[FloatArray], resamples: int) -> FloatArray:
    """Interquartile means of redrawn scores; float64 [resamples].

    What is drawn is how often each value occurs, so searches that end alike cost nothing.
    """
    rng, values, counts = np.random.default_rng(_SEED), list[FloatArray](), list[IntArray]()
    for scores in strata:
        value, times = np.unique(scores, return_counts=True)
        values.append(value)
        counts.append(rng.multinomial(len(scores), times / len(scores), size=resamples))
    value, total = np.concatenate(values), sum(map(len, strata))
    order, cut = np.argsort(value, kind="stable"), total // 4
    up_to = np.cumsum(np.concatenate(counts, axis=1)[:, order], axis=1)
    kept: IntArray = np.diff(np.clip(up_to, cut, total - cut), axis=1, prepend=cut).astype(np.int64)
    # Not with @: that is threaded, and the number of threads would show in the last digits.
    return np.asarray(np.einsum("rv,v->r", kept, value[order]) / (total - 2 * cut))


def _tail(count: int, strata: int) -> float:
    """The share of redrawn means left out at either end of the interval.

    Redrawn means spread less than means do, by the root of (n - 1) / n, and a normal distribution knows
    nothing of how roughly n scores tell their spread: Hesterberg's t distribution with n - 1 degrees of
    freedom does. (Several strata lose one score each.)
    """
    freedom = count - strata
    return normal_cdf(-np.sqrt(count / freedom) * t_quantile((1 + LEVEL) / 2, freedom))


def mean_estimate(scores: FloatArray) -> Estimate:
    """The mean of scores [searches] with Student's t interval; none of one search, or of scores all alike."""
    low, high = mean_band(scores[:, None])
    value = float(scores.mean())
    return Estimate(value, np.nan, np.nan) if high[0] == low[0] else Estimate(value, low[0], high[0])


def mean_band(curves: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Student's t interval of the mean curve, point by point; of no width where all curves meet.

    Args:
        curves: float64 [searches, points].

    Returns:
        Low and high, float64 [points]; NaN where there is only one search.
    """
    count, mean = len(curves), curves.mean(axis=0)
    if count < 2:
        return np.full(curves.shape[1], np.nan), np.full(curves.shape[1], np.nan)
    spread = np.where(np.ptp(curves, axis=0) > _HAIR, curves.std(axis=0, ddof=1), 0)
    half = t_quantile((1 + LEVEL) / 2, count - 1) * spread / np.sqrt(count)
    return mean - half, mean + half


def improvement(ours: Sequence[FloatArray], theirs: Sequence[FloatArray], level: float = LEVEL) -> Estimate:
    """How likely a search of ours has a lower regret than one of theirs; a tie counts half.

    In one environment this is the Mann-Whitney U statistic divided by the number of pairs, with Newcombe's
    score interval; over several it is the mean over environments.

    Args:
        ours: Final regrets, or other scores that are better when lower, one array [searches] per environment.
        theirs: Likewise, in the same environments.
        level: Of the interval.
    """
    return improvements({"ours": ours, "theirs": theirs}, [("ours", "theirs")], level)["ours", "theirs"]


def improvements(
    finals: Mapping[str, Sequence[FloatArray]],
    pairs: Sequence[tuple[str, str]] | None = None,
    level: float = LEVEL,
) -> dict[tuple[str, str], Estimate]:
    """By pair of agents: how likely the first one's search beats the second one's; see `improvement`.

    Args:
        finals: By agent, one array [searches] per environment.
        pairs: The pairs; all if None.
        level: Of the intervals.
    """
    pairs = [*permutations(finals, 2)] if pairs is None else pairs
    chances = np.array([[*map(chance, finals[a], finals[b])] for a, b in pairs]).T
    ours, theirs = (
        np.array([[*map(len, finals[pair[side]])] for pair in pairs]).T for side in (0, 1)
    )  # each [environments, pairs]
    if not pairs:
        return {}
    low, high = mean_limits(chances, mann_whitney(chances, ours, theirs, level))
    rows = np.round([chances.mean(axis=0), low, high], 12).T.tolist()
    return {pair: Estimate(*row) for pair, row in zip(pairs, rows, strict=True)}


def profile(scores: FloatArray, thresholds: FloatArray) -> FloatArray:
    """The share of searches whose score is at most each threshold; float64 [thresholds]."""
    return np.searchsorted(np.sort(scores), thresholds, side="right") / len(scores)


def profile_band(
    strata: Sequence[FloatArray], thresholds: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A performance profile, the mean over environments, and Wilson's intervals of these shares.

    Args:
        strata: Final regrets (or another score that is better when lower), one array per environment.
        thresholds: float64 [thresholds].

    Returns:
        The profile, low and high, float64 [thresholds].
    """
    shares = np.array([profile(scores, thresholds) for scores in strata])
    limits = [wilson(share, len(scores)) for share, scores in zip(shares, strata, strict=True)]
    low, high = mean_limits(shares, Limits(*map(np.array, zip(*limits, strict=True))))
    return shares.mean(axis=0), low, high


class Reach(NamedTuple):
    """How soon searches asked for an architecture that is good enough.

    Attributes:
        reached: How many did within their budget.
        searches: How many there are.
        mean: Mean number of queries (or seconds), if all did; else NaN (the others' is not known).
        median: Median number of queries, those that did not counted as more than all others'; NaN
            if the median is one of these.
        longest: Most queries that one of those that did needed; NaN if none did.
    """

    reached: int
    searches: int
    mean: float
    median: float
    longest: float

    @property
    def share(self) -> Estimate:
        """The share of searches that did, with Wilson's interval."""
        share = self.reached / self.searches
        return Estimate(share, *map(float, wilson(share, self.searches)))


def reach(queries: FloatArray) -> Reach:
    """Summarise how many queries (or seconds) each search needed; infinity where the budget ended before."""
    count = len(queries)
    there = queries[np.isfinite(queries)]
    with np.errstate(invalid="ignore"):  # the middle of two infinities
        median = float(np.median(queries))
    return Reach(
        reached=len(there),
        searches=count,
        mean=float(queries.mean()) if len(there) == count else np.nan,
        median=median if np.isfinite(median) else np.nan,
        longest=float(there.max()) if len(there) else np.nan,
    )


def first_reached(regret: FloatArray, within: float) -> float:
    """The number of the first query (from 1) whose regret is at most `within`; infinity if none."""
    # Means of runs are sums in floating point: a hair's breadth is no difference in accuracy.
    hits = np.flatnonzero(regret <= within + 1e-12)
    return float(hits[0] + 1) if len(hits) else np.inf


def log_grid(longest: int, points: int = 160) -> IntArray:
    """Numbers of queries from 1 to `longest`: all of the first, then evenly on a log scale."""
    return np.unique(np.rint(np.geomspace(1, longest, points)).astype(np.int64))
