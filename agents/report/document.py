"""The report as one document: its sections in order, each a heading, text, tables and figures.

`markdown` and `page` render it, each in its own way. What stands in the report is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

from nb201env.agents.report import provenance, tables
from nb201env.agents.report.fronts import tables as front_tables
from nb201env.agents.report.fronts import verdict as front_verdict
from nb201env.agents.report.fronts.summary import FrontSetting
from nb201env.agents.report.grid import Grid
from nb201env.agents.report.papers import beside
from nb201env.agents.report.ranks import Ranks
from nb201env.agents.report.summary import Overall, SettingSummary, Summary
from nb201env.agents.report.verdict import verdict, verdict_overall, warnings


@dataclass(frozen=True)
class Figure:
    """A figure: a drawn file in Markdown, a chart on the page.

    Attributes:
        chart: What the page draws: "regret", "profile", "space" or "ranks"; of several objectives
            "front-volume", "front-share" or "front-attained".
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
        name: "all", "environment-N" for setting N with one objective; "fronts", "front-N" for setting N with
            several; or "sources".
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

MORE = "more hypervolume"
_VOLUME = (
    "What all that was asked for lacks of the true front's hypervolume, by means over the table's runs. The "
    "band is Student's 95 % interval of the mean."
)
_SHARE = (
    "The share of the true front's points that were asked for. The band is Student's 95 % interval of the "
    "mean. The higher the curve, the better."
)
_EXPECTED = " The dashed line is what random search is expected to have, in closed form."
_ATTAINED = (
    "What at least half of an agent's searches dominate or equal, by means over the table's runs (the median "
    "attainment surface), over the true front."
)


def document(summary: Summary, command: str) -> list[Section]:
    """All sections: all environments together, if there are several; each one; where the numbers come from.

    Environments with one objective come first, then those with several.

    Args:
        summary: The numbers.
        command: The command that writes the report.
    """
    together = [] if summary.overall is None else [_overall(summary.overall, summary)]
    each = [_setting(number, one) for number, one in enumerate(summary.settings)]
    fronts = [] if summary.front_overall is None else [_fronts(summary.front_overall, summary)]
    fronts += [_front(number, one) for number, one in enumerate(summary.fronts)]
    return [*together, *each, *fronts, _sources(summary, command)]


def _overall(over: Overall, summary: Summary) -> Section:
    note = f"{_PROFILE} The mean over environments."
    profile = Figure("profile", "Performance profile", note, "overall", "profiles")
    grid = tables.overall(over)
    ranks = () if over.ranks is None else (_ranks(over.ranks),)
    said = " ".join(verdict_overall(over, summary.bench_of_one))
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


def _fronts(over: Overall, summary: Summary) -> Section:
    grid = front_tables.overall(over)
    said = " ".join(front_verdict.verdict_overall(over, summary.bench_of_fronts))
    chances = tables.improvement(over.labels, over.improvement, MORE)
    return Section("fronts", grid.title, (said,), (grid, chances), warnings(over.gaps))


def _front(number: int, one: FrontSetting) -> Section:
    labels = [agent.entry.label for agent in one.agents]
    expected = "" if one.random_gap is None else _EXPECTED
    volume = Figure(
        "front-volume", "Gap to the true front", _VOLUME + expected, f"front-volume-{number}",
        "what is lacking of the true front's hypervolume against queries and simulated GPU time", leads=True,
    )  # fmt: skip
    share = Figure(
        "front-share", "Share of the front", _SHARE + ("" if one.random_share is None else _EXPECTED),
        f"front-share-{number}",
        "the share of the true front's points asked for, against queries and simulated GPU time",
    )  # fmt: skip
    attained = Figure(
        "front-attained", "Attained fronts", _ATTAINED, f"front-attained-{number}",
        "the fronts that at least half of an agent's searches attain, and the true one",
    )  # fmt: skip
    return Section(
        f"front-{number}",
        one.setting.name,
        (" ".join(front_verdict.verdict(one)), front_tables.about(one)),
        (
            front_tables.final(one),
            volume,
            share,
            *([attained] if len(one.landscape.all.objectives) == 2 else []),
            *front_tables.reach(one),
            tables.improvement(labels, one.improvement, MORE),
            front_tables.front(one),
        ),
        warnings({agent.entry.label: [agent.volumes] for agent in one.agents}),
    )


def _sources(summary: Summary, command: str) -> Section:
    commands = Commands(
        tuple(
            (setting.name, tuple(provenance.command(entry) for entry in setting.entries))
            for setting in summary.bench.settings
        )
    )
    return Section(
        "sources",
        "Where the numbers come from",
        tuple(provenance.sentences(summary, command)),
        (provenance.sources(summary), commands),
    )
