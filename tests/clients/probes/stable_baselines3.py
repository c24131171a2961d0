"""Stable-Baselines3: its check, agents, vectors, wrappers and callbacks."""

from __future__ import annotations

import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecCheckNan,
    VecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)

from nb201env.agents.rl.vec_env import NB201VecEnv
from tests.clients.probes import row, run
from tests.clients.recorded import are_accuracies, are_episodes

ID, ONEHOT = "NB201-cifar10-v0", "NB201-cifar10-onehot-v0"


def rewards_are_the_tables(agent: BaseAlgorithm, steps: int = 6) -> None:
    """Each episode that SB3 recorded has an accuracy of the table as its return, and that many steps."""
    are_episodes(agent.ep_info_buffer or [], steps)


def ppo(env: gym.Env[object, object] | VecEnv | str) -> PPO:
    """A small PPO that has learned a little."""
    return PPO("MlpPolicy", env, n_steps=32, batch_size=32, n_epochs=2, seed=0).learn(128)


@row("check_env: three ways to act, two to observe; no warning")
def checks() -> None:
    for actions in ("build", "pick", "edit"):
        for observations in ("ops", "onehot"):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                check_env(gym.make(ID, actions=actions, observations=observations).unwrapped)


@row('PPO("MlpPolicy", id)')
def ppo_of_id() -> None:
    rewards_are_the_tables(ppo(ID))


@row("A2C")
def a2c() -> None:
    rewards_are_the_tables(A2C("MlpPolicy", ID, seed=0).learn(128))


@row("DQN")
def dqn() -> None:
    rewards_are_the_tables(DQN("MlpPolicy", ID, learning_starts=32, buffer_size=500, seed=0).learn(128))


@row("PPO that picks whole cells, or edits them")
def other_actions() -> None:
    rewards_are_the_tables(ppo(gym.make(ID, actions="pick")), steps=1)
    agent = ppo(gym.make(ID, actions="edit", max_edits=4))
    assert {episode["l"] for episode in agent.ep_info_buffer or []} == {4}


@row("DQN that picks whole cells", lacks="its DQN takes only Discrete actions")
def dqn_picks() -> None:
    DQN("MlpPolicy", gym.make(ID, actions="pick"))


@row("save, load, evaluate_policy")
def saved() -> None:
    ppo(ID).save("agent")
    env = make_vec_env(ID)
    agent = PPO.load("agent", env=env)
    returns, lengths = evaluate_policy(agent, env, n_eval_episodes=4, return_episode_rewards=True)
    assert isinstance(returns, list)
    are_accuracies(returns)
    assert lengths == [6] * 4


@row("make_vec_env with SubprocVecEnv")
def processes() -> None:
    env = make_vec_env(ID, n_envs=2, seed=0, vec_env_cls=SubprocVecEnv)
    rewards_are_the_tables(ppo(env))
    env.close()


@row("SubprocVecEnv with spawned processes, from the id alone")
def spawned() -> None:
    env = make_vec_env(
        f"nb201env:{ID}", n_envs=2, vec_env_cls=SubprocVecEnv, vec_env_kwargs={"start_method": "spawn"}
    )
    rewards_are_the_tables(ppo(env))
    env.close()


@row("NB201VecEnv, the native vector as SB3's, equal to DummyVecEnv")
def native() -> None:
    ours, theirs = NB201VecEnv(ID, 4), DummyVecEnv([lambda: gym.make(ID)] * 4)
    rewards_are_the_tables(ppo(VecMonitor(NB201VecEnv(ID, 4))))
    for env in (ours, theirs):
        env.seed(3)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    draws = np.random.default_rng(0)
    for _ in range(20):
        actions = draws.integers(5, size=4)
        one, other = ours.step(actions), theirs.step(actions)
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


@row("VecNormalize of one-hot observations")
def normalised() -> None:
    for env in (make_vec_env(ONEHOT, n_envs=2), NB201VecEnv(ONEHOT, 2)):
        wrapped = VecNormalize(env)
        ppo(wrapped)
        assert np.isfinite(np.asarray(wrapped.normalize_obs(wrapped.get_original_obs()))).all()
        wrapped.reset()
        for _ in range(6):
            wrapped.step(np.zeros(2, int))
        are_accuracies(wrapped.get_original_reward())


@row("VecNormalize of the default observations", lacks="it normalises Box and Dict only")
def normalised_ops() -> None:
    VecNormalize(make_vec_env(ID))


@row("VecFrameStack, VecCheckNan")
def stacked() -> None:
    env = VecCheckNan(VecFrameStack(make_vec_env(ONEHOT, n_envs=2), 3), raise_exception=True)
    assert np.shape(env.reset()) == (2, 108)  # type: ignore[arg-type]
    rewards_are_the_tables(ppo(env))


@row("VecVideoRecorder")
def videos() -> None:
    def every(step: int) -> bool:
        return step == 0

    render = {"render_mode": "rgb_array"}
    for name, env in {
        "dummy": make_vec_env(ID, n_envs=2, env_kwargs=render),
        "native": NB201VecEnv(ID, 2, render_mode="rgb_array"),
    }.items():
        recorder = VecVideoRecorder(env, "videos", every, video_length=12, name_prefix=name)
        recorder.reset()
        for _ in range(13):
            recorder.step(np.zeros(2, int))
        recorder.close()
        assert [path.stat().st_size > 1000 for path in Path("videos").glob(f"{name}*.mp4")] == [True]


@row("EvalCallback")
def evaluated() -> None:
    callback = EvalCallback(make_vec_env(ID), eval_freq=64, n_eval_episodes=3, log_path="log", verbose=0)
    PPO("MlpPolicy", ID, n_steps=32, batch_size=32, n_epochs=1, seed=0).learn(128, callback=callback)
    with np.load("log/evaluations.npz") as held:
        assert held["results"].shape == (2, 3)
        are_accuracies(held["results"])
        assert set(held["ep_lengths"].ravel().tolist()) == {6}


if __name__ == "__main__":
    run()
