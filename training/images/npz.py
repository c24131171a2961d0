"""Arrays from an .npz of unknown origin: every head is read and judged before any content is."""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from nb201env.arrays import Array
from nb201env.files import open_regular
from nb201env.training.images.fetch import DamagedData

_FAULTS = (EOFError, MemoryError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error)
"""What zipfile and numpy raise at damaged files."""


class Head(NamedTuple):
    """What an array says of itself.

    Attributes:
        shape: Its shape.
        dtype: Of plain numbers.
        fortran: Whether its first axis moves fastest.
        start: Where in its member the numbers begin.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int

    @property
    def bytes(self) -> int:
        """Of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npz(
    path: str | os.PathLike[str], names: Sequence[str], judge: Callable[[dict[str, Head]], None],
    optional: Sequence[str] = (), mend: str = "get a fresh copy",
) -> dict[str, Array]:  # fmt: skip
    """Read some of a file's arrays.

    Args:
        path: The file; nothing in it is unpickled.
        names: Of the arrays.
        optional: Of arrays whose heads are judged with the others if they are there; they are not read.
        mend: What to do if they are not there or the file is damaged, for messages.
        judge: Raises if the heads are not what they should be. Nothing is inflated before, so it bounds the
            memory: after it, that of the arrays is taken.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it cannot be read, or is a pipe or a device.
        DamagedData: If it is no .npz with these arrays, or what `judge` raises.
    """
    try:
        file = open_regular(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{os.fspath(path)} is missing; give --data an existing .npz") from error
    with file:
        try:
            with zipfile.ZipFile(file) as archive:
                there = [name for name in optional if f"{name}.npy" in archive.namelist()]
                members = {name: _member(archive, name) for name in (*names, *there)}
                heads = {name: _head(archive, member) for name, member in members.items()}
                judge(heads)
                return {name: _content(archive, members[name], heads[name]) for name in names}
        except DamagedData:
            raise
        except _FAULTS as error:
            wanted = ", ".join(names)
            raise DamagedData(f"{Path(path)}: not an .npz with {wanted} ({error}); {mend}") from error


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ValueError(f"{name} is missing") from None
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is packed as numpy packs nothing")
    return member


def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Head:
    with archive.open(member) as stream:
        head = _read_head(stream)
    if head.dtype.hasobject or head.dtype.names or min(head.shape, default=0) < 0:
        raise ValueError(f"{member.filename} holds {head.dtype}, not plain numbers")
    if head.start + head.bytes != member.file_size:
        raise ValueError(
            f"{member.filename} has {member.file_size:,} bytes instead of {head.start + head.bytes:,}"
        )
    return head


def _read_head(stream: IO[bytes]) -> Head:
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(npy.read_magic(stream))
    if read is None:
        raise ValueError("an array of another version of numpy's format")
    try:
        shape, fortran, dtype = read(stream)
    except Exception as error:  # numpy's reader lets the kinds of all parsers through that it calls
        raise ValueError(f"an array whose head cannot be read ({type(error).__name__})") from error
    return Head(shape, dtype, fortran, stream.tell())


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, head: Head) -> Array:
    flat = np.empty(math.prod(head.shape), head.dtype)
    with archive.open(member) as stream:
        stream.read(head.start)
        rest = flat.view(np.uint8).data
        while len(rest) and (count := stream.readinto(rest)):  # type: ignore[attr-defined]
            rest = rest[count:]
        if len(rest) or stream.read(1):  # the end is where the checksum is compared
            raise ValueError(f"{member.filename} is cut short")
    return flat.reshape(head.shape, order="F" if head.fortran else "C")
