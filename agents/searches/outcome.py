"""What a search found, from its trajectory and its table."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray, IntArray
from nb201env.fronts.front import nondominated
from nb201env.fronts.objectives import ACCURACY, Known, known_objectives, objective_costs
from nb201env.table import Table
from nb201env.trajectory import BadTrajectory, Trajectory


@dataclass(frozen=True)
class Landscape:
    """A table as its searches are judged by.

    Attributes:
        table: The table.
        valid: Mean validation accuracy over runs at the schedule's end, a fraction; float64 [15625].
        test: Likewise test accuracy; None where the table does not record it.
        optimum: The best of `valid`.
    """

    table: Table
    valid: FloatArray
    test: FloatArray | None
    optimum: float

    @classmethod
    def of(cls, table: Table) -> Landscape:
        """Read what is needed of a table."""
        valid = table.accuracy(split="valid", epochs=table.epochs, run="mean")
        recorded = "test_accuracy" in table.columns and table.epochs in table.recorded_epochs("test_accuracy")
        test = table.accuracy(split="test", epochs=table.epochs, run="mean") if recorded else None
        return cls(table, valid, test, float(np.nanmax(valid)))

    @cached_property
    def median_regret(self) -> float:
        """The regret of the median architecture, a fraction."""
        return self.optimum - float(np.nanmedian(self.valid))

    @cached_property
    def rank(self) -> IntArray:
        """Every architecture's place by `valid`, 1 the best, equals alike; int64 [15625].

        0 where the table has no run: no place. `outcome` refuses searches that asked for such a one.
        """
        missing = np.isnan(self.valid)
        held = np.sort(self.valid[~missing])
        places = len(held) - np.searchsorted(held, self.valid, side="right") + 1
        return np.where(missing, 0, places)

    @cached_property
    def regret(self) -> FloatArray:
        """The optimum minus every architecture's `valid`; float64 [15625]."""
        return self.optimum - self.valid


_landscape = lru_cache(maxsize=16)(Landscape.of)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one search asked and found; a few bytes a query, for a report holds thousands of searches.

    The incumbent is chosen by what the search saw, often single runs. What it is worth is judged by
    means over the table's runs: the run that made it the incumbent is a lucky one more often than not.

    Attributes:
        path: The trajectory's file.
        header: The file's first line; what is equal in others' is shared with them, so nothing in it changes.
        landscape: The table it searched.
        index: The architecture of every query; int16 [queries].
        clock: Simulated seconds spent after every query; float64 [queries].
        incumbents: The best so far by what the search saw, after every query; int16 [queries].
        whole: Whether a query was of the whole training, and not of its first epochs; bool [queries].
        answer: With several objectives, the different architectures that looked best to the search at its
            end: every query of the whole training is a point, of the accuracy that was answered and the
            table's costs, and these are whose points no other one dominates; int16 [architectures], rising.
            None with one objective.
    """

    path: Path
    header: dict[str, Any]
    landscape: Landscape
    index: npt.NDArray[np.int16]
    clock: FloatArray
    incumbents: npt.NDArray[np.int16]
    whole: npt.NDArray[np.bool_]
    answer: npt.NDArray[np.int16] | None = None

    @property
    def seed(self) -> int:
        """The search's seed."""
        return int(self.header["seed"])

    @property
    def queries(self) -> int:
        """How many it asked."""
        return len(self.index)

    @property
    def gpu_hours(self) -> float:
        """Simulated, from the clock."""
        return float(self.clock[-1]) / 3600

    @property
    def chosen(self) -> int:
        """The final incumbent's lexicographic index."""
        return int(self.incumbents[-1])

    @property
    def architecture(self) -> Architecture:
        """The final incumbent."""
        return Architecture.from_index(self.chosen)

    @property
    def accuracy(self) -> float:
        """The final incumbent's mean validation accuracy, a fraction."""
        return float(self.landscape.valid[self.chosen])

    @property
    def test_accuracy(self) -> float:
        """The final incumbent's mean test accuracy, a fraction; NaN where the table does not record it."""
        test = self.landscape.test
        return float("nan") if test is None else float(test[self.chosen])

    @property
    def regret(self) -> float:
        """The table's optimum minus `accuracy`."""
        return float(self.landscape.regret[self.chosen])

    @property
    def regrets(self) -> FloatArray:
        """The optimum minus the incumbent's mean accuracy, after every query; float64 [queries]."""
        return self.landscape.regret[self.incumbents]

    @property
    def asked_regrets(self) -> FloatArray:
        """The optimum minus the mean accuracy of every architecture asked for; float64 [queries].

        Infinite where the query was of a part of the training.
        """
        return np.where(self.whole, self.landscape.regret[self.index], np.inf)

    @property
    def gap_left(self) -> float:
        """The final regret as a share of the median architecture's: comparable between tables.

        NaN where half of the architectures reach the optimum.
        """
        median = self.landscape.median_regret
        return self.regret / median if median > 0 else float("nan")


def outcome(trajectory: Trajectory, table: Table | None = None) -> Outcome:
    """What one search found.

    Args:
        trajectory: The search.
        table: The table that answered it; the one of its id among those at hand if None.

    Raises:
        BadTrajectory: If it has no query, or one of an architecture that the table lacks.
        ValueError: If the table is another one, or the objectives are none.
        NotRecorded: If the table lacks an objective.
        FileNotFoundError: If no table at hand has the id.
    """
    if not trajectory.queries:
        raise BadTrajectory(
            f"{trajectory.path}: this search asked nothing: its budget does not cover one query"
        )
    table = trajectory.table() if table is None else table
    trajectory.check_table(table)
    landscape, index = _landscape(table), trajectory.index
    if lacking := np.flatnonzero(np.isnan(landscape.valid[index])).tolist():
        asked = trajectory.queries[lacking[0]]["architecture"]
        raise BadTrajectory(
            f"{trajectory.path}: query {lacking[0] + 1} is of {asked}, which {table.name} has no run of"
        )
    end = trajectory.header["env"]["kwargs"].get("epochs") or table.epochs
    shorter = [query.get("epochs", end) != end for query in trajectory.queries]
    # One value for all queries takes no memory.
    whole = ~np.array(shorter) if any(shorter) else np.broadcast_to(np.True_, len(shorter))
    return Outcome(trajectory.path, _compact(trajectory.header), landscape, index.astype(np.int16),
                   trajectory.clock, trajectory.incumbents().astype(np.int16), whole,
                   _answer(trajectory, table, index, whole))  # fmt: skip


def _answer(
    trajectory: Trajectory, table: Table, index: IntArray, whole: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int16] | None:
    objectives = trajectory.header["env"]["kwargs"].get("objectives")
    if not objectives:
        return None
    known, prices = _objectives(table, json.dumps(objectives))
    asked, costs = index[whole], iter(prices)
    seen = [
        one.factor * (trajectory.accuracy[whole] if one.name == ACCURACY else next(costs)[asked])
        for one in known
    ]
    return np.unique(asked[nondominated(np.stack(seen, axis=1))]).astype(np.int16)


@lru_cache(maxsize=16)
def _objectives(table: Table, objectives: str) -> tuple[tuple[Known, ...], FloatArray]:
    """What objectives mean on a table, and the values of those that are costs."""
    known = known_objectives(table, json.loads(objectives))
    return known, objective_costs(table, known)


def _compact(header: dict[str, Any]) -> dict[str, Any]:
    """A header that shares with others what is equal: all but the seed and the command, mostly."""
    return {
        sys.intern(name): _shared(json.dumps(value)) if isinstance(value, dict | list) else value
        for name, value in header.items()
    }


@lru_cache(maxsize=1024)
def _shared(text: str) -> Any:
    return json.loads(text)


class Spread(NamedTuple):
    """Mean and standard deviation over searches (divided by their number), fractions."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, fractions: npt.ArrayLike) -> Spread:
        """That of one value per search, fractions [searches]."""
        values = np.asarray(fractions, dtype=np.float64)
        return cls(float(values.mean()), float(values.std()))

    def __str__(self) -> str:
        return f"{100 * self.mean:.2f} ± {100 * self.deviation:.2f}"


def spread_text(fractions: npt.ArrayLike) -> str:
    """Mean ± standard deviation in per cent of fractions [searches]; of one search, its value alone."""
    values = np.asarray(fractions, dtype=np.float64)
    return str(Spread.of(values)) if len(values) > 1 else f"{100 * values[0]:.2f}"
