"""Architectures in the orders of ops and edges that other libraries have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nb201env.architecture import Architecture, ArchitectureLike
from nb201env.space import EDGES, NUM_EDGES, NUM_OPS, whole_numbers

NASLIB_OPS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
NASLIB_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
SYNE_TUNE_OPS = ("avg_pool_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_1x1", "none")


def from_naslib(op_indices: Iterable[int]) -> Architecture:
    """Read NASLib's ``op_indices`` (its own order of ops and of edges).

    Raises:
        ValueError: If they are not six whole numbers in 0..4.
    """
    by_edge = dict(zip(NASLIB_EDGES, _names(op_indices, NASLIB_OPS), strict=True))
    return Architecture.from_names(by_edge[edge] for edge in EDGES)


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
    chosen: list[Any] = list(choices)
    if chosen and all(isinstance(choice, str) for choice in chosen):
        return Architecture.from_names(chosen)
    return Architecture.from_names(_names(chosen, SYNE_TUNE_OPS))


def to_syne_tune(architecture: ArchitectureLike) -> tuple[int, ...]:
    """Write positions in Syne Tune's choice list for ``hp_x0`` .. ``hp_x5``."""
    return tuple(SYNE_TUNE_OPS.index(name) for name in Architecture.of(architecture).names)


def _names(numbers: Iterable[Any], ops: tuple[str, ...]) -> list[str]:
    rule = f"need {NUM_EDGES} op numbers in 0..{NUM_OPS - 1}, whole ones"
    checked = whole_numbers(list(numbers), NUM_OPS, rule)
    if checked.shape != (NUM_EDGES,):
        raise ValueError(f"{rule}; got an array of shape {checked.shape}")
    return [ops[number] for number in checked.tolist()]
