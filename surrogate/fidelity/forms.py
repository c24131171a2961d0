"""How the report writes its numbers: three digits, or points, each mean with its spread over draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Show = Callable[[Mapping[str, Any], str], str]
"""From scores and the name of one to a cell of a table."""

NONE = "–"


def number(value: float | None) -> str:
    """Three digits, or a dash where a score is not defined."""
    return NONE if value is None else f"{value:.3f}"


def with_spread(found: Mapping[str, float | None], factor: float = 1.0, digits: int = 3) -> str:
    """A "mean" and, where it has one, its "std" over draws; a dash where the score is not defined."""
    mean, spread = found["mean"], found.get("std")
    if mean is None:
        return NONE
    return f"{factor * mean:.{digits}f}" + ("" if spread is None else f" ± {factor * spread:.{digits}f}")


def plain(scores: Mapping[str, Any], name: str) -> str:
    """A score that has no unit."""
    return with_spread(scores[name]) if name in scores else NONE


def points(scores: Mapping[str, Any], name: str) -> str:
    """A fraction, in percentage points."""
    return with_spread(scores[name], 100, 2) if name in scores else NONE
