"""The environments' arguments, actions and resets: which are taken, which refused, and what is left then."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from nb201env import NotRecorded, open_table
from nb201env.envs.options import Limit, Options
from nb201env.envs.single import NB201Env
from nb201env.envs.vector import MOST_BYTES, NB201VectorEnv
from nb201env.space import SIZE

NO_NUMBERS: list[Any] = [
    True,
    False,
    np.True_,
    "3",
    b"3",
    "",
    None,
    3j,
    [],
    [3],
    (),
    {},
    {3},
    object(),
    np.array([3, 3]),
]
NO_WHOLE: list[Any] = [2.0, 2.5, np.float64(2), float("nan"), float("inf"), Decimal(3), Fraction(3)]
NOT_FINITE = [float("nan"), float("inf"), -float("inf"), np.float64("nan"), np.float32("inf"), 10**400]
WHOLE_KINDS: list[Callable[[int], Any]] = [
    int, np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64, np.array
]  # fmt: skip


def label(value: Any) -> str:
    return getattr(value, "__name__", repr(value))


# -- numbers in arguments --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["budget_queries", "max_edits", "epochs"])
def test_counts(name: str) -> None:
    for kind in WHOLE_KINDS:
        stored = getattr(Options(**{name: kind(3)}), name)
        assert (type(stored), stored) == (int, 3)
    bad = [*NO_NUMBERS, *NO_WHOLE, 0, -1, np.int64(0)]
    for value in bad if name == "max_edits" else [one for one in bad if one is not None]:
        with pytest.raises(ValueError, match=f"^{name} must be above 0.*, a whole number; got"):
            Options(**{name: value})


@pytest.mark.parametrize("value", [777, np.int64(777), np.uint16(777), np.array(777)], ids=label)
def test_a_seed_of_any_whole_type(value: Any) -> None:
    run = Options(run=value).run
    assert (type(run), run) == (int, 777)


def test_what_is_no_run() -> None:
    for value in [*NO_NUMBERS, *NO_WHOLE]:
        with pytest.raises((TypeError, ValueError), match="^run must be"):
            Options(run=value)


def test_a_budget_of_seconds() -> None:
    kinds: list[Any] = [1000, 1000.0, np.float32(1000), np.float64(1000), np.int64(1000)]
    for value in kinds:
        stored = Options(budget_seconds=value).budget_seconds
        assert (type(stored), stored) == (float, 1000.0)
    for value in [one for one in [*NO_NUMBERS, *NOT_FINITE, 0, -1.0, Decimal(3)] if one is not None]:
        with pytest.raises(
            ValueError, match=r"^budget_seconds must be above 0 \(or None\), a finite number; got"
        ):
            Options(budget_seconds=value)


@pytest.mark.parametrize("name", ["max", "exponent"])
def test_numbers_of_limits(name: str) -> None:
    given: dict[str, Any] = {"on": "params", "max": 5e5, "how": "weighted"}
    for value in (2, 2.0, np.float32(2), np.int64(2)):
        limit = Options.of({"limit": given | {name: value}}).limit
        assert limit is not None
        assert (type(getattr(limit, name)), getattr(limit, name)) == (float, 2.0)
    for value in [*NO_NUMBERS, *NOT_FINITE, Decimal(3)] + ([0, -1.0] if name == "max" else []):
        with pytest.raises(ValueError, match=rf"^limit\['{name}'\] must be"):
            Options.of({"limit": given | {name: value}})


@pytest.mark.parametrize("name", ["actions", "observations", "reward", "overshoot", "repeats"])
def test_choices_are_texts(name: str) -> None:
    for value in [*NO_NUMBERS, *NO_WHOLE, 3, np.array(["build", "pick"])]:
        with pytest.raises(ValueError, match=f"^{name} must be one of"):
            Options.of({name: value})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("rewrad", "did you mean 'reward'"), ("tabel", "did you mean 'table'"),
        ("datset", "did you mean 'dataset'"), ("rendermode", "did you mean 'render_mode'"),
        ("budget_query", "did you mean 'budget_queries'"),
        ("colour", "known: actions, .*, table, dataset, render_mode$"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("made", [NB201Env, NB201VectorEnv])
def test_a_misspelt_name_in_pythons_words(made: Any, name: str, hint: str) -> None:
    with pytest.raises(TypeError, match=rf"^got an unexpected keyword argument '{name}'; {hint}"):
        made(**{name: 1})


def test_the_native_vector_environment_has_no_time_limit() -> None:
    with pytest.raises(ValueError, match="for max_episode_steps use gym.make_vec.*vectorization_mode='sync'"):
        gym.make_vec("NB201-cifar10-v0", max_episode_steps=3)
    env = gym.make_vec("NB201-cifar10-v0", num_envs=2, max_episode_steps=3, vectorization_mode="sync")
    env.reset(seed=0)
    assert [env.step([0, 0])[3].all() for _ in range(3)] == [False, False, True]


def test_sharing_is_a_yes_or_no() -> None:
    for value in ("no", "false", 1, 0, None):
        with pytest.raises(ValueError, match="share_search must be True or False; got"):
            NB201VectorEnv(2, share_search=value)  # type: ignore[arg-type]


def test_how_many_copies() -> None:
    for kind in WHOLE_KINDS:
        assert NB201VectorEnv(kind(2)).num_envs == 2
    for value in [*NO_NUMBERS, *NO_WHOLE, 0, -1]:
        with pytest.raises(ValueError, match="num_envs must be at least 1, a whole number; got"):
            NB201VectorEnv(value)
    asked: list[tuple[int, dict[str, Any]]] = [(10**9, {}), (10**400, {}), (10**6, {"repeats": "free"})]
    for count, kwargs in asked:
        with pytest.raises(ValueError, match=r"would take more than 8 GiB of memory; .* [\d,]+ are the most"):
            NB201VectorEnv(count, **kwargs)
    assert MOST_BYTES == 8 * 2**30


# -- specifications --------------------------------------------------------------------------

ODD_TYPES: list[dict[str, Any]] = [
    {"run": np.int64(777)}, {"budget_queries": np.int32(5)}, {"budget_seconds": np.float32(9000)},
    {"limit": Limit("params", 4e5)}, {"limit": {"on": "params", "max": np.float64(4e5)}},
    {"table": open_table("cifar10-valid-200")}, {"table": open_table("cifar10-valid-200").container.path},
]  # fmt: skip


@pytest.mark.parametrize("kwargs", ODD_TYPES, ids=lambda kwargs: f"{kwargs}"[:40])
@pytest.mark.parametrize("native", [False, True], ids=["single", "vector"])
def test_specs_survive_json_whatever_the_types(kwargs: dict[str, Any], native: bool) -> None:
    made = gym.make_vec if native else gym.make
    more: dict[str, Any] = {"num_envs": 2, "autoreset_mode": "NextStep"} if native else {}
    env: Any = made("NB201-cifar10-v0", **kwargs, **more)
    spec = EnvSpec.from_json(env.spec.to_json())
    again: Any = made(spec)
    assert again.unwrapped.options == env.unwrapped.options
    assert again.unwrapped.table is env.unwrapped.table
    assert json.loads(again.spec.to_json()) == json.loads(env.spec.to_json())


def test_a_table_by_its_path(epoch_table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a relative one, and what it is made again from elsewhere is the same."""
    path = Path(epoch_table)
    monkeypatch.chdir(path.parent)
    env = gym.make("NB201-cifar10-v0", table=Path(path.name))
    monkeypatch.chdir("/")
    assert env.spec is not None
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.table.id == env.unwrapped.table.id == open_table(path).id  # type: ignore[attr-defined]


# -- actions ---------------------------------------------------------------------------------

WAYS: dict[str, tuple[Any, str]] = {
    "build": (3, r"one integer in 0\.\.4"),
    "edit": (3, r"one integer in 0\.\.29"),
    "pick": ([3, 3, 3, 1, 3, 2], r"6 integers in 0\.\.4"),
}
NO_ACTIONS: list[Any] = [
    True, False, np.True_, 2.0, 3.0, np.float64(3), np.array(3.0), np.array([True]), "3", None, Decimal(3),
    Fraction(3), -1, 30, 10**30, [], [3, 3], {}, object(), float("nan"),
]  # fmt: skip


@pytest.mark.parametrize("actions", WAYS)
def test_what_is_no_action(actions: str) -> None:
    """Neither alone nor, where there are six, in a place of a good one; single and vector alike."""
    good, message = WAYS[actions]
    env, envs = NB201Env(actions=actions), NB201VectorEnv(2, actions=actions)  # type: ignore[arg-type]
    before = env.reset(seed=0)[0], envs.reset(seed=0)[0]
    for bad in NO_ACTIONS:
        one = [*good[:3], bad, *good[4:]] if isinstance(good, list) else bad
        with pytest.raises(ValueError, match=message):
            env.step(one)
        with pytest.raises(ValueError, match="actions must be integers in"):
            envs.step([good, one])
    np.testing.assert_array_equal(env._observe(), before[0])
    np.testing.assert_array_equal(envs._observe(), before[1])
    for kind in (int, np.int8, np.uint8, np.int64, np.uint64):
        same = [kind(op) for op in good] if isinstance(good, list) else kind(good)
        env.reset(seed=0), envs.reset(seed=0)
        assert env.step(same)[4]["queries"] == (actions == "pick") + 2 * (actions == "edit")
        envs.step([good, same])


# -- masks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("actions", WAYS)
def test_masks_as_gymnasium_wants_them(actions: str) -> None:
    """The two calls that the docstring names; the sampled actions are among those the mask allows."""
    env = NB201Env(actions=actions)  # type: ignore[arg-type]
    env.reset(seed=0)
    masks = env.action_masks()
    for _ in range(20):
        if actions == "pick":
            sampled = env.action_space.sample(tuple(masks.astype("int8").reshape(6, 5)))
        else:
            sampled = env.action_space.sample(masks.astype("int8"))
            assert masks[sampled]
        assert sampled in env.action_space
        env.step(sampled)
        env.reset()
    assert masks.dtype == np.bool_
    assert masks.shape == ({"build": 5, "pick": 30, "edit": 30}[actions],)


# -- resets ----------------------------------------------------------------------------------

BAD_OPTIONS: list[dict[str, Any]] = [
    {"epochs": 13}, {"epochs": 0}, {"epochs": -1}, {"epochs": True}, {"epochs": 4.0}, {"epochs": "4"},
    {"epochs": Decimal(4)}, {"epochs": [4]}, {"start": 3}, {"architecture": -1}, {"architecture": SIZE},
    {"architecture": True}, {"architecture": 2.0}, {"architecture": "3"}, {"architecture": (0.9,) * 6},
]  # fmt: skip


@pytest.mark.parametrize("native", [False, True, "shared"], ids=["single", "vector", "shared"])
@pytest.mark.parametrize("options", BAD_OPTIONS, ids=str)
def test_a_refused_reset_changes_nothing(options: dict[str, Any], native: Any, epoch_table: str) -> None:
    """The search goes on with its clock, epochs and draws; also where the bad reset brought a seed."""

    def story(refused: bool) -> list[Any]:
        env: Any = NB201Env(epoch_table, actions="edit")
        if native:
            env = NB201VectorEnv(2, epoch_table, actions="edit", share_search=native == "shared")
        told = [env.reset(seed=3, options={"epochs": 4})]
        action = [3, 4] if native else 3
        told.append(env.step(action))
        for seed in (None, 5) if refused else ():
            with pytest.raises((ValueError, NotRecorded)):
                env.reset(seed=seed, options=options)
        return [*told, env.step(action), env.reset(), env.step(action)]

    assert repr(story(True)) == repr(story(False))


@pytest.mark.parametrize("native", [False, True, "shared"], ids=["single", "vector", "shared"])
def test_a_refused_seed_changes_nothing(native: Any, epoch_table: str) -> None:
    env: Any = NB201Env(epoch_table, actions="edit")
    if native:
        env = NB201VectorEnv(2, epoch_table, actions="edit", share_search=native == "shared")
    env.reset(seed=3)
    clock = env.step([3, 4] if native else 3)[4]["clock"]
    for seed in (
        -1,
        2.5,
        True,
        "3",
        np.array(2.5),
        *([[1], [1, 2, 3], [1, 2.0], [1, True], "12", {1}] if native else ()),
    ):
        with pytest.raises(ValueError, match="seed"):
            env.reset(seed=seed, options={"epochs": 2})
    after = env.step([3, 4] if native else 3)[4]
    assert np.all(after["clock"] > clock)
    assert np.all(after["queries"] > 2)
    assert np.all(after["seconds"] > 12 * 5)  # of whole trainings still


@pytest.mark.parametrize("kind", WHOLE_KINDS, ids=label)
def test_epochs_of_any_whole_type(kind: Callable[[int], Any], epoch_table: str) -> None:
    truth = open_table(epoch_table).query(0, split="valid", epochs=4, run=8 - 1)
    env = NB201Env(epoch_table, run=kind(7), actions="pick")
    env.reset(seed=0, options={"epochs": kind(4)})
    info = env.step(np.zeros(6, int))[4]
    assert (info["accuracy"], info["seconds"]) == (truth.accuracy, truth.seconds)
    envs = NB201VectorEnv(2, epoch_table, run=kind(7), actions="pick")
    envs.reset(seed=[1, None], options={"epochs": kind(4)})
    assert envs.step(np.zeros((2, 6), int))[4]["final_info"]["accuracy"].tolist() == [truth.accuracy] * 2


def test_a_vector_reset_seeds_the_generator_too() -> None:
    """And the copies that are reset later do not get the key of a copy that was seeded."""
    env = NB201VectorEnv(4, actions="edit", autoreset_mode="Disabled")
    drawn = []
    seeds: list[Any] = [0, 0, np.int64(0), 1]
    for seed in seeds:
        env.reset(seed=seed)
        assert env.np_random_seed == seed
        drawn.append(float(env.np_random.random()))
    assert drawn[0] == drawn[1] == drawn[2] != drawn[3]
    env = NB201VectorEnv(4, actions="edit", autoreset_mode="Disabled")
    first = np.array([True, False, False, False])
    seeded = env.reset(seed=0, options={"reset_mask": first})[1]["architecture"][0]
    later = env.reset(options={"reset_mask": ~first})[1]["architecture"][1:]
    assert len({seeded, *later}) == 4
