"""Random draws that need no state: a key and a counter give the number.

An environment draws one 63-bit key from its seeded generator; every later draw is a hash of that
key and a counter. So a thousand environments draw in a few numpy operations what each of them
would draw alone. The hash is splitmix64's (Steele, Lea & Flood, OOPSLA 2014), once in plain
integers and once for arrays; tests hold the two together.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nb201env.arrays import IntArray

_GAMMA = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_WORD = 0xFFFFFFFFFFFFFFFF

START, RUN = 0, 1
"""The streams: which architecture an episode starts from, which run a query answers with."""
_STREAMS = 2


def new_key(rng: np.random.Generator) -> int:
    """A fresh key in 0 .. 2**63 - 1."""
    return int(rng.integers(2**63, dtype=np.uint64))


def new_keys(rng: np.random.Generator, count: int) -> npt.NDArray[np.uint64]:
    """`count` fresh keys."""
    return rng.integers(2**63, size=count, dtype=np.uint64)


def draw(key: int, counter: int, stream: int, below: int) -> int:
    """A uniform number in 0 .. below - 1 (to within 2**-32), the same for the same arguments."""
    z = (key + (counter * _STREAMS + stream + 1) * _GAMMA) & _WORD
    z = ((z ^ (z >> 30)) * _MIX_1) & _WORD
    z = ((z ^ (z >> 27)) * _MIX_2) & _WORD
    z ^= z >> 31
    return ((z >> 32) * below) >> 32


def draw_many(
    keys: npt.NDArray[np.uint64],
    counters: IntArray,
    stream: int,
    below: IntArray | int,
) -> IntArray:
    """`draw` for arrays of keys, counters and bounds of one shape; int64."""
    u = np.uint64
    z = keys + (counters.astype(u) * u(_STREAMS) + u(stream + 1)) * u(_GAMMA)
    z = (z ^ (z >> u(30))) * u(_MIX_1)
    z = (z ^ (z >> u(27))) * u(_MIX_2)
    z ^= z >> u(31)
    drawn: npt.NDArray[np.uint64] = ((z >> u(32)) * np.asarray(below, dtype=u)) >> u(32)
    return drawn.astype(np.int64)
