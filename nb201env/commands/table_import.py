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


def add_to(app: Group) -> None:
    """Declare the commands of this module in a group."""
    app.command("import")(import_source)
    app.command("import-rows")(import_rows_file)
    app.command("import-devices")(import_devices)


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
                                 replace=replace, note=_note)  # fmt: skip
    _report(tables, json)


def import_rows_file(
    source: Annotated[Path, typer.Argument(help="A CSV or Parquet file with one row per architecture.")],
    name: Annotated[str, typer.Option(help="The table's name.")],
    key: Annotated[str, typer.Option(help="The column of official strings or of indices.")],
    column: Annotated[list[str], typer.Option(help="FILE_COLUMN=OURS[@EPOCHS][#SEED]; repeat for more.")],
    dataset: Annotated[str, typer.Option(help="cifar10, cifar100, ImageNet16-120, …")],
    epochs: Annotated[int, typer.Option(help="The schedule's length.")],
    unit: Annotated[str, typer.Option(help="Of the file's accuracies: percent or fraction.")],
    index: Annotated[
        str | None, typer.Option(help="What bare numbers in the key count by: official or lexicographic.")
    ] = None,
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
    from nb201env.sources.targets import read_pairs

    if unit not in ("percent", "fraction"):
        raise ValueError(f"--unit is percent or fraction; got {unit!r}")
    table = import_rows(source, _target(out, name), key=key, columns=read_pairs(column), name=name,
                        dataset=dataset, epochs=epochs, percent=unit == "percent", task=task, index=index,
                        replace=replace, note=_note)  # fmt: skip
    _report([table], json)


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

    made = add_devices(open_table(table), source, _target(out, name), name, replace=replace, note=_note)
    _report([made], json)


def _target(folder: Path | None, name: str) -> Path:
    folder = folder or home()
    check_own_name(name)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}{SUFFIX}"


def _note(text: str) -> None:
    typer.echo(f"note: {text}", err=True)


def _report(tables: list[Table], json: bool) -> None:
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
