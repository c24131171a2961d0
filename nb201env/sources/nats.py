"""The NATS-Bench layouts: a folder of one file per architecture, its tar, or one file for all.

* ``NATS-tss-v1_0-3ffb9-simple/``: ``000000.pickle.pbz2`` … ``015624.pickle.pbz2`` and a meta file;
  ``NATS-tss-v1_0-3ffb9-full/`` looks the same and holds trained weights as well, which are
  passed over;
* a tar of such a folder, read without unpacking it;
* ``NATS-tss-v1_0-3ffb9.pickle.pbz2``: everything in one pickle, read as a stream.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nb201env.architecture import official_strings
from nb201env.sources import records
from nb201env.sources.errors import SourceError, show
from nb201env.sources.pickles.streams import Stream, from_bz2, open_bz2
from nb201env.sources.pickles.types import WITH_WEIGHTS
from nb201env.sources.pickles.unpickle import Unpickler
from nb201env.sources.records import Record
from nb201env.space import SIZE, official_order

_NAME = re.compile(r"(\d{1,6})\.pickle\.pbz2")
LARGEST_FILE = 1 << 30
_DONE = "index"


class Item(NamedTuple):
    """Where one architecture's compressed pickle lies: a file, or a piece of a tar."""

    official_index: int
    path: str
    offset: int
    size: int
    name: str


def folder_items(folder: Path) -> list[Item]:
    """The architectures' files of a folder, by official index.

    Raises:
        SourceError: If there are none, or two for one architecture.
    """
    items: dict[int, Item] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file() and (index := _index(entry.name)) is not None:
                item = Item(index, entry.path, 0, entry.stat().st_size, entry.path)
                _add(items, item, os.fspath(folder))
    if not items:
        raise SourceError(folder, "content", "no files like 000000.pickle.pbz2; is it the unpacked folder?")
    return [items[index] for index in sorted(items)]


def tar_items(path: Path) -> list[Item]:
    """The architectures' files inside a tar, by official index; nothing is unpacked.

    Raises:
        SourceError: If the tar is compressed, damaged, empty of such files, or holds links,
            devices or paths that lead out of it.
    """
    items: dict[int, Item] = {}
    size = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            for count, member in enumerate(tar):
                if count > 4 * SIZE:
                    raise SourceError(path, "content", f"more than {4 * SIZE} files")
                _check_member(path, member, size)
                index = _index(Path(member.name).name)
                if member.isfile() and index is not None:
                    where = f"{path}:{member.name}"
                    _add(items, Item(index, os.fspath(path), member.offset_data, member.size, where), where)
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        if isinstance(error, SourceError):
            raise
        problem = "not an uncompressed tar, or damaged; take off the compression, or get a fresh copy"
        raise SourceError(path, "tar", problem) from error
    if not items:
        raise SourceError(path, "content", "no files like 000000.pickle.pbz2 in it")
    return [items[index] for index in sorted(items)]


def _check_member(path: Path, member: tarfile.TarInfo, size: int) -> None:
    name = member.name
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name:
        raise SourceError(path, show(name), "refused: a path that leads out of the archive")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise SourceError(path, show(name), "refused: neither a plain file nor a folder")
    if member.size < 0 or member.offset_data + member.size > size:
        raise SourceError(path, show(name), "the archive ends in the middle of it; get a fresh copy")


def _index(name: str) -> int | None:
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def _add(items: dict[int, Item], item: Item, where: str) -> None:
    if item.official_index >= SIZE:
        raise SourceError(where, "file name", f"there is no architecture {item.official_index}")
    if item.official_index in items:
        raise SourceError(where, "file name", f"a second file for architecture {item.official_index}")
    items[item.official_index] = item


def read_item(item: Item) -> tuple[Record, str]:
    """One architecture's results, and the sha256 of its file.

    Raises:
        SourceError: If the file is damaged or not what it should be.
    """
    if item.size > LARGEST_FILE:
        raise SourceError(item.name, "size", f"{item.size} bytes for one architecture")
    with open(item.path, "rb") as file:
        file.seek(item.offset)
        data = file.read(item.size)
    if len(data) < item.size:
        raise SourceError(item.name, "size", "the file became shorter while it was read")
    stream = from_bz2(item.name, data)
    values = Unpickler(stream, allowed=WITH_WEIGHTS).load()
    stream.finish()
    record = records.read(values, file=item.name, official_index=item.official_index)
    return record, hashlib.sha256(data).hexdigest()


def read_single(path: Path, take: Callable[[Record], None]) -> None:
    """All architectures of the single compressed file, one after the other.

    Raises:
        SourceError: If the file is damaged or not what it should be.
    """
    stream, file = open_bz2(path)
    with file:
        read_pickle(stream, take)
        stream.finish()


def read_pickle(stream: Stream, take: Callable[[Record], None], *, tensors: bool = False) -> None:
    """All architectures of one pickle (``{"meta_archs": …, "arch2infos": {index: …}, …}``).

    Each one is handed over and forgotten as soon as it was read, so that the memory needed does not
    grow with the file.
    """
    seen: set[int] = set()

    def on_dict(values: dict[Any, Any]) -> bool:
        if not records.is_architecture(values):
            return False
        record = records.read(values, file=stream.file)
        if record.index in seen:
            raise SourceError(stream.file, "arch2infos", f"architecture {record.index} occurs twice")
        seen.add(record.index)
        take(record)
        values.clear()
        values[_DONE] = record.index
        return True

    values = Unpickler(stream, allowed=WITH_WEIGHTS, on_dict=on_dict, tensors=tensors).load()
    _check_top(stream.file, values, seen)


def _check_top(file: str, values: Any, seen: set[int]) -> None:
    if type(values) is not dict or type(values.get("arch2infos")) is not dict:
        raise SourceError(file, "arch2infos", "is missing; is it the meta file of a folder?")
    infos = values["arch2infos"]
    if not all(type(index) is int and 0 <= index < SIZE for index in infos):
        raise SourceError(file, "arch2infos", "has keys that are no official indices")
    order = official_order().tolist()
    if len(infos) != len(seen) or any(info != {_DONE: order[index]} for index, info in infos.items()):
        raise SourceError(file, "arch2infos", "an architecture stands under another one's index")
    archs = values.get("meta_archs")
    if type(archs) is not list or len(archs) != SIZE:
        raise SourceError(file, "meta_archs", f"expected a list of {SIZE} architectures")


def check_meta(path: Path) -> None:
    """Check that a folder's meta file lists the official architectures in order.

    Raises:
        SourceError: If they are not.
    """
    stream, file = open_bz2(path)
    with file:
        values = Unpickler(stream).load()
        stream.finish()
    archs = values.get("meta_archs") if type(values) is dict else None
    if type(archs) is not list or archs != official_strings():
        raise SourceError(path, "meta_archs", "not the official list of architectures")
