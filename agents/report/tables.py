"""The tables and sentences of a report, in words that Markdown and the page share."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

import numpy as np

from nb201env.agents.report.data import Entry, Setting
from nb201env.agents.report.elsewhere import mean_of
from nb201env.agents.report.fronts.summary import FrontAgent
from nb201env.agents.report.grid import Cell, Grid
from nb201env.agents.report.marks import Scores, mark
from nb201env.agents.report.ranks import Ranks
from nb201env.agents.report.statistics import FEWEST, Estimate, Reach
from nb201env.agents.report.summary import TARGETS, AgentSummary, Overall, SettingSummary, Summary
from nb201env.agents.report.words import NOT_RECORDED, NOT_SHOWN, own_command
from nb201env.agents.searches.outcome import spread_text
from nb201env.arrays import FloatArray
from nb201env.envs.answers import keeps_time
from nb201env.missing import not_recorded
from nb201env.output import named, plain
from nb201env.reading import format_seeds

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
    setting, table = summary.setting, summary.setting.landscape.table
    name = named(table.name)
    kind = table.manifest.get("kind", "measured")
    best, _ = table.optimum(split="valid", epochs=table.epochs)
    predicted = (
        "" if kind == "measured" else " Its numbers are predictions of a surrogate, not results of trainings."
    )
    return (
        f"Budget: {budget_text(setting)} per search. Table {name}, id {table.id[:16]}.{predicted} "
        f"The optimum is {100 * setting.landscape.optimum:.2f} % mean validation accuracy over runs "
        f"(official index {best.official_index})."
    )


# -- one setting -----------------------------------------------------------------------------


def final(summary: SettingSummary) -> Grid:
    """What the searches ended with."""
    agents = summary.agents
    return Grid(
        "Final results",
        ("agent", "searches", "seeds", "queries", "simulated GPU hours", "validation accuracy (%)",
         "test accuracy (%)", "regret, interquartile mean (points)", "median rank"),
        rows_of(
            [agent.entry.label for agent in agents],
            [cell(len(agent.entry.searches)) for agent in agents],
            [format_seeds(agent.entry.seeds) for agent in agents],
            [cell(agent.queries) for agent in agents],
            [cell(agent.seconds / 3600, 1) for agent in agents],
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


def command(entry: Entry) -> str:
    """One command for all searches of an entry, if their own commands differ in the seed alone."""
    seeds, recorded = format_seeds(entry.seeds), [search.header["command"] for search in entry.searches]
    merged = list(dict.fromkeys(_for_seeds(one, seeds) for one in recorded))
    if remarks := {NOT_RECORDED, NOT_SHOWN}.intersection(map(own_command, merged)):
        return min(remarks)
    return merged[0] if len(merged) == 1 else "; ".join(recorded)


def _for_seeds(command: str, seeds: str) -> str:
    """The command with other seeds, if it is one of ours and names any."""
    # Few commands are quoted otherwise than this, and to take one apart takes a hundred times as long.
    changed, found = _SEEDS.subn(rf"\g<1>{seeds}", command, count=1)
    if found or own_command(command) != command:
        return changed
    words = shlex.split(command)
    if "--seeds" in words[:-1]:
        words[words.index("--seeds") + 1] = seeds
    return shlex.join(words)


_SEEDS = re.compile(r"^((?:[^'\"\\]|'[^']*')*? --seeds )[0-9,-]+(?= |$)")


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


def sources(summary: Summary) -> Grid:
    """The tables behind the numbers."""
    rows = []
    for setting in summary.bench.settings:
        table = setting.landscape.table
        searches = sum(len(entry.searches) for entry in setting.entries)
        recorded = NOT_RECORDED if setting.landscape.test is None else "recorded"
        rows.append((setting.name, budget_text(setting), cell(searches), named(table.name),
                     named(table.manifest.get("kind", "measured")), recorded, table.id))  # fmt: skip
    return Grid(
        "",
        ("environment", "budget", "searches", "table", "kind", "test accuracy", "id (sha256)"),
        tuple(rows),
    )


def versions(summary: Summary) -> str:
    """The software that the searches ran with."""
    recorded = {pair for search in summary.bench.searches for pair in search.header["versions"].items()}
    found: dict[str, set[str]] = {}
    for name, version in recorded:
        found.setdefault(named(name), set()).add(named(version))
    return ", ".join(f"{name} {' and '.join(sorted(versions))}" for name, versions in sorted(found.items()))


def provenance(summary: Summary, command: str) -> list[str]:
    """Where every number comes from, in sentences."""
    bench = summary.bench
    lines = [
        f"Computed from {len(bench.searches):,} trajectories alone (sha256 over their files: {bench.digest}) "
        "and the tables they name.",
        "Every trajectory was replayed against its table without a difference."
        if bench.replayed
        else "The trajectories were not replayed for this report (`nb201 report --replay` does it).",
        f"The searches ran with {versions(summary)}.",
        f"The report: {_code(command)}.",
    ]
    if used := {one.place.name: one.place.table for s in summary.settings for one in s.elsewhere}:
        tables = ", ".join(f"{name} (id {table.id[:16]})" for name, table in used.items())
        lines.insert(2, f"What was chosen was looked up in {tables}.")
    if bench.unfinished:
        lines.insert(
            1, f"Searches cut short, not part of any number: {', '.join(map(named, bench.unfinished))}."
        )
    return lines


def _code(command: str) -> str:
    """A command as code, if it holds no mark of code itself."""
    return plain(command) if "`" in command else f"`{plain(command)}`"


def title(summary: Summary) -> str:
    """The report's headline."""
    bench = summary.bench
    names = ", ".join(setting.name for setting in bench.settings)
    return f"{_count(len(bench.labels), 'agent')}, {_count(len(bench.searches), 'search', 'es')} on {names}"


def _count(number: int, what: str, plural: str = "s") -> str:
    return f"{number:,} {what}{'' if number == 1 else plural}"
