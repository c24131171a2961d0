"""What libraries ask of an environment beside stepping: masks in their types, keys, pictures of copies."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env.envs.single import NB201Env


@pytest.mark.parametrize("actions", ["build", "pick", "edit"])
def test_the_spaces_sample_by_the_masks(actions: str) -> None:
    env: Any = gym.make("NB201-cifar10-v0", actions=actions).unwrapped
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(50):
        action = env.action_space.sample(mask=env.sample_mask())
        if actions == "edit":  # an action within the mask changes the cell
            assert env.action_masks()[action]
            assert env.get_state().ops[action // 5] != action % 5
        *_, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()


def test_keys_reach_every_action() -> None:
    for actions, count in (("build", 5), ("edit", 30)):
        keys = gym.make("NB201-cifar10-v0", actions=actions).get_wrapper_attr("get_keys_to_action")()
        assert sorted(keys.values()) == list(range(count))
        pressed = {tuple(sorted(map(ord, combination))) for combination in keys}
        assert len(pressed) == count  # whatever the order in which they are pressed
    with pytest.raises(ValueError, match="one action is a whole cell: play 'build' or 'edit'"):
        NB201Env(actions="pick").get_keys_to_action()


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_the_vector_form_draws_what_the_copies_draw(mode: str) -> None:
    native = gym.make_vec("NB201-cifar10-v0", num_envs=3, render_mode=mode)
    sync = gym.make_vec("NB201-cifar10-v0", num_envs=3, vectorization_mode="sync", render_mode=mode)
    for envs in (native, sync):
        envs.reset(seed=0)
        for _ in range(4):
            envs.step(np.array([3, 1, 4]))
    ours, theirs = native.render(), sync.render()
    assert ours is not None
    assert theirs is not None
    assert len(ours) == 3
    np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(ours[0], ours[1])


def test_without_a_render_mode_there_is_a_warning_and_no_picture() -> None:
    for env in (gym.make("NB201-cifar10-v0").unwrapped, gym.make_vec("NB201-cifar10-v0", num_envs=2)):
        with pytest.warns(UserWarning, match="pass render_mode='ansi' or 'rgb_array'"):
            assert env.render() is None
