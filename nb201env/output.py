"""What commands print: tables for people, JSON for programs, progress on a terminal, errors in one line."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from nb201env.architecture import Architecture
from nb201env.table import Table


class Interrupted(Exception):
    """Ctrl-C; the message says whether and how the command can be resumed."""


@contextmanager
def resumable(then: str = "run the same command again to resume") -> Iterator[None]:
    """For what a command may be stopped in; `then` says how one goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {then}") from None


def command_line() -> str:
    """The command that is running, as one would type it."""
    return shlex.join(["nb201", *sys.argv[1:]])


def plain(text: object) -> str:
    """A text of unknown origin as a terminal may show it: what is no letter, sign or blank is spelt out.

    Escape sequences, line ends and marks that turn the direction of writing become ``\\x1b`` and the like.
    """
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(text)
    )


def named(text: object, longest: int = 200) -> str:
    """A name of unknown origin on one line, without what a terminal obeys, and of a length to be read.

    Backticks, which mark code in sentences of reports, become quotes.
    """
    shown = plain(text).replace("`", "'")
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def unlike(names: Iterable[str]) -> list[str]:
    """Names that differ from each other: one that stands there already gets a number."""
    found: list[str] = []
    for name in names:
        number, other = 1, name
        while other in found:
            number += 1
            other = f"{name} ({number})"
        found.append(other)
    return found


def print_error(message: object) -> None:
    """Write one line to stderr: "error: " and the message, with nothing in it that a terminal obeys."""
    if isinstance(message, OSError) and message.filename and message.strerror:
        message = (
            f"{message.filename}: {message.strerror[:1].lower()}{message.strerror[1:]}"  # without [Errno 2]
        )
    line = plain(str(message).replace("\n", " "))
    typer.echo(f"{typer.style('error:', fg='red')} {line}", err=True)


def print_json(value: Any) -> None:
    """Write a value as JSON; numbers that are not finite become null."""
    text = json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    # What a terminal might obey is spelt out, as JSON does it.
    typer.echo("".join(s if s.isprintable() or s == "\n" else json.dumps(s)[1:-1] for s in text))


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
    """Write a small table; columns of numbers are right-aligned; without headings if all are empty.

    Nothing is folded or cut: on a narrow terminal a line runs over its edge, so that an architecture
    can be copied whole.
    """
    rows = [[plain(cell) for cell in row] for row in rows]
    heads = [heading.split("\n") for heading in headings]
    height = max(map(len, heads)) if any(headings) else 0
    top = [[head[line] if line < len(head) else "" for head in heads] for line in range(height)]
    widths = [max(map(cell_len, column)) for column in zip(*top, *rows, strict=True)]
    right = [bool(rows) and all(map(_is_number, column)) for column in zip(*rows, strict=True)]
    right = right or [False] * len(widths)
    if title:
        typer.secho(title, bold=True)
    for line in top:
        typer.secho(_line(line, widths, right), bold=True)
    for row in rows:
        typer.echo(_line(row, widths, right))


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+]?[\d.,]+( ± [\d.,]+| .)?|-|", cell))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    gaps = [" " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)]
    padded = (gap + cell if side else cell + gap for cell, gap, side in zip(cells, gaps, right, strict=True))
    return "  ".join(padded).rstrip()


@contextmanager
def progress_bars(*columns: ProgressColumn) -> Iterator[Progress]:
    """Progress bars on stderr, if that is a terminal, with these columns between bar and time."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), *columns, TimeElapsedColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        yield progress


@contextmanager
def progress_bar(what: str, unit: str = "architectures") -> Iterator[Callable[..., None]]:
    """One progress bar on stderr, if that is a terminal.

    Yields:
        The function to call with how much is done, how much there is, and optionally a note.
    """
    counts = TextColumn(f"{{task.completed:,.0f}}/{{task.fields[of]}} {unit}", markup=False)
    with progress_bars(counts, TextColumn("{task.fields[note]}", markup=False)) as progress:
        task = progress.add_task(what, total=None, of="?", note="")

        def update(done: int, total: int, note: str = "") -> None:
            progress.update(task, completed=done, total=total, of=f"{total:,}", note=note)

        yield update


def percent(fraction: float) -> str:
    """An accuracy as people read it."""
    return f"{100 * fraction:.2f}"


def names(architecture: Architecture) -> dict[str, Any]:
    """An architecture's three names, for JSON."""
    return {
        "architecture": str(architecture),
        "index": architecture.index,
        "official_index": architecture.official_index,
    }


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


def in_markdown(text: str) -> str:
    """A line that no Markdown reads as markup, outside the `code` that it holds."""
    parts = re.split("(`[^`]*`)", text)
    return "".join(part if place % 2 else _MARKUP.sub(_entity, part) for place, part in enumerate(parts))


# HTML, cells, emphasis, formulas, escapes, and what makes links and pictures; line ends are gone already.
_MARKUP = re.compile(r"[&<|*~$\\]|\](?=[(\[:])")


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


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
