"""What an environment makes of a table: limits that nothing meets, missing seconds, numbers that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import NotRecorded, Table
from nb201env.envs.registration import OWN
from nb201env.envs.single import NB201Env
from nb201env.envs.vector import NB201VectorEnv
from nb201env.space import SIZE
from nb201env.table import write_table


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Table]:
    """Writes a table of one run with the columns that are given; an accuracy is always there."""

    def write(**columns: Any) -> Table:
        held = {"valid_accuracy": np.linspace(0.1, 0.9, SIZE)} | columns
        manifest = {
            "name": "own", "task": {"name": "toy", "dataset": "toy", "splits": {}}, "schedule": {"epochs": 3},
            "seeds": [7], "provenance": {}, "licence": "MIT",
            "columns": {name: {} for name in held} | {"valid_accuracy": {"epochs": [3]}},
        }  # fmt: skip
        held = {name: np.asarray(values, dtype=float) for name, values in held.items()}
        held["valid_accuracy"] = held["valid_accuracy"].reshape(SIZE, 1, 1)
        held = {n: v if n in ("valid_accuracy", "params") else v.reshape(SIZE, 1) for n, v in held.items()}
        return write_table(tmp_path / "own.safetensors", manifest, held)

    return write


@pytest.mark.parametrize(
    ("limit", "least"),
    [
        ({"on": "params", "max": 0.5}, "73,306"), ({"on": "params", "max": 73_305}, "73,306"),
        ({"on": "macs", "max": 15.6}, "7,783,050"), ({"on": "latency_seconds", "max": 1e-9}, "0.0"),
    ],
)  # fmt: skip
def test_a_limit_that_nothing_meets(limit: dict[str, Any], least: str) -> None:
    for made in (NB201Env, NB201VectorEnv):
        with pytest.raises(
            ValueError, match=f"no architecture of cifar10-valid-200 is within .*: the least is {least}"
        ):
            made(limit=limit)
    NB201Env(limit={"on": "params", "max": 73_306})
    NB201Env(limit={"on": "params", "max": 1e12})
    NB201Env(limit={"on": "params", "max": 0.5, "how": "weighted"})


def test_an_exponent_that_makes_no_numbers() -> None:
    with pytest.raises(ValueError, match=r"limit\['exponent'\]=1e\+06 makes rewards too large for a number"):
        NB201Env(limit={"on": "params", "max": 1.0, "how": "weighted", "exponent": 1e6})


def test_a_table_without_seconds_has_no_clock(make: Callable[..., Table]) -> None:
    table = make()
    for kwargs in ({"run": 7}, {"run": "mean"}, {"run": "sample"}):
        env = gym.make(OWN, table=table, actions="pick", budget_queries=2, **kwargs)
        env.reset(seed=0)
        for queries in (1, 2):
            info = env.step(np.full(6, 4))[4]
            assert (info["accuracy"], info["seconds"], info["clock"], info["queries"]) == (
                0.9,
                0.0,
                0.0,
                queries,
            )
            env.reset()
        assert info["search_over"]
        envs: Any = gym.make_vec(OWN, num_envs=2, table=table, actions="pick", **kwargs)
        envs.reset(seed=0)
        assert envs.step(np.full((2, 6), 4))[4]["clock"].tolist() == [0.0, 0.0]
    for made in (NB201Env, NB201VectorEnv):
        with pytest.raises(
            NotRecorded,
            match="own records no 'train_seconds'.*; use budget_queries, or add .*import-rows",
        ):
            made(table=table, budget_seconds=100.0)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"train_seconds": np.where(np.arange(SIZE) == 3, np.nan, 1.0)}, "no training and .* for 1 runs"),
        ({"train_seconds": np.where(np.arange(SIZE) < 2, np.inf, 1.0)}, "no training and .* for 2 runs"),
        ({"train_seconds": np.ones(SIZE), "valid_seconds": np.full(SIZE, np.nan)}, "for 15,625 runs"),
        ({"train_seconds": np.full(SIZE, -1.0)}, "negative seconds for 15,625 runs"),
        ({"valid_accuracy": np.full(SIZE, np.inf)}, "an infinite 'valid_accuracy' for 15,625 runs"),
        ({"valid_accuracy": np.full(SIZE, np.nan)}, "has no run 'sample' for 15,625 of 15,625 architectures"),
    ],
)  # fmt: skip
def test_numbers_that_would_make_the_clock_or_a_reward_none(
    columns: dict[str, Any], message: str, make: Callable[..., Table]
) -> None:
    table = make(**columns)
    for made in (NB201Env, NB201VectorEnv):
        with pytest.raises(NotRecorded, match=f"^own .*{message}"):
            made(table=table)


@pytest.mark.parametrize("made", [NB201Env, NB201VectorEnv])
def test_a_budget_that_can_never_be_spent(made: Any, make: Callable[..., Table], epoch_table: str) -> None:
    """With free repeats a cell is paid for once after each number of epochs; a clock of zeros never moves."""
    free: dict[str, Any] = {"repeats": "free", "run": "mean"}
    table = make(train_seconds=np.full(SIZE, 2.0))
    for kwargs in ({"budget_queries": SIZE}, {"budget_seconds": 2.0 * SIZE}):
        made(table=table, **free, **kwargs)
    made(table=table, **free, budget_queries=SIZE + 1, budget_seconds=5.0)
    made(table=epoch_table, **free, budget_queries=12 * SIZE)
    never: list[dict[str, Any]] = [
        {"table": table, **free, "budget_queries": SIZE + 1},
        {"table": table, **free, "budget_seconds": 2.0 * SIZE + 1},
        {"table": epoch_table, **free, "budget_queries": 12 * SIZE + 1},
    ]
    for kwargs in never:
        with pytest.raises(ValueError, match="this budget can never be spent, so the search would not end"):
            made(**kwargs)
    with pytest.raises(ValueError, match="at most inf queries and 0 seconds are paid"):
        made(table=make(train_seconds=np.zeros(SIZE)), budget_seconds=100.0)
