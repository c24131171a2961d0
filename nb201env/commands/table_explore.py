"""``nb201 table explore``: the space of tables as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nb201env.commands.common import Group, Json
from nb201env.files import appearing
from nb201env.output import print_json
from nb201env.table import Table
from nb201env.tables import open_table


def add_to(app: Group) -> None:
    """Declare the commands of this module in a group."""
    app.command("explore")(explore)


def explore(
    tables: Annotated[list[str], typer.Argument(help="Tables by name or path.")],
    out: Annotated[Path, typer.Option(help="The page (.html).")],
    json: Json = False,
) -> None:
    """Write the space as one page to explore: any number of tables against any other, cell by cell.

    The page needs nothing else, so it can be mailed or put on a site.

    Example: nb201 table explore cifar10-valid-200 cifar100-200 ImageNet16-120-200 --out space.html
    """
    from nb201env.pages.explorer import explorer

    opened = [open_table(name) for name in tables]
    _check(out, opened)
    page = explorer(opened).encode()
    with appearing(out) as new:
        new.write_bytes(page)
    if json:
        print_json({"out": str(out), "tables": [table.id for table in opened], "bytes": len(page)})
    else:
        print(out)


def _check(out: Path, tables: list[Table]) -> None:
    """Whether the page can be written there, said before the work.

    Raises:
        ValueError: If it is no page's name, or a table's file.
        FileNotFoundError: If its folder is not there.
        IsADirectoryError: If it is a folder.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out is a page; end its name in .html; got {str(out)!r}")
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder; name a file in it, such as {out / 'space.html'}")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"{out}: there is no such folder; make it, or name another --out")
    if any(out.exists() and out.samefile(table.container.path) for table in tables):
        raise ValueError(f"{out} is one of the tables; name another --out")
