"""Architectures in the orders of ops and edges that other libraries have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nb201env.architecture import Architecture, ArchitectureLike
from nb201env.notation import NASLIB_EDGES, NASLIB_OPS, SYNE_TUNE_OPS
from nb201env.space import EDGES


def from_naslib(op_indices: Iterable[int]) -> Architecture:
    """Read NASLib's ``op_indices`` (its own order of ops and of edges).

    Raises:
        ValueError: If they are not six whole numbers in 0..4.
    """
    return Architecture.parse(tuple(op_indices), notation="naslib")


def to_naslib(architecture: ArchitectureLike) -> tuple[int, ...]:
    """Write NASLib's ``op_indices``."""
    by_edge = dict(zip(EDGES, Architecture.of(architecture).names, strict=True))
    return tuple(NASLIB_OPS.index(by_edge[edge]) for edge in NASLIB_EDGES)


def from_syne_tune(choices: Iterable[str] | Iterable[int]) -> Architecture:
    """Read what Syne Tune chose for ``hp_x0`` .. ``hp_x5`` (official edge order).

    Args:
        choices: Six op names, as its configurations hold them, or positions in its choice list.

    Raises:
        ValueError: If they are neither.
    """
    chosen: tuple[Any, ...] = tuple(choices)
    named = bool(chosen) and all(isinstance(choice, str) for choice in chosen)
    return Architecture.parse(chosen, notation=None if named else "syne-tune")


def to_syne_tune(architecture: ArchitectureLike) -> tuple[int, ...]:
    """Write positions in Syne Tune's choice list for ``hp_x0`` .. ``hp_x5``."""
    return tuple(SYNE_TUNE_OPS.index(name) for name in Architecture.of(architecture).names)
