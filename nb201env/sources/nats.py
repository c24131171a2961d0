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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from nb201env.architecture import official_strings
from nb201env.sources import records
from nb201env.sources.errors import SourceError, show
from nb201env.sources.opening import Careful, open_source
from nb201env.sources.pickles.streams import Stream, open_bz2, over_bz2
from nb201env.sources.pickles.types import WITH_WEIGHTS
from nb201env.sources.pickles.unpickle import Unpickler
from nb201env.sources.records import ONLY_TSS, Record
from nb201env.space import SIZE, official_order

ITEM_NAME = re.compile(r"([0-9]{1,6})\.pickle\.pbz2")
_LEFTOVER = re.compile(
    r"[0-9]{6}\.pickle|.*\.(part|partial|crdownload|download|tmp|aria2|!ut)", re.IGNORECASE
)
LARGEST_FILE = 1 << 30
LARGEST_HEADER, ALL_HEADERS, MOST_GLOBAL = 1 << 16, 1 << 26, 100
"""Of a tar: the bytes of one header, those of all together, and the entries that apply to all files."""
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
            if (index := _index(entry.name)) is not None:
                if not entry.is_file():
                    raise SourceError(entry.path, "file", "not a file (a folder, a pipe or a device)")
                item = Item(index, entry.path, 0, entry.stat().st_size, entry.path)
                _add(items, item, entry.path)
    if not items:
        raise SourceError(folder, "content", f"no files like 000000.pickle.pbz2; {_where_else(folder)}")
    return [items[index] for index in sorted(items)]


def _where_else(folder: Path) -> str:
    """Where a folder's files may be instead."""
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        if any(_index(name) is not None for name in os.listdir(inner)):
            return f"they are in {inner}; import that"
    return "is it the unpacked folder?"


def leftovers(folder: Path) -> list[str]:
    """The names of files in a folder that unfinished downloads and unpackings leave behind."""
    return sorted(name for name in os.listdir(folder) if _LEFTOVER.fullmatch(name))


def tar_items(path: Path) -> list[Item]:
    """The architectures' files inside a tar, by official index; nothing is unpacked.

    Raises:
        SourceError: If the tar is compressed, damaged, empty of such files, or holds links,
            devices or paths that lead out of it.
    """
    items: dict[int, Item] = {}
    try:
        with open_source(path) as file:
            size = os.fstat(file.fileno()).st_size
            for member in _members(path, file):
                _check_member(path, member, size)
                index = _index(Path(member.name).name)
                if member.isfile() and index is not None:
                    where = f"{path}:{member.name}"
                    _add(items, Item(index, os.fspath(path), member.offset_data, member.size, where), where)
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
        if isinstance(error, SourceError):
            raise
        problem = "not an uncompressed tar, or damaged; take off the compression, or get a fresh copy"
        raise SourceError(path, "tar", problem) from error
    if not items:
        raise SourceError(path, "content", "no files like 000000.pickle.pbz2 in it")
    return [items[index] for index in sorted(items)]


def _members(path: Path, file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """What a tar lists, one after the other, in bounded memory."""
    careful: Any = Careful(path, file, LARGEST_HEADER, ALL_HEADERS)
    with tarfile.open(fileobj=careful, mode="r:") as tar:
        for count in range(4 * SIZE + 1):
            member = tar.next()
            if member is None:
                return
            if count == 4 * SIZE or len(tar.pax_headers) > MOST_GLOBAL:  # every member gets a copy of these
                problem = f"more than {4 * SIZE} files, or {MOST_GLOBAL} entries in its global header"
                raise SourceError(path, "content", problem)
            tar.members.clear()  # type: ignore[attr-defined]
            yield member


def _check_member(path: Path, member: tarfile.TarInfo, size: int) -> None:
    name = member.name
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name:
        raise SourceError(path, show(name), "refused: a path that leads out of the archive")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise SourceError(path, show(name), "refused: neither a plain file nor a folder")
    if member.size < 0 or member.offset_data + member.size > size:
        raise SourceError(path, show(name), "the archive ends in the middle of it; get a fresh copy")


def _index(name: str) -> int | None:
    match = ITEM_NAME.fullmatch(name)
    return int(match[1]) if match else None


def _add(items: dict[int, Item], item: Item, where: str) -> None:
    if item.official_index >= SIZE:
        problem = (
            f"there is no architecture {item.official_index}; is it the size space (NATS-sss)? {ONLY_TSS}"
        )
        raise SourceError(where, "file name", problem)
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
    digest, left = hashlib.sha256(), item.size
    with open_source(item.path) as file:
        file.seek(item.offset)

        def read(count: int) -> bytes:
            nonlocal left
            piece = file.read(min(count, left))
            left -= len(piece)
            digest.update(piece)
            return piece

        stream = over_bz2(item.name, read, item.size)
        values = Unpickler(stream, allowed=WITH_WEIGHTS).load()
        stream.finish()
    if left:
        raise SourceError(item.name, "size", "the file became shorter while it was read")
    record = records.read(values, file=item.name, official_index=item.official_index)
    return record, digest.hexdigest()


def item_sha256(item: Item) -> str:
    """The sha256 of one architecture's file."""
    digest, left = hashlib.sha256(), item.size
    with open_source(item.path) as file:
        file.seek(item.offset)
        while left and (piece := file.read(min(left, 1 << 20))):
            left -= len(piece)
            digest.update(piece)
    return digest.hexdigest()


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
