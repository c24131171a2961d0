"""Mean ranks of agents over all environments, and how far apart they must be to be told apart.

Source: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, Journal of Machine Learning
Research 7, 2006: Friedman's test, and Nemenyi's critical difference between mean ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nb201env.agents.report.distributions import chi_square_tail, range_quantile
from nb201env.agents.report.intervals import LEVEL
from nb201env.arrays import FloatArray


@dataclass(frozen=True)
class Ranks:
    """Agents by their mean rank, 1 the best.

    A block is one environment with one search of every agent: the first seeds, the second ones and so on.
    Searches are independent of each other, in whatever way they are put together, so the ranks within a block
    come in any order alike if the agents are, and the blocks are independent: that is all that Friedman's
    test asks for. What it says is about these environments, not about new ones.

    Attributes:
        labels: The agents, best mean rank first.
        mean: By agent; equal regrets of a block share the mean of their places.
        critical: Nemenyi's critical difference at 5 %: mean ranks that lie less apart are not told apart.
        blocks: How many there are.
        p_value: Friedman's test (its chi-square form, corrected for ties) of all agents being alike.
        groups: The longest runs of at least two agents whose mean ranks lie less than `critical` apart.
    """

    labels: tuple[str, ...]
    mean: dict[str, float]
    critical: float
    blocks: int
    p_value: float
    groups: tuple[tuple[str, ...], ...]


def rank_agents(finals: Mapping[str, Sequence[FloatArray]]) -> Ranks | None:
    """Rank agents by their final regrets; None with fewer than two agents or blocks.

    Args:
        finals: By agent, one array [searches] per environment, by rising seed. Of agents with more searches
            than another one in an environment the first are taken.
    """
    if len(finals) < 2:
        return None
    by_environment = zip(*finals.values(), strict=True)
    blocks = np.concatenate([_blocks(scores) for scores in by_environment])
    if len(blocks) < 2:
        return None
    ranks = mean_places(blocks)
    mean = dict(zip(finals, np.round(ranks.mean(axis=0), 12).tolist(), strict=True))
    labels = tuple(sorted(finals, key=mean.__getitem__))
    critical = critical_difference(len(labels), len(blocks))
    return Ranks(labels, {label: mean[label] for label in labels}, critical, len(blocks),
                 friedman(ranks), _groups(labels, mean, critical))  # fmt: skip


def _blocks(scores: Sequence[FloatArray]) -> FloatArray:
    """The i-th searches of all agents side by side; float64 [blocks, agents]."""
    return np.stack([one[: min(map(len, scores))] for one in scores], axis=1)


def mean_places(blocks: FloatArray) -> FloatArray:
    """The place of every score in its row, 1 the lowest; equal ones share the mean. float64 like `blocks`."""
    below = (blocks[:, :, None] > blocks[:, None, :]).sum(axis=2)
    alike = (blocks[:, :, None] == blocks[:, None, :]).sum(axis=2)
    return np.asarray(below + (alike + 1) / 2)


def friedman(ranks: FloatArray) -> float:
    """The p-value of Friedman's test, 1 where all is tied.

    Args:
        ranks: See `mean_places`; float64 [blocks, agents].
    """
    blocks, agents = ranks.shape
    # The sum over ties of t³ - t is that of t² - 1 over all that are tied.
    alike = (ranks[:, :, None] == ranks[:, None, :]).sum(axis=2)
    untied = 1 - float((alike**2 - 1).sum()) / (blocks * agents * (agents**2 - 1))
    if untied < 1e-12:
        return 1.0
    apart = (
        12 * blocks / (agents * (agents + 1)) * float(((ranks.mean(axis=0) - (agents + 1) / 2) ** 2).sum())
    )
    return chi_square_tail(apart / untied, agents - 1)


def critical_difference(agents: int, blocks: int) -> float:
    """How far two of so many agents' mean ranks over so many blocks must lie apart, at 5 % (Nemenyi)."""
    return float(range_quantile(LEVEL, agents) / np.sqrt(2) * np.sqrt(agents * (agents + 1) / (6 * blocks)))


def _groups(labels: Sequence[str], mean: Mapping[str, float], critical: float) -> tuple[tuple[str, ...], ...]:
    groups, reached = list[tuple[str, ...]](), 0
    for first in range(len(labels)):
        end = first + 1
        while end < len(labels) and mean[labels[end]] - mean[labels[first]] < critical:
            end += 1
        if end > reached and end - first > 1:
            groups.append(tuple(labels[first:end]))
        reached = max(reached, end)
    return tuple(groups)
