"""Action and observation spaces, shared by the single and the vector environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nb201env.arrays import BoolArray, IntArray
from nb201env.space import NUM_EDGES, NUM_OPS

UNDECIDED = NUM_OPS
"""The number that stands in an observation for an edge without an op yet."""
STATES = NUM_OPS + 1

Mask = npt.NDArray[np.int8] | tuple[npt.NDArray[np.int8], ...]
"""A mask as Gymnasium's `sample` wants it; one for each number of a `MultiDiscrete`."""


def action_space(actions: str) -> spaces.Discrete | spaces.MultiDiscrete:
    """The action space of a way to act; see `NB201Env`."""
    if actions == "pick":
        return spaces.MultiDiscrete([NUM_OPS] * NUM_EDGES)
    return spaces.Discrete(NUM_OPS if actions == "build" else NUM_EDGES * NUM_OPS)


def observation_space(observations: str) -> spaces.Space[Any]:
    """The observation space of an encoding; see `NB201Env`."""
    if observations == "ops":
        return spaces.MultiDiscrete([STATES] * NUM_EDGES)
    return spaces.Box(0.0, 1.0, (NUM_EDGES * STATES,), np.float32)


_ONE_HOT = np.eye(STATES, dtype=np.float32)


def one_hot(ops: IntArray) -> npt.NDArray[np.float32]:
    """Op numbers or `UNDECIDED`, [..., 6], to a float32 array [..., 36]: six numbers per edge."""
    encoded: npt.NDArray[np.float32] = _ONE_HOT[ops].reshape(*ops.shape[:-1], NUM_EDGES * STATES)
    return encoded


def action_mask(actions: str, ops: IntArray) -> BoolArray:
    """Which actions change the cell: op numbers or `UNDECIDED`, [..., 6], to bool [..., actions]."""
    if actions == "build":
        return np.ones((*ops.shape[:-1], NUM_OPS), dtype=np.bool_)
    changes: BoolArray = (ops[..., None] != np.arange(NUM_OPS)) | (actions == "pick")
    return changes.reshape(*ops.shape[:-1], NUM_EDGES * NUM_OPS)


def sample_mask(actions: str, ops: IntArray) -> Mask:
    """One environment's `action_mask` as ``action_space.sample(mask=...)`` wants it."""
    mask = action_mask(actions, ops).astype(np.int8)
    return tuple(mask.reshape(NUM_EDGES, NUM_OPS)) if actions == "pick" else mask


EDGE_KEYS = "abcdef"


def keys_to_action(actions: str) -> dict[tuple[str, ...], int]:
    """Which keys mean which action; see `NB201Env.get_keys_to_action`."""
    if actions == "pick":
        raise ValueError(
            "no keys for actions='pick', where one action is a whole cell: play 'build' or 'edit'"
        )
    if actions == "build":
        return {(str(op),): op for op in range(NUM_OPS)}
    return {
        (key, str(op)): NUM_OPS * edge + op for edge, key in enumerate(EDGE_KEYS) for op in range(NUM_OPS)
    }
