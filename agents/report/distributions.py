"""Quantiles and tails of the distributions that a report's statistics rest on, with numpy alone.

A report needs no scipy; tests hold these to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import numpy as np

_NORMAL = NormalDist()
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_STEPS = 60  # of a bisection: they halve an interval to the last digits


def normal_cdf(x: float) -> float:
    """The chance that a standard normal number is at most `x`."""
    return _NORMAL.cdf(x)


def normal_quantile(share: float) -> float:
    """What a standard normal number is at most with the chance `share`."""
    return _NORMAL.inv_cdf(share)


@lru_cache(maxsize=1024)
def t_quantile(share: float, freedom: int) -> float:
    """What a number of Student's t distribution is at most with the chance `share`, above 0.5.

    Args:
        share: Between 0.5 and 1.
        freedom: Degrees of freedom, at least 1.
    """
    within = 2 * share - 1  # the chance of lying between minus and plus the quantile
    angle = _bisected(lambda a: _t_within(a, freedom) - within, 0, math.pi / 2)
    return math.sqrt(freedom) * math.tan(angle)


def _t_within(angle: float, freedom: int) -> float:
    """The chance that |t| is below sqrt(freedom) tan(angle): an integral over a power of the cosine."""
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(math.pi) / 2
    at = angle / 2 * (_NODES + 1)
    return 2 * math.exp(scale) * angle / 2 * float((_WEIGHTS * np.cos(at) ** (freedom - 1)).sum())


def chi_square_tail(x: float, freedom: int) -> float:
    """The chance that a chi-square number is above `x`: closed forms, one for odd and one for even freedom.

    Args:
        x: At least 0.
        freedom: Degrees of freedom, at least 1.

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    if freedom % 2:
        term, total = math.sqrt(2 * x / math.pi) * math.exp(-x / 2), 0.0
        for i in range(1, freedom - 1, 2):
            total += term
            term *= x / (i + 2)
        return math.erfc(math.sqrt(x / 2)) + total
    term = math.exp(-x / 2)
    total = 0.0
    for i in range(freedom // 2):
        total += term
        term *= x / (2 * (i + 1))
    return total


@lru_cache(maxsize=256)
def range_quantile(share: float, count: int) -> float:
    """What the range of `count` standard normal numbers is at most with the chance `share`.

    That is the studentized range distribution with infinite degrees of freedom.
    """
    return _bisected(lambda q: _range_cdf(q, count) - share, 0, 40)


def _range_cdf(width: float, count: int) -> float:
    """The smallest number lies at x, and all others between it and x + width: an integral over x."""
    x = 8.5 * _NODES
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    others = np.array([_NORMAL.cdf(at + width) - _NORMAL.cdf(at) for at in x.tolist()])
    return count * 8.5 * float((_WEIGHTS * density * others ** (count - 1)).sum())


def _bisected(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function is 0, between two numbers."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
