"""Writing trajectories: files that appear whole, replace nothing else, and are their writer's alone."""

from __future__ import annotations

import filecmp
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from nb201env.files import open_regular, try_lock
from nb201env.trajectory import FORMAT, LONGEST_LINE, OVER, STOPPED, VERSION, read


class Writer:
    """Writes a trajectory; the file appears under its name when the search has ended.

    Until then the lines are in a file of this writer's own, ``<path>.<process>-<random>.partial``,
    where a killed search leaves them until `remove_orphans`.

    Args:
        path: The file.
        header: Its first line.
        keep: Leave a finished search that stands in `path` when this one ends; see `publish`.
    """

    def __init__(
        self, path: str | os.PathLike[str], header: Mapping[str, Any], *, keep: bool = False
    ) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._keep = keep
        self.partial, self._file = _open_partial(self.path)
        self._asked = False
        self._file.write(first_line(header, self.path))

    def query(self, query: dict[str, Any]) -> None:
        """Write one answered query."""
        self._line(query)
        self._asked = True

    def close(self, *, complete: bool, stopped: bool = False, choice: str = "") -> None:
        """Finish: a complete file gets its name, an incomplete one stays partial if it holds a query.

        Args:
            complete: Whether the search ran to its end.
            stopped: Whether the agent ended it before its budget was spent.
            choice: The architecture that the agent chose at its end, if any.

        Raises:
            FileExistsError: If the name was taken meanwhile; see `publish`.
        """
        if complete:
            self._line({"end": STOPPED if stopped else OVER} | ({"incumbent": choice} if choice else {}))
        if os.name == "nt":  # where an open file cannot get another name
            self._file.close()
        try:
            if complete and self._keep:
                publish(self.partial, self.path)
            elif complete:
                os.replace(self.partial, self.path)
            elif not self._asked:
                self.partial.unlink()
        finally:
            self._file.close()

    def _line(self, value: dict[str, Any]) -> None:
        self._file.write(_line(value, self.path))


def _open_partial(path: Path) -> tuple[Path, IO[str]]:
    """A new file beside `path`, locked: that says that its writer is alive, until it is closed."""
    # Ours alone: a link that someone laid in the way is not followed.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    for last in (False, False, True):  # where nothing can be locked, it is not
        partial = partial_name(path)
        # Line by line to the system, so that a kill loses nothing that was answered.
        file = open(os.open(partial, flags, 0o666), "w", encoding="utf-8", buffering=1)  # noqa: SIM115
        if last or (try_lock(file) and partial.exists()):  # `remove_orphans` was not faster
            break
        file.close()
        partial.unlink(missing_ok=True)
    return partial, file


def first_line(header: Mapping[str, Any], path: Path) -> str:
    """The first line of a trajectory that goes to `path`."""
    return _line({"format": FORMAT, "version": VERSION, **header}, path)


def extend(path: Path, values: Iterable[dict[str, Any]]) -> None:
    """Write lines to the end of a trajectory that grows under its own name, and see them onto the disk.

    A last line that was cut in two is removed first: `nb201env.trajectory.read` leaves it out, too.
    """
    lines = "".join(_line(value, path) for value in values).encode()
    with open(path, "r+b") as file:
        whole = file.read().rfind(b"\n") + 1
        file.seek(whole)
        file.truncate()
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def _line(value: dict[str, Any], path: Path) -> str:
    line = _encode(value)
    if len(line) >= LONGEST_LINE:
        raise ValueError(f"{path}: a line of {len(line):,} bytes; at most {LONGEST_LINE:,} are read")
    return line + "\n"


_encode = json.JSONEncoder(allow_nan=False).encode


def partial_name(path: Path) -> Path:
    """Where the file `path` grows until it is whole; each time another name."""
    return path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.partial")


def publish(partial: Path, path: Path) -> None:
    """Give a finished trajectory its name, unless another search has finished under it.

    One that was cut short is replaced. The same bytes are what another command came to, which runs the
    same search: then `partial` is superfluous and is removed.

    Raises:
        FileExistsError: If `path` is another finished search; `partial` stays.
        BadTrajectory: If `path` is no trajectory; likewise.
    """
    try:
        os.link(partial, path)  # fails where a file is, whoever was faster
    except FileExistsError:
        taken = True
    except OSError:  # a file system without links
        taken = path.exists()
    else:
        partial.unlink()
        return
    if not (taken and _is_finished(path)):
        os.replace(partial, path)
    elif filecmp.cmp(partial, path, shallow=False):
        partial.unlink()
    else:
        raise FileExistsError(
            f"{path}: another search finished there meanwhile, and is kept; this one is in {partial}"
        )


def _is_finished(path: Path) -> bool:
    try:
        return read(path).complete
    except FileNotFoundError:  # a link that leads nowhere
        return False


_PARTIAL = re.compile(r"([^.].*?)(\.[0-9]+-[0-9a-f]{8})?\.partial")


def remove_orphans(folder: Path) -> None:
    """Remove what killed searches left behind whose trajectories are finished now.

    The file of a search that is going on is locked by it, and stays.
    """
    for path in folder.glob("*.partial"):
        name = _PARTIAL.fullmatch(path.name)
        if name and path.with_name(name[1]).is_file():
            try:
                with open_regular(path) as file:
                    if try_lock(file):
                        path.unlink(missing_ok=True)
            except OSError:  # gone already, or nothing of ours
                continue
