"""Rows that several CSV files have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nb201env.agents.report.curves import Curve
from nb201env.agents.report.statistics import Estimate

Row = Sequence[object]
BAND = "mean low high median q25 q75"
"""The headings of a curve's columns."""


def curve_rows(*names: str, curve: Curve) -> Iterator[Row]:
    """A curve's rows, in per cent, each behind these names."""
    columns = (curve.mean, curve.low, curve.high, curve.median, curve.q25, curve.q75)
    for x, mean, low, high, *values in zip(curve.x, *columns, strict=True):
        if low == high:  # where all searches stand alike there is nothing to compute an interval from
            low = high = np.nan
        yield *names, float(x), *(100 * float(value) for value in (mean, low, high, *values))


def percent(estimate: Estimate) -> list[float]:
    """A fraction and its interval, in per cent."""
    return [100 * value for value in estimate]
