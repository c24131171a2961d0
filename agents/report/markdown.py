"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from nb201env.agents.report import tables
from nb201env.agents.report.data import Entry
from nb201env.agents.report.papers import beside
from nb201env.agents.report.summary import Summary
from nb201env.agents.report.tables import Grid


def markdown(summary: Summary, command: str, figures: Mapping[str, str]) -> str:
    """The report as one Markdown page.

    Args:
        summary: The numbers.
        command: The command that writes the report.
        figures: Names of figures (see `nb201env.agents.report.figures.draw`) to their paths.
    """
    parts = [
        "# Benchmark report",
        f"{tables.title(summary)}. Accuracies are in per cent, regrets in percentage points (lower is "
        "better), times are simulated GPU time.",
    ]
    if summary.overall is not None:
        over = summary.overall
        parts += ["## All environments", _grid(tables.overall(over)), _figure(figures, "overall", "profiles")]
        parts.append(_grid(tables.improvement(over.labels, over.improvement), level=3))
    for number, one in enumerate(summary.settings):
        labels = [agent.entry.label for agent in one.agents]
        parts += [
            f"## {one.setting.name}",
            tables.about(one),
            _grid(tables.final(one), level=3),
            "" if (paper := beside(one.setting)) is None else _grid(paper, level=3),
            _figure(figures, f"regret-{number}", "regret against queries and simulated GPU time"),
            _grid(tables.reach(one), level=3),
            _figure(figures, f"profiles-{number}", "performance profiles and probability of improvement"),
            _grid(tables.improvement(labels, one.improvement), level=3),
        ]
    parts += ["## Where the numbers come from", *tables.provenance(summary, command)]
    parts.append(_grid(tables.sources(summary)))
    for one in summary.settings:
        parts += [f"### Commands: {one.setting.name}", _commands(one.setting.entries)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _commands(entries: tuple[Entry, ...]) -> str:
    lines = [tables.command(entry) for entry in entries]
    return "\n".join(["```text", *lines, "```"])


def _grid(grid: Grid, level: int = 0) -> str:
    lines = [grid.columns, ["---"] * len(grid.columns), *grid.rows]
    table = "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)
    head = f"{'#' * level} {grid.title}\n\n" if level else ""
    return f"{head}{grid.note}\n\n{table}" if grid.note else head + table


def _figure(figures: Mapping[str, str], name: str, text: str) -> str:
    return f"![{text}]({figures[name]})" if name in figures else ""
