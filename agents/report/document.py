"""The report as one document: its sections in order, each a heading, text, tables and figures.

`markdown` and `page` render it, each in its own way. What stands in the report is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

from nb201env.agents.report import tables
from nb201env.agents.report.grid import Grid
from nb201env.agents.report.papers import beside
from nb201env.agents.report.ranks import Ranks
from nb201env.agents.report.summary import Overall, SettingSummary, Summary
from nb201env.agents.report.verdict import verdict, verdict_overall, warnings


@dataclass(frozen=True)
class Figure:
    """A figure: a drawn file in Markdown, a chart on the page.

    Attributes:
        chart: What the page draws: "regret", "profile", "space" or "ranks".
        title: The chart's heading.
        note: How to read the chart.
        file: The drawn figure's name (see `nb201env.agents.report.figures.draw`); "" if there is none.
        shows: What the drawn figure shows.
        leads: Whether the page shows it before the tables of its section.
    """

    chart: str
    title: str
    note: str
    file: str = ""
    shows: str = ""
    leads: bool = False


@dataclass(frozen=True)
class Pair:
    """A figure and the table that belongs to it, side by side where there is room."""

    figure: Figure
    grid: Grid


@dataclass(frozen=True)
class Commands:
    """The commands that repeat all searches: pairs of a setting's name and its commands."""

    settings: tuple[tuple[str, tuple[str, ...]], ...]


Part = Grid | Figure | Pair | Commands


@dataclass(frozen=True)
class Section:
    """One section of the report.

    Attributes:
        name: "all", "environment-N" for setting N, or "sources".
        heading: What it is about.
        paragraphs: What is said before the tables and figures.
        parts: The tables and figures.
        warnings: What to beware of.
    """

    name: str
    heading: str
    paragraphs: tuple[str, ...]
    parts: tuple[Part, ...]
    warnings: tuple[str, ...] = ()


_REGRET = (
    "The optimum minus the incumbent's accuracy, both means over the table's runs. Move over the chart, or "
    "focus it and use the arrow keys, to read values. The band is Student's 95 % interval of the mean."
)
_PROFILE = (
    "The share of searches that end with at most this regret; the band is Wilson's 95 % interval. The "
    "higher the curve, the better."
)
_SPACE = (
    "All 15,625 architectures. Rings are those that a search chose, in its agent's colour. Pick the axes and "
    "the colours; point at a dot to see its cell, click to pin it."
)


def document(summary: Summary, command: str) -> list[Section]:
    """All sections: all environments together, if there are several; each one; where the numbers come from.

    Args:
        summary: The numbers.
        command: The command that writes the report.
    """
    together = [] if summary.overall is None else [_overall(summary.overall, summary)]
    each = [_setting(number, one) for number, one in enumerate(summary.settings)]
    return [*together, *each, _sources(summary, command)]


def _overall(over: Overall, summary: Summary) -> Section:
    note = f"{_PROFILE} The mean over environments."
    profile = Figure("profile", "Performance profile", note, "overall", "profiles")
    grid = tables.overall(over)
    ranks = () if over.ranks is None else (_ranks(over.ranks),)
    said = " ".join(verdict_overall(over, summary.bench))
    pair = Pair(profile, tables.improvement(over.labels, over.improvement))
    return Section("all", grid.title, (said,), (grid, *ranks, pair), warnings(over.gaps))


def _ranks(ranks: Ranks) -> Figure:
    p_value = "p < 0.001" if ranks.p_value < 0.001 else f"p = {ranks.p_value:.3f}"
    note = (
        "Mean rank of the final regret, 1 the best. Agents under one bar are not told apart: their mean "
        f"ranks lie less than Nemenyi's critical difference at 5 % ({ranks.critical:.2f}) from each other. "
        f"Ranks are among one search of every agent, {ranks.blocks:,} times (the first seeds of an "
        f"environment, the second ones, …); Friedman's test of all agents being alike: {p_value}. It speaks "
        "of these environments, not of new ones."
    )
    return Figure("ranks", "Critical difference", note, "ranks", "mean ranks and their critical difference")


def _setting(number: int, one: SettingSummary) -> Section:
    labels = [agent.entry.label for agent in one.agents]
    further = [grid for grid in (tables.elsewhere(one), beside(one.setting)) if grid is not None]
    regret = Figure(
        "regret", "Regret", _REGRET, f"regret-{number}", "regret against queries and simulated GPU time",
        leads=True,
    )  # fmt: skip
    profile = Figure(
        "profile", "Performance profile", _PROFILE, f"profiles-{number}",
        "performance profiles and probability of improvement",
    )  # fmt: skip
    shows = "all architectures by accuracy and parameters, with those that the agents asked for and chose"
    return Section(
        f"environment-{number}",
        one.setting.name,
        (" ".join(verdict(one)), tables.about(one)),
        (
            tables.final(one),
            *further,
            regret,
            *tables.reach(one),
            Pair(profile, tables.improvement(labels, one.improvement)),
            Figure("space", "The space", _SPACE, f"space-{number}", shows),
        ),
        warnings({agent.entry.label: [agent.entry.finals()] for agent in one.agents}),
    )


def _sources(summary: Summary, command: str) -> Section:
    commands = Commands(
        tuple(
            (one.setting.name, tuple(tables.command(entry) for entry in one.setting.entries))
            for one in summary.settings
        )
    )
    return Section(
        "sources",
        "Where the numbers come from",
        tuple(tables.provenance(summary, command)),
        (tables.sources(summary), commands),
    )
