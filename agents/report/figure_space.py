"""The space, drawn: all architectures, those that were asked for, and those that were chosen."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from nb201env.agents.report.data import Entry
from nb201env.agents.report.figure_style import Cast, Medium, beside, legend_below, title
from nb201env.agents.report.summary import SettingSummary, visits
from nb201env.agents.report.words import in_figure
from nb201env.arrays import FloatArray, IntArray
from nb201env.comparison import cost_names, costs
from nb201env.envs.answers import keeps_time
from nb201env.extras import require
from nb201env.pictures import INK, RED
from nb201env.plots import Axis
from nb201env.reading import format_seeds
from nb201env.space import SIZE, official_index_of
from nb201env.table import Table

_ALL = "#cdd4db"


def space(pyplot: Any, one: SettingSummary, cast: Cast, medium: Medium) -> Any:
    """Accuracy against a cost: the whole space, and beside it the part in which searches chose."""
    height = 32 * medium.em
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(medium.width, height), layout="constrained", width_ratios=(1, 1.25)
    )
    x, words = _across(one.setting.landscape.table)
    y = 100 * one.setting.landscape.valid
    chosen = np.unique([s.chosen for entry in one.setting.entries for s in entry.searches])
    asked, what = _asked(one.setting.entries)
    low, high = _window(y, chosen)
    dots = _dots(pyplot, left, x, y, asked, 0.3 * medium.font)
    _dots(pyplot, right, x, y, asked, 0.9 * medium.font)
    right.scatter(x[chosen], y[chosen], s=6 * medium.font, facecolors="none", edgecolors=RED,
                  linewidths=0.6 * medium.line, zorder=4)  # fmt: skip
    left.axhspan(low, high, facecolor="none", edgecolor=INK, linewidth=0.5 * medium.line, linestyle=":")
    left.set(xlabel=words, ylabel="validation accuracy, mean over runs (%)")
    right.set(xlabel=words, ylim=(low, high))
    right.set_title("between the dotted lines; numbered is what\neach agent chose most often", loc="left",
                    fontsize=0.9 * medium.font)  # fmt: skip
    beside(right, *_favourites(one, x, y, cast), medium, height - 12 * medium.em)
    _colours(figure, left, dots, asked, what, medium)
    _keys(figure, one, cast, medium)
    title(figure, f"{in_figure(one.setting.name)}: the space and what was asked for", medium)
    return figure


def _across(table: Table) -> tuple[FloatArray, str]:
    """What is drawn from left to right: the first cost that is known, else time, else the official order."""
    for name in cost_names(table):
        if not np.isnan(costs(table, name)).all():
            axis = Axis.of(table, name)
            return _sideways(axis.shown), axis.label
    if keeps_time(table):
        return table.seconds(epochs=table.epochs, run="mean"), "simulated GPU seconds of one training"
    return official_index_of(np.arange(SIZE)).astype(np.float64), "official index"


def _sideways(values: FloatArray) -> FloatArray:
    """Costs that take few values, moved a little so that architectures don't hide each other."""
    steps = np.unique(values[~np.isnan(values)])
    if not 1 < len(steps) <= 100:
        return values
    width = 0.4 * float(np.diff(steps).min())
    return values + np.random.default_rng(0).uniform(-width, width, len(values))


def _asked(entries: tuple[Entry, ...]) -> tuple[IntArray, str]:
    """By how many agents each architecture was asked for; of one agent alone, in how many searches."""
    counts = np.array([visits(entry) for entry in entries])
    if len(counts) == 1:
        return counts[0], "searches that asked for it"
    return (counts > 0).sum(axis=0), "agents that asked for it"


def _window(y: FloatArray, chosen: IntArray) -> tuple[float, float]:
    """The accuracies in which nine of ten of the chosen architectures lie, and the best of all."""
    found = np.sort(y[chosen])
    low, high = float(found[len(found) // 10]), float(np.nanmax(y))
    pad = 0.06 * max(high - low, 1.0)
    return low - pad, high + pad


def _dots(pyplot: Any, axes: Any, x: FloatArray, y: FloatArray, asked: IntArray, size: float) -> Any:
    """All architectures in grey and over them those asked for, the most asked on top.

    15,625 dots are a picture in every format: as outlines they would be megabytes.
    """
    axes.scatter(x, y, s=size, color=_ALL, linewidths=0, rasterized=True)
    colours = require("matplotlib.colors", "plots")
    most = max(int(asked.max()), 1)
    scale = pyplot.get_cmap("viridis_r")(np.linspace(0.12, 1, most))
    order = np.argsort(asked, kind="stable")[(asked == 0).sum() :]
    return axes.scatter(
        x[order], y[order], s=1.6 * size, c=asked[order], cmap=colours.ListedColormap(scale), linewidths=0,
        norm=colours.BoundaryNorm(np.arange(0.5, most + 1), most), rasterized=True, zorder=3,
    )  # fmt: skip


def _favourites(
    one: SettingSummary, x: FloatArray, y: FloatArray, cast: Cast
) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
    """What most searches of each agent chose: by the agents' numbers, its place; and their colours."""
    agents: dict[int, list[str]] = {}
    for entry in one.setting.entries:
        counts = Counter(search.chosen for search in entry.searches)
        favourite = max(counts, key=lambda index: (counts[index], y[index], -index))
        agents.setdefault(favourite, []).append(entry.label)
    points, colours = {}, {}
    for index, labels in agents.items():
        text = (
            format_seeds(sorted(cast.number(label) for label in labels)).replace("-", "–").replace(",", ", ")
        )
        points[text] = (float(x[index]), float(y[index]))
        colours[text] = cast.colour(labels[0]) if len(labels) == 1 else INK
    return points, colours


def _colours(figure: Any, axes: Any, dots: Any, asked: IntArray, what: str, medium: Medium) -> None:
    most = max(int(asked.max()), 1)
    ticks = np.arange(1, most + 1, -(-most // 8))
    bar = figure.colorbar(dots, ax=axes, ticks=ticks, aspect=30, pad=0.03)
    bar.set_label(what, size=0.9 * medium.font)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=0.9 * medium.font)


def _keys(figure: Any, one: SettingSummary, cast: Cast, medium: Medium) -> None:
    line = require("matplotlib.lines", "plots").Line2D
    ring = {"marker": "o", "linestyle": "", "markersize": 0.6 * medium.font}
    labels = [agent.entry.label for agent in one.agents]
    handles = [
        line([], [], **ring, color=_ALL, label="architecture that none asked for"),
        line([], [], **ring, markerfacecolor="none", markeredgecolor=RED, label="chosen by a search"),
        *(line([], [], linestyle="", label=f"{cast.number(label)}  {in_figure(label)}") for label in labels),
    ]
    colours = [INK, INK, *map(cast.colour, labels)]
    legend_below(figure, medium, handles, labelcolor=colours, handlelength=1.0)
