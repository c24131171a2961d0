"""Leave-one-out predictions: the closed form against leaving out one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from benchmarks.studies import queries, query_floor
from nb201env import open_table
from nb201env.agents.gaussian_process import LENGTHS, NOISES, GaussianProcess, matern, standardise
from nb201env.agents.predictor_evolution import class_features
from nb201env.envs.registration import OFFICIAL

GRID = list(product(LENGTHS, NOISES))


@pytest.fixture(scope="module")
def some() -> tuple[np.ndarray, np.ndarray]:
    """Sixty observations of a smooth function of eight features, with noise."""
    rng = np.random.default_rng(0)
    features = standardise(rng.standard_normal((60, 8)))
    values = np.sin(features[:, 0]) + 0.5 * features[:, 1] + 0.1 * rng.standard_normal(60)
    return features, values - values.mean()


@pytest.mark.parametrize(("length", "noise"), GRID)
def test_the_closed_form_is_what_each_left_out_gets(
    length: float, noise: float, some: tuple[np.ndarray, np.ndarray]
) -> None:
    features, values = some
    squares = ((features[:, None] - features[None]) ** 2).mean(axis=2) / 2
    correlation = matern(squares, length)
    _, found = query_floor._fit(correlation, noise, values)
    for i in range(0, 60, 7):
        rest = np.arange(60) != i
        covariance = correlation[np.ix_(rest, rest)] + noise * np.eye(59)
        assert found[i] == pytest.approx(correlation[i, rest] @ np.linalg.solve(covariance, values[rest]))


def test_the_likeliest_settings_are_those_of_the_agents_process(some: tuple[np.ndarray, np.ndarray]) -> None:
    """Likelihoods differ from the agent's process by one constant; so does what they choose."""
    features, values = some
    process = GaussianProcess([features], capacity=60)
    for candidate in range(60):
        process.observe(candidate)
    squares = ((features[:, None] - features[None]) ** 2).mean(axis=2) / 2
    theirs = [point.fit(values)[0] for point in process._views[0]._grid]
    mine = [query_floor._fit(matern(squares, length), noise, values)[0] for length, noise in GRID]
    assert np.ptp(np.subtract(theirs, mine)) < 1e-3  # the agent keeps parts of it in single precision
    best = int(np.argmax(theirs))
    found = query_floor.leave_one_out(features, values)
    length, noise = GRID[best]
    assert found == pytest.approx(query_floor._fit(matern(squares, length), noise, values)[1])


def test_something_is_learnt_from_the_others(some: tuple[np.ndarray, np.ndarray]) -> None:
    features, values = some
    assert np.corrcoef(query_floor.leave_one_out(features, values), values)[0, 1] > 0.7
    shuffled = np.random.default_rng(1).permutation(values)
    assert abs(np.corrcoef(query_floor.leave_one_out(features, shuffled), shuffled)[0, 1]) < 0.5


def test_the_page_says_what_is_computed() -> None:
    text = query_floor.table_text()
    assert text in queries.PAGE.read_text(encoding="utf-8")
    views = [class_features("canonical")]
    ranks = [query_floor.floor(open_table(name), views).rank for name in OFFICIAL.values()]
    assert f"{ranks[0]}, {ranks[1]} and {ranks[2]}" in queries.PAGE.read_text(encoding="utf-8").replace(
        "\n", " "
    )
    best = open_table("ImageNet16-120-200").optimum(split="valid", epochs=200)[1]
    assert f"| {100 * best:.2f} |" in text
