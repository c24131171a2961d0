"""Tianshou: its high-level experiments by id, a collector, its vector environments."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import BaseVectorEnv, DummyVectorEnv, ShmemVectorEnv, SubprocVectorEnv
from tianshou.highlevel.config import OffPolicyTrainingConfig, OnPolicyTrainingConfig
from tianshou.highlevel.env import EnvFactoryRegistered, VectorEnvType
from tianshou.highlevel.experiment import (
    DQNExperimentBuilder,
    ExperimentBuilder,
    ExperimentConfig,
    PPOExperimentBuilder,
)

from tests.clients.probes import row, run
from tests.clients.recorded import is_run, ops_of

OPS, ONE_HOT = "nb201env:NB201-cifar10-v0", "nb201env:NB201-cifar10-onehot-v0"
SETTINGS = {"max_epochs": 2, "epoch_num_steps": 300, "num_training_envs": 4, "num_test_envs": 2}
CONFIG = ExperimentConfig(seed=1, watch=False, persistence_enabled=False)


@row("EnvFactoryRegistered(id): DQN, Collector")
def dqn() -> None:
    training = OffPolicyTrainingConfig(**SETTINGS, collection_step_num_env_steps=60)
    for env_id in (OPS, ONE_HOT):
        learns(DQNExperimentBuilder(factory(env_id), CONFIG, training).with_model_factory_default((32,)))


@row("EnvFactoryRegistered(id): PPO, Collector")
def ppo() -> None:
    training = OnPolicyTrainingConfig(**SETTINGS, collection_step_num_env_steps=120)
    for env_id in (OPS, ONE_HOT):
        builder = PPOExperimentBuilder(factory(env_id), CONFIG, training)
        learns(builder.with_actor_factory_default((32,)).with_critic_factory_default((32,)))


def factory(env_id: str) -> EnvFactoryRegistered:
    return EnvFactoryRegistered(task=env_id, venv_type=VectorEnvType.DUMMY)


def learns(builder: ExperimentBuilder[Any]) -> None:
    """Raise unless it trains, and what it saw is what the table says."""
    found = builder.build().run()
    assert found.trainer_result is not None
    assert found.trainer_result.update_step > 0
    assert 0 < found.trainer_result.best_score < 0.92
    buffer = VectorReplayBuffer(1000, 4)
    collector = Collector(found.world.algorithm.policy, found.world.envs.training_envs, buffer)
    stats = collector.collect(n_episode=20, reset_before_collect=True)
    assert (stats.n_collected_episodes, stats.n_collected_steps) == (20, 120)
    seen, _ = buffer.sample(0)
    assert not seen.rew[~seen.terminated].any()
    last = seen.obs_next[seen.terminated]
    is_run(last if last.shape[-1] == 6 else ops_of(last), seen.rew[seen.terminated])
    assert np.allclose(np.sort(stats.returns), np.sort(seen.rew[seen.terminated]))


@row("DummyVectorEnv, SubprocVectorEnv, ShmemVectorEnv")
def vector_envs() -> None:
    actions = np.random.default_rng(0).integers(5, size=(6, 3))
    for env_id in (OPS, ONE_HOT):
        played = [play(kind, env_id, actions) for kind in (DummyVectorEnv, SubprocVectorEnv, ShmemVectorEnv)]
        for observations, rewards in played:
            is_run(actions.T, rewards)
            assert (observations == played[0][0]).all()
            assert (rewards == played[0][1]).all()


def play(kind: type[BaseVectorEnv], env_id: str, actions: Any) -> tuple[Any, Any]:
    envs = kind([partial(gym.make, env_id) for _ in range(3)])
    try:
        envs.seed(0)
        envs.reset()
        for action in actions:
            observations, rewards, terminated, _, infos = envs.step(action)
        assert terminated.all()
        assert [info["accuracy"] for info in infos] == list(rewards)
        return observations, rewards
    finally:
        envs.close()


if __name__ == "__main__":
    run()
