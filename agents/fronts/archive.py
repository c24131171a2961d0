"""What a search for a front keeps of its answers: those that nothing dominates."""

from __future__ import annotations

from nb201env.arrays import FloatArray

Archive = dict[int, FloatArray]
"""Rewards by index, float64 [m] each, more being better; none is at least as good as another everywhere."""


def offer(archive: Archive, index: int, reward: FloatArray) -> None:
    """Take an architecture in, unless a member is at least as good in every objective.

    What it dominates goes; of equal rewards the first stays.

    Args:
        archive: Changed in place.
        index: Of the architecture.
        reward: Its reward; float64 [m].
    """
    if any((member >= reward).all() for member in archive.values()):
        return
    for worse in [key for key, member in archive.items() if (reward >= member).all()]:
        del archive[worse]
    archive[index] = reward
