"""Searches in wrapped environments: recorded where they replay, refused where they would not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from nb201env.agents import make_agent
from nb201env.agents.searches.recorder import record, replay
from nb201env.trajectory import read
from tests.agents.test_check import agent, walk

ENV = "NB201-cifar10-v0"


class Negative(gym.RewardWrapper[Any, Any]):
    def reward(self, reward: Any) -> float:
        return -float(reward)


class AsksItself(gym.Wrapper[Any, Any, Any, Any]):
    """Asks for an architecture of its own before every episode."""

    def reset(self, **given: Any) -> Any:
        self.env.reset(**given)
        for _ in range(6):
            self.env.step(1)
        return self.env.reset()


class BeginsAnew(gym.Wrapper[Any, Any, Any, Any]):
    def reset(self, **given: Any) -> Any:
        return self.env.reset(**given | {"seed": 3})


class Hides(gym.Wrapper[Any, Any, Any, Any]):
    def step(self, action: Any) -> Any:
        *result, info = self.env.step(action)
        return *result, {name: value for name, value in info.items() if name != "clock"}


def test_a_wrapped_environment_is_said_to_be_and_replays(tmp_path: Path) -> None:
    wrapped = gym.wrappers.TimeLimit(Negative(gym.make(ENV, budget_queries=20)), 6)
    record(make_agent("regularized_evolution"), wrapped, 0, tmp_path / "a.jsonl")
    found = read(tmp_path / "a.jsonl")
    assert found.header["wrappers"] == [
        "tests.agents.searches.test_wrapped:Negative", "gymnasium.wrappers.common:TimeLimit"
    ]  # fmt: skip
    assert found.queries[0]["reward"] == -found.queries[0]["accuracy"]
    assert replay(found) == []
    record(make_agent("random_search"), gym.make(ENV, budget_queries=3), 0, tmp_path / "b.jsonl")
    assert "wrappers" not in read(tmp_path / "b.jsonl").header


@pytest.mark.parametrize(
    ("wrapper", "message"),
    [
        (AsksItself, r"would not replay: before query 2 \(the recorder's 1\) .*:AsksItself asked for"),
        (BeginsAnew, "would not replay: .*:BeginsAnew asked for architectures or began the search anew"),
        (Hides, r"a wrapper of the environment hides info\['clock'\], which a recorder needs"),
    ],
)  # fmt: skip
def test_what_would_not_replay_is_refused_when_it_is_recorded(
    wrapper: Any, message: str, tmp_path: Path
) -> None:
    env = wrapper(gym.make(ENV, budget_queries=20))
    with pytest.raises(ValueError, match=message):
        record(agent(walk), env, 0, tmp_path / "a.jsonl")
    assert not (tmp_path / "a.jsonl").exists()


def test_a_vectorized_search_does_not_pass_by_a_wrapper(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    env = Negative(gym.make(ENV, budget_queries=20))
    with pytest.raises(ValueError, match=r"pass by the environment's wrapper .*:Negative: search without it"):
        record(make_agent("vector_ppo"), env, 0, tmp_path / "a.jsonl")


def test_other_environments_are_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="recorded in environments of nb201env; got .*:CartPoleEnv"):
        record(agent(walk), gym.make("CartPole-v1"), 0, tmp_path / "a.jsonl")
