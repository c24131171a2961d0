"""Curves with fewer points that look the same: for a page, which every point makes larger.

A chart joins points by straight lines. A point that lies on the line between two others adds nothing to what
is drawn, and is left out; but straight means straight on whichever axes the reader chooses. CSV files and
figures hold all points.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial

import numpy as np

from nb201env.agents.report.curves import Curve
from nb201env.arrays import FloatArray

WIDTH, HEIGHT = 1400, 400
"""The largest chart that a page draws, in pixels."""
TOLERANCE = 0.05
"""How far a line may move, in pixels, up or down: less than one sees, or reads off the page."""


def thinned(curve: Curve, floor: float) -> Curve:
    """The same curve with those points alone that one sees.

    Each of its lines (mean, median and the edges of their bands) stays within `TOLERANCE` of where all points
    draw it, on logarithmic and linear axes alike, also where the curve has the chart to itself.

    Args:
        curve: The curve; what it lacks is NaN at every point.
        floor: Where a logarithmic axis of regrets begins.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # at points of one x, all of which stay
        kept = _kept(*drawn(curve, floor))
    return Curve(**{name.name: getattr(curve, name.name)[kept] for name in fields(Curve)})


def drawn(curve: Curve, floor: float) -> tuple[FloatArray, FloatArray]:
    """Where a chart draws a curve that has it to itself, in pixels.

    Returns:
        Along the two axes of x, linear and logarithmic, [2, points]; and, for mean and median with their
        bands, along the two axes of y, [lines, points].
    """
    across = [curve.x, np.log(np.maximum(curve.x, curve.x[curve.x > 0].min(initial=np.inf)))]
    up = []
    for lines in ((curve.mean, curve.low, curve.high), (curve.median, curve.q25, curve.q75)):
        there = [line for line in lines if not np.isnan(line).any()]
        most = max((float(line.max()) for line in there), default=0.0)
        up += [_pixels(line, 0.0, most, HEIGHT) for line in there]
        logs = partial(np.clip, a_min=floor, a_max=max(most, 10 * floor))
        up += [_pixels(np.log(logs(line)), np.log(floor), np.log(logs(most)), HEIGHT) for line in there]
    return np.array([_pixels(x, x[0], x[-1], WIDTH) for x in across]), np.array(up)


def _pixels(values: FloatArray, low: float, high: float, size: int) -> FloatArray:
    return (values - low) * (size / (high - low) if high > low else 0.0)


def _kept(across: FloatArray, up: FloatArray) -> list[int]:
    """The points to keep: from each as far on as one straight line does for all between.

    From a point kept, every later point leaves a fan of directions in which a line passes it closely. A
    line to a further point passes all between if its direction lies in all of their fans.
    """
    kept, last = [0], across.shape[1] - 1
    low = high = np.empty(0)
    for point in range(1, last + 1):
        start = kept[-1]
        steps = (across[:, point] - across[:, start])[:, None]
        rise = up[:, point] - up[:, start]
        if point > start + 1 and not ((low <= rise / steps) & (rise / steps <= high)).all():
            kept.append(point - 1)
            start = point - 1
            steps = (across[:, point] - across[:, start])[:, None]
            rise = up[:, point] - up[:, start]
        fan = (rise - TOLERANCE) / steps, (rise + TOLERANCE) / steps
        low, high = fan if point == start + 1 else (np.maximum(low, fan[0]), np.minimum(high, fan[1]))
    return kept + [last] * (last > kept[-1])
