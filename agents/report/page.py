"""The report as one HTML page that needs nothing else: `page.html` with style, script and data inside.

The tables are written here; `charts.js` and the script of `nb201env.pages.space` draw from the numbers in the
page. A content security policy in the page forbids every request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from nb201env.agents.report import tables
from nb201env.agents.report.document import Commands, Figure, Pair, Part, Section, document
from nb201env.agents.report.figures import regret_floor
from nb201env.agents.report.grid import Grid
from nb201env.agents.report.summary import (
    AgentSummary,
    Curve,
    Overall,
    Profile,
    SettingSummary,
    Summary,
    visits,
)
from nb201env.arrays import FloatArray
from nb201env.pages.html import Json, assembled, asset, in_script, packed, short
from nb201env.pages.space import STYLE, cells_data, space_script, tables_data
from nb201env.table import Table

HERE, PAGES = "nb201env.agents.report", "nb201env.pages"
Markup = str


def page(summary: Summary, command: str) -> str:
    """The report as HTML.

    Args:
        summary: The numbers.
        command: The command that writes the report.
    """
    *panels, sources = document(summary, command)
    panels.sort(key=lambda section: section.name == "all")  # opens with an environment, which has all charts
    parts = {
        "title": f"Benchmark report: {escape(tables.title(summary))}",
        "lead": escape(tables.title(summary)),
        "tabs": "".join(_tab(section) for section in panels),
        "sections": "\n".join(_panel(section) for section in panels),
        "provenance": _footer(sources),
        "style": asset(PAGES, "base.css") + asset(PAGES, STYLE) + asset(HERE, "page.css"),
        "script": "".join(
            [asset(PAGES, "base.js"), asset(HERE, "charts.js"), space_script(), asset(HERE, "report.js")]
        ),
        "data": in_script(_data(summary)),
    }
    return assembled(asset(HERE, "page.html"), parts)


# -- markup ----------------------------------------------------------------------------------


def _tab(section: Section) -> Markup:
    name = section.name
    return (
        f'<button type="button" role="tab" id="tab-{name}" aria-controls="{name}" data-panel="{name}">'
        f"{escape(section.heading)}</button>"
    )


def _panel(section: Section) -> Markup:
    name = section.name
    text = "".join(f'<p class="note">{escape(paragraph)}</p>' for paragraph in section.paragraphs)
    parts = sorted(section.parts, key=lambda part: not (isinstance(part, Figure) and part.leads))
    return (
        f'<section role="tabpanel" id="{name}" aria-labelledby="tab-{name}">'
        f"{text}{''.join(_part(part) for part in parts)}</section>"
    )


def _footer(section: Section) -> Markup:
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs)
    return re.sub("`(.*?)`", r"<code>\1</code>", text) + "".join(_part(part) for part in section.parts)


def _part(part: Part) -> Markup:
    match part:
        case Grid():
            return _card(part.title, part.note, _table(part)) if part.title else _table(part)
        case Figure():
            return _card(part.title, part.note, "", f' data-chart="{part.chart}"')
        case Pair():
            return f'<div class="two">{_part(part.figure)}{_part(part.grid)}</div>'
        case Commands():
            return _commands(part)


def _card(title: str, note: str, body: Markup, attributes: Markup = "") -> Markup:
    text = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<div class="card"{attributes}><h2>{escape(title)}</h2>{text}{body}</div>'


def _commands(commands: Commands) -> Markup:
    text = "".join(
        f"<p>{escape(name)}</p>" + "".join(f"<code>{escape(line)}</code>" for line in lines)
        for name, lines in commands.settings
    )
    return f"<details><summary>The commands of all searches</summary>{text}</details>"


def _table(grid: Grid) -> Markup:
    number = [all(_NUMBER.fullmatch(row[i]) for row in grid.rows) for i in range(len(grid.columns))]
    head = "".join(
        f'<th scope="col"{_class("n" if right else "")}>{escape(name)}</th>'
        for name, right in zip(grid.columns, number, strict=True)
    )
    body = "".join(f"<tr>{_row(row, number)}</tr>" for row in grid.rows)
    return (
        f'<div class="scroll" tabindex="0"><table class="grid"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


_NUMBER = re.compile(r"(> )?[-\d.,–]+( ± [\d.]+)?( of \d+)?( \[.*\])?|not recorded")
_CHANCE = re.compile(r"(\d+) %(?: (\[.*\]))?")


def _row(row: Sequence[str], number: Sequence[bool]) -> Markup:
    cells = [f'<th scope="row">{escape(row[0])}</th>']
    matrix = any(_CHANCE.fullmatch(text) for text in row[1:])
    for text, right in zip(row[1:], number[1:], strict=True):
        chance = _CHANCE.fullmatch(text)
        if chance:
            lean = int(chance[1]) - 50
            style = f'class="heat {"good" if lean > 0 else "bad"}" style="--a: {abs(lean)}"'
            cells.append(f"<td {style}>{chance[1]} %<small>{chance[2] or ''}</small></td>")
        else:
            cells.append(f"<td{_class('heat' if matrix else 'n' if right else '')}>{escape(text)}</td>")
    return "".join(cells)


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
    searched = {one.setting.landscape.table.id for one in summary.settings}
    measures = tables_data(tables, [table.id in searched for _, table in tables])
    return {"labels": labels} | cells_data() | {"tables": measures, "panels": panels}


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
    return {
        "agents": [_agent_data(agent, labels) for agent in one.agents],
        "random": None if one.random is None else _curve_data(one.random, 1),
        "floor": short(regret_floor([curve.mean for curve in curves])),
        "thresholds": _percent(one.agents[0].profile.thresholds),
        "xLabel": "final regret at most (points)",
        "unit": "points",
    }


def _agent_data(agent: AgentSummary, labels: Sequence[str]) -> Json:
    return {
        "label": labels.index(agent.entry.label),
        "queries": _curve_data(agent.by_queries, 1),
        "hours": _curve_data(agent.by_seconds, 3600),
        "profile": _profile_data(agent.profile),
        "chosen": [search.chosen for search in agent.entry.searches],
        "visits": packed(visits(agent.entry)),
    }


def _overall_data(over: Overall, labels: Sequence[str]) -> Json:
    return {
        "agents": [
            {"label": labels.index(label), "profile": _profile_data(profile)}
            for label, profile in over.profile.items()
        ],
        "thresholds": _percent(over.profile[over.labels[0]].thresholds),
        "xLabel": "regret left, of the median architecture's (%)",
        "unit": "% of the median architecture's regret",
    }


def _curve_data(curve: Curve, unit: float) -> Json:
    bands = {name: getattr(curve, name) for name in ("mean", "low", "high", "median", "q25", "q75")}
    return {"x": [short(x / unit) for x in curve.x]} | {name: _percent(band) for name, band in bands.items()}


def _profile_data(profile: Profile) -> Json:
    return {name: _percent(getattr(profile, name)) for name in ("share", "low", "high")}


def _percent(fractions: FloatArray) -> list[float | None]:
    return [short(100 * value) for value in fractions]
