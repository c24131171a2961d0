"""Objectives: what is wanted of an architecture, in which direction, and on which scale.

An objective is the validation accuracy or a cost of the table (`nb201env.comparison.cost_names`). As a reward
it is its value times its scale, and minus that where less is better: so more of every reward is better.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nb201env.arrays import FloatArray
from nb201env.comparison import cost_names, costs, in_words, unit_of
from nb201env.fields import finite_number, quoted
from nb201env.missing import NotRecorded
from nb201env.table import Table
from nb201env.verification import named_unit

ACCURACY = "accuracy"
DEFAULT = (ACCURACY, "params")
DIRECTIONS = ("max", "min")
LEAST, MOST = 2, 8
"""Objectives at once: fronts and hypervolumes of more take too long, and mean too little."""

_LIKE = "{'name': 'params', 'direction': 'min', 'scale': 1e-6}"


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective, as it is asked for.

    Attributes:
        name: "accuracy" (the validation accuracy, a fraction), or a cost of the table: "params", "macs"
            (counts), "latency_seconds" or any that `nb201 table info` lists.
        direction: "max" or "min". None is "max" for the accuracy and "min" for costs whose name says a unit;
            of others, a zero-cost proxy's score say, it has to be given.
        scale: What its values are multiplied by in rewards; above 0. None is 1 for the accuracy, and for a
            cost 1 / the largest one of the table, so that its rewards are in [-1, 0].

    Raises:
        ValueError: If a value is not one of those allowed.
    """

    name: str
    direction: str | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"an objective is the name of one, such as 'params'; got {quoted(self.name)}")
        if self.direction is not None and self.direction not in DIRECTIONS:
            raise ValueError(f"{self.name}: direction must be 'max' or 'min'; got {quoted(self.direction)}")
        if self.scale is not None:
            scale = finite_number(f"{self.name}: scale", self.scale, 0, " (or None)")
            object.__setattr__(self, "scale", scale)

    @classmethod
    def of(cls, given: Objective | str | Mapping[str, Any]) -> Objective:
        """An objective from its name, from "name:min" or "name:max", or from a dictionary.

        Raises:
            ValueError: If it is none.
        """
        if isinstance(given, Objective):
            return given
        if isinstance(given, str):
            name, _, direction = given.partition(":")
            return cls(name, direction or None)
        if not isinstance(given, Mapping) or not {*given} <= {"name", "direction", "scale"}:
            raise ValueError(f"an objective is a name, or looks like {_LIKE}; got {quoted(given)}")
        if "name" not in given:
            raise ValueError(f"an objective needs a 'name', as in {_LIKE}; got {quoted(given)}")
        return cls(**given)

    def plain(self) -> str | dict[str, Any]:
        """The same as JSON can hold it: the name alone where nothing else was given."""
        said = {key: value for key, value in asdict(self).items() if value is not None}
        return self.name if len(said) == 1 else said


@dataclass(frozen=True, slots=True)
class Known:
    """An objective on a table: everything about it is said.

    Attributes:
        name: "accuracy" or the cost's.
        maximize: Whether more is better.
        scale: What values are multiplied by in rewards, above 0; minus that where less is better.
        unit: Of the values: "fraction", "count", "s", …; empty where the table does not say.
    """

    name: str
    maximize: bool
    scale: float
    unit: str

    @property
    def factor(self) -> float:
        """What turns a value into a reward."""
        return self.scale if self.maximize else -self.scale

    @property
    def direction(self) -> str:
        """ "max" or "min"."""
        return "max" if self.maximize else "min"

    @property
    def words(self) -> str:
        """The name for people: "accuracy", "params", "pixel3 latency"."""
        return in_words(self.name)


Given = Sequence[Objective | str | Mapping[str, Any]]
"""Objectives as users write them."""


def read_objectives(given: Any) -> tuple[Objective, ...]:
    """Objectives as users write them, checked.

    Raises:
        ValueError: If they are not two to eight different ones.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise ValueError(f"objectives are a list such as ['accuracy', 'params']; got {quoted(given)}")
    found = tuple(map(Objective.of, given))
    names = [one.name for one in found]
    if len({*names}) < len(names):
        raise ValueError(f"objectives: a name stands twice; got {quoted(given)}")
    if not LEAST <= len(names) <= MOST:
        raise ValueError(f"objectives: {LEAST} to {MOST} of them; got {quoted(given)}")
    return found


def known_objectives(table: Table, objectives: Given) -> tuple[Known, ...]:
    """What objectives mean on a table.

    Raises:
        NotRecorded: If the table lacks one of them.
        ValueError: If they are not what they should be, or a direction is missing.
    """
    return tuple(_known(table, one) for one in read_objectives(objectives))


def _known(table: Table, one: Objective) -> Known:
    if one.name == ACCURACY:
        return Known(ACCURACY, one.direction != "min", one.scale or 1.0, "fraction")
    if one.name not in (names := cost_names(table)):
        close = difflib.get_close_matches(one.name, [ACCURACY, *names], n=1)
        mend = f"did you mean {close[0]!r}?" if close else f"there are {', '.join([ACCURACY, *names])}"
        raise NotRecorded(f"{table.name} has no objective {quoted(one.name)}; {mend}")
    if one.direction is None and not named_unit(one.name):
        raise ValueError(
            f"objective {one.name!r}: its name does not say whether less is better; give it as "
            f"'{one.name}:max' or '{one.name}:min'"
        )
    scale = one.scale or _scale(table, one.name)
    return Known(one.name, one.direction == "max", scale, unit_of(table, one.name))


def _scale(table: Table, name: str) -> float:
    """1 / the largest size of a value."""
    largest = float(np.nanmax(np.abs(costs(table, name)), initial=0.0))
    return 1 / largest if largest > 0 else 1.0


def objective_costs(table: Table, objectives: Sequence[Known]) -> FloatArray:
    """The values of all objectives but the accuracy, in their units; float64 [costs, 15625].

    Raises:
        NotRecorded: If one of them is not a finite number for every architecture.
    """
    found = [(one.name, costs(table, one.name)) for one in objectives if one.name != ACCURACY]
    for name, values in found:
        if lacking := int((~np.isfinite(values)).sum()):
            raise NotRecorded(
                f"{table.name} knows no {name} of {lacking:,} of {len(values):,} architectures, so it cannot "
                "be an objective"
            )
    return np.array([values for _, values in found]).reshape(len(found), -1)


def rewards(objectives: Sequence[Known], accuracy: FloatArray, prices: FloatArray) -> FloatArray:
    """The rewards of accuracies; NaN where the accuracy is.

    Args:
        objectives: What is wanted.
        accuracy: Fractions by lexicographic index, [15625] or [15625, slots].
        prices: `objective_costs`.

    Returns:
        float64 [15625, m] or [15625, slots, m]; more is better.
    """
    rows = iter(prices)
    shape = (-1,) + (1,) * (accuracy.ndim - 1)
    parts = [
        one.factor * (accuracy if one.name == ACCURACY else next(rows).reshape(shape) + 0 * accuracy)
        for one in objectives
    ]
    return np.stack(parts, axis=-1) + 0.0  # -0.0 becomes 0.0, so that equal rewards have the same bytes
