"""How inputs are spoilt: bytes, JSON, and lines of text, always the same way for the same random numbers."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

Value = TypeVar("Value")

WRONG: list[Any] = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    3.5,
    -0.0,
    10**30,
    2**63,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "777",
    "a\nb\x1b[31m",
    "../x",
    "/dev/zero",
    "os:system",
    "\u2028",
    "𝟙",
    "x" * 5000,
    [],
    [1],
    [0],
    [2, 1],
    [7, 7],
    [None],
    [True],
    [-1],
    [1.5],
    list(range(300)),
    {},
    {"a": 1},
    {"": None},
    [[1]],
    [[[[]]]],
]
"""What stands where something else should: wrong types, bounds, lengths and texts."""


def pick(rng: np.random.Generator, values: Sequence[Value]) -> Value:
    """One of these."""
    return values[int(rng.integers(len(values)))]


def spoilt_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """With a few bytes changed, a part cut out, doubled or added, or only its beginning."""
    spoilt = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at, length = int(rng.integers(len(spoilt) + 1)), int(rng.integers(1, 40))
        what = int(rng.integers(5))
        if what == 0 and at < len(spoilt):
            spoilt[at] = int(rng.integers(256))
        elif what == 1:
            del spoilt[at : at + length]
        elif what == 2:
            spoilt[at:at] = rng.bytes(length)
        elif what == 3:
            spoilt[at:at] = spoilt[at : at + length]
        elif what == 4 and rng.random() < 0.2:
            del spoilt[at:]
    return bytes(spoilt)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the entries of nested objects and lists are, the objects and lists themselves included."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*at, key)
        yield from places(item, (*at, key))


def spoilt_json(rng: np.random.Generator, value: Any) -> Any:
    """A copy with one or two entries wrong, missing, renamed, nested or swapped for another's value."""
    spoilt = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 3))):
        found = list(places(spoilt))
        if not found:
            return pick(rng, WRONG)
        path, other = pick(rng, found), pick(rng, found)
        holder, key = at(spoilt, path[:-1]), path[-1]
        what = int(rng.integers(8))
        if what == 0:
            del holder[key]
        elif what == 1 and isinstance(holder, dict):
            holder[pick(rng, ["", "x", "entry_point", "kwargs", f"{key} "])] = holder.pop(key)
        elif what == 2:
            holder[key] = copy.deepcopy(at(spoilt, other))
        elif what == 3:
            holder[key] = [holder[key]]
        else:
            holder[key] = copy.deepcopy(pick(rng, WRONG))
    return spoilt


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """The entry of a path."""
    for key in path:
        value = value[key]
    return value
