"""Column maps: which of a table's columns each column of a file of rows is.

A target reads ``<column>[@<epochs completed>][#<seed>]``; without a seed the numbers are no single run (a
mean, say), and the table answers them for ``run="mean"`` only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

_TARGET = re.compile(
    r"(?P<column>[A-Za-z][A-Za-z0-9_]*)(@(?P<epochs>[0-9]{1,6}))?(#(?P<seed>[0-9]{1,9}))?", re.ASCII
)
SPLITS = ("train", "valid", "test", "valtest")
METRICS = ("accuracy", "top5_accuracy", "loss", "seconds")
SIZES = ("params", "macs")
"""Costs that follow from an architecture alone."""
OWN_UNITS = {"_seconds": "s", "_joules": "J", "_bytes": "B", "_count": "count"}
"""The ending of a cost of one's own says its unit."""
MOST_EPOCHS = 999_999
_KNOWN = [*(f"{split}_{metric}" for split in SPLITS for metric in METRICS), *SIZES, "latency_seconds"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file's column goes: our column, the epochs completed, the seed."""

    column: str
    epochs: int | None
    seed: int | None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``<column>[@<epochs>][#<seed>]``.

        Raises:
            ValueError: If the text is not that, or there is no such column.
        """
        match = _TARGET.fullmatch(text)
        if match is None:
            raise ValueError(f"a target column reads like valid_accuracy@200#777; got {text!r}")
        epochs, seed = match["epochs"], match["seed"]
        target = cls(match["column"], int(epochs) if epochs else None, int(seed) if seed else None)
        _check_column(target.column)
        if target.is_accuracy or target.column.endswith("_loss"):
            if target.epochs is None:
                raise ValueError(f"say after how many epochs {text!r} was recorded: {text}@200, say")
        elif target.epochs is not None and not target.column.startswith(tuple(f"{s}_" for s in SPLITS)):
            raise ValueError(
                f"{text!r}: {target.column} is the architecture's, not an epoch's; leave out the @"
            )
        return target

    @property
    def is_accuracy(self) -> bool:
        """Whether it counts correct images."""
        return self.column.endswith("_accuracy")

    @property
    def unit(self) -> str:
        """What its numbers count, for the manifest."""
        if self.is_accuracy:
            return "fraction"
        if self.column.endswith("_loss"):
            return "nats"
        return next((unit for ending, unit in OWN_UNITS.items() if self.column.endswith(ending)), "count")


def _check_column(column: str) -> None:
    own = any(column.endswith(ending) and len(column) > len(ending) for ending in OWN_UNITS)
    if column in _KNOWN or own:
        return
    close = difflib.get_close_matches(column, _KNOWN, n=1)
    mend = f"did you mean {close[0]}?" if close else f"there are {', '.join(_KNOWN)}."
    *some, last = OWN_UNITS
    raise ValueError(
        f"a table has no column {column!r}; {mend} A cost of your own ends in its unit: "
        f"{', '.join(some)} or {last}"
    )


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


def read_map(columns: Iterable[tuple[str, str]], epochs: int) -> dict[str, Target]:
    """Targets by the names of the file's columns.

    Args:
        columns: Names and targets.
        epochs: The schedule's length.

    Raises:
        ValueError: If the map is empty, two columns have one target, or a target is wrong.
    """
    if not 1 <= epochs <= MOST_EPOCHS:
        raise ValueError(f"a schedule has 1 to {MOST_EPOCHS:,} epochs; got {epochs}")
    targets: dict[str, Target] = {}
    for name, text in columns:
        target = Target.parse(text)
        if target.epochs is not None and not 1 <= target.epochs <= epochs:
            raise ValueError(f"{text!r}: epochs completed are 1 to the schedule's {epochs}")
        twice = [other for other, held in targets.items() if held == target]
        if twice:
            raise ValueError(f"{twice[0]!r} and {name!r} are both mapped to the same target, {text}")
        targets[name] = target
    if not targets:
        raise ValueError("the column map is empty; map at least one column, such as acc=valid_accuracy@200")
    return targets
