"""States that are put back, and copies: what follows is what followed, and only the table is shared."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence

from nb201env.container import write
from nb201env.envs.single import NB201Env
from nb201env.envs.states import State
from nb201env.envs.vector import NB201VectorEnv
from nb201env.tables import open_table
from tests.conftest import VARIANTS, label


def make(env_id: str = "NB201-cifar10-v0", **kwargs: Any) -> NB201Env:
    return gym.make(env_id, **kwargs).unwrapped  # type: ignore[return-value]


def walk(env: Any, steps: int, rng: np.random.Generator, seed: int | None = None) -> list[Any]:
    """All that comes back from some random steps, resets included."""
    back: list[Any] = [env.reset(seed=seed)] if seed is not None else []
    for _ in range(steps):
        action = rng.integers(30 if env.options.actions == "edit" else 5, size=env.action_space.shape)
        try:
            back.append(env.step(action))
        except ResetNeeded:
            back.append(env.reset())
    return [*back, env.np_random.integers(10**9)]


@pytest.mark.parametrize("seed", range(3))
def test_what_follows_a_state_follows_it_again(env_id: str, variant: dict[str, Any], seed: int) -> None:
    env = make(env_id, **variant)
    walk(env, 5 + 4 * seed, np.random.default_rng(seed), seed=seed)
    state = env.get_state()
    kept = pickle.dumps(state)
    follows = walk(env, 30, np.random.default_rng(9))
    for one in (env, make(env_id, **variant)):
        one.set_state(state)
        assert one.get_state() == state
        assert data_equivalence(walk(one, 30, np.random.default_rng(9)), follows, exact=True)
    assert pickle.dumps(state) == kept  # a value: what followed did not change it
    env.set_state(pickle.loads(kept))
    assert data_equivalence(walk(env, 30, np.random.default_rng(9)), follows, exact=True)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_go_on_alike_and_apart(env_id: str, variant: dict[str, Any], how: Any) -> None:
    env = make(env_id, **variant)
    walk(env, 8, np.random.default_rng(1), seed=5)
    env.action_space.seed(3)
    first, second = how(env), how(env)
    assert first.table is env.table
    follows = walk(env, 30, np.random.default_rng(9))
    samples = [env.action_space.sample() for _ in range(3)]
    for one in (first, second):
        assert data_equivalence(walk(one, 30, np.random.default_rng(9)), follows, exact=True)
        assert data_equivalence([one.action_space.sample() for _ in range(3)], samples, exact=True)
        assert one.spec == env.spec


@pytest.mark.parametrize("how", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("options", VARIANTS, ids=label)
def test_copies_of_the_vector_form(options: dict[str, Any], how: Any, mode: str, shared: bool) -> None:
    envs = NB201VectorEnv(4, "cifar10-valid-200", mode, share_search=shared, **options)
    walk(envs, 8, np.random.default_rng(1), seed=5)
    other = how(envs)
    assert other.table is envs.table
    follows = walk(envs, 20, np.random.default_rng(9))
    assert data_equivalence(walk(other, 20, np.random.default_rng(9)), follows, exact=True)


def test_epochs_are_part_of_a_state(epoch_table: str) -> None:
    env, other = (NB201Env(epoch_table, actions="pick", run="mean") for _ in range(2))
    env.reset(seed=0, options={"epochs": 3})
    state, cell = env.get_state(), np.full(6, 3)
    other.reset(seed=0)
    other.set_state(state, episode_only=True)
    envs = NB201VectorEnv(2, epoch_table, actions="pick", run="mean")
    envs.reset(seed=0, options={"epochs": 3})
    expected = env.step(cell)[1]
    assert other.step(cell)[1] == expected
    assert pickle.loads(pickle.dumps(envs)).step([cell, cell])[1].tolist() == [expected, expected]
    other.set_state(env.get_state())
    other.reset()
    assert other.step(cell)[1] != expected


def test_tree_search_pays_for_what_it_asks() -> None:
    env = make(budget_queries=3)
    with pytest.raises(ResetNeeded, match=r"call reset\(\) first"):
        env.set_state(env.get_state(), episode_only=True)
    env.reset(seed=0)
    for op in (3, 3, 1, 3, 3):
        env.step(op)
    stem = env.get_state()
    asked = []
    for op in range(3):
        env.set_state(stem, episode_only=True)
        observation, _, terminated, _, info = env.step(op)
        asked.append(info)
        assert terminated
        assert observation.tolist() == [3, 3, 1, 3, 3, op]
    assert [info["queries"] for info in asked] == [1, 2, 3]
    assert asked[-1]["clock"] == sum(info["seconds"] for info in asked)
    env.set_state(stem, episode_only=True)
    assert env.step(3)[2:4] == (False, True)  # the budget is spent, whatever is put back
    env.set_state(stem)
    assert env.step(0)[4] == asked[0]  # the search itself was put back


def test_states_of_something_else_are_refused_and_change_nothing() -> None:
    env = make()
    env.reset(seed=0)
    before = env.get_state()
    for other, message in (
        (make("NB201-cifar100-v0"), "another table"),
        (make(actions="pick"), "another options"),
        (make(budget_queries=9), "another options"),
    ):
        other.reset(seed=1)
        with pytest.raises(ValueError, match=message):
            env.set_state(other.get_state())
    nothing: dict[str, Any] = {}
    for value in (None, nothing, tuple(before), b"state"):
        with pytest.raises(TypeError, match="set_state takes what get_state returned; got"):
            env.set_state(value)  # type: ignore[arg-type]
    assert env.get_state() == before


def test_generators_are_copied_with_all_that_they_will_do() -> None:
    env = make()
    env.reset(seed=3)
    env.np_random.spawn(2)
    state, other = env.get_state(), copy.deepcopy(copy.deepcopy(env))
    again = make()
    again.set_state(state)
    numbers = [one.np_random.spawn(1)[0].random() for one in (env, other, again)]
    assert numbers[0] == numbers[1] == numbers[2]
    assert env.np_random_seed == other.np_random_seed == again.np_random_seed == 3


def test_generators_of_other_kinds_are_copied_too() -> None:
    env = make()
    env.reset(seed=3)
    env.np_random = np.random.Generator(np.random.MT19937(1))
    state, other = env.get_state(), copy.deepcopy(env)
    first = env.np_random.random()
    assert other.np_random.random() == first
    assert other.np_random_seed == -1
    for _ in range(2):
        env.set_state(state)
        assert env.np_random.random() == first


def test_what_a_subclass_adds_is_its_copys_own() -> None:
    class Mine(NB201Env):
        def __init__(self) -> None:
            super().__init__()
            self.notes: list[int] = []
            self.space = gym.spaces.Dict({"a": gym.spaces.Discrete(3)})

        def _build(self, action: Any) -> Any:
            self.notes.append(action)
            return super()._build(action)

    env = Mine()
    env.reset(seed=0)
    other = copy.deepcopy(env)
    env.step(4)
    other.step(1)
    assert (env.notes, other.notes) == ([4], [1])
    env.space.seed(1)
    assert other.space["a"] is not env.space["a"]


def test_copies_are_small() -> None:
    env = gym.make("NB201-cifar10-v0")
    env.reset(seed=0)
    env.step(3)
    env.unwrapped.np_random  # noqa: B018  (a generator is there, not only what makes one)
    assert len(pickle.dumps(env.unwrapped)) <= 1800
    assert len(pickle.dumps(env.unwrapped.get_state())) <= 1000  # type: ignore[attr-defined]
    many = gym.make_vec("NB201-cifar10-v0", num_envs=64)
    many.reset(seed=0)
    assert len(pickle.dumps(many)) <= 25_000


def test_a_pickle_opens_in_another_process() -> None:
    env = gym.make("NB201-ImageNet16-120-onehot-v0")
    env.reset(seed=2)
    env.step(3)
    program = (
        "import pickle, sys; env = pickle.loads(sys.stdin.buffer.read())\n"
        "print([env.step(3)[1] for _ in range(5)][-1])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(env), capture_output=True, check=True
    ).stdout
    assert float(printed) == [env.step(3)[1] for _ in range(5)][-1]


def test_a_pickled_table_is_found_where_it_lies_now(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_table("digits-10")
    arrays = {name: source.container.array(name) for name in source.manifest["arrays"]}
    manifest = {key: value for key, value in source.manifest.items() if key != "arrays"}
    manifest |= {"name": "mine", "seeds": [10, 11, 12]}
    write(tmp_path / "mine.safetensors", manifest, arrays)
    table = open_table(tmp_path / "mine.safetensors")
    assert copy.deepcopy(table) is copy.copy(table) is pickle.loads(pickle.dumps(table)) is table
    pickled = pickle.dumps(table)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("NB201_HOME", str(tmp_path / "home"))
    (tmp_path / "mine.safetensors").rename(tmp_path / "home" / "elsewhere.safetensors")
    assert pickle.loads(pickled).id == table.id
    (tmp_path / "home" / "elsewhere.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=f"no table here has the id {table.id[:12]}"):
        pickle.loads(pickled)


def test_a_state_says_what_it_is() -> None:
    env = make("NB201-digits-v0", observations="onehot")
    env.reset(seed=1)
    env.step(2)
    state = env.get_state()
    assert isinstance(state, State)
    assert state.table == env.table.id
    assert state.ops == (2, 5, 5, 5, 5, 5)
    assert (state.steps, state.search.queries, state.seed) == (1, 0, 1)
