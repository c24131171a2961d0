"""Bytes out of foreign files, in bounded memory.

A `Stream` hands out a file's bytes in order and keeps no more than a window of them. It refuses
files that inflate beyond reason: no official file grows more than fiftyfold when decompressed,
so `GROWTH` times the compressed size, plus `SLACK`, is the most that is read. Of what is read,
texts and byte strings of `KEEP` times the size, plus `SLACK`, may be kept at a time; `MOST_KEPT` at most.
"""

from __future__ import annotations

import bz2
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from nb201env.sources.errors import SourceError
from nb201env.sources.opening import GROWTH, SLACK, open_source

WINDOW = 1 << 20
KEEP = 8
MOST_KEPT = 1 << 29


class Stream:
    """Bytes in order, from memory or from a reading function.

    Args:
        file: For messages.
        data: The first bytes, or all.
        read: Gives more bytes, at most as many as it is asked for; none at the end.
        size: How many bytes there are on the disk; that of `data` if None.

    Attributes:
        data, pos: The window and the position of the next byte in it.
        keep: How many bytes of texts and byte strings may be kept from it at a time.
    """

    def __init__(
        self,
        file: str,
        data: bytes = b"",
        read: Callable[[int], bytes] | None = None,
        size: int | None = None,
    ) -> None:
        self.file = file
        self.data, self.pos = data, 0
        self.keep = min(KEEP * (len(data) if size is None else size) + SLACK, max(MOST_KEPT, 2 * len(data)))
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


def from_reader(file: str, read: Callable[[int], bytes], size: int) -> Stream:
    """A stream over a reading function, refused when it inflates beyond reason.

    Args:
        file: For messages.
        read: Gives at most as many bytes as it is asked for; none at the end.
        size: How many bytes the file has on the disk.
    """
    total, limit = 0, limit_for(size)

    def limited(count: int) -> bytes:
        nonlocal total
        piece = read(count)
        total += len(piece)
        if total > limit:
            raise SourceError(file, f"byte {limit}", f"more than {limit} bytes; no official file is so large")
        return piece

    return Stream(file, b"", limited, size)


def limit_for(size: int) -> int:
    """The most bytes that are read from a compressed file of this size."""
    return GROWTH * size + SLACK


def from_bz2(file: str, data: bytes) -> Stream:
    """A stream over bz2-compressed bytes in memory."""
    return over_bz2(file, io.BytesIO(data).read, len(data))


def over_bz2(file: str, read: Callable[[int], bytes], size: int) -> Stream:
    """A stream over bz2-compressed bytes; the arguments as for `from_reader`."""
    return from_reader(file, _Bz2(file, read).read, size)


def open_bz2(path: Path) -> tuple[Stream, IO[bytes]]:
    """A stream over a bz2 file, and the file to close afterwards."""
    raw = open_source(path)
    return over_bz2(os.fspath(path), raw.read, os.fstat(raw.fileno()).st_size), raw


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
