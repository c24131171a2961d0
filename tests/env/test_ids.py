"""Which tables an id takes: its own data set's, and `NB201-v0` any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from nb201env import open_table
from nb201env.envs.registration import NAMED, ONE_HOT, OWN
from nb201env.envs.single import NB201Env
from nb201env.envs.vector import NB201VectorEnv


def make(env_id: str, native: bool, **kwargs: Any) -> Any:
    return gym.make_vec(env_id, num_envs=2, **kwargs) if native else gym.make(env_id, **kwargs)


both_forms = pytest.mark.parametrize("native", [False, True], ids=["single", "vector"])


def test_every_id_has_a_table_of_the_data_set_in_its_name(every_id: str) -> None:
    kwargs = gym.spec(every_id).kwargs
    assert kwargs == {"table": NAMED[every_id], "dataset": open_table(NAMED[every_id]).dataset}
    assert every_id in (f"NB201-{kwargs['dataset']}-v0", f"NB201-{kwargs['dataset']}-surrogate-v0")


@both_forms
@pytest.mark.parametrize("table", NAMED.values())
def test_a_named_id_takes_tables_of_its_data_set_and_no_other(
    every_id: str, table: str, native: bool
) -> None:
    of = open_table(table).dataset
    if of == open_table(NAMED[every_id]).dataset:
        assert make(every_id, native, table=table).unwrapped.table is open_table(table)
        return
    message = f"this id is for tables of .*; '{table}' is of {of}: use NB201-v0 or NB201-{of}-v0$"
    with pytest.raises(ValueError, match=message):
        make(every_id, native, table=table)


@both_forms
@pytest.mark.parametrize("table", NAMED.values())
def test_the_id_for_tables_of_ones_own_takes_any(table: str, native: bool) -> None:
    env = make(OWN, native, table=table)
    assert env.unwrapped.table is open_table(table)
    env.reset(seed=0)
    again = make(OWN, native, table=open_table(table))
    assert again.unwrapped.table is open_table(table)


@both_forms
def test_a_table_of_no_known_data_set_fits_that_id_alone(native: bool, foreign_table: Path) -> None:
    assert make(OWN, native, table=str(foreign_table)).unwrapped.table.dataset == "toy"
    with pytest.raises(ValueError, match=r"this id is for tables of cifar10; '.*' is of toy: use NB201-v0$"):
        make("NB201-cifar10-v0", native, table=str(foreign_table))


@pytest.fixture
def foreign_table(epoch_table: str, tmp_path: Path) -> Path:
    from nb201env.container import write

    table = open_table(epoch_table)
    manifest = json.loads(json.dumps(table.manifest))
    manifest["task"]["dataset"] = "toy"
    del manifest["arrays"]
    arrays = {name: table.container.array(name) for name in table.manifest["arrays"]}
    write(tmp_path / "toy.safetensors", manifest, arrays)
    return tmp_path / "toy.safetensors"


@both_forms
def test_it_has_no_table_unless_one_is_named(native: bool) -> None:
    with pytest.raises(ValueError, match=r"NB201-v0 is for tables of your own: gym.make\('NB201-v0', table="):
        make(OWN, native)


@pytest.mark.parametrize("made", [NB201Env, NB201VectorEnv])
def test_what_is_no_table(made: Any) -> None:
    for table in (5, 2.5, True, ["cifar10-valid-200"], b"cifar10-valid-200"):
        with pytest.raises(TypeError, match="table must be the name or path of a table, or an open one; got"):
            made(table=table)


def test_a_spec_of_a_named_id_still_refuses_after_json() -> None:
    spec = gym.make("NB201-cifar10-v0", run="mean").spec
    assert spec is not None
    again = EnvSpec.from_json(spec.to_json())
    assert gym.make(again).unwrapped.table is open_table("cifar10-valid-200")  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="this id is for tables of cifar10"):
        gym.make(again, table="digits-10")


def test_a_surrogate_may_stand_in_for_its_table() -> None:
    env = gym.make("NB201-cifar10-v0", table="cifar10-valid-200-surrogate", actions="pick")
    env.reset(seed=0)
    assert 0 < float(env.step(np.full(6, 3))[1]) < 1


@both_forms
@pytest.mark.parametrize("env_id", ONE_HOT)
def test_one_hot_ids_need_nothing_but_the_id(env_id: str, native: bool) -> None:
    plain = make(env_id.replace("-onehot", ""), native, observations="onehot")
    env = make(env_id, native)
    assert isinstance(env.observation_space, gym.spaces.Box)
    assert env.unwrapped.table is plain.unwrapped.table
    assert env.unwrapped.options == plain.unwrapped.options
    with pytest.raises(ValueError, match="this id is for tables of"):
        make(env_id, native, table="digits-10" if "digits" not in env_id else "cifar100-200")
