"""Which numbers of a column are the best, or cannot be told apart from the best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nb201env.agents.report.grid import Cell
from nb201env.agents.report.intervals import LEVEL
from nb201env.agents.report.statistics import Estimate, improvements
from nb201env.arrays import FloatArray

Scores = Sequence[FloatArray]
"""Of one agent, per environment: one number for each search, better when lower; float64 [searches]."""


def together(comparisons: int) -> float:
    """The level of each of several intervals that shall hold together with 95 % (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(comparisons, 1)


def best(statistics: Sequence[float], scores: Sequence[Scores | None]) -> list[bool]:
    """The best by a column's statistic, and all that the searches do not tell apart from it.

    See `alike`; the intervals hold for all comparisons with the best together.

    Args:
        statistics: Per agent, the number in the column, better when lower; NaN if it has none.
        scores: Per agent, what the number was computed from; None if there is nothing.

    Returns:
        Per agent, whether it is marked; nobody is where there is only one agent, or the best is infinite.
    """
    numbers = [n for n in range(len(scores)) if scores[n] is not None and not np.isnan(statistics[n])]
    marked = [False] * len(scores)
    if len(scores) < 2 or not numbers:
        return marked
    first = min(numbers, key=lambda n: statistics[n])
    if np.isinf(statistics[first]):
        return marked
    held = {str(n): scores[n] or () for n in numbers}
    pairs = [(str(first), str(n)) for n in numbers if n != first]
    chances = improvements(held, pairs, together(len(pairs)))
    for n in numbers:
        marked[n] = n == first or alike(chances[str(first), str(n)])
    return marked


def alike(chance: Estimate) -> bool:
    """Whether the interval of a chance, in whole per cent as it is shown, holds 50: not told apart."""
    return round(100 * chance.low) <= 50 <= round(100 * chance.high)


def mark(cells: Sequence[str], scores: Sequence[Scores | None], *, higher: bool = False) -> list[Cell]:
    """A column's cells, the best of them marked.

    Args:
        cells: One per agent, its `value` the column's statistic.
        scores: Per agent, what it was computed from; None if there is nothing.
        higher: Whether higher numbers and scores are the better ones.
    """
    sign = -1 if higher else 1
    values = [value_of(cell) for cell in cells]
    turned = [None if one is None else [sign * s for s in one] for one in scores]
    found = best([sign * value for value in values], turned)
    return [
        Cell(str(cell), cell.value if isinstance(cell, Cell) else None, best=yes)
        for cell, yes in zip(cells, found, strict=True)
    ]


def value_of(cell: str) -> float:
    """The number behind a cell; NaN if there is none."""
    return float("nan") if not isinstance(cell, Cell) or cell.value is None else float(cell.value)
