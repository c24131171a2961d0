"""Minari: episodes recorded, stored, loaded and filtered, and the environment made again from that."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import minari
import numpy as np

from nb201env.envs.single import NB201Env
from tests.clients.probes import row, run
from tests.clients.recorded import is_gain, is_run, ops_of

OPS, ONE_HOT = "nb201env:NB201-cifar10-v0", "nb201env:NB201-cifar10-onehot-v0"
NAME, EPISODES = "nb201/cifar10/random-v0", 4


@contextmanager
def datasets() -> Iterator[None]:
    """A folder of data sets that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"] = folder
        yield


def recorded(env_id: str, actions: str) -> minari.MinariDataset:
    """Record random episodes, store them, and load them again."""
    run = "mean" if actions == "edit" else "sample"
    collector = minari.DataCollector(gym.make(env_id, actions=actions, run=run), record_infos=True)
    collector.action_space.seed(0)
    for episode in range(EPISODES):
        collector.reset(seed=0 if episode == 0 else None)
        over = False
        while not over:
            *_, terminated, truncated, _ = collector.step(collector.action_space.sample())
            over = terminated or truncated
    made = collector.create_dataset(
        NAME, algorithm_name="random", description="Random cells.", eval_env=env_id.removeprefix("nb201env:")
    )
    loaded = minari.load_dataset(NAME)
    assert loaded.total_episodes == made.total_episodes == EPISODES
    return loaded


@row("DataCollector, load_dataset; actions build, pick, edit")
def stored() -> None:
    for env_id in (OPS, ONE_HOT):
        for actions, steps in (("build", 6), ("pick", 1), ("edit", 20)):
            with datasets():
                loaded = recorded(env_id, actions)
                assert loaded.total_steps == EPISODES * steps
                for episode in loaded:
                    as_the_table(episode, actions, steps)


def as_the_table(episode: minari.EpisodeData, actions: str, steps: int) -> None:
    """Raise unless an episode's rewards, ends and infos are those of the table."""
    seen = episode.observations
    assert seen.shape[0] == steps + 1
    assert seen.dtype == (np.int64 if seen.shape[1] == 6 else np.float32)
    assert bool(episode.truncations[-1]) == (actions == "edit")
    assert bool(episode.terminations[-1]) == (actions != "edit")
    accuracy = episode.infos["accuracy"]
    assert len(accuracy) == len(episode.infos["architecture"]) == steps + 1
    cells = seen if seen.shape[1] == 6 else ops_of(seen)
    if actions == "edit":
        is_gain(cells[:-1], cells[1:], episode.rewards)
        return
    is_run(cells[-1], episode.rewards[-1])
    assert accuracy[-1] == episode.rewards[-1]
    assert (accuracy[:-1] == -1).all()
    assert (episode.infos["clock"][1:] >= episode.infos["clock"][:-1]).all()


@row("recover_environment")
def recovered() -> None:
    for env_id in (OPS, ONE_HOT):
        for actions in ("build", "pick", "edit"):
            with datasets():
                loaded = recorded(env_id, actions)
                for evaluation in (False, True):
                    env = loaded.recover_environment(eval_env=evaluation)
                    assert isinstance(env.unwrapped, NB201Env)
                    assert env.observation_space == loaded.observation_space
                    if not evaluation:
                        assert env.unwrapped.options.actions == actions
                        replays(env, loaded[0])


def replays(env: gym.Env[Any, Any], episode: minari.EpisodeData) -> None:
    """Raise unless the environment gives again what was recorded, bit for bit."""
    env.reset(seed=0)
    for action, reward, observation in zip(
        episode.actions, episode.rewards, episode.observations[1:], strict=True
    ):
        seen, given, *_ = env.step(action)
        assert given == reward
        assert (seen == observation).all()


@row("recover_environment where nothing has imported nb201env")
def recovered_elsewhere() -> None:
    code = (
        f"import minari; env = minari.load_dataset({NAME!r}).recover_environment(); "
        "print(env.reset(seed=0)[0].tolist(), env.unwrapped.options.actions)"
    )
    with datasets():
        recorded(OPS, "build")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[5, 5, 5, 5, 5, 5] build"


@row("sample_episodes, filter_episodes, combine_datasets")
def selected() -> None:
    with datasets():
        loaded = recorded(ONE_HOT, "build")
        best = max(float(episode.rewards[-1]) for episode in loaded)
        assert len(list(loaded.sample_episodes(3))) == 3
        kept = loaded.filter_episodes(lambda episode: float(episode.rewards[-1]) == best)
        assert kept.total_episodes == 1
        both = minari.combine_datasets([loaded, loaded], new_dataset_id="nb201/cifar10/twice-v0")
        assert both.total_episodes == 2 * EPISODES


if __name__ == "__main__":
    run()
