"""``nb201 table``: list, inspect, import, export, verify, query, compare and plot tables."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from nb201env import comparison
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.commands.common import ARCHITECTURE, CORES, Epochs, Group, Jobs, Json, Split
from nb201env.envs.answers import keeps_time
from nb201env.extras import require
from nb201env.official import SCHEDULES, TASKS
from nb201env.output import names, percent, plain, print_grid, print_json, progress_bar, resumable, summary
from nb201env.reading import check_name, read_architecture, read_architectures, read_run
from nb201env.table import NotRecorded, Table, ranges, verify_file
from nb201env.tables import SUFFIX, check_own_name, embedded, find, home, home_text, open_table, own_tables

app = Group("List, inspect, import, export, verify, query, compare and plot tables.")

Name = Annotated[str, typer.Argument(help="A table's name or path.")]
Names = Annotated[list[str], typer.Argument(help="Tables by name or path.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the tables; by default NB201_HOME.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace another table of the same name.")]
KINDS = ("landscape", "histogram", "seeds", "ops", "ranks", "curves")


@app.command("list")
def list_tables(json: Json = False) -> None:
    """List the tables that can be opened by name: your own, then the embedded ones.

    Example: nb201 table list
    """
    tables, problems = own_tables()
    found = [summary(table) for table in (*tables, *map(open_table, embedded()))]
    for problem in problems:
        typer.echo(f"warning: {problem}", err=True)
    if json:
        print_json({"home": home_text(), "tables": found, "problems": problems})
        return
    rows = [
        [t["name"], t["dataset"], t["epochs"], ", ".join(map(str, t["seeds"])), len(t["columns"]),
         t["megabytes"], t["id"][:12]]
        for t in found
    ]  # fmt: skip
    print_grid(["table", "data set", "epochs", "seeds", "columns", "MB", "id"], rows)


@app.command()
def info(table: Name, json: Json = False) -> None:
    """What a table holds, where it comes from, and whose it is.

    Example: nb201 table info cifar10-valid-200
    """
    opened = open_table(table)
    manifest = {key: value for key, value in opened.manifest.items() if key != "arrays"}
    clock = keeps_time(opened)
    if json:
        print_json(summary(opened) | {"clock": clock, "manifest": manifest})
        return
    for key, value in summary(opened).items():
        if key != "columns":
            _print_entry(key, value, ", ")
    if not clock:
        print("clock: none, as the table records no seconds; budgets on it are queries")
    for key in ("protocol", "licence", "citation"):
        _print_entry(key, manifest.get(key, "not stated"), "; ")
    for key, value in manifest["provenance"].items():
        many = isinstance(value, list) and len(value) > 20
        _print_entry(f"provenance, {key}", f"{len(value)} entries (see --json)" if many else value, ", ")
    rows = [
        [column, spec.get("unit", ""), ranges(opened.recorded_epochs(column)), spec.get("what", "")]
        for column, spec in manifest["columns"].items()
    ]
    print()
    print_grid(["column", "unit", "epochs", "what"], rows)


def _print_entry(key: str, value: object, separator: str) -> None:
    text = separator.join(map(str, value)) if isinstance(value, list) else str(value)
    typer.echo(f"{plain(key)}: {plain(text)}")


@app.command("import")
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


@app.command("import-rows")
def import_rows_command(
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


@app.command("import-devices")
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


@app.command()
def export(
    tables: Names,
    out: Annotated[Path, typer.Option(help="A .csv or .parquet file, or a folder in the NATS layout.")],
    jobs: Jobs = CORES,
    json: Json = False,
) -> None:
    """Export one table as CSV or Parquet, or any number of them as a folder that nats_bench opens.

    Such a folder has its meta file only when it is whole; an export that was stopped goes on when the same
    command is run again.

    Example: nb201 table export cifar100-200 --out cifar100-200.csv
    """
    from nb201env.sources.export import to_csv, to_nats, to_parquet

    opened = [open_table(name) for name in tables]
    ending = out.suffix.lower()
    if ending in (".csv", ".parquet"):
        if len(opened) > 1:
            raise ValueError(f"{out.name} holds one table; name one, or a folder for the NATS layout")
        (to_csv if ending == ".csv" else to_parquet)(opened[0], out)
        count = 1
    else:
        with resumable(), progress_bar("exporting") as progress:
            count = to_nats(opened, out, workers=jobs, progress=progress)
    if json:
        print_json({"out": str(out), "written": count})
    else:
        print(f"{out}: {count} {'file' if count == 1 else 'files'} written")


@app.command()
def verify(tables: Names, json: Json = False) -> None:
    """Read every byte of table files again and report what is wrong (exit code 1 if anything is).

    Example: nb201 table verify cifar10-valid-200
    """
    problems = {name: verify_file(find(name)) for name in tables}
    if json:
        print_json({"problems": problems, "ok": not any(problems.values())})
    else:
        for name, found in problems.items():
            print(f"{name}: {'; '.join(found) or 'fine'}")
    if any(problems.values()):
        raise typer.Exit(1)


@app.command()
def query(
    table: Name,
    architecture: Annotated[str, typer.Argument(help=ARCHITECTURE)],
    split: Split,
    epochs: Epochs,
    run: Annotated[str, typer.Option(help="A seed, or mean.")],
    json: Json = False,
) -> None:
    """One architecture's accuracy, and what asking costs on the clock.

    Example: nb201 table query cifar100-200 official:6111 --split valid --epochs 200 --run mean
    """
    opened, which = open_table(table), read_architecture(architecture)
    result = opened.query(which, split=split, epochs=epochs, run=read_run(run))
    if json:
        asked = {"table": opened.name, "table_id": opened.id, "split": split, "epochs": epochs, "run": run}
        print_json(names(which) | asked | result._asdict())
        return
    print(f"{which}\n{split} accuracy {percent(result.accuracy)} %, {result.seconds:.1f} simulated seconds")


@app.command()
def best(
    table: Name,
    split: Split,
    epochs: Epochs,
    top: Annotated[int, typer.Option(help="How many.", min=1)] = 1,
    max_params: Annotated[
        float | None, typer.Option(help="Maximum number of parameters, in millions.")
    ] = None,
    max_macs: Annotated[
        float | None, typer.Option(help="Maximum number of multiply-accumulates, in millions.")
    ] = None,
    json: Json = False,
) -> None:
    """The best architectures by mean accuracy over runs.

    Example: nb201 table best cifar100-200 --split valid --epochs 200 --top 5 --max-params 0.5
    """
    opened = open_table(table)
    accuracy = opened.accuracy(split=split, epochs=epochs, run="mean")
    sizes: dict[str, FloatArray] = {}
    for kind, limit in (("params", max_params), ("macs", max_macs)):
        if limit is None:  # then a table that knows no sizes is fine
            with suppress(NotRecorded):
                sizes[kind] = comparison.costs(opened, kind) / 1e6
            continue
        if not 0 < limit < np.inf:
            raise ValueError(f"--max-{kind} is a number of millions above 0; got {limit}")
        sizes[kind] = comparison.costs(opened, kind) / 1e6
        accuracy = np.where(sizes[kind] <= limit, accuracy, np.nan)
    order = np.argsort(np.where(np.isnan(accuracy), np.inf, -accuracy), kind="stable")[:top].tolist()
    found = [
        names(Architecture.from_index(index)) | {"accuracy": accuracy[index]}
        | {f"{kind}_millions": sizes[kind][index] if kind in sizes else None for kind in ("params", "macs")}
        for index in order if not np.isnan(accuracy[index])
    ]  # fmt: skip
    if json:
        print_json(
            {"table": opened.name, "table_id": opened.id, "split": split, "epochs": epochs, "best": found}
        )
        return
    rows = [
        [percent(f["accuracy"]), f["official_index"], _millions(f["params_millions"], 3),
         _millions(f["macs_millions"], 1), f["architecture"]]
        for f in found
    ]  # fmt: skip
    print_grid([f"{split} %", "official index", "params M", "MACs M", "architecture"], rows)


def _millions(number: float | None, digits: int) -> str:
    """A size as people read it; "-" where the table knows none."""
    return "-" if number is None or np.isnan(number) else f"{number:.{digits}f}"


@app.command()
def compare(
    a: Name,
    b: Name,
    split: Split,
    epochs: Epochs,
    split_b: Annotated[str | None, typer.Option(help="The second table's split, if another.")] = None,
    epochs_b: Annotated[int | None, typer.Option(help="The second table's epochs, if others.")] = None,
    json: Json = False,
) -> None:
    """Rank correlations between two tables, and the regret of trusting one for the other.

    By mean accuracy over runs.

    Example: nb201 table compare cifar10-valid-200 cifar100-200 --split valid --epochs 200
    """
    one, two = open_table(a), open_table(b)
    split_b = split if split_b is None else split_b
    epochs_b = epochs if epochs_b is None else epochs_b
    found = comparison.compare(one.accuracy(split=split, epochs=epochs, run="mean"),
                               two.accuracy(split=split_b, epochs=epochs_b, run="mean"))  # fmt: skip
    if json:
        asked = {"a": one.name, "a_id": one.id, "split": split, "epochs": epochs}
        asked |= {"b": two.name, "b_id": two.id, "split_b": split_b, "epochs_b": epochs_b}
        print_json(asked | found._asdict())
        return
    points = "percentage points"
    print(f"{found.architectures} architectures in both")
    print(f"Kendall's tau {found.kendall:.4f}, Spearman's rho {found.spearman:.4f}")
    print(f"Kendall's tau among the best tenth of {two.name}: {found.kendall_top:.4f}")
    print(
        f"best on {one.name}: {found.best_a}; on {two.name} it is {100 * found.regret_b:.2f} {points} behind"
    )
    print(
        f"best on {two.name}: {found.best_b}; on {one.name} it is {100 * found.regret_a:.2f} {points} behind"
    )
    print(f"mean difference, second minus first: {100 * found.mean_difference:+.2f} {points}")


@app.command()
def plot(
    tables: Names,
    out: Annotated[Path, typer.Option(help="The picture (.png, .pdf or .svg).")],
    split: Split,
    kind: Annotated[
        str, typer.Option(help="landscape, histogram, seeds, ops, ranks or curves.")
    ] = "landscape",
    cost: Annotated[
        str, typer.Option(help="For landscape: macs, params, latency, or a device's column.")
    ] = "macs",
    architecture: Annotated[
        list[str] | None,
        typer.Option(help="For curves, repeated or with commas: official:6111,index:4711."),
    ] = None,
    json: Json = False,
) -> None:
    """Draw tables, after their last recorded epoch, by mean accuracy over runs.

    Example: nb201 table plot cifar100-200 --split valid --kind landscape --out landscape.png
    """
    check_name(kind, "kind", KINDS)
    require("matplotlib", "plots")
    from nb201env import plots

    opened = [open_table(name) for name in tables]
    if kind != "ranks" and len(opened) > 1:
        raise ValueError(f"{kind} draws one table; got {len(opened)}")
    if kind == "landscape":
        data = plots.landscape(opened[0], out, split=split, cost_kind=cost)
    elif kind in ("histogram", "seeds", "ops"):
        data = getattr(plots, kind)(opened[0], out, split=split)
    elif kind == "ranks":
        data = plots.ranks(opened, out, split=split)
    else:
        if not architecture:
            raise ValueError("curves needs at least one --architecture")
        data = plots.curves(opened[0], out, split=split, architectures=read_architectures(architecture))
    if json:
        print_json({"out": str(out), "tables": [table.id for table in opened]} | data)
    else:
        print(out)
