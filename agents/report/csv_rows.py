"""Rows that several CSV files have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nb201env.agents.report.curves import Curve
from nb201env.agents.report.fronts.summary import FrontSetting
from nb201env.agents.report.statistics import Estimate
from nb201env.agents.report.summary import Overall, SettingSummary

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


def improvement_rows(
    settings: Sequence[SettingSummary | FrontSetting], overall: Overall | None
) -> Iterator[Row]:
    """How likely each agent's search beats each other one's, per environment and over all."""
    groups = [(one.setting.name, one.improvement) for one in settings]
    if overall is not None:
        groups.append(("all", overall.improvement))
    for name, pairs in groups:
        for (a, b), estimate in pairs.items():
            yield name, a, b, *percent(estimate)


def overall_rows(overall: Overall | None) -> Iterator[Row]:
    """Each agent's gap over all environments, its mean rank and what tells ranks apart; none without."""
    if overall is None:
        return
    for label, estimate in overall.gap.items():
        placed = [np.nan] * 4
        if (ranks := overall.ranks) is not None:
            placed = [ranks.mean[label], ranks.critical, ranks.blocks, ranks.p_value]
        yield label, *percent(estimate), *placed
