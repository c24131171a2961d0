"""How far two tables agree: rank correlations, and the regret of trusting one for the other."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nb201env import cost
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray, IntArray
from nb201env.missing import not_recorded
from nb201env.official import DATASETS
from nb201env.space import SIZE
from nb201env.table import NotRecorded, Table, mean_over_runs


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
    ranks = [_mean_ranks(values) - (len(values) - 1) / 2 for values in (a, b)]
    norm = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float((ranks[0] * ranks[1]).sum() / norm) if norm else float("nan")


def _dense_ranks(values: FloatArray) -> IntArray:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _mean_ranks(values: FloatArray) -> FloatArray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts + 1) / 2)[inverse])


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
    top = y >= np.quantile(y, 0.9)
    best_a, best_b = int(x.argmax()), int(y.argmax())
    return Comparison(
        architectures=len(both),
        kendall=kendall(x, y),
        spearman=spearman(x, y),
        kendall_top=kendall(x[top], y[top]),
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

    Args:
        table: The table, which names the data set.
        name: "params", "macs" (counts), "latency_seconds" or another column without epochs.

    Raises:
        NotRecorded: If the table has no such column and there is no closed form, or if the column is
            recorded by epoch.
    """
    if name in cost.CLOSED_FORMS and table.dataset in DATASETS and "skeleton" not in table.manifest:
        return cost.CLOSED_FORMS[name](np.arange(SIZE), table.dataset).astype(np.float64)
    if name not in table.columns:
        has = f"{table.name} does not record {name!r}; it has {', '.join(table.columns)}"
        raise not_recorded(has, table.manifest, name)
    if table.recorded_epochs(name):
        whole = [column for column in table.columns if not table.recorded_epochs(column)]
        raise NotRecorded(
            f"{table.name} records {name!r} by epoch, so it is no cost of an architecture; "
            f"such are {', '.join(whole) or 'none'}"
        )
    values = table.values(name)
    return values if values.ndim == 1 else mean_over_runs(values)
