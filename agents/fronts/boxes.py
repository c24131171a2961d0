"""What a front leaves open, cut into boxes, and the improvement of the hypervolume to be expected there.

The hypervolume improvement of an outcome is the volume that it dominates and the front does not. With the
open space as a set of disjoint boxes [l, u], it is a sum over boxes of prod_j (min(y_j, u_j) - l_j)^+. For
outcomes that are independent normal variables its expectation is a sum of products too, hence exact: with
g(t) = E[(Y - t)^+] = s (phi(z) + z Phi(z)), z = (mean - t) / s, each factor becomes g_j(l_j) - g_j(u_j).

Emmerich, Deutz & Klinkenberg, "Hypervolume-based expected improvement: Monotonicity properties and exact
computation" (CEC 2011); Yang, Emmerich, Deutz & Bäck, "Efficient computation of expected hypervolume
improvement using box decomposition algorithms" (Journal of Global Optimization, 2019).
"""

from __future__ import annotations

import numpy as np

from nb201env.arrays import FloatArray

AT_ONCE = 64
"""Boxes; with all candidates, some megabytes."""


def open_boxes(front: FloatArray, reference: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The space above a reference point that a set of points does not dominate, as disjoint boxes.

    It starts as one box without an end. Each point p takes [l, min(p, u)] from the boxes [l, u] that have a
    part below it. What is left of such a box is cut along one objective after the other: the part above p in
    the first, then of the rest that above p in the second, and so on.

    Args:
        front: Points, dominated ones among them or not; float64 [n, m]; more is better.
        reference: float64 [m].

    Returns:
        Their lower and upper corners; float64 [boxes, m] each. Upper corners are infinite where nothing
        ends a box. With two objectives there is one box more than there are nondominated points.
    """
    lower, upper = reference[None].astype(np.float64), np.full((1, len(reference)), np.inf)
    # In this order most points cut boxes that no later point cuts again.
    for point in front[np.lexsort(front.T)][::-1]:
        below = (lower < point).all(axis=1)
        rest, ends = lower[below], upper[below]
        lowers, uppers = [lower[~below]], [upper[~below]]
        for axis, value in enumerate(point):
            cut = ends[:, axis] > value
            part = rest[cut].copy()
            part[:, axis] = value
            lowers.append(part)
            uppers.append(ends[cut])
            ends = ends.copy()
            ends[:, axis] = np.minimum(ends[:, axis], value)
        lower, upper = np.concatenate(lowers), np.concatenate(uppers)
    return lower, upper


def improvement(mean: FloatArray, deviation: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """The expected hypervolume improvement of independent normal outcomes; exact.

    Args:
        mean: float64 [m, n], for n candidates.
        deviation: Above 0; float64 [m, n].
        lower, upper: `open_boxes` of what was found so far.

    Returns:
        float64 [n].
    """
    factors = []
    for axis, (center, spread) in enumerate(zip(mean, deviation, strict=True)):
        ends, where = np.unique(np.stack([lower[:, axis], upper[:, axis]]), return_inverse=True)
        factors.append((_expected_excess(center, spread, ends), *where.reshape(2, -1)))
    total = np.zeros(mean.shape[1])
    for start in range(0, len(lower), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        parts = [gains[lows[some]] - gains[ups[some]] for gains, lows, ups in factors]
        total += np.prod(parts, axis=0).sum(axis=0)
    return total


def _expected_excess(mean: FloatArray, deviation: FloatArray, thresholds: FloatArray) -> FloatArray:
    """E[(Y - t)^+] of normal variables; float64 [thresholds, n]; 0 where t is infinite."""
    from scipy.special import ndtr

    finite = np.isfinite(thresholds)
    z = (mean - thresholds[finite, None]) / deviation
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    found = np.zeros((len(thresholds), len(mean)))
    found[finite] = deviation * (density + z * ndtr(z))
    return found
