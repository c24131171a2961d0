"""Importing official files: any layout in, one table per task and schedule out.

The work is cut into parts (`nb201env.sources.parts`), done by several processes where the layout
allows it. Finished parts stay in a hidden folder until the tables are written, so an import that
was interrupted goes on where it stopped when it is started again with the same source; a part is taken
only if the files it was made from are still the same, byte by byte. The layouts that are a single pickle can
only be read from the start: there, an import that was interrupted while it read starts over.

One import of a source into a folder is at work at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nb201env.container import Container
from nb201env.fields import Fields
from nb201env.files import alone, read_limited
from nb201env.sources import nats, parts
from nb201env.sources.assemble import build
from nb201env.sources.errors import SourceError
from nb201env.sources.nats import ITEM_NAME, Item
from nb201env.sources.opening import open_source
from nb201env.sources.parts import PART_SIZE
from nb201env.sources.pth import read_pth
from nb201env.sources.records import ONLY_TSS
from nb201env.space import SIZE, official_index_of
from nb201env.table import Table
from nb201env.workers import WorkerDied, local

Progress = Callable[[int, int], None]
"""Called with the number of architectures done, and how many there are."""
Note = Callable[[str], None]
"""Called with a sentence."""

LAYOUTS = {
    "nats-folder": "a folder of one file per architecture (NATS-tss-v1_0-3ffb9-simple or -full)",
    "nats-tar": "an uncompressed tar of such a folder",
    "nats-file": "all architectures in one NATS-tss-v1_0-3ffb9.pickle.pbz2",
    "pth": "NAS-Bench-201-v1_0-e61699.pth or NAS-Bench-201-v1_1-096897.pth",
}

RESUMABLE = ("nats-folder", "nats-tar")
"""The layouts whose import goes on where it was interrupted."""
_NUMBERS = "NAS-Bench-201 and NATS-Bench topology space, Dong et al."


def layout_of(path: Path) -> str:
    """Which of `LAYOUTS` a path is.

    Raises:
        FileNotFoundError: If there is nothing.
        OSError: If it is a pipe or a device.
        SourceError: If it is none of them.
    """
    if path.is_dir():
        return "nats-folder"
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {str(path)!r}")
    open_source(path).close()
    if ITEM_NAME.fullmatch(path.name) or path.name == "meta.pickle.pbz2":
        what = "the list of architectures" if path.name.startswith("meta") else "one architecture's file"
        raise SourceError(path, "file name", f"{what}; import its folder, {path.absolute().parent}")
    if "-sss-" in path.name:
        raise SourceError(path, "file name", f"the size space; {ONLY_TSS}")
    for ending, layout in ((".pth", "pth"), (".tar", "nats-tar"), (".pickle.pbz2", "nats-file")):
        if path.name.endswith(ending):
            return layout
    known = "; ".join(f"{name}: {what}" for name, what in LAYOUTS.items())
    raise SourceError(path, "file name", f"no known layout ({known}); rows of text are read by import-rows")


def import_official(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    prefix: str = "",
    workers: int | None = None,
    progress: Progress | None = None,
    replace: bool = False,
    note: Note | None = None,
) -> list[Table]:
    """Import a file or folder in one of the official layouts.

    Args:
        source: The file or folder.
        folder: Where the tables go; made if missing.
        prefix: Put before the tables' names ("cifar10-valid-12", "cifar100-200", …).
        workers: Processes to use; None for all cores.
        progress: Told about the progress.
        replace: Take the place of other tables of the same names.
        note: Told, in a sentence each, what is worth a word: architectures that are missing, unfinished
            downloads, tables that were there already.

    Returns:
        The tables, open.

    Raises:
        SourceError: If the source is damaged or not what it should be; the message names the
            file and the field. Nothing is written then but finished parts.
        AtWork: If another process imports the same source into the folder.
        FileExistsError: If there is another table of the same name, and `replace` is False. The parts are
            kept, so that the same call with `replace` is quick.
        WorkerDied: If a process that reads was killed; the same call goes on.
    """
    source, folder = Path(source), Path(folder)
    layout = layout_of(source)
    tell, say = progress or (lambda done, total: None), note or (lambda text: None)
    folder.mkdir(parents=True, exist_ok=True)
    place = hashlib.sha256(repr((layout, os.fspath(source.resolve()))).encode()).hexdigest()[:16]
    work = folder / f".import-{place}"
    with alone(folder / f".lock-{place}", f"importing {source} into {folder}"):
        work.mkdir(exist_ok=True)
        if layout in RESUMABLE:
            read, facts = _read_many(source, layout, work, workers or os.cpu_count() or 1, tell)
        else:
            read, facts = _read_single(source, layout, work, tell)
        _say_what_is_missing(source, read, say)
        provenance = {"numbers": _NUMBERS, "layout": layout, "source": source.name} | facts
        tables = build(read.paths, folder, provenance, prefix, read.number, replace=replace, note=say)
        shutil.rmtree(work)
    return tables


class _Read(NamedTuple):
    """What was read: the part files, and how many architectures."""

    paths: list[Path]
    number: int


def _say_what_is_missing(source: Path, read: _Read, say: Note) -> None:
    left = nats.leftovers(source) if source.is_dir() else []
    if left:
        say(
            f"{source}: {len(left)} file(s) of an unfinished download or unpacking, not read "
            f"(first: {left[0]})"
        )
    if read.number < SIZE:
        held = np.concatenate([Container(path).array("index") for path in read.paths])
        first = int(np.setdiff1d(np.arange(SIZE), official_index_of(held))[0])
        say(f"{source}: {SIZE - read.number} of {SIZE} architectures are missing (first: {first:06d}); "
            "is the download unfinished?")  # fmt: skip


def _read_many(
    source: Path, layout: str, work: Path, workers: int, tell: Progress
) -> tuple[_Read, dict[str, Any]]:
    """Parts of a folder or tar, kept from an earlier try or new; and facts for the manifest."""
    before = _state(source)
    items = nats.folder_items(source) if layout == "nats-folder" else nats.tar_items(source)
    if (source / "meta.pickle.pbz2").exists():
        nats.check_meta(source / "meta.pickle.pbz2")
    paths, digest = _import_items(source, items, work, workers, tell)
    if layout == "nats-tar":
        _check_unchanged(source, before)
    return _Read(paths, len(items)), {"source_sha256": digest}


def _read_single(source: Path, layout: str, work: Path, tell: Progress) -> tuple[_Read, dict[str, Any]]:
    """The same for one file of all architectures.

    It is read from the start, unless an earlier try read it to its end and stopped later.
    """
    before, digest = _state(source), _file_sha256(source)
    whole = work / "whole.json"
    read = _whole(whole, digest, work)
    if read is None:
        shutil.rmtree(work)
        work.mkdir()
        writer = _read_stream(source, layout, work, tell)
        _check_unchanged(source, before)
        read = _Read(writer.paths, writer.count)
        whole.write_text(
            json.dumps({"source_sha256": digest, "parts": len(read.paths), "count": read.number})
        )
    return read, {"source_sha256": digest, "md5_agrees_with_name": _agrees_with_name(source)}


def _whole(path: Path, digest: str, work: Path) -> _Read | None:
    """What an earlier try read of the same file, if it came to its end and all of it is there."""
    try:
        held = Fields.parse(read_limited(path, 10_000), os.fspath(path))
        count, number = held.whole("count", least=1, most=SIZE), held.whole("parts", least=1, most=SIZE)
        if held.text("source_sha256") != digest:
            return None
    except (OSError, ValueError):
        return None
    paths = [parts.part_path(work, part) for part in range(number)]
    return _Read(paths, count) if all(map(parts.is_done, paths)) else None


def _state(source: Path) -> tuple[int, int]:
    stat = source.stat()
    return stat.st_size, stat.st_mtime_ns


def _check_unchanged(source: Path, before: tuple[int, int]) -> None:
    if _state(source) != before:
        raise SourceError(source, "file", "was changed while it was read; import it again")


def _file_sha256(source: Path) -> str:
    with open_source(source) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _agrees_with_name(source: Path) -> bool | None:
    """Whether the md5 ends as the file's name says ("…-096897.pth"); None for other names."""
    named = re.fullmatch(r"NA\w+-(?:Bench|tss)[-\w]*-([0-9a-f]{5,6})(?:\.pth|\.pickle\.pbz2)", source.name)
    if named is None:
        return None
    with open(source, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return digest.endswith(named[1])


def _import_items(
    source: Path, items: list[Item], work: Path, workers: int, tell: Progress
) -> tuple[list[Path], str]:
    """Write all parts; returns them, and the sha256 over the files' sha256 by official index."""
    chunks = [items[start : start + PART_SIZE] for start in range(0, len(items), PART_SIZE)]
    paths = [parts.part_path(work, number) for number in range(len(chunks))]
    todo = [job for job in zip(paths, chunks, strict=True) if not _is_done(*job)]
    done = len(items) - sum(len(chunk) for _, chunk in todo)
    tell(done, len(items))
    outcomes = local(_import_chunk, todo, min(workers, max(1, len(todo))))
    try:
        for part in outcomes:
            if isinstance(part.error, WorkerDied):
                raise _died(source, part.job[1], part.error)
            done += part.result()
            tell(done, len(items))
    finally:  # by itself it would stay open as long as the error's traceback does
        getattr(outcomes, "close", lambda: None)()
    lines = [line for path in paths for line in parts.sources_of(path)]
    return paths, hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _died(source: Path, chunk: list[Item], error: WorkerDied) -> WorkerDied:
    first, last = chunk[0].official_index, chunk[-1].official_index
    return WorkerDied(
        f"{source}: architectures {first:06d} to {last:06d}: {error}; run the same command again, with fewer "
        "--jobs if memory is short"
    )


def _is_done(path: Path, chunk: list[Item]) -> bool:
    """Whether a part is there, whole, and made from what these files hold now."""
    return parts.is_done(path) and parts.sources_of(path) == [nats.item_sha256(item) for item in chunk]


def _import_chunk(job: tuple[Path, list[Item]]) -> int:
    path, chunk = job
    read = [nats.read_item(item) for item in chunk]
    parts.write_part(path, [record for record, _ in read], [sha256 for _, sha256 in read])
    return len(chunk)


def _read_stream(source: Path, layout: str, work: Path, tell: Progress) -> parts.PartWriter:
    writer = parts.PartWriter(work)

    def take(record: Any) -> None:
        writer.add(record)
        tell(writer.count, SIZE)

    (read_pth if layout == "pth" else nats.read_single)(source, take)
    if not writer.count:
        raise SourceError(source, "arch2infos", "holds no architectures; is it the meta file of a folder?")
    writer.close()
    return writer
