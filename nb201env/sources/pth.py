"""The torch containers ``NAS-Bench-201-v1_0-e61699.pth`` and ``-v1_1-096897.pth``, without torch.

A ``.pth`` file wraps one pickle. The legacy container (both official files) is a row of pickles: a
magic number, a protocol number, facts about the machine, the content, the names of its tensors.
The newer one is a zip with the pickle in ``<name>/data.pkl``. Tensors are passed over.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from nb201env.sources.errors import SourceError, show
from nb201env.sources.nats import read_pickle
from nb201env.sources.opening import Careful, open_source
from nb201env.sources.pickles.streams import from_reader
from nb201env.sources.pickles.unpickle import Unpickler
from nb201env.sources.records import Record

LARGEST_LIST = 1 << 24
"""The most bytes that a zip's list of files may have."""
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def read_pth(path: Path, take: Callable[[Record], None]) -> None:
    """All architectures of a ``.pth`` file, one after the other.

    Raises:
        SourceError: If the file is damaged or not what it should be.
    """
    with open_source(path) as file:
        is_zip = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        (_read_zip if is_zip else _read_legacy)(path, file, take)


def _read_legacy(path: Path, file: IO[bytes], take: Callable[[Record], None]) -> None:
    stream = from_reader(os.fspath(path), file.read, os.fstat(file.fileno()).st_size)
    header: list[Any] = [Unpickler(stream).load() for _ in range(3)]
    if header[0] != MAGIC:
        raise SourceError(path, "magic number", f"not a torch file (it starts with {show(header[0])})")
    if header[1] != PROTOCOL or type(header[2]) is not dict:
        raise SourceError(path, "protocol", f"{show(header[1])} is not torch's {PROTOCOL}")
    if header[2].get("little_endian") is not True:
        raise SourceError(path, "system", "written on a machine with another byte order")
    read_pickle(stream, take, tensors=True)


def _read_zip(path: Path, file: IO[bytes], take: Callable[[Record], None]) -> None:
    try:
        listed: Any = Careful(path, file, LARGEST_LIST)
        with zipfile.ZipFile(listed) as archive:
            info = _content(path, archive)
            with archive.open(info) as content:
                size = os.fstat(file.fileno()).st_size  # info.compress_size is what the file says
                stream = from_reader(f"{path}:{info.filename}", content.read, size)
                read_pickle(stream, take, tensors=True)
                stream.finish()
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        EOFError,
        RuntimeError,
        struct.error,
    ) as error:
        raise SourceError(
            path, "zip", f"damaged ({show(str(error) or type(error).__name__)}); get a fresh copy"
        ) from error


def _content(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    found = [info for info in archive.infolist() if info.filename.split("/")[-1] == "data.pkl"]
    if len(found) != 1 or found[0].filename.count("/") != 1:
        raise SourceError(path, "zip", "not a torch file: it needs exactly one <name>/data.pkl")
    if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SourceError(path, "zip", "compressed in a way that torch does not use; get a fresh copy")
    return found[0]
