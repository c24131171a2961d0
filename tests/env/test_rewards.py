"""What the rewards say of all architectures at once."""

from __future__ import annotations

import math
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from nb201env import open_table
from nb201env.arrays import FloatArray
from nb201env.official import describe
from nb201env.space import SIZE, all_ops
from nb201env.table import Table, write_table


def only_accuracies(folder: Path, accuracy: FloatArray) -> Table:
    manifest = describe("cifar10-valid", 200) | {"seeds": [7], "provenance": {}}
    manifest["columns"] = {"valid_accuracy": {"epochs": [200]}}
    return write_table(folder / "own.safetensors", manifest, {"valid_accuracy": accuracy[:, None, None]})


@pytest.mark.parametrize("reward", ["log_error", "rank"])
def test_rewards_keep_the_order_of_the_runs_that_answer(reward: str) -> None:
    """One training's accuracy is ranked among the means of all cells; both vector and single say the same."""
    table = open_table("cifar10-valid-200")
    known = table.accuracy(split="valid", epochs=200, run="mean")
    answered = table.accuracy(split="valid", epochs=200, run=777)
    indices = np.flatnonzero(~np.isnan(answered))[:500]
    vector = gym.make_vec(
        "NB201-cifar10-v0",
        num_envs=500,
        actions="pick",
        run="sample",
        reward=reward,
        autoreset_mode="Disabled",
    )
    vector.reset(seed=0)
    _, rewards, _, _, info = vector.step(all_ops()[indices])
    expected = {
        "rank": [(known < one).mean() for one in info["accuracy"]],
        "log_error": [-math.log(1 - one) for one in info["accuracy"]],
    }[reward]
    assert rewards == pytest.approx(expected, rel=1e-12)


def test_no_error_at_all_has_a_finite_log_error(tmp_path: Path) -> None:
    table = only_accuracies(tmp_path, np.linspace(0, 1, SIZE))
    vector = gym.make_vec(
        "NB201-v0", num_envs=2, table=table, actions="pick", run="mean", reward="log_error",
        autoreset_mode="Disabled",
    )  # fmt: skip
    vector.reset(seed=0)
    _, rewards, *_ = vector.step(all_ops()[[0, SIZE - 1]])
    assert rewards == pytest.approx([0, -math.log(1e-4)])
