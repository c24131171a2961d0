"""The environments' ids."""

from __future__ import annotations

import importlib.util

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


def register_all() -> None:
    """Make the ids known to Gymnasium, where it is installed: building tables needs none."""
    if importlib.util.find_spec("gymnasium") is None:
        return
    from gymnasium.envs.registration import register

    for env_id, table in (TABLES | SURROGATES).items():
        register(
            id=env_id,
            entry_point="nb201env.envs.single:NB201Env",
            vector_entry_point="nb201env.envs.vector:NB201VectorEnv",
            kwargs={"table": table},
        )
