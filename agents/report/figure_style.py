"""What all drawn figures of a report share: media, agents' lines and names, numbers on axes, legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nb201env.agents.report.looks import look
from nb201env.agents.report.words import in_figure
from nb201env.arrays import FloatArray
from nb201env.extras import require
from nb201env.pictures import GRID, INK, MUTED, plain_number

MANY = 5
"""With more agents than this, lines have numbers at their ends, and only the best two have bands."""

_STYLE = {
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED, "xtick.color": MUTED,
    "ytick.color": MUTED, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": GRID, "axes.axisbelow": True, "legend.frameon": False, "svg.hashsalt": "nb201",
}  # fmt: skip


@dataclass(frozen=True)
class Medium:
    """What a figure is drawn for.

    Attributes:
        formats: Endings of the files.
        width: Of the figure, in inches.
        font: The size of its text, in points.
        line: The width of its lines, in points.
        dpi: Of a PNG; in the other formats, of the dots that are a picture in them.
        titled: Whether its title stands in it; in a paper a caption says it.
        style: Matplotlib's settings.
    """

    formats: tuple[str, ...]
    width: float
    font: float
    line: float
    dpi: int
    titled: bool
    style: Mapping[str, Any]

    @property
    def em(self) -> float:
        """The size of its text in inches."""
        return self.font / 72

    @property
    def settings(self) -> dict[str, Any]:
        """All of matplotlib's settings for it."""
        return _STYLE | {"font.size": self.font, "grid.linewidth": 0.4 * self.line,
                         "figure.dpi": self.dpi} | dict(self.style)  # fmt: skip


SCREEN = Medium(("png",), 10.0, 10.0, 1.8, 120, True, {})
# The text of a two-column page is 6.75 inches wide. Fonts as in the paper: STIX, which comes with matplotlib
# and resembles Times. A PDF holds them as TrueType, which publishers ask for; an SVG holds outlines, for few
# machines have the font, and another one would not fit its place.
PAPER = Medium(("svg", "pdf"), 6.75, 8.0, 1.1, 300, False, {
    "font.family": ["STIXGeneral", "DejaVu Sans"], "mathtext.fontset": "stix", "pdf.fonttype": 42,
    "svg.fonttype": "path", "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4, "ytick.minor.width": 0.4,
})  # fmt: skip


@dataclass(frozen=True)
class Cast:
    """The agents of a report, by their numbers in it: how each one is named and drawn.

    Attributes:
        labels: All agents of the report, in its order.
    """

    labels: Sequence[str]

    @property
    def many(self) -> bool:
        """Whether they are so many that numbers help to tell them apart."""
        return len(self.labels) > MANY

    def number(self, label: str) -> int:
        """An agent's number, from 1."""
        return list(self.labels).index(label) + 1

    def name(self, label: str, longest: int = 60) -> str:
        """An agent's name, after its number where they are many."""
        text = in_figure(label if len(label) <= longest else f"{label[: longest - 1]}…")
        return f"{self.number(label)}  {text.lstrip()}" if self.many else text

    def colour(self, label: str) -> str:
        """An agent's colour."""
        return look(self.number(label) - 1).light

    def line(self, label: str) -> dict[str, Any]:
        """Colour and dash of an agent's line."""
        dash = look(self.number(label) - 1).dash
        return {"color": self.colour(label), "linestyle": (0, dash) if dash else "-"}


def log_axis(axis: Any) -> None:
    """A logarithmic axis with plain numbers: at 1, 10, 100 of many decades, at 1, 2, 5, 10 of few."""
    low, high = axis.get_view_interval()
    subs = (1.0,) if high > 1e3 * low else (1.0, 2.0, 5.0)
    axis.set_major_locator(require("matplotlib.ticker", "plots").LogLocator(subs=subs))
    axis.set_major_formatter(plain_number)
    axis.set_minor_formatter(require("matplotlib.ticker", "plots").NullFormatter())


def title(figure: Any, text: str, medium: Medium) -> None:
    """A title at the left above all axes, where the medium has one."""
    if medium.titled:
        figure.suptitle(text, x=0.01, ha="left", fontweight="bold")


def legend_below(figure: Any, medium: Medium, handles: Sequence[Any], **more: Any) -> None:
    """A legend below all axes, in as many columns as there is room for; the figure grows by its height."""
    renderer = figure.canvas.get_renderer()
    most = figure.bbox.width
    for columns in range(min(len(handles), 6), 0, -1):
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns,
                               fontsize=0.9 * medium.font, columnspacing=1.5, **more)  # fmt: skip
        box = legend.get_window_extent(renderer)
        if box.width <= most or columns == 1:
            break
        legend.remove()
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + box.height / figure.dpi)


def spread(places: FloatArray, gap: float, low: float = 0.0, high: float = 1.0) -> FloatArray:
    """Places on a line, moved as little as needed to stand `gap` apart within [low, high]; in their order.

    It has the least sum of squared moves: with i times the gap taken off the i-th place, that is isotonic
    regression, here by pooling adjacent violators (Barlow et al., Statistical Inference under Order
    Restrictions, 1972). If there is not room enough, the gap is what there is.

    Args:
        places: float64 [n].
        gap: The least distance.
        low, high: The ends of the line.
    """
    count = len(places)
    if not count:
        return places
    gap = min(gap, (high - low) / max(count - 1, 1))
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(count)
    pools: list[tuple[float, int]] = []  # mean and size
    for place in (places[order] - steps).tolist():
        mean, size = place, 1
        while pools and pools[-1][0] >= mean:
            before, held = pools.pop()
            mean, size = (before * held + mean * size) / (held + size), held + size
        pools.append((mean, size))
    moved = np.repeat([mean for mean, _ in pools], [size for _, size in pools])
    found = np.empty(count)
    found[order] = np.clip(moved, low, high - steps[-1]) + steps
    return found


def beside(axes: Any, points: Mapping[str, tuple[float, float]], colours: Mapping[str, str],
           medium: Medium, height: float) -> None:  # fmt: skip
    """Texts at the right of the axes, each with a thin line to its point, none over another.

    Args:
        axes: Whose limits are set already.
        points: By text, x and y in the numbers of the axes.
        colours: By text.
        medium: For the size of texts.
        height: Of the axes, about, in inches.
    """
    if not points:
        return
    inside = (axes.transScale + axes.transLimits).transform(list(points.values()))[:, 1]
    places = spread(np.clip(inside, 0, 1), 0.95 * medium.em / height, 0.0, 1.0)
    for (text, point), place in zip(points.items(), places.tolist(), strict=True):
        axes.annotate(
            text, point, (1.04, place), textcoords="axes fraction", va="center", fontsize=0.85 * medium.font,
            color=colours[text], annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colours[text], "linewidth": 0.35 * medium.line,
                        "alpha": 0.7, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
