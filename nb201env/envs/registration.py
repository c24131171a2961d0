"""The environments' ids, and the tables that they are for."""

from __future__ import annotations

import importlib.util
import os

from nb201env.fields import quoted
from nb201env.fronts.objectives import DEFAULT
from nb201env.table import Table
from nb201env.tables import open_table

OFFICIAL: dict[str, str] = {
    "NB201-cifar10-v0": "cifar10-valid-200",
    "NB201-cifar100-v0": "cifar100-200",
    "NB201-ImageNet16-120-v0": "ImageNet16-120-200",
}
"""Each id of NAS-Bench-201's own numbers, and the embedded table behind it."""

TABLES: dict[str, str] = OFFICIAL | {"NB201-digits-v0": "digits-10"}
"""Each id, and the embedded table of trainings behind it: the official ones, and the one built here."""

SURROGATES: dict[str, str] = {"NB201-cifar10-surrogate-v0": "cifar10-valid-200-surrogate"}
"""Ids that say surrogate, and the embedded tables of predictions behind them."""

NAMED: dict[str, str] = TABLES | SURROGATES
"""Each id with a table of its own, and the table."""

ONE_HOT: dict[str, str] = {env_id.replace("-v0", "-onehot-v0"): table for env_id, table in TABLES.items()}
"""Ids with one-hot observations, for libraries that take only an id and no `MultiDiscrete` observations."""

MULTI: dict[str, str] = {env_id.replace("-v0", "-mo-v0"): table for env_id, table in TABLES.items()}
"""Ids with several objectives, whose rewards are vectors."""

WITH_TABLE: dict[str, str] = NAMED | ONE_HOT | MULTI
"""Every id that has a table of its own, and the table."""

OWN = "NB201-v0"
"""The id without a table of its own: for any table, which must be given."""

OWN_MULTI = "NB201-mo-v0"
"""The same with several objectives."""


SINGLE, VECTOR = "nb201env.envs.single:NB201Env", "nb201env.envs.vector:NB201VectorEnv"
SINGLE_MULTI, VECTOR_MULTI = "nb201env.envs.multi:NB201MOEnv", "nb201env.envs.multi:NB201MOVectorEnv"


def register_all() -> None:
    """Make the ids known to Gymnasium, where it is installed: building tables needs none."""
    if importlib.util.find_spec("gymnasium") is None:
        return
    from gymnasium.envs.registration import register

    plain = {env_id: {"table": table, "dataset": _dataset(env_id)} for env_id, table in NAMED.items()}
    one_hot = {
        env_id: {"table": table, "dataset": _dataset(env_id), "observations": "onehot"}
        for env_id, table in ONE_HOT.items()
    }
    for env_id, arguments in ({OWN: {"table": None}} | plain | one_hot).items():
        register(env_id, SINGLE, kwargs=arguments, vector_entry_point=VECTOR)
    several = {env_id: {"table": table, "dataset": _dataset(env_id)} for env_id, table in MULTI.items()}
    for env_id, arguments in ({OWN_MULTI: {"table": None}} | several).items():
        # Gymnasium's checker knows rewards that are one number only.
        register(
            env_id, SINGLE_MULTI, kwargs=arguments | {"objectives": list(DEFAULT)},
            vector_entry_point=VECTOR_MULTI, disable_env_checker=True,
        )  # fmt: skip


def table_for(
    table: str | os.PathLike[str] | Table | None, dataset: str | None, several: bool = False
) -> Table:
    """The table that an environment was given, opened.

    Args:
        table: Its name, its path, or itself.
        dataset: The data set that it must be of; any if None.
        several: Whether there are several objectives, so that messages name ids like it.

    Raises:
        ValueError: If there is none, or it is of another data set.
        FileNotFoundError: If no table has that name or path.
        TypeError: If it is neither a name nor a path nor a table.
    """
    own, ids = (OWN_MULTI, MULTI) if several else (OWN, TABLES)
    if table is None:
        raise ValueError(
            f"{own} is for tables of your own: gym.make({own!r}, table='path/to/table.safetensors')"
        )
    if isinstance(table, str | os.PathLike):
        table = open_table(table)
    if not isinstance(table, Table):
        raise TypeError(f"table must be the name or path of a table, or an open one; got {quoted(table)}")
    if not isinstance(dataset, str | None):
        raise TypeError(f"dataset must be the name of a data set, or None; got {quoted(dataset)}")
    if dataset is not None and table.dataset != dataset:
        fitting = [env_id for env_id in ids if _dataset(env_id) == table.dataset]
        raise ValueError(
            f"this id is for tables of {dataset}; {table.name!r} is of {table.dataset}: "
            f"use {' or '.join([own, *fitting])}"
        )
    return table


def _dataset(env_id: str) -> str:
    """The data set in an id's name; tests hold it to that of the table behind it."""
    name = env_id.removeprefix("NB201-").removesuffix("-v0")
    return name.removesuffix("-surrogate").removesuffix("-onehot").removesuffix("-mo")
