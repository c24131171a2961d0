"""Intervals of chances and shares: known values, scipy, many repetitions, and never without width."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nb201env.agents.report import distributions as d
from nb201env.agents.report.intervals import Limits, chance, mann_whitney, mean_limits, wilson

stats = pytest.importorskip("scipy.stats")
SHIFTS = (0.0, 0.5, 1.0, 2.0)


# -- distributions ---------------------------------------------------------------------------


@given(st.floats(0.51, 0.9999), st.integers(1, 5000))
def test_students_quantiles_are_scipys(share: float, freedom: int) -> None:
    assert d.t_quantile(share, freedom) == pytest.approx(stats.t.ppf(share, freedom), rel=1e-7)


@given(st.floats(0, 60), st.integers(1, 40))
def test_chi_square_tails_are_scipys(x: float, freedom: int) -> None:
    assert d.chi_square_tail(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("count", [2, 3, 5, 13, 40])
def test_quantiles_of_ranges_are_scipys(count: int) -> None:
    theirs = stats.studentized_range.ppf(0.95, count, np.inf)
    assert d.range_quantile(0.95, count) == pytest.approx(theirs, rel=1e-6)


# -- shares ----------------------------------------------------------------------------------


@given(st.integers(1, 500), st.data())
def test_shares_have_scipys_wilson_interval(count: int, data: st.DataObject) -> None:
    reached, level = data.draw(st.integers(0, count)), data.draw(st.sampled_from([0.9, 0.95, 0.995]))
    theirs = stats.binomtest(reached, count).proportion_ci(level, "wilson")
    ours = wilson(reached / count, count, level)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(
    ("reached", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_examples_of_newcombe(reached: int, count: int, low: float, high: float) -> None:
    """Two-sided confidence intervals for the single proportion, Statistics in Medicine 17, 1998, table I."""
    assert wilson(reached / count, count) == pytest.approx((low, high), abs=5.1e-5)


@pytest.mark.parametrize("count", [5, 10, 20])
@pytest.mark.parametrize("truth", [0.1, 0.3, 0.5, 0.9])
def test_intervals_of_shares_cover_the_truth(count: int, truth: float) -> None:
    """Exactly: the chance of each number of searches that reached, if the interval of that number holds."""
    reached = np.arange(count + 1)
    low, high = wilson(reached / count, count)
    assert stats.binom.pmf(reached, count, truth)[(low <= truth) & (truth <= high)].sum() >= 0.91


# -- chances ---------------------------------------------------------------------------------


def test_chances_in_closed_form() -> None:
    assert chance(np.array([1.0, 2]), np.array([3.0, 4, 5])) == 1
    assert chance(np.array([1.0]), np.array([1.0])) == 0.5
    assert chance(np.array([2.0, np.inf]), np.array([1.0, 3, np.inf])) == pytest.approx(2.5 / 6)


def test_one_search_each_has_wilsons_interval_of_one_try() -> None:
    """With one pair Newcombe's variance is that of one coin."""
    for observed in (0.0, 0.5, 1.0):
        assert mann_whitney(observed, 1, 1) == pytest.approx(wilson(observed, 1), abs=1e-9)


@given(st.floats(0, 1), st.integers(1, 60), st.integers(1, 60), st.sampled_from([0.9, 0.95, 0.999]))
def test_limits_lie_z_standard_errors_away(observed: float, ours: int, theirs: int, level: float) -> None:
    """Newcombe's equation, written down once more."""
    z = stats.norm.ppf((1 + level) / 2)
    for limit in map(float, mann_whitney(observed, ours, theirs, level)):
        n = (ours + theirs) / 2 - 1
        variance = limit * (1 - limit) / (ours * theirs)
        variance *= 1 + n * (1 - limit) / (2 - limit) + n * limit / (1 + limit)
        assert (limit - observed) ** 2 == pytest.approx(z**2 * variance, abs=1e-9)


@given(st.integers(1, 60), st.integers(1, 60))
def test_a_clean_sweep_is_not_certain(ours: int, theirs: int) -> None:
    low, high = mann_whitney(1.0, ours, theirs)
    assert high == 1
    assert low < 0.98


def test_five_seeds_do_not_give_an_interval_of_100_to_100() -> None:
    low, high = mann_whitney(1.0, 5, 5)
    assert low == pytest.approx(0.6427, abs=1e-4)
    assert high == 1


def mann_whitney_coverage(count: int, shift: float, times: int = 2000) -> float:
    rng = np.random.default_rng([count, int(10 * shift)])
    ours, theirs = rng.normal(size=(times, count)), rng.normal(size=(times, count)) + shift
    limits = mann_whitney([chance(a, b) for a, b in zip(ours, theirs, strict=True)], count, count)
    truth = stats.norm.cdf(shift / np.sqrt(2))
    return float(((limits.low <= truth) & (truth <= limits.high)).mean())


@pytest.mark.parametrize("count", [5, 10, 20])
@pytest.mark.parametrize("shift", SHIFTS)
def test_intervals_of_chances_cover_the_truth(count: int, shift: float) -> None:
    assert 0.92 <= mann_whitney_coverage(count, shift) <= 0.99


def test_redrawn_searches_would_not_cover_it() -> None:
    """What the test above is for: percentiles of redrawn searches are too narrow for five of them."""
    rng, truth, held = np.random.default_rng(0), stats.norm.cdf(2 / np.sqrt(2)), 0
    for _ in range(300):
        ours, theirs = rng.normal(size=5), rng.normal(size=5) + 2
        below = ours[:, None] < theirs
        a, b = rng.integers(5, size=(2, 300, 5))
        redrawn = below[a[:, :, None], b[:, None, :]].mean(axis=(1, 2))
        low, high = np.quantile(redrawn, [0.025, 0.975])
        held += low <= truth <= high
    assert held / 300 < 0.92


# -- means of several ------------------------------------------------------------------------


def test_the_mean_of_one_has_its_limits_and_distances_add_up_in_squares() -> None:
    values, limits = np.array([0.5, 0.9]), Limits(np.array([0.2, 0.5]), np.array([0.7, 0.9]))
    for n in (0, 1):
        one = mean_limits(values[n : n + 1], Limits(limits.low[n : n + 1], limits.high[n : n + 1]))
        assert one == pytest.approx((limits.low[n], limits.high[n]))
    low, high = mean_limits(values, limits)
    assert low == pytest.approx(0.7 - np.hypot(0.3, 0.4) / 2)
    assert high == pytest.approx(0.7 + np.hypot(0.2, 0.0) / 2)


@pytest.mark.parametrize("count", [5, 10, 20])
def test_intervals_of_mean_chances_cover_the_truth(count: int) -> None:
    """Three environments, in each of which the agents lie otherwise apart."""
    rng, truth = np.random.default_rng(count), stats.norm.cdf(np.array(SHIFTS[1:]) / np.sqrt(2))
    held = 0
    for _ in range(1000):
        chances = np.array([chance(rng.normal(size=count), rng.normal(size=count) + x) for x in SHIFTS[1:]])
        low, high = mean_limits(chances, mann_whitney(chances, count, count))
        held += low <= truth.mean() <= high
    assert 0.92 <= held / 1000 <= 0.99
