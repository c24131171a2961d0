"""How commands read architectures and show results: tables for people, JSON for programs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table as Grid

from nb201env.architecture import Architecture
from nb201env.table import Run, Table


def print_json(value: Any) -> None:
    """Write a value as JSON; numbers that are not finite become null."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def print_grid(headings: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Write a small table; columns of numbers are right-aligned."""
    rows = [[str(cell) for cell in row] for row in rows]
    grid = Grid(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column, heading in enumerate(headings):
        number = bool(rows) and all(re.fullmatch(r"[-+]?[\d.,]+( .?)?|-|", row[column]) for row in rows)
        grid.add_column(heading, justify="right" if number else "left", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    Console(highlight=False, width=None if sys.stdout.isatty() else 240).print(grid, markup=False)


@contextmanager
def progress_bar(what: str, unit: str = "architectures") -> Iterator[Any]:
    """A progress bar on stderr, if that is a terminal; yields the function to call with (done, total)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
               TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def read_architecture(text: str) -> Architecture:
    """An official string, ``official:6111`` or ``index:4711``.

    Raises:
        ValueError: For anything else; a bare number is ambiguous.
    """
    kind, _, number = text.partition(":")
    if number.isdecimal() and kind == "official":
        return Architecture.from_official_index(int(number))
    if number.isdecimal() and kind == "index":
        return Architecture.from_index(int(number))
    if text.isdecimal():
        raise ValueError(f"{text} could be two architectures: write official:{text} (its row in the official "
                         f"files) or index:{text} (lexicographic)")  # fmt: skip
    return Architecture.parse(text)


def read_run(text: str) -> Run:
    """A seed, or "mean"."""
    if text == "mean":
        return "mean"
    if not text.isdecimal():
        raise ValueError(f"--run is a seed or 'mean'; got {text!r}")
    return int(text)


def percent(fraction: float) -> str:
    """An accuracy as people read it."""
    return f"{100 * fraction:.2f}"


def summary(table: Table) -> dict[str, Any]:
    """What `nb201 table list` says about a table."""
    return {
        "name": table.name,
        "kind": table.manifest.get("kind", "measured"),
        "dataset": table.dataset,
        "epochs": table.epochs,
        "seeds": list(table.seeds),
        "columns": list(table.columns),
        "megabytes": round(table.container.path.stat().st_size / 1e6, 1),
        "id": table.id,
        "path": str(table.container.path),
    }


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]], align: str = "l") -> str:
    """Format a table as Markdown.

    Args:
        headings: One per column; a heading may be empty.
        rows: One cell per column; bars within a cell are escaped.
        align: "l" (left) or "r" (right) for each column; the last letter also stands for all further
            columns.

    Returns:
        Lines joined by line ends, without one after the last.
    """
    sides = {"l": "---", "r": "---:"}
    rules = [sides[side] for side in align.ljust(len(headings), align[-1])]
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join(
        "|" + "".join(f" {cell} |" if cell else " |" for cell in line) for line in (headings, rules, *escaped)
    )
