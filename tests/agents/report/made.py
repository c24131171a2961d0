"""Searches written down by hand: what each asked for, and so what the report must say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nb201env import open_table
from nb201env.agents.report.data import Bench, Entry, Setting
from nb201env.agents.searches.outcome import Landscape, Outcome
from nb201env.table import Table

Regrets = Mapping[str, Sequence[float]]
"""By agent, the final regret of each search, in percentage points."""


def landscape(table: Table | None = None) -> Landscape:
    """A table whose architecture i lies i hundredths of a point below the optimum, up to 80 points."""
    valid = 0.9 - np.minimum(np.arange(15_625) / 10_000, 0.8)
    return Landscape(table or open_table("cifar10-valid-200"), valid, None, 0.9)


def search(land: Landscape, seed: int, asked: Sequence[int], **header: Any) -> Outcome:
    """One that asked for these architectures, 100 seconds each, and holds the best of them."""
    index = np.array(asked)
    incumbents = np.minimum.accumulate(index)
    head = {
        "seed": seed,
        "agent": "x",
        "versions": {},
        "command": "",
        "hyperparameters": {},
        "source": {},
    } | header
    clock = np.arange(1, len(index) + 1, dtype=np.float64) * 100
    return Outcome(Path("x"), head, land, index, clock, incumbents, index >= 0)


def setting(name: str, regrets: Regrets, table: Table | None = None) -> Setting:
    """Every search asks for a poor architecture and then for the one that it chooses."""
    land = landscape(table)
    entries = [
        Entry(label, label, tuple(search(land, seed, [9000, round(100 * regret)])
                                  for seed, regret in enumerate(points)))
        for label, points in regrets.items()
    ]  # fmt: skip
    env = {"id": name, "kwargs": {"budget_queries": 2}}
    return Setting(name, env, {"budget_queries": 2}, land, tuple(entries))


def bench(*settings: Setting) -> Bench:
    """A report's searches."""
    return Bench(settings, (), "0" * 64, False, ())
