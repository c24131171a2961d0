"""Rank correlations and Pareto fronts against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nb201env.comparison import compare, kendall, pareto, spearman
from nb201env.space import SIZE

SCORES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=40)


@settings(max_examples=100, deadline=None)
@given(SCORES)
def test_kendall_counts_pairs(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    balance = tied_a = tied_b = 0
    for i in range(len(a)):
        for j in range(i):
            balance += int(np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]))
            tied_a += a[i] == a[j]
            tied_b += b[i] == b[j]
    total = len(a) * (len(a) - 1) // 2
    below = np.sqrt(float((total - tied_a) * (total - tied_b)))
    if below:
        assert kendall(a, b) == pytest.approx(balance / below)
    else:
        assert np.isnan(kendall(a, b))


@settings(max_examples=50, deadline=None)
@given(SCORES)
def test_rank_correlations_agree_with_scipy(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


@settings(max_examples=100, deadline=None)
@given(SCORES)
def test_the_front_is_what_nothing_beats(pairs: list[tuple[int, int]]) -> None:
    cost, accuracy = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    front = pareto(cost, accuracy)
    points = {(cost[i], accuracy[i]) for i in front}
    for i in range(len(cost)):
        beaten = (
            (cost <= cost[i]) & (accuracy >= accuracy[i]) & ((cost < cost[i]) | (accuracy > accuracy[i]))
        ).any()
        assert ((cost[i], accuracy[i]) in points) == (not beaten)
    assert (np.diff(cost[front]) > 0).all()


def test_missing_architectures_are_left_out() -> None:
    a, b = np.full(SIZE, np.nan), np.full(SIZE, np.nan)
    a[:10], b[5:15] = np.arange(10) / 10, np.arange(10) / 10
    found = compare(a, b)
    assert (found.architectures, found.kendall) == (5, 1.0)
    assert found.spearman == pytest.approx(1.0)
    assert (found.regret_a, found.regret_b) == (0, 0)
    assert found.mean_difference == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="1 architectures in common"):
        compare(a, np.where(np.arange(SIZE) == 3, 0.5, np.nan))
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))
