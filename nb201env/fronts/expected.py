"""What random search is expected to dominate, in closed form.

A query of random search is a draw of one of N points, each as likely as the other, whatever was drawn
before. A place z of the space is dominated after n queries unless all of them missed the c(z) points that
dominate it, so with the chance 1 - (1 - c(z) / N)^n; the expected hypervolume is its integral. As c(z) is
constant on each cell of the grid that the points' coordinates span, it is a sum over cells; and as it only
matters how much volume each count has, one sweep answers for every n.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import numpy.typing as npt

from nb201env.arrays import FloatArray, IntArray

MOST_CELLS = 400_000_000
"""Cells of the grid; so many take a second or two."""


def volume_by_count(rewards: FloatArray, reference: FloatArray) -> FloatArray:
    """How much volume above a reference point is dominated by exactly 0, 1, … N points; float64 [N + 1].

    The first entry, what no point dominates, is 0: it has no end.

    Args:
        rewards: All points; float64 [N, m]; more is better.
        reference: float64 [m].

    Raises:
        ValueError: If the grid of their coordinates has too many cells, as with three objectives of which no
            one takes few values.
    """
    levels, places = [], []
    for column, least in zip(rewards.T, reference.tolist(), strict=True):
        known, place = np.unique(np.maximum(column, least), return_inverse=True)
        known, place = (known, place) if known[0] == least else (np.append(least, known), place + 1)
        levels.append(known)
        places.append(place.reshape(-1))
    # Swept along the axis with the fewest levels, so that the other axes' cells are many at once.
    order = sorted(range(len(levels)), key=lambda axis: len(levels[axis]))
    if math.prod(map(len, levels)) > MOST_CELLS:
        raise ValueError(
            f"the grid of {' x '.join(f'{len(known):,}' for known in levels)} values has too many cells for "
            "the closed form; leave out an objective, or use one that takes few values, as params does"
        )
    return _sweep([levels[axis] for axis in order], [places[axis] for axis in order])


def _sweep(levels: list[FloatArray], places: list[IntArray]) -> FloatArray:
    """Along the first axis from the best level down; the cell below level k is what lies above level k-1."""
    (steps, *widths), (first, *others) = [np.diff(known) for known in levels], places
    counts = np.zeros([len(known) for known in levels[1:]], dtype=np.int64)
    volume = np.array(1.0)
    for width in widths:
        volume = np.multiply.outer(volume, width)
    total = np.zeros(len(first) + 1)
    for level in range(len(steps), 0, -1):
        here = first == level
        np.add.at(counts, tuple(place[here] for place in others), 1)
        dominating = counts
        for axis in range(counts.ndim):
            dominating = np.flip(np.cumsum(np.flip(dominating, axis), axis), axis)
        inner = dominating[(slice(1, None),) * counts.ndim]
        total += steps[level - 1] * np.bincount(inner.ravel(), volume.ravel(), minlength=len(total))
    total[0] = 0.0
    return total


def expected_hypervolume(rewards: FloatArray, reference: FloatArray, queries: npt.ArrayLike) -> FloatArray:
    """The expected hypervolume of random search, drawing with replacement; see the module's docstring.

    Args:
        rewards: All points; float64 [N, m]; more is better.
        reference: float64 [m].
        queries: How many draws, any shape.

    Returns:
        float64, in the shape of `queries`.

    Raises:
        ValueError: See `volume_by_count`.
    """
    volumes = volume_by_count(rewards, reference)
    missed = 1.0 - np.arange(len(volumes)) / (len(volumes) - 1)
    there = volumes > 0
    n = np.asarray(queries, dtype=np.float64)[..., None]
    return cast(FloatArray, ((1.0 - missed[there] ** n) * volumes[there]).sum(axis=-1))


def expected_share(rewards: FloatArray, front: FloatArray, queries: npt.ArrayLike) -> FloatArray:
    """The share of the true front that random search is expected to have drawn.

    The mean over the front's points of 1 - (1 - k/N)^n, of which k of the N points are equal to it.

    Args:
        rewards: All points; float64 [N, m].
        front: The true front; float64 [k, m].
        queries: How many draws, n; any shape.

    Returns:
        float64, in the shape of `queries`.
    """
    equal = np.array([(rewards == point).all(axis=1).sum() for point in front])
    n = np.asarray(queries, dtype=np.float64)[..., None]
    return np.asarray((1.0 - (1.0 - equal / len(rewards)) ** n).mean(axis=-1))
