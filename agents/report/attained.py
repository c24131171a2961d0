"""Where attained fronts of two objectives are drawn: steps in units that people read, and what part is shown.

The first objective goes up and the second across, each in the direction of its numbers: less is better is
said beside the axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nb201env.agents.report.fronts.summary import FrontSetting
from nb201env.arrays import FloatArray
from nb201env.comparison import readable
from nb201env.fronts.objectives import ACCURACY, Known
from nb201env.output import named
from nb201env.plots import WORDS

_MANY_TIMES = 6
"""From this ratio of largest to smallest value on, the second objective stands on a logarithmic axis."""

_FEW = 5
"""A front of fewer points than this needs no picture of its better half."""


class Window(NamedTuple):
    """A part of the plane of two objectives: the ends of the axis across, and of that upwards."""

    left: float
    right: float
    bottom: float
    top: float


class Steps(NamedTuple):
    """The boundary of what a set of points attains.

    Attributes:
        x: Where it begins, has its steps and ends, rising; float64 [steps].
        y: How high it is from there to the next; float64 [steps].
    """

    x: FloatArray
    y: FloatArray


@dataclass(frozen=True)
class Attained:
    """The true front and each agent's median attainment surface.

    Attributes:
        across, up: What the axes are, with units.
        units: Of the axes, "" where there is none.
        front: The true front's steps.
        points: Its points, across and up, float64 [points, 2].
        agents: By agent, its steps; without those that attain nothing in half of their searches.
        windows: What is shown: the whole front and, if it has points enough, that half of it which is better
            in the first objective.
        log: Whether the axis across is better a logarithmic one.
    """

    across: str
    up: str
    units: tuple[str, str]
    front: Steps
    points: FloatArray
    agents: dict[str, Steps]
    windows: tuple[Window, ...]
    log: bool


def attained_fronts(one: FrontSetting) -> Attained | None:
    """What the figure of attained fronts shows; None with other than two objectives."""
    land = one.landscape
    if len(land.all.objectives) != 2:
        return None
    first, second = land.all.objectives
    ends = _shown(one, land.all.worst[None] / [known.factor for known in land.all.objectives])[0]
    front = _shown(one, land.front.values)
    corners = {
        agent.entry.label: _shown(one, agent.surface)
        for agent in one.agents
        if agent.surface is not None and len(agent.surface)
    }
    whole = _window(front, list(corners.values()))
    units = (_unit(one, 1), _unit(one, 0))
    return Attained(
        across=_label(second, units[0]),
        up=_label(first, units[1]),
        units=units,
        front=stairs(front, second.maximize, ends),
        points=front[:, ::-1],
        agents={label: stairs(points, second.maximize, ends) for label, points in corners.items()},
        windows=(whole, *_better_half(front, list(corners.values()), first.maximize)),
        log=whole.left > 0 and whole.right / whole.left >= _MANY_TIMES,
    )


def stairs(corners: FloatArray, more_across: bool, ends: FloatArray) -> Steps:
    """The boundary of what is attained, from its corners.

    Args:
        corners: First and second objective, the best of the first one first; float64 [corners, 2].
        more_across: Whether more is better of the second objective, which goes across.
        ends: The worst of each objective: as far does the boundary go; float64 [2].
    """
    up, across = corners.T
    worst_up, worst_across = ends
    if more_across:  # from the left: level until a corner, and behind it down to the next
        return Steps(np.concatenate([[worst_across], across]), np.append(up, worst_up))
    return Steps(
        np.concatenate([across[-1:], across[::-1], [worst_across]]),
        np.concatenate([[worst_up], up[::-1], up[:1]]),
    )


# -- units -----------------------------------------------------------------------------------


def _shown(one: FrontSetting, values: FloatArray) -> FloatArray:
    """Values [n, 2] in the multiples of their units that suit all of the table."""
    every = one.landscape.all
    return np.stack(
        [
            readable(np.append(column, np.abs(held).max()), known.unit)[0][:-1]
            for column, held, known in zip(values.T, every.values.T, every.objectives, strict=True)
        ],
        axis=1,
    )


def _unit(one: FrontSetting, objective: int) -> str:
    every = one.landscape.all
    return named(readable(every.values[:, objective], every.objectives[objective].unit)[1])


def _label(known: Known, unit: str) -> str:
    """ "validation accuracy (%)", "parameters (millions; less is better)"."""
    what = "validation accuracy" if known.name == ACCURACY else named(WORDS.get(known.name, known.words))
    usual = known.maximize == (known.name == ACCURACY)
    less = "more is better" if known.maximize else "less is better"
    said = "; ".join(text for text in (unit, "" if usual and known.name == ACCURACY else less) if text)
    return f"{what} ({said})" if said else what


# -- windows ---------------------------------------------------------------------------------


def _window(front: FloatArray, corners: Sequence[FloatArray]) -> Window:
    """The true front from end to end, and as far across as anyone's corners go."""
    across = np.concatenate([points[:, 1] for points in (front, *corners)])
    return Window(*_padded(across), *_padded(front[:, 0]))


def _better_half(front: FloatArray, corners: Sequence[FloatArray], maximize: bool) -> tuple[Window, ...]:
    if len(front) < _FEW:
        return ()
    half = front[: (len(front) + 1) // 2]
    sign = 1 if maximize else -1
    within = [points[sign * points[:, 0] >= sign * half[-1, 0]] for points in corners]
    return (_window(half, within),)


def _padded(values: FloatArray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    pad = 0.04 * (high - low) or 0.04 * abs(high) or 1.0
    below = low - pad
    return (below if below > 0 or low <= 0 else 0.96 * low), high + pad
