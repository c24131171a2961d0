"""Which tables the official calls are answered from."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from nb201env.container import DamagedTable
from nb201env.official import TASKS
from nb201env.table import Table
from nb201env.tables import SUFFIX, embedded, embedded_file, home, open_table

Source = Mapping[str, Table] | Iterable[Table] | str | os.PathLike[str] | None
"""Tables, a folder of table files or one such file; None for one's own and the embedded ones."""

EPOCHS = (12, 200)
_OFFICIAL = ("*.pickle.pbz2", "*.pth")


def tables_of(source: Source) -> list[Table]:
    """The tables that a caller means.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it is an official file, a folder of such, or what the official API makes of one.
        TypeError: If something else than a table is among the tables.
    """
    if source is None:
        return _default()
    if isinstance(source, str | os.PathLike):
        return _in(Path(source))
    if isinstance(source, Mapping) and "arch2infos" in source:
        raise ValueError("this is what an official file holds; " + _advice("PATH"))
    tables = list(source.values() if isinstance(source, Mapping) else source)
    wrong = [table for table in tables if not isinstance(table, Table)]
    if wrong:
        raise TypeError(f"tables are what nb201env.open_table opens; got {wrong[0]!r}")
    return tables


def by_schedule(tables: Iterable[Table]) -> dict[int, dict[str, Table]]:
    """The tables of official trainings by epochs and task, in the official order of tasks.

    Raises:
        ValueError: If there is none, two are of one training, or a surrogate predicted one.
    """
    found: dict[int, dict[str, Table]] = {}
    for table in tables:
        if table.manifest.get("kind") == "surrogate":
            raise ValueError(f"{table.name} was predicted by a surrogate; give tables of measured numbers")
        if training := task_of(table):
            name, epochs = training
            held = found.setdefault(epochs, {})
            if name in held:
                both = f"{held[name].container.path} and {table.container.path}"
                raise ValueError(
                    f"two tables of {name} with {epochs} epochs, {both}; give one of them: "
                    "create([open_table(...), ...], 'tss')"
                )
            held[name] = table
    if not found:
        raise ValueError("none of the tables is of an official task and schedule")
    return {epochs: {name: held[name] for name in TASKS if name in held} for epochs, held in found.items()}


def task_of(table: Table) -> tuple[str, int] | None:
    """The official task and schedule of a table of measured numbers; None if it is of none."""
    name = str(table.manifest["task"].get("name"))
    official = name in TASKS and table.epochs in EPOCHS and table.manifest.get("kind") != "surrogate"
    return (name, table.epochs) if official else None


def _in(path: Path) -> list[Table]:
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {str(path)!r}; import the official files first: "
                                "nb201 table import PATH")  # fmt: skip
    official = any(next(path.glob(name), None) for name in _OFFICIAL) if path.is_dir() else (
        path.suffix in (".pbz2", ".pth", ".tar"))  # fmt: skip
    if official:
        raise ValueError(f"{path}: these are official files; " + _advice(shlex.quote(str(path))))
    if not path.is_dir():
        return [open_table(path)]
    tables = [open_table(file) for file in sorted(path.glob(f"*{SUFFIX}"))]
    return [table for table in tables if table.manifest.get("kind") != "surrogate"]


def _advice(path: str) -> str:
    return f"import them first with 'nb201 table import {path}', then call create(None, 'tss')"


# -- what there is, when nobody says ---------------------------------------------------------


def _default() -> list[Table]:
    """For each official task and schedule one's own table, or the embedded one.

    One's own takes the place of an embedded table if it records the same accuracies of single runs: a
    table of means, or of test accuracies alone, hides nothing.
    """
    mine: dict[tuple[str, int], list[Table]] = {}
    for table in _own():
        if task := task_of(table):
            mine.setdefault(task, []).append(table)
    found = {task: _fullest(tables) for task, tables in mine.items()}
    for table in map(open_table, map(embedded_file, embedded())):
        if task := task_of(table):
            found[task] = [o for o in found.get(task, []) if _by_run(o) >= _by_run(table)] or [table]
    return [table for tables in found.values() for table in tables]


def _own() -> Iterator[Table]:
    """One's own tables; what cannot be opened is named and left out, so that it disturbs nothing else."""
    try:
        paths = sorted(home().glob(f"*{SUFFIX}"))
    except (OSError, RuntimeError):  # no home, or one that cannot be read: then there are none
        return
    for path in paths:
        try:
            yield open_table(path)
        except (DamagedTable, OSError) as error:
            warnings.warn(f"a table is left out: {error}", stacklevel=2)


def _fullest(tables: list[Table]) -> list[Table]:
    """Of tables of one training those that no other outdoes; none if they are several of means."""
    kept = [table for table in tables if not any(_by_run(table) < _by_run(other) for other in tables)]
    return kept if len(kept) == 1 or any(map(_by_run, kept)) else []


def _by_run(table: Table) -> set[str]:
    """The accuracies that a table records of single runs."""
    return {
        column for column in table.columns
        if column.endswith("_accuracy") and table.container.array(column).ndim > 1
    }  # fmt: skip
