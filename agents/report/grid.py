"""A table of a report: texts that know which number they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


class Cell(str):
    """A text of a table, with what it stands for.

    Attributes:
        value: The number by which its column is sorted; None if it sorts as a text.
        best: Whether it is the best of its column, or cannot be told apart from the best.
    """

    value: float | None
    best: bool

    def __new__(cls, text: str, value: float | None = None, *, best: bool = False) -> Self:
        """A cell."""
        cell = super().__new__(cls, text)
        cell.value, cell.best = value, best
        return cell


@dataclass(frozen=True)
class Grid:
    """A table of texts.

    Attributes:
        title: What it shows; "" where the section's heading says it.
        columns: The headings; the first column names the row.
        rows: Texts; a `Cell` where a number stands behind it.
        note: How to read it.
        matrix: Whether its columns are the agents of its rows, and its cells chances in per cent.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    matrix: bool = False
