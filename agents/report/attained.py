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
        first, second: The objectives' names.
        across, up: What the axes are, with units.
        units: Of the axes, "" where there is none.
        front: The true front's steps.
        points: Its points, across and up, float64 [points, 2].
        agents: By agent, its steps; without those that attain nothing in half of their searches.
        windows: What is shown: the whole front and, if it has points enough, that half of it which is better
            in the first objective.
        log: Whether the axis across is better a logarithmic one.
    """

    first: str
    second: str
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
    ends = _shown(one, land.all.worst_values[None])[0]
    front = _shown(one, land.front.values)
    corners = {
        agent.entry.label: _shown(one, agent.surface)
        for agent in one.agents
        if agent.surface is not None and len(agent.surface)
    }
    log = _spans(front[:, 1])
    units = (_unit(one, 1), _unit(one, 0))
    return Attained(
        first=_name(first),
        second=_name(second),
        across=_label(second, units[0]),
        up=_label(first, units[1]),
        units=units,
        front=stairs(front, second.maximize, ends),
        points=front[:, ::-1],
        agents={label: stairs(points, second.maximize, ends) for label, points in corners.items()},
        windows=_windows(front, list(corners.values()), first.maximize, log),
        log=log,
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
    which = "" if known.name == ACCURACY and known.maximize else f"{_way(known)} is better"
    said = "; ".join(filter(None, (unit, which)))
    return f"{_name(known)} ({said})" if said else _name(known)


def _name(known: Known) -> str:
    return "validation accuracy" if known.name == ACCURACY else named(WORDS.get(known.name, known.words))


def _way(known: Known) -> str:
    return "more" if known.maximize else "less"


# -- windows ---------------------------------------------------------------------------------


def _spans(values: FloatArray) -> bool:
    """Whether values differ so much that a logarithmic axis suits them."""
    low, high = float(values.min()), float(values.max())
    return low > 0 and high / low >= _MANY_TIMES


def _windows(
    front: FloatArray, corners: Sequence[FloatArray], maximize: bool, log: bool
) -> tuple[Window, ...]:
    whole = _window(front, corners, log)
    if len(front) < _FEW:
        return (whole,)
    half, sign = front[: (len(front) + 1) // 2], 1 if maximize else -1
    within = [points[sign * points[:, 0] >= sign * half[-1, 0]] for points in corners]
    return whole, _window(half, within, log)


def _window(front: FloatArray, corners: Sequence[FloatArray], log: bool) -> Window:
    """These points of the true front from end to end, and as far across as these corners go."""
    across = np.concatenate([points[:, 1] for points in (front, *corners)])
    left, right = np.exp(_padded(np.log(across))) if log and across.min() > 0 else _padded(across)
    return Window(float(left), float(right), *_padded(front[:, 0]))


def _padded(values: FloatArray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    pad = 0.04 * (high - low) or 0.04 * abs(high) or 1.0
    return low - pad, high + pad
