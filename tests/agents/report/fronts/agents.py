"""Two agents for searches with several objectives, and a search written down by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nb201env import Architecture, Table
from nb201env.agents import query
from nb201env.agents.contract import Env
from nb201env.space import NUM_EDGES

ENV, OTHER_ENV = "NB201-cifar10-mo-v0", "NB201-cifar100-mo-v0"


class Light:
    """Random search among the cells without 3x3 convolutions, which have few parameters."""

    def search(self, env: Env, seed: int) -> None:
        rng = np.random.default_rng(seed)
        light = np.array([0, 1, 2, 4])
        while not query(env, Architecture(tuple(rng.choice(light, NUM_EDGES).tolist()))).over:
            pass


LIGHT = f"{__name__}:Light"
AGENTS = ["random_search", LIGHT]

Asked = tuple[int, float, int | None]
"""An architecture's index, the accuracy that was answered, and the epochs, None naming none."""


def write(path: Path, table: Table, asked: Sequence[Asked], objectives: Sequence[Any]) -> Path:
    """The trajectory of a search that was answered this, 100 seconds a query."""
    kwargs = {"table": table.name, "objectives": list(objectives), "budget_queries": len(asked)}
    header = {
        "format": "nb201-trajectory", "version": 1, "agent": "mine", "seed": 0,
        "env": {"id": "NB201-mo-v0", "kwargs": kwargs}, "table": {"name": table.name, "id": table.id},
    }  # fmt: skip
    lines: list[dict[str, Any]] = [header]
    for number, (index, accuracy, epochs) in enumerate(asked, start=1):
        one = {"architecture": str(Architecture.from_index(index)), "run": "7", "accuracy": accuracy,
               "seconds": 100.0, "clock": 100.0 * number, "reward": [accuracy] * len(objectives)}  # fmt: skip
        lines.append(one | ({} if epochs is None else {"epochs": epochs}))
    lines.append({"end": "search over"})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
