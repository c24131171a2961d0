"""Drawn curves over queries and time, and profiles with the probability of improvement beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nb201env.agents.report.curves import Curve, Profile
from nb201env.agents.report.figure_style import (
    MANY,
    Cast,
    Medium,
    beside,
    legend_below,
    log_axis,
    title,
)
from nb201env.agents.report.statistics import Estimate
from nb201env.agents.report.summary import SettingSummary
from nb201env.agents.report.words import in_figure
from nb201env.arrays import FloatArray
from nb201env.extras import require
from nb201env.pictures import INK, MUTED, plain_number

_DAY = 86_400


def banded(labels: Sequence[str], scores: Mapping[str, float]) -> list[str]:
    """The agents whose intervals are drawn: all, or the two with the lowest scores if they are many."""
    return list(labels) if len(labels) <= MANY else sorted(labels, key=scores.__getitem__)[:2]


def regret_floor(means: Sequence[FloatArray]) -> float:
    """Where a logarithmic regret axis ends, in points: 0 cannot be shown on it."""
    positive = np.concatenate(means)
    positive = positive[positive > 1e-9]
    return 100 * float(positive.min()) * 0.7 if len(positive) else 0.01


class Means(NamedTuple):
    """An agent's mean curves over queries and seconds, and by what the two best are told; lower is better."""

    queries: Curve
    seconds: Curve
    score: float


@dataclass(frozen=True)
class Curves:
    """What a figure of curves shows; values are fractions, and drawn as per cent or percentage points.

    Attributes:
        heading: The title.
        ylabel: What the values are.
        agents: By label.
        random: What random search is expected to have, over queries; None if that is not known.
        log: Whether the values stand on a logarithmic axis, at whose end 0 is drawn.
    """

    heading: str
    ylabel: str
    agents: Mapping[str, Means]
    random: Curve | None
    log: bool = True

    @property
    def floor(self) -> float:
        """Where the axis of values begins, in per cent."""
        means = [curve.mean for axis in (0, 1) for curve in self.over(axis).values()]
        return regret_floor(means) if self.log else 0.0

    @property
    def timed(self) -> bool:
        """Whether there is a clock."""
        return any((one.seconds.x > 0).any() for one in self.agents.values())

    def over(self, axis: int) -> dict[str, Curve]:
        """Every agent's curve over queries (0) or seconds (1)."""
        return {label: (one.queries, one.seconds)[axis] for label, one in self.agents.items()}


def regret(pyplot: Any, one: SettingSummary, cast: Cast, medium: Medium) -> Any:
    """Mean regret against queries and, where there is a clock, against simulated GPU time."""
    shown = Curves(
        f"{in_figure(one.setting.name)}: mean regret",
        "regret of the incumbent (points)",
        {a.entry.label: Means(a.by_queries, a.by_seconds, a.iqm.value) for a in one.agents},
        one.random,
    )
    return over_queries_and_time(pyplot, shown, cast, medium)


def over_queries_and_time(pyplot: Any, shown: Curves, cast: Cast, medium: Medium) -> Any:
    """Means of curves against queries and, where there is a clock, against simulated GPU time."""
    height, floor, labels = 27 * medium.em, shown.floor, list(shown.agents)
    figure, axes = pyplot.subplots(
        1, 1 + shown.timed, figsize=(medium.width, height), sharey=True, layout="constrained", squeeze=False
    )
    with_band = banded(labels, {label: one.score for label, one in shown.agents.items()})
    panels = [(panel, (1, _DAY)[axis], shown.over(axis)) for axis, panel in enumerate(axes[0])]
    for panel, unit, curves in panels:
        _means(panel, curves, unit, floor, with_band, cast, medium)
    left = axes[0, 0]
    if shown.random is not None:
        left.plot(shown.random.x, np.maximum(100 * shown.random.mean, floor), **_expected(medium))
    left.set(xscale="log", yscale="log" if shown.log else "linear", xlabel="queries", ylabel=shown.ylabel)
    if shown.timed:
        axes[0, 1].set(xscale="log", xlabel="simulated GPU days")
    left.set_ylim(bottom=floor)
    if shown.log:
        _zero(left, any(100 * curve.mean.min() < floor for _, _, c in panels for curve in c.values()), medium)
    for panel, unit, curves in panels:
        log_axis(panel.xaxis)
        if cast.many:
            ends = {str(cast.number(label)): curve for label, curve in curves.items()}
            _number_ends(panel, ends, unit, floor, cast, medium, height - 6 * medium.em)
    _keys(figure, labels, with_band, left, cast, medium)
    title(figure, shown.heading, medium)
    return figure


def _zero(axes: Any, reached: bool, medium: Medium) -> None:
    """A logarithmic axis, at whose end 0 is drawn if it was reached."""
    if reached:
        axes.annotate("0", (0, 0), (-0.7 * medium.font, 0), xycoords="axes fraction", color=MUTED, ha="right",
                      va="center", textcoords="offset points")  # fmt: skip
    log_axis(axes.yaxis)


def _expected(medium: Medium) -> dict[str, Any]:
    return {"linestyle": (0, (4, 2)), "color": INK, "linewidth": 0.6 * medium.line,
            "label": "random search, expected"}  # fmt: skip


def _means(axes: Any, curves: Mapping[str, Curve], unit: float, floor: float, with_band: Sequence[str],
           cast: Cast, medium: Medium) -> None:  # fmt: skip
    for label, curve in curves.items():
        x = curve.x / unit
        low, mean, high = (np.maximum(100 * y, floor) for y in (curve.low, curve.mean, curve.high))
        if label in with_band and not np.isnan(low).all():
            axes.fill_between(x, low, high, color=cast.colour(label), alpha=0.15, linewidth=0)
        dot = "o" if len(x) == 1 else None  # a line of one point is none
        axes.plot(x, mean, linewidth=medium.line, marker=dot, markersize=3 * medium.line, **cast.line(label))


def _number_ends(axes: Any, curves: Mapping[str, Curve], unit: float, floor: float, cast: Cast,
                 medium: Medium, height: float) -> None:  # fmt: skip
    points = {
        number: (float(curve.x[-1] / unit), max(100 * float(curve.mean[-1]), floor))
        for number, curve in curves.items()
    }
    beside(
        axes, points, {number: cast.colour(cast.labels[int(number) - 1]) for number in curves}, medium, height
    )


def _keys(figure: Any, labels: Sequence[str], with_band: Sequence[str], axes: Any, cast: Cast,
          medium: Medium) -> None:  # fmt: skip
    """The legend: every agent's line, what else is drawn, and whose bands there are."""
    lines, patches = require("matplotlib.lines", "plots"), require("matplotlib.patches", "plots")
    handles = [
        lines.Line2D([], [], linewidth=medium.line, label=cast.name(label), **cast.line(label))
        for label in labels
    ]
    handles += [line for line in axes.get_lines() if line.get_label() == "random search, expected"]
    if axes.collections:
        whose = "" if len(with_band) == len(labels) else ", of the two best alone"
        handles.append(patches.Patch(color=MUTED, alpha=0.3, linewidth=0, label=f"95 % interval{whose}"))
    legend_below(figure, medium, handles, handlelength=3.2)


# -- profiles and chances --------------------------------------------------------------------


def compare(
    pyplot: Any, profiles: Mapping[str, Profile], pairs: Mapping[tuple[str, str], Estimate],
    scores: Mapping[str, float], heading: str, xlabel: str, cast: Cast, medium: Medium,
) -> Any:  # fmt: skip
    """Performance profiles, and beside or below them the probability of improvement.

    Args:
        pyplot: Matplotlib's.
        profiles: By agent.
        pairs: By agent and agent: how likely the first one beats the second one.
        scores: By agent, what decides who the two best are; lower is better.
        heading: The title.
        xlabel: What the thresholds are.
        cast: The agents of the report.
        medium: What it is drawn for.
    """
    count = len(profiles)
    rows = 0.0 if count == 1 else 4 + 1.75 * count
    size, grid = (27.0, (1, 1 if count == 1 else 2)) if count <= MANY + 1 else (22 + rows, (2, 1))
    shape: dict[str, Any] = {"width_ratios": (1.15, 1)} if grid == (1, 2) else {}
    shape |= {"height_ratios": (22, rows)} if grid == (2, 1) else {}
    figure, axes = pyplot.subplots(
        *grid, figsize=(medium.width, size * medium.em), layout="constrained", squeeze=False, **shape
    )
    with_band = banded(list(profiles), scores)
    first, *others = axes.flat
    _profiles(first, profiles, with_band, cast, medium)
    first.set(xlabel=xlabel, ylabel="searches (%)")
    for axes_of_matrix in others:
        _matrix(axes_of_matrix, list(profiles), pairs, cast, medium)
    _keys(figure, list(profiles), with_band, first, cast, medium)
    title(figure, heading, medium)
    return figure


def _profiles(axes: Any, profiles: Mapping[str, Profile], with_band: Sequence[str], cast: Cast,
              medium: Medium) -> None:  # fmt: skip
    for label, profile in profiles.items():
        x = 100 * profile.thresholds
        if label in with_band and (profile.high > profile.low).any():
            axes.fill_between(x, 100 * profile.low, 100 * profile.high, color=cast.colour(label), alpha=0.13,
                              linewidth=0, step="post")  # fmt: skip
        axes.step(x, 100 * profile.share, where="post", linewidth=medium.line, **cast.line(label))
    axes.set_xscale("symlog", linthresh=0.01, linscale=0.5)
    axes.set(xlim=(0, None), ylim=(0, 102))
    axes.xaxis.set_major_formatter(plain_number)
    if cast.many:
        for label, (across, level) in _on_lines(axes, profiles).items():
            axes.text(
                across, level, str(cast.number(label)), color=cast.colour(label), fontsize=0.8 * medium.font,
                ha="center", va="center",
                bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"},
            )  # fmt: skip


_LEVELS = (50, 35, 65, 20, 80, 42, 58, 27, 73, 12, 88, 94, 6)


def _on_lines(axes: Any, profiles: Mapping[str, Profile]) -> dict[str, tuple[float, float]]:
    """A place for each agent's number on its own line, as far from the others' numbers as can be."""
    taken: list[FloatArray] = []
    found = {}
    for label, profile in profiles.items():
        points = [
            (100 * float(profile.thresholds[int(np.argmax(100 * profile.share >= level))]), float(level))
            for level in _LEVELS
            if 100 * profile.share[0] < level <= 100 * profile.share[-1]
        ] or [(0.0, 100 * float(profile.share[0]))]
        inside = (axes.transScale + axes.transLimits).transform(points) * (2.0, 1.0)  # wider than high
        room = [min((float(np.abs(place - other).max()) for other in taken), default=9.0) for place in inside]
        best = next((i for i, free in enumerate(room) if free > 0.075), int(np.argmax(room)))
        taken.append(inside[best])
        found[label] = points[best]
    return found


def _matrix(axes: Any, labels: Sequence[str], pairs: Mapping[tuple[str, str], Estimate], cast: Cast,
            medium: Medium) -> None:  # fmt: skip
    """How likely each agent beats each other one: bold where the interval does not hold 50."""
    nothing = Estimate(np.nan, np.nan, np.nan)
    cells = [[pairs[a, b] if a != b else nothing for b in labels] for a in labels]
    values = np.array([[100 * cell.value for cell in row] for row in cells])
    axes.pcolormesh(values, cmap="RdBu", vmin=0, vmax=100, edgecolor="white", linewidth=0.5)
    size = medium.font * (0.9 if len(labels) <= 16 else 0.75)
    for (row, column), value in np.ndenumerate(values):
        cell = cells[row][column]
        axes.text(
            column + 0.5, row + 0.5, "–" if np.isnan(value) else f"{value:.0f}", ha="center", va="center",
            color="white" if abs(value - 50) > 32 else INK, fontsize=size,
            fontweight="bold" if cell.low > 0.5 or cell.high < 0.5 else "normal",
        ).set_in_layout(False)  # fmt: skip
    middles = np.arange(len(labels)) + 0.5
    axes.set(xlim=(0, len(labels)), ylim=(len(labels), 0))
    if cast.many:
        axes.set_xticks(middles, [str(cast.number(label)) for label in labels])
        axes.xaxis.tick_top()
    else:
        heads = [cast.name(label, 24) for label in labels]
        axes.set_xticks(middles, heads, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(middles, [cast.name(label, 24) for label in labels])
    axes.tick_params(length=0, labelsize=0.9 * medium.font, colors=INK)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    stop = "; " if cast.many else "\n"
    heading = f"chance (%) that the row beats the column{stop}bold: its interval lacks 50"
    axes.set_title(heading, loc="left", fontsize=medium.font)
