"""Copies that share one search: one environment asked in their order, bit for bit."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env.agents.contract import Env, vectorized
from nb201env.agents.searches.recorder import Recorder, record, replay
from nb201env.space import decode
from nb201env.trajectory import read

KEYS = ("architecture", "run", "accuracy", "seconds", "clock")
VARIANTS: list[dict[str, Any]] = [
    {"budget_queries": 23},
    {"budget_queries": 23, "actions": "pick", "observations": "onehot"},
    {"budget_seconds": 40_000.0, "actions": "pick"},
    {"budget_seconds": 40_000.0, "overshoot": "drop"},
    {"budget_queries": 12, "repeats": "free", "actions": "pick"},
    {"budget_queries": 9, "run": "mean", "reward": "regret"},
]


class Lockstep:
    """Asks for random architectures, several at a time; few different ones, so that some repeat."""

    def __init__(self, copies: int) -> None:
        self.copies = copies

    def search(self, env: Env, seed: int) -> None:
        envs = vectorized(env, self.copies)
        rng = np.random.default_rng(seed)
        envs.reset()
        building = isinstance(envs.single_action_space, gym.spaces.Discrete)
        for _ in count():
            ops = decode(rng.integers(40, size=self.copies) * 300)
            for actions in ops.T if building else [ops]:
                *_, info = envs.step(actions)
            if info["search_over"].all():
                return


def asked(copies: int, **kwargs: Any) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    Lockstep(copies).search(Recorder(gym.make("NB201-cifar10-v0", **kwargs), 4, seen.append), 0)
    return seen


@pytest.mark.parametrize("kwargs", VARIANTS, ids=str)
@pytest.mark.parametrize("copies", [1, 3, 8])
def test_one_environment_asked_in_order_gives_the_same(copies: int, kwargs: dict[str, Any]) -> None:
    found = asked(copies, **kwargs)
    single = gym.make("NB201-cifar10-v0", **(kwargs | {"actions": "pick"}))
    info = single.reset(seed=4)[1]
    rng = np.random.default_rng(0)
    expected = []
    while not info["search_over"]:
        for ops in decode(rng.integers(40, size=copies) * 300):
            single.reset()
            _, reward, *_, info = single.step(ops)
            if info["architecture"]:
                expected.append({key: info[key] for key in KEYS} | {"reward": reward})
    assert found == expected
    assert len(found) > 8


def test_the_budget_ends_within_a_step() -> None:
    """Of eight queries asked at once only those within the budget are answered."""
    seen: list[dict[str, Any]] = []
    env = Recorder(gym.make("NB201-cifar10-v0", actions="pick", budget_queries=11), 0, seen.append)
    envs = vectorized(env, 8)
    envs.reset()
    actions = np.full((8, 6), 3)
    assert not envs.step(actions)[4]["search_over"].any()
    _, rewards, terminated, truncated, info = envs.step(actions)
    assert len(seen) == 11
    assert info["search_over"].all()
    assert terminated.tolist() == [True] * 3 + [False] * 5
    assert truncated.tolist() == [False] * 3 + [True] * 5
    assert (rewards > 0).tolist() == terminated.tolist()
    _, rewards, terminated, truncated, _ = envs.step(actions)
    assert truncated.all()
    assert len(seen) == 11


def test_shorter_trainings(epoch_table: str) -> None:
    envs = gym.make_vec("NB201-cifar10-v0", num_envs=3, table=epoch_table, actions="pick", share_search=True)
    single = gym.make("NB201-cifar10-v0", table=epoch_table, actions="pick")
    envs.reset(seed=0, options={"epochs": 2}), single.reset(seed=0)
    final = envs.step(np.full((3, 6), 3))[4]["final_info"]
    for copy in range(3):
        single.reset(options={"epochs": 2})
        info = single.step(np.full(6, 3))[4]
        assert {key: final[key][copy] for key in KEYS} == {key: info[key] for key in KEYS}
    with pytest.raises(ValueError, match=r"epochs must be in 1\.\.12"):
        envs.reset(options={"epochs": 13})


def test_edits_share_a_search_too() -> None:
    """Starting cells and queries are the single environment's, in the order of the copies."""
    envs = gym.make_vec("NB201-cifar10-v0", num_envs=4, actions="edit", share_search=True)
    _, info = envs.reset(seed=2)
    single = gym.make("NB201-cifar10-v0", actions="edit")
    alone = [single.reset(seed=2 if i == 0 else None)[1] for i in range(4)]
    for key in KEYS:
        assert info[key].tolist() == [one[key] for one in alone]


def test_trajectories_replay_and_repeat(tmp_path: Path) -> None:
    for name in ("a", "b"):
        env = gym.make("NB201-cifar10-v0", budget_queries=50)
        record(Lockstep(8), env, 3, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    trajectory = read(tmp_path / "a")
    assert len(trajectory.queries) == 50
    assert replay(trajectory) == []


def test_the_clock_cannot_be_turned_back() -> None:
    env = Recorder(gym.make("NB201-cifar10-v0", budget_queries=5), 0, lambda _: None)
    envs = vectorized(env, 2)
    envs.reset(seed=99)
    with pytest.raises(ValueError, match=r"an agent calls reset\(\) without seed"):
        envs.reset(seed=1)
    with pytest.raises(ValueError, match="before its first reset"):
        vectorized(env, 2)
    with pytest.raises(ValueError, match="builds or picks"):
        vectorized(
            Recorder(gym.make("NB201-cifar10-v0", actions="edit", budget_queries=5), 0, lambda _: None), 2
        )
