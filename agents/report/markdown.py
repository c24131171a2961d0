"""The report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nb201env.agents.report import tables
from nb201env.agents.report.document import Commands, Figure, Pair, Part, document
from nb201env.agents.report.grid import Cell, Grid
from nb201env.agents.report.summary import Summary
from nb201env.output import in_markdown


def markdown(summary: Summary, command: str, figures: Mapping[str, str]) -> str:
    """The report as one Markdown page.

    Args:
        summary: The numbers.
        command: The command that writes the report.
        figures: Names of figures (see `nb201env.agents.report.figures.draw`) to their paths.
    """
    texts = [
        "# Benchmark report",
        f"{in_markdown(tables.title(summary))}. Accuracies are in per cent, regrets in percentage points "
        "(lower is better), times are simulated GPU time.",
    ]
    for section in document(summary, command):
        texts += [f"## {in_markdown(section.heading)}", *map(in_markdown, section.paragraphs)]
        texts += [f"> **Note:** {in_markdown(warning)}" for warning in section.warnings]
        for part in section.parts:
            texts += _part(part, section.heading, figures)
    return "\n\n".join(texts) + "\n"


def _part(part: Part, heading: str, figures: Mapping[str, str]) -> list[str]:
    match part:
        case Grid():
            return _grid(part, heading)
        case Figure():
            return [f"![{part.shows}]({figures[part.file]})"] if part.file in figures else []
        case Pair():
            return [*_part(part.figure, heading, figures), *_grid(part.grid, heading)]
        case Commands():
            return [
                text
                for name, lines in part.settings
                for text in (f"### Commands: {in_markdown(name)}", _code(lines))
            ]


def _grid(grid: Grid, heading: str) -> list[str]:
    """A table under its title, if that does not repeat the section's heading."""
    lines = [
        map(in_markdown, grid.columns),
        ["---"] * len(grid.columns),
        *(map(_cell, row) for row in grid.rows),
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    title = f"### {in_markdown(grid.title)}" if grid.title and grid.title != heading else ""
    return [text for text in (title, in_markdown(grid.note), table) if text]


def _cell(text: str) -> str:
    marked = isinstance(text, Cell) and text.best
    return f"**{in_markdown(text)}**" if marked else in_markdown(text)


def _code(lines: tuple[str, ...]) -> str:
    longest = max(map(len, re.findall("`+", "\n".join(lines))), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *lines, fence])
