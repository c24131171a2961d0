"""Episodes: what acting in an environment gave, from a reset to the end of a cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import EnvSpec

from nb201env.arrays import IntArray
from nb201env.envs.registration import WITH_TABLE
from nb201env.envs.single import NB201Env
from nb201env.space import all_ops
from nb201env.table import Table
from nb201env.tables import reference

WAYS = ("build", "pick")
"""The `actions` in which an episode is one architecture, and so one query."""


@dataclass(frozen=True, eq=False)
class Episode:
    """One architecture, built or picked, in T steps.

    Attributes:
        observations: From the reset's on; [T + 1, 6] int64 or [T + 1, 36] float32.
        actions: int64 [T] for "build", [1, 6] for "pick".
        rewards: float64 [T].
        terminations, truncations: bool [T].
        infos: Each key of `info`, from the reset's on; lists of T + 1.
        seed: Of the reset, where it began a search.
        options: Of the reset, if there were any: {"epochs": n}.
    """

    observations: npt.NDArray[Any]
    actions: IntArray
    rewards: npt.NDArray[np.float64]
    terminations: npt.NDArray[np.bool_]
    truncations: npt.NDArray[np.bool_]
    infos: dict[str, list[Any]]
    seed: int | None
    options: dict[str, Any] | None

    @property
    def last(self) -> dict[str, Any]:
        """The query that it ended in, as a trajectory records it; architecture "" if there was none."""
        return {key: values[-1] for key, values in self.infos.items()} | {"reward": float(self.rewards[-1])}


def ask(env: NB201Env, ops: IntArray, *, seed: int | None = None, epochs: int | None = None) -> Episode:
    """Build or pick one architecture.

    Args:
        env: The environment.
        ops: Its six operations; int64 [6].
        seed: Begins a new search.
        epochs: Ask for so many epochs of its training; None is the whole.
    """
    options = None if epochs is None else {"epochs": epochs}
    observation, info = env.reset(seed=seed, options=options)
    actions = np.array([ops] if env.options.actions == "pick" else ops, dtype=np.int64)
    observations, infos, results = [observation], [info], []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(observation)
        infos.append(info)
        results.append((reward, terminated, truncated))
        if terminated or truncated:
            break
    rewards, terminations, truncations = (np.array(one) for one in zip(*results, strict=True))
    return Episode(
        np.stack(observations), actions[: len(results)], rewards.astype(np.float64), terminations,
        truncations, {key: [one[key] for one in infos] for key in info}, seed, options,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Collection:
    """What a data set is made of.

    Attributes:
        env_spec: Of the environment in which its episodes happened.
        eval_spec: Of the one to evaluate a policy in: the same without a budget.
        episodes: In order; may be read once only.
        algorithm: Who acted.
        description: In a sentence or two.
        reference: The mean rewards that count as 0 and as 1.
        more: Further entries of the metadata.
    """

    env_spec: EnvSpec
    eval_spec: EnvSpec
    episodes: Iterable[Episode]
    algorithm: str
    description: str
    reference: tuple[float, float]
    more: Mapping[str, Any]


def make(env_id: str, table: Table, options: Mapping[str, Any]) -> NB201Env:
    """An environment of ours whose specification another process can make again.

    Args:
        env_id: Its id.
        table: What answers; the specification names it, or says where it lies.
        options: Further arguments.

    Raises:
        ValueError: If the table is of another data set than the id.
    """
    default = WITH_TABLE.get(env_id)
    name = reference(table)
    arguments: dict[str, Any] = ({} if name == default else {"table": name}) | dict(options)
    env = gym.make(env_id, **arguments)
    inner: NB201Env = env.unwrapped  # type: ignore[assignment]
    inner.spec = env.spec
    return inner


def table_entry(table: Table) -> dict[str, Any]:
    """What the metadata say of a table: enough to find it by its id, and to cite it."""
    manifest = table.manifest
    citation = manifest.get("citation", [])
    return {
        "name": table.name,
        "id": table.id,
        "dataset": table.dataset,
        "licence": manifest["licence"],
        "citation": [citation] if isinstance(citation, str) else list(citation),
    }


def spec_of(env: NB201Env) -> EnvSpec:
    """An environment's specification, which `make` left there."""
    assert env.spec is not None
    return env.spec


def sampled(env: NB201Env, cells: IntArray, seed: int) -> Iterator[Episode]:
    """One search that asks for these cells; int64 [N], lexicographic indices."""
    for number, cell in enumerate(cells):
        yield ask(env, all_ops()[cell], seed=None if number else seed)
