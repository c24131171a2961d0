"""Opening files from strangers: what is no such file is said at once, instead of read without end."""

from __future__ import annotations

import io
import math
import os
from typing import IO, cast

from nb201env.files import open_regular
from nb201env.sources.errors import SourceError

GROWTH = 200
SLACK = 16 << 20
"""A file may stand for at most `GROWTH` times the bytes it has on the disk, plus `SLACK`."""
_HTML = (b"<!doctype", b"<html", b"<head", b"<?xml")


def open_source(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a file for reading.

    Raises:
        OSError: If there is none, or it is a folder, a pipe or a device.
        SourceError: If it is an HTML page (a download that failed), or a file of holes.
    """
    file = cast(io.BufferedReader, open_regular(path))
    try:
        _check_holes(path, os.fstat(file.fileno()))
        _check_html(path, file)
    except BaseException:
        file.close()
        raise
    return file


def _check_holes(path: str | os.PathLike[str], stat: os.stat_result) -> None:
    """A sparse file is one that inflates: its holes cost nothing on the disk."""
    held = getattr(stat, "st_blocks", 0) * 512  # 0 where the file system does not say
    if held and stat.st_size > GROWTH * held + SLACK:
        problem = (
            f"{stat.st_size} bytes, of which {held} are on the disk, the rest are holes; get a fresh copy"
        )
        raise SourceError(path, "size", problem)


def _check_html(path: str | os.PathLike[str], file: IO[bytes]) -> None:
    start = file.read(256)
    file.seek(0)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_HTML):
        problem = "an HTML page, not the file: the download failed (a page about a quota, say); get it again"
        raise SourceError(path, "content", problem)


class Careful(io.RawIOBase):
    """A file for a library that reads as many bytes at once as the file tells it to.

    Args:
        path: For messages.
        file: The file.
        at_once: The most bytes that may be read at once.
        in_all: The most bytes that may be read in all.
    """

    def __init__(
        self, path: str | os.PathLike[str], file: IO[bytes], at_once: int, in_all: float = math.inf
    ) -> None:
        super().__init__()
        self._path, self._file, self._at_once, self._left = path, file, at_once, in_all

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        return self._file.seek(offset, whence)

    def read(self, size: int | None = None) -> bytes:
        """At most `size` bytes.

        Raises:
            SourceError: If that is more than may be read.
        """
        size = -1 if size is None else size
        piece = self._file.read(min(size, self._at_once + 1) if size >= 0 else self._at_once + 1)
        self._left -= len(piece)
        if len(piece) > self._at_once or size > self._at_once or self._left < 0:
            raise SourceError(self._path, "header", "larger than any real one; get a fresh copy")
        return piece
