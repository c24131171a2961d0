"""RLlib: algorithms of its new API stack, given nothing but an id, here and in remote runners."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import ray
from ray.rllib.algorithms import Algorithm, AlgorithmConfig
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

from nb201env.envs.vector import NB201VectorEnv
from tests.clients.probes import row, run
from tests.clients.recorded import is_run, ops_of

OPS, ONE_HOT = "nb201env:NB201-cifar10-v0", "nb201env:NB201-cifar10-onehot-v0"


@contextmanager
def built(config: AlgorithmConfig) -> Iterator[Algorithm]:
    """The algorithm, on a Ray that all rows share."""
    if not ray.is_initialized():
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    algorithm = config.debugging(seed=0, log_level="ERROR").build_algo()
    try:
        yield algorithm
    finally:
        algorithm.stop()


def small() -> DefaultModelConfig:
    return DefaultModelConfig(fcnet_hiddens=[32], fcnet_activation="tanh")


def ppo(env: str, runners: int = 0, **arguments: Any) -> AlgorithmConfig:
    config = PPOConfig().environment(env, env_config=arguments)
    config = config.env_runners(num_env_runners=runners, num_envs_per_env_runner=4)
    config = config.training(train_batch_size_per_learner=240, minibatch_size=60, num_epochs=2)
    return config.rl_module(model_config=small())


def trains(algorithm: Algorithm, episodes: int) -> None:
    """Raise unless it finishes episodes and its returns may be a table's."""
    found = algorithm.train()["env_runners"]
    assert found["num_episodes"] >= episodes
    assert 0.09 < found["episode_return_min"] <= found["episode_return_max"] < 0.92
    assert found["episode_len_mean"] == 6


@row("PPO of the one-hot id: train, evaluate, save, load")
def ppo_by_id() -> None:
    config = ppo(ONE_HOT).evaluation(evaluation_duration=10, evaluation_num_env_runners=0)
    with built(config) as algorithm:
        trains(algorithm, 30)
        evaluated = algorithm.evaluate()["env_runners"]
        assert evaluated["num_episodes"] == 10
        assert 0.09 < evaluated["episode_return_mean"] < 0.92
        as_the_table(algorithm)
        with tempfile.TemporaryDirectory() as folder:
            restored = Algorithm.from_checkpoint(algorithm.save_to_path(folder))
        trains(restored, 30)
        assert restored.training_iteration == 2
        restored.stop()


def as_the_table(algorithm: Algorithm) -> None:
    """Raise unless the episodes that the algorithm's runner samples have the table's rewards."""
    episodes = algorithm.env_runner.sample(num_episodes=8, random_actions=True)
    whole = [one for one in episodes if one.is_done]
    assert len(whole) >= 8
    rewards = np.array([one.get_rewards() for one in whole])
    assert rewards.shape == (len(whole), 6)
    assert not rewards[:, :-1].any()
    is_run(ops_of([one.get_observations(-1) for one in whole]), rewards[:, -1])
    assert all(one.get_infos(-1)["accuracy"] == one.get_rewards(-1) for one in whole)


@row("PPO of the one-hot id in a remote runner")
def remote() -> None:
    with built(ppo(ONE_HOT, runners=1)) as algorithm:
        trains(algorithm, 30)


@row("DQN of the one-hot id")
def dqn() -> None:
    config = DQNConfig().environment(ONE_HOT).env_runners(num_envs_per_env_runner=2)
    config = config.training(train_batch_size_per_learner=32, num_steps_sampled_before_learning_starts=60)
    config = config.rl_module(model_config=small()).reporting(min_sample_timesteps_per_iteration=240)
    with built(config) as algorithm:
        trains(algorithm, 30)
        as_the_table(algorithm)


# RLlib takes the step after the last of an episode for the reset, as Gymnasium's own vector forms have it; it
# does not look at the mode, and cuts up the episodes of another wrongly without a word.
@row("PPO, gym_env_vectorize_mode=VECTOR_ENTRY_POINT", adds="env_config={'autoreset_mode': 'NextStep'}")
def native_vector() -> None:
    config = ppo(ONE_HOT, autoreset_mode="NextStep")
    with built(config.env_runners(gym_env_vectorize_mode=gym.VectorizeMode.VECTOR_ENTRY_POINT)) as algorithm:
        assert isinstance(algorithm.env_runner.env.unwrapped, NB201VectorEnv)
        trains(algorithm, 30)
        as_the_table(algorithm)


@row("PPO, env_config={'actions': 'edit'} and 'pick'")
def env_config() -> None:
    for actions, steps in (("edit", 20), ("pick", 1)):
        with built(ppo(ONE_HOT, actions=actions)) as algorithm:
            found = algorithm.train()["env_runners"]
            assert found["episode_len_mean"] == steps
            assert math.isfinite(found["episode_return_mean"])


@row("PPO of the id", lacks="has no encoder for MultiDiscrete observations")
def ops() -> None:
    with built(ppo(OPS)) as algorithm:
        algorithm.train()


if __name__ == "__main__":
    run()
