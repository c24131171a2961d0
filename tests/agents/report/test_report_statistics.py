"""The report's statistics against closed forms, against scipy, and against many repetitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nb201env.agents.report import statistics as s
from nb201env.arrays import FloatArray

stats = pytest.importorskip("scipy.stats")
SCORES = arrays(np.float64, st.integers(1, 40), elements=st.integers(0, 8).map(float))


# -- interquartile mean and intervals --------------------------------------------------------


@given(SCORES)
def test_iqm_is_scipys_trimmed_mean(scores: FloatArray) -> None:
    assert s.iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25))


def test_iqm_in_closed_form() -> None:
    assert s.iqm(np.arange(8.0)) == 3.5
    assert s.iqm(np.array([0.0, 1, 2, 1000])) == 1.5
    assert s.iqm(np.array([5.0])) == 5
    np.testing.assert_array_equal(s.iqm(np.array([[1.0, 2, 3], [4, 5, 9]])), [2, 6])


@pytest.mark.parametrize("sizes", [(25,), (12, 30, 20)])
def test_intervals_agree_with_scipys_bootstrap(sizes: tuple[int, ...]) -> None:
    """scipy redraws several samples each on its own too: that is the stratification.

    The percentiles are Hesterberg's: those of t with n - 1 degrees of freedom, root n / (n - 1) farther out.
    """
    rng = np.random.default_rng(1)
    strata = [rng.exponential(1 + i, size=n) for i, n in enumerate(sizes)]
    ours = s.iqm_estimate(strata, resamples=20_000)

    def statistic(*samples: FloatArray, axis: int) -> FloatArray:
        assert axis == -1
        return s.iqm(np.concatenate(samples, axis=-1))

    n, free = sum(sizes), sum(sizes) - len(sizes)
    tail = stats.norm.cdf(stats.t.ppf(0.025, free) * np.sqrt(n / free))
    assert tail < 0.025
    theirs = stats.bootstrap(strata, statistic, n_resamples=20_000, method="percentile", random_state=rng,
                             confidence_level=1 - 2 * tail)  # fmt: skip
    assert ours.value == pytest.approx(s.iqm(np.concatenate(strata)))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.05 * width)


def covered(interval: Callable[[FloatArray], Sequence[float]], count: int, times: int = 2000) -> float:
    """The share of intervals of so many normal scores that hold their mean."""
    rng, held = np.random.default_rng(count), 0
    for _ in range(times):
        low, high = interval(rng.normal(size=count))
        held += low <= 0 <= high
    return held / times


@pytest.mark.parametrize("count", [5, 10, 20])
def test_intervals_cover_the_truth(count: int) -> None:
    assert 0.92 <= covered(lambda scores: s.iqm_estimate([scores], resamples=1000)[1:], count) <= 0.99
    assert 0.92 <= covered(lambda scores: s.mean_estimate(scores)[1:], count) <= 0.98


def _iqm(scores: FloatArray, axis: int) -> FloatArray:
    assert axis == -1
    return s.iqm(scores)


@pytest.mark.parametrize(("statistic", "count"), [(_iqm, 5), (np.mean, 5), (np.mean, 10)])
def test_percentiles_of_redrawn_means_would_not(statistic: Any, count: int) -> None:
    """What is wrong with 2.5 and 97.5 %: the test above fails with them."""
    rng = np.random.default_rng(0)

    def percentiles(scores: FloatArray) -> Sequence[float]:
        drawn = scores[rng.integers(count, size=(500, count))]
        low, high = np.quantile(statistic(drawn, axis=-1), [0.025, 0.975])
        return low, high

    assert covered(percentiles, count) < 0.92


def test_stratification_keeps_differences_between_environments_out() -> None:
    """Two environments that differ a lot: the interval is that of the spread within them."""
    within = np.linspace(-1, 1, 10)
    _, low, high = s.iqm_estimate([within, within + 100])
    assert 49 < low < 50 < high < 51
    _, low, high = s.iqm_estimate([np.concatenate([within, within + 100])])
    assert low < 40
    assert high > 60


def test_the_same_scores_have_the_same_interval() -> None:
    scores = np.random.default_rng(3).normal(size=20)
    assert s.iqm_estimate([scores]) == s.iqm_estimate([scores[::-1].copy()])
    assert s.improvement([scores], [scores + 1]) == s.improvement([scores], [scores + 1])


@pytest.mark.parametrize("scores", [[0.3], [0.3] * 8, [0.0] * 20, [0.1, 0.2, 0.3, 0.4]])
def test_what_cannot_have_an_interval_has_none(scores: list[float]) -> None:
    """One search, searches that all end alike, and an interquartile mean of fewer than five."""
    held = np.array(scores)
    assert np.isnan(s.iqm_estimate([held])[1:]).all()
    assert s.iqm_estimate([held]).value == pytest.approx(stats.trim_mean(held, 0.25))
    if len(set(scores)) == 1:
        assert np.isnan(s.mean_estimate(held)[1:]).all()


def test_an_interquartile_mean_that_no_redrawing_moves_has_none() -> None:
    assert np.isnan(s.iqm_estimate([np.array([0.0] * 39 + [0.5])])[1:]).all()


@given(arrays(np.float64, st.integers(2, 30), elements=st.floats(-9, 9), unique=True))
def test_the_interval_of_a_mean_is_students(scores: FloatArray) -> None:
    value, low, high = s.mean_estimate(scores)
    assert value == scores.mean()
    if np.ptp(scores) > 1e-6:  # below, scipy's standard error may be 0, of which it has no interval
        theirs = stats.t.interval(0.95, len(scores) - 1, scores.mean(), stats.sem(scores))
        np.testing.assert_allclose([low, high], theirs, atol=1e-9)


def test_bands_are_intervals_point_by_point() -> None:
    curves = np.random.default_rng(4).normal(size=(12, 5)) * np.array([1, 2, 3, 4, 0])
    low, high = s.mean_band(curves)
    for point in range(4):
        assert (low[point], high[point]) == pytest.approx(s.mean_estimate(curves[:, point])[1:])
    assert low[4] == high[4] == 0
    assert np.isnan(s.mean_band(curves[:1])).all()


# -- probability of improvement --------------------------------------------------------------


@given(SCORES, SCORES)
def test_improvement_is_the_mann_whitney_statistic_per_pair(a: FloatArray, b: FloatArray) -> None:
    """U counts pairs in which the second argument is smaller: regret is better when lower."""
    ours, theirs = s.improvement([a], [b]), s.improvement([b], [a])
    assert ours.value == pytest.approx(stats.mannwhitneyu(b, a).statistic / (len(a) * len(b)))
    np.testing.assert_allclose([ours.value, ours.low, ours.high], 1 - np.array(theirs)[[0, 2, 1]], atol=1e-9)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1
    assert ours.high - ours.low > 0.1


def test_improvement_over_environments_is_the_mean() -> None:
    a, b = [np.array([1.0, 2]), np.array([5.0])], [np.array([3.0]), np.array([4.0])]
    assert s.improvement(a, b).value == 0.5
    assert s.improvement(a[:1], b[:1]).value == 1


def test_all_pairs_are_the_single_ones() -> None:
    rng = np.random.default_rng(7)
    finals = {name: [rng.normal(size=n), rng.normal(size=5)] for name, n in (("a", 4), ("b", 9), ("c", 1))}
    pairs = s.improvements(finals)
    assert list(pairs) == [*permutations("abc", 2)]
    assert all(pairs[a, b] == s.improvement(finals[a], finals[b]) for a, b in pairs)
    assert s.improvements({"a": finals["a"]}) == {}


# -- profiles --------------------------------------------------------------------------------


@given(SCORES)
def test_profiles_rise_from_the_share_of_optima_to_one(scores: FloatArray) -> None:
    thresholds = np.linspace(0, 8, 33)
    share = s.profile(scores, thresholds)
    assert (np.diff(share) >= 0).all()
    assert share[0] == (scores == 0).mean()
    assert share[-1] == 1
    np.testing.assert_allclose(share, stats.ecdf(scores).cdf.evaluate(thresholds))


def test_the_band_of_a_profile_holds_it_and_has_the_binomial_width() -> None:
    rng, thresholds = np.random.default_rng(6), np.array([0.5, 1.0, 2.0])
    strata = [rng.exponential(size=200) for _ in range(2)]
    share, low, high = s.profile_band(strata, thresholds)
    np.testing.assert_allclose(share, np.mean([s.profile(x, thresholds) for x in strata], axis=0))
    np.testing.assert_allclose(high - low, 2 * 1.96 * np.sqrt(share * (1 - share) / 400), rtol=0.03)


@given(st.lists(SCORES, min_size=1, max_size=3))
def test_no_share_of_a_profile_is_certain(strata: list[FloatArray]) -> None:
    share, low, high = s.profile_band(strata, np.linspace(0, 8, 9))
    assert (low <= share).all()
    assert (share <= high).all()
    assert (high - low > 0.04).all()


# -- queries to reach ------------------------------------------------------------------------


def test_first_reached() -> None:
    regret = np.array([0.4, 0.003, 0.1, 0.0, 0.0])
    assert s.first_reached(regret, 0.003) == 2
    assert s.first_reached(regret, 0.0) == 4
    assert s.first_reached(regret + 0.01, 0.003) == np.inf
    assert s.first_reached(0.9161 - np.array([0.9131]), 0.003) == 1  # 0.0030000000000000027


def test_searches_that_did_not_reach_are_counted_as_such() -> None:
    inf = np.inf
    assert s.reach(np.array([10.0, 20, 60])) == (3, 3, 30, 20, 60)
    assert s.reach(np.array([10.0, inf])).share == pytest.approx((0.5, 0.0945, 0.9055), abs=1e-4)
    for queries, median in (([10, 20, inf], 20), ([10, inf, inf], np.nan), ([inf, inf], np.nan),
                            ([10, 20, inf, inf], np.nan)):  # fmt: skip
        found = s.reach(np.array(queries))
        assert found.reached == np.isfinite(queries).sum()
        assert np.isnan(found.mean)
        np.testing.assert_equal(found.median, median)


@given(st.integers(1, 20_000))
def test_grids_go_from_the_first_query_to_the_last(longest: int) -> None:
    grid = s.log_grid(longest)
    assert grid[0] == 1
    assert grid[-1] == longest
    assert (np.diff(grid) > 0).all()
    assert len(grid) <= 160
