"""How agents look in charts and figures: a colour and a dash, by their number in the report."""

from __future__ import annotations

from typing import NamedTuple

_LIGHT = ("#0064be", "#ee6474", "#005330", "#571a89", "#b28a00", "#009d9d", "#800a00", "#b2346f", "#696800",
          "#9377ed")  # fmt: skip
_DARK = ("#52adff", "#ffc1c4", "#a1fba0", "#836ab4", "#937714", "#009089", "#d98763", "#bf4d73", "#c1c23e",
         "#dddcff")  # fmt: skip
# Found by a search over hues and lightness: any two lie apart (CIEDE2000 10.9 or more) also for protanopia,
# deuteranopia and tritanopia, and stand out from the page (contrast of 3 or more); tests measure both.
_DASHES: tuple[tuple[float, ...], ...] = (
    (), (5, 2), (1.2, 1.8), (7, 2, 1.5, 2), (6, 1.6, 1.2, 1.6, 1.2, 1.6),
)  # fmt: skip


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
    """The look of the agent with this number, from 0; no two of the first 50 share both colour and dash."""
    colour, turn = number % len(_LIGHT), number // len(_LIGHT)
    return Look(_LIGHT[colour], _DARK[colour], _DASHES[(number + turn) % len(_DASHES)])
