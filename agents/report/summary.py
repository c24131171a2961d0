"""From searches to the numbers of a report, without a word on how they are shown.

Regrets are fractions here; times are simulated GPU seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nb201env.agents.random_search import expected_best
from nb201env.agents.report import elsewhere
from nb201env.agents.report import statistics as st
from nb201env.agents.report.curves import (
    Curve,
    Hit,
    Profile,
    by_queries,
    by_seconds,
    expected,
    hit,
    profile_thresholds,
)
from nb201env.agents.report.data import Bench, Entry, Setting
from nb201env.agents.report.fronts.summary import FrontSetting, summarise_front
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
    """All numbers of a report.

    Attributes:
        bench: All searches.
        settings: The settings with one objective.
        overall: These together; None where there are fewer than two.
        fronts: The settings with several objectives.
        front_overall: These together, likewise; the regret of a search is the share of the true front's
            hypervolume that it lacks, and so is its gap.
    """

    bench: Bench
    settings: tuple[SettingSummary, ...]
    overall: Overall | None
    fronts: tuple[FrontSetting, ...] = ()
    front_overall: Overall | None = None

    @property
    def bench_of_one(self) -> Bench:
        """The searches with one objective."""
        return replace(self.bench, settings=tuple(one.setting for one in self.settings))

    @property
    def bench_of_fronts(self) -> Bench:
        """The searches with several objectives."""
        return replace(self.bench, settings=tuple(one.setting for one in self.fronts))


def summarise(bench: Bench) -> Summary:
    """All numbers of a report.

    Raises:
        MissingExtra: If there are searches with several objectives, and moocore is not installed.
    """
    ones = [setting for setting in bench.settings if not setting.objectives]
    fronts = tuple(summarise_front(setting) for setting in bench.settings if setting.objectives)
    settings = tuple(_summarise_setting(setting, bench.places) for setting in ones)
    return Summary(
        bench, settings, _overall(bench.labels, ones), fronts, _front_overall(bench.labels, fronts)
    )


def _summarise_setting(setting: Setting, places: Sequence[elsewhere.Place]) -> SettingSummary:
    worst = max(float(entry.finals().max()) for entry in setting.entries)
    thresholds = profile_thresholds(worst)
    agents = tuple(_summarise_agent(entry, thresholds) for entry in setting.entries)
    finals = {entry.label: [entry.finals()] for entry in setting.entries}
    longest = max(search.queries for entry in setting.entries for search in entry.searches)
    chosen = [[search.chosen for search in entry.searches] for entry in setting.entries]
    found = elsewhere.look_up(setting.landscape.table, chosen, places)
    return SettingSummary(setting, agents, found, st.improvements(finals), _expected(setting, longest))


def _summarise_agent(entry: Entry, thresholds: FloatArray) -> AgentSummary:
    searches, landscape = entry.searches, entry.searches[0].landscape
    chosen = np.array([search.chosen for search in searches])
    test = None if landscape.test is None else landscape.test[chosen]
    finals, regrets = entry.finals(), [search.regrets for search in searches]
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
        by_queries=by_queries(regrets),
        by_seconds=by_seconds([search.clock for search in searches], regrets),
        profile=Profile(thresholds, *st.profile_band([finals], thresholds)),
        hits=by_target,
        reach=tuple(st.reach(np.array([hit.queries for hit in row])) for row in by_target),
        reach_unique=tuple(st.reach(np.array([hit.unique for hit in row])) for row in by_target),
        reach_seconds=tuple(st.reach(np.array([hit.seconds for hit in row])) for row in by_target),
    )


def _expected(setting: Setting, longest: int) -> Curve | None:
    kwargs, table = setting.env["kwargs"], setting.landscape.table
    if kwargs.get("run", "sample") != "sample" or kwargs.get("epochs") not in (None, table.epochs):
        return None
    if kwargs.get("repeats", "pay") != "pay" or np.isnan(setting.landscape.valid).any():
        return None
    grid = st.log_grid(longest)
    regret = setting.landscape.optimum - expected_best(table, grid, epochs=table.epochs)
    return expected(grid, regret)


# -- queries to reach ------------------------------------------------------------------------


def hits(search: Outcome) -> list[Hit]:
    """When a search first asked for an architecture of each target, at the whole training."""
    return [hit(search, st.first_reached(search.asked_regrets, within)) for _, within in TARGETS]


def visits(entry: Entry) -> IntArray:
    """How many of an agent's searches asked for each architecture; int64 [15625]."""
    counts = np.zeros(len(entry.searches[0].landscape.valid), dtype=np.int64)
    for search in entry.searches:
        counts[np.unique(search.index)] += 1
    return counts


# -- over settings ---------------------------------------------------------------------------


Finals = dict[str, list[FloatArray]]
"""By agent, one array [searches] per environment."""


def _overall(known: Sequence[str], settings: Sequence[Setting]) -> Overall | None:
    if len(settings) < 2:
        return None
    entries = [{entry.label: entry for entry in setting.entries} for setting in settings]
    labels = [label for label in known if all(label in by_label for by_label in entries)]
    gaps = {label: [by_label[label].finals("gap_left") for by_label in entries] for label in labels}
    return _together({label: [by_label[label].finals() for by_label in entries] for label in labels}, gaps)


def _front_overall(known: Sequence[str], fronts: Sequence[FrontSetting]) -> Overall | None:
    if len(fronts) < 2:
        return None
    lacking = [{agent.entry.label: 1 - agent.volumes for agent in one.agents} for one in fronts]
    labels = [label for label in known if all(label in by_label for by_label in lacking)]
    gaps = {label: [by_label[label] for by_label in lacking] for label in labels}
    return _together(gaps, gaps)


def _together(finals: Finals, gaps: Finals) -> Overall | None:
    if not finals or not all(np.isfinite(gap).all() for rows in gaps.values() for gap in rows):
        return None  # in one of them all architectures are alike: there is no regret to take a share of
    thresholds = profile_thresholds(max(float(gap.max()) for rows in gaps.values() for gap in rows))
    return Overall(
        labels=tuple(finals),
        gap={label: st.iqm_estimate(rows) for label, rows in gaps.items()},
        gaps=gaps,
        profile={
            label: Profile(thresholds, *st.profile_band(rows, thresholds)) for label, rows in gaps.items()
        },
        improvement=st.improvements(finals),
        ranks=rank_agents(finals),
    )
