"""The report as one HTML page that needs nothing else: `page.html` with style, script and data inside.

The tables are written here; `page.js` draws the charts from the numbers in the page. A content
security policy in the page forbids every request.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from nb201env import drawing
from nb201env.agents.report import tables
from nb201env.agents.report.figures import regret_floor
from nb201env.agents.report.papers import beside
from nb201env.agents.report.summary import (
    AgentSummary,
    Curve,
    Overall,
    Profile,
    SettingSummary,
    Summary,
    visits,
)
from nb201env.agents.report.tables import Grid
from nb201env.arrays import Array, FloatArray, IntArray
from nb201env.comparison import costs
from nb201env.space import SIZE, official_index_of
from nb201env.table import NotRecorded

Json = dict[str, Any]
Markup = str


def page(summary: Summary, command: str) -> str:
    """The report as HTML.

    Args:
        summary: The numbers.
        command: The command that writes the report.
    """
    panels = [(f"environment-{i}", one.setting.name) for i, one in enumerate(summary.settings)]
    sections = [_setting(name, one) for (name, _), one in zip(panels, summary.settings, strict=True)]
    if summary.overall is not None:
        panels.append(("all", "All environments"))
        sections.append(_overall("all", summary.overall))
    parts = {
        "title": f"Benchmark report: {escape(tables.title(summary))}",
        "lead": escape(tables.title(summary)),
        "tabs": "".join(_tab(name, text) for name, text in panels),
        "sections": "\n".join(sections),
        "provenance": _provenance(summary, command),
        "style": _file("page.css"),
        "script": _file("page.js"),
        "data": json.dumps(_data(summary), separators=(",", ":")).replace("</", "<\\/"),
    }
    return re.sub(r"{{(\w+)}}", lambda match: parts[match[1]], _file("page.html"))


def _file(name: str) -> str:
    return files("nb201env.agents.report").joinpath(name).read_text(encoding="utf-8")


# -- markup ----------------------------------------------------------------------------------


def _tab(name: str, text: str) -> Markup:
    return (
        f'<button type="button" role="tab" id="tab-{name}" aria-controls="{name}" data-panel="{name}">'
        f"{escape(text)}</button>"
    )


def _panel(name: str, *cards: Markup) -> Markup:
    return f'<section role="tabpanel" id="{name}" aria-labelledby="tab-{name}">{"".join(cards)}</section>'


def _card(title: str, note: str, body: Markup) -> Markup:
    text = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<div class="card"><h2>{escape(title)}</h2>{text}{body}</div>'


def _chart(kind: str, title: str, note: str) -> Markup:
    return f'<div class="card" data-chart="{kind}"><h2>{title}</h2><p class="note">{note}</p></div>'


def _setting(name: str, one: SettingSummary) -> Markup:
    labels = [agent.entry.label for agent in one.agents]
    return _panel(
        name,
        f'<p class="note">{escape(tables.about(one))}</p>',
        _chart("regret", "Regret", _REGRET),
        _table_card(tables.final(one)),
        "" if (paper := beside(one.setting)) is None else _table_card(paper),
        _table_card(tables.reach(one)),
        '<div class="two">',
        _chart("profile", "Performance profile", _PROFILE),
        _table_card(tables.improvement(labels, one.improvement)),
        "</div>",
        _chart("space", "The space", _SPACE),
    )


_REGRET = (
    "The optimum minus the incumbent's accuracy, both means over the table's runs. Move over the chart, or "
    "focus it and use the arrow keys, to read values."
)
_PROFILE = (
    "The share of searches that end with at most this regret; the band is the 95 % interval. The higher the "
    "curve, the better."
)
_SPACE = (
    "All 15,625 architectures. Coloured dots were asked for by a search of that agent, rings are the "
    "architectures that its searches chose. Move over a dot to see its cell."
)


def _overall(name: str, over: Overall) -> Markup:
    return _panel(
        name,
        _table_card(tables.overall(over)),
        '<div class="two">',
        _chart("profile", "Performance profile", f"{_PROFILE} The mean over environments."),
        _table_card(tables.improvement(over.labels, over.improvement)),
        "</div>",
    )


def _table_card(grid: Grid) -> Markup:
    return _card(grid.title, grid.note, _table(grid))


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


def _provenance(summary: Summary, command: str) -> Markup:
    lines = (escape(line) for line in tables.provenance(summary, command))
    paragraphs = "".join(re.sub("`(.*?)`", r"<code>\1</code>", f"<p>{line}</p>") for line in lines)
    commands = "".join(
        f"<p>{escape(one.setting.name)}</p>"
        + "".join(f"<code>{escape(tables.command(entry))}</code>" for entry in one.setting.entries)
        for one in summary.settings
    )
    details = f"<details><summary>The commands of all searches</summary>{commands}</details>"
    return paragraphs + _table(tables.sources(summary)) + details


# -- data ------------------------------------------------------------------------------------


def _data(summary: Summary) -> Json:
    labels = summary.bench.labels
    panels: Json = {f"environment-{i}": _panel_data(one, labels) for i, one in enumerate(summary.settings)}
    if summary.overall is not None:
        panels["all"] = _overall_data(summary.overall, labels)
    return {
        "labels": labels,
        "cell": drawing.svg_parts()._asdict(),
        "official": _packed(official_index_of(np.arange(SIZE))),
        "panels": panels,
    }


def _panel_data(one: SettingSummary, labels: Sequence[str]) -> Json:
    curves = [curve for agent in one.agents for curve in (agent.by_queries, agent.by_seconds)]
    return {
        "agents": [_agent_data(agent, labels) for agent in one.agents],
        "random": None if one.random is None else _curve_data(one.random, 1),
        "floor": _short(regret_floor([curve.mean for curve in curves])),
        "thresholds": _percent(one.agents[0].profile.thresholds),
        "xLabel": "final regret at most (points)",
        "unit": "points",
        "space": _space_data(one),
    }


def _agent_data(agent: AgentSummary, labels: Sequence[str]) -> Json:
    return {
        "label": labels.index(agent.entry.label),
        "queries": _curve_data(agent.by_queries, 1),
        "hours": _curve_data(agent.by_seconds, 3600),
        "profile": _profile_data(agent.profile),
        "chosen": [search.chosen for search in agent.entry.searches],
        "visits": _packed(visits(agent.entry)),
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
    return {"x": [_short(x / unit) for x in curve.x]} | {name: _percent(band) for name, band in bands.items()}


def _profile_data(profile: Profile) -> Json:
    return {name: _percent(getattr(profile, name)) for name in ("share", "low", "high")}


def _percent(fractions: FloatArray) -> list[float | None]:
    return [_short(100 * value) for value in fractions]


def _short(value: float) -> float | None:
    """A number with 5 significant digits, as small as JSON can hold it; None where there is none."""
    return None if np.isnan(value) else float(f"{value:.5g}")


def _space_data(one: SettingSummary) -> Json:
    landscape = one.setting.landscape
    return {
        "valid": _packed(_hundredths(landscape.valid)),
        "test": None if landscape.test is None else _packed(_hundredths(landscape.test)),
        "rank": _packed(landscape.rank),
        "axes": _costs(one),
    }


def _hundredths(accuracy: FloatArray) -> IntArray:
    """Accuracies in hundredths of a per cent; 0 where there is none."""
    return np.rint(np.nan_to_num(accuracy) * 1e4).astype(np.int64)


def _costs(one: SettingSummary) -> Json:
    table = one.setting.landscape.table
    found: Json = {}
    shown: Json
    for kind, name, label, digits in (
        ("params", "parameters", "parameters", 3), ("macs", "MACs", "multiply-accumulates", 1),
    ):  # fmt: skip
        with suppress(NotRecorded):
            counts = costs(table, kind)
            unit, scale, word = ("M", 1e6, "millions") if counts.max() >= 1e6 else ("k", 1e3, "thousands")
            found[kind] = _levels(name, f"{label} ({word})", counts / scale, unit, digits)
    seconds = np.nan_to_num(table.seconds(epochs=table.epochs, run="mean"))
    hours = {
        "name": "GPU seconds",
        "label": "simulated GPU seconds of one training",
        "unit": "s",
        "digits": 0,
    }
    found["seconds"] = hours | {"values": _packed(seconds.astype("<f4"))}
    if "latency_seconds" in table.columns:
        latency = table.values("latency_seconds")
        latency = 1e3 * np.nan_to_num(latency if latency.ndim == 1 else np.nanmean(latency, axis=1))
        shown = {"name": "latency", "label": "latency (ms)", "unit": "ms", "digits": 2}
        found["latency"] = shown | {"values": _packed(latency.astype("<f4"))}
    return found


def _levels(name: str, label: str, values: FloatArray, unit: str, digits: int) -> Json:
    """A cost of few different values: which of them every architecture has."""
    levels, codes = np.unique(values, return_inverse=True)
    return {"name": name, "label": label, "unit": unit, "digits": digits, "levels": levels.tolist(),
            "codes": _packed(codes)}  # fmt: skip


def _packed(values: Array) -> Json:
    """An array as base64 of its smallest little-endian type."""
    if values.dtype.kind != "f":
        size = next(bits for bits in (8, 16, 32) if int(values.max()) < 1 << bits) // 8
        values = values.astype(f"<u{size}")
    kind = f"{values.dtype.kind}{values.dtype.itemsize}"
    return {"type": kind, "base64": base64.b64encode(values.tobytes()).decode("ascii")}
