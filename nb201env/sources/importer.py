"""Importing official files: any layout in, one table per task and schedule out.

The work is cut into parts (`nb201env.sources.parts`), done by several processes where the layout
allows it. Finished parts stay in a hidden folder until the tables are written, so an import that
was interrupted goes on where it stopped when it is started again with the same source. (The
layouts that are a single pickle can only be read from the start: there, an interrupted import
starts over.)
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nb201env.container import Container
from nb201env.sources import nats, parts
from nb201env.sources.assemble import build
from nb201env.sources.errors import SourceError
from nb201env.sources.nats import Item
from nb201env.sources.parts import PART_SIZE
from nb201env.sources.pth import read_pth
from nb201env.space import SIZE
from nb201env.table import Table
from nb201env.workers import local

Progress = Callable[[int, int], None]
"""Called with the number of architectures done, and how many there are."""

LAYOUTS = {
    "nats-folder": "a folder of one file per architecture (NATS-tss-v1_0-3ffb9-simple or -full)",
    "nats-tar": "an uncompressed tar of such a folder",
    "nats-file": "all architectures in one NATS-tss-v1_0-3ffb9.pickle.pbz2",
    "pth": "NAS-Bench-201-v1_0-e61699.pth or NAS-Bench-201-v1_1-096897.pth",
}

_NUMBERS = "NAS-Bench-201 and NATS-Bench topology space, Dong et al."


def layout_of(path: Path) -> str:
    """Which of `LAYOUTS` a path is.

    Raises:
        FileNotFoundError: If there is nothing.
        SourceError: If it is none of them.
    """
    if path.is_dir():
        return "nats-folder"
    if not path.is_file():
        raise FileNotFoundError(f"no file or folder {str(path)!r}")
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
) -> list[Table]:
    """Import a file or folder in one of the official layouts.

    Args:
        source: The file or folder.
        folder: Where the tables go; made if missing.
        prefix: Put before the tables' names ("cifar10-valid-12", "cifar100-200", …).
        workers: Processes to use; None for all cores.
        progress: Told about the progress.

    Returns:
        The tables, open.

    Raises:
        SourceError: If the source is damaged or not what it should be; the message names the
            file and the field. Nothing is written then but finished parts.
    """
    source, folder = Path(source), Path(folder)
    layout = layout_of(source)
    tell = progress or (lambda done, total: None)
    folder.mkdir(parents=True, exist_ok=True)
    if layout in ("nats-folder", "nats-tar"):
        work, facts = _import_many(source, layout, folder, workers or os.cpu_count() or 1, tell)
    else:
        work, facts = _import_single(source, layout, folder, tell)
    provenance = {"numbers": _NUMBERS, "layout": layout, "source": source.name} | facts
    tables = build(parts.part_paths(work), folder, provenance, prefix)
    shutil.rmtree(work)
    return tables


def _import_many(
    source: Path, layout: str, folder: Path, workers: int, tell: Progress
) -> tuple[Path, dict[str, Any]]:
    """Parts of a folder or tar, kept from an earlier try or new; their folder, and facts for the manifest."""
    items = nats.folder_items(source) if layout == "nats-folder" else nats.tar_items(source)
    if (source / "meta.pickle.pbz2").is_file():
        nats.check_meta(source / "meta.pickle.pbz2")
    work = folder / f".import-{_fingerprint(layout, source, items)}"
    work.mkdir(exist_ok=True)
    return work, {"source_sha256": _import_items(items, work, workers, tell)}


def _import_single(source: Path, layout: str, folder: Path, tell: Progress) -> tuple[Path, dict[str, Any]]:
    """The same for one file of all architectures, which is always read from the start."""
    work = folder / f".import-{_fingerprint(layout, source, [])}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    _import_stream(source, layout, work, tell)
    with open(source, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return work, {"source_sha256": digest, "md5_agrees_with_name": _agrees_with_name(source)}


def _agrees_with_name(source: Path) -> bool | None:
    """Whether the md5 ends as the file's name says ("…-096897.pth"); None for other names."""
    named = re.fullmatch(r"NA\w+-(?:Bench|tss)[-\w]*-([0-9a-f]{5,6})(?:\.pth|\.pickle\.pbz2)", source.name)
    if named is None:
        return None
    with open(source, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return digest.endswith(named[1])


def _fingerprint(layout: str, source: Path, items: Iterable[Item]) -> str:
    stat = source.stat()
    text = repr((layout, os.fspath(source.resolve()), stat.st_size if source.is_file() else 0,
                 [(item.official_index, item.size) for item in items], PART_SIZE))  # fmt: skip
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _import_items(items: list[Item], work: Path, workers: int, tell: Progress) -> str:
    """Write all parts; returns the sha256 over the files' sha256, by official index."""
    chunks = [items[start : start + PART_SIZE] for start in range(0, len(items), PART_SIZE)]
    paths = [parts.part_path(work, number) for number in range(len(chunks))]
    todo = [(path, chunk) for path, chunk in zip(paths, chunks, strict=True) if not parts.is_done(path)]
    done = len(items) - sum(len(chunk) for _, chunk in todo)
    tell(done, len(items))
    for part in local(_import_chunk, todo, min(workers, max(1, len(todo)))):
        done += part.result()
        tell(done, len(items))
    lines = [line for path in paths for line in Container(path).manifest["sha256"]]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _import_chunk(job: tuple[Path, list[Item]]) -> int:
    path, chunk = job
    read = [nats.read_item(item) for item in chunk]
    parts.write_part(path, [record for record, _ in read], [sha256 for _, sha256 in read])
    return len(chunk)


def _import_stream(source: Path, layout: str, work: Path, tell: Progress) -> None:
    writer = parts.PartWriter(work)

    def take(record: Any) -> None:
        writer.add(record)
        tell(writer.count, SIZE)

    (read_pth if layout == "pth" else nats.read_single)(source, take)
    if not writer.count:
        raise SourceError(source, "arch2infos", "holds no architectures; is it the meta file of a folder?")
    writer.close()
