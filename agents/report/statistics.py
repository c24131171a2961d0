"""The statistics of a report: numpy alone, so that a report needs no extra; tests hold it to scipy.

Intervals are percentile bootstrap intervals of 95 %, stratified where there are several
environments: searches are redrawn within each environment (Agarwal et al., Deep Reinforcement
Learning at the Edge of the Statistical Precipice, NeurIPS 2021). The same scores give the same
interval, whatever else is in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from nb201env.arrays import Array, FloatArray, IntArray

RESAMPLES = 2000
LEVEL = 0.95
_TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
_SEED = 201
_AT_A_TIME = 1 << 18
"""How many numbers of resamples are in memory at a time: resamples do not depend on each other."""


class Estimate(NamedTuple):
    """A number and its interval; `low` and `high` are NaN where there is only one search."""

    value: float
    low: float
    high: float


def iqm(scores: FloatArray) -> FloatArray:
    """Interquartile mean along the last axis: the mean without the lowest and highest quarter.

    A quarter is rounded down, as in ``scipy.stats.trim_mean(scores, 0.25)``.
    """
    cut = scores.shape[-1] // 4
    return np.asarray(np.sort(scores, axis=-1)[..., cut : scores.shape[-1] - cut].mean(axis=-1))


def bootstrap(
    strata: Sequence[FloatArray],
    statistic: Callable[[FloatArray], FloatArray],
    resamples: int = RESAMPLES,
) -> Estimate:
    """A statistic of all scores together, with its stratified bootstrap interval.

    Args:
        strata: The scores, one array [searches] per environment.
        statistic: Takes scores [..., n] and reduces the last axis.
        resamples: How often the scores are redrawn.
    """
    rng = np.random.default_rng(_SEED)
    drawn = [_in_rows(partial(_any, rng, len(scores)), resamples, len(scores)) for scores in strata]
    rows = _rows(max(map(len, strata)))
    redrawn = [
        statistic(np.concatenate([s[picked] for s, picked in zip(strata, block, strict=True)], axis=-1))
        for block in zip(*(_blocks(picks, rows) for picks in drawn), strict=True)
    ]
    return _estimate(float(statistic(np.concatenate(strata))), np.concatenate(redrawn), strata)


def mean_band(curves: FloatArray, resamples: int = RESAMPLES // 2) -> tuple[FloatArray, FloatArray]:
    """The bootstrap interval of the mean curve, point by point.

    Args:
        curves: float64 [searches, points].
        resamples: How often the searches are redrawn.

    Returns:
        Low and high, float64 [points]; NaN where there is only one search.
    """
    count = len(curves)
    if count < 2:
        return np.full(curves.shape[1], np.nan), np.full(curves.shape[1], np.nan)
    # Not with @: that is threaded, and the number of threads would show in the last digits.
    blocks = [np.einsum("rs,sp->rp", weights, curves) for weights in _weights(count, resamples)]
    low, high = np.quantile(np.concatenate(blocks), _TAILS, axis=0)
    return low, high


def _weights(count: int, resamples: int, stream: int = 0, rows: int = 0) -> Iterator[FloatArray]:
    """How much each of `count` scores weighs in each redrawn mean, block by block.

    Args:
        count: How many scores there are.
        resamples: How many resamples.
        stream: Which draws, where there are several independent ones.
        rows: How many resamples at a time; as many as are good for memory if 0.

    Yields:
        float64 [rows, count].
    """
    blocks = _blocks(_counts(count, resamples, stream), rows or _rows(count))
    return (block / np.float64(count) for block in blocks)


@lru_cache(maxsize=8)
def _counts(count: int, resamples: int, stream: int) -> Array:
    """How often each of `count` scores is drawn in each resample; whole numbers [resamples, count].

    The same for all agents with as many searches, so they are drawn once.
    """
    rng, evenly = np.random.default_rng([_SEED, stream]), np.full(count, 1 / count)
    drawn = _in_rows(lambda rows: rng.multinomial(count, evenly, size=rows), resamples, count)
    return drawn.astype(np.min_scalar_type(int(drawn.max())))


def _any(rng: np.random.Generator, count: int, rows: int) -> IntArray:
    return rng.integers(count, size=(rows, count))


def _in_rows(draw: Callable[[int], IntArray], resamples: int, most: int) -> Array:
    """What `draw` makes of a number of rows, for all resamples, in the smallest type that holds `most`."""
    step = _rows(most)
    blocks = [min(step, resamples - start) for start in range(0, resamples, step)]
    return np.concatenate([draw(rows).astype(np.min_scalar_type(most)) for rows in blocks])


def _rows(count: int) -> int:
    """How many resamples of `count` scores to have in memory at a time."""
    return max(_AT_A_TIME // count, 1)


def _blocks(array: Array, rows: int) -> Iterator[Array]:
    return (array[start : start + rows] for start in range(0, len(array), rows))


def improvement(
    ours: Sequence[FloatArray], theirs: Sequence[FloatArray], resamples: int = RESAMPLES
) -> Estimate:
    """How likely a search of ours has a lower regret than one of theirs; a tie counts half.

    In one environment this is the Mann-Whitney U statistic divided by the number of pairs; over
    several it is the mean over environments.

    Args:
        ours: Final regrets, one array [searches] per environment.
        theirs: Likewise, in the same environments.
        resamples: How often the searches are redrawn.
    """
    value, redrawn = 0.0, np.zeros(resamples)
    for a, b in zip(ours, theirs, strict=True):
        evenly = np.full((1, len(a)), 1 / len(a)), np.full((1, len(b)), 1 / len(b))
        value += float(_chance(a, b, *evenly)[0]) / len(ours)
        rows = _rows(max(len(a), len(b)))
        pairs = zip(*(_weights(len(s), resamples, n, rows) for n, s in ((1, a), (2, b))), strict=True)
        redrawn += np.concatenate([_chance(a, b, *weights) for weights in pairs]) / len(ours)
    return _estimate(value, redrawn, [*ours, *theirs])


def _chance(a: FloatArray, b: FloatArray, a_weighs: FloatArray, b_weighs: FloatArray) -> FloatArray:
    """The weighted share of pairs with a below b, ties counted half; float64 [resamples].

    Args:
        a, b: Scores, float64 [n] and [m].
        a_weighs, b_weighs: Their weights in every resample, float64 [resamples, n] and [resamples, m].
    """
    order = np.argsort(b)
    sums = _cumulative(b_weighs[:, order])
    below, up_to = (sums[:, np.searchsorted(b[order], a, side=side)] for side in ("left", "right"))
    return np.asarray(np.einsum("rn,rn->r", a_weighs, 1 - 0.5 * (below + up_to)))


def _cumulative(weights: FloatArray) -> FloatArray:
    """Sums of the first 0, 1, … weights of each row."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def profile(scores: FloatArray, thresholds: FloatArray) -> FloatArray:
    """The share of searches whose score is at most each threshold; float64 [thresholds]."""
    return np.searchsorted(np.sort(scores), thresholds, side="right") / len(scores)


def profile_band(
    strata: Sequence[FloatArray], thresholds: FloatArray, resamples: int = RESAMPLES
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A performance profile, the mean over environments, and its stratified bootstrap interval.

    Args:
        strata: Final regrets (or another score that is better when lower), one array per environment.
        thresholds: float64 [thresholds].
        resamples: How often the searches are redrawn.

    Returns:
        The profile, low and high, float64 [thresholds].
    """
    share, redrawn = np.zeros(len(thresholds)), np.zeros((resamples, len(thresholds)))
    for number, scores in enumerate(strata):
        share += profile(scores, thresholds) / len(strata)
        order = np.argsort(scores)
        places = np.searchsorted(scores[order], thresholds, side="right")
        blocks = _weights(len(scores), resamples, number)
        redrawn += np.concatenate([_cumulative(w[:, order])[:, places] for w in blocks]) / len(strata)
    low, high = np.quantile(redrawn, _TAILS, axis=0)
    return share, low, high


class Reach(NamedTuple):
    """How soon searches asked for an architecture that is good enough.

    Attributes:
        reached: How many did within their budget.
        searches: How many there are.
        mean: Mean number of queries, if all did; else NaN (the others' number is not known).
        median: Median number of queries, those that did not counted as more than all others'; NaN
            if the median is one of these.
        longest: Most queries that one of those that did needed; NaN if none did.
    """

    reached: int
    searches: int
    mean: float
    median: float
    longest: float


def reach(queries: FloatArray) -> Reach:
    """Summarise how many queries each search needed; infinity where the budget ended before."""
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


def _estimate(value: float, redrawn: FloatArray, strata: Sequence[FloatArray]) -> Estimate:
    if min(map(len, strata)) < 2:
        return Estimate(value, np.nan, np.nan)
    # Sums of the same weights in another order differ in the last digits: a half stays a half.
    value, low, high = np.round([value, *np.quantile(redrawn, _TAILS)], 12).tolist()
    return Estimate(value, low, high)
