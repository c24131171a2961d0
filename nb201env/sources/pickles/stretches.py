"""Runs of "key, float" inside a pickle, read at once.

An official file is 98 % dictionaries from epochs (or texts like "x-valid@17") to floats. In a
pickle such a run is a repetition of one of four units; a regular expression finds its end, numpy
reads the floats. Whatever does not fit exactly is left to the plain interpreter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from nb201env.arrays import IntArray
from nb201env.sources.pickles.memo import Memo
from nb201env.sources.pickles.streams import Stream

LOOKAHEAD = 1 << 14
"""How many bytes ahead the interpreter keeps, so that runs are not cut into small pieces."""

_TEXT = rb"[ -~]{1,64}"
_FLOAT = rb"G[\s\S]{8}"
_BY_INT = re.compile(rb"(?:K[\s\S]" + _FLOAT + rb"){4,400}")
_BY_TEXT = re.compile(rb"(?:\x8c[\s\S]" + _TEXT + rb"\x94" + _FLOAT + rb"){4,400}")
_BY_LONG_TEXT = re.compile(rb"(?:X[\s\S]\0\0\0" + _TEXT + rb"(?:q[\s\S]|r[\s\S]{4})" + _FLOAT + rb"){4,400}")
_BY_NUMBER = re.compile(rb"(?:(?:h[\s\S]|j[\s\S]{4})" + _FLOAT + rb"){4,400}")
_TEXT_PARTS = re.compile(rb"\x8c([\s\S])(" + _TEXT + rb")\x94G([\s\S]{8})")
_LONG_TEXT_PARTS = re.compile(rb"X([\s\S])\0\0\0(" + _TEXT + rb")(?:q([\s\S])|r([\s\S]{4}))G([\s\S]{8})")
_NUMBER_PARTS = re.compile(rb"(?:h([\s\S])|j([\s\S]{4}))G([\s\S]{8})")
_INT_UNIT = np.dtype([("opcode", "u1"), ("key", "u1"), ("float", "u1"), ("value", ">f8")])
STARTS = frozenset(b"K\x8cXhj")


def read(stream: Stream, memo: Memo) -> list[Any]:
    """The keys and floats of the run that starts here, in turns; empty if there is none.

    Moves the stream behind the run and numbers its texts in the memo, as the interpreter would.
    """
    code = stream.data[stream.pos]
    if code == 0x4B:
        return _by_int(stream)
    if code == 0x8C:
        return _by_text(stream, memo)
    if code == 0x58:
        return _by_long_text(stream, memo)
    return _by_number(stream, memo)


def _by_int(stream: Stream) -> list[Any]:
    match = _BY_INT.match(stream.data, stream.pos)
    if match is None:
        return []
    units = np.frombuffer(match.group(), dtype=_INT_UNIT)
    stream.pos = match.end()
    return _in_turns(units["key"].tolist(), units["value"].tolist())


@dataclass(frozen=True, slots=True)
class _Shape:
    """A run of texts and floats seen before: all its bytes but those of the floats.

    Official files repeat a few runs 150 times each, so comparing bytes saves taking them apart.
    """

    size: int
    structure: IntArray
    expected: bytes
    floats: IntArray
    keys: list[str]

    @classmethod
    def of(cls, run: bytes, keys: list[str]) -> _Shape:
        ends = np.cumsum([len(key) + 12 for key in keys])
        floats = (ends[:, None] - np.arange(8, 0, -1)).ravel()
        structure = np.delete(np.arange(len(run)), floats)
        data = np.frombuffer(run, dtype=np.uint8)
        return cls(len(run), structure, data[structure].tobytes(), floats, keys)

    def read(self, stream: Stream) -> list[float] | None:
        """The floats, if the run of this shape starts here."""
        if len(stream.data) - stream.pos < self.size:
            return None
        data = np.frombuffer(stream.data, dtype=np.uint8, count=self.size, offset=stream.pos)
        if data[self.structure].tobytes() != self.expected:
            return None
        values: list[float] = data[self.floats].view(">f8").tolist()
        return values


_SHAPES: dict[bytes, list[_Shape]] = {}
_MOST_STARTS, _MOST_SHAPES = 32, 6


def _by_text(stream: Stream, memo: Memo) -> list[Any]:
    size = stream.data[stream.pos + 1] if stream.pos + 1 < len(stream.data) else 0
    start = stream.data[stream.pos : stream.pos + 2 + size]
    shapes = _SHAPES.get(start, [])
    for shape in shapes:
        values = shape.read(stream)
        if values is not None:
            stream.pos += shape.size
            keys = shape.keys
            break
    else:
        match = _BY_TEXT.match(stream.data, stream.pos)
        if match is None:
            return []
        sizes, texts, floats = zip(*_TEXT_PARTS.findall(match.group()), strict=True)
        if b"".join(sizes) != bytes(map(len, texts)):
            return []
        keys, values = _texts(texts), _floats(floats)
        stream.pos = match.end()
        if len(shapes) < _MOST_SHAPES and (shapes or len(_SHAPES) < _MOST_STARTS):
            _SHAPES.setdefault(start, []).append(_Shape.of(match.group(), keys))
    memo.extend(keys)
    return _in_turns(keys, values)


def _by_long_text(stream: Stream, memo: Memo) -> list[Any]:
    match = _BY_LONG_TEXT.match(stream.data, stream.pos)
    if match is None:
        return []
    sizes, texts, short, long, floats = zip(*_LONG_TEXT_PARTS.findall(match.group()), strict=True)
    numbers = [int.from_bytes(s or n, "little") for s, n in zip(short, long, strict=True)]
    expected = list(range(len(memo), len(memo) + len(numbers)))
    if b"".join(sizes) != bytes(map(len, texts)) or numbers != expected:
        return []
    keys = _texts(texts)
    memo.extend(keys)
    stream.pos = match.end()
    return _in_turns(keys, _floats(floats))


def _by_number(stream: Stream, memo: Memo) -> list[Any]:
    match = _BY_NUMBER.match(stream.data, stream.pos)
    if match is None:
        return []
    short, long, floats = zip(*_NUMBER_PARTS.findall(match.group()), strict=True)
    keys = memo.many([int.from_bytes(s or n, "little") for s, n in zip(short, long, strict=True)])
    stream.pos = match.end()
    return _in_turns(keys, _floats(floats))


_KNOWN: dict[bytes, str] = {}


def _texts(texts: tuple[bytes, ...]) -> list[str]:
    """Decoded, and the same object for the same text (official files repeat 600 texts 150 times)."""
    if len(_KNOWN) > 10_000:
        _KNOWN.clear()
    keys = []
    for text in texts:
        key = _KNOWN.get(text)
        if key is None:
            key = _KNOWN[text] = text.decode("ascii")
        keys.append(key)
    return keys


def _floats(pieces: tuple[bytes, ...]) -> list[float]:
    values: list[float] = np.frombuffer(b"".join(pieces), dtype=">f8").tolist()
    return values


def _in_turns(keys: list[Any], values: list[float]) -> list[Any]:
    items: list[Any] = [None] * (2 * len(keys))
    items[::2], items[1::2] = keys, values
    return items
