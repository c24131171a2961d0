"""The wrappers: shaped rewards."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from nb201env.agents.searches.recorder import Recorder
from nb201env.wrappers import ShapedReward, Shaping


def test_a_point_below_the_best_is_worth_less() -> None:
    shape = Shaping(sharpness=50, novelty=0.2)
    assert shape(0.70, "a") == 1.0
    assert shape(0.72, "b") == 1.0, "a new best sets the scale"
    assert shape(0.71, "c") == pytest.approx(math.exp(-0.5))
    assert shape(0.10, "d") == pytest.approx(0.0, abs=1e-12)
    assert shape.best == 0.72


def test_repeats_have_a_price() -> None:
    shape = Shaping(sharpness=50, novelty=0.2)
    rewards = [shape(0.7, "a") for _ in range(200)]
    assert rewards[0] == 1.0
    assert rewards[1] == pytest.approx(1 - 0.2 * math.log(2))
    assert all(after < before for before, after in pairwise(rewards))
    assert next(n for n, reward in enumerate(rewards, start=1) if reward < 0) == 149, (
        "worse than anything new"
    )
    assert shape(0.7, "b") == 1.0


def test_shaping_works_with_regrets() -> None:
    """Only differences of rewards count, so rewards below zero are shaped alike."""
    accuracy, regret = Shaping(50, 0.2), Shaping(50, 0.2)
    for reward in (0.5, 0.7, 0.69):
        assert accuracy(reward, "a") == pytest.approx(regret(reward - 0.73, "a"))


def test_without_sharpness_rewards_stay() -> None:
    assert Shaping(0, 0)(0.61, "a") == 0.61


def test_the_wrapper_changes_what_the_agent_sees_not_what_is_recorded() -> None:
    seen: list[dict[str, Any]] = []
    env = ShapedReward(
        Recorder(gym.make("NB201-cifar10-v0", budget_queries=9, actions="pick"), 0, seen.append),
    )
    rewards = []
    for _ in range(9):
        env.reset()
        rewards.append(env.step(np.full(6, 3))[1])
    assert [query["reward"] for query in seen] == [query["accuracy"] for query in seen]
    assert rewards[0] == 1.0
    assert rewards[-1] < 0.9


def test_gains_of_edits_stay_as_they_are() -> None:
    plain = gym.make("NB201-cifar10-v0", actions="edit")
    shaped = ShapedReward(gym.make("NB201-cifar10-v0", actions="edit"))
    for env in (plain, shaped):
        env.reset(seed=0)
    for action in (3, 9, 14):
        assert plain.step(action)[1] == shaped.step(action)[1]


def test_a_seeded_reset_forgets_the_search_before() -> None:
    env = ShapedReward(gym.make("NB201-cifar10-v0", actions="pick"))
    first = []
    for seed in (0, None, 0):
        env.reset(seed=seed)
        first.append(env.step(np.full(6, 3))[1])
    assert first[1] < first[0] == first[2] == 1.0


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_a_wrapped_environment_passes_gymnasiums_checks_and_can_be_made_from_its_spec() -> None:
    env = ShapedReward(gym.make("NB201-cifar10-v0"), sharpness=20, novelty=0.1)
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, ShapedReward)
    assert (again.shaping.sharpness, again.shaping.novelty) == (20, 0.1)
    check_env(again, skip_render_check=True)


@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf, "50", None])
@pytest.mark.parametrize("name", ["sharpness", "novelty"])
def test_what_is_no_number_is_refused(name: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a finite number of at least 0"):
        ShapedReward(gym.make("NB201-cifar10-v0"), **{name: wrong})
