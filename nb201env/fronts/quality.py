"""How good a set of points is, beside the true front; more of every reward is better.

Hypervolume, IGD+ and epsilon are moocore's, of the authors of the algorithms (C. Fonseca, M. López-Ibáñez
and others); tests hold them to brute force and to pymoo's. All take rewards; to compare objectives of
different units, scale them first (`nb201env.fronts.front.Points.scaled`).
"""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

from nb201env.arrays import BoolArray, FloatArray, IntArray
from nb201env.extras import require


def hypervolume(rewards: FloatArray, reference: FloatArray) -> float:
    """The volume of what a set dominates above a reference point (Zitzler & Thiele 1998).

    Args:
        rewards: float64 [n, m]; points that are not above the reference in all objectives add nothing.
        reference: float64 [m].

    Raises:
        MissingExtra: If moocore is not installed; so do all functions here that call it.
    """
    above = rewards[(rewards > reference).all(axis=1)]
    return float(_moocore().hypervolume(above, ref=reference, maximise=True)) if len(above) else 0.0


def hypervolumes(rewards: FloatArray, reference: FloatArray) -> FloatArray:
    """The hypervolume of the first 1, 2, … n points; float64 [n], never falling."""
    found = np.zeros(len(rewards))
    front, so_far = np.empty((0, rewards.shape[1])), 0.0
    for number, point in enumerate(rewards):
        if (point > reference).all() and not (front >= point).all(axis=1).any():
            front = np.concatenate([front[~(front <= point).all(axis=1)], point[None]])
            so_far = hypervolume(front, reference)
        found[number] = so_far
    return found


def igd_plus(rewards: FloatArray, front: FloatArray) -> float:
    """The mean distance from the true front to what a set dominates (Ishibuchi et al. 2015); 0 is best.

    Args:
        rewards: float64 [n, m]; an empty set is infinitely far.
        front: The true front; float64 [k, m].
    """
    if not len(rewards):  # which moocore 0.3.2 calls 0, the best there is
        return math.inf
    return float(_moocore().igd_plus(rewards, ref=front, maximise=True))


def epsilon(rewards: FloatArray, front: FloatArray) -> float:
    """How much has to be added to a set's rewards for it to reach the front (Zitzler et al. 2003).

    The additive epsilon indicator; 0 is best, and infinity that of an empty set.
    """
    return float(_moocore().epsilon_additive(rewards, ref=front, maximise=True))


def expected_utility(rewards: FloatArray, weights: FloatArray) -> float:
    """What users with linear preferences get from a set on average (Zintgraf et al. 2015).

    Args:
        rewards: float64 [n, m].
        weights: Each user's weights; float64 [k, m]; see `simplex`.
    """
    return float((rewards @ weights.T).max(axis=0).mean())


def share_found(rewards: FloatArray, front: FloatArray) -> float:
    """Which share of the true front's points is in a set; 1 is best."""
    return float(met(rewards, front).any(axis=0).mean())


def met(rewards: FloatArray, front: FloatArray) -> BoolArray:
    """Which points are which of the front's: bool [n, k] of rewards [n, m] and a front [k, m]."""
    return np.asarray((rewards[:, None] == front).all(axis=2))


def simplex(m: int, divisions: int) -> FloatArray:
    """Weights that are spread evenly: all multiples of 1/divisions that add up to 1 (Das & Dennis 1998).

    Returns:
        float64 [(divisions + m - 1) choose (m - 1), m].
    """
    bars = np.array([*combinations(range(divisions + m - 1), m - 1)], dtype=np.int64)
    ends = np.full((len(bars), 1), divisions + m - 1)
    edges = np.concatenate([np.full((len(bars), 1), -1), bars, ends], axis=1)
    return np.asarray((np.diff(edges, axis=1) - 1) / divisions)


def best_for(rewards: FloatArray, weights: FloatArray) -> IntArray:
    """The position of the point that each user would take; int64 [k]."""
    return np.asarray((rewards @ weights.T).argmax(axis=0))


@cache
def _moocore() -> Any:
    return require("moocore", "multi")
