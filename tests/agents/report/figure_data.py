"""Numbers of many agents, made of those of one, for tests of how they are shown."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np

from nb201env.agents.report.curves import Curve, Profile
from nb201env.agents.report.ranks import Ranks
from nb201env.agents.report.statistics import Estimate
from nb201env.agents.report.summary import AgentSummary, SettingSummary


def many(one: SettingSummary, count: int, searches: int = 6) -> SettingSummary:
    """A setting of `count` agents that end ever better, each with some searches of the first one."""
    agents = tuple(_agent(one.agents[0], number, searches) for number in range(count))
    labels = [agent.entry.label for agent in agents]
    chances = {
        (a, b): Estimate(0.5 + (labels.index(a) - labels.index(b)) / (2 * count), 0.4, 0.6)
        for a, b in permutations(labels, 2)
    }
    setting = replace(one.setting, entries=tuple(agent.entry for agent in agents))
    return replace(one, setting=setting, agents=agents, improvement=chances)


def _agent(like: AgentSummary, number: int, searches: int) -> AgentSummary:
    entry = replace(like.entry, label=f"agent {number}", searches=like.entry.searches[:searches])
    better = 1.1**-number
    return replace(
        like, entry=entry, iqm=Estimate(*(better * x for x in like.iqm)),
        by_queries=_curve(like.by_queries, better, searches),
        by_seconds=_curve(like.by_seconds, better, searches),
        profile=Profile(like.profile.thresholds, like.profile.share, like.profile.low, like.profile.high),
    )  # fmt: skip


def _curve(curve: Curve, better: float, searches: int) -> Curve:
    nothing = np.full(len(curve.x), np.nan)
    low, high = (curve.low, curve.high) if searches > 1 else (nothing, nothing)
    return Curve(curve.x, better * curve.mean, low, high, curve.median, curve.q25, curve.q75)


def ranked(count: int) -> Ranks:
    """Ranks of agents that are evenly apart: each is told apart from all but its neighbours."""
    labels = tuple(f"agent {number}" for number in range(count))
    mean = {label: 1 + 0.9 * number for number, label in enumerate(labels)}
    return Ranks(labels, mean, 1.0, 60, 0.01, tuple(pairwise(labels)))
