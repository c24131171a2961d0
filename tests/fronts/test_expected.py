"""The closed forms of random search against all draws there are, and against searches that draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nb201env import open_table
from nb201env.fronts import expected
from nb201env.fronts.expected import expected_hypervolume, expected_share, volume_by_count
from nb201env.fronts.front import nondominated, points
from nb201env.fronts.quality import hypervolume, hypervolumes, share_found
from tests.fronts import brute

NUMBERS = st.one_of(st.integers(-1, 3).map(float), st.floats(-1, 3, allow_subnormal=False))
SETS = st.integers(2, 3).flatmap(lambda m: st.lists(st.tuples(*[NUMBERS] * m), min_size=1, max_size=5))


@settings(max_examples=60, deadline=None)
@given(SETS, st.integers(0, 3))
def test_the_mean_over_all_draws(rows: list[tuple[float, ...]], queries: int) -> None:
    """With replacement, each of N^n sequences as likely; ties, duplicates, and some below the reference."""
    rewards = np.array(rows)
    reference = np.zeros(rewards.shape[1])
    front = np.unique(rewards[nondominated(rewards)] + 0.0, axis=0)
    sequences = [rewards[list(drawn)] for drawn in brute.draws(len(rewards), queries)]
    volumes = [brute.hypervolume(drawn, reference) for drawn in sequences]
    assert expected_hypervolume(rewards, reference, queries) == pytest.approx(np.mean(volumes), abs=1e-9)
    shares = [share_found(drawn, front) for drawn in sequences]
    assert expected_share(rewards, front, queries) == pytest.approx(np.mean(shares))


def test_by_hand() -> None:
    """Two points that overlap in the unit square: 2 + 2 - 1."""
    rewards, zero = np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros(2)
    assert volume_by_count(rewards, zero).tolist() == [0, 2, 1]
    assert expected_hypervolume(rewards, zero, [0, 1, 2]).tolist() == [0, 2, 2.5]
    assert expected_share(rewards, rewards, [[0, 1], [2, 3]]).tolist() == [[0, 0.5], [0.75, 0.875]]


@pytest.mark.parametrize(
    ("table", "objectives"),
    [
        ("cifar10-valid-200", ["accuracy", "params"]),
        ("ImageNet16-120-200", ["accuracy", "latency_seconds"]),
        ("digits-10", ["accuracy", "params", "macs"]),
    ],
)
def test_searches_that_draw_reach_on_average_what_is_expected(table: str, objectives: list[str]) -> None:
    pytest.importorskip("moocore", reason="needs moocore, of the extra multi")
    everything = points(open_table(table), objectives)
    scaled, zero = everything.scaled(everything.rewards), np.zeros(len(objectives))
    front = everything.scaled(everything.front().rewards)
    rng, at = np.random.default_rng(0), np.array([1, 10, 100])
    drawn = [scaled[rng.integers(len(scaled), size=100)] for _ in range(300)]
    found = np.array([hypervolumes(one, zero)[at - 1] for one in drawn])
    close = 4 * found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - expected_hypervolume(scaled, zero, at)) < close).all()
    shares = np.array([[share_found(one[:n], front) for n in at] for one in drawn])
    close = 4 * shares.std(axis=0, ddof=1) / np.sqrt(len(shares)) + 1e-3
    assert (np.abs(shares.mean(axis=0) - expected_share(scaled, front, at)) < close).all()


@pytest.mark.parametrize("table", ["cifar10-valid-200", "cifar100-200", "ImageNet16-120-200"])
def test_without_end_it_is_the_true_front(table: str) -> None:
    pytest.importorskip("moocore", reason="needs moocore, of the extra multi")
    everything = points(open_table(table))
    scaled, zero = everything.scaled(everything.rewards), np.zeros(2)
    whole = hypervolume(everything.scaled(everything.front().rewards), zero)
    assert volume_by_count(scaled, zero).sum() == pytest.approx(whole, rel=1e-12)
    grows = expected_hypervolume(scaled, zero, [0, 1, 2, 10, 1000, 10**9])
    assert (np.diff(grows) > 0).all()
    assert grows[0] == 0
    assert grows[-1] == pytest.approx(whole, rel=1e-9)


def test_too_fine_a_grid_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expected, "MOST_CELLS", 100)
    rewards = np.arange(30.0).reshape(10, 3)
    with pytest.raises(ValueError, match="^the grid of 10 x 11 x 11 values has too many cells .*; leave out"):
        expected_hypervolume(rewards, np.zeros(3), 5)
    everything = points(open_table("cifar10-valid-200"), ["accuracy", "macs", "latency_seconds"])
    with pytest.raises(ValueError, match="too many cells"):
        volume_by_count(everything.rewards, everything.worst)
