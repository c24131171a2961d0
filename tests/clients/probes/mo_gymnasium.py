"""MO-Gymnasium: its wrappers and vector environments on the ids with several objectives."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mo_gymnasium as mo_gym
import numpy as np
from mo_gymnasium.wrappers import LinearReward, MONormalizeReward, MORecordEpisodeStatistics
from mo_gymnasium.wrappers.vector import MOAsyncVectorEnv, MOSyncVectorEnv
from mo_gymnasium.wrappers.vector import MORecordEpisodeStatistics as VectorStatistics

import nb201env
from nb201env.architecture import index_of
from tests.clients.probes import row, run
from tests.clients.recorded import is_run

OPS = "nb201env:NB201-cifar10-v0"
SEVERAL = "nb201env:NB201-cifar10-mo-v0"
CELL = (3, 3, 3, 1, 3, 2)


def two_rewards() -> Any:
    """The accuracy, and the parameters, fewer being better."""
    return mo_gym.make(SEVERAL)


def played(env: gym.Env[Any, Any]) -> tuple[Any, dict[str, Any]]:
    """Build the cell; the sum of the rewards, and the last info."""
    env.reset(seed=0)
    total: Any = 0.0
    for op in CELL:
        _, reward, _, _, info = env.step(op)
        total = total + np.asarray(reward)
    return total, info


def as_the_table(rewards: Any) -> None:
    """Raise unless two rewards are the cell's; [2]."""
    assert rewards.shape == (2,)
    is_run(CELL, rewards[0])
    params = nb201env.open_table("cifar10-valid-200").values("params")
    assert np.isclose(rewards[1], -params[index_of(CELL)] / params.max())


@row("make(id): one reward, as from Gymnasium")
def scalar() -> None:
    total, info = played(mo_gym.make(OPS))
    assert total.shape == ()
    assert total == info["accuracy"]
    is_run(CELL, total)


@row("make(-mo- id): reward_space, vector rewards, pareto_front")
def vector_rewards() -> None:
    env = two_rewards()
    total, info = played(env)
    as_the_table(total)
    assert total[0] == info["accuracy"]
    assert env.unwrapped.reward_space.contains(total)
    assert len(env.unwrapped.pareto_front(gamma=0.9)) == 13


@row("MORecordEpisodeStatistics, LinearReward, MONormalizeReward")
def wrappers() -> None:
    total, info = played(MORecordEpisodeStatistics(two_rewards(), gamma=0.5))
    as_the_table(total)
    assert np.allclose(info["episode"]["r"], total)
    assert np.allclose(info["episode"]["dr"], total * 0.5**5)
    weighted, info = played(LinearReward(two_rewards(), weight=np.array([0.75, 0.25])))
    as_the_table(info["vector_reward"])
    assert np.isclose(weighted, total @ [0.75, 0.25])
    normalized, _ = played(MONormalizeReward(two_rewards(), idx=1))
    assert np.isclose(normalized[0], total[0])
    assert normalized[1] != total[1]


@row("make_vec(-mo- id): native vector rewards, and MORecordEpisodeStatistics on them")
def native_vector() -> None:
    envs = VectorStatistics(gym.make_vec(SEVERAL, num_envs=3, autoreset_mode="NextStep"))
    envs.reset(seed=0)
    for op in CELL:
        _, rewards, terminated, _, infos = envs.step(np.full(3, op))
    assert terminated.all()
    assert rewards.shape == (3, 2)
    for one, total in zip(rewards, infos["episode"]["r"], strict=True):
        as_the_table(one)
        assert np.allclose(total, one)


@row("MOSyncVectorEnv")
def sync_vector() -> None:
    side_by_side(MOSyncVectorEnv)


@row("MOAsyncVectorEnv", lacks="its workers are not those that Gymnasium 1.4 wants")
def async_vector() -> None:
    side_by_side(MOAsyncVectorEnv)


def side_by_side(kind: type[MOSyncVectorEnv] | type[MOAsyncVectorEnv]) -> None:
    envs = kind([two_rewards for _ in range(3)])
    try:
        envs.reset(seed=0)
        for op in CELL:
            _, rewards, terminated, _, infos = envs.step(np.full(3, op))
        assert terminated.all()
        assert rewards.shape == (3, 2)
        for one, accuracy in zip(rewards, infos["accuracy"], strict=True):
            as_the_table(one)
            assert np.isclose(one[0], accuracy)
    finally:
        envs.close()


if __name__ == "__main__":
    run()
