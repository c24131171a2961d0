"""Bytes out of foreign files, in bounded memory.

A `Stream` hands out a file's bytes in order and keeps no more than a window of them. It refuses
files that inflate beyond reason: no official file grows more than fiftyfold when decompressed,
so `GROWTH` times the compressed size, plus `SLACK`, is the most that is read.
"""

from __future__ import annotations

import bz2
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from nb201env.sources.errors import SourceError

WINDOW = 1 << 20
GROWTH = 200
SLACK = 16 << 20


class Stream:
    """Bytes in order, from memory or from a reading function.

    Attributes:
        data, pos: The window and the position of the next byte in it.
    """

    def __init__(self, file: str, data: bytes = b"", read: Callable[[int], bytes] | None = None) -> None:
        self.file = file
        self.data, self.pos = data, 0
        self._read = read
        self._before = 0

    @property
    def offset(self) -> int:
        """How many bytes were handed out."""
        return self._before + self.pos

    def want(self, count: int) -> bool:
        """Make at least `count` bytes available if the file has them; whether it has."""
        missing = count - (len(self.data) - self.pos)
        if missing <= 0:
            return True
        if self._read is None:
            return False
        pieces = [self.data[self.pos :]]
        while missing > 0:
            piece = self._read(WINDOW)
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        self._before += self.pos
        self.data, self.pos = b"".join(pieces), 0
        return missing <= 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            SourceError: If the file ends before.
        """
        if not self.want(count):
            raise self.error("the file ends in the middle; get a fresh copy")
        start = self.pos
        self.pos = start + count
        return self.data[start : start + count]

    def finish(self) -> None:
        """Read to the end, so that a compressed file's checksum is compared.

        Raises:
            SourceError: If there is anything left, or the checksum differs.
        """
        if self.want(1):
            raise self.error("something follows the end of the data; get a fresh copy")

    def error(self, problem: str) -> SourceError:
        """An error about the bytes at the current position."""
        return SourceError(self.file, f"byte {self.offset}", problem)


def from_reader(file: str, read: Callable[[int], bytes], limit: int) -> Stream:
    """A stream over a reading function, refused beyond `limit` bytes."""
    total = 0

    def limited(count: int) -> bytes:
        nonlocal total
        piece = read(count)
        total += len(piece)
        if total > limit:
            raise SourceError(file, f"byte {limit}", f"more than {limit} bytes; no official file is so large")
        return piece

    return Stream(file, b"", limited)


def limit_for(compressed: int) -> int:
    """The most bytes that are read from a compressed file of this size."""
    return GROWTH * compressed + SLACK


def from_bz2(file: str, data: bytes) -> Stream:
    """A stream over bz2-compressed bytes in memory."""
    decompress = _Bz2(file, io.BytesIO(data).read)
    return from_reader(file, decompress.read, limit_for(len(data)))


def open_bz2(path: Path) -> tuple[Stream, IO[bytes]]:
    """A stream over a bz2 file, and the file to close afterwards."""
    raw = open(path, "rb")  # noqa: SIM115  (the caller closes it)
    decompress = _Bz2(os.fspath(path), raw.read)
    return from_reader(os.fspath(path), decompress.read, limit_for(path.stat().st_size)), raw


class _Bz2:
    """One bz2 stream after another, decompressed no faster than it is read.

    `bz2.BZ2File` would do, but it passes over whatever follows a stream that is no bz2 data. A file with
    such a tail is damaged or made up, and is refused here.
    """

    def __init__(self, file: str, read: Callable[[int], bytes]) -> None:
        self._file, self._source = file, read
        self._bz2 = bz2.BZ2Decompressor()

    def read(self, count: int) -> bytes:
        """At most `count` decompressed bytes; none at the end of the file."""
        while True:
            if self._bz2.eof:
                rest = self._bz2.unused_data or self._source(WINDOW)
                if not rest:
                    return b""
                self._bz2 = bz2.BZ2Decompressor()
            elif self._bz2.needs_input:
                rest = self._source(WINDOW)
                if not rest:
                    raise self._broken("the compressed data ends in the middle")
            else:
                rest = b""
            try:
                piece = self._bz2.decompress(rest, count)
            except (OSError, ValueError) as error:
                raise self._broken("not, or no longer, bz2 data") from error
            if piece:
                return piece

    def _broken(self, problem: str) -> SourceError:
        return SourceError(self._file, "bz2", f"{problem}; get a fresh copy")
