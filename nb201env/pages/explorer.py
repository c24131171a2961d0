"""The space of one or more tables as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from nb201env.output import named, unlike
from nb201env.pages.html import assembled, asset, in_script
from nb201env.pages.space import STYLE, cells_data, space_script, tables_data
from nb201env.table import Table

PAGES = "nb201env.pages"


def explorer(tables: Sequence[Table]) -> str:
    """A page to explore the space by what tables record; the same tables give the same page.

    It asks nobody for anything, and what tables call themselves, their columns and their units is only text.

    Args:
        tables: At least one; one that is there already, by its id, is left out.
    """
    by_id = {table.id: table for table in tables}
    names = unlike(named(table.name) for table in by_id.values())
    data = tables_data(list(zip(names, by_id.values(), strict=True)))
    every = list(range(len(data)))
    title = escape(", ".join(one["name"] for one in data))
    parts = {
        "title": f"The space: {title}",
        "heading": "The space of NAS-Bench-201",
        "lead": title,
        "main": asset(PAGES, "explorer.html"),
        "provenance": "".join(_about(*pair) for pair in zip(names, by_id.values(), strict=True)),
        "style": asset(PAGES, "base.css") + asset(PAGES, STYLE),
        "script": asset(PAGES, "base.js") + space_script() + asset(PAGES, "explorer.js"),
        "data": in_script(cells_data() | {"tables": data, "space": {"tables": every, "costs": every}}),
    }
    return assembled(asset(PAGES, "shell.html"), parts)


def _about(name: str, table: Table) -> str:
    """What a table is, whose, and how to ask it."""
    manifest = table.manifest
    seeds = ", ".join(map(str, table.seeds)) or "means over seeds only"
    cited = manifest.get("citation") or []
    whom = "; ".join(map(str, cited if isinstance(cited, list) else [cited]))
    lines = [
        f"{name}: {table.dataset}, {table.epochs} epochs; seeds: {seeds}; {table.kind}",
        f"licence: {manifest.get('licence') or 'not stated'}",
        *([f"please cite: {whom}"] if whom else []),
    ]
    text = "".join(f"<br>{escape(named(line, 600))}" for line in lines[1:])
    return f"<p>{escape(named(lines[0], 600))}{text}<br>id <code>{escape(table.id)}</code></p>"
