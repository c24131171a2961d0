"""``nb201 table export-reference``: the CSV of official CIFAR-10 numbers that validations read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nb201env.commands.common import Group, Json
from nb201env.output import print_json
from nb201env.space import SIZE
from nb201env.tables import home


def add_to(app: Group) -> None:
    """Declare the commands of this module in a group."""
    app.command("export-reference")(export_reference)


def export_reference(
    out: Annotated[Path, typer.Option(help="The CSV file.")] = Path("nb201_cifar10.csv"),
    tables: Annotated[Path | None, typer.Option(help="Folder of the tables; by default NB201_HOME.")] = None,
    prefix: Annotated[str, typer.Option(help="Before the tables' names, as at their import.")] = "official-",
    json: Json = False,
) -> None:
    """Write the CSV of CIFAR-10's 12- and 200-epoch numbers from imported official tables.

    It is what `python -m benchmarks.studies official12` and `benchmarks.gpu_lease` call the reference.

    Example: nb201 table export-reference --out nb201_cifar10.csv
    """
    from nb201env.sources.reference import find_tables, write_reference

    count = write_reference(find_tables(tables or home(), prefix), out)
    if count < SIZE:
        typer.echo(f"note: the tables hold all numbers of {count:,} of {SIZE:,} architectures", err=True)
    if json:
        print_json({"out": str(out), "architectures": count})
    else:
        print(f"{out}: {count:,} architectures written")
