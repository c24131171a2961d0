"""The tables of searches with several objectives, in words that Markdown and the page share."""

from __future__ import annotations

import numpy as np

from nb201env.agents.report.fronts.summary import FRONT_TARGETS, FrontAgent, FrontSetting
from nb201env.agents.report.grid import Cell, Grid
from nb201env.agents.report.marks import mark
from nb201env.agents.report.statistics import FEWEST
from nb201env.agents.report.summary import Overall
from nb201env.agents.report.tables import (
    EFFORT,
    effort,
    interval,
    marked,
    mean_text,
    reach_of,
    rows_of,
    searched,
    together,
)
from nb201env.agents.searches.front import whole_queries
from nb201env.arrays import FloatArray, IntArray
from nb201env.comparison import readable
from nb201env.fronts.objectives import Known
from nb201env.fronts.quality import met
from nb201env.output import named

MOST_POINTS = 40
"""Rows of the table of the true front; a larger one is in front_points.csv."""


def about(one: FrontSetting) -> str:
    """What was searched, and by what it is judged, in sentences."""
    land, table = one.landscape, one.landscape.table
    objectives = "; ".join(map(_direction, land.all.objectives))
    ends = land.all.worst_values, land.all.best_values
    worst, best = (_point(land.all.objectives, values) for values in ends)
    return (
        f"{searched(one.setting, table)} Objectives: {objectives}. The true front, by means "
        f"over runs, has {_points(one)}. "
        f"Hypervolumes are taken with each objective's worst value, {worst}, as the reference point, and so "
        f"that it is 0 and the best, {best}, is 1. The true front's is then {land.volume:.4f}; it is "
        "100 % in what follows."
    )


def _points(one: FrontSetting) -> str:
    count = len(one.landscape.front.index)
    return f"{count:,} point{'' if count == 1 else 's'}"


def _direction(known: Known) -> str:
    """ "params (less is better; a reward is minus the value times 1e-06)"."""
    sign = "" if known.maximize else "minus "
    scale = "" if known.scale == 1 else f" times {known.scale:.4g}"
    of = "" if known.unit in ("", "count", "fraction") else f" in {named(known.unit)}"
    better = "more" if known.maximize else "less"
    return f"{named(known.words)} ({better} is better; a reward is {sign}the value{of}{scale})"


def _point(objectives: tuple[Known, ...], values: FloatArray) -> str:
    """One value of each objective: "accuracy 9.77 %, params 1,531,546"."""
    pairs = zip(objectives, values.tolist(), strict=True)
    return ", ".join(f"{named(one.words)} {_value(one, value)}" for one, value in pairs)


def _value(known: Known, value: float) -> str:
    if known.unit == "count":
        return f"{value:,.0f}"
    (shown,), unit = readable(np.array([value]), known.unit)
    return f"{shown:.4g} {named(unit)}".rstrip()


# -- one setting -----------------------------------------------------------------------------


def final(one: FrontSetting) -> Grid:
    """What the searches ended with."""
    agents = one.agents
    return Grid(
        "Final results",
        (*EFFORT, "hypervolume (%)", "gap, interquartile mean (%)", "answer's hypervolume (%)",
         "share of the front (%)"),
        rows_of(
            *effort(agents),
            _fractions([agent.volumes for agent in agents]),
            mark([interval(agent.iqm) for agent in agents], [[1 - agent.volumes] for agent in agents]),
            _fractions([agent.answer_volumes for agent in agents]),
            _fractions([agent.shares for agent in agents]),
        ),
        "Hypervolume is what all that a search asked for at the whole training dominates, as a share of what "
        "the true front does; the gap is what is lacking. The answer is what looked best to the search: the "
        "architectures of those of its queries that no other one dominates by the single runs it saw. The "
        "share of the front counts the true front's points that it asked for. All are judged by means over "
        "the table's runs; mean ± standard deviation over searches. In brackets are 95 % intervals: "
        "Student's of means, of the gap a bootstrap interval widened for few searches. There is none where "
        f"all searches end alike, or are fewer than {FEWEST} (2 for a mean)." + marked(agents),
    )  # fmt: skip


def _fractions(by_agent: list[FloatArray]) -> list[Cell]:
    return mark([mean_text(values) for values in by_agent], [[values] for values in by_agent], higher=True)


def reach(one: FrontSetting) -> tuple[Grid, ...]:
    """How many queries it took to reach so much of the hypervolume: one table per target."""
    first = (
        "Queries until all that the search had asked for at the whole training dominated so much of the true "
        "front's hypervolume. In brackets is Wilson's 95 % interval of the share of searches. Searches that "
        "did not within their budget are counted as such: then there is no mean, and the median counts them "
        "as longer than all others."
    )
    return tuple(
        reach_of(one.setting, one.agents, number, f"Queries to reach: {target}", "" if number else first)
        for number, (target, _) in enumerate(FRONT_TARGETS)
    )


def front(one: FrontSetting) -> Grid:
    """The true front itself, and how many searches asked for its points."""
    land = one.landscape
    columns = [_column(known, column) for known, column in zip(
        land.all.objectives, land.front.values.T, strict=True)]  # fmt: skip
    found, searches = asked_for(one), sum(len(agent.entry.searches) for agent in one.agents)
    kept = slice(MOST_POINTS)
    left = len(found) - MOST_POINTS
    rest = f" The other {left:,} points are in front_points.csv." if left > 0 else ""
    return Grid(
        "The true front",
        ("architecture", *(head for head, _ in columns), "asked for by searches"),
        rows_of(
            [str(architecture) for architecture in land.front.architectures[kept]],
            *(cells[kept] for _, cells in columns),
            [Cell(f"{count:,} of {searches:,}", count) for count in found[kept].tolist()],
        ),
        "What no architecture of the table dominates, by means over its runs; of several that are equal in "
        f"all objectives the first is named, and any of them counts as asked for.{rest}",
    )


def _column(known: Known, values: FloatArray) -> tuple[str, list[Cell]]:
    """An objective's heading, and its values."""
    if known.unit == "count" and not (values % 1).any():
        return named(known.words), [Cell(f"{value:,.0f}", value) for value in values.tolist()]
    shown, unit = readable(values, known.unit)
    head = f"{named(known.words)} ({named(unit)})" if unit else named(known.words)
    # As many digits as tell neighbours apart, in one column alike.
    digits = max(2, 3 - int(np.floor(np.log10(max(np.abs(shown).max(), 1e-300)))))
    return head, [Cell(f"{value:,.{digits}f}", value) for value in shown.tolist()]


def asked_for(one: FrontSetting) -> IntArray:
    """How many searches asked for each point of the true front, at the whole training; int64 [points]."""
    land = one.landscape
    counts = np.zeros(len(land.front.index), dtype=np.int64)
    for agent in one.agents:
        for search in agent.entry.searches:
            counts += met(land.scaled[np.unique(whole_queries(search))], land.scaled_front).any(axis=0)
    return counts


def mean_points(agent: FrontAgent, one: FrontSetting) -> float:
    """How many of the true front's points a search asked for, on average."""
    return float(agent.shares.mean()) * len(one.landscape.front.index)


# -- everything ------------------------------------------------------------------------------


def overall(over: Overall) -> Grid:
    """All settings with several objectives together."""
    return together(
        over,
        "All fronts",
        "gap, interquartile mean (%)",
        "What is lacking of the true front's hypervolume at the end of the budget: 0 % is the true front.",
    )
