"""Gymnasium: its checks, wrappers, vector environments, videos and games."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match
from gymnasium.utils.performance import benchmark_step
from gymnasium.vector import AutoresetMode

import nb201env
from nb201env.envs.registration import NAMED
from tests.clients.probes import row, run
from tests.clients.recorded import are_accuracies

ID, ONEHOT = "NB201-cifar10-v0", "NB201-cifar10-onehot-v0"
CELL = (3, 3, 3, 1, 3, 2)
SAME_STEP: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP}


def episode(env: gym.Env[Any, Any]) -> tuple[Any, float, dict[str, Any]]:
    """Build the cell; the last observation, reward and info."""
    env.reset(seed=0)
    for action in CELL:
        observation, reward, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            break
    return observation, float(reward), info


def known(reward: float) -> bool:
    """Whether it is the accuracy of one of the three runs of the cell."""
    table = nb201env.open_table("cifar10-valid-200")
    runs = [table.query(CELL, split="valid", epochs=200, run=seed).accuracy for seed in table.seeds]
    return any(abs(reward - accuracy) < 1e-9 for accuracy in runs)


@row("check_env: every id, three ways to act, two to observe; no warning")
def checks() -> None:
    for env_id in NAMED:
        for actions in ("build", "pick", "edit"):
            for observations in ("ops", "onehot"):
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    env = gym.make(
                        env_id, actions=actions, observations=observations, render_mode="rgb_array"
                    )
                    check_env(env.unwrapped)


@row("EnvSpec to JSON and back, pprint_registry")
def spec() -> None:
    env = gym.make(ID, actions="edit", max_edits=3)
    assert env.spec is not None
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.options == env.unwrapped.options  # type: ignore[attr-defined]
    check_environments_match(env, again, num_steps=50)
    assert ID in str(gym.pprint_registry(disable_print=True))


@row("copy.deepcopy, pickle; utils.env_match")
def copies() -> None:
    env = gym.make(ID, actions="edit")
    env.reset(seed=3)
    env.step(7)
    for other in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert other.step(11)[1] == copy.deepcopy(env).step(11)[1]


@row("action_space.sample(mask=env.unwrapped.sample_mask())")
def masks() -> None:
    for actions in ("build", "pick", "edit"):
        env = gym.make(ID, actions=actions)
        env.reset(seed=0)
        env.action_space.seed(0)
        env.step(env.action_space.sample(mask=env.unwrapped.sample_mask()))  # type: ignore[attr-defined]


@row("RecordEpisodeStatistics, NormalizeReward, ClipReward, TransformReward")
def rewards() -> None:
    env = wrappers.RecordEpisodeStatistics(gym.make(ID))
    _, reward, info = episode(env)
    assert known(reward)
    assert abs(info["episode"]["r"] - reward) < 1e-6
    assert info["episode"]["l"] == len(CELL)
    _, clipped, _ = episode(wrappers.ClipReward(gym.make(ID), 0.0, 0.5))
    assert clipped == 0.5
    _, doubled, _ = episode(wrappers.TransformReward(gym.make(ID), lambda r: 2 * float(r)))
    assert doubled == 2 * reward
    assert np.isfinite(episode(wrappers.NormalizeReward(gym.make(ID)))[1])


@row("FlattenObservation, FrameStackObservation, NormalizeObservation, DelayObservation")
def observations() -> None:
    assert episode(wrappers.FlattenObservation(gym.make(ID)))[0].shape == (36,)
    stacked = episode(wrappers.FrameStackObservation(gym.make(ID), 3))[0]
    assert stacked[-1].tolist() == list(CELL)
    assert stacked[-2].tolist() == [*CELL[:5], 5]
    assert np.isfinite(episode(wrappers.NormalizeObservation(gym.make(ID)))[0]).all()
    assert episode(wrappers.DelayObservation(gym.make(ID), 1))[0].tolist() == [*CELL[:5], 5]


@row("TimeAwareObservation", adds="gym.make(..., max_episode_steps=6)")
def timed() -> None:
    env = wrappers.TimeAwareObservation(gym.make(ID, max_episode_steps=6))
    observation, reward, _ = episode(env)
    assert env.observation_space.contains(observation)
    assert known(reward)


@row("RescaleObservation, DtypeObservation of one-hot observations")
def rescaled() -> None:
    low, high = np.full(36, -1, np.float32), np.full(36, 1, np.float32)
    assert set(episode(wrappers.RescaleObservation(gym.make(ONEHOT), low, high))[0].tolist()) == {-1.0, 1.0}
    assert episode(wrappers.DtypeObservation(gym.make(ONEHOT), np.float64))[0].dtype == np.float64


@row("TimeLimit, gym.make(max_episode_steps=), Autoreset, StickyAction, PassiveEnvChecker, OrderEnforcing")
def limits() -> None:
    env = gym.make(ID, max_episode_steps=2)
    env.reset(seed=0)
    env.step(1)
    assert env.step(1)[2:4] == (False, True)
    again = wrappers.Autoreset(gym.make(ID))
    assert known(episode(again)[1])
    assert again.step(0)[0].tolist() == [5] * 6
    are_accuracies(episode(wrappers.StickyAction(gym.make(ID), 0.5))[1])


@row("NumpyToTorch")
def torch_numbers() -> None:
    import torch

    env = wrappers.NumpyToTorch(gym.make(ID))
    observation, reward, _ = episode(env)
    assert isinstance(observation, torch.Tensor)
    assert known(reward)


@row("RecordVideo, AddRenderObservation, RenderCollection")
def video() -> None:
    env = wrappers.RecordVideo(gym.make(ID, render_mode="rgb_array"), "video", episode_trigger=lambda _: True)
    episode(env)
    env.close()  # type: ignore[no-untyped-call]
    assert [path.stat().st_size > 1000 for path in Path("video").glob("*.mp4")] == [True]
    frames = wrappers.AddRenderObservation(gym.make(ID, render_mode="rgb_array"))
    assert frames.observation_space.contains(episode(frames)[0])
    collected = wrappers.RenderCollection(gym.make(ID, render_mode="rgb_array"))
    episode(collected)
    assert len(collected.render()) == 1 + len(CELL)


@row("HumanRendering")
def window() -> None:
    env = wrappers.HumanRendering(gym.make(ID, render_mode="rgb_array"))
    assert known(episode(env)[1])
    env.close()  # type: ignore[no-untyped-call]


@row("utils.play.play(env, wait_on_player=True)")
def play() -> None:
    import pygame
    from gymnasium.utils.play import play

    env = gym.make(ID, render_mode="rgb_array")
    played: list[tuple[int, float]] = []

    def press(key: int) -> None:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))

    def after(_: Any, __: Any, action: int, reward: float, *___: Any) -> None:
        played.append((action, reward))
        pygame.event.post(pygame.event.Event(pygame.KEYUP, key=ord(str(action))))
        if len(played) < len(CELL):
            press(ord(str(CELL[len(played)])))
        else:
            pygame.event.post(pygame.event.Event(pygame.QUIT))

    pygame.init()
    press(ord(str(CELL[0])))
    play(env, callback=after, wait_on_player=True, fps=60, seed=0)
    assert [action for action, _ in played] == list(CELL)
    assert known(played[-1][1])


def rollout(envs: gym.vector.VectorEnv[Any, Any, Any]) -> tuple[list[Any], list[Any]]:
    """Observations and rewards of 20 random steps."""
    seen, got = [envs.reset(seed=5)[0].copy()], []
    draws = np.random.default_rng(0)
    for _ in range(20):
        observation, reward, *_ = envs.step(draws.integers(5, size=envs.num_envs))
        seen.append(observation.copy())
        got.append(np.array(reward))
    envs.close()
    return seen, got


@row("make_vec: native, sync and async give the same numbers")
def vectors() -> None:
    native = rollout(gym.make_vec(ID, num_envs=3))
    sync = rollout(gym.make_vec(ID, num_envs=3, vectorization_mode="sync", vector_kwargs=SAME_STEP))
    processes = rollout(gym.make_vec(ID, num_envs=3, vectorization_mode="async", vector_kwargs=SAME_STEP))
    np.testing.assert_array_equal(native[0], sync[0])
    np.testing.assert_array_equal(native[1], sync[1])
    np.testing.assert_array_equal(native[0], processes[0])
    np.testing.assert_array_equal(native[1], processes[1])
    rewards = np.array(native[1])
    are_accuracies(rewards[rewards > 0])


@row("AsyncVectorEnv with spawned processes, from the id alone")
def spawned() -> None:
    envs = gym.make_vec(
        f"nb201env:{ID}", num_envs=2, vectorization_mode="async",
        vector_kwargs=SAME_STEP | {"context": "spawn"},
    )  # fmt: skip
    np.testing.assert_array_equal(rollout(envs)[1], rollout(gym.make_vec(ID, num_envs=2))[1])


@row("vector RecordEpisodeStatistics, NormalizeReward, ClipReward, TransformReward, DictInfoToList")
def vector_rewards() -> None:
    envs = wrappers.vector.RecordEpisodeStatistics(gym.make_vec(ID, num_envs=4))
    rollout(envs)
    are_accuracies(envs.return_queue)
    assert set(envs.length_queue) == {6}
    assert np.max(rollout(wrappers.vector.ClipReward(gym.make_vec(ID, num_envs=4), 0.0, 0.5))[1]) == 0.5
    assert np.isfinite(rollout(wrappers.vector.NormalizeReward(gym.make_vec(ID, num_envs=4)))[1]).all()
    listed = wrappers.vector.DictInfoToList(gym.make_vec(ID, num_envs=4))
    listed.reset(seed=0)
    infos = listed.step(np.zeros(4, int))[4]
    assert len(infos) == 4


@row("vector RecordVideo")
def vector_video() -> None:
    envs = gym.make_vec(ID, num_envs=4, render_mode="rgb_array")
    rollout(wrappers.vector.RecordVideo(envs, "videos", episode_trigger=lambda episode: episode == 0))
    assert [path.stat().st_size > 1000 for path in Path("videos").glob("*.mp4")] == [True]


@row("vector NormalizeObservation, FlattenObservation", adds='gym.make_vec(..., autoreset_mode="NextStep")')
def vector_observations() -> None:
    def make() -> gym.vector.VectorEnv[Any, Any, Any]:
        return gym.make_vec(ID, num_envs=4, autoreset_mode="NextStep")

    assert np.isfinite(rollout(wrappers.vector.NormalizeObservation(make()))[0]).all()
    assert np.array(rollout(wrappers.vector.FlattenObservation(make()))[0]).shape == (21, 4, 36)


@row("make_vec(wrappers=)", adds='vectorization_mode="sync"')
def wrapped_copies() -> None:
    envs = gym.make_vec(
        ID, num_envs=2, vectorization_mode="sync", wrappers=[lambda env: wrappers.ClipReward(env, 0.0, 0.5)]
    )
    assert np.max(rollout(envs)[1]) == 0.5


@row("make_vec(wrappers=) of native copies", lacks="Gymnasium does not wrap single copies of a native vector")
def wrapped_native() -> None:
    gym.make_vec(ID, num_envs=2, wrappers=[wrappers.NormalizeReward])


@row("vector NumpyToTorch", lacks="it makes a tensor of every array in infos, also of texts")
def vector_torch() -> None:
    rollout(wrappers.vector.NumpyToTorch(gym.make_vec(ID, num_envs=4, autoreset_mode="NextStep")))


@row("utils.performance.benchmark_step")
def performance() -> None:
    assert benchmark_step(gym.make(ID), target_duration=1, seed=0) > 1000


if __name__ == "__main__":
    run()
