"""SMAC searches the environment over the embedded CIFAR-10 table, in a space of ConfigSpace."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ConfigSpace import Categorical, Configuration, ConfigurationSpace
from smac import HyperparameterOptimizationFacade, RandomFacade, Scenario

from nb201env import Architecture
from nb201env.space import OPS
from tests.clients.cells import EDGE_NAMES, Search
from tests.clients.probes import row, run


@row("HyperparameterOptimizationFacade")
def forest() -> None:
    search(HyperparameterOptimizationFacade)


@row("RandomFacade")
def random() -> None:
    search(RandomFacade)


def search(facade: type[HyperparameterOptimizationFacade] | type[RandomFacade]) -> None:
    space = ConfigurationSpace(seed=0)
    space.add([Categorical(edge, OPS) for edge in EDGE_NAMES])
    asked = Search(30)

    def error(config: Configuration, seed: int = 0) -> float:
        return 1 - asked.ask(dict(config))

    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(space, deterministic=True, n_trials=30, seed=0, output_directory=Path(folder))
        incumbent = facade(scenario, error, logging_level=False, overwrite=True).optimize()
    asked.check(30)
    best = max(asked.asked, key=lambda query: query[2])[0]
    assert isinstance(incumbent, Configuration)
    assert str(Architecture.of(dict(incumbent))) == best


if __name__ == "__main__":
    run()
