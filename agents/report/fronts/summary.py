"""From searches with several objectives to the numbers of a report, without a word on how they are shown.

Hypervolumes are shares of the true front's, and gaps what is lacking to it; see
`nb201env.agents.searches.front` for what a search is judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nb201env.agents.report import statistics as st
from nb201env.agents.report.curves import Curve, Hit, by_queries, by_seconds, expected, hit
from nb201env.agents.report.data import Entry, Setting
from nb201env.agents.searches.front import FrontLandscape, answer_volume, front_landscape, gap, whole_queries
from nb201env.agents.searches.outcome import Outcome
from nb201env.arrays import FloatArray
from nb201env.fronts.front import nondominated

FRONT_TARGETS: tuple[tuple[str, float], ...] = (
    ("90 % of the hypervolume", 0.10),
    ("95 % of the hypervolume", 0.05),
    ("98 % of the hypervolume", 0.02),
    ("99 % of the hypervolume", 0.01),
)
"""How much of the true front's hypervolume counts as reached: the gap to it is at most this, a fraction."""


@dataclass(frozen=True)
class FrontAgent:
    """One agent's results in one setting with several objectives.

    All that a search *asked for*, at the whole training, is judged by means over the table's runs; so is
    its *answer* (see `nb201env.agents.searches.outcome.Outcome`).

    Attributes:
        entry: Its searches.
        volumes, answer_volumes: Hypervolume of what was asked for, and of the answer alone: fractions of the
            true front's; float64 [searches].
        shares: The fraction of the true front's points that was asked for; float64 [searches].
        iqm: Interquartile mean of 1 - `volumes`, the final gap.
        queries, unique: Mean number of queries, and of different architectures.
        seconds: Mean simulated GPU seconds.
        gap_by_queries, gap_by_seconds: Curves of 1 - the hypervolume.
        share_by_queries, share_by_seconds: Curves of the fraction of the true front's points asked for.
        hits: By target of `FRONT_TARGETS`: when each search reached it.
        reach, reach_unique, reach_seconds: By target: how many queries it took, how many different
            architectures, and how many simulated seconds.
        surface: The median attainment surface: what at least half of the searches dominate or equal; its
            corners in the objectives' units, the best of the first objective first; float64 [corners, 2].
            None with more than two objectives.
    """

    entry: Entry
    volumes: FloatArray
    answer_volumes: FloatArray
    shares: FloatArray
    iqm: st.Estimate
    queries: float
    unique: float
    seconds: float
    gap_by_queries: Curve
    gap_by_seconds: Curve
    share_by_queries: Curve
    share_by_seconds: Curve
    hits: tuple[tuple[Hit, ...], ...]
    reach: tuple[st.Reach, ...]
    reach_unique: tuple[st.Reach, ...]
    reach_seconds: tuple[st.Reach, ...]
    surface: FloatArray | None


@dataclass(frozen=True)
class FrontSetting:
    """All agents' results in one setting with several objectives.

    Attributes:
        setting: The environment, the budget, the searches.
        landscape: The objectives, all architectures as points, and the true front.
        agents: One per entry.
        improvement: By pair of labels: how likely the first one's search ends with more hypervolume than
            the second one's.
        random_gap, random_share: What random search is expected to have by the number of queries, in closed
            form; None where that does not apply, or would take too long.
    """

    setting: Setting
    landscape: FrontLandscape
    agents: tuple[FrontAgent, ...]
    improvement: dict[tuple[str, str], st.Estimate]
    random_gap: Curve | None
    random_share: Curve | None


def summarise_front(setting: Setting) -> FrontSetting:
    """The numbers of one setting with several objectives.

    Raises:
        MissingExtra: If moocore is not installed.
    """
    landscape = front_landscape(setting.entries[0].searches[0])
    agents = tuple(_summarise_agent(entry, landscape) for entry in setting.entries)
    gaps = {agent.entry.label: [1 - agent.volumes] for agent in agents}
    longest = max(search.queries for entry in setting.entries for search in entry.searches)
    return FrontSetting(
        setting, landscape, agents, st.improvements(gaps), *_expected(setting, landscape, longest)
    )


def _summarise_agent(entry: Entry, landscape: FrontLandscape) -> FrontAgent:
    searches = entry.searches
    clocks = [search.clock for search in searches]
    asked = [whole_queries(search) for search in searches]
    gaps = [gap(landscape.volumes(one)) for one in asked]
    shares = [landscape.shares(one) for one in asked]
    volumes = 1 - np.array([one[-1] for one in gaps])
    by_target = tuple(zip(*map(_hits, searches, gaps), strict=True))
    return FrontAgent(
        entry=entry,
        volumes=volumes,
        answer_volumes=np.array([answer_volume(search, landscape) for search in searches]),
        shares=np.array([share[-1] for share in shares]),
        iqm=st.iqm_estimate([1 - volumes]),
        queries=float(np.mean([search.queries for search in searches])),
        unique=float(np.mean([len(np.unique(search.index)) for search in searches])),
        seconds=float(np.mean([clock[-1] for clock in clocks])),
        gap_by_queries=by_queries(gaps, most=1),
        gap_by_seconds=by_seconds(clocks, gaps, most=1),
        share_by_queries=by_queries(shares, most=1),
        share_by_seconds=by_seconds(clocks, shares, most=1),
        hits=by_target,
        reach=tuple(st.reach(np.array([one.queries for one in row])) for row in by_target),
        reach_unique=tuple(st.reach(np.array([one.unique for one in row])) for row in by_target),
        reach_seconds=tuple(st.reach(np.array([one.seconds for one in row])) for row in by_target),
        surface=_surface(searches, landscape),
    )


def _hits(search: Outcome, gaps: FloatArray) -> list[Hit]:
    return [hit(search, st.first_reached(gaps, within)) for _, within in FRONT_TARGETS]


def _expected(setting: Setting, landscape: FrontLandscape, longest: int) -> tuple[Curve | None, Curve | None]:
    """Of whole trainings every query is a draw of one of all architectures, if none is free or lacking."""
    kwargs, table = setting.env["kwargs"], landscape.table
    if kwargs.get("epochs") not in (None, table.epochs) or kwargs.get("repeats", "pay") != "pay":
        return None, None
    if np.isnan(setting.landscape.valid).any():
        return None, None
    grid = st.log_grid(longest)
    share = expected(grid, landscape.expected_shares(grid))
    try:
        return expected(grid, gap(landscape.expected_volumes(grid))), share
    except ValueError:  # too many cells
        return None, share


# -- attained fronts -------------------------------------------------------------------------


def _surface(searches: Sequence[Outcome], landscape: FrontLandscape) -> FloatArray | None:
    if landscape.all.values.shape[1] != 2:
        return None
    place = np.full(len(landscape.scaled), -1)
    place[landscape.all.index] = np.arange(len(landscape.all.index))
    asked = [place[np.unique(search.index[search.whole])] for search in searches]
    # Turned only, not scaled: so the corners are the table's own values.
    turned = np.where([one.maximize for one in landscape.all.objectives], 1.0, -1.0)
    corners = attained([landscape.all.values[one] * turned for one in asked], (len(searches) + 1) // 2)
    return np.asarray(corners * turned)


def attained(sets: Sequence[FloatArray], least: int) -> FloatArray:
    """The boundary of what at least so many sets of points attain, two objectives, more being better.

    A set attains a place if one of its points is at least as good in both objectives (Fonseca & Fleming,
    On the Performance Assessment and Comparison of Stochastic Multiobjective Optimizers, PPSN 1996).

    Args:
        sets: Rewards, float64 [points, 2] each.
        least: How many sets, from 1.

    Returns:
        The boundary's corners, the best of the first objective first; float64 [corners, 2]; none where
        fewer sets have a point.
    """
    levels = np.unique(np.concatenate([one[:, 0] for one in sets]))
    heights = np.full((len(sets), len(levels)), -np.inf)
    for height, one in zip(heights, sets, strict=True):
        np.maximum.at(height, np.searchsorted(levels, one[:, 0]), one[:, 1])
    heights = np.maximum.accumulate(heights[:, ::-1], axis=1)  # of points as good or better in the first
    reached = np.sort(heights, axis=0)[len(sets) - least]
    corners = np.stack([levels[::-1], reached], axis=1)[np.isfinite(reached)]
    return np.asarray(corners[nondominated(corners)] if len(corners) else corners)
