"""An architecture as a value: parsed, drawn, compared, and named three ways (see `nb201env.space`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np

from nb201env import drawing
from nb201env.fields import quoted
from nb201env.notation import read as notation_read
from nb201env.space import (
    EDGES,
    NUM_EDGES,
    NUM_OPS,
    OPS,
    SIZE,
    all_ops,
    mutate,
    neighbours,
    official_order,
    official_ranks,
    whole_number,
)


@dataclass(frozen=True, slots=True, order=True)
class Architecture:
    """One architecture: an immutable, hashable value made of six op numbers.

    Args:
        ops: Six op numbers in edge order, each in 0..4 (positions in `OPS`).

    Raises:
        ValueError: If there are not six, or one is no whole number in 0..4 (2.0, True and texts are none).

    Example:
        >>> best = Architecture.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
        ...                           "+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|")
        >>> best.official_index
        6111
    """

    ops: tuple[int, ...]

    def __post_init__(self) -> None:
        ops = tuple(map(whole_number, _members(self.ops) or ()))
        if len(ops) != NUM_EDGES or not all(op is not None and 0 <= op < NUM_OPS for op in ops):
            raise ValueError(
                f"an architecture is {NUM_EDGES} op numbers in 0..{NUM_OPS - 1}, whole ones, "
                f"one per edge {EDGES}; got {quoted(self.ops)}"
            )
        object.__setattr__(self, "ops", ops)

    @classmethod
    def from_index(cls, index: int) -> Architecture:
        """The architecture with this lexicographic index (0..15,624)."""
        return cls(tuple(all_ops()[_checked(index, "index")].tolist()))

    @classmethod
    def from_official_index(cls, official_index: int) -> Architecture:
        """The architecture in this row of the official files (0..15,624)."""
        return cls.from_index(int(official_order()[_checked(official_index, "official index")]))

    @classmethod
    def from_names(cls, names: Iterable[str]) -> Architecture:
        """The architecture with these six op names, in edge order.

        Raises:
            ValueError: If they are not six, or one is no op's name.
        """
        names = tuple(names)
        for name in names:
            if name not in OPS:
                raise ValueError(f"unknown op {name!r}; the ops are {', '.join(OPS)}")
        return cls(tuple(OPS.index(name) for name in names))

    @classmethod
    def parse(cls, value: Any, notation: str | None = None) -> Architecture:
        """Read what the field writes: official strings, genotypes, dictionaries, matrices and more.

        Args:
            value: One of the forms that `nb201env.notation.FORMS` lists, as a text or as the object itself.
            notation: Whose six numbers `value` holds: "ops" (of this package), "naslib" or "syne-tune".

        Raises:
            ValueError: If it names no architecture, or could name two; the message says which part is wrong.
        """
        return cls(notation_read(value, notation))

    @classmethod
    def of(cls, value: ArchitectureLike) -> Architecture:
        """Read an architecture from whatever names one.

        Args:
            value: An `Architecture`, a lexicographic index, six op numbers, or what `parse` takes.

        Raises:
            ValueError: If it names none.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str | Mapping) or hasattr(value, "tostr"):
            return cls.parse(value)
        members = None if isinstance(value, int) else _members(value)
        if members is None:
            return cls.from_index(cast(int, value))
        composed = any(hasattr(member, "__len__") for member in members)  # names, rows, pairs: no numbers
        return cls.parse(members) if composed else cls(members)

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
        return int(official_ranks()[self.index])

    @property
    def names(self) -> tuple[str, ...]:
        """The six op names, in edge order."""
        return tuple(OPS[op] for op in self.ops)

    def replace(self, edge: int, op: int) -> Architecture:
        """This architecture with one edge's op changed."""
        place = whole_number(edge)
        if place is None or not 0 <= place < NUM_EDGES:
            raise ValueError(f"an edge is a number in 0..{NUM_EDGES - 1}, a whole one; got {quoted(edge)}")
        return Architecture((*self.ops[:place], op, *self.ops[place + 1 :]))

    def neighbours(self) -> list[Architecture]:
        """The 24 architectures that differ in exactly one edge, in index order per edge."""
        return [Architecture.from_index(i) for i in neighbours(self.index).tolist()]

    def mutate(self, rng: np.random.Generator, edges: str = "uniform") -> Architecture:
        """One random neighbour; see `nb201env.space.mutate`."""
        return Architecture.from_index(int(mutate(self.index, rng, edges)))

    def draw(self) -> str:
        """The cell as a few lines of text."""
        return drawing.text(self.ops)

    def _repr_svg_(self) -> str:
        return drawing.svg(self.ops)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ops)

    def __str__(self) -> str:
        n = self.names
        return f"|{n[0]}~0|+|{n[1]}~0|{n[2]}~1|+|{n[3]}~0|{n[4]}~1|{n[5]}~2|"


ArchitectureLike = Architecture | int | np.integer[Any] | str | Iterable[Any] | Mapping[str, str]


def index_of(value: ArchitectureLike) -> int:
    """The lexicographic index of whatever names an architecture (see `Architecture.of`)."""
    if type(value) is int and 0 <= value < SIZE:
        return value
    return Architecture.of(value).index


def _checked(index: int, what: str) -> int:
    number = whole_number(index)
    if number is None or not 0 <= number < SIZE:
        raise ValueError(
            f"the {what} of an architecture is in 0..{SIZE - 1}, a whole number; got {quoted(index)}"
        )
    return number


def _members(value: Any) -> tuple[Any, ...] | None:
    """What it consists of; None for what cannot be taken apart, such as numbers."""
    try:
        return tuple(value)
    except TypeError:
        return None


@cache
def all_strings() -> tuple[str, ...]:
    """The official string of every architecture, in index order."""
    return tuple(str(Architecture(tuple(ops))) for ops in all_ops().tolist())


def official_strings() -> list[str]:
    """All official strings, by official index."""
    strings = all_strings()
    return [strings[index] for index in official_order().tolist()]
