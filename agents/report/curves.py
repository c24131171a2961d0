"""Curves over queries and simulated time, and shares of searches: what all kinds of reports draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nb201env.agents.report import statistics as st
from nb201env.agents.searches.outcome import Outcome
from nb201env.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class Curve:
    """What one agent's searches had over queries or time, a regret say; float64 [points] each.

    Attributes:
        x: Queries, or simulated seconds.
        mean, low, high: The mean over searches and its 95 % interval (NaN of one search).
        median, q25, q75: Quartiles over searches.
    """

    x: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    median: FloatArray
    q25: FloatArray
    q75: FloatArray


@dataclass(frozen=True)
class Profile:
    """The share of searches that end with at most a certain regret; float64 [thresholds] each."""

    thresholds: FloatArray
    share: FloatArray
    low: FloatArray
    high: FloatArray


def profile_thresholds(worst: float) -> FloatArray:
    """Regrets at which profiles are drawn: 0 and then evenly on a log scale from 0.0001."""
    return np.concatenate([[0.0], np.geomspace(1e-4, max(worst, 2e-4), 100)])


def by_queries(values: Sequence[FloatArray], most: float = np.inf) -> Curve:
    """A curve over queries, up to the end of the shortest search.

    Args:
        values: Per search what it had after each query; float64 [queries].
        most: No value is above; none is below 0.
    """
    grid = st.log_grid(min(map(len, values)))
    return _curve(grid.astype(np.float64), np.array([one[grid - 1] for one in values]), most)


def by_seconds(clocks: Sequence[FloatArray], values: Sequence[FloatArray], most: float = np.inf) -> Curve:
    """A curve over time, from when every search has its first answer to when the first of them ends.

    Args:
        clocks: Per search the simulated seconds spent after each query; float64 [queries].
        values: Per search what it had then; likewise.
        most: No value is above; none is below 0.
    """
    start = max(float(clock[0]) for clock in clocks)
    end = max(min(float(clock[-1]) for clock in clocks), start)
    grid = np.geomspace(start, end, 160) if start > 0 else np.linspace(start, end, 160)
    grid[0], grid[-1] = start, end  # exactly: the last query may be what matters
    rows = [
        one[np.searchsorted(clock, grid, side="right") - 1] for clock, one in zip(clocks, values, strict=True)
    ]
    return _curve(grid, np.array(rows), most)


def _curve(x: FloatArray, values: FloatArray, most: float) -> Curve:
    low, high = st.mean_band(values)
    low, high = np.maximum(low, 0), np.minimum(high, most)  # of NaN they make NaN
    q25, median, q75 = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    return Curve(x, values.mean(axis=0), low, high, median, q25, q75)


def expected(queries: IntArray, values: FloatArray) -> Curve:
    """A curve that is computed and not averaged: it has no band and no quartiles."""
    nothing = np.full(len(queries), np.nan)
    return Curve(queries.astype(np.float64), values, nothing, nothing, nothing, nothing, nothing)


class Hit(NamedTuple):
    """When a search first asked for an architecture that is good enough; infinity if it did not.

    Attributes:
        queries: The number of that query.
        unique: How many different architectures it had asked for.
        seconds: The simulated seconds spent.
    """

    queries: float
    unique: float
    seconds: float


def hit(search: Outcome, query: float) -> Hit:
    """What a search had spent by one of its queries, from 1; or infinity, if there is no such query."""
    if query == np.inf:
        return Hit(np.inf, np.inf, np.inf)
    count = int(query)
    return Hit(query, float(len(np.unique(search.index[:count]))), float(search.clock[count - 1]))
