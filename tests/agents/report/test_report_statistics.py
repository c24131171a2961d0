"""The report's statistics against closed forms, against scipy, and against many repetitions."""

from __future__ import annotations

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
    """scipy redraws several samples each on its own too: that is the stratification."""
    rng = np.random.default_rng(1)
    strata = [rng.exponential(1 + i, size=n) for i, n in enumerate(sizes)]
    ours = s.bootstrap(strata, s.iqm, resamples=20_000)

    def statistic(*samples: FloatArray, axis: int) -> FloatArray:
        assert axis == -1
        return s.iqm(np.concatenate(samples, axis=-1))

    theirs = stats.bootstrap(strata, statistic, n_resamples=20_000, method="percentile", random_state=rng)
    assert ours.value == pytest.approx(s.iqm(np.concatenate(strata)))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.05 * width)


def test_intervals_cover_the_truth() -> None:
    """Of 600 intervals of 30 normal scores, about 95 % hold the mean (percentiles fall a little short)."""
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(600):
        _, low, high = s.bootstrap([rng.normal(size=30)], s.iqm, resamples=500)
        held += low <= 0 <= high
    assert 0.90 <= held / 600 <= 0.97


def test_stratification_keeps_differences_between_environments_out() -> None:
    """Two environments that differ a lot, each without spread: the mean is certain."""
    strata = [np.zeros(10), np.full(10, 100.0)]
    assert s.bootstrap(strata, s.iqm) == (50, 50, 50)
    _, low, high = s.bootstrap([np.concatenate(strata)], s.iqm)
    assert low < 40
    assert high > 60


def test_the_same_scores_have_the_same_interval() -> None:
    scores = np.random.default_rng(3).normal(size=20)
    assert s.bootstrap([scores], s.iqm) == s.bootstrap([scores.copy()], s.iqm)
    assert s.improvement([scores], [scores + 1]) == s.improvement([scores], [scores + 1])


def test_one_search_has_no_interval() -> None:
    one = np.array([0.3])
    for estimate in (s.bootstrap([one], s.iqm), s.improvement([one], [np.arange(5.0)])):
        assert np.isnan([estimate.low, estimate.high]).all()
    assert np.isnan(s.mean_band(one[None])).all()


def test_the_band_of_a_mean_is_the_normal_one() -> None:
    curves = np.random.default_rng(4).normal(size=(400, 5)) * np.array([1, 2, 3, 4, 0])
    low, high = s.mean_band(curves, resamples=8000)
    error = 1.96 * curves.std(axis=0) / 20
    np.testing.assert_allclose(low, curves.mean(axis=0) - error, atol=0.02)
    np.testing.assert_allclose(high, curves.mean(axis=0) + error, atol=0.02)


# -- probability of improvement --------------------------------------------------------------


@given(SCORES, SCORES)
def test_improvement_is_the_mann_whitney_statistic_per_pair(a: FloatArray, b: FloatArray) -> None:
    """U counts pairs in which the second argument is smaller: regret is better when lower."""
    ours = s.improvement([a], [b], resamples=10).value
    assert ours == pytest.approx(stats.mannwhitneyu(b, a).statistic / (len(a) * len(b)))
    assert ours + s.improvement([b], [a], resamples=10).value == pytest.approx(1)


def test_improvement_over_environments_is_the_mean() -> None:
    a, b = [np.array([1.0, 2]), np.array([5.0])], [np.array([3.0]), np.array([4.0])]
    assert s.improvement(a, b).value == 0.5
    assert s.improvement(a[:1], b[:1]).value == 1


def test_intervals_of_improvement_cover_the_truth() -> None:
    """Two normal scores that lie one standard deviation apart: Phi(1 / sqrt 2)."""
    rng, truth, held = np.random.default_rng(5), stats.norm.cdf(1 / np.sqrt(2)), 0
    for _ in range(400):
        a, b = rng.normal(size=25), rng.normal(size=25) + 1
        _, low, high = s.improvement([a], [b], resamples=400)
        held += low <= truth <= high
    assert 0.90 <= held / 400 <= 0.98


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
    share, low, high = s.profile_band(strata, thresholds, resamples=5000)
    np.testing.assert_allclose(share, np.mean([s.profile(x, thresholds) for x in strata], axis=0))
    assert (low <= share).all()
    assert (share <= high).all()
    np.testing.assert_allclose(high - low, 2 * 1.96 * np.sqrt(share * (1 - share) / 400), rtol=0.1)


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
