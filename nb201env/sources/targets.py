"""Column maps: which of a table's columns each column of a file of rows is.

A target reads ``<column>[@<epochs completed>][#<seed>]``; without a seed the numbers are no single run (a
mean, say), and the table answers them for ``run="mean"`` only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nb201env.verification import SIZES, named_unit

_TARGET = re.compile(
    r"(?P<column>[A-Za-z][A-Za-z0-9_]*)(@(?P<epochs>[0-9]{1,6}))?(#(?P<seed>[0-9]{1,9}))?", re.ASCII
)
SPLITS = ("train", "valid", "test", "valtest")
METRICS = ("accuracy", "top5_accuracy", "loss", "seconds")
OWN_ENDINGS = ("_seconds", "_joules", "_bytes", "_count")
"""Of the name of a cost of one's own; they say its unit."""
OTHERS = ("row", "architecture", "index", "official_index")
"""What stands beside the columns in tables, data frames and exports."""
LONGEST_UNIT = 20
MOST_EPOCHS = 999_999
_PREFIXES = tuple(f"{split}_" for split in SPLITS)
_COSTS = (*SIZES, "latency_seconds")
_KNOWN = [*(f"{split}_{metric}" for split in SPLITS for metric in METRICS), *_COSTS]
_THERE_ARE = f"{', '.join(_PREFIXES)} each with {', '.join(METRICS)}; {', '.join(_COSTS)}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file's column goes: our column, the epochs completed, the seed, and what its numbers count."""

    column: str
    epochs: int | None
    seed: int | None
    unit: str

    @classmethod
    def parse(cls, text: str, units: Mapping[str, str] | None = None) -> Target:
        """Read ``<column>[@<epochs>][#<seed>]``.

        Args:
            text: The target.
            units: By column, of costs whose names don't say theirs.

        Raises:
            ValueError: If the text is not that, or there is no such column.
        """
        match = _TARGET.fullmatch(text)
        if match is None:
            raise ValueError(f"a target column reads like valid_accuracy@200#777; got {text!r}")
        epochs, seed = match["epochs"], match["seed"]
        unit = _unit(match["column"], (units or {}).get(match["column"]))
        target = cls(match["column"], int(epochs) if epochs else None, int(seed) if seed else None, unit)
        if target.is_accuracy or target.column.endswith("_loss"):
            if target.epochs is None:
                raise ValueError(f"say after how many epochs {text!r} was recorded: {text}@200, say")
        elif target.epochs is not None and not target.column.startswith(_PREFIXES):
            raise ValueError(
                f"{text!r}: {target.column} is the architecture's, not an epoch's; leave out the @"
            )
        return target

    @property
    def is_accuracy(self) -> bool:
        """Whether it counts correct images."""
        return self.column.endswith("_accuracy")


def _unit(column: str, told: str | None) -> str:
    """A column's unit, from its name or as told.

    Raises:
        ValueError: If it can be no column, or has another unit than told.
    """
    named = named_unit(column)
    own = column.endswith(OWN_ENDINGS) and column not in OWN_ENDINGS
    if column in _KNOWN or own:
        if told not in (None, named):
            raise ValueError(
                f"the name {column!r} says that its unit is {named}, not {told}; choose a name without that "
                "ending, or leave out the unit"
            )
        return named
    if told is not None and not named and not column.startswith(_PREFIXES) and column not in OTHERS:
        return told
    close = difflib.get_close_matches(column, _KNOWN, n=1)
    mend = f"did you mean {close[0]}?" if close else f"there are {_THERE_ARE}."
    rule = f"ends in its unit, {', '.join(OWN_ENDINGS)}, or its unit is told: --unit-of {column}=UNIT"
    if column.startswith(_PREFIXES):
        rule = f"begins with none of {', '.join(_PREFIXES)}, which are a split's results"
    raise ValueError(f"a table has no column {column!r}; {mend} A cost of your own {rule}")


def read_pairs(texts: Iterable[str]) -> dict[str, str]:
    """Read ``FILE_COLUMN=TARGET`` texts.

    Raises:
        ValueError: If one is not that, or a column of the file is mapped twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        name, _, target = text.rpartition("=")
        if not name:
            raise ValueError(f"--column reads like test_acc=test_accuracy@200; got {text!r}")
        if name in pairs:
            raise ValueError(f"the file's column {name!r} is mapped twice, to {pairs[name]} and to {target}")
        pairs[name] = target
    return pairs


def read_units(texts: Iterable[str]) -> dict[str, str]:
    """Read ``COLUMN=UNIT`` texts.

    Raises:
        ValueError: If one is not that, or a column has two.
    """
    units: dict[str, str] = {}
    for text in texts:
        column, _, unit = (part.strip() for part in text.partition("="))
        if not column or not unit or len(unit) > LONGEST_UNIT or not unit.isprintable():
            raise ValueError(
                f"--unit-of reads like energy=mJ, units have at most {LONGEST_UNIT} characters; got {text!r}"
            )
        if units.setdefault(column, unit) != unit:
            raise ValueError(f"--unit-of says two units of {column!r}, {units[column]} and {unit}")
    return units


def read_map(
    columns: Iterable[tuple[str, str]], epochs: int, units: Mapping[str, str] | None = None
) -> dict[str, Target]:
    """Targets by the names of the file's columns.

    Args:
        columns: Names and targets.
        epochs: The schedule's length.
        units: By our column, of costs whose names don't say theirs.

    Raises:
        ValueError: If the map is empty, two columns have one target, a target is wrong, or there is a unit of
            what is no target.
    """
    if not 1 <= epochs <= MOST_EPOCHS:
        raise ValueError(f"a schedule has 1 to {MOST_EPOCHS:,} epochs; got {epochs}")
    targets: dict[str, Target] = {}
    for name, text in columns:
        target = Target.parse(text, units)
        if target.epochs is not None and not 1 <= target.epochs <= epochs:
            raise ValueError(f"{text!r}: epochs completed are 1 to the schedule's {epochs}")
        twice = [other for other, held in targets.items() if held == target]
        if twice:
            raise ValueError(f"{twice[0]!r} and {name!r} are both mapped to the same target, {text}")
        targets[name] = target
    if not targets:
        raise ValueError("the column map is empty; map at least one column, such as acc=valid_accuracy@200")
    if lost := sorted(set(units or ()) - {target.column for target in targets.values()}):
        raise ValueError(f"a unit is told of {lost[0]!r}, which no column is mapped to")
    return targets
