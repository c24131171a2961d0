"""Indicators against their definitions, and moocore's against pymoo's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nb201env import open_table
from nb201env.fronts.front import points
from nb201env.fronts.quality import (
    best_for,
    epsilon,
    expected_utility,
    hypervolume,
    hypervolumes,
    igd_plus,
    share_found,
    simplex,
)
from tests.fronts import brute

pytest.importorskip("moocore", reason="needs moocore, of the extra multi")

NUMBERS = st.one_of(st.integers(-2, 3).map(float), st.floats(-2, 3, allow_subnormal=False))
SETS = st.integers(2, 4).flatmap(lambda m: st.lists(st.tuples(*[NUMBERS] * m), min_size=1, max_size=7))
FEW = settings(max_examples=150, deadline=None)


@FEW
@given(SETS)
def test_hypervolume_is_inclusion_and_exclusion(rows: list[tuple[float, ...]]) -> None:
    """Ties, duplicates, dominated points, and points below the reference in some objective or in all."""
    rewards = np.array(rows)
    reference, before = np.zeros(rewards.shape[1]), rewards.copy()
    assert hypervolume(rewards, reference) == pytest.approx(brute.hypervolume(rewards, reference), abs=1e-9)
    np.testing.assert_array_equal(rewards, before)
    np.testing.assert_array_equal(reference, 0.0)


@FEW
@given(SETS)
def test_each_prefix_has_its_hypervolume(rows: list[tuple[float, ...]]) -> None:
    rewards = np.array(rows)
    reference = np.zeros(rewards.shape[1])
    found = hypervolumes(rewards, reference)
    expected = [brute.hypervolume(rewards[: n + 1], reference) for n in range(len(rewards))]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert (np.diff(found) >= 0).all()


@FEW
@given(SETS, st.integers(1, 6))
def test_distances_are_their_definitions(rows: list[tuple[float, ...]], split: int) -> None:
    rewards = np.array([*rows, rows[0]])
    found, front = rewards[split:], rewards[:split]
    if not len(found):
        found = front
    assert igd_plus(found, front) == pytest.approx(brute.igd_plus(found, front), abs=1e-9)
    assert epsilon(found, front) == pytest.approx(brute.epsilon(found, front), abs=1e-9)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_pymoo_says_the_same(m: int) -> None:
    hv = pytest.importorskip("pymoo.indicators.hv").HV
    plus = pytest.importorskip("pymoo.indicators.igd_plus").IGDPlus
    rng = np.random.default_rng(m)
    for _ in range(10):
        rewards, front = rng.random((12, m)), rng.random((9, m)) + 0.3
        theirs = hv(ref_point=np.zeros(m), norm_ref_point=False)(-rewards)  # which minimizes
        assert hypervolume(rewards, np.zeros(m)) == pytest.approx(theirs)
        assert igd_plus(rewards, front) == pytest.approx(plus(-front)(-rewards))


@pytest.mark.parametrize("objectives", [["accuracy", "params"], ["accuracy", "params", "latency_seconds"]])
def test_pymoo_says_the_same_of_a_true_front(objectives: list[Any]) -> None:
    hv = pytest.importorskip("pymoo.indicators.hv").HV
    for name in ("cifar10-valid-200", "cifar100-200", "ImageNet16-120-200"):
        everything = points(open_table(name), objectives)
        front, zero = everything.scaled(everything.front().rewards), np.zeros(len(objectives))
        whole = hypervolume(front, zero)
        assert whole == pytest.approx(hv(ref_point=zero, norm_ref_point=False)(-front))
        assert hypervolume(everything.scaled(everything.rewards), zero) == pytest.approx(whole)
        assert 0.7 < whole < 1
        assert (igd_plus(front, front), epsilon(front, front), share_found(front, front)) == (0, 0, 1)


def test_an_empty_set_is_the_worst() -> None:
    nothing, front = np.empty((0, 2)), np.array([[0.5, 0.5]])
    assert hypervolume(nothing, np.zeros(2)) == 0
    assert hypervolumes(nothing, np.zeros(2)).shape == (0,)
    assert igd_plus(nothing, front) == epsilon(nothing, front) == math.inf
    assert share_found(nothing, front) == 0


def test_what_is_not_above_the_reference_adds_nothing() -> None:
    at_its_edge = np.array([[0.0, 9.0], [9.0, 0.0], [-1.0, 9.0]])
    assert hypervolume(at_its_edge, np.zeros(2)) == 0
    assert hypervolumes(np.array([[0.0, 9.0], [1.0, 2.0], [9.0, -3.0]]), np.zeros(2)).tolist() == [0, 2, 2]


def test_share_of_the_front_that_was_found() -> None:
    front = np.array([[1.0, -0.0], [0.5, 0.5], [0.0, 1.0]])
    assert share_found(np.array([[1.0, 0.0], [1.0, 0.0], [0.4, 0.4]]), front) == pytest.approx(1 / 3)
    assert share_found(front[::-1], front) == 1


@FEW
@given(SETS, st.integers(1, 5))
def test_each_user_takes_the_best_by_their_weights(rows: list[tuple[float, ...]], divisions: int) -> None:
    rewards = np.array(rows)
    weights = simplex(rewards.shape[1], divisions)
    taken = best_for(rewards, weights)
    best = [max(float(point @ weight) for point in rewards) for weight in weights]
    np.testing.assert_allclose([rewards[t] @ w for t, w in zip(taken, weights, strict=True)], best, atol=1e-9)
    assert expected_utility(rewards, weights) == pytest.approx(np.mean(best), abs=1e-9)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
@pytest.mark.parametrize("divisions", [1, 2, 5, 12])
def test_the_simplex_holds_every_multiple_once(m: int, divisions: int) -> None:
    weights = simplex(m, divisions)
    assert weights.shape == (math.comb(divisions + m - 1, m - 1), m)
    assert len(np.unique(weights, axis=0)) == len(weights)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights * divisions, np.rint(weights * divisions))
    assert weights.min() >= 0
