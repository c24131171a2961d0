"""The NAS-Bench-201 search space: ops, edges, architectures and their three names.

A cell has 4 nodes and 6 edges; each edge carries one of 5 ops, so there are 5**6 = 15,625
architectures. Ops and edges stand in the official order (Dong & Yang, ICLR 2020):

* an *index* is lexicographic: the six op numbers read as a base-5 number, last edge fastest;
* an *official index* is the row in the official files: the lexicographic list shuffled by
  ``random.Random(88)``;
* an *official string* looks like ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

`Architecture` is one architecture as a value. The functions below it do the same for numpy
arrays of any shape, and are what the environments use.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

OPS: tuple[str, ...] = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The five ops in the official order; an op number is a position in this tuple."""

EDGES: tuple[tuple[int, int], ...] = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The six edges (from node, to node) in the official order."""

NUM_OPS = len(OPS)
NUM_EDGES = len(EDGES)
SIZE = NUM_OPS**NUM_EDGES

NONE, SKIP, CONV1X1, CONV3X3, POOL = range(NUM_OPS)

_PLACES = NUM_OPS ** np.arange(NUM_EDGES - 1, -1, -1, dtype=np.int64)


@dataclass(frozen=True, slots=True, order=True)
class Architecture:
    """One architecture: an immutable, hashable value made of six op numbers.

    Args:
        ops: Six op numbers in edge order, each in 0..4 (positions in `OPS`).

    Raises:
        ValueError: If there are not six numbers, or one is not in 0..4.

    Example:
        >>> best = Architecture.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
        ...                           "+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|")
        >>> best.official_index
        6111
    """

    ops: tuple[int, ...]

    def __post_init__(self) -> None:
        ops = tuple(int(op) for op in self.ops)
        if len(ops) != NUM_EDGES or not all(0 <= op < NUM_OPS for op in ops):
            raise ValueError(
                f"an architecture is {NUM_EDGES} op numbers in 0..{NUM_OPS - 1}, "
                f"one per edge {EDGES}; got {self.ops!r}"
            )
        object.__setattr__(self, "ops", ops)

    @classmethod
    def from_index(cls, index: int) -> Architecture:
        """The architecture with this lexicographic index (0..15,624)."""
        return cls(tuple(decode(_checked(index, "index")).tolist()))

    @classmethod
    def from_official_index(cls, official_index: int) -> Architecture:
        """The architecture in this row of the official files (0..15,624)."""
        return cls.from_index(int(official_order()[_checked(official_index, "official index")]))

    @classmethod
    def from_names(cls, names: Iterable[str]) -> Architecture:
        """The architecture with these six op names, in edge order."""
        names = tuple(names)
        for name in names:
            if name not in OPS:
                raise ValueError(f"unknown op {name!r}; the ops are {', '.join(OPS)}")
        return cls(tuple(OPS.index(name) for name in names))

    @classmethod
    def parse(cls, text: str) -> Architecture:
        """Read an official string.

        Raises:
            ValueError: If the text is not one; the message says which part is wrong.
        """
        groups = text.strip().split("+")
        if len(groups) != 3:
            raise ValueError(f"an official string has three node groups joined by '+': {text!r}")
        names = []
        for node, group in enumerate(groups, start=1):
            parts = group.split("|")
            if len(parts) != node + 2 or parts[0] or parts[-1]:
                raise ValueError(f"node {node} needs {node} inputs like '|op~0|': {group!r}")
            for source, part in enumerate(parts[1:-1]):
                name, _, origin = part.partition("~")
                if origin != str(source):
                    raise ValueError(f"input {source} of node {node} must end in '~{source}': {part!r}")
                names.append(name)
        return cls.from_names(names)

    @classmethod
    def of(cls, value: ArchitectureLike) -> Architecture:
        """Read an architecture from whatever names one.

        Args:
            value: An `Architecture`, a lexicographic index, an official string, or six op numbers.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        if isinstance(value, int | np.integer):
            return cls.from_index(int(value))
        return cls(tuple(value))

    @property
    def index(self) -> int:
        """The lexicographic index, 0..15,624."""
        index = 0
        for op in self.ops:
            index = index * NUM_OPS + op
        return index

    @property
    def official_index(self) -> int:
        """The row in the official files, 0..15,624."""
        return int(official_index_of(self.index))

    @property
    def names(self) -> tuple[str, ...]:
        """The six op names, in edge order."""
        return tuple(OPS[op] for op in self.ops)

    def replace(self, edge: int, op: int) -> Architecture:
        """This architecture with one edge's op changed."""
        if not 0 <= edge < NUM_EDGES:
            raise ValueError(f"an edge is a number in 0..{NUM_EDGES - 1}; got {edge}")
        return Architecture((*self.ops[:edge], op, *self.ops[edge + 1 :]))

    def neighbours(self) -> list[Architecture]:
        """The 24 architectures that differ in exactly one edge, in index order per edge."""
        return [Architecture.from_index(i) for i in neighbours(self.index).tolist()]

    def mutate(self, rng: np.random.Generator, edges: str = "uniform") -> Architecture:
        """One random neighbour; see `mutate`."""
        return Architecture.from_index(int(mutate(self.index, rng, edges)))

    def draw(self) -> str:
        """The cell as a few lines of text."""
        from nb201env.drawing import text

        return text(self.ops)

    def _repr_svg_(self) -> str:
        from nb201env.drawing import svg

        return svg(self.ops)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ops)

    def __str__(self) -> str:
        n = self.names
        return f"|{n[0]}~0|+|{n[1]}~0|{n[2]}~1|+|{n[3]}~0|{n[4]}~1|{n[5]}~2|"


ArchitectureLike = Architecture | int | np.integer[Any] | str | Iterable[int]


def index_of(value: ArchitectureLike) -> int:
    """The lexicographic index of whatever names an architecture (see `Architecture.of`)."""
    if isinstance(value, int) and 0 <= value < SIZE:
        return value
    return Architecture.of(value).index


def _checked(index: int, what: str) -> int:
    if not 0 <= index < SIZE:
        raise ValueError(f"the {what} of an architecture is in 0..{SIZE - 1}; got {index}")
    return index


# -- the same for arrays ---------------------------------------------------------------------


def encode(ops: npt.ArrayLike) -> IntArray:
    """Op numbers, shape [..., 6], to lexicographic indices, shape [...]."""
    return np.asarray(np.asarray(ops, dtype=np.int64) @ _PLACES)


def decode(index: npt.ArrayLike) -> IntArray:
    """Lexicographic indices, shape [...], to op numbers, shape [..., 6]."""
    ops: IntArray = np.asarray(index, dtype=np.int64)[..., None] // _PLACES % NUM_OPS
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
def _official_ranks() -> IntArray:
    return _read_only(np.argsort(official_order()))


def official_index_of(index: npt.ArrayLike) -> IntArray:
    """Lexicographic indices to official indices, any shape."""
    return np.asarray(_official_ranks()[np.asarray(index)])


@cache
def all_strings() -> tuple[str, ...]:
    """The official string of every architecture, in index order."""
    return tuple(str(Architecture(tuple(ops))) for ops in all_ops().tolist())


def neighbours(index: npt.ArrayLike) -> IntArray:
    """The 24 one-edge changes of each architecture: indices [...] to indices [..., 24].

    Edge by edge, and within an edge by rising op number.
    """
    index = np.asarray(index, dtype=np.int64)[..., None, None]
    ops = decode(index[..., 0, 0])[..., None]
    others = np.arange(NUM_OPS - 1)
    changed: IntArray = index + (others + (others >= ops) - ops) * _PLACES[:, None]
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
        ValueError: If `edges` is neither.
    """
    if edges not in EDGE_PROBABILITIES:
        raise ValueError(f"edges must be one of {sorted(EDGE_PROBABILITIES)}; got {edges!r}")
    index = np.asarray(index, dtype=np.int64)
    edge = rng.choice(NUM_EDGES, size=index.shape, p=EDGE_PROBABILITIES[edges])
    other = rng.integers(NUM_OPS - 1, size=index.shape)
    ops = index // _PLACES[edge] % NUM_OPS
    return np.asarray(index + (other + (other >= ops) - ops) * _PLACES[edge])


# -- other libraries' orders -----------------------------------------------------------------

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


def _read_only(array: IntArray) -> IntArray:
    array.flags.writeable = False
    return array
