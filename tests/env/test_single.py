"""What the environment promises, checked over every id, way to act and way to observe."""

from __future__ import annotations

import math
import warnings
from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from nb201env import Architecture, NotRecorded, open_table
from nb201env.envs.options import EnvOptions, Options
from nb201env.envs.registration import TABLES
from nb201env.envs.single import NB201Env
from nb201env.space import SIZE, encode
from tests.conftest import VARIANTS

BEST = Architecture((3, 3, 3, 1, 3, 2))


def play(env: gym.Env[Any, Any], actions: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
    """Reset, then take these actions; the last step's result."""
    env.reset(seed=0)
    for action in actions:
        result = env.step(action)
    return result  # type: ignore[return-value]


# -- the field's own checkers ----------------------------------------------------------------


def test_gymnasiums_checker(every_id: str, way: dict[str, Any]) -> None:
    env = gym.make(every_id, render_mode="rgb_array", **way)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_stable_baselines3s_checker(every_id: str, way: dict[str, Any]) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(gym.make(every_id, **way).unwrapped)


def test_spec_survives_json(env_id: str, variant: dict[str, Any]) -> None:
    env = gym.make(env_id, **variant)
    assert env.spec is not None
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    for e in (env, again):
        e.action_space.seed(1)
        e.reset(seed=7)
    for _ in range(20):
        action = env.action_space.sample()
        ours, theirs = env.step(action), again.step(action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1:] == theirs[1:]
        if ours[2] or ours[3]:
            assert env.reset()[1] == again.reset()[1]


# -- rewards ---------------------------------------------------------------------------------


def test_building_the_best_cell(env_id: str) -> None:
    table = open_table(TABLES[env_id])
    best, optimum = table.optimum(split="valid", epochs=table.epochs)
    obs, reward, terminated, truncated, info = play(gym.make(env_id, run="mean"), best.ops)
    assert obs.tolist() == list(best.ops)
    assert (reward, terminated, truncated) == (optimum, True, False)
    assert info["architecture"] == str(best)
    assert (info["accuracy"], info["run"], info["queries"]) == (optimum, "mean", 1)
    assert (
        info["clock"]
        == info["seconds"]
        == table.query(best, split="valid", epochs=table.epochs, run="mean").seconds
    )


def test_each_way_to_act_reaches_the_same_answer(env_id: str) -> None:
    built = play(gym.make(env_id, run=777), BEST.ops)
    picked = play(gym.make(env_id, run=777, actions="pick"), [np.array(BEST.ops)])
    env = gym.make(env_id, run=777, actions="edit")
    _, start = env.reset(seed=0, options={"architecture": str(BEST.replace(0, 1))})
    edited = env.step(3)
    table = open_table(TABLES[env_id])
    accuracy = table.query(BEST, split="valid", epochs=table.epochs, run=777).accuracy
    for result in (built, picked, edited):
        assert result[4]["accuracy"] == accuracy
        assert result[0].tolist() == list(BEST.ops)
    assert built[1] == picked[1] == accuracy
    assert edited[1] == accuracy - start["accuracy"]


def test_rewards(env_id: str) -> None:
    table = open_table(TABLES[env_id])
    accuracy = table.query(BEST, split="valid", epochs=table.epochs, run="mean").accuracy
    params = float(table.values("params")[BEST.index])

    def reward(**kwargs: Any) -> float:
        return float(play(gym.make(env_id, actions="pick", run="mean", **kwargs), [np.array(BEST.ops)])[1])

    optimum = table.optimum(split="valid", epochs=table.epochs)[1]
    assert reward(reward="regret") == accuracy - optimum <= 0
    assert reward(reward="log_error") == pytest.approx(-math.log(1 - accuracy), rel=1e-12)
    known = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    assert reward(reward="rank") == (known < accuracy).sum() / 15_625
    assert reward(limit={"on": "params", "max": params}) == accuracy
    assert reward(limit={"on": "params", "max": params - 1}) == 0.0
    weighted = {"on": "params", "max": 2 * params, "how": "weighted", "exponent": -0.07}
    assert reward(limit=weighted) == pytest.approx(accuracy * 0.5**-0.07, rel=1e-12)


def test_sampled_runs_are_the_recorded_ones_alike_often() -> None:
    """Over many queries each of the recorded seeds answers about as often; missing ones never."""
    table = open_table("cifar10-valid-200")
    recorded = ~np.isnan(table.runs(split="valid", epochs=200))
    for index in (int(np.argmax(recorded.sum(1) == 3)), int(np.argmax(recorded.sum(1) == 2))):
        env = gym.make("NB201-cifar10-v0", actions="pick")
        ops = np.array(Architecture.from_index(index).ops)
        env.reset(seed=1)
        answers = []
        for _ in range(600):
            answers.append(env.step(ops)[4])
            env.reset()
        held = [seed for seed, there in zip(table.seeds, recorded[index], strict=True) if there]
        counts = {seed: sum(a["run"] == str(seed) for a in answers) for seed in held}
        assert sum(counts.values()) == 600
        assert min(counts.values()) > 600 / len(held) * 0.8
        for answer in answers[:20]:
            truth = table.query(index, split="valid", epochs=200, run=int(answer["run"]))
            assert (answer["accuracy"], answer["seconds"]) == truth


# -- the search: clock and budget ------------------------------------------------------------


def test_the_clock_adds_up_over_episodes() -> None:
    env = gym.make("NB201-cifar10-v0", actions="pick")
    env.reset(seed=0)
    total = 0.0
    for n in range(1, 10):
        info = env.step(env.action_space.sample())[4]
        total += info["seconds"]
        assert (info["clock"], info["queries"]) == (total, n)
        _, info = env.reset()
        assert (info["clock"], info["queries"], info["seconds"]) == (total, n, 0.0)
    _, info = env.reset(seed=0)
    assert (info["clock"], info["queries"]) == (0.0, 0)


def test_a_query_budget_ends_the_search() -> None:
    env = gym.make("NB201-cifar10-v0", actions="pick", budget_queries=3)
    env.reset(seed=0)
    for n in (1, 2, 3):
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        assert (terminated, truncated) == (True, False)
        assert info["search_over"] is (n == 3)
        _, info = env.reset()
    assert info["search_over"] is True
    _, reward, terminated, truncated, after = env.step(env.action_space.sample())
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert after == info
    assert env.reset(seed=0)[1]["search_over"] is False


@pytest.mark.parametrize("overshoot", ["allow", "drop"])
def test_a_seconds_budget(overshoot: str) -> None:
    env = gym.make("NB201-cifar10-v0", actions="pick", budget_seconds=10_000.0, overshoot=overshoot)
    env.reset(seed=0)
    while True:
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        if info["search_over"]:
            break
        assert info["clock"] < 10_000
        env.reset()
    if overshoot == "allow":
        assert info["clock"] >= 10_000 > info["clock"] - info["seconds"]
        assert terminated
    else:
        assert info["clock"] < 10_000
        assert (info["architecture"], info["accuracy"], reward) == ("", -1.0, 0.0)
        assert truncated


def test_repeats_pay_or_are_free() -> None:
    ops = np.array(BEST.ops)
    runs: dict[str, set[str]] = {}
    for repeats in ("pay", "free"):
        env = gym.make("NB201-cifar10-v0", actions="pick", repeats=repeats)
        env.reset(seed=0)
        infos = []
        for _ in range(20):
            infos.append(env.step(ops)[4])
            env.reset()
        runs[repeats] = {info["run"] for info in infos}
        if repeats == "free":
            assert infos[-1]["queries"] == 1
            assert [info["seconds"] > 0 for info in infos] == [True] + 19 * [False]
        else:
            assert infos[-1]["queries"] == 20
    assert runs == {"pay": {"777", "888", "999"}, "free": runs["free"]}
    assert len(runs["free"]) == 1


def test_edits() -> None:
    env = gym.make("NB201-cifar10-v0", actions="edit", max_edits=4, run="mean")
    obs, info = env.reset(seed=0)
    accuracy = info["accuracy"]
    assert (info["queries"], info["architecture"]) == (1, str(Architecture(tuple(obs))))
    for n in range(1, 5):
        action = int(env.action_space.sample(env.unwrapped.action_masks().astype(np.int8)))  # type: ignore[attr-defined]
        expected = obs.copy()
        expected[action // 5] = action % 5
        obs, reward, terminated, truncated, info = env.step(action)
        np.testing.assert_array_equal(obs, expected)
        assert reward == info["accuracy"] - accuracy
        accuracy = info["accuracy"]
        assert (terminated, truncated) == (False, n == 4)
    with pytest.raises(ResetNeeded):
        env.step(0)


def test_edit_episodes_start_anywhere() -> None:
    env = gym.make("NB201-cifar10-v0", actions="edit")
    starts = [int(encode(env.reset(seed=3 if n == 0 else None)[0])) for n in range(2000)]
    assert len(set(starts)) > 1800
    assert abs(np.mean(starts) / SIZE - 0.5) < 0.03


# -- properties ------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(data=st.data(), variant=st.sampled_from(VARIANTS), seed=st.integers(0, 2**31 - 1))
def test_any_action_sequence(data: st.DataObject, variant: dict[str, Any], seed: int) -> None:
    """Whatever is done: observations in the space, constant keys, a clock that only rises."""
    env = gym.make("NB201-cifar10-v0", **variant).unwrapped
    obs, info = env.reset(seed=seed)
    keys, clock, queries = list(info), info["clock"], info["queries"]
    env.action_space.seed(data.draw(st.integers(0, 1000)))
    for _ in range(data.draw(st.integers(1, 40))):
        over = info["search_over"]
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert obs in env.observation_space
        assert list(info) == keys
        assert type(reward) is float
        assert info["clock"] >= clock
        assert info["queries"] in (queries, queries + 1)
        assert (info["architecture"] == "") == (info["accuracy"] == -1.0) == (info["run"] == "")
        if over:
            assert truncated
            assert info["queries"] == queries
        if info["architecture"]:
            assert str(Architecture.parse(info["architecture"])) == info["architecture"]
        clock, queries = info["clock"], info["queries"]
        if terminated or truncated:
            obs, info = env.reset()
            clock, queries = info["clock"], info["queries"]


@settings(max_examples=30, deadline=None)
@given(variant=st.sampled_from(VARIANTS), seed=st.integers(0, 2**31 - 1))
def test_one_seed_one_story(variant: dict[str, Any], seed: int) -> None:
    """The same seed and actions give the same results, in a new environment and in the same one."""
    stories = []
    env = gym.make("NB201-cifar100-v0", **variant).unwrapped
    for e in (env, env, gym.make("NB201-cifar100-v0", **variant).unwrapped):
        e.action_space.seed(seed)
        story = [e.reset(seed=seed)[1]]
        for _ in range(25):
            *_, terminated, truncated, info = e.step(e.action_space.sample())
            story.append(info)
            if terminated or truncated:
                story.append(e.reset()[1])
        stories.append(story)
    assert stories[0] == stories[1] == stories[2]


# -- drawing and mistakes --------------------------------------------------------------------


def test_rendering() -> None:
    env = gym.make("NB201-cifar10-v0", render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    env.step(3)
    after = env.render()
    assert isinstance(before, np.ndarray)
    assert isinstance(after, np.ndarray)
    assert (before.shape, before.dtype) == ((200, 360, 3), np.dtype(np.uint8))
    assert (before != after).any()
    env = gym.make("NB201-cifar10-v0", render_mode="ansi", actions="pick")
    env.reset(seed=0)
    env.step(np.array(BEST.ops))
    assert env.render() == BEST.draw()
    with pytest.warns(UserWarning, match="pass render_mode"):
        assert gym.make("NB201-cifar10-v0").unwrapped.render() is None


@pytest.mark.parametrize("action", [5, -1, 2.5, "3", None, np.array([1, 2]), np.array([7])])
def test_bad_build_actions(action: Any) -> None:
    env = gym.make("NB201-cifar10-v0").unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"one integer in 0\.\.4"):
        env.step(action)


@pytest.mark.parametrize("action", [0, np.zeros(5, dtype=int), np.full(6, 5), np.zeros(6), np.full(6, -1)])
def test_bad_pick_actions(action: Any) -> None:
    env = gym.make("NB201-cifar10-v0", actions="pick").unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"6 integers in 0\.\.4"):
        env.step(action)


def test_actions_may_be_numpy_or_python_integers() -> None:
    env = gym.make("NB201-cifar10-v0").unwrapped
    env.reset(seed=0)
    for action in (3, np.int64(3), np.array(3), np.array([1]), np.int8(3), np.uint64(2)):
        obs, *_ = env.step(action)
    assert obs.tolist() == list(BEST.ops)


def test_stepping_without_a_reset() -> None:
    env = gym.make("NB201-cifar10-v0").unwrapped
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(0)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"actions": "bild"}, ValueError, "actions must be one of 'build', 'pick', 'edit'; got 'bild'"),
        ({"action": "build"}, TypeError, "unexpected keyword argument 'action'; did you mean 'actions'"),
        ({"colour": 1}, TypeError, "unexpected keyword argument 'colour'; known: actions"),
        ({"observations": "pixels"}, ValueError, "observations must be one of"),
        ({"reward": "test"}, ValueError, "reward must be one of"),
        ({"run": "best"}, ValueError, "run must be one of"),
        ({"run": 1.5}, TypeError, "run must be 'sample', 'mean' or a seed"),
        ({"run": 999}, NotRecorded, "no run 999 for 7,456 of 15,625 architectures"),
        ({"run": 5}, NotRecorded, r"no run 5; its seeds are \[777, 888, 999\]"),
        ({"epochs": 12}, NotRecorded, "does not record 'valid_accuracy' at epochs=12; recorded: 200"),
        ({"budget_queries": 0}, ValueError, "budget_queries must be above 0"),
        ({"budget_seconds": -1.0}, ValueError, "budget_seconds must be above 0"),
        ({"overshoot": "maybe"}, ValueError, "overshoot must be one of"),
        ({"repeats": "never"}, ValueError, "repeats must be one of"),
        ({"max_edits": 0}, ValueError, "max_edits must be above 0"),
        (
            {"limit": {"on": "watts", "max": 3}},
            NotRecorded,
            "not record 'watts'; it has the costs params, macs, lat",
        ),
        ({"limit": {"on": "parms", "max": 3}}, NotRecorded, "not record 'parms'; .*; did you mean 'params'"),
        (
            {"limit": {"on": "train_seconds", "max": 3}},
            NotRecorded,
            "by epoch, so it is no cost .*; such are params",
        ),
        ({"limit": {"on": 3, "max": 3}}, ValueError, r"limit\['on'\] must be the name of a cost, .*; got 3"),
        ({"limit": {"on": "", "max": 3}}, ValueError, r"limit\['on'\] must be the name of a cost"),
        ({"limit": {"on": "params", "max": 0}}, ValueError, r"limit\['max'\] must be above 0"),
        ({"limit": {"params": 3}}, TypeError, "limit must look like"),
        ({"limit": 500_000}, TypeError, "limit must look like .*; got 500000"),
        ({"limit": {"on": "params", "max": 3}, "reward": "regret"}, ValueError, "limit goes with"),
        ({"render_mode": "human"}, ValueError, "render_mode must be one of"),
        ({"table": "cifar11"}, FileNotFoundError, "no table 'cifar11'"),
    ],
)
def test_bad_arguments(kwargs: dict[str, Any], error: type[Exception], message: str) -> None:
    from nb201env.envs.single import NB201Env

    with pytest.raises(error, match=message):
        NB201Env(**kwargs)


def test_bad_reset_options() -> None:
    with pytest.raises(ValueError, match="only with actions='edit'"):
        gym.make("NB201-cifar10-v0").reset(options={"architecture": 3})
    with pytest.raises(ValueError, match="reset options"):
        gym.make("NB201-cifar10-v0", actions="edit").reset(options={"start": 3})


def test_editors_see_the_arguments_that_there_are() -> None:
    assert list(EnvOptions.__annotations__) == [field.name for field in fields(Options)]
    assert {name for name in dir(NB201Env) if not name.startswith("_")} - set(dir(gym.Env)) == {
        "action_masks", "sample_mask", "recorded_epochs", "get_keys_to_action", "get_state", "set_state",
    }  # fmt: skip
