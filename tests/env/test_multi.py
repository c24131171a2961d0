"""Several objectives: the rewards, and that everything else is as with one."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from functools import partial
from itertools import product
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from nb201env import NotRecorded, open_table
from nb201env.agents.contract import vectorized
from nb201env.architecture import index_of
from nb201env.comparison import costs
from nb201env.envs.infos import INFO_KEYS
from nb201env.envs.multi import NB201MOEnv
from nb201env.envs.options import ONE_REWARD
from nb201env.envs.registration import MULTI, NAMED, ONE_HOT
from nb201env.fronts.front import true_front
from nb201env.fronts.objectives import Objective
from tests.conftest import WAYS, label
from tests.env.test_vector import assert_same

ID = "NB201-cifar10-mo-v0"
PAIRS = [(env_id.replace("-mo-v0", "-v0"), env_id) for env_id in MULTI]
THREE: list[Any] = ["macs", {"name": "accuracy", "scale": 100.0}, {"name": "params", "direction": "max"}]
VARIANTS: list[dict[str, Any]] = [
    *WAYS,
    {"run": "mean", "objectives": THREE},
    {"run": 777, "actions": "pick"},
    {"budget_queries": 7, "actions": "edit", "max_edits": 3},
    {"budget_seconds": 9000.0, "actions": "pick", "overshoot": "drop", "costs": ["macs"]},
    {"budget_seconds": 100.0, "actions": "edit", "overshoot": "drop"},
    {"repeats": "free", "actions": "edit", "objectives": THREE},
    {"repeats": "free", "budget_queries": 5, "observations": "onehot"},
]
variants = pytest.mark.parametrize("variant", VARIANTS, ids=label)


def played(env: gym.Env[Any, Any], steps: int = 40, seed: int = 3) -> list[tuple[Any, ...]]:
    """Resets and steps with random actions; a reset counts as reward None."""
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    found: list[tuple[Any, ...]] = [(observation, None, False, False, info)]
    for _ in range(steps):
        found.append(env.step(env.action_space.sample()))
        if found[-1][2] or found[-1][3]:
            observation, info = env.reset()
            found.append((observation, None, False, False, info))
    return found


def reward_of(env: Any, info: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The cell's reward by the definition: value times scale, minus that where less is better."""
    index = index_of(info["architecture"])
    values = [info["accuracy"] if one.name == "accuracy" else costs(env.table, one.name)[index]
              for one in env.objectives]  # fmt: skip
    signs = [1 if one.maximize else -1 for one in env.objectives]
    factors = [one.scale * sign for one, sign in zip(env.objectives, signs, strict=True)]
    return np.asarray(np.array(values) * np.array(factors))


@variants
@pytest.mark.parametrize(("scalar_id", "multi_id"), PAIRS)
def test_the_same_search_with_vectors_for_rewards(
    scalar_id: str, multi_id: str, variant: dict[str, Any]
) -> None:
    ours: Any = gym.make(multi_id, **variant).unwrapped
    other = {key: value for key, value in variant.items() if key != "objectives"}
    other["costs"] = list(ours.options.costs)
    before: Any = 0.0
    for a, b in zip(played(ours), played(gym.make(scalar_id, **other)), strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        assert a[2:] == b[2:], "ends, clock, queries, runs, accuracies and costs"
        assert [*a[4]] == [*INFO_KEYS, *ours.options.costs]
        now = reward_of(ours, a[4]) if a[4]["architecture"] else None
        if a[1] is None:
            before = 0.0 if now is None else now
            continue
        assert (a[1].shape, a[1].dtype) == ((ours.reward_dim,), np.float64)
        assert ours.reward_space.contains(a[1])
        editing = variant.get("actions") == "edit"
        expected = 0 * a[1] if now is None else now - before if editing else now
        np.testing.assert_allclose(a[1], expected, rtol=1e-12, atol=1e-15)
        before = before if now is None else now


@variants
@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_the_vector_form_is_the_single_one_bit_for_bit(variant: dict[str, Any], mode: str) -> None:
    """Beside single environments, one by one, as Gymnasium's own vectorization knows no vector rewards."""
    n = 4
    native: Any = gym.make_vec(ID, num_envs=n, autoreset_mode=mode, **variant)
    singles: list[Any] = [gym.make(ID, **variant) for _ in range(n)]
    m = native.reward_dim
    assert native.reward_space == singles[0].unwrapped.reward_space
    observations, infos = native.reset(seed=5)
    for copied, single in enumerate(singles):
        same(observations, infos, copied, *single.reset(seed=5 + copied))
    native.action_space.seed(0)
    ended = np.zeros(n, dtype=np.bool_)
    for _ in range(40):
        actions = native.action_space.sample()
        observations, rewards, terminated, truncated, infos = native.step(actions)
        assert (rewards.shape, rewards.dtype) == ((n, m), np.float64)
        done = terminated | truncated
        for copied, single in enumerate(singles):
            if mode == "NextStep" and ended[copied]:
                assert not rewards[copied].any()
                same(observations, infos, copied, *single.reset())
                continue
            observation, reward, *ends, info = single.step(actions[copied])
            assert rewards[copied].tobytes() == reward.tobytes()
            assert [terminated[copied], truncated[copied]] == ends
            if mode == "SameStep" and done[copied]:
                same(infos["final_obs"], infos["final_info"], copied, observation, info)
                observation, info = single.reset()
            same(observations, infos, copied, observation, info)
        ended = done
        if mode == "Disabled" and done.any():
            observations, infos = native.reset(options={"reset_mask": done.copy()})
            for copied in np.flatnonzero(done).tolist():
                same(observations, infos, copied, *singles[copied].reset())


def same(observations: Any, infos: dict[str, Any], copied: int, observation: Any, info: Any) -> None:
    np.testing.assert_array_equal(observations[copied], observation)
    assert {key: infos[key][copied] for key in info} == info


@pytest.mark.parametrize("kwargs", [{}, {"actions": "edit", "max_edits": 3}, {"actions": "pick"}], ids=str)
def test_shorter_trainings(epoch_table: str, kwargs: dict[str, Any]) -> None:
    env: Any = gym.make("NB201-mo-v0", table=epoch_table, run="mean", **kwargs).unwrapped
    many: Any = gym.make_vec(
        "NB201-mo-v0", num_envs=2, autoreset_mode="Disabled", table=epoch_table, run="mean", **kwargs
    )
    for epochs in (2, 12, 5):
        before: Any = 0.0
        env.reset(seed=epochs, options={"epochs": epochs})
        _, info = env.reset(seed=epochs, options={"epochs": epochs})
        many.reset(seed=epochs, options={"epochs": epochs})
        many.action_space.seed(epochs)
        accuracy = open_table(epoch_table).accuracy(split="valid", epochs=epochs, run="mean")
        done = False
        while not done:
            if info["architecture"]:
                before = reward_of(env, info)
            actions = many.action_space.sample()
            _, reward, terminated, truncated, info = env.step(actions[0])
            np.testing.assert_array_equal(many.step(actions)[1][0], reward)
            done = terminated or truncated
            assert env.reward_space.contains(reward)
            if info["architecture"]:
                assert info["accuracy"] == accuracy[index_of(info["architecture"])]
                gain = before if kwargs.get("actions") == "edit" else 0.0
                np.testing.assert_allclose(reward, reward_of(env, info) - gain, atol=1e-15)


def test_copies_that_share_a_search_ask_as_one() -> None:
    one: Any = gym.make(ID, actions="pick", budget_queries=11, objectives=THREE).unwrapped
    many = vectorized(one, 3)
    cells = np.random.default_rng(0).integers(5, size=(5, 3, 6))
    many.reset(seed=7), one.reset(seed=7)
    for row in cells:
        _, rewards, terminated, _, infos = many.step(row)
        for copied, cell in enumerate(row):
            one.reset()
            _, reward, ended, _, info = one.step(cell)
            np.testing.assert_array_equal(rewards[copied], reward)
            assert terminated[copied] == ended
            if ended:
                assert infos["final_info"]["clock"][copied] == info["clock"]


@variants
def test_states_copies_and_pickles_go_on_alike(variant: dict[str, Any]) -> None:
    env: Any = NB201MOEnv(**variant)
    env.action_space.seed(0)
    env.reset(seed=1)
    for _ in range(3):
        ended = any(env.step(env.action_space.sample())[2:4])
        if ended:
            env.reset()
    state = pickle.loads(pickle.dumps(env.get_state()))
    others: list[Any] = [copy.deepcopy(env), pickle.loads(pickle.dumps(env)), NB201MOEnv(**variant)]
    others[2].set_state(state)
    assert others[0].objectives is env.objectives
    for one in others:
        assert (one.reward_space, one.objectives) == (env.reward_space, env.objectives)
    env.action_space.seed(4)
    for _ in range(20):
        action = env.action_space.sample()
        steps = [one.step(action) for one in (env, *others)]
        for step in steps[1:]:
            np.testing.assert_array_equal(step[1], steps[0][1])
            assert step[2:] == steps[0][2:]
        if steps[0][2] or steps[0][3]:
            assert len({str(one.reset()) for one in (env, *others)}) == 1


def test_a_copied_vector_form_goes_on_alike() -> None:
    env: Any = gym.make_vec(ID, num_envs=3, actions="edit").unwrapped
    env.reset(seed=0)
    env.step(np.array([0, 1, 2]))
    for other in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert other.reward_space == env.reward_space
        assert_same(copy.deepcopy(env).step(np.array([3, 9, 4])), other.step(np.array([3, 9, 4])))


def test_rewards_are_the_callers_own() -> None:
    makers: list[Any] = [gym.make, partial(gym.make_vec, num_envs=2)]
    for actions, make in product(("pick", "edit"), makers):
        ours, theirs = (make(ID, run="mean", actions=actions) for _ in range(2))
        for a, b in zip(overwritten(ours), overwritten(theirs, write=False), strict=True):
            np.testing.assert_array_equal(a, b)


def overwritten(env: Any, write: bool = True) -> list[Any]:
    """The rewards of the same actions, each written over after it was copied."""
    found = []
    env.action_space.seed(0)
    action = env.action_space.sample()
    for _ in range(3):
        env.reset(seed=0)
        reward = env.step(action)[1]
        found.append(reward.copy())
        if write:
            reward[...] = -77.0
    return found


# -- specifications --------------------------------------------------------------------------


def test_a_spec_survives_json() -> None:
    given = ["accuracy", Objective("params", scale=np.float64(1e-6)), "macs:min"]
    env: Any = gym.make(ID, objectives=given, actions="pick")
    text = env.spec.to_json()
    kept = json.loads(text)["kwargs"]["objectives"]
    assert kept == ["accuracy", {"name": "params", "scale": 1e-6}, "macs:min"]
    again: Any = gym.make(EnvSpec.from_json(text))
    assert again.unwrapped.options == env.unwrapped.options
    for a, b in zip(played(env), played(again), strict=True):
        np.testing.assert_array_equal(np.asarray(a[1], dtype=float), np.asarray(b[1], dtype=float))


@pytest.mark.parametrize("env_id", [*NAMED, *ONE_HOT, "NB201-v0"])
@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_ids_with_one_reward_refuse_objectives(env_id: str, make: Any) -> None:
    with pytest.raises(ValueError, match=f"^{ONE_REWARD}$"):
        make(env_id, objectives=["accuracy", "params"])


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"objectives": ["accuracy"]}, ValueError, "^objectives: 2 to 8 of them"),
        ({"objectives": []}, ValueError, "^objectives: 2 to 8 of them"),
        ({"objectives": None}, ValueError, "^objectives are a list such as"),
        ({"objectives": ["accuracy", "pizza"]}, NotRecorded, "no objective 'pizza'; there are"),
        ({"reward": "rank"}, ValueError, "^objectives say what is rewarded: leave out reward and limit$"),
        ({"limit": {"on": "params", "max": 5e5}}, ValueError, "^objectives say what is rewarded"),
        ({"table": "digits-10"}, ValueError, "use NB201-mo-v0 or NB201-digits-mo-v0$"),
        ({"objective": ["accuracy"]}, TypeError, "did you mean 'objectives'[?]"),
    ],
    ids=str,
)
def test_mistakes(kwargs: dict[str, Any], error: type[Exception], message: str) -> None:
    for make in (gym.make, gym.make_vec):
        with pytest.raises(error, match=message):
            make(ID, **kwargs)


# -- true fronts -----------------------------------------------------------------------------


@pytest.mark.parametrize(("actions", "steps"), [("build", 6), ("pick", 1)])
@pytest.mark.parametrize("run", ["sample", "mean", 777])
def test_the_front_is_the_best_that_returns_can_be(actions: str, steps: int, run: Any) -> None:
    env: Any = gym.make(ID, actions=actions, run=run).unwrapped
    expected = true_front(env.table, run=777 if run == 777 else "mean")
    np.testing.assert_array_equal(env.true_front().index, expected.index)
    np.testing.assert_allclose(env.pareto_front(0.9), 0.9 ** (steps - 1) * expected.rewards)
    np.testing.assert_array_equal(env.pareto_front(gamma=1), expected.rewards)
    many: Any = gym.make_vec(ID, 2, actions=actions, run=run).unwrapped
    np.testing.assert_array_equal(many.pareto_front(0.5), env.pareto_front(0.5))
    if run != "sample":  # then each point is really reached
        for architecture, reward in zip(expected.architectures, expected.rewards, strict=True):
            env.reset(seed=0)
            for action in architecture.ops if actions == "build" else [np.array(architecture.ops)]:
                got = env.step(action)[1]
            np.testing.assert_array_equal(got, reward)


def test_what_has_no_front() -> None:
    env: Any = gym.make(ID, actions="edit").unwrapped
    with pytest.raises(ValueError, match=r"^with actions='edit' a return is the gain .*; true_front\(\) has"):
        env.pareto_front(0.9)
    assert len(env.true_front().index) == 13
    for gamma in (-0.1, 1.5, float("nan"), "x"):
        with pytest.raises(ValueError, match="^gamma must be "):
            gym.make(ID).unwrapped.pareto_front(gamma)  # type: ignore[attr-defined]


def test_no_mo_gymnasium_is_needed_to_step() -> None:
    program = (
        "import sys\n"
        "for name in ('mo_gymnasium', 'moocore', 'pymoo'): sys.modules[name] = None\n"
        "import gymnasium as gym\n"
        f"env = gym.make('nb201env:{ID}', actions='pick'); env.reset(seed=0)\n"
        "print(env.step([3, 3, 3, 1, 3, 2])[1].shape, len(env.unwrapped.pareto_front(0.9)))\n"
        f"many = gym.make_vec('nb201env:{ID}', num_envs=3); many.reset(seed=0)\n"
        "print(many.step([0, 1, 2])[1].shape)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("(2,) 13\n(3, 2)\n", "")
