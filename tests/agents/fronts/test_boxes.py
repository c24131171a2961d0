"""The expected hypervolume improvement: boxes that partition, and sums that are the expectation."""

from __future__ import annotations

from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest

from nb201env.agents.fronts.boxes import improvement, open_boxes
from nb201env.arrays import FloatArray, IntArray
from nb201env.fronts.front import nondominated
from nb201env.fronts.quality import hypervolume

pytest.importorskip("scipy")
pytest.importorskip("moocore")


def sets(m: int) -> list[FloatArray]:
    """Points of all kinds: none, one, many, with equal coordinates (on a coarse grid), and on a sphere."""
    rng = np.random.default_rng(m)
    sphere = np.abs(rng.normal(size=(12, m)))
    return [
        np.empty((0, m)), np.ones((1, m)), rng.uniform(-0.2, 1, size=(30, m)),
        *(rng.integers(0, 4, size=(size, m)) / 4 for size in (2, 5, 9, 20)),
        sphere / np.linalg.norm(sphere, axis=1)[:, None],
    ]  # fmt: skip


def containing(places: FloatArray, lower: FloatArray, upper: FloatArray) -> IntArray:
    """How many boxes hold each place."""
    inside = (places[:, None] >= lower) & (places[:, None] < upper)
    return np.asarray(inside.all(axis=2).sum(axis=1))


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_every_open_place_is_in_one_box_and_no_dominated_one_in_any(m: int) -> None:
    rng = np.random.default_rng(9)
    for front in sets(m):
        lower, upper = open_boxes(front, np.zeros(m))
        assert (lower < upper).all()
        places = rng.uniform(-0.5, 1.5, size=(3_000, m))  # never on a box's side
        dominated = np.array([(front >= place).all(axis=1).any() for place in places])
        above = (places > 0).all(axis=1)
        np.testing.assert_array_equal(containing(places, lower, upper), above & ~dominated)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_within_a_cube_boxes_have_the_volume_that_the_front_leaves(m: int) -> None:
    for front in sets(m):
        lower, upper = open_boxes(front, np.zeros(m))
        inside = np.clip(np.minimum(upper, 1.0) - lower, 0, None).prod(axis=1).sum()
        assert inside == pytest.approx(1 - hypervolume(front, np.zeros(m)), abs=1e-12)


def test_a_staircase_has_as_many_boxes_as_steps() -> None:
    for front in sets(2):
        above = np.unique(front[(front > 0).all(axis=1)], axis=0)
        lower, _ = open_boxes(front, np.zeros(2))
        assert len(lower) == nondominated(above).sum() + 1


def test_one_objective_leaves_what_is_above_the_best() -> None:
    lower, upper = open_boxes(np.array([[1.0], [3.0], [2.0]]), np.zeros(1))
    assert lower.tolist() == [[3.0]]
    assert upper.tolist() == [[np.inf]]


# -- the expectation -------------------------------------------------------------------------


@pytest.mark.parametrize("m", [2, 3])
def test_it_is_the_mean_over_outcomes(m: int) -> None:
    """Monte Carlo with moocore's hypervolumes: within 4 standard errors, for candidates near and far."""
    rng = np.random.default_rng(m)
    mean, deviation = rng.uniform(0.2, 1.2, size=(m, 4)), rng.uniform(0.2, 0.6, size=(m, 4))
    reference = np.full(m, -0.1)
    for front in sets(m)[2:4]:
        known = hypervolume(front, reference)
        expected = improvement(mean, deviation, *open_boxes(front, reference))
        for candidate, exact in enumerate(expected.tolist()):
            outcomes = mean[:, candidate] + deviation[:, candidate] * rng.normal(size=(1_500, m))
            gains = [hypervolume(np.concatenate([front, [y]]), reference) - known for y in outcomes]
            assert abs(np.mean(gains) - exact) < 4 * np.std(gains) / np.sqrt(len(gains))


def test_with_one_objective_it_is_the_expected_improvement() -> None:
    """Jones, Schonlau & Welch (1998): (mean - best) Phi(z) + s phi(z)."""
    mean, deviation = np.array([[0.0, 1.0, 2.5]]), np.array([[1.0, 0.5, 0.1]])
    z = (mean - 2.0) / deviation
    normal = NormalDist()
    cumulated, density = (np.vectorize(one)(z) for one in (normal.cdf, normal.pdf))
    expected = (mean - 2.0) * cumulated + deviation * density
    found = improvement(mean, deviation, *open_boxes(np.array([[2.0]]), np.zeros(1)))
    np.testing.assert_allclose(found, expected[0], rtol=1e-9)


def test_without_doubt_it_is_the_improvement_itself() -> None:
    rng = np.random.default_rng(1)
    for front in sets(3):
        outcomes = rng.uniform(0, 1.3, size=(20, 3))
        known = hypervolume(front, np.zeros(3))
        gains = [hypervolume(np.concatenate([front, [y]]), np.zeros(3)) - known for y in outcomes]
        boxes = open_boxes(front, np.zeros(3))
        np.testing.assert_allclose(improvement(outcomes.T, np.full((3, 20), 1e-9), *boxes), gains, atol=1e-8)


def test_it_grows_with_mean_and_with_doubt() -> None:
    """As Emmerich and others prove of it, 2011."""
    boxes = open_boxes(sets(2)[2], np.zeros(2))
    steps = np.linspace(0.1, 1.0, 30)
    flat = np.full_like(steps, 0.4)
    for mean, deviation in (([steps, flat], [flat, flat]), ([flat, flat], [steps, flat])):
        found = improvement(np.array(mean), np.array(deviation), *boxes)
        assert all(before < after for before, after in pairwise(found.tolist()))


def test_many_boxes_are_summed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    mean, deviation = rng.uniform(size=(3, 50)), rng.uniform(0.1, 1, size=(3, 50))
    boxes = open_boxes(sets(3)[-1], np.zeros(3))
    found = improvement(mean, deviation, *boxes)
    monkeypatch.setattr("nb201env.agents.fronts.boxes.AT_ONCE", 7)
    np.testing.assert_allclose(improvement(mean, deviation, *boxes), found, rtol=1e-12)
