"""The NAS-Bench-201 search space in numbers: ops, edges, and how architectures are numbered.

A cell has 4 nodes and 6 edges; each edge carries one of 5 ops, so there are 5**6 = 15,625
architectures. Ops and edges stand in the official order (Dong & Yang, ICLR 2020):

* an *index* is lexicographic: the six op numbers read as a base-5 number, last edge fastest;
* an *official index* is the row in the official files: the lexicographic list shuffled by
  ``random.Random(88)``;
* an *official string* looks like ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

The functions take numbers and arrays of any shape; what is no whole number (2.0, True and texts are
none) or lies outside the space is a `ValueError`. `nb201env.architecture` has one architecture as a value.
"""

from __future__ import annotations

import operator
import random
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from nb201env.arrays import IntArray
from nb201env.fields import quoted

OPS: tuple[str, ...] = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The five ops in the official order; an op number is a position in this tuple."""

EDGES: tuple[tuple[int, int], ...] = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The six edges (from node, to node) in the official order."""

NUM_OPS = len(OPS)
NUM_EDGES = len(EDGES)
SIZE: int = NUM_OPS**NUM_EDGES

NONE, SKIP, CONV1X1, CONV3X3, POOL = range(NUM_OPS)

PLACES = NUM_OPS ** np.arange(NUM_EDGES - 1, -1, -1, dtype=np.int64)
"""By how much the index rises with the op number of each edge; int64 [6]."""


def whole_number(value: Any) -> int | None:
    """A whole number of any of Python's or NumPy's types as an `int`; None for everything else.

    Booleans are no numbers here, and 2.0 is no whole one: who passes them means something else.
    """
    if isinstance(value, bool | np.bool_):  # older releases of NumPy make 1 of its True
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def indices(values: npt.ArrayLike, what: str = "index") -> IntArray:
    """Indices of any shape, checked; int64.

    Args:
        values: The indices.
        what: How the message names one.

    Raises:
        ValueError: If one of them is no whole number, or none in 0..15,624.
    """
    return whole_numbers(values, SIZE, f"the {what} of an architecture is in 0..{SIZE - 1}, a whole number")


def op_numbers(values: npt.ArrayLike) -> IntArray:
    """Op numbers of shape [..., 6], checked; int64.

    Raises:
        ValueError: If one of them is no whole number, or none in 0..4, or if they are not six.
    """
    rule = f"an architecture is {NUM_EDGES} op numbers in 0..{NUM_OPS - 1}, whole ones, one per edge"
    ops = whole_numbers(values, NUM_OPS, rule)
    if ops.shape[-1:] != (NUM_EDGES,):
        raise ValueError(f"{rule}; got an array of shape {ops.shape}")
    return ops


def whole_numbers(values: npt.ArrayLike, below: int, rule: str) -> IntArray:
    """Whole numbers in 0 .. below - 1, of any shape, checked; int64.

    Args:
        values: The numbers. An int64 array is returned as it is, not copied.
        below: What all must be below.
        rule: The first half of the message, which ends in the first number that is none.

    Raises:
        ValueError: If one is something else.
    """
    if type(values) is int and 0 <= values < below:
        return np.array(values, dtype=np.int64)
    if not isinstance(values, np.ndarray):
        # Lists one by one, because NumPy makes whole numbers of [True, 2].
        values = np.asarray(values, dtype=None if hasattr(values, "__array__") else object)
    if values.dtype == object:
        flat = values.ravel().tolist()
        plain = [whole_number(value) for value in flat]
        wrong = [v for v, n in zip(flat, plain, strict=True) if n is None or not 0 <= n < below]
        if not wrong:
            return np.array(plain, dtype=np.int64).reshape(values.shape)
    elif values.dtype.kind in "iu" or not values.size:
        numbers = values.astype(np.int64, copy=False)
        # What is negative is very large as an unsigned number, so one look finds both.
        if not values.size or numbers.view(np.uint64).max() < below:
            return numbers
        wrong = values[(values < 0) | (values >= below)][:1].tolist()
    else:
        wrong = values.ravel()[:1].tolist()
    raise ValueError(f"{rule}; got {quoted(wrong[0])}")


def encode(ops: npt.ArrayLike) -> IntArray:
    """Op numbers, shape [..., 6], to lexicographic indices, shape [...]."""
    return np.asarray(op_numbers(ops) @ PLACES)


def decode(index: npt.ArrayLike) -> IntArray:
    """Lexicographic indices, shape [...], to op numbers, shape [..., 6]."""
    ops: IntArray = indices(index)[..., None] // PLACES % NUM_OPS
    return ops


@cache
def all_ops() -> IntArray:
    """The op numbers of every architecture in index order; int64 [15625, 6], read-only."""
    return _read_only(decode(np.arange(SIZE)))


@cache
def official_order() -> IntArray:
    """The lexicographic index of every official index; int64 [15625], read-only.

    Regenerated from the official recipe (AutoDL-Projects ``exps/NATS-Bench/main-tss.py``):
    the lexicographic list shuffled with Python's generator seeded with 88.
    """
    order = list(range(SIZE))
    random.Random(88).shuffle(order)
    return _read_only(np.array(order, dtype=np.int64))


@cache
def official_ranks() -> IntArray:
    """The official index of every lexicographic index; int64 [15625], read-only."""
    return _read_only(np.argsort(official_order()))


def official_index_of(index: npt.ArrayLike) -> IntArray:
    """Lexicographic indices to official indices, any shape."""
    return np.asarray(official_ranks()[indices(index)])


def neighbours(index: npt.ArrayLike) -> IntArray:
    """The 24 one-edge changes of each architecture: indices [...] to indices [..., 24].

    Edge by edge, and within an edge by rising op number.
    """
    ops = decode(index)[..., None]
    index = np.asarray(index, dtype=np.int64)[..., None, None]
    others = np.arange(NUM_OPS - 1)
    changed: IntArray = index + (others + (others >= ops) - ops) * PLACES[:, None]
    return changed.reshape(*changed.shape[:-2], NUM_EDGES * (NUM_OPS - 1))


def sample(rng: np.random.Generator, size: int | tuple[int, ...] | None = None) -> IntArray:
    """Uniformly random indices, with replacement, of the given shape (a scalar if None)."""
    return np.asarray(rng.integers(SIZE, size=size))


EDGE_PROBABILITIES: dict[str, tuple[float, ...]] = {
    "uniform": (1 / 6,) * 6,
    "official": (1 / 3, 1 / 6, 1 / 6, 1 / 9, 1 / 9, 1 / 9),
}
"""How likely a mutation is to touch each edge. The official code first draws a node and then
one of its incoming edges, so its edges are not equally likely."""


def mutate(index: npt.ArrayLike, rng: np.random.Generator, edges: str = "uniform") -> IntArray:
    """Change one random edge of each architecture to another random op.

    Args:
        index: Lexicographic indices, any shape.
        rng: The source of randomness.
        edges: "uniform" (all six edges alike) or "official" (a node, then one of its edges).

    Raises:
        ValueError: If `edges` is neither, or an index is none.
    """
    if edges not in EDGE_PROBABILITIES:
        raise ValueError(f"edges must be one of {sorted(EDGE_PROBABILITIES)}; got {edges!r}")
    index = indices(index)
    edge = rng.choice(NUM_EDGES, size=index.shape, p=EDGE_PROBABILITIES[edges])
    other = rng.integers(NUM_OPS - 1, size=index.shape)
    ops = index // PLACES[edge] % NUM_OPS
    return np.asarray(index + (other + (other >= ops) - ops) * PLACES[edge])


def _read_only(array: IntArray) -> IntArray:
    array.flags.writeable = False
    return array
