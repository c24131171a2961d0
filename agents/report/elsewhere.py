"""What the searches chose, looked up in other tables than the one they searched.

That is how papers report: found on CIFAR-10, worth so much on CIFAR-100; found by validation accuracy,
worth so much on the test images. So that the same command always gives the same report, the tables are the
embedded official ones and those that the command names, whatever else is installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nb201env.agents.report.statistics import Estimate, mean_estimate
from nb201env.arrays import FloatArray
from nb201env.envs.registration import OFFICIAL
from nb201env.official import TASKS
from nb201env.output import named, unlike
from nb201env.table import Table
from nb201env.tables import open_table

SPLITS = ("valid", "test")


@dataclass(frozen=True)
class Place:
    """A table to look up in.

    Attributes:
        name: The table's name, with a number where another one is called so.
        table: The table.
        given: Whether the command names it; if not, it is an embedded one at hand unasked.
    """

    name: str
    table: Table
    given: bool


@dataclass(frozen=True)
class Found:
    """What the architectures chosen by each agent are worth in one table, by one split.

    Attributes:
        place: The table.
        split: "valid" or "test".
        held: Per agent, the mean accuracy over the table's runs of what each search chose: fractions,
            float64 [searches]; NaN where the table lacks it.
    """

    place: Place
    split: str
    held: tuple[FloatArray, ...]

    @property
    def by_agent(self) -> tuple[FloatArray | None, ...]:
        """`held`, but None for agents of which the table lacks an architecture."""
        return tuple(None if np.isnan(values).any() else values for values in self.held)

    @property
    def what(self) -> str:
        """In words: "valid accuracy on cifar100-200"."""
        return f"{self.split} accuracy on {self.place.name}"


def at_hand(tables: Sequence[str | os.PathLike[str]]) -> tuple[Place, ...]:
    """The embedded official tables, then those named by name or path; each once."""
    given = [open_table(name) for name in tables]
    by_id = {table.id: table for table in [*map(open_table, OFFICIAL.values()), *given]}
    names = unlike(named(table.name) for table in by_id.values())
    asked = {table.id for table in given}
    return tuple(
        Place(name, table, table.id in asked) for name, table in zip(names, by_id.values(), strict=True)
    )


def look_up(searched: Table, chosen: Sequence[Sequence[int]], places: Sequence[Place]) -> tuple[Found, ...]:
    """Look up what was chosen on one table in the others.

    The embedded tables are of official trainings, so what was found on another kind of training is looked up
    in them only if the command names them.

    Args:
        searched: The table that the searches asked.
        chosen: Per agent, the lexicographic index that each search chose.
        places: See `at_hand`.
    """
    found = []
    for place in places:
        if place.table.id != searched.id and (place.given or _official(searched)):
            for split, accuracy in _accuracies(place.table):
                found.append(Found(place, split, tuple(accuracy[list(indices)] for indices in chosen)))
    return tuple(found)


def mean_of(accuracies: FloatArray) -> Estimate:
    """The mean over searches, with Student's 95 % interval."""
    value, low, high = mean_estimate(accuracies)
    return Estimate(value, max(low, 0.0), min(high, 1.0))  # of NaN they make NaN


def _official(table: Table) -> bool:
    """Whether it is of an official task, and not built with a network of its own."""
    return table.manifest["task"]["name"] in TASKS and "skeleton" not in table.manifest


def _accuracies(table: Table) -> Iterator[tuple[str, FloatArray]]:
    """The splits that were evaluated at the schedule's end."""
    for split in SPLITS:
        column = f"{split}_accuracy"
        if column in table.columns and table.epochs in table.recorded_epochs(column):
            yield split, table.accuracy(split=split, epochs=table.epochs, run="mean")
