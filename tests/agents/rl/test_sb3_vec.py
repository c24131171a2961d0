"""The adapter for stable-baselines3 is DummyVecEnv, bit for bit."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

sb3 = pytest.importorskip("stable_baselines3")
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor  # noqa: E402

from nb201env.agents.rl.vec_env import NB201VecEnv  # noqa: E402

N = 4


def assert_same_rows(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert list(a) == list(b)
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])
            assert type(a[key]) is type(b[key])


def test_equals_dummy_vec_env(env_id: str, variant: dict[str, Any]) -> None:
    ours = NB201VecEnv(env_id, N, **variant)
    theirs = DummyVecEnv([lambda: gym.make(env_id, **variant)] * N)
    assert (ours.observation_space, ours.action_space) == (theirs.observation_space, theirs.action_space)
    for env in (ours, theirs):
        env.seed(17)
    a, b = ours.reset(), theirs.reset()
    np.testing.assert_array_equal(a, b)
    assert isinstance(b, np.ndarray)
    assert a.dtype == b.dtype
    assert_same_rows(ours.reset_infos, theirs.reset_infos)
    theirs.action_space.seed(0)
    for _ in range(50):
        actions = np.array([theirs.action_space.sample() for _ in range(N)])
        one, two = ours.step(actions), theirs.step(actions)
        for x, y in zip(one[:3], two[:3], strict=True):
            np.testing.assert_array_equal(x, y)
            assert np.asarray(x).dtype == np.asarray(y).dtype
        assert_same_rows(one[3], two[3])
        assert_same_rows(ours.reset_infos, theirs.reset_infos)


def test_ppo_learns_the_same_on_both() -> None:
    """Two trainings with one seed end in identical weights."""
    weights = []
    for env in (
        NB201VecEnv("NB201-cifar10-v0", N),
        DummyVecEnv([lambda: gym.make("NB201-cifar10-v0")] * N),
    ):
        model = sb3.PPO("MlpPolicy", VecMonitor(env), n_steps=24, batch_size=48, seed=3, device="cpu")
        model.learn(500)
        weights.append({k: v.numpy() for k, v in model.policy.state_dict().items()})
    for key, value in weights[0].items():
        np.testing.assert_array_equal(value, weights[1][key])


def test_masks_reach_maskable_ppo() -> None:
    contrib = pytest.importorskip("sb3_contrib")
    env = NB201VecEnv("NB201-cifar10-v0", N, actions="edit")
    env.reset()
    assert np.array(env.env_method("action_masks")).tolist() == env.action_masks().tolist()
    contrib.MaskablePPO("MlpPolicy", env, n_steps=8, batch_size=8, device="cpu").learn(64)


def test_what_copies_do_not_have() -> None:
    env = NB201VecEnv("NB201-cifar10-v0", N)
    with pytest.raises(AttributeError, match="no method 'fly' per copy"):
        env.env_method("fly")
    with pytest.raises(AttributeError, match="cannot set 'table'"):
        env.set_attr("table", None)
    assert env.env_is_wrapped(gym.Wrapper, [0, 1]) == [False, False]
    assert env.get_attr("table", 0)[0].name == "cifar10-valid-200"


def test_what_it_is_not_for() -> None:
    with pytest.raises(
        ValueError, match="is for this package's environments; 'CartPole-v1' is none: use .*make_vec_env"
    ):
        NB201VecEnv("CartPole-v1", 2)
    with pytest.raises(ValueError, match="wants autoreset_mode='SameStep', the default: leave it out"):
        NB201VecEnv("NB201-cifar10-v0", 2, autoreset_mode="NextStep")
    with pytest.raises(
        TypeError, match="^got an unexpected keyword argument 'rewrad'; did you mean 'reward'"
    ):
        NB201VecEnv("NB201-cifar10-v0", 2, rewrad="regret")


def test_subprocesses_make_the_environment_from_its_id() -> None:
    """The id form with a module imports the package in a fresh process, which knows nothing else."""
    env = SubprocVecEnv([partial(gym.make, "nb201env:NB201-cifar10-v0")] * 2, start_method="spawn")
    try:
        env.seed(0)
        env.reset()
        for _ in range(6):
            _, rewards, done, infos = env.step(np.array([3, 3]))
        assert done.all()
        assert [np.float32(info["accuracy"]) for info in infos] == rewards.tolist()
        assert (rewards > 0.85).all()
    finally:
        env.close()
