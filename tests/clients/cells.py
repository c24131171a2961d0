"""What programs of libraries that choose ops by name share: a search, its answers held to the table."""

from __future__ import annotations

from collections.abc import Mapping

import gymnasium as gym

import nb201env
from nb201env.space import EDGES, OPS

EDGE_NAMES = [f"{source}_{target}" for source, target in EDGES]


class Search:
    """A search of the CIFAR-10 environment by ops' names.

    Attributes:
        asked: Architecture, run and accuracy of every query.
    """

    def __init__(self, budget: int) -> None:
        self.env = gym.make("NB201-cifar10-v0", actions="pick", budget_queries=budget)
        self.env.reset(seed=0)
        self.asked: list[tuple[str, str, float]] = []

    def ask(self, names: Mapping[str, str]) -> float:
        """The accuracy of one run of the cell with these ops by edge."""
        *_, info = self.env.step([OPS.index(names[edge]) for edge in EDGE_NAMES])
        self.env.reset()
        assert info["architecture"] == str(nb201env.Architecture.of(dict(names)))
        self.asked.append((info["architecture"], info["run"], info["accuracy"]))
        return float(info["accuracy"])

    def check(self, queries: int) -> None:
        """Hold every answer, and how many there were, to the table."""
        table = nb201env.open_table("cifar10-valid-200")
        assert len(self.asked) == queries
        assert len({architecture for architecture, *_ in self.asked}) > queries // 3
        for architecture, run, accuracy in self.asked:
            assert accuracy == table.query(architecture, split="valid", epochs=200, run=int(run)).accuracy
