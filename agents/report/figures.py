"""The report's figures with matplotlib (extra ``plots``): PNG for screens, SVG and PDF for papers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nb201env.agents.report.figure_fronts import attained, share, volume
from nb201env.agents.report.figure_lines import compare, regret
from nb201env.agents.report.figure_ranks import ranks
from nb201env.agents.report.figure_space import space
from nb201env.agents.report.figure_style import PAPER, SCREEN, Cast, Medium
from nb201env.agents.report.summary import SettingSummary, Summary
from nb201env.agents.report.words import in_figure
from nb201env.extras import require
from nb201env.pictures import NOTHING

FILES = re.compile(
    r"((regret|profiles|space|front-(volume|share|attained))-\d+|overall|ranks)\.(png|svg|pdf)"
)
"""The names of all files that `draw` may write."""

Drawing = Callable[[Any, Cast, Medium], Any]


def draw(summary: Summary, folder: Path) -> dict[str, str]:
    """Draw all figures.

    Args:
        summary: The numbers.
        folder: Where the files go, each as PNG, SVG and PDF.

    Returns:
        The PNG's path relative to `folder`, by "regret-N", "profiles-N" and "space-N" for setting N,
        "overall" and "ranks"; for setting N of those with several objectives "front-volume-N",
        "front-share-N" and, of two objectives, "front-attained-N".

    Raises:
        MissingExtra: If matplotlib is not installed.
    """
    require("matplotlib", "plots").use("Agg")
    pyplot = require("matplotlib.pyplot", "plots")
    cast = Cast(summary.bench.labels)
    made = {}
    for name, drawing in _drawings(summary):
        for medium in (SCREEN, PAPER):
            with pyplot.rc_context(medium.settings), warnings.catch_warnings():
                # Names may hold signs that the font lacks, and be so many that they leave no room.
                warnings.filterwarnings("ignore", "Glyph|constrained_layout not applied")
                _save(pyplot, folder, name, drawing(pyplot, cast, medium), medium)
        made[name] = f"{name}.png"
    return made


def _drawings(summary: Summary) -> Iterator[tuple[str, Drawing]]:
    for number, one in enumerate(summary.settings):
        yield f"regret-{number}", _of(regret, one)
        yield f"profiles-{number}", _profiles(one)
        yield f"space-{number}", _of(space, one)
    if (over := summary.overall) is not None:
        gaps = {label: gap.value for label, gap in over.gap.items()}
        heading, xlabel = (
            "All environments: performance profiles", "regret left, of the median architecture’s (%)"
        )  # fmt: skip
        yield (
            "overall",
            lambda pyplot, cast, medium: compare(
                pyplot, over.profile, over.improvement, gaps, heading, xlabel, cast, medium
            ),
        )
        if over.ranks is not None:
            yield "ranks", _of(ranks, over.ranks)
    for number, several in enumerate(summary.fronts):
        yield f"front-volume-{number}", _of(volume, several)
        yield f"front-share-{number}", _of(share, several)
        if len(several.landscape.all.objectives) == 2:
            yield f"front-attained-{number}", _of(attained, several)


def _of(figure: Callable[..., Any], numbers: Any) -> Drawing:
    return lambda pyplot, cast, medium: figure(pyplot, numbers, cast, medium)


def _profiles(one: SettingSummary) -> Drawing:
    profiles = {agent.entry.label: agent.profile for agent in one.agents}
    scores = {agent.entry.label: agent.iqm.value for agent in one.agents}
    heading = f"{in_figure(one.setting.name)}: performance profiles"
    xlabel = "final regret at most (percentage points)"
    return lambda pyplot, cast, medium: compare(
        pyplot, profiles, one.improvement, scores, heading, xlabel, cast, medium
    )


def _save(pyplot: Any, folder: Path, name: str, figure: Any, medium: Medium) -> None:
    figure.draw_without_rendering()
    figure.set_layout_engine(None)  # all is in place; each format would find it again
    for kind in medium.formats:
        figure.savefig(folder / f"{name}.{kind}", dpi=medium.dpi, metadata=NOTHING[kind])
    pyplot.close(figure)
