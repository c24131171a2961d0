"""CARP-S runs the objective function of examples/carps_search.py, by its random search and by SMAC."""

from __future__ import annotations

import tempfile

from carps.optimizers.random_search import RandomSearchOptimizer

from examples.carps_search import NB201, QUERIES, smac, task_of
from nb201env import open_table
from tests.clients.probes import row, run

ADDS = "an ObjectiveFunction over the environment, 12 lines"


@row("RandomSearchOptimizer", adds=ADDS)
def random_search() -> None:
    objective = NB201(seed=0)
    optimizer = RandomSearchOptimizer(task_of(objective))
    optimizer.run()
    check(objective, optimizer.virtual_time_elapsed_seconds)


@row("SMAC3Optimizer", adds=ADDS)
def smac_in_carps() -> None:
    objective = NB201(seed=0)
    with tempfile.TemporaryDirectory() as folder:
        optimizer = smac(task_of(objective), folder)
        optimizer.run()
    check(objective, optimizer.virtual_time_elapsed_seconds)


def check(objective: NB201, seconds: float) -> None:
    """Hold every answer, their number, and the virtual time to the table and the environment's clock."""
    table = open_table("cifar10-valid-200")
    assert len(objective.asked) == QUERIES
    assert len({architecture for architecture, *_ in objective.asked}) > QUERIES // 3
    for architecture, run_, accuracy in objective.asked:
        assert accuracy == table.query(architecture, split="valid", epochs=200, run=int(run_)).accuracy
    assert seconds == objective.clock


if __name__ == "__main__":
    run()
