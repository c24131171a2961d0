"""What a search found, from its trajectory."""

from __future__ import annotations

from dataclasses import dataclass

from nb201env.agents.searches.trajectory import Trajectory
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.table import Table
from nb201env.tables import open_table


@dataclass(frozen=True)
class Outcome:
    """What one search found.

    Attributes:
        queries: How many it asked.
        gpu_hours: Simulated, from the clock.
        accuracy: The incumbent's mean validation accuracy over the table's runs, a fraction. (The
            single run that made it the incumbent is a lucky one more often than not.)
        regret: The table's optimum minus that.
        architecture: The incumbent.
    """

    queries: int
    gpu_hours: float
    accuracy: float
    regret: float
    architecture: Architecture


def table_of(trajectory: Trajectory) -> Table:
    """The table that a trajectory was recorded on.

    Raises:
        ValueError: If the table of that name is another one now.
    """
    table = open_table(trajectory.header["env"]["kwargs"]["table"])
    if table.id != trajectory.header["table"]["id"]:
        raise ValueError(f"the table {table.name} has changed since this trajectory was recorded")
    return table


def outcome(trajectory: Trajectory) -> Outcome:
    """What one search found.

    Raises:
        ValueError: If it asked no query.
    """
    if not trajectory.queries:
        raise ValueError("this search asked no query: its budget does not cover one")
    incumbent = int(trajectory.incumbents()[-1])
    regret = regret_by_query(trajectory)
    table = table_of(trajectory)
    return Outcome(
        queries=len(trajectory.queries),
        gpu_hours=float(trajectory.clock[-1]) / 3600,
        accuracy=_optimum(table) - float(regret[-1]),
        regret=float(regret[-1]),
        architecture=Architecture.from_index(incumbent),
    )


def regret_by_query(trajectory: Trajectory) -> FloatArray:
    """The incumbent's regret after every query, a fraction; float64 [queries]."""
    table = table_of(trajectory)
    mean = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    return _optimum(table) - mean[trajectory.incumbents()]


def _optimum(table: Table) -> float:
    return table.optimum(split="valid", epochs=table.epochs)[1]
