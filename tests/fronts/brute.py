"""The definitions, written down as they are: slow, and short enough to be believed."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np

from nb201env.arrays import BoolArray, FloatArray

CHUNK = 256


def nondominated(rewards: FloatArray) -> BoolArray:
    """Each point against each other one: at least as good in all, and better in one."""
    found = np.ones(len(rewards), dtype=np.bool_)
    for start in range(0, len(rewards), CHUNK):
        mine = rewards[start : start + CHUNK]
        as_good = np.ones((len(mine), len(rewards)), dtype=np.bool_)
        better = np.zeros_like(as_good)
        for column in range(rewards.shape[1]):
            as_good &= rewards[None, :, column] >= mine[:, None, column]
            better |= rewards[None, :, column] > mine[:, None, column]
        found[start : start + CHUNK] = ~(as_good & better).any(axis=1)
    return found


def hypervolume(rewards: FloatArray, reference: FloatArray) -> float:
    """Inclusion and exclusion: the boxes of all subsets with alternating signs."""
    corners = np.maximum(rewards, reference) - reference
    return float(
        sum(
            (-1) ** (size + 1) * np.prod(np.min(corners[list(chosen)], axis=0))
            for size in range(1, len(corners) + 1)
            for chosen in combinations(range(len(corners)), size)
        )
    )


def igd_plus(rewards: FloatArray, front: FloatArray) -> float:
    """The mean over the front of the distance to the nearest point, counting only what is worse."""
    return float(np.mean([min(np.linalg.norm(np.maximum(z - a, 0)) for a in rewards) for z in front]))


def epsilon(rewards: FloatArray, front: FloatArray) -> float:
    """The largest, over the front, of the least that lifts some point to it."""
    return float(max(min((z - a).max() for a in rewards) for z in front))


def draws(points: int, queries: int) -> list[tuple[int, ...]]:
    """All sequences of draws, each as likely as the other."""
    return [*product(range(points), repeat=queries)]
