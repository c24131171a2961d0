"""``nb201 table import…``: tables from official files, from rows, and from tables with further columns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nb201env.commands.common import CORES, Group, Jobs, Json
from nb201env.official import SCHEDULES, TASKS
from nb201env.output import print_grid, print_json, progress_bar, resumable, summary
from nb201env.table import Table
from nb201env.tables import SUFFIX, check_own_name, home, open_table

Out = Annotated[Path | None, typer.Option(help="Folder for the tables; by default NB201_HOME.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace another table of the same name.")]
Key = Annotated[str, typer.Option(help="The column of official strings or of indices.")]
Index = Annotated[
    str | None, typer.Option(help="What bare numbers in the key count by: official or lexicographic.")
]
UnitOf = Annotated[
    list[str] | None,
    typer.Option(help="OURS=UNIT of a cost whose name says none: energy=mJ; repeat for more."),
]
ACCURACY_UNIT = "Of the file's accuracies: percent or fraction."


def add_to(app: Group) -> None:
    """Declare the commands of this module in a group."""
    app.command("import")(import_source)
    app.command("import-rows")(import_rows_file)
    app.command("import-devices")(import_devices)
    app.command("add-columns")(add_columns_of_file)


def import_source(
    source: Annotated[Path, typer.Argument(help="An official folder, tar, .pickle.pbz2 or .pth file.")],
    out: Out = None,
    prefix: Annotated[str, typer.Option(help="Put before the tables' names.")] = "official-",
    replace: Replace = False,
    jobs: Jobs = CORES,
    json: Json = False,
) -> None:
    """Import official files: one table per task and schedule.

    An interrupted import of a folder or a tar resumes where it stopped when the same command is run again.

    Example: nb201 table import NATS-tss-v1_0-3ffb9-simple.tar
    """
    from nb201env.sources.importer import RESUMABLE, import_official, layout_of

    for task in TASKS:
        for epochs in set(SCHEDULES.values()):
            check_own_name(f"{prefix}{task}-{epochs}")
    again = "run the same command again to resume" if layout_of(source) in RESUMABLE else (
        "the same command starts over; one file of all can only be read from its start"
    )  # fmt: skip
    with resumable(again), progress_bar("importing") as progress:
        tables = import_official(source, out or home(), prefix=prefix, workers=jobs, progress=progress,
                                 replace=replace, note=print_note)  # fmt: skip
    print_tables(tables, json)


def import_rows_file(
    source: Annotated[Path, typer.Argument(help="A CSV or Parquet file with one row per architecture.")],
    name: Annotated[str, typer.Option(help="The table's name.")],
    key: Key,
    column: Annotated[list[str], typer.Option(help="FILE_COLUMN=OURS[@EPOCHS][#SEED]; repeat for more.")],
    dataset: Annotated[str, typer.Option(help="cifar10, cifar100, ImageNet16-120, …")],
    epochs: Annotated[int, typer.Option(help="The schedule's length.")],
    unit: Annotated[str, typer.Option(help=ACCURACY_UNIT)],
    index: Index = None,
    unit_of: UnitOf = None,
    task: Annotated[str | None, typer.Option(help="The task's name; by default the data set's.")] = None,
    out: Out = None,
    replace: Replace = False,
    json: Json = False,
) -> None:
    """Import a CSV or Parquet file through a column map.

    Example: nb201 table import-rows r.csv --name mine --key arch --column acc=valid_accuracy@200
    --dataset cifar10 --epochs 200 --unit percent
    """
    from nb201env.sources.rows import import_rows
    from nb201env.sources.targets import read_pairs, read_units

    table = import_rows(source, table_path(out, name), key=key, columns=read_pairs(column), name=name,
                        dataset=dataset, epochs=epochs, percent=_is_percent(unit), task=task, index=index,
                        units=read_units(unit_of or ()), replace=replace, note=print_note)  # fmt: skip
    print_tables([table], json)


def import_devices(
    source: Annotated[Path, typer.Argument(help="HW-NAS-Bench-v1_0.pickle.")],
    table: Annotated[str, typer.Option(help="The table to add the devices' latency and energy to.")],
    name: Annotated[str, typer.Option(help="The new table's name.")],
    out: Out = None,
    replace: Replace = False,
    json: Json = False,
) -> None:
    """Copy a table and add HW-NAS-Bench's latency and energy per device.

    Example: nb201 table import-devices HW-NAS-Bench-v1_0.pickle --table cifar10-valid-200 --name with-devices
    """
    from nb201env.sources.hw import add_devices

    made = add_devices(
        open_table(table), source, table_path(out, name), name, replace=replace, note=print_note
    )
    print_tables([made], json)


def add_columns_of_file(
    source: Annotated[Path, typer.Argument(help="A CSV or Parquet file with one row per architecture.")],
    table: Annotated[str, typer.Option(help="The table to add the columns to; it stays as it is.")],
    name: Annotated[str, typer.Option(help="The new table's name.")],
    key: Key,
    column: Annotated[list[str], typer.Option(help="FILE_COLUMN=OURS[@EPOCHS]; repeat for more.")],
    unit_of: UnitOf = None,
    index: Index = None,
    unit: Annotated[str | None, typer.Option(help=f"{ACCURACY_UNIT} Needed if there are any.")] = None,
    out: Out = None,
    replace: Replace = False,
    json: Json = False,
) -> None:
    """Copy a table and add columns of a file: a latency, an energy, a proxy's scores.

    Example: nb201 table add-columns e.csv --table cifar10-valid-200 --name with-energy --key arch
    --column joules=board_energy_joules
    """
    from nb201env.sources.extend import add_columns
    from nb201env.sources.targets import read_pairs, read_units

    made = add_columns(open_table(table), source, table_path(out, name), name, key=key,
                       columns=read_pairs(column), units=read_units(unit_of or ()), index=index,
                       percent=None if unit is None else _is_percent(unit),
                       replace=replace, note=print_note)  # fmt: skip
    print_tables([made], json)


def _is_percent(unit: str) -> bool:
    if unit not in ("percent", "fraction"):
        raise ValueError(f"--unit is percent or fraction; got {unit!r}")
    return unit == "percent"


def table_path(folder: Path | None, name: str) -> Path:
    """Where a table of one's own goes: into the folder, which is made, or NB201_HOME."""
    folder = folder or home()
    check_own_name(name)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}{SUFFIX}"


def print_note(text: str) -> None:
    """Write a line that is worth knowing, beside what the command prints."""
    typer.echo(f"note: {text}", err=True)


def print_tables(tables: list[Table], json: bool) -> None:
    """Write which tables an import made."""
    if any(table.manifest["provenance"].get("md5_agrees_with_name") is False for table in tables):
        typer.echo(
            "warning: the file's md5 is not the one in its name; it is not the official file", err=True
        )
    if json:
        print_json({"tables": [summary(table) for table in tables]})
        return
    rows = [
        [table.name, table.manifest["provenance"].get("architectures", ""), len(table.columns),
         table.container.path]
        for table in tables
    ]  # fmt: skip
    print_grid(["table", "architectures", "columns", "file"], rows)
