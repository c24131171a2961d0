"""Every argument, action and reset with values of every kind: taken, or refused in one line."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env.envs.options import EnvOptions
from nb201env.envs.single import NB201Env
from nb201env.envs.vector import NB201VectorEnv

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 5, 777, 15_625, 10**30, -(10**30), 10**400, 2.0, 0.5, -1.5, math.nan,
    math.inf, -math.inf, "", "3", "mean", "sample", "build", "pick", "edit", "hard", "\0", b"x", [],
    [1], (1, 2), {}, {"on": "params"}, {"on": "params", "max": 1e5}, {"on": "params", "max": "5"}, {"max": 3},
    {1: 2}, {3}, object(), Decimal(3), Fraction(1, 2), 3j, np.int64(5), np.uint8(4), np.float32(2.5),
    np.True_, np.array(3), np.array([1, 2]), np.array([True]), np.array("x"), np.zeros((9, 9)),
    np.datetime64("2020-01-01"), Path("x"), Path("/"), range(3), slice(2), len, int,
]  # fmt: skip
WAYS = ("build", "pick", "edit")


def taken(call: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
    """Whether it was; if not, the reason is one line, and in no words of Python's or NumPy's own."""
    try:
        call(*args, **kwargs)
    except (ValueError, TypeError, LookupError, OSError) as error:
        text = str(error)
        assert text
        assert "\n" not in text
        for foreign in ("ambiguous", "unhashable", "object is not", "not supported", "iterable", "NoneType"):
            assert foreign not in text
        return False
    return True


def run(made: Any, **kwargs: Any) -> None:
    env = made(**kwargs)
    env.reset(seed=0)
    env.step(env.action_space.sample())


SINGLE = ["table", *EnvOptions.__annotations__, "dataset", "render_mode", "nonsense"]
VECTOR = [*SINGLE, "share_search", "num_envs", "autoreset_mode"]


@pytest.mark.parametrize("name", VECTOR)
def test_arguments(name: str) -> None:
    """What one of the two forms takes the other takes, too."""
    for value in ODD:
        vector = taken(run, NB201VectorEnv, **{name: value})
        if name in SINGLE:
            assert taken(run, NB201Env, **{name: value}) == vector, value


@pytest.mark.parametrize("way", WAYS)
def test_actions(way: Any) -> None:
    """Whole numbers in the range are taken and nothing else; by both forms alike."""
    env, envs = NB201Env(actions=way), NB201VectorEnv(2, actions=way)
    below = 30 if way == "edit" else 5
    for value in ODD:
        good = type(value) in (int, np.int64, np.uint8) and 0 <= value < below
        if type(value) is np.ndarray or isinstance(value, list):
            continue  # has a shape, of which the two forms want another
        action = [3, 3, value, 3, 3, 3] if way == "pick" else value
        env.reset(seed=0), envs.reset(seed=0)
        assert taken(env.step, action) == good, action
        assert taken(envs.step, [action, action]) == good, action


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("option", ["seed", "epochs", "architecture", "reset_mask", "nonsense"])
def test_resets(way: Any, option: str) -> None:
    """And the environments go on after a refused one."""
    env, envs = NB201Env(actions=way), NB201VectorEnv(2, actions=way)
    env.reset(seed=0), envs.reset(seed=0)
    for value in ODD:
        given: dict[str, Any] = {"seed": value} if option == "seed" else {"options": {option: value}}
        taken(env.reset, **given)
        taken(envs.reset, **given)
        taken(envs.reset, seed=[value, value])
        env.step(env.action_space.sample()), envs.step(envs.action_space.sample())
        env.reset(), envs.reset()
