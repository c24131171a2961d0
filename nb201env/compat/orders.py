"""Architectures in the orders of ops and edges that other libraries have."""

from __future__ import annotations

from collections.abc import Iterable

from nb201env.architecture import Architecture
from nb201env.space import EDGES, NUM_EDGES, NUM_OPS

NASLIB_OPS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
NASLIB_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
SYNE_TUNE_OPS = ("avg_pool_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_1x1", "none")


def from_naslib(op_indices: Iterable[int]) -> Architecture:
    """Read NASLib's ``op_indices`` (its own order of ops and of edges)."""
    by_edge = dict(zip(NASLIB_EDGES, _names(op_indices, NASLIB_OPS), strict=True))
    return Architecture.from_names(by_edge[edge] for edge in EDGES)


def to_naslib(architecture: Architecture) -> tuple[int, ...]:
    """Write NASLib's ``op_indices``."""
    by_edge = dict(zip(EDGES, architecture.names, strict=True))
    return tuple(NASLIB_OPS.index(by_edge[edge]) for edge in NASLIB_EDGES)


def from_syne_tune(choices: Iterable[int]) -> Architecture:
    """Read positions in Syne Tune's choice list for ``hp_x0`` .. ``hp_x5`` (official edge order)."""
    return Architecture.from_names(_names(choices, SYNE_TUNE_OPS))


def to_syne_tune(architecture: Architecture) -> tuple[int, ...]:
    """Write positions in Syne Tune's choice list for ``hp_x0`` .. ``hp_x5``."""
    return tuple(SYNE_TUNE_OPS.index(name) for name in architecture.names)


def _names(numbers: Iterable[int], ops: tuple[str, ...]) -> list[str]:
    numbers = list(numbers)
    if len(numbers) != NUM_EDGES or not all(0 <= n < NUM_OPS for n in numbers):
        raise ValueError(f"need {NUM_EDGES} op numbers in 0..{NUM_OPS - 1}; got {numbers}")
    return [ops[n] for n in numbers]
