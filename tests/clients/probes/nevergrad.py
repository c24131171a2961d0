"""Nevergrad searches the environment over the embedded CIFAR-10 table."""

from __future__ import annotations

import nevergrad as ng

from nb201env import Architecture
from nb201env.space import OPS
from tests.clients.cells import EDGE_NAMES, Search
from tests.clients.probes import row, run


@row("DiscreteOnePlusOne")
def one_plus_one() -> None:
    search(ng.optimizers.DiscreteOnePlusOne)


@row("NGOpt")
def ngopt() -> None:
    search(ng.optimizers.NGOpt)


def search(optimizer: type[ng.optimizers.base.Optimizer]) -> None:
    space = ng.p.Dict(**{edge: ng.p.Choice(OPS) for edge in EDGE_NAMES})
    space.random_state.seed(0)
    asked = Search(60)
    found = optimizer(space, budget=60).minimize(lambda names: 1 - asked.ask(names))
    asked.check(60)
    assert str(Architecture.of(found.value)) in {architecture for architecture, *_ in asked.asked}


if __name__ == "__main__":
    run()
