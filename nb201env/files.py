"""Files that appear whole, that one process at a time works in, and that are read with care."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

if os.name == "nt":
    import msvcrt
else:
    import fcntl


@contextmanager
def appearing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file, or a folder, that replaces `path` in one step when the block ends.

    The block gets the path of a hidden neighbour, which does not exist yet, and writes there. If the
    block raises, the neighbour is removed; if the process is killed, it is left behind. In both cases
    `path` is as it was before. Nothing is forced onto the disk: a block that needs that calls
    `os.fsync` itself.

    Args:
        path: The file. Its folder must exist. A folder cannot replace one that is there already.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.partial")
    try:
        yield partial
        os.replace(partial, target)
    except BaseException:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
        raise


@contextmanager
def appearing_together(
    folder: str | os.PathLike[str], last: Sequence[str] = (), replacing: re.Pattern[str] | None = None
) -> Iterator[Path]:
    """Write several files that replace those of their names in `folder` when the block ends.

    The block gets the path of a hidden folder in `folder`, and writes there. If it raises, nothing in
    `folder` has changed. At the end every file is replaced in one step, one after the other.

    Args:
        folder: Where they appear; it must exist.
        last: Names of files that appear after all others: those that tell of them.
        replacing: The names of files that the new ones replace as a whole: those that are in `folder` and not
            among the new ones are removed once all of these are there.
    """
    target = Path(folder)
    partial = target / f".{os.getpid()}-{os.urandom(4).hex()}.partial"
    partial.mkdir()
    try:
        yield partial
        names = sorted(path.name for path in partial.iterdir())
        for name in sorted(names, key=lambda name: last.index(name) + 1 if name in last else 0):
            os.replace(partial / name, target / name)
        if replacing:
            for path in target.iterdir():
                if replacing.fullmatch(path.name) and path.name not in names and path.is_file():
                    path.unlink(missing_ok=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


# -- one at a time ---------------------------------------------------------------------------


class AtWork(OSError):
    """Another process works where only one can; the message says where."""


def try_lock(file: IO[Any]) -> bool:
    """Lock an open file for this process; False if another one holds it.

    The lock ends when the file is closed, also by the death of the process, so nothing can leave it behind.
    """
    try:
        if os.name == "nt":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def alone(lock: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Do the block while no other process is in one with the same lock.

    Args:
        lock: A file that serves as the lock; made if missing, and removed at the end.
        what: What the block does, for the message: "importing NATS.tar into runs".

    Raises:
        AtWork: If another process is in such a block.
    """
    path = Path(lock)
    while True:
        with open(path, "a+b") as file:
            if not try_lock(file):
                raise AtWork(
                    f"another command is {what} (it holds {path}); wait for its end, then run this again"
                )
            if not _is_still(path, file):
                continue  # its last holder removed it between our opening and our locking
            try:
                yield
            finally:
                if os.name != "nt":  # where an open file cannot be removed
                    path.unlink(missing_ok=True)
            return


def _is_still(path: Path, file: IO[Any]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


# -- files from strangers --------------------------------------------------------------------


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a file for reading; what is no file with bytes on a disk is refused instead of waited for.

    Raises:
        FileNotFoundError: If there is none.
        OSError: If it is a folder, a pipe, a socket or a device.
    """
    # Without O_NONBLOCK the opening of a pipe already waits for whoever writes into it.
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(f"{os.fspath(path)}: not a file (a folder, a pipe or a device)")
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def read_limited(path: str | os.PathLike[str], most: int) -> bytes:
    """All bytes of a file that is at most so long; see `open_regular`.

    Raises:
        ValueError: If it is longer; no more than `most` bytes were read then.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{os.fspath(path)}: more than {most:,} bytes, which nothing of its kind has")
    return content
