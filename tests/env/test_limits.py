"""A limit judges every architecture by its own one cost, whatever the table holds of each run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import cost, open_table
from nb201env.arrays import FloatArray
from nb201env.official import describe
from nb201env.space import SIZE, encode
from nb201env.table import NotRecorded, Table, write_table

SEEDS = [777, 888]
PARAMS = cost.params(np.arange(SIZE), "cifar10").astype(float)
ACCURACY = np.random.default_rng(0).random((SIZE, 2))
ODD = 4711
"""The architecture of which one run's costs belong to another network."""

Make = Callable[..., Table]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(costs: dict[str, FloatArray], **changes: Any) -> Table:
        columns = {
            "valid_accuracy": ACCURACY[:, :, None], "train_seconds": np.full(SIZE, 100.0), **costs
        }  # fmt: skip
        manifest = describe("cifar10-valid", 200) | {"seeds": SEEDS, "provenance": {}} | changes
        manifest["columns"] = {name: {} for name in columns} | {"valid_accuracy": {"epochs": [200]}}
        return write_table(tmp_path / "own.safetensors", manifest, columns)

    return write


def rewards(table: Table, **limit: Any) -> FloatArray:
    """The reward of every architecture; the single environment is asked for some, the vector one for all."""
    kwargs: dict[str, Any] = {
        "table": str(table.container.path), "run": 777, "actions": "pick", "limit": limit
    }  # fmt: skip
    many = gym.make_vec("NB201-cifar10-v0", num_envs=SIZE, **kwargs)
    many.reset(seed=0)
    digits = np.arange(SIZE)[:, None] // 5 ** np.arange(5, -1, -1) % 5
    assert np.array_equal(encode(digits), np.arange(SIZE))
    found = many.step(digits)[1]
    one = gym.make("NB201-cifar10-v0", **kwargs)
    for index in (0, ODD, 15_624, *range(0, SIZE, 1_000)):
        one.reset(seed=0)
        assert one.step(digits[index])[1] == found[index]
    return np.asarray(found)


def per_run(values: FloatArray, odd: float) -> FloatArray:
    """A column with runs, one of which has another cost than the others."""
    column = np.tile(np.asarray(values, dtype=float)[:, None], (1, 2))
    column[ODD, 0] = odd
    return column


def test_the_size_of_an_official_data_set_is_the_closed_form(make: Make) -> None:
    hard = np.where(PARAMS <= 400_000, ACCURACY[:, 0], 0.0)
    weighted = ACCURACY[:, 0] * (PARAMS / 400_000) ** -0.07
    assert (hard > 0).sum() > 100
    assert (hard == 0).sum() > 100
    for column in (None, per_run(PARAMS, 1.0), per_run(PARAMS, np.nan), PARAMS, PARAMS * 3):
        table = make({} if column is None else {"params": column})
        assert np.array_equal(rewards(table, on="params", max=400_000), hard)
        assert rewards(table, on="params", max=400_000, how="weighted") == pytest.approx(weighted, rel=1e-12)


def test_a_table_of_other_networks_keeps_its_sizes(make: Make) -> None:
    table = make({"params": PARAMS * 3}, skeleton={"width": 32})
    expected = np.where(PARAMS * 3 <= 400_000, ACCURACY[:, 0], 0.0)
    assert np.array_equal(rewards(table, on="params", max=400_000), expected)


def test_a_latency_of_every_run_counts_as_the_mean(make: Make) -> None:
    latency = 0.001 + np.arange(SIZE) / SIZE
    table = make({"latency_seconds": per_run(latency, latency[ODD] + 0.5)})
    mean = latency.copy()
    mean[ODD] += 0.25
    expected = np.where(mean <= mean[ODD], ACCURACY[:, 0], 0.0)
    assert np.array_equal(rewards(table, on="latency_seconds", max=float(mean[ODD])), expected)
    assert expected[ODD] == ACCURACY[ODD, 0]
    assert rewards(table, on="latency_seconds", max=float(np.nextafter(mean[ODD], 0)))[ODD] == 0


@pytest.mark.parametrize("axes", [1, 2])
def test_an_unknown_cost_fails_a_hard_limit_and_cannot_be_weighted(make: Make, axes: int) -> None:
    latency = np.full((SIZE, 2)[:axes], 0.01)
    latency[[5, 6, 7]] = np.nan
    table = make({"latency_seconds": latency})
    found = rewards(table, on="latency_seconds", max=1.0)
    assert np.flatnonzero(found == 0).tolist() == [5, 6, 7]
    with pytest.raises(NotRecorded, match=r"no latency_seconds above 0 of 3 of 15,625 .*; use how='hard'"):
        rewards(table, on="latency_seconds", max=1.0, how="weighted")


def test_a_cost_of_zero_cannot_be_weighted(make: Make) -> None:
    table = make({"latency_seconds": np.where(np.arange(SIZE) == 9, 0.0, 0.01)})
    assert rewards(table, on="latency_seconds", max=1.0)[9] == ACCURACY[9, 0]
    with pytest.raises(NotRecorded, match="of 1 of 15,625"):
        rewards(table, on="latency_seconds", max=1.0, how="weighted")


@pytest.mark.parametrize("most", [-1.5, 0.0, 0.25])
def test_a_column_that_may_be_negative_has_limits_that_are(make: Make, most: float) -> None:
    """A zero-cost proxy's score, say; what nobody knows is not within."""
    score = np.random.default_rng(2).normal(size=SIZE)
    score[7] = np.nan
    expected = np.where(score <= most, ACCURACY[:, 0], 0.0)
    assert np.array_equal(rewards(make({"synflow": score}), on="synflow", max=most), expected)


@pytest.mark.parametrize("exponent", [-0.07, 0.0, 2.0])
def test_what_is_not_above_0_cannot_be_weighted(make: Make, exponent: float) -> None:
    """Whatever the exponent: the square of a score of -2 says nothing."""
    table = make({"synflow": np.where(np.arange(SIZE) < 10, -2.0, 3.0)})
    with pytest.raises(NotRecorded, match="no synflow above 0 of 10 of 15,625 .*; use how='hard'"):
        rewards(table, on="synflow", max=1.0, how="weighted", exponent=exponent)
    with pytest.raises(ValueError, match=r"limit\['max'\] must be above 0"):
        rewards(table, on="synflow", max=-1.0, how="weighted")


def test_a_limit_that_nothing_meets_says_the_unit(make: Make) -> None:
    energy = np.linspace(0.25, 2, SIZE)
    with pytest.raises(
        ValueError, match=r"within limit\['max'\]=0.1 on board_energy_joules: the least is 0.25 \(J\)$"
    ):
        rewards(make({"board_energy_joules": energy}), on="board_energy_joules", max=0.1)
    with pytest.raises(
        ValueError, match="the least is 73,306 .count. .params and macs are counts, not millions"
    ):
        rewards(make({}), on="params", max=0.5)


def test_the_limit_means_the_same_on_the_embedded_table(make: Make) -> None:
    embedded = open_table("cifar10-valid-200")
    own = make({"params": per_run(PARAMS, 1.0)})
    for table in (embedded, own):
        found = rewards(table, on="params", max=PARAMS[ODD])
        assert np.array_equal(found == 0, PARAMS[ODD] < PARAMS)
