"""How agents look in charts and figures: a colour and a dash, by their number in the report."""

from __future__ import annotations

from typing import NamedTuple

_LIGHT = ("#2f6db5", "#d1495b", "#3a8f68", "#8e5aa8", "#b8860b", "#0f8c99", "#c2571a", "#5a5fd0",
          "#b8457f", "#76851c", "#86644a", "#5b6773")  # fmt: skip
_DARK = ("#6aa9ee", "#f0788a", "#5fc393", "#c08fdc", "#e0b341", "#4cc5d1", "#ee8a4e", "#9295f5",
         "#e67fb2", "#b0c04f", "#c39d80", "#a3b0bd")  # fmt: skip
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.2, 1.8), (7, 2, 1.5, 2))


class Look(NamedTuple):
    """How one agent looks.

    Attributes:
        light: Its colour on white, "#rrggbb".
        dark: Its colour on a dark page.
        dash: Lengths of strokes and gaps in line widths; empty for a line without gaps.
    """

    light: str
    dark: str
    dash: tuple[float, ...]


def look(number: int) -> Look:
    """The look of the agent with this number, from 0; no two of 48 share both colour and dash."""
    colour, turn = number % len(_LIGHT), number // len(_LIGHT)
    return Look(_LIGHT[colour], _DARK[colour], _DASHES[(number + turn) % len(_DASHES)])
