"""Costs in `info`: what the cell just queried costs, under the names of the table's columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from nb201env import Table, cost
from nb201env.agents.contract import vectorized
from nb201env.agents.random_search import RandomSearch
from nb201env.agents.searches.recorder import record, replay
from nb201env.envs.infos import INFO_KEYS
from nb201env.envs.registration import OWN
from nb201env.envs.single import NB201Env
from nb201env.envs.vector import NB201VectorEnv
from nb201env.official import describe
from nb201env.space import SIZE
from nb201env.table import NotRecorded, write_table
from nb201env.trajectory import read

SCORE = np.random.default_rng(1).normal(size=SIZE)
UNKNOWN = 15_624
"""The one architecture of which nobody measured the energy."""
ENERGY = np.where(np.arange(SIZE) == UNKNOWN, np.nan, np.arange(1.0, SIZE + 1))
PARAMS = cost.params(np.arange(SIZE), "cifar10")
COSTS = ["params", "board_energy_joules", "synflow"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Accuracies of two runs, an energy and a proxy's scores."""
    columns = {
        "valid_accuracy": np.random.default_rng(0).random((SIZE, 2, 1)), "train_seconds": np.full(SIZE, 9.0),
        "board_energy_joules": ENERGY, "synflow": SCORE, "test_energy": ENERGY, "_clock": ENERGY,
        "queries": ENERGY,
    }  # fmt: skip
    manifest: dict[str, Any] = describe("cifar10-valid", 200) | {"seeds": [1, 2], "provenance": {}}
    manifest["columns"] = {name: {} for name in columns} | {"valid_accuracy": {"epochs": [200]}}
    return write_table(tmp_path_factory.mktemp("costs") / "own.safetensors", manifest, columns)


def digits(index: int) -> np.ndarray[Any, Any]:
    return np.array([index // 5**place % 5 for place in (5, 4, 3, 2, 1, 0)])


def test_the_cell_just_queried_is_the_one_that_is_told_of(table: Table) -> None:
    env = gym.make(OWN, table=table, costs=COSTS)
    info = env.reset(seed=0)[1]
    for index in (4711, 0):
        assert [info[name] for name in COSTS] == [0.0, 0.0, 0.0], "nothing was queried"
        for op in digits(index):
            assert [info[name] for name in COSTS] == [0.0, 0.0, 0.0]
            info = env.step(op)[4]
        assert list(info) == [*INFO_KEYS, *COSTS]
        assert [info[name] for name in COSTS] == [PARAMS[index], ENERGY[index], SCORE[index]]
        assert {type(info[name]) for name in COSTS} == {float}
        info = env.reset()[1]


def test_nothing_is_added_unless_asked_for(table: Table) -> None:
    assert tuple(gym.make(OWN, table=table).reset(seed=0)[1]) == INFO_KEYS
    many: Any = gym.make_vec(OWN, num_envs=2, table=table)
    assert set(many.reset(seed=0)[1]) == {*INFO_KEYS, *(f"_{key}" for key in INFO_KEYS)}


def test_a_cost_that_nobody_knows_is_none(table: Table) -> None:
    env = gym.make(OWN, table=table, actions="pick", costs=["board_energy_joules"])
    env.reset(seed=0)
    assert np.isnan(env.step(digits(UNKNOWN))[4]["board_energy_joules"])


@pytest.mark.parametrize(
    "kwargs",
    [{"actions": "edit"}, {"actions": "pick"}, {"budget_seconds": 30.0, "overshoot": "drop"},
     {"actions": "edit", "repeats": "free", "max_edits": 3}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_many_at_once_say_what_one_says(table: Table, kwargs: dict[str, Any], mode: str) -> None:
    """The single environment behind Gymnasium's own vectorization, with its masks and final infos."""
    arguments: dict[str, Any] = {"table": table, "costs": COSTS} | kwargs
    mode_of_sync: dict[str, Any] = {"autoreset_mode": gym.vector.AutoresetMode(mode)}
    many: Any = gym.make_vec(OWN, num_envs=3, autoreset_mode=mode, **arguments)
    plain = gym.make_vec(OWN, num_envs=3, vectorization_mode="sync", vector_kwargs=mode_of_sync, **arguments)
    infos = [envs.reset(seed=4)[1] for envs in (many, plain)]
    check_same(*infos)
    many.action_space.seed(0)
    for _ in range(25):
        actions = many.action_space.sample()
        infos = [envs.step(actions)[4] for envs in (many, plain)]
        check_same(*infos)


def check_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for name in ours:
        if name == "final_info":
            check_same(ours[name], theirs[name])
        elif theirs[name].dtype != object:
            np.testing.assert_array_equal(ours[name], theirs[name])
            assert ours[name].dtype == theirs[name].dtype


def test_a_shared_search_tells_of_each_copys_cell(table: Table) -> None:
    env = gym.make(OWN, table=table, actions="pick", budget_queries=3, costs=["synflow"])
    many = vectorized(env, 2)
    many.reset(seed=0)
    for asked, shown in (([7, 8], [SCORE[7], SCORE[8]]), ([9, 10], [SCORE[9], 0.0])):
        info = many.step(np.stack([digits(index) for index in asked]))[4]["final_info"]
        assert info["synflow"].tolist() == shown


def test_gymnasium_finds_nothing_wrong_and_the_spec_comes_back(table: Table) -> None:
    env = gym.make(OWN, table=str(table.container.path), costs=("params", "synflow"))
    check_env(env.unwrapped, skip_render_check=True)
    assert env.spec is not None
    text = env.spec.to_json()
    assert json.loads(text)["kwargs"]["costs"] == ["params", "synflow"]
    again = gym.make(EnvSpec.from_json(text))
    assert again.unwrapped.options == env.unwrapped.options  # type: ignore[attr-defined]


def test_a_trajectory_says_what_was_shown_and_is_as_it_was(table: Table, tmp_path: Path) -> None:
    kept = []
    options: list[dict[str, Any]] = [{}, {"costs": ["synflow"]}]
    for number, more in enumerate(options):
        env = gym.make(OWN, table=str(table.container.path), budget_queries=3, **more)
        record(RandomSearch(), env, 0, tmp_path / f"{number}.jsonl")
        kept.append(read(tmp_path / f"{number}.jsonl"))
        assert replay(kept[-1], table) == []
    assert kept[0].queries == kept[1].queries
    assert kept[1].header["env"]["kwargs"]["costs"] == ["synflow"]


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        (["synflov"], NotRecorded, "does not record 'synflov'; it has the costs params, .*did you mean"),
        (["valid_accuracy"], NotRecorded, "records 'valid_accuracy' by epoch, so it is no cost .*; such are"),
        (["test_energy"], NotRecorded, "records 'test_energy' as a training's result, so it is no cost"),
        (["queries"], ValueError, "costs: 'queries' cannot be shown, info has that key already"),
        (["_clock"], ValueError, "costs: '_clock' cannot be shown"),
        (["final_info"], ValueError, "costs: 'final_info' cannot be shown"),
        ([""], ValueError, "costs: '' cannot be shown"),
        (["params", "params"], ValueError, "costs: a name stands twice"),
        ("params", ValueError, r"costs must be a list of names of costs, such as \['params'\]; got 'params'"),
        ([3], ValueError, "costs must be a list of names"),
        (None, ValueError, "costs must be a list of names"),
        ({"params": 1}, ValueError, "costs must be a list of names"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("made", [NB201Env, NB201VectorEnv])
def test_what_cannot_be_shown_is_said(
    table: Table, made: Any, names: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        made(table=table, costs=names)
