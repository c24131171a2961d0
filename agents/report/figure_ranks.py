"""The critical-difference diagram: mean ranks over environments, and which of them are not told apart.

The form is that of J. Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nb201env.agents.report.figure_style import Cast, Medium, title
from nb201env.agents.report.ranks import Ranks
from nb201env.pictures import INK, MUTED, plain_number


def levels(spans: Sequence[tuple[float, float]]) -> list[int]:
    """On which line each bar is drawn so that no two of a line touch; the first lines are filled first."""
    ends: list[float] = []
    found = []
    for low, high in spans:
        free = next((level for level, end in enumerate(ends) if end < low), len(ends))
        ends[free:] = [high, *ends[free + 1 :]]
        found.append(free)
    return found


def ranks(pyplot: Any, found: Ranks, cast: Cast, medium: Medium) -> Any:
    """The diagram: better is to the left; a thick bar joins agents that are not told apart."""
    count = len(found.labels)
    spans = [(found.mean[group[0]], found.mean[group[-1]]) for group in found.groups if len(group) > 1]
    lines = levels(spans)
    top = 1.2 + 0.8 * (max(lines, default=-1) + 1)  # where names begin, in lines of text below the axis
    half = (count + 1) // 2
    bottom = top + 1.5 * (half - 1) + 1
    height = (bottom + 5 + 2 * medium.titled) * medium.em * 1.15
    figure, axes = pyplot.subplots(figsize=(medium.width, height), layout="constrained")
    end = max(float(count), 1 + found.critical)
    axes.set(xlim=(1 - 0.03 * (end - 1), end + 0.03 * (end - 1)), ylim=(bottom, -4.0))
    axes.axis("off")
    _axis(axes, count, medium)
    _critical(axes, found.critical, medium)
    for (low, high), line in zip(spans, lines, strict=True):
        pad = 0.006 * (end - 1)
        axes.plot([low - pad, high + pad], [0.7 + 0.8 * line] * 2, color=INK, linewidth=2.2 * medium.line,
                  solid_capstyle="butt", zorder=3)  # fmt: skip
    for place, label in enumerate(found.labels):
        at_left = place < half
        row = top + 1.5 * (place if at_left else count - 1 - place)
        _name(axes, label, found.mean[label], row, at_left, cast, medium)
    title(figure, "All environments: mean ranks and their critical difference", medium)
    return figure


def _axis(axes: Any, count: int, medium: Medium) -> None:
    axes.plot([1, count], [0, 0], color=INK, linewidth=0.7 * medium.line, clip_on=False)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, -0.35], color=INK, linewidth=0.7 * medium.line)
        axes.text(rank, -0.5, plain_number(rank), ha="center", va="bottom", fontsize=0.9 * medium.font)
    axes.text((1 + count) / 2, -1.25, "mean rank", ha="center", va="bottom", fontsize=0.8 * medium.font,
              color=MUTED)  # fmt: skip


def _critical(axes: Any, critical: float, medium: Medium) -> None:
    axes.plot([1, 1, 1, 1 + critical, 1 + critical, 1 + critical], [-2.4, -2.7, -2.55, -2.55, -2.4, -2.7],
              color=INK, linewidth=0.7 * medium.line)  # fmt: skip
    axes.text(1 + critical / 2, -2.8, f"critical difference {critical:.2f}", ha="center", va="bottom",
              fontsize=0.9 * medium.font)  # fmt: skip


def _name(axes: Any, label: str, mean: float, row: float, at_left: bool, cast: Cast, medium: Medium) -> None:
    """An agent's name at the side, with a line that turns up to its mean rank."""
    side = 0.0 if at_left else 1.0
    edge = axes.get_xlim()[int(side)]
    axes.plot([edge, mean, mean], [row, row, 0], linewidth=0.7 * medium.line, clip_on=False,
              solid_joinstyle="miter", **cast.line(label))  # fmt: skip
    text = f"{cast.name(label, 40)}  ({mean:.2f})"
    axes.annotate(
        text, (side, row), (-4 if at_left else 4, 0), xycoords=axes.get_yaxis_transform(),
        textcoords="offset points", ha="right" if at_left else "left", va="center",
        fontsize=0.95 * medium.font, annotation_clip=False,
    )  # fmt: skip
