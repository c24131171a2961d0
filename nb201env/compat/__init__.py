"""The official API's methods over our tables, for programs written for it.

    from nb201env.compat import create

    api = create(None, "tss")                       # all tables of NB201_HOME
    api.get_more_info(6111, "cifar10", hp="200", is_random=False)["test-accuracy"]

The same calls give the same numbers as ``nats_bench`` 1.8. Calls whose official answer is easily
mistaken raise `Trap` with an explanation; ``strict=False`` reproduces the official behaviour.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from nb201env.compat.api import NASBench201API, NATStopology
from nb201env.compat.results import ArchResults, ResultsCount
from nb201env.compat.traps import Info, Trap
from nb201env.table import Table
from nb201env.tables import SUFFIX, embedded, embedded_file, home, open_table

Tables = Mapping[str, Table] | Iterable[Table] | str | os.PathLike[str] | None


def create(
    file_path_or_dict: Tables = None,
    search_space: str = "tss",
    fast_mode: bool = False,
    verbose: bool = False,
    *,
    strict: bool = True,
    seed: int | None = None,
) -> NATStopology:
    """What ``nats_bench.create`` returns, backed by our tables.

    Args:
        file_path_or_dict: Tables (a mapping or a list), or a folder of table files; None for
            those in ``NB201_HOME``, and the embedded ones where it has none.
        search_space: "tss" or "topology"; the size space ("sss") is not covered.
        fast_mode: Accepted and ignored: tables always open in milliseconds.
        verbose: Accepted and ignored.
        strict: Raise `Trap` where the official answer is easily mistaken.
        seed: Draw runs with an own generator; None for Python's global one, as the official API does.

    Raises:
        ValueError: For another search space, or if there are no official tables.
    """
    if search_space not in ("tss", "topology"):
        raise ValueError(f"only the topology space ('tss') is covered; got {search_space!r}")
    return NATStopology(_tables(file_path_or_dict), strict=strict, seed=seed, verbose=verbose)


def _tables(tables: Tables) -> dict[str, Table]:
    if isinstance(tables, Mapping):
        return dict(tables)
    if tables is None:
        own = _open(home())
        held = {(table.manifest["task"].get("name"), table.epochs) for table in own.values()}
        rest = _measured({name: open_table(embedded_file(name)) for name in embedded()})
        return own | {
            name: table
            for name, table in rest.items()
            if (table.manifest["task"].get("name"), table.epochs) not in held
        }
    if isinstance(tables, str | os.PathLike):
        folder = Path(tables)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"no folder {str(folder)!r} of table files; import the official files first"
            )
        return _open(folder)
    return {table.name: table for table in tables}


def _open(folder: Path) -> dict[str, Table]:
    return _measured({path.stem: open_table(path) for path in sorted(folder.glob(f"*{SUFFIX}"))})


def _measured(tables: dict[str, Table]) -> dict[str, Table]:
    """Without the tables that a surrogate predicted: the official API answers measured numbers."""
    return {name: table for name, table in tables.items() if table.manifest.get("kind") != "surrogate"}


__all__ = ["ArchResults", "Info", "NASBench201API", "NATStopology", "ResultsCount", "Trap", "create"]
