"""The measures, against plain definitions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nb201env.comparison import kendall, spearman
from nb201env.surrogate import metrics

fractions = st.floats(0, 1).map(lambda x: round(x, 3))
pairs = st.lists(st.tuples(fractions, fractions), min_size=3, max_size=12)


def plain_tau_b(a: np.ndarray, b: np.ndarray) -> float:
    signs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in combinations(range(len(a)), 2)]
    left, right = (sum(pair[k] != 0 for pair in signs) for k in (0, 1))
    agree = sum(x * y for x, y in signs)
    return float(agree / np.sqrt(left * right)) if left and right else float("nan")


@given(pairs)
def test_kendall_tau_is_tau_b(values: list[tuple[float, float]]) -> None:
    a, b = np.array(values).T
    assert kendall(a, b) == pytest.approx(plain_tau_b(a, b), abs=1e-9, nan_ok=True)


@given(pairs)
def test_scores_are_finite_and_bounded(values: list[tuple[float, float]]) -> None:
    a, b = np.array(values).T
    scores = metrics.scores(a, b)
    constant = len(set(a)) == 1 or len(set(b)) == 1
    for name, value in scores.items():
        if name in ("sparse_kendall_tau", "top_kendall_tau"):
            assert np.isnan(value) or -1 <= value <= 1
        else:
            assert np.isnan(value) == (constant and name in ("kendall_tau", "spearman"))
    assert scores["regret_of_best"] >= 0
    assert all(0 <= scores[f"precision_at_{k}"] <= 1 for k in metrics.PRECISION_AT)


@given(st.lists(fractions, min_size=3, max_size=30, unique=True))
def test_the_truth_scores_best(values: list[float]) -> None:
    truth = np.array(values)
    scores = metrics.scores(truth, truth)
    assert scores["kendall_tau"] == pytest.approx(1)
    assert scores["spearman"] == pytest.approx(1)
    assert scores["r2"] == pytest.approx(1)
    assert scores["mae"] == scores["regret_of_best"] == 0
    assert scores["precision_at_10"] == 1
    assert kendall(truth, -truth) == pytest.approx(-1)


def test_sparse_tau_forgives_what_lies_within_a_tenth_of_a_point() -> None:
    truth = np.array([0.9000, 0.9001, 0.8000])
    swapped = np.array([0.9001, 0.9000, 0.8000])
    assert kendall(truth, swapped) < 1
    assert metrics.sparse_kendall_tau(truth, swapped) == pytest.approx(1)


def test_top_tau_looks_at_the_best_tenth_only() -> None:
    truth = np.linspace(0, 1, 100)
    predicted = truth.copy()
    predicted[:90] = predicted[:90][::-1]
    assert metrics.top_kendall_tau(truth, predicted) == pytest.approx(1)
    assert kendall(truth, predicted) < 0


def test_precision_and_regret_by_hand() -> None:
    truth = np.array([0.1, 0.5, 0.9, 0.8])
    predicted = np.array([0.2, 0.9, 0.8, 0.1])
    assert metrics.precision_at(truth, predicted, 2) == 0.5
    assert metrics.regret_of_best(truth, predicted) == pytest.approx(0.4)


def test_an_honest_uncertainty_is_told_from_a_boastful_one() -> None:
    rng = np.random.default_rng(0)
    deviation = rng.uniform(0.01, 0.1, 20_000)
    truth = 0.5 + rng.normal(0, deviation)
    honest = metrics.calibration(truth, np.full(20_000, 0.5), deviation)
    assert honest["coverage_50"] == pytest.approx(0.5, abs=0.02)
    assert honest["coverage_95"] == pytest.approx(0.95, abs=0.01)
    assert honest["rms_z"] == pytest.approx(1, abs=0.02)
    assert honest["error_rank"] > 0.3
    boastful = metrics.calibration(truth, np.full(20_000, 0.5), deviation / 3)
    assert boastful["coverage_95"] < 0.6


def test_equal_deviations_rank_no_errors() -> None:
    """0 would say that they were compared and found unrelated."""
    truth = np.array([0.1, 0.5, 0.9, 0.8])
    assert np.isnan(metrics.calibration(truth, np.full(4, 0.5), np.full(4, 0.1))["error_rank"])


def test_a_deviation_of_0_covers_only_what_is_exact() -> None:
    found = metrics.calibration(np.array([0.1, 0.5]), np.array([0.1, 0.6]), np.zeros(2))
    assert (found["coverage_50"], found["coverage_95"], found["rms_z"]) == (0.5, 0.5, np.inf)


def test_what_is_not_known_has_no_rank() -> None:
    known, missing = np.array([0.1, 0.5, 0.9]), np.array([0.1, np.nan, 0.9])
    for pair in ((known, missing), (missing, known)):
        assert np.isnan(kendall(*pair))
        assert np.isnan(spearman(*pair))
        with pytest.raises(ValueError, match="a number for every architecture"):
            metrics.scores(*pair)
    with pytest.raises(ValueError, match="a number for every architecture"):
        metrics.calibration(known, known, missing)


def test_noise_distance_is_zero_for_the_same_noise_and_grows() -> None:
    rng = np.random.default_rng(0)
    a, b, wide = (0.9 + rng.normal(0, s, (5000, 2)) for s in (0.002, 0.002, 0.006))
    assert metrics.noise_distance(a, a) == pytest.approx(
        {"wasserstein": 0, "ks": 0, "median_real": np.median(abs(a[:, 0] - a[:, 1])),
         "median_imagined": np.median(abs(a[:, 0] - a[:, 1]))}
    )  # fmt: skip
    assert metrics.noise_distance(a, b)["wasserstein"] < 1e-4
    assert metrics.noise_distance(a, wide)["wasserstein"] > 2e-3
