"""The tables and sentences of a report, in words that Markdown and the page share."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import numpy as np

from nb201env.agents.report.data import Entry, Setting
from nb201env.agents.report.elsewhere import mean_of
from nb201env.agents.report.grid import Grid
from nb201env.agents.report.statistics import Estimate
from nb201env.agents.report.summary import TARGETS, AgentSummary, Overall, SettingSummary, Summary
from nb201env.agents.report.words import NOT_RECORDED, NOT_SHOWN, named, own_command, split
from nb201env.agents.searches.outcome import spread_text
from nb201env.arrays import FloatArray
from nb201env.envs.answers import keeps_time
from nb201env.missing import not_recorded
from nb201env.output import plain
from nb201env.reading import format_seeds

NONE = "–"


def number(value: float, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    return NONE if np.isnan(value) else f"{value:,.{digits}f}"


def mean_text(accuracies: FloatArray | None) -> str:
    """Mean ± standard deviation in per cent with the mean's interval; of one search, its value alone."""
    if accuracies is None:
        return NOT_RECORDED
    text, mean = spread_text(accuracies), mean_of(accuracies)
    bounds = f" [{number(100 * mean.low)}, {number(100 * mean.high)}]"
    return text if np.isnan(mean.low) else text + bounds


def interval(estimate: Estimate, scale: float = 100, digits: int = 2, unit: str = "") -> str:
    """A number with its 95 % interval, which a single search does not have."""
    value, low, high = (scale * x for x in estimate)
    text = number(value, digits) + unit
    return text if np.isnan(low) else f"{text} [{number(low, digits)}, {number(high, digits)}]"


def budget_text(setting: Setting) -> str:
    """ "300 queries" or "12,000 simulated GPU seconds"; and that there is no clock, where there is none."""
    parts = []
    if "budget_queries" in setting.budget:
        parts.append(f"{setting.budget['budget_queries']:,} queries")
    if "budget_seconds" in setting.budget:
        parts.append(f"{setting.budget['budget_seconds']:,.10g} simulated GPU seconds")
    clock = "" if keeps_time(setting.landscape.table) else " (no clock: the table records no seconds)"
    return " or ".join(parts) + clock


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
    return Grid(
        "Final results",
        ("agent", "searches", "seeds", "queries", "simulated GPU hours", "validation accuracy (%)",
         "test accuracy (%)", "regret, interquartile mean (points)", "median rank"),
        tuple(_final_row(agent) for agent in summary.agents),
        "The incumbent at the end of the budget, chosen by what the search saw. Its accuracy is the mean "
        "over the table's runs; mean ± standard deviation over searches. Intervals are 95 % bootstrap "
        "intervals, of test accuracy that of its mean. Rank is among all architectures of the table."
        + _untested(summary),
    )  # fmt: skip


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
    rows = [
        (agent.entry.label, *(mean_text(one.by_agent[row]) for one in found))
        for row, agent in enumerate(summary.agents)
    ]
    return Grid(
        "On other tables",
        ("agent", *(f"{one.what} (%)" for one in found)),
        tuple(rows),
        f"Of the architectures chosen on {named(summary.setting.landscape.table.name)}: the mean over the "
        "other table's runs; mean ± standard deviation over searches, with the 95 % interval of the mean. No "
        "search saw these numbers.",
    )


def _final_row(agent: AgentSummary) -> tuple[str, ...]:
    return (
        agent.entry.label,
        str(len(agent.entry.searches)),
        format_seeds(agent.entry.seeds),
        number(agent.queries, 0),
        number(agent.seconds / 3600, 1),
        spread_text(agent.valid),
        mean_text(agent.test),
        interval(agent.iqm),
        f"{agent.rank:,.10g}",
    )


def reach(summary: SettingSummary) -> Grid:
    """How many queries it took to reach an architecture that is good enough."""
    rows = [
        (
            agent.entry.label,
            target,
            f"{there.reached} of {there.searches}",
            number(there.mean, 1),
            _median(there.median, summary.setting),
            number(there.longest, 0),
            number(agent.reach_unique[i].mean, 1),
        )
        for i, (target, _) in enumerate(TARGETS)
        for agent in summary.agents
        for there in [agent.reach[i]]
    ]
    return Grid(
        "Queries to reach",
        ("agent", "target", "reached", "mean", "median", "longest", "different architectures, mean"),
        tuple(rows),
        "Queries until the search first asked for an architecture whose mean validation accuracy is the "
        "table's best, or so many percentage points below it. Searches that did not within their budget are "
        "counted as such: then there is no mean, and the median counts them as longer than all others.",
    )


def _median(value: float, setting: Setting) -> str:
    if not np.isnan(value):
        return number(value, 1)
    queries = setting.budget.get("budget_queries")
    return f"> {queries:,}" if queries else "not within the budget"


def improvement(labels: Sequence[str], pairs: Mapping[tuple[str, str], Estimate]) -> Grid:
    """How likely each agent beats each other one."""
    rows = [
        (a, *(NONE if a == b else interval(pairs[a, b], digits=0, unit=" %") for b in labels)) for a in labels
    ]
    return Grid(
        "Probability of improvement",
        ("better than →", *labels),
        tuple(rows),
        "The probability that a search of the row's agent ends with a lower regret than one of the "
        "column's; a tie counts half. Where the interval holds 50, the searches don't tell them apart.",
        matrix=True,
    )


def command(entry: Entry) -> str:
    """One command for all searches of an entry, if their own commands differ in the seed alone."""
    shown = [own_command(search.header.get("command")) for search in entry.searches]
    if remarks := {NOT_RECORDED, NOT_SHOWN}.intersection(shown):
        return min(remarks)
    seeds = format_seeds(entry.seeds)
    merged = {_for_seeds(one, seeds) for one in shown}
    return merged.pop() if len(merged) == 1 else "; ".join(shown)


def _for_seeds(command: str, seeds: str) -> str:
    """The command with other seeds, if it names any."""
    words = split(command)
    if "--seeds" in words[:-1]:
        words[words.index("--seeds") + 1] = seeds
    return shlex.join(words)


# -- everything ------------------------------------------------------------------------------


def overall(over: Overall) -> Grid:
    """All environments together."""
    rows = tuple((label, interval(over.gap[label])) for label in over.labels)
    return Grid(
        "All environments",
        ("agent", "regret left, interquartile mean (%)"),
        rows,
        "The final regret as a share of the median architecture's regret, which makes environments "
        "comparable: 100 % is as good as the median architecture, 0 % is the optimum. Stratified bootstrap "
        "intervals; agents that searched in every environment.",
    )


def sources(summary: Summary) -> Grid:
    """The tables behind the numbers."""
    rows = []
    for one in summary.settings:
        setting, table = one.setting, one.setting.landscape.table
        searches = sum(len(entry.searches) for entry in setting.entries)
        recorded = NOT_RECORDED if setting.landscape.test is None else "recorded"
        rows.append((setting.name, budget_text(setting), str(searches), named(table.name),
                     named(table.manifest.get("kind", "measured")), recorded, table.id))  # fmt: skip
    return Grid(
        "",
        ("environment", "budget", "searches", "table", "kind", "test accuracy", "id (sha256)"),
        tuple(rows),
    )


def versions(summary: Summary) -> str:
    """The software that the searches ran with."""
    found: dict[str, set[str]] = {}
    recorded = dict.fromkeys(pair for s in summary.bench.searches for pair in s.header["versions"].items())
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
    names = ", ".join(one.setting.name for one in summary.settings)
    return f"{_count(len(bench.labels), 'agent')}, {_count(len(bench.searches), 'search', 'es')} on {names}"


def _count(number: int, what: str, plural: str = "s") -> str:
    return f"{number:,} {what}{'' if number == 1 else plural}"
