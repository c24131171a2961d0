"""The report's tables for a paper: LaTeX with booktabs, in one file for ``\\input``."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from nb201env.agents.report.document import Pair, Section, document
from nb201env.agents.report.grid import Cell, Grid
from nb201env.agents.report.summary import Summary
from nb201env.agents.report.words import in_latex
from nb201env.output import plain

_HEAD_WIDTH = 16  # letters in a line of a heading
_FEW = 5  # agents whose names fit the head of a matrix
_NUMBER = re.compile(r"(> )?[-−\d.,–]+.*|not recorded|")


def latex(summary: Summary, command: str) -> str:
    r"""All tables of the report, each a ``table`` with a caption and a label: ``\input{tables}``.

    Args:
        summary: The numbers.
        command: The command that writes the report.
    """
    lines = [
        "% Tables of a benchmark report. In the preamble: \\usepackage{booktabs,graphicx}",
        "% (and, for a LaTeX before 2018, \\usepackage[utf8]{inputenc}).",
        f"% Written by: {plain(command)}",
        f"% From {len(summary.bench.searches):,} trajectories, sha256 {summary.bench.digest}",
    ]
    *sections, _ = document(summary, command)  # the last one tells where the numbers come from
    labels = summary.bench.labels
    blocks = [
        block for section in sections for grid in _grids(section) for block in _table(grid, section, labels)
    ]
    return "\n".join([*lines, *blocks])


def _grids(section: Section) -> Iterator[Grid]:
    for part in section.parts:
        if isinstance(part, Grid):
            yield part
        elif isinstance(part, Pair):
            yield part.grid


def _table(grid: Grid, section: Section, labels: Sequence[str]) -> list[str]:
    note = in_latex(grid.note.replace("`", "'"))
    if grid.matrix and len(grid.rows) > _FEW:
        grid = _numbered(grid, labels)
        note += " Columns are numbered as the rows, and intervals left out."
    right = [all(_NUMBER.fullmatch(row[i]) for row in grid.rows) for i in range(len(grid.columns))]
    right[0] = False
    where = "" if grid.title == section.heading else f", {in_latex(section.heading)}"
    return [
        "",
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{in_latex(grid.title)}{where}. {note.strip()}}}",
        rf"\label{{tab:{_slug(section.name)}-{_slug(grid.title)}}}",
        r"\par\smallskip",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{''.join('r' if one else 'l' for one in right)}}}",
        r"\toprule",
        _row(map(_heading, grid.columns, right)),
        r"\midrule",
        *(_row(map(_cell, row)) for row in grid.rows),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]


def _numbered(grid: Grid, labels: Sequence[str]) -> Grid:
    """A matrix of many agents: their numbers in the report as headings, and chances without intervals."""
    numbers = [str(labels.index(label) + 1) for label in grid.columns[1:]]
    rows = tuple(
        (f"{number}  {row[0]}", *map(_chance, row[1:]))
        for number, row in zip(numbers, grid.rows, strict=True)
    )
    return Grid(grid.title, (f"{grid.columns[0]} (%)", *numbers), rows, grid.note, matrix=True)


def _chance(text: str) -> Cell:
    return Cell(re.sub(r" %( \[.*\])?$", "", text), best=isinstance(text, Cell) and text.best)


def _row(cells: Iterator[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(text: str) -> str:
    return rf"\textbf{{{in_latex(text)}}}" if isinstance(text, Cell) and text.best else in_latex(text)


def _heading(text: str, right: bool) -> str:
    """A heading, in several lines if it is long."""
    lines = [in_latex(line) for line in textwrap.wrap(text, _HEAD_WIDTH, break_long_words=False)]
    if len(lines) < 2:
        return in_latex(text)
    stacked = r" \\ ".join(lines)
    return rf"\shortstack[{'r' if right else 'l'}]{{{stacked}}}"


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")
