"""The report as one HTML page that needs nothing else: markup, style, script and data in a shell.

The tables are written here; the scripts draw from the numbers in the page. A content security policy in the
page forbids every request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nb201env.agents.report import tables
from nb201env.agents.report.attained import Attained, Steps, attained_fronts
from nb201env.agents.report.curves import Curve, Profile
from nb201env.agents.report.document import Commands, Figure, Pair, Part, Section, document
from nb201env.agents.report.figure_lines import regret_floor
from nb201env.agents.report.fronts.summary import FrontAgent, FrontSetting
from nb201env.agents.report.grid import Cell, Grid
from nb201env.agents.report.looks import look
from nb201env.agents.report.summary import (
    AgentSummary,
    Overall,
    SettingSummary,
    Summary,
    visits,
)
from nb201env.agents.report.thinning import thinned
from nb201env.arrays import FloatArray
from nb201env.pages.html import Json, assembled, asset, in_script, packed_counts, short
from nb201env.pages.space import STYLE, cells_data, space_script, tables_data
from nb201env.table import Table

HERE, PAGES = "nb201env.agents.report", "nb201env.pages"
_CHARTS = ("agents.js", "lines.js", "charts.js", "ranks.js", "fronts.js")
_PAGE = ("tables.js", "report.js")
_MANY = 6
"""From so many agents on a matrix has a card of its own, and its columns are headed by numbers alone."""

_LONG = 30
"""Names with more letters are broken into lines."""

Markup = str


def page(summary: Summary, command: str) -> str:
    """The report as HTML.

    Args:
        summary: The numbers.
        command: The command that writes the report.
    """
    labels, title = summary.bench.labels, escape(tables.title(summary))
    *panels, sources = document(summary, command)
    main = {
        "tabs": "".join(_tab(section) for section in panels),
        "sections": "\n".join(_panel(section, labels) for section in panels),
    }
    parts = {
        "title": f"Benchmark report: {title}",
        "heading": "Benchmark report",
        "lead": title,
        "main": assembled(asset(HERE, "page.html"), main),
        "provenance": _footer(sources, labels),
        "style": asset(PAGES, "base.css")
        + asset(PAGES, STYLE)
        + asset(HERE, "page.css")
        + _colours(len(labels)),
        "script": scripts(),
        "data": in_script(_data(summary)),
    }
    return assembled(asset(PAGES, "shell.html"), parts)


def scripts() -> str:
    """All scripts of the page in the order in which they build on each other; they share one scope."""
    own = [[asset(HERE, name) for name in names] for names in (_CHARTS, _PAGE)]
    return "".join([asset(PAGES, "base.js"), *own[0], space_script(), *own[1]])


def _colours(count: int) -> str:
    """The agents' colours as variables, ``--c0`` that of the first."""
    looks = [look(number) for number in range(count)]
    light = "".join(f"--c{number}:{one.light};" for number, one in enumerate(looks))
    dark = "".join(f"--c{number}:{one.dark};" for number, one in enumerate(looks))
    return f':root{{{light}}}:root[data-theme="dark"]{{{dark}}}'


# -- markup ----------------------------------------------------------------------------------


def _tab(section: Section) -> Markup:
    name = section.name
    return (
        f'<button type="button" role="tab" id="tab-{name}" aria-controls="{name}" data-panel="{name}">'
        f"{escape(section.heading)}</button>"
    )


def _panel(section: Section, labels: Sequence[str]) -> Markup:
    name = section.name
    said = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs if paragraph)
    warned = "".join(f'<p class="warning" role="note">{escape(text)}</p>' for text in section.warnings)
    parts = sorted(section.parts, key=lambda part: not (isinstance(part, Figure) and part.leads))
    return (
        f'<section role="tabpanel" id="{name}" aria-labelledby="tab-{name}">'
        f'<h2 class="name">{escape(section.heading)}</h2><div class="said">{said}{warned}</div>'
        f"{''.join(_part(part, labels) for part in parts)}</section>"
    )


def _footer(section: Section, labels: Sequence[str]) -> Markup:
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs)
    body = "".join(_part(part, labels) for part in section.parts)
    return re.sub("`(.*?)`", r"<code>\1</code>", text) + body


def _part(part: Part, labels: Sequence[str]) -> Markup:
    match part:
        case Grid():
            table = _table(part, labels)
            return _card(part.title, part.note, table) if part.title else table
        case Figure():
            return _card(part.title, part.note, "", f' data-chart="{part.chart}"')
        case Pair():
            many = " many" if len(part.grid.rows) >= _MANY else ""
            return f'<div class="two{many}">{_part(part.figure, labels)}{_part(part.grid, labels)}</div>'
        case Commands():
            return _commands(part)


def _card(title: str, note: str, body: Markup, attributes: Markup = "") -> Markup:
    text = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<div class="card"{attributes}><h3>{escape(title)}</h3>{text}{body}</div>'


def _commands(commands: Commands) -> Markup:
    text = "".join(
        f"<p>{escape(name)}</p>" + "".join(f"<code>{escape(line)}</code>" for line in lines)
        for name, lines in commands.settings
    )
    return f"<details><summary>The commands of all searches</summary>{text}</details>"


# -- tables ----------------------------------------------------------------------------------


def _table(grid: Grid, labels: Sequence[str]) -> Markup:
    kind = " matrix" if grid.matrix else ""
    kind += " many" if grid.matrix and len(grid.rows) >= _MANY else ""
    columns = range(len(grid.columns))
    number = [all(_is_number(row[column]) for row in grid.rows) for column in columns]
    head = "".join(_heading(grid, column, number[column], labels) for column in columns)
    body = "".join(f"<tr>{_row(grid, row, number, labels)}</tr>" for row in grid.rows)
    name = escape(grid.title or "Tables")
    table = f'<table class="grid{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{name}">{table}</div>{_key(grid)}'


def _key(grid: Grid) -> Markup:
    best = any(isinstance(cell, Cell) and cell.best for row in grid.rows for cell in row)
    return f'<p class="note">{_STAR} best of its column, or not told apart from it</p>' if best else ""


_STAR = '<span class="star" aria-hidden="true">★</span>'
_BEST = f'{_STAR}<span class="hidden">best, or not told apart from it: </span>'
_NUMBER = re.compile(r"(> )?[-\d.,–]+( ± [\d.]+)?( of \d+)?( \[.*\])?|not recorded")
_CHANCE = re.compile(r"(\d+) %(?: (\[.*\]))?")


def _is_number(text: str) -> bool:
    return (isinstance(text, Cell) and text.value is not None) or bool(_NUMBER.fullmatch(text))


def _heading(grid: Grid, column: int, right: bool, labels: Sequence[str]) -> Markup:
    name = grid.columns[column]
    if grid.matrix and column:
        return f'<th scope="col" title="{escape(name)}">{_agent(name, labels)}</th>'
    return f'<th scope="col"{_class("n" if right else "")}>{escape(name)}</th>'


def _row(grid: Grid, row: Sequence[str], number: Sequence[bool], labels: Sequence[str]) -> Markup:
    agents = grid.matrix or grid.columns[0] == "agent"
    name = _agent(row[0], labels) if agents else escape(row[0])
    cells = (_cell(text, grid.matrix, right) for text, right in zip(row[1:], number[1:], strict=True))
    return f'<th scope="row">{name}</th>{"".join(cells)}'


def _agent(name: str, labels: Sequence[str]) -> Markup:
    """An agent's name behind its number, which has its colour; a name of none is only a name."""
    text = f'<span class="agent{" long" if len(name) > _LONG else ""}">{escape(name)}</span>'
    if name not in labels:
        return text
    number = labels.index(name)
    chip = f'<span class="chip" data-agent="{number}" style="--c:var(--c{number})">{number + 1}</span>'
    return f'<span class="who">{chip} {text}</span>'


def _cell(text: str, matrix: bool, right: bool) -> Markup:
    cell = text if isinstance(text, Cell) else Cell(text)
    value = "" if cell.value is None or not math.isfinite(cell.value) else f' data-value="{cell.value:.10g}"'
    chance = _CHANCE.fullmatch(text) if matrix else None
    if chance:
        lean = int(chance[1]) - 50
        style = f'class="heat {"good" if lean > 0 else "bad"}" style="--a:{abs(lean)}"'
        return f"<td {style}{value}>{chance[1]} %<small> {chance[2] or ''}</small></td>"
    kinds = ["heat"] if matrix else ["n"] if right else []
    classes = " ".join([*kinds, *(["best"] if cell.best else [])])
    return f"<td{_class(classes)}{value}>{_BEST if cell.best else ''}{escape(text)}</td>"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


# -- data ------------------------------------------------------------------------------------


def _data(summary: Summary) -> Json:
    labels = summary.bench.labels
    tables = _tables(summary)
    numbers = {table.id: number for number, (_, table) in enumerate(tables)}
    panels: Json = {
        f"environment-{i}": _panel_data(one, labels) | {"space": _space(one, numbers)}
        for i, one in enumerate(summary.settings)
    }
    if summary.overall is not None:
        panels["all"] = _overall_data(summary.overall, labels)
    panels |= {f"front-{i}": _front_data(one, labels) for i, one in enumerate(summary.fronts)}
    if summary.front_overall is not None:
        panels["fronts"] = {"agents": [{"label": labels.index(one)} for one in summary.front_overall.labels]}
    searched = {one.setting.landscape.table.id for one in summary.settings}
    measures = tables_data(tables, [table.id in searched for _, table in tables])
    agents = {"labels": labels, "dashes": [look(number).dash for number in range(len(labels))]}
    return agents | cells_data() | {"tables": measures, "panels": panels}


def _tables(summary: Summary) -> list[tuple[str, Table]]:
    """The tables whose numbers the spaces show, each once with its name: those searched, then the others."""
    places = {found.place.table.id: found.place for one in summary.settings for found in one.elsewhere}
    searched = {one.setting.landscape.table.id: one.setting.landscape.table for one in summary.settings}
    named_by = {place.table.id: place.name for place in summary.bench.places}
    by_id = searched | {key: place.table for key, place in places.items() if key not in searched}
    return [(named_by.get(key, table.name), table) for key, table in by_id.items()]


def _space(one: SettingSummary, numbers: Mapping[str, int]) -> Json:
    """Which tables' accuracies the space of an environment shows, the searched one first, and whose costs."""
    ids = [one.setting.landscape.table.id, *(found.place.table.id for found in one.elsewhere)]
    tables = list(dict.fromkeys(numbers[key] for key in ids))
    return {"tables": tables, "costs": tables[:1]}


def _panel_data(one: SettingSummary, labels: Sequence[str]) -> Json:
    curves = [curve for agent in one.agents for curve in (agent.by_queries, agent.by_seconds)]
    floor = regret_floor([curve.mean for curve in curves])
    return {
        "agents": [_agent_data(agent, labels, floor / 100) for agent in one.agents],
        "random": None if one.random is None else _curve_data(thinned(one.random, floor / 100), 1),
        "floor": short(floor),
        "thresholds": _percent(one.agents[0].profile.thresholds),
        "xLabel": "final regret at most (points)",
        "unit": "points",
    }


def _agent_data(agent: AgentSummary, labels: Sequence[str], floor: float) -> Json:
    return {
        "label": labels.index(agent.entry.label),
        "queries": _curve_data(thinned(agent.by_queries, floor), 1),
        "hours": _curve_data(thinned(agent.by_seconds, floor), 3600),
        "profile": _profile_data(agent.profile),
        "chosen": [search.chosen for search in agent.entry.searches],
        "visits": packed_counts(visits(agent.entry)),
    }


def _overall_data(over: Overall, labels: Sequence[str]) -> Json:
    return {
        "ranks": None if over.ranks is None else _ranks_data(over.ranks, labels),
        "agents": [
            {"label": labels.index(label), "profile": _profile_data(profile)}
            for label, profile in over.profile.items()
        ],
        "thresholds": _percent(over.profile[over.labels[0]].thresholds),
        "xLabel": "regret left, of the median architecture's (%)",
        "unit": "% of the median architecture's regret",
    }


def _front_data(one: FrontSetting, labels: Sequence[str]) -> Json:
    shown = attained_fronts(one)
    curves = [curve for agent in one.agents for curve in (agent.gap_by_queries, agent.gap_by_seconds)]
    floor = regret_floor([curve.mean for curve in curves])
    gap, share = (
        None if curve is None else _curve_data(thinned(curve, floor / 100), 1)
        for curve in (one.random_gap, one.random_share)
    )
    return {
        "agents": [_front_agent_data(agent, shown, labels, floor / 100) for agent in one.agents],
        "random": gap is not None or share is not None,
        "volume": {"random": gap, "floor": short(floor)},
        "share": {"random": share},
        "front": None if shown is None else _true_front_data(shown),
    }


def _front_agent_data(agent: FrontAgent, shown: Attained | None, labels: Sequence[str], floor: float) -> Json:
    label = agent.entry.label
    gap = (agent.gap_by_queries, agent.gap_by_seconds)
    share = (agent.share_by_queries, agent.share_by_seconds)
    curves = {
        kind: {
            axis: _curve_data(thinned(curve, floor), unit)
            for axis, curve, unit in zip(("queries", "hours"), both, (1, 3600), strict=True)
        }
        for kind, both in (("volume", gap), ("share", share))
    }
    steps = shown.agents.get(label) if shown else None
    return curves | {"label": labels.index(label), "steps": None if steps is None else _steps_data(steps)}


def _true_front_data(shown: Attained) -> Json:
    return _steps_data(shown.front) | {
        "dots": [[short(value, 7) for value in point] for point in shown.points.tolist()],
        "windows": [[short(end, 7) for end in window] for window in shown.windows],
        "log": shown.log,
        "first": shown.first,
        "what": shown.second,
        "across": shown.across,
        "up": shown.up,
        "units": shown.units,
    }


def _steps_data(steps: Steps) -> Json:
    return {axis: [short(value, 7) for value in getattr(steps, axis)] for axis in ("x", "y")}


def _ranks_data(ranks: Any, labels: Sequence[str]) -> Json:
    return {
        "labels": [labels.index(label) for label in ranks.labels],
        "mean": [short(ranks.mean[label]) for label in ranks.labels],
        "critical": short(ranks.critical),
        "groups": [[labels.index(label) for label in group] for group in ranks.groups],
    }


def _curve_data(curve: Curve, unit: float) -> Json:
    bands = {name: getattr(curve, name) for name in ("mean", "low", "high", "median", "q25", "q75")}
    return {"x": [short(x / unit) for x in curve.x]} | {name: _percent(band) for name, band in bands.items()}


def _profile_data(profile: Profile) -> Json:
    return {name: _percent(getattr(profile, name)) for name in ("share", "low", "high")}


def _percent(fractions: FloatArray) -> list[float | None]:
    return [short(100 * value) for value in fractions]
