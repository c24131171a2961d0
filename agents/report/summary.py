"""From searches to the numbers of a report, without a word on how they are shown.

Regrets are fractions here; times are simulated GPU seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nb201env.agents.random_search import expected_best
from nb201env.agents.report import elsewhere
from nb201env.agents.report import statistics as st
from nb201env.agents.report.data import Bench, Entry, Setting
from nb201env.agents.report.ranks import Ranks, rank_agents
from nb201env.agents.searches.outcome import Outcome
from nb201env.arrays import FloatArray, IntArray

TARGETS: tuple[tuple[str, float], ...] = (
    ("the optimum", 0.0),
    ("within 0.1 points", 0.001),
    ("within 0.3 points", 0.003),
)
"""How good an architecture must be to count as reached: its regret at most this, as a fraction."""


@dataclass(frozen=True)
class Curve:
    """The regret of one agent's incumbents over queries or time; float64 [points] each.

    Attributes:
        x: Queries, or simulated seconds.
        mean, low, high: The mean over searches and its 95 % interval (NaN of one search).
        median, q25, q75: Quartiles over searches.
    """

    x: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    median: FloatArray
    q25: FloatArray
    q75: FloatArray


@dataclass(frozen=True)
class Profile:
    """The share of searches that end with at most a certain regret; float64 [thresholds] each."""

    thresholds: FloatArray
    share: FloatArray
    low: FloatArray
    high: FloatArray


class Hit(NamedTuple):
    """When a search first asked for an architecture that is good enough; infinity if it did not.

    Attributes:
        queries: The number of that query.
        unique: How many different architectures it had asked for.
        seconds: The simulated seconds spent.
    """

    queries: float
    unique: float
    seconds: float


@dataclass(frozen=True)
class AgentSummary:
    """One agent's results in one setting.

    Attributes:
        entry: Its searches.
        valid, test: Final accuracy per search, fractions, float64 [searches]; test is None where the
            table does not record it for every architecture chosen.
        iqm: Interquartile mean of the final regret.
        rank: Median place of the architectures chosen, among all of the table.
        queries, unique: Mean number of queries, and of different architectures.
        seconds: Mean simulated GPU seconds.
        by_queries, by_seconds: Regret curves.
        profile: Of the final regret.
        hits: By target: when each search reached it.
        reach, reach_unique, reach_seconds: By target: how many queries it took, how many different
            architectures, and how many simulated seconds.
    """

    entry: Entry
    valid: FloatArray
    test: FloatArray | None
    iqm: st.Estimate
    rank: float
    queries: float
    unique: float
    seconds: float
    by_queries: Curve
    by_seconds: Curve
    profile: Profile
    hits: tuple[tuple[Hit, ...], ...]
    reach: tuple[st.Reach, ...]
    reach_unique: tuple[st.Reach, ...]
    reach_seconds: tuple[st.Reach, ...]


@dataclass(frozen=True)
class SettingSummary:
    """All agents' results in one setting.

    Attributes:
        setting: The environment, the budget, the searches.
        agents: One per entry.
        elsewhere: What was chosen, looked up in other tables.
        improvement: By pair of labels: how likely the first one's search beats the second one's.
        random: What random search is expected to reach (closed form); None where that does not
            apply: an answer that is not a sampled run of the schedule's end.
    """

    setting: Setting
    agents: tuple[AgentSummary, ...]
    elsewhere: tuple[elsewhere.Found, ...]
    improvement: dict[tuple[str, str], st.Estimate]
    random: Curve | None


@dataclass(frozen=True)
class Overall:
    """Agents over several settings; of those agents that searched in all of them.

    Attributes:
        labels: The agents.
        gap: By agent: the interquartile mean of the final regret as a share of the median
            architecture's regret.
        gaps: By agent: that share for every search, one float64 [searches] per setting.
        profile: By agent: of that share.
        improvement: As in `SettingSummary`, the mean over settings.
        ranks: Mean ranks; None with fewer than two agents.
    """

    labels: tuple[str, ...]
    gap: dict[str, st.Estimate]
    gaps: dict[str, list[FloatArray]]
    profile: dict[str, Profile]
    improvement: dict[tuple[str, str], st.Estimate]
    ranks: Ranks | None


@dataclass(frozen=True)
class Summary:
    """All numbers of a report; `overall` is None where there is one setting only."""

    bench: Bench
    settings: tuple[SettingSummary, ...]
    overall: Overall | None


def summarise(bench: Bench) -> Summary:
    """All numbers of a report."""
    settings = tuple(_summarise_setting(setting, bench.places) for setting in bench.settings)
    return Summary(bench, settings, _overall(bench) if len(settings) > 1 else None)


def _summarise_setting(setting: Setting, places: Sequence[elsewhere.Place]) -> SettingSummary:
    worst = max(float(entry.finals().max()) for entry in setting.entries)
    thresholds = profile_thresholds(worst)
    agents = tuple(_summarise_agent(entry, thresholds) for entry in setting.entries)
    finals = {entry.label: [entry.finals()] for entry in setting.entries}
    longest = max(search.queries for entry in setting.entries for search in entry.searches)
    chosen = [[search.chosen for search in entry.searches] for entry in setting.entries]
    found = elsewhere.look_up(setting.landscape.table, chosen, places)
    return SettingSummary(setting, agents, found, st.improvements(finals), _expected(setting, longest))


def profile_thresholds(worst: float) -> FloatArray:
    """Regrets at which profiles are drawn: 0 and then evenly on a log scale from 0.0001."""
    return np.concatenate([[0.0], np.geomspace(1e-4, max(worst, 2e-4), 100)])


def _summarise_agent(entry: Entry, thresholds: FloatArray) -> AgentSummary:
    searches, landscape = entry.searches, entry.searches[0].landscape
    chosen = np.array([search.chosen for search in searches])
    test = None if landscape.test is None else landscape.test[chosen]
    finals = entry.finals()
    by_target = tuple(zip(*map(hits, searches), strict=True))
    return AgentSummary(
        entry=entry,
        valid=landscape.valid[chosen],
        test=None if test is None or np.isnan(test).any() else test,
        iqm=st.iqm_estimate([finals]),
        rank=float(np.median(landscape.rank[chosen])),
        queries=float(np.mean([search.queries for search in searches])),
        unique=float(np.mean([len(np.unique(search.index)) for search in searches])),
        seconds=float(np.mean([search.clock[-1] for search in searches])),
        by_queries=_by_queries(searches),
        by_seconds=_by_seconds(searches),
        profile=Profile(thresholds, *st.profile_band([finals], thresholds)),
        hits=by_target,
        reach=tuple(st.reach(np.array([hit.queries for hit in row])) for row in by_target),
        reach_unique=tuple(st.reach(np.array([hit.unique for hit in row])) for row in by_target),
        reach_seconds=tuple(st.reach(np.array([hit.seconds for hit in row])) for row in by_target),
    )


# -- curves ----------------------------------------------------------------------------------


def _by_queries(searches: Sequence[Outcome]) -> Curve:
    """Up to the end of the shortest search."""
    grid = st.log_grid(min(search.queries for search in searches))
    return _curve(grid.astype(np.float64), np.array([search.regrets[grid - 1] for search in searches]))


def _by_seconds(searches: Sequence[Outcome]) -> Curve:
    """From when every search has its first answer to when the first of them ends."""
    start = max(float(search.clock[0]) for search in searches)
    end = max(min(float(search.clock[-1]) for search in searches), start)
    grid = np.geomspace(start, end, 160) if start > 0 else np.linspace(start, end, 160)
    grid[0], grid[-1] = start, end  # exactly: the last query may be what matters
    rows = [search.regrets[np.searchsorted(search.clock, grid, side="right") - 1] for search in searches]
    return _curve(grid, np.array(rows))


def _curve(x: FloatArray, regret: FloatArray) -> Curve:
    low, high = st.mean_band(regret)
    low = np.maximum(low, 0)  # no regret is below
    q25, median, q75 = np.quantile(regret, [0.25, 0.5, 0.75], axis=0)
    return Curve(x, regret.mean(axis=0), low, high, median, q25, q75)


def _expected(setting: Setting, longest: int) -> Curve | None:
    kwargs, table = setting.env["kwargs"], setting.landscape.table
    if kwargs.get("run", "sample") != "sample" or kwargs.get("epochs") not in (None, table.epochs):
        return None
    if kwargs.get("repeats", "pay") != "pay" or np.isnan(setting.landscape.valid).any():
        return None
    grid = st.log_grid(longest)
    regret = setting.landscape.optimum - expected_best(table, grid, epochs=table.epochs)
    nothing = np.full(len(grid), np.nan)
    return Curve(grid.astype(np.float64), regret, nothing, nothing, nothing, nothing, nothing)


# -- queries to reach ------------------------------------------------------------------------


def hits(search: Outcome) -> list[Hit]:
    """When a search first asked for an architecture of each target, at the whole training."""
    return [_hit(search, st.first_reached(search.asked_regrets, within)) for _, within in TARGETS]


def _hit(search: Outcome, query: float) -> Hit:
    if query == np.inf:
        return Hit(np.inf, np.inf, np.inf)
    count = int(query)
    return Hit(query, float(len(np.unique(search.index[:count]))), float(search.clock[count - 1]))


def visits(entry: Entry) -> IntArray:
    """How many of an agent's searches asked for each architecture; int64 [15625]."""
    counts = np.zeros(len(entry.searches[0].landscape.valid), dtype=np.int64)
    for search in entry.searches:
        counts[np.unique(search.index)] += 1
    return counts


# -- over settings ---------------------------------------------------------------------------


def _overall(bench: Bench) -> Overall | None:
    entries = [{entry.label: entry for entry in setting.entries} for setting in bench.settings]
    labels = tuple(label for label in bench.labels if all(label in by_label for by_label in entries))
    if not labels:
        return None
    gaps = {label: [by_label[label].finals("gap_left") for by_label in entries] for label in labels}
    if not all(np.isfinite(gap).all() for rows in gaps.values() for gap in rows):
        return None  # in one of them all architectures are alike: there is no regret to take a share of
    finals = {label: [by_label[label].finals() for by_label in entries] for label in labels}
    thresholds = profile_thresholds(max(float(gap.max()) for rows in gaps.values() for gap in rows))
    return Overall(
        labels=labels,
        gap={label: st.iqm_estimate(rows) for label, rows in gaps.items()},
        gaps=gaps,
        profile={
            label: Profile(thresholds, *st.profile_band(rows, thresholds)) for label, rows in gaps.items()
        },
        improvement=st.improvements(finals),
        ranks=rank_agents(finals),
    )
