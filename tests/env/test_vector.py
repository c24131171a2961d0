"""The vector environment is the single one, bit for bit."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from nb201env.envs.single import NB201Env

N = 5
STEPS = 60


def assert_same_info(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Every key of Gymnasium's info stands in ours with the same values where its mask is set."""
    assert set(theirs) == set(ours)
    for key, value in theirs.items():
        if key == "final_info":
            assert_same_info(ours[key], value)
        elif key == "final_obs":
            for row, expected in zip(ours[key], value, strict=True):
                np.testing.assert_array_equal(row, np.zeros_like(row) if expected is None else expected)
        else:
            np.testing.assert_array_equal(ours[key], value, err_msg=key)
            assert ours[key].dtype == value.dtype, key


def assert_same(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
    for a, b in zip(ours[:-1], theirs[:-1], strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert_same_info(ours[-1], theirs[-1])


def pair(env_id: str, mode: str, kwargs: dict[str, Any]) -> tuple[Any, Any]:
    native = gym.make_vec(env_id, num_envs=N, autoreset_mode=mode, **kwargs)
    sync = gym.make_vec(
        env_id, num_envs=N, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **kwargs
    )
    return native, sync


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
@pytest.mark.parametrize("seed", [0, 123])
def test_equals_single_environments(env_id: str, variant: dict[str, Any], mode: str, seed: int) -> None:
    native, sync = pair(env_id, mode, variant)
    assert native.observation_space == sync.observation_space
    assert native.action_space == sync.action_space
    assert_same(native.reset(seed=seed), sync.reset(seed=seed))
    native.action_space.seed(seed)
    for _ in range(STEPS):
        actions = native.action_space.sample()
        assert_same(native.step(actions), sync.step(actions))
    # A later seeded reset starts new searches in both.
    assert_same(native.reset(seed=seed + 1), sync.reset(seed=seed + 1))
    assert_same(native.step(actions), sync.step(actions))


def test_equals_single_environments_with_manual_resets(env_id: str, variant: dict[str, Any]) -> None:
    native, sync = pair(env_id, "Disabled", variant)
    assert_same(native.reset(seed=[5, 6, 7, 8, 9]), sync.reset(seed=[5, 6, 7, 8, 9]))
    native.action_space.seed(3)
    for _ in range(STEPS):
        actions = native.action_space.sample()
        ours, theirs = native.step(actions), sync.step(actions)
        assert_same(ours, theirs)
        done = ours[2] | ours[3]
        if done.any():
            ours, theirs = (env.reset(options={"reset_mask": done.copy()}) for env in (native, sync))
            assert_same(ours, theirs)


def test_copies_get_out_of_step_when_some_are_reset(env_id: str) -> None:
    native, sync = pair(env_id, "Disabled", {})
    assert_same(native.reset(seed=0), sync.reset(seed=0))
    native.action_space.seed(0)
    mask = np.array([True, False, False, True, False])
    for env in (native, sync):
        env.step(np.zeros(N, dtype=np.int64))
    assert_same(native.reset(options={"reset_mask": mask}), sync.reset(options={"reset_mask": mask}))
    for _ in range(5):
        actions = native.action_space.sample()
        assert_same(native.step(actions), sync.step(actions))


def test_masks_equal_those_of_single_environments(env_id: str) -> None:
    native, sync = pair(env_id, "SameStep", {"actions": "edit"})
    native.reset(seed=1), sync.reset(seed=1)
    np.testing.assert_array_equal(native.action_masks(), [e.unwrapped.action_masks() for e in sync.envs])
    assert native.action_masks().sum(axis=1).tolist() == [24] * N


def test_unseeded_copies_differ() -> None:
    env = gym.make_vec("NB201-cifar10-v0", num_envs=64, actions="edit")
    _, info = env.reset()
    assert len(set(info["architecture"])) > 50


def test_copies_that_are_reset_later_have_keys_of_their_own() -> None:
    env = gym.make_vec("NB201-cifar10-v0", num_envs=32, actions="edit", autoreset_mode="Disabled")
    env.reset(options={"reset_mask": np.arange(32) < 4})
    with pytest.raises(ResetNeeded, match="28 of 32 copies need a reset"):
        env.step(np.zeros(32, dtype=np.int64))
    _, info = env.reset(options={"reset_mask": np.arange(32) >= 4})
    assert len(set(info["architecture"][4:])) > 20


def test_reset_without_seed_continues_the_search() -> None:
    env: Any = gym.make_vec("NB201-cifar10-v0", num_envs=2, actions="pick")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    _, info = env.reset()
    assert info["queries"].tolist() == [1, 1]
    _, info = env.reset(seed=[None, 4])
    assert info["queries"].tolist() == [1, 0]


def test_metadata_and_spec() -> None:
    env = gym.make_vec("NB201-cifar10-v0", num_envs=3)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    metadata = gym.make_vec("NB201-cifar10-v0", num_envs=2, autoreset_mode="NextStep").metadata
    assert metadata == NB201Env.metadata | {"autoreset_mode": AutoresetMode.NEXT_STEP}
    assert env.spec is not None
    assert env.spec.id == "NB201-cifar10-v0"


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"autoreset_mode": "never"}, "autoreset_mode must be one of"),
        ({"num_envs": 0}, "num_envs must be at least 1"),
        ({"render_mode": "human"}, "render_mode must be one of"),
        ({"actions": "bild"}, "actions must be one of"),
    ],
)
def test_bad_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make_vec("NB201-cifar10-v0", **kwargs)


@pytest.mark.parametrize(
    "actions",
    [np.full(N, 5), np.full(N, -1), np.zeros(N), np.zeros((N, 1), dtype=int), np.zeros(1, dtype=int)],
)
def test_bad_actions(actions: Any) -> None:
    env = gym.make_vec("NB201-cifar10-v0", num_envs=N)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must be integers in 0\.\.4 of shape"):
        env.step(actions)


def test_stepping_before_a_reset() -> None:
    for mode in ("SameStep", "NextStep", "Disabled"):
        env = gym.make_vec("NB201-cifar10-v0", num_envs=2, autoreset_mode=mode)
        with pytest.raises(ResetNeeded, match="need a reset"):
            env.step(np.array([0, 0]))
    env.reset(seed=0)
    for _ in range(6):
        env.step(np.array([0, 0]))
    with pytest.raises(ResetNeeded, match="2 of 2 copies need a reset"):
        env.step(np.array([0, 0]))


def test_bad_resets() -> None:
    env: Any = gym.make_vec("NB201-cifar10-v0", num_envs=2)
    with pytest.raises(ValueError, match="one seed per copy"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(ValueError, match="reset_mask must be bool"):
        env.reset(options={"reset_mask": np.array([1, 0])})
    with pytest.raises(ValueError, match="reset options"):
        env.reset(options={"architecture": 3})


def test_returned_arrays_are_the_callers_own() -> None:
    """Writing into what a step returned changes nothing in the environment."""
    ours, theirs = (gym.make_vec("NB201-cifar10-v0", num_envs=N) for _ in range(2))
    for env in (ours, theirs):
        env.reset(seed=0)
        env.action_space.seed(0)
    for _ in range(20):
        actions = ours.action_space.sample()
        a, b = ours.step(actions), theirs.step(actions)
        assert_same(a, b)
        a[0][:], a[1][:] = 0, -7.0
        for value in a[-1].values():
            if isinstance(value, np.ndarray):
                value[:] = 0


def test_spawned_workers_make_the_environment_from_its_id() -> None:
    """Fresh processes import the package by themselves from the id, and draw the same."""
    workers = AsyncVectorEnv([partial(gym.make, "nb201env:NB201-cifar10-v0")] * 2, context="spawn")
    native = gym.make_vec("NB201-cifar10-v0", num_envs=2, autoreset_mode="NextStep")
    try:
        assert_same(native.reset(seed=0), workers.reset(seed=0))
        for _ in range(8):
            actions = native.action_space.sample()
            assert_same(native.step(actions), workers.step(actions))
    finally:
        workers.close()
