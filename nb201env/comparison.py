"""Numbers side by side: how far two tables agree, what is best, and what it costs."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nb201env import cost
from nb201env.architecture import Architecture
from nb201env.arrays import BoolArray, FloatArray, IntArray
from nb201env.devices import devices
from nb201env.missing import not_recorded
from nb201env.official import DATASETS
from nb201env.space import SIZE
from nb201env.table import NotRecorded, Table, mean_over_runs
from nb201env.verification import named_unit


def kendall(a: FloatArray, b: FloatArray) -> float:
    """Kendall's tau-b of two score vectors [n]: concordant minus discordant pairs, ties corrected.

    NaN if one of them is constant or holds a NaN, or n < 2. Takes O(n log^2 n) time. Formula: M. Kendall,
    The treatment of ties in ranking problems, Biometrika 1945; counting by merging: W. Knight, JASA 1966.
    """
    if np.isnan(a).any() or np.isnan(b).any():
        return float("nan")  # there is no rank for what is not known
    x, y = _dense_ranks(a), _dense_ranks(b)
    pairs = len(x) * (len(x) - 1) // 2
    tied_x, tied_y = _tied_pairs(x), _tied_pairs(y)
    discordant = _inversions(y[np.lexsort((y, x))])
    balance = pairs - tied_x - tied_y + _tied_pairs(x * len(y) + y) - 2 * discordant
    untied = (pairs - tied_x) * (pairs - tied_y)
    return balance / math.sqrt(untied) if untied else float("nan")


def _tied_pairs(values: IntArray) -> int:
    counts = np.unique(values, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _inversions(values: IntArray) -> int:
    """How many pairs stand in falling order, counted as sorted halves are merged."""
    found, width, place = 0, 1, np.arange(len(values))
    while width < len(values):
        block, right = place // (2 * width), place // width % 2
        order = np.lexsort((right, values, block))  # of equals, those of the left half come first
        values, right, block = values[order], right[order], block[order]
        before = np.cumsum(right) - right  # how many of right halves stand before each value, in all blocks
        smaller = before - before[np.searchsorted(block, block)]  # and in its own
        found += int(smaller[right == 0].sum())
        width *= 2
    return found


def spearman(a: FloatArray, b: FloatArray) -> float:
    """Spearman's rho of two score vectors [n]: Pearson's correlation of mean ranks.

    NaN if one of them is constant or holds a NaN.
    """
    if np.isnan(a).any() or np.isnan(b).any():
        return float("nan")
    ranks = [mean_ranks(values) - (len(values) - 1) / 2 for values in (a, b)]
    norm = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float((ranks[0] * ranks[1]).sum() / norm) if norm else float("nan")


def _dense_ranks(values: FloatArray) -> IntArray:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def mean_ranks(values: FloatArray) -> FloatArray:
    """The rank of each value, float64 [n]: 0 for the least, n - 1 for the greatest; ties share their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts + 1) / 2)[inverse])


class Correlations(NamedTuple):
    """How well one score puts architectures in the order of another.

    Attributes:
        kendall, spearman: Rank correlations over all of them.
        kendall_top: Kendall's tau among the best tenth by the second score.
    """

    kendall: float
    spearman: float
    kendall_top: float


def correlations(a: FloatArray, b: FloatArray) -> Correlations:
    """The correlations of two score vectors [n]; NaN where `kendall` and `spearman` are."""
    top = b >= np.quantile(b, 0.9)
    return Correlations(kendall(a, b), spearman(a, b), kendall(a[top], b[top]))


class Comparison(NamedTuple):
    """Two tables side by side; accuracies and regrets are fractions.

    Attributes:
        architectures: How many both tables have.
        kendall, spearman: Rank correlations over all of them.
        kendall_top: Kendall's tau among the best tenth by the second table.
        best_a, best_b: The best architecture of each table.
        regret_a: What the first table loses by taking the second one's best; `regret_b` the reverse.
        mean_difference: Mean of second minus first.
    """

    architectures: int
    kendall: float
    spearman: float
    kendall_top: float
    best_a: Architecture
    best_b: Architecture
    regret_a: float
    regret_b: float
    mean_difference: float


def compare(a: FloatArray, b: FloatArray) -> Comparison:
    """Compare two accuracies by lexicographic index, float64 [15625], NaN where missing.

    Raises:
        ValueError: If they have fewer than two architectures in common.
    """
    both = np.flatnonzero(~(np.isnan(a) | np.isnan(b)))
    if len(both) < 2:
        raise ValueError(f"the tables have {len(both)} architectures in common; two are needed to compare")
    x, y = a[both], b[both]
    best_a, best_b = int(x.argmax()), int(y.argmax())
    return Comparison(
        architectures=len(both),
        **correlations(x, y)._asdict(),
        best_a=Architecture.from_index(int(both[best_a])),
        best_b=Architecture.from_index(int(both[best_b])),
        regret_a=float(x[best_a] - x[best_b]),
        regret_b=float(y[best_b] - y[best_a]),
        mean_difference=float((y - x).mean()),
    )


def pareto(cost: FloatArray, accuracy: FloatArray) -> IntArray:
    """The Pareto front of low cost and high accuracy: positions in rising order of cost.

    NaN in either leaves an entry out. Of equal entries the first is taken.
    """
    held = np.flatnonzero(~(np.isnan(cost) | np.isnan(accuracy)))
    order = held[np.lexsort((-accuracy[held], cost[held]))]
    best = np.maximum.accumulate(np.concatenate([[-np.inf], accuracy[order]]))
    return np.asarray(order[accuracy[order] > best[:-1]])


def final_accuracy(table: Table, split: str) -> tuple[FloatArray, int]:
    """Mean accuracy over runs after the last recorded epoch, float64 [15625], and that epoch.

    Raises:
        NotRecorded: If the table has no such column, or no number in it.
    """
    epochs = table.recorded_epochs(f"{split}_accuracy")[-1]
    accuracy = table.accuracy(split=split, epochs=epochs, run="mean")
    if np.isnan(accuracy).all():
        raise NotRecorded(
            f"{table.name} records the {split} accuracy of no architecture after {epochs} epochs"
        )
    return accuracy, epochs


def costs(table: Table, name: str) -> FloatArray:
    """A cost of every architecture; float64 [15625], NaN where it is not known.

    An architecture has one size, so a limit on it means the same on every table of a data set. On the
    official data sets ``params`` and ``macs`` are therefore the closed form, even where a table records
    them: official files hold sizes of some runs that belong to another network. The exception is a table
    that describes a network of its own (``skeleton`` in its manifest, as `nb201 build` writes): its
    column counts. What was recorded is always there as ``table.values(name)``.

    Any other column counts as it was recorded; where it was for every run, the mean over those there are.
    What was measured on a device and is embedded (`nb201env.devices`) counts where the table has no such
    column.

    Args:
        table: The table, which names the data set.
        name: One of `cost_names`: "params", "macs" (counts), "latency_seconds" or another column of the
            table's that has no epochs, "cpu_latency_seconds" on CIFAR-10.

    Raises:
        NotRecorded: If it is none of these; the message lists them.
    """
    if _has_closed_form(table, name):
        return cost.CLOSED_FORMS[name](np.arange(SIZE), table.dataset).astype(np.float64)
    if name not in cost_names(table):
        raise _no_cost(table, name)
    if device := devices(table).get(name):
        return device.values.copy()
    values = table.values(name)
    return values if values.ndim == 1 else mean_over_runs(values)


def cost_names(table: Table) -> list[str]:
    """What `costs` answers of a table: the closed forms, its columns that are no training's results, devices.

    Nothing that is called a test is among them, so that no search sees it.
    """
    closed = [name for name in cost.CLOSED_FORMS if _has_closed_form(table, name)]
    recorded = [
        name for name in table.columns
        if not table.recorded_epochs(name) and not name.endswith(("_accuracy", "_loss"))
        and not name.startswith(("test_", "valtest_"))
    ]  # fmt: skip
    return [*closed, *(name for name in recorded if name not in closed), *devices(table)]


def unit_of(table: Table, name: str) -> str:
    """The unit of a column, or of one of `cost_names`: as its table tells, or its name; else empty."""
    return str(table.manifest["columns"].get(name, {}).get("unit") or named_unit(name))


@dataclass(frozen=True, slots=True)
class Bound:
    """What an architecture may cost at most, or has to cost at least.

    Attributes:
        name: One of `cost_names`.
        number: In the cost's unit.
        at_most: Whether it is the most; else it is the least.
        asked: How it was asked for, for messages.
    """

    name: str
    number: float
    at_most: bool
    asked: str


def within(table: Table, bounds: Sequence[Bound], held: BoolArray) -> BoolArray:
    """Which architectures keep within all bounds; bool [15625].

    One of which a cost is not known does not.

    Args:
        table: Knows what they cost.
        bounds: Any number.
        held: The architectures that it is about; bool [15625].

    Raises:
        NotRecorded: If the table does not know one of the costs.
        ValueError: If none of `held` is within; the message says what excludes them all.
    """
    found, counts = held, []
    for bound in bounds:
        price = costs(table, bound.name)
        mine = held & (price <= bound.number if bound.at_most else price >= bound.number)
        if not mine.any():
            raise ValueError(
                f"no architecture is within {bound.asked}: {_nearest(table, bound, price[held])}"
            )
        counts.append(f"{mine.sum():,} are within {bound.asked}")
        found = found & mine
    if bounds and not found.any():
        raise ValueError(f"no architecture is within all limits together: {', '.join(counts)}")
    return found


def _nearest(table: Table, bound: Bound, price: FloatArray) -> str:
    known = price[~np.isnan(price)]
    if not len(known):
        return f"{table.name} knows {bound.name} of none"
    nearest = known.min() if bound.at_most else known.max()
    return f"the {'least' if bound.at_most else 'most'} is {with_unit(table, bound.name, nearest)}"


def with_unit(table: Table, name: str, number: float) -> str:
    """A cost as messages show it: "73,306 (count)"."""
    unit = unit_of(table, name)
    return f"{number:,.8g}" + (f" ({unit})" if unit else "")


def in_words(name: str) -> str:
    """A column's name for people: "pixel3 latency" of pixel3_latency_seconds, since its unit stands by it."""
    if name.endswith(("latency_seconds", "energy_joules")):
        name = name.rpartition("_")[0]
    first, *others = name.split("_")
    return " ".join([first.upper() if first in ("cpu", "gpu") else first, *others])


def readable(values: FloatArray, unit: str) -> tuple[FloatArray, str]:
    """Numbers in a multiple of their unit that suits them, and its name.

    1,073,466 (a count) are 1.07 "millions", and 0.004 s are 4 "ms"; small counts have no name.
    """
    most = float(np.nanmax(np.abs(values), initial=0.0))
    if unit == "count":
        scale, word = (1e6, "millions") if most >= 1e6 else (1e3, "thousands") if most >= 1e3 else (1.0, "")
        return values / scale, word
    if unit == "fraction":
        return 100 * values, "%"
    return (1e3 * values, f"m{unit}") if unit in ("s", "J") and most < 1 else (values, unit)


def _has_closed_form(table: Table, name: str) -> bool:
    return name in cost.CLOSED_FORMS and table.dataset in DATASETS and "skeleton" not in table.manifest


def _no_cost(table: Table, name: str) -> NotRecorded:
    known = cost_names(table)
    there_are = f"the costs {', '.join(known)}" if known else "no costs"
    if name in table.columns:
        by_epoch = "by epoch" if table.recorded_epochs(name) else "as a training's result"
        return NotRecorded(
            f"{table.name} records {name!r} {by_epoch}, so it is no cost of an architecture; such are "
            f"{', '.join(known) or 'none'}"
        )
    close = difflib.get_close_matches(name, known, n=1)
    mend = f"; did you mean {close[0]!r}?" if close else "; `nb201 table add-columns` adds more"
    lacks = f"{table.name} does not record {name!r}; it has {there_are}{mend}"
    return not_recorded(lacks, table.manifest, name)
