"""Rank correlations and Pareto fronts against their definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nb201env import cost, open_table
from nb201env.comparison import compare, costs, kendall, pareto, spearman
from nb201env.space import SIZE
from nb201env.table import NotRecorded, write_table

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


def test_kendall_of_thousands_counts_every_pair() -> None:
    """More than one round of merging, with ties, and orders that agree or reverse exactly."""
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for levels in (3, 50, 10**6):
        a, b = rng.integers(0, levels, (2, 3001)).astype(float)
        assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-14)
        assert (kendall(a, a), kendall(a, -a)) == (1, -1)
    assert np.isnan(kendall(np.ones(1), np.ones(1)))


def test_costs_are_the_tables_own_or_the_closed_form(tmp_path: Path) -> None:
    official = open_table("cifar10-valid-200")
    np.testing.assert_array_equal(costs(official, "params"), cost.params(np.arange(SIZE), "cifar10"))
    with pytest.raises(NotRecorded, match="does not record 'energy'; it has"):
        costs(official, "energy")
    manifest: dict[str, Any] = {
        "name": "timed", "task": {"name": "toy", "dataset": "toy"}, "schedule": {"epochs": 1},
        "seeds": [1, 2], "provenance": {}, "licence": "none", "columns": {"valid_accuracy": {"epochs": [1]}},
    }  # fmt: skip
    latency = np.tile([1.0, 3.0], (SIZE, 1))
    latency[5, 1] = latency[6] = np.nan
    columns = {"valid_accuracy": np.full((SIZE, 2, 1), 0.5), "latency_seconds": latency}
    manifest["columns"] |= {"latency_seconds": {}}
    timed = write_table(tmp_path / "timed.safetensors", manifest, columns)
    mean = costs(timed, "latency_seconds")
    assert mean.shape == (SIZE,)
    assert (mean[4], mean[5]) == (2, 1), "the mean over the runs there are"
    assert np.isnan(mean[6])
    with pytest.raises(NotRecorded, match="does not record 'params'"):
        costs(timed, "params")
