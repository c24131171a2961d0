"""Drawn figures of searches with several objectives: hypervolume, share of the front, attained fronts."""

from __future__ import annotations

from typing import Any

from nb201env.agents.report.attained import Attained, Steps, Window, attained_fronts
from nb201env.agents.report.figure_lines import Curves, Means, over_queries_and_time
from nb201env.agents.report.figure_style import Cast, Medium, beside, legend_below, log_axis, title
from nb201env.agents.report.fronts.summary import FrontSetting
from nb201env.agents.report.words import in_figure
from nb201env.extras import require
from nb201env.pictures import INK, plain_number

TRUE_FRONT = "true front"


def volume(pyplot: Any, one: FrontSetting, cast: Cast, medium: Medium) -> Any:
    """What is lacking of the true front's hypervolume, against queries and simulated GPU time."""
    shown = Curves(
        f"{in_figure(one.setting.name)}: mean gap to the true front",
        "hypervolume lacking (%)",
        {a.entry.label: Means(a.gap_by_queries, a.gap_by_seconds, a.iqm.value) for a in one.agents},
        one.random_gap,
    )
    return over_queries_and_time(pyplot, shown, cast, medium)


def share(pyplot: Any, one: FrontSetting, cast: Cast, medium: Medium) -> Any:
    """The share of the true front's points asked for, against queries and simulated GPU time."""
    shown = Curves(
        f"{in_figure(one.setting.name)}: mean share of the true front",
        "points of the true front asked for (%)",
        {a.entry.label: Means(a.share_by_queries, a.share_by_seconds, 1 - float(a.shares.mean()))
         for a in one.agents},
        one.random_share,
        log=False,
    )  # fmt: skip
    return over_queries_and_time(pyplot, shown, cast, medium)


# -- attained fronts -------------------------------------------------------------------------


def attained(pyplot: Any, one: FrontSetting, cast: Cast, medium: Medium) -> Any:
    """The true front and what at least half of each agent's searches attain; the whole and its better half.

    Raises:
        ValueError: If there are other than two objectives.
    """
    shown = attained_fronts(one)
    if shown is None:
        raise ValueError(f"{one.setting.name}: fronts of two objectives alone can be drawn")
    height = 30 * medium.em
    figure, axes = pyplot.subplots(
        1, len(shown.windows), figsize=(medium.width, height), layout="constrained", squeeze=False
    )
    for panel, window in zip(axes[0], shown.windows, strict=True):
        _panel(panel, shown, window, cast, medium)
    axes[0, 0].set_ylabel(in_figure(shown.up))
    if len(shown.windows) > 1:
        axes[0, 1].set_title(
            f"the half with the better {in_figure(shown.first)}", loc="left", fontsize=0.9 * medium.font
        )
    last, window = axes[0, -1], shown.windows[-1]
    if cast.many:
        ends = {str(cast.number(label)): (window.right, float(_height(steps, window.right)))
                for label, steps in shown.agents.items()}  # fmt: skip
        colours = {str(cast.number(label)): cast.colour(label) for label in shown.agents}
        beside(last, ends, colours, medium, height - 6 * medium.em)
    _keys(figure, shown, cast, medium)
    title(figure, f"{in_figure(one.setting.name)}: median attained fronts", medium)
    return figure


def _panel(axes: Any, shown: Attained, window: Window, cast: Cast, medium: Medium) -> None:
    axes.step(*shown.front, where="post", **_front_line(medium))
    axes.plot(*shown.points.T, linestyle="", marker="o", color=INK, markersize=2.6 * medium.line, zorder=4)
    for label, steps in shown.agents.items():
        axes.step(*steps, where="post", linewidth=medium.line, zorder=3, **cast.line(label))
    if shown.log:
        axes.set_xscale("log")
    axes.set(xlim=window[:2], ylim=window[2:], xlabel=in_figure(shown.across))
    if shown.log:
        log_axis(axes.xaxis)
    else:
        axes.xaxis.set_major_formatter(plain_number)
    axes.yaxis.set_major_formatter(plain_number)


def _front_line(medium: Medium) -> dict[str, Any]:
    return {"color": INK, "linewidth": 0.8 * medium.line}


def _height(steps: Steps, at: float) -> float:
    """How high a boundary is at a place across."""
    return float(steps.y[max(int((steps.x <= at).sum()) - 1, 0)])


def _keys(figure: Any, shown: Attained, cast: Cast, medium: Medium) -> None:
    line = require("matplotlib.lines", "plots").Line2D
    front = line([], [], marker="o", markersize=2.6 * medium.line, label=TRUE_FRONT, **_front_line(medium))
    agents = [
        line([], [], linewidth=medium.line, label=cast.name(label), **cast.line(label))
        for label in shown.agents
    ]
    legend_below(figure, medium, [*agents, front], handlelength=3.2)
