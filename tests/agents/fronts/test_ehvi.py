"""The search by expected hypervolume improvement: its rules, and what it reaches."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import open_table
from nb201env.agents import make_agent
from nb201env.agents.contract import SeveralProposals
from nb201env.agents.fronts.boxes import improvement, open_boxes
from nb201env.agents.searches.front import FrontLandscape
from nb201env.agents.searches.recorder import Recorder, agent_seed
from nb201env.architecture import index_of
from nb201env.arrays import FloatArray
from nb201env.classes import canonical_classes, representatives
from nb201env.fronts.front import nondominated, points

pytest.importorskip("xgboost")
pytest.importorskip("moocore")

from nb201env.agents.fronts.ehvi import _nearest, _Predictor
from nb201env.agents.predictor_evolution import class_features, class_members


def proposals(seed: int = 0, **kwargs: Any) -> SeveralProposals:
    agent: Any = make_agent("ehvi", **kwargs)
    found: SeveralProposals = agent.proposals(np.random.default_rng(seed))
    return found


def drive(search: SeveralProposals, rewards: FloatArray, queries: int) -> list[int]:
    """The indices that a search asks for, when these are the rewards."""
    asked = [next(search).index]
    while len(asked) < queries:
        asked.append(search.send(rewards[asked[-1]]).index)
    return asked


def truth(*objectives: str) -> FloatArray:
    return points(open_table("cifar100-200"), objectives or ("accuracy", "params")).rewards


def test_one_member_of_each_class_is_asked() -> None:
    asked = drive(proposals(), truth(), 30)
    assert len({*canonical_classes()[asked].tolist()}) == 30
    assert {*asked} <= {*representatives().tolist()}


def test_the_member_asked_has_the_fewest_params_and_macs_of_its_class() -> None:
    for cost in ("params", "macs"):
        reward = truth("accuracy", cost)[:, 1]
        assert all(reward[members[0]] == reward[members].max() for members in class_members())


def test_same_seed_same_search() -> None:
    first, second, other = (drive(proposals(seed), truth(), 12) for seed in (0, 0, 1))
    assert first == second != other


@pytest.mark.parametrize("front", ["seen", "mean"])
def test_it_asks_where_the_improvement_is_greatest(front: str) -> None:
    """The sixth query, from the five random ones before, step by step."""
    rewards = truth()
    asked = drive(proposals(front=front, margin=0.5), rewards, 6)
    classes = canonical_classes()[asked[:5]].tolist()
    seen = rewards[asked[:5]]
    targets = (seen - seen.mean(axis=0)) / seen.std(axis=0)
    predictor = _Predictor(class_features("graph+canonical+livecost"), 10)
    mean, deviation = predictor.predict(classes, targets)
    found = targets if front == "seen" else mean[:, classes].T
    reference = found.min(axis=0) - 0.5 * np.ptp(found, axis=0)
    gain = improvement(mean, deviation, *open_boxes(found, reference))
    gain[classes] = -1
    assert canonical_classes()[asked[5]] == gain.argmax()


def test_rewards_of_any_scale_lead_the_same_way() -> None:
    plain = drive(proposals(), truth(), 20)
    assert drive(proposals(), truth() * [4.0, 1e3] - [3.0, 2.0], 20) == plain


@pytest.mark.parametrize("rewards", [np.zeros((15_625, 2)), truth() * [1.0, 0.0]])
def test_an_objective_in_which_all_are_alike_does_no_harm(rewards: FloatArray) -> None:
    assert len({*drive(proposals(), rewards, 12)}) == 12


def test_it_goes_on_when_every_class_was_asked() -> None:
    """Then the classes' second members have their turn."""
    count = len(representatives())
    asked = drive(proposals(startup=count, memory=60), truth(), count + 5)
    assert sorted(canonical_classes()[asked[:count]].tolist()) == list(range(count))
    assert len({*canonical_classes()[asked[count:]].tolist()}) == 5


def test_forgetting_keeps_the_layers_nearest_to_the_front() -> None:
    values = np.random.default_rng(0).normal(size=(50, 2))
    kept = _nearest(values, 25)
    assert len({*kept.tolist()}) == 25
    assert {*np.flatnonzero(nondominated(values)).tolist()} <= {*kept.tolist()}
    left = np.setdiff1d(np.arange(50), kept)
    assert not any((values[one] >= values[other]).all() for one in left for other in kept)


def test_with_a_short_memory_it_still_climbs() -> None:
    landscape = FrontLandscape.of(open_table("cifar100-200"), ["accuracy", "params"])
    asked = np.array(drive(proposals(memory=20), truth(), 60))
    assert landscape.volumes(asked)[-1] > landscape.volumes(asked)[19]


@pytest.mark.parametrize(
    "objectives",
    [
        ["accuracy", "params"],
        pytest.param(["accuracy", "params", "latency_seconds"], marks=pytest.mark.slow),
    ],
)
def test_it_beats_random_search(objectives: list[str]) -> None:
    """In 100 queries at least 2 of 3 searches dominate more than random search does on average in 200."""
    two = FrontLandscape.of(open_table("cifar10-valid-200"), ["accuracy", "params"])
    expected = float(two.expected_volumes(np.array([200]))[0])
    better = 0
    for seed in range(3):
        asked: list[int] = []
        env = gym.make("NB201-cifar10-mo-v0", budget_queries=100, objectives=objectives)
        keep = Recorder(env, seed, lambda query, to=asked: to.append(index_of(query["architecture"])))  # type: ignore[misc]
        make_agent("ehvi").search(keep, agent_seed(seed))
        better += two.volumes(np.array(asked))[-1] > expected
    assert better >= 2


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"front": "back"}, "front must be 'seen' or 'mean'; got 'back'"),
        ({"startup": 0}, "startup must be at least 1; got 0"),
        ({"memory": 0}, "memory must be at least 1; got 0"),
        ({"margin": -1.0}, "margin must be a finite number of at least 0; got -1.0"),
        ({"margin": float("nan")}, "margin must be a finite number of at least 0; got nan"),
        ({"encoding": "smell"}, "unknown encoding 'smell'"),
    ],
)
def test_hyperparameters_are_checked(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(proposals(**kwargs))
