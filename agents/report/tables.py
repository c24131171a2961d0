"""The tables and sentences of a report, in words that Markdown and the page share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nb201env.agents.report.data import Setting
from nb201env.agents.report.elsewhere import mean_of
from nb201env.agents.report.fronts.summary import FrontAgent
from nb201env.agents.report.grid import Cell, Grid
from nb201env.agents.report.marks import Scores, mark
from nb201env.agents.report.ranks import Ranks
from nb201env.agents.report.statistics import FEWEST, Estimate, Reach
from nb201env.agents.report.summary import TARGETS, AgentSummary, Overall, SettingSummary, Summary
from nb201env.agents.report.words import NOT_RECORDED
from nb201env.agents.searches.outcome import spread_text
from nb201env.arrays import FloatArray
from nb201env.envs.answers import keeps_time
from nb201env.missing import not_recorded
from nb201env.output import named
from nb201env.reading import format_seeds
from nb201env.table import Table

NONE = "–"
_MARKED = (
    " Marked: the best of a column, and all that the searches do not tell apart from it (the interval of the "
    "probability to beat it, for all agents together, holds 50)."
)


def number(value: float, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    return NONE if np.isnan(value) else f"{value:,.{digits}f}"


def mean_text(accuracies: FloatArray | None) -> str:
    """Mean ± standard deviation in per cent with the mean's interval; of one search, its value alone."""
    if accuracies is None:
        return NOT_RECORDED
    text, mean = spread_text(accuracies), mean_of(accuracies)
    bounds = f" [{number(100 * mean.low)}, {number(100 * mean.high)}]"
    return Cell(text if np.isnan(mean.low) else text + bounds, 100 * mean.value)


def interval(estimate: Estimate, scale: float = 100, digits: int = 2, unit: str = "") -> Cell:
    """A number with its 95 % interval, if it has one."""
    value, low, high = (scale * x for x in estimate)
    text = number(value, digits) + unit
    bounds = "" if np.isnan(low) else f" [{number(low, digits)}, {number(high, digits)}]"
    return Cell(text + bounds, value)


def cell(value: float, digits: int = 0) -> Cell:
    """A number."""
    return Cell(number(value, digits), value)


def budget_words(setting: Setting) -> str:
    """ "300 queries" or "12,000 simulated GPU seconds"."""
    parts = []
    if "budget_queries" in setting.budget:
        queries = setting.budget["budget_queries"]
        parts.append(f"{queries:,} {'query' if queries == 1 else 'queries'}")
    if "budget_seconds" in setting.budget:
        parts.append(f"{setting.budget['budget_seconds']:,.10g} simulated GPU seconds")
    return " or ".join(parts)


def budget_text(setting: Setting) -> str:
    """The budget; and that there is no clock, where there is none."""
    clock = "" if keeps_time(setting.landscape.table) else " (no clock: the table records no seconds)"
    return budget_words(setting) + clock


def about(summary: SettingSummary) -> str:
    """What was searched, in a sentence or two."""
    table = summary.setting.landscape.table
    best, _ = table.optimum(split="valid", epochs=table.epochs)
    return (
        f"{searched(summary.setting, table)} The optimum is {100 * summary.setting.landscape.optimum:.2f} % "
        f"mean validation accuracy over runs (official index {best.official_index})."
    )


def searched(setting: Setting, table: Table) -> str:
    """How far a search went, over which table, and whether its numbers are measured."""
    measured = table.manifest.get("kind", "measured") == "measured"
    return f"Budget: {budget_text(setting)} per search. Table {named(table.name)}, id {table.id[:16]}." + (
        "" if measured else " Its numbers are predictions of a surrogate, not results of trainings."
    )


# -- one setting -----------------------------------------------------------------------------


def final(summary: SettingSummary) -> Grid:
    """What the searches ended with."""
    agents = summary.agents
    return Grid(
        "Final results",
        (*EFFORT, "validation accuracy (%)", "test accuracy (%)", "regret, interquartile mean (points)",
         "median rank"),
        rows_of(
            *effort(agents),
            mark([Cell(spread_text(agent.valid), 100 * float(agent.valid.mean())) for agent in agents],
                 [[agent.valid] for agent in agents], higher=True),
            _accuracies([agent.test for agent in agents]),
            mark([interval(agent.iqm) for agent in agents], [[agent.entry.finals()] for agent in agents]),
            mark([Cell(f"{agent.rank:,.10g}", agent.rank) for agent in agents],
                 [[_places(agent)] for agent in agents]),
        ),
        "The incumbent at the end of the budget, chosen by what the search saw. Its accuracy is the mean "
        "over the table's runs; mean ± standard deviation over searches. In brackets are 95 % intervals: "
        "Student's of the mean test accuracy, of the regret a bootstrap interval widened for few searches. "
        f"There is none where all searches end alike, or are fewer than {FEWEST} (2 for a mean). Rank is "
        "among all architectures of the table."
        + marked(agents)
        + _untested(summary),
    )  # fmt: skip


EFFORT = ("agent", "searches", "seeds", "queries", "simulated GPU hours")


def effort(agents: Sequence[AgentSummary] | Sequence[FrontAgent]) -> tuple[Sequence[str], ...]:
    """The columns `EFFORT`: who searched, how often and how much."""
    return (
        [agent.entry.label for agent in agents],
        [cell(len(agent.entry.searches)) for agent in agents],
        [format_seeds(agent.entry.seeds) for agent in agents],
        [cell(agent.queries) for agent in agents],
        [cell(agent.seconds / 3600, 1) for agent in agents],
    )


def rows_of(*columns: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """A table's rows from its columns."""
    return tuple(zip(*columns, strict=True))


def _accuracies(by_agent: Sequence[FloatArray | None]) -> list[Cell]:
    scores: list[Scores | None] = [None if values is None else [values] for values in by_agent]
    return mark([mean_text(values) for values in by_agent], scores, higher=True)


def _places(agent: AgentSummary) -> FloatArray:
    searches = agent.entry.searches
    return searches[0].landscape.rank[[search.chosen for search in searches]].astype(np.float64)


def marked(agents: Sequence[object]) -> str:
    """What the marks of a table mean, where there is something to compare."""
    return _MARKED if len(agents) > 1 else ""


def _untested(summary: SettingSummary) -> str:
    """Where there is test accuracy, if this is a table of official trainings without."""
    landscape = summary.setting.landscape
    if landscape.test is not None:
        return ""
    lacks = f"{named(landscape.table.name)} records no test accuracy"
    text = str(not_recorded(lacks, landscape.table.manifest))
    return "" if text == lacks else f" {text}."


def elsewhere(summary: SettingSummary) -> Grid | None:
    """What the searches chose, in other tables; None if there are none to look up in."""
    found = summary.elsewhere
    if not found:
        return None
    return Grid(
        "On other tables",
        ("agent", *(f"{one.what} (%)" for one in found)),
        rows_of([a.entry.label for a in summary.agents], *(_accuracies(one.by_agent) for one in found)),
        f"Of the architectures chosen on {named(summary.setting.landscape.table.name)}: the mean over the "
        "other table's runs; mean ± standard deviation over searches, with Student's 95 % interval of the "
        "mean. No search saw these numbers.",
    )


def reach(summary: SettingSummary) -> tuple[Grid, ...]:
    """How many queries it took to reach an architecture that is good enough: one table per target.

    Best and worst stand apart only within one target, and the rows are sorted.
    """
    first = (
        "Queries until the search first asked for an architecture whose mean validation accuracy is the "
        "table's best, or so many percentage points below it; a query of a part of the training costs, but "
        "does not count as asking. In brackets is Wilson's 95 % interval of the share of searches. Searches "
        "that did not within their budget are counted as such: then there is no mean, and the median counts "
        "them as longer than all others."
    )
    return tuple(
        reach_of(
            summary.setting, summary.agents, number, f"Queries to reach: {target}", "" if number else first
        )
        for number, (target, _) in enumerate(TARGETS)
    )


def reach_of(
    setting: Setting, unsorted: Sequence[AgentSummary | FrontAgent], target: int, title: str, note: str
) -> Grid:
    """How many queries it took to reach one target, the soonest agent first."""
    agents = sorted(unsorted, key=lambda agent: _how_soon(agent.reach[target]))
    there = [agent.reach[target] for agent in agents]
    queries, unique, seconds = (
        [[np.array([getattr(hit, kind) for hit in agent.hits[target]])] for agent in agents]
        for kind in ("queries", "unique", "seconds")
    )
    over = _over(setting.budget.get("budget_queries"))
    hours = [_late(agent.reach_seconds[target].median / 3600, NONE) for agent in agents]
    columns: dict[str, Sequence[str]] = {
        "agent": [agent.entry.label for agent in agents],
        "reached [%]": _often(there, queries),
        "mean": _soonest([_late(one.mean, NONE) for one in there], queries),
        "median": _soonest([_late(one.median, over) for one in there], queries),
        "longest": [_late(one.longest, NONE, 0) for one in there],
        "different architectures, mean": _soonest(
            [_late(agent.reach_unique[target].mean, NONE) for agent in agents], unique
        ),
    }
    if keeps_time(setting.landscape.table):
        columns["simulated GPU hours, median"] = _soonest(hours, seconds)
    return Grid(title, tuple(columns), rows_of(*columns.values()), note)


def _soonest(cells: Sequence[Cell], scores: Sequence[Scores]) -> list[Cell]:
    """Cells with the best marked, never one without a number."""
    return mark(cells, [None if text == NONE else one for text, one in zip(cells, scores, strict=True)])


def _often(there: Sequence[Reach], queries: Sequence[Scores]) -> list[Cell]:
    """How many searches got there, with the best marked unless none did."""
    reached = [[np.isfinite(one).astype(np.float64) for one in scores] for scores in queries]
    shares = [_share(one) for one in there]
    return mark(shares, reached, higher=True) if any(one.reached for one in there) else shares


def _how_soon(there: Reach) -> tuple[float, float, float]:
    """For sorting: more searches first, then fewer queries."""
    never = [np.inf if np.isnan(value) else value for value in (there.median, there.longest)]
    return -there.share.value, never[0], never[1]


def _share(there: Reach) -> Cell:
    """ "8 of 10 [49, 94]": with the interval of the share in per cent."""
    share, low, high = there.share
    return Cell(f"{there.reached} of {there.searches} [{100 * low:.0f}, {100 * high:.0f}]", share)


def _late(value: float, otherwise: str, digits: int = 1) -> Cell:
    """A number of queries or hours; where there is none, it counts as later than all."""
    return Cell(otherwise, np.inf) if np.isnan(value) else cell(value, digits)


def _over(queries: int | None) -> str:
    return "not within the budget" if queries is None else f"> {queries:,}"


def improvement(
    labels: Sequence[str], pairs: Mapping[tuple[str, str], Estimate], ends: str = "a lower regret"
) -> Grid:
    """How likely each agent beats each other one, which is to end with what `ends` says."""
    rows = [
        (a, *(NONE if a == b else interval(pairs[a, b], digits=0, unit=" %") for b in labels)) for a in labels
    ]
    return Grid(
        "Probability of improvement",
        ("better than →", *labels),
        tuple(rows),
        f"The probability that a search of the row's agent ends with {ends} than one of the "
        "column's; a tie counts half. In brackets is Newcombe's 95 % score interval: where it holds 50, the "
        "searches don't tell the two apart.",
        matrix=True,
    )


# -- everything ------------------------------------------------------------------------------


def overall(over: Overall) -> Grid:
    """All environments together."""
    return together(
        over,
        "All environments",
        "regret left, interquartile mean (%)",
        "The final regret as a share of the median architecture's regret, which makes environments "
        "comparable: 100 % is as good as the median architecture, 0 % is the optimum.",
    )


def together(over: Overall, title: str, column: str, note: str) -> Grid:
    """Several environments in one table; `column` is what `over.gap` is called, and `note` what it means."""
    columns: dict[str, Sequence[str]] = {
        "agent": over.labels,
        column: mark(
            [interval(over.gap[label]) for label in over.labels], [over.gaps[label] for label in over.labels]
        ),
    }
    if over.ranks is not None:
        columns["mean rank"] = ranked(over.labels, over.ranks)
    return Grid(
        title,
        tuple(columns),
        rows_of(*columns.values()),
        f"{note} Stratified bootstrap intervals, widened for few searches; agents that searched in every "
        "environment."
        + marked(over.labels)
        + ("" if over.ranks is None else " Of mean ranks, all within the critical difference of the best."),
    )


def ranked(labels: Sequence[str], ranks: Ranks) -> list[Cell]:
    """Mean ranks; marked are those that Nemenyi's test does not tell apart from the best."""
    least = min(ranks.mean.values()) + ranks.critical
    return [
        Cell(f"{ranks.mean[name]:.2f}", ranks.mean[name], best=ranks.mean[name] < least) for name in labels
    ]


def title(summary: Summary) -> str:
    """The report's headline."""
    bench = summary.bench
    names = ", ".join(setting.name for setting in bench.settings)
    return f"{_count(len(bench.labels), 'agent')}, {_count(len(bench.searches), 'search', 'es')} on {names}"


def _count(number: int, what: str, plural: str = "s") -> str:
    return f"{number:,} {what}{'' if number == 1 else plural}"
