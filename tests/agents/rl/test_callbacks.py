"""The callback that ends learning with the search."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

pytest.importorskip("stable_baselines3")

from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from nb201env.agents.rl.callbacks import StopWhenSearchOver
from nb201env.agents.rl.vec_env import NB201VecEnv

ID = "NB201-cifar10-onehot-v0"


@pytest.mark.parametrize("algorithm", [PPO, A2C, DQN, MaskablePPO])
def test_learning_ends_with_the_budget(algorithm: Any) -> None:
    env = gym.make(ID, budget_queries=20)
    model = algorithm("MlpPolicy", env, seed=0, device="cpu").learn(10**9, callback=StopWhenSearchOver())
    assert model.num_timesteps == 6 * 20
    assert env.get_wrapper_attr("get_state")().search.queries == 20


@pytest.mark.parametrize("native", [False, True])
def test_with_copies_it_ends_when_the_last_search_is_over(native: bool) -> None:
    budget: dict[str, Any] = {"budget_queries": 7}
    env = NB201VecEnv(ID, 3, **budget) if native else DummyVecEnv([lambda: gym.make(ID, **budget)] * 3)
    model = PPO("MlpPolicy", env, n_steps=12, batch_size=36, device="cpu")
    model.learn(10**9, callback=StopWhenSearchOver())
    assert model.num_timesteps == 3 * 6 * 7


def test_copies_that_share_a_search_end_together() -> None:
    env = NB201VecEnv(ID, 3, budget_queries=7, share_search=True)
    model = PPO("MlpPolicy", env, n_steps=12, batch_size=36, device="cpu")
    model.learn(10**9, callback=StopWhenSearchOver())
    assert model.num_timesteps == 3 * 6 * 3  # the third round asks for one cell only
