"""How figures look: their colours, numbers and strangers' words in them, legends outside the axes, and files.

Needs matplotlib (extra ``plots``) where a figure is drawn.
"""

from __future__ import annotations

import os
from typing import Any

from nb201env.extras import require
from nb201env.files import appearing
from nb201env.output import plain

INK, MUTED, GRID = "#1f2933", "#66727f", "#e3e8ed"
BLUE, ORANGE, GREEN, RED, PURPLE = "#2b6cb0", "#dd6b20", "#2f855a", "#c53030", "#6b46c1"

# No date and no version goes into a file, so that the same numbers give the same bytes.
NOTHING: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Matplotlib's metadata by format."""

_LINES = (BLUE, ORANGE, GREEN, PURPLE, RED, MUTED)
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.2, 1.6), (7, 2, 1.5, 2))
_STYLE = {
    "axes.labelcolor": INK, "text.color": INK, "legend.frameon": False, "svg.hashsalt": "nb201",
}  # fmt: skip


def pyplot() -> Any:
    """Matplotlib's pyplot, for files alone.

    Raises:
        MissingExtra: If matplotlib is not installed.
    """
    require("matplotlib", "plots").use("Agg")
    return require("matplotlib.pyplot", "plots")


def new(plt: Any, width: float, height: float, *, columns: int = 1) -> Any:
    """A figure of so many inches, and its axes side by side: [1, columns]."""
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(1, columns, figsize=(width, height), layout="constrained", squeeze=False)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1, hspace=0, wspace=0)
    return figure, axes


def line(number: int) -> dict[str, Any]:
    """Colour and dashes of the line with this number, from 0; no two of 24 are alike in both."""
    turn, colour = divmod(number, len(_LINES))
    dash = _DASHES[(colour + 3 * turn) % len(_DASHES)]
    return {"color": _LINES[colour], "linestyle": (0, dash) if dash else "-"}


def number(value: float, form: str = "") -> str:
    """A number as figures show it: formatted, with the minus that matplotlib's own axes have."""
    return format(value, form).replace("-", "\N{MINUS SIGN}")


def plain_number(value: float, _: object = None) -> str:
    """A number on an axis: "1,000", "0.1", never a power of ten."""
    return number(value, ",.8f").rstrip("0").rstrip(".")


def words(text: str, longest: int = 80) -> str:
    """Words of unknown origin as matplotlib shows them as they are, and not all if there are many.

    Formulas stand between dollars, and a legend hides what begins with an underscore.
    """
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    short = plain(short).replace("$", r"\$")
    return f" {short}" if short.startswith("_") else short


def plain_numbers(axis: Any) -> None:
    """Ticks of a logarithmic or long axis as 1,000 and 0.1 in place of powers of ten."""
    axis.set_major_formatter(plain_number)


def legend_below(figure: Any, axes: Any, *, columns: int = 4, **more: Any) -> Any:
    """A legend of what these axes show, beneath all axes of the figure, where it covers nothing."""
    legend = figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns, frameon=False,
        labelcolor=INK, **more,
    )  # fmt: skip
    legend.get_title().set_color(INK)
    return legend


def pale_blues(plt: Any) -> Any:
    """Light to dark blue; the lightest still stands out from white paper."""
    blues = plt.get_cmap("Blues")
    colours = require("matplotlib.colors", "plots").LinearSegmentedColormap
    return colours.from_list("blues", [blues(0.22 + 0.78 * step / 255) for step in range(256)])


def finish(axes: Any, title: str, *, grid: bool = True) -> None:
    """Set a title to the left; take the frame away; draw a grid behind all, or none."""
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=10)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(colors=MUTED, labelcolor=INK, length=0 if not grid else 3)
    axes.tick_params(which="minor", color=MUTED, length=0 if not grid else 2)
    if grid:
        axes.set_axisbelow(True)
        axes.grid(color=GRID, lw=0.8)


def save(figure: Any, path: str | os.PathLike[str], plt: Any) -> None:
    """Write a figure in the format that the path's ending names, and close it.

    Raises:
        ValueError: If the path has no ending.
    """
    kind = os.path.splitext(path)[1].removeprefix(".").lower()
    if not kind:
        raise ValueError(f"{os.fspath(path)}: a picture's name says its format; end it in .png, .pdf or .svg")
    with plt.rc_context(_STYLE), appearing(path) as partial:
        figure.savefig(partial, dpi=150, facecolor="white", format=kind, metadata=NOTHING.get(kind, {}))
    plt.close(figure)
