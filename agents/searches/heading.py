"""The first line of a trajectory: who searches, with what, where, and the program's versions."""

from __future__ import annotations

import inspect
import json
import math
import os
import platform
from collections.abc import Iterator, Mapping, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

from nb201env.agents.contract import Agent, Env
from nb201env.agents.source import source_of
from nb201env.envs.options import Options
from nb201env.table import Table

OPTIONS = tuple(field.name for field in fields(Options))
_LIBRARIES = ("nb201env", "gymnasium", "numpy", "stable-baselines3", "sb3-contrib", "torch", "statsmodels",
              "cma", "optuna", "pymoo", "scipy", "scikit-learn", "xgboost")  # fmt: skip


def header(
    agent: Agent, env: Env, seed: int, name: str, command: str, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A trajectory's first line.

    Args:
        agent: Who searches.
        env: Where.
        seed: The search's seed.
        name: The agent's name.
        command: The command that does the same again.
        given: What the agent's constructor was given; see `hyperparameters`.

    Returns:
        Its entries; "source" for an agent that is none of ours, "wrappers" where the environment is wrapped.

    Raises:
        ValueError: If the environment was not made by its id.
    """
    spec = env.unwrapped.spec
    if spec is None:
        raise ValueError("make the environment with gym.make, so that it can be made again")
    table = env.unwrapped.table  # type: ignore[attr-defined]
    source, wrapped = source_of(type(agent)), [where(type(wrapper)) for wrapper in wrappers(env)]
    return {
        "agent": name,
        **({"source": source} if source else {}),
        "hyperparameters": as_json(hyperparameters(agent, given or {})),
        "seed": seed,
        "env": {"id": spec.id, "kwargs": as_json(_arguments(spec.kwargs))},
        **({"wrappers": wrapped} if wrapped else {}),
        "table": {"name": table.name, "id": table.id},
        "versions": {"python": platform.python_version()} | _versions(),
        "command": command,
    }


def hyperparameters(agent: Agent, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the agent's constructor takes, by name.

    The value is that of the agent's attribute of this name, as in every dataclass; where there is none,
    what the constructor was given, or its default.
    """
    try:
        parameters = inspect.signature(type(agent)).parameters.values()
    except (TypeError, ValueError):  # of a compiled class
        return dict(given)
    taken = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    known = {one.name: one.default for one in taken if one.default is not one.empty} | dict(given)
    found = {}
    for name in dict.fromkeys([*(one.name for one in taken), *given]):
        try:
            found[name] = getattr(agent, name)
        except Exception:  # a property may raise whatever it likes
            if name in known:
                found[name] = known[name]
    return found


def wrappers(env: Env) -> Iterator[Env]:
    """What is around an environment, from the inside out, but for what `gym.make` puts there."""
    if isinstance(env, gym.Wrapper):
        yield from wrappers(env.env)
        if not isinstance(env, OrderEnforcing | PassiveEnvChecker):
            yield env


def where(one: Any) -> str:
    """A class or function as ``module:name``."""
    return f"{one.__module__}:{one.__qualname__}"


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Of an environment's arguments, the table's name or path and the options."""
    return {name: value for name, value in given.items() if name == "table" or name in OPTIONS}


def as_json(value: Any) -> Any:
    """The same in the types of JSON, which knows neither infinity nor numpy's numbers.

    What has no such form, a function say, becomes its name or its class's, which no run changes.
    """
    if isinstance(value, Mapping):
        return {str(name): as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    if isinstance(value, Set):
        return sorted(map(as_json, value), key=json.dumps)
    if isinstance(value, Table):
        return value.name
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, np.generic | np.ndarray):
        return as_json(value.tolist())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if value is None or isinstance(value, str | int):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    named = hasattr(value, "__qualname__") and hasattr(value, "__module__")  # a generator has one of the two
    return where(value if named else type(value))


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
