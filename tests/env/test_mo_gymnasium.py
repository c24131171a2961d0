"""MO-Gymnasium's own wrappers and vector environments on the ids with several objectives."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import nb201env
from nb201env.cost import params

mo_gym: Any = pytest.importorskip("mo_gymnasium", reason="needs mo-gymnasium, of the extra multi")
wrappers: Any = pytest.importorskip("mo_gymnasium.wrappers")
vectors: Any = pytest.importorskip("mo_gymnasium.wrappers.vector")

ID = "NB201-cifar10-mo-v0"
CELL = (3, 3, 3, 1, 3, 2)
LARGEST = params(np.arange(15_625), "cifar10").max()


def expected() -> np.ndarray[Any, Any]:
    """What the cell is worth: its mean accuracy, and minus its share of the largest cell's parameters."""
    architecture = nb201env.Architecture(CELL)
    table = nb201env.open_table("cifar10-valid-200")
    accuracy = table.query(architecture, split="valid", epochs=200, run="mean").accuracy
    return np.array([accuracy, -params(np.array([architecture.index]), "cifar10")[0] / LARGEST])


def played(env: Any, episodes: int = 1) -> tuple[Any, dict[str, Any]]:
    """Build the cell; the last reward and info."""
    for _ in range(episodes):
        env.reset(seed=0)
        for op in CELL:
            _, reward, _, _, info = env.step(op)
    return reward, info


def made() -> Any:
    return mo_gym.make(ID, run="mean")


def test_mo_gymnasium_makes_them() -> None:
    env = made()
    reward, _ = played(env)
    np.testing.assert_allclose(reward, expected())
    assert env.unwrapped.reward_space.contains(reward)
    assert env.unwrapped.reward_dim == 2
    assert len(env.unwrapped.pareto_front(gamma=0.9)) == 13


def test_linear_reward_is_the_scalar_product() -> None:
    weight = np.array([0.75, 0.25])
    reward, info = played(wrappers.LinearReward(made(), weight=weight))
    assert reward == pytest.approx(expected() @ weight)
    np.testing.assert_allclose(info["vector_reward"], expected())


def test_normalizing_and_clipping_touch_one_objective_and_not_the_environment() -> None:
    inner = made()
    for env, first in (
        (wrappers.MOClipReward(inner, idx=0, min_r=0.0, max_r=0.5), 0.5),
        (wrappers.MONormalizeReward(inner, idx=0), None),
    ):
        reward, _ = played(env)
        assert reward[1] == pytest.approx(expected()[1])
        assert reward[0] != pytest.approx(expected()[0])
        assert first is None or reward[0] == first
        np.testing.assert_allclose(played(inner)[0], expected())


def test_episode_statistics() -> None:
    gamma = 0.5
    _, info = played(wrappers.MORecordEpisodeStatistics(made(), gamma=gamma))
    np.testing.assert_allclose(info["episode"]["r"], expected(), rtol=1e-6)
    np.testing.assert_allclose(info["episode"]["dr"], expected() * gamma**5, rtol=1e-6)
    assert info["episode"]["l"] == 6


def test_statistics_of_the_native_vector_form() -> None:
    native = gym.make_vec(ID, num_envs=3, run="mean", autoreset_mode="NextStep")
    env = vectors.MORecordEpisodeStatistics(native)
    env.reset(seed=0)
    for op in CELL:
        _, rewards, terminated, _, infos = env.step(np.full(3, op))
    assert terminated.all()
    np.testing.assert_allclose(rewards, [expected()] * 3)
    np.testing.assert_allclose(infos["episode"]["r"], [expected()] * 3, rtol=1e-6)
    assert infos["episode"]["l"].tolist() == [6, 6, 6]


@pytest.mark.parametrize("kwargs", [{}, {"actions": "pick"}, {"actions": "edit", "max_edits": 4}], ids=str)
def test_the_native_form_is_their_vector_environment(kwargs: dict[str, Any]) -> None:
    native: Any = gym.make_vec(ID, num_envs=3, autoreset_mode="NextStep", **kwargs)
    theirs = vectors.MOSyncVectorEnv([lambda: mo_gym.make(ID, **kwargs)] * 3)
    assert theirs.reward_space == native.reward_space, "that of one copy"
    native.reset(seed=1), theirs.reset(seed=1)
    native.action_space.seed(0)
    for _ in range(30):
        actions = native.action_space.sample()
        ours, others = native.step(actions), theirs.step(actions)
        for a, b in zip(ours[:4], others[:4], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)  # their rewards are float32
        np.testing.assert_array_equal(ours[4]["clock"], others[4]["clock"])
