"""The report's figures with matplotlib (extra ``plots``), as PNG and SVG."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.agents.report.statistics import Estimate
from nb201env.agents.report.summary import Curve, Profile, SettingSummary, Summary
from nb201env.agents.report.words import in_figure
from nb201env.arrays import FloatArray
from nb201env.extras import require
from nb201env.pictures import GRID, INK, MUTED

COLOURS = ("#2f6db5", "#d1495b", "#3a8f68", "#8e5aa8", "#b8860b", "#0f8c99", "#c2571a", "#5a5fd0",
           "#b8457f", "#76851c", "#86644a", "#5b6773")  # fmt: skip
"""Of agents in figures, in the order in which they appear; dark enough for white paper."""

_STYLE = {
    "font.size": 10, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED, "xtick.color": MUTED,
    "ytick.color": MUTED, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": GRID, "axes.axisbelow": True, "legend.frameon": False, "svg.hashsalt": "nb201",
}  # fmt: skip


def draw(summary: Summary, folder: Path) -> dict[str, str]:
    """Draw all figures.

    Args:
        summary: The numbers.
        folder: Where the files go, each as PNG and as SVG.

    Returns:
        The PNG's path relative to `folder`, by "regret-N" and "profiles-N" for setting N, "overall".

    Raises:
        MissingExtra: If matplotlib is not installed.
    """
    require("matplotlib", "plots").use("Agg")
    pyplot = require("matplotlib.pyplot", "plots")
    labels = summary.bench.labels
    with pyplot.rc_context(_STYLE), warnings.catch_warnings():
        # Names may hold signs that the font lacks, and be so many that they leave no room.
        warnings.filterwarnings("ignore", "Glyph|constrained_layout not applied")
        made = {}
        for number, one in enumerate(summary.settings):
            made[f"regret-{number}"] = regret(pyplot, one, labels)
            made[f"profiles-{number}"] = _compare(
                pyplot,
                {agent.entry.label: agent.profile for agent in one.agents},
                one.improvement,
                labels,
                f"{in_figure(one.setting.name)}: performance profiles",
                "final regret at most (percentage points)",
            )
        if summary.overall is not None:
            made["overall"] = _compare(
                pyplot,
                summary.overall.profile,
                summary.overall.improvement,
                labels,
                "All environments: performance profiles",
                "regret left, of the median architecture's (%)",
            )
        return {name: _save(pyplot, folder, name, figure) for name, figure in made.items()}


def _save(pyplot: Any, folder: Path, name: str, figure: Any) -> str:
    # No date and no version inside, so that the same numbers give the same bytes.
    for kind, nothing in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        figure.savefig(folder / f"{name}.{kind}", dpi=120, metadata=nothing)
    pyplot.close(figure)
    return f"{name}.png"


def regret(pyplot: Any, one: SettingSummary, labels: Sequence[str]) -> Any:
    """Mean regret with its 95 % interval against queries and simulated GPU time."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    means = [curve.mean for agent in one.agents for curve in (agent.by_queries, agent.by_seconds)]
    floor = regret_floor(means)
    for agent in one.agents:
        colour = COLOURS[labels.index(agent.entry.label) % len(COLOURS)]
        _line(left, agent.by_queries, 1, floor, colour, in_figure(agent.entry.label))
        _line(right, agent.by_seconds, 86_400, floor, colour, in_figure(agent.entry.label))
    if one.random is not None:
        x, y = one.random.x, 100 * one.random.mean
        left.plot(x, y, "--", color=MUTED, linewidth=1.2, label="random search, expected")
    left.set(xscale="log", yscale="log", xlabel="queries", ylabel="regret of the incumbent (points)")
    timed = any((agent.by_seconds.x > 0).any() for agent in one.agents)  # not so without a clock
    right.set(xscale="log" if timed else "linear", xlabel="simulated GPU days")
    left.set_ylim(bottom=floor)
    for axis in (left.xaxis, right.xaxis, left.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    left.legend(loc="lower left", fontsize=8 if len(one.agents) > 5 else 10)
    figure.suptitle(f"{in_figure(one.setting.name)}: mean regret and its 95 % interval", x=0.01, ha="left",
                    fontweight="bold")  # fmt: skip
    return figure


def regret_floor(means: Sequence[FloatArray]) -> float:
    """Where a logarithmic regret axis ends, in points: 0 cannot be shown on it."""
    positive = np.concatenate(means)
    positive = positive[positive > 1e-9]
    return 100 * float(positive.min()) * 0.7 if len(positive) else 0.01


def _line(axes: Any, curve: Curve, unit: float, floor: float, colour: str, label: str) -> None:
    x = curve.x / unit
    low, mean, high = (np.maximum(100 * y, floor) for y in (curve.low, curve.mean, curve.high))
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(x, mean, color=colour, linewidth=1.8, label=label)


def _compare(
    pyplot: Any, profiles: Mapping[str, Profile], pairs: Mapping[tuple[str, str], Estimate],
    labels: Sequence[str], title: str, xlabel: str,
) -> Any:  # fmt: skip
    """Performance profiles, and beside them the probability of improvement."""
    count = len(profiles)
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(10, max(4.0, 1.6 + 0.42 * count)), layout="constrained", width_ratios=(1.15, 1)
    )
    for label, profile in profiles.items():
        colour = COLOURS[labels.index(label) % len(COLOURS)]
        x = 100 * profile.thresholds
        left.fill_between(x, 100 * profile.low, 100 * profile.high, color=colour, alpha=0.13, linewidth=0,
                          step="post")  # fmt: skip
        left.step(x, 100 * profile.share, color=colour, linewidth=1.8, label=in_figure(label), where="post")
    left.set_xscale("symlog", linthresh=0.01)
    left.set(xlim=(0, None), ylim=(0, 102), xlabel=xlabel, ylabel="searches (%)")
    left.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    left.legend(fontsize=8 if count > 5 else 9, loc="best")
    _matrix(right, list(profiles), pairs)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def _matrix(axes: Any, labels: Sequence[str], pairs: Mapping[tuple[str, str], Estimate]) -> None:
    values = np.array([[100 * pairs[a, b].value if a != b else np.nan for b in labels] for a in labels])
    axes.imshow(values, cmap="RdBu", vmin=0, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if abs(value - 50) > 32 else INK
        text = "–" if np.isnan(value) else f"{value:.0f}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    short = [in_figure(label if len(label) < 24 else f"{label[:22]}…") for label in labels]
    axes.set_xticks(range(len(labels)), short, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), short)
    axes.tick_params(length=0, labelsize=9)
    axes.grid(False)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title("probability (%) that the row beats the column", loc="left", fontsize=10)
