"""``nb201 table``: list, inspect, import, export, verify, query, compare, plot, front and explore."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from nb201env import comparison
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.commands import export_reference, import_package, table_explore, table_front, table_import
from nb201env.commands.common import ARCHITECTURE, CORES, Epochs, Group, Jobs, Json, Split
from nb201env.devices import devices
from nb201env.envs.answers import keeps_time
from nb201env.extras import require
from nb201env.output import names, percent, plain, print_grid, print_json, progress_bar, resumable, summary
from nb201env.reading import check_name, read_amount, read_architecture, read_architectures, read_run
from nb201env.table import NotRecorded, Table, ranges, verify_file
from nb201env.tables import embedded, find, home_text, open_table, own_tables
from nb201env.verification import SIZES

app = Group("List, inspect, import, export, verify, query, compare, plot and explore tables.")

Name = Annotated[str, typer.Argument(help="A table's name or path.")]
Names = Annotated[list[str], typer.Argument(help="Tables by name or path.")]
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
    units = {name: comparison.unit_of(opened, name) for name in comparison.cost_names(opened)}
    measured = devices(opened)
    clock = keeps_time(opened)
    if json:
        about = {name: dict(device.measured) for name, device in measured.items()}
        print_json(summary(opened) | {"clock": clock, "costs": units, "devices": about, "manifest": manifest})
        return
    for key, value in summary(opened).items():
        if key != "columns":
            _print_entry(key, value, ", ")
    costs = [f"{name} ({unit})" if unit else name for name, unit in units.items()]
    _print_entry("costs, for limits and axes", costs or "none", ", ")
    for name, device in measured.items():
        _print_entry(f"{name}, in no table but of these networks", device.where, ", ")
    if not clock:
        print("clock: none, as the table records no seconds; budgets on it are queries")
    for key in ("protocol", "licence", "citation"):
        _print_entry(key, manifest.get(key) or "not stated", "; ")
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


table_import.add_to(app)
import_package.add_to(app)
export_reference.add_to(app)


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
    known = not math.isnan(result.seconds)
    seconds = f"{result.seconds:.1f} simulated seconds" if known else "no seconds recorded"
    print(f"{which}\n{split} accuracy {percent(result.accuracy)} %, {seconds}")


@app.command()
def best(
    table: Name,
    split: Split,
    epochs: Epochs,
    top: Annotated[int, typer.Option(help="How many.", min=1)] = 1,
    most: Annotated[
        list[str] | None,
        typer.Option(
            "--max",
            help="COST=NUMBER, at most that much, in the unit that `table info` says; repeat for more.",
        ),
    ] = None,
    least: Annotated[
        list[str] | None, typer.Option("--min", help="COST=NUMBER, at least that much; repeat for more.")
    ] = None,
    max_params: Annotated[
        float | None, typer.Option(help="At most so many millions of parameters: 0.5 is --max params=500000.")
    ] = None,
    max_macs: Annotated[
        float | None, typer.Option(help="At most so many millions of multiply-accumulates.")
    ] = None,
    json: Json = False,
) -> None:
    """The best architectures by mean accuracy over runs, among those that keep within the limits.

    Example: nb201 table best cifar100-200 --split valid --epochs 200 --top 5 --max latency_seconds=0.01
    """
    opened = open_table(table)
    bounds = [
        comparison.Bound(*read_amount(text, option), option == "--max", f"{option} {text}")
        for option, texts in (("--max", most), ("--min", least)) for text in texts or ()
    ]  # fmt: skip
    bounds += [
        _bound_in_millions(opened, kind, millions)
        for kind, millions in (("params", max_params), ("macs", max_macs)) if millions is not None
    ]  # fmt: skip
    accuracy = opened.accuracy(split=split, epochs=epochs, run="mean")
    held = ~np.isnan(accuracy)
    if not held.any():
        raise NotRecorded(f"{opened.name} records the {split} accuracy of no architecture")
    accuracy = np.where(comparison.within(opened, bounds, held), accuracy, np.nan)
    prices = {bound.name: comparison.costs(opened, bound.name) for bound in bounds}
    for kind in SIZES:  # a table that knows no sizes is fine
        with suppress(NotRecorded):
            prices[kind] = comparison.costs(opened, kind)
    found = _ranked(accuracy, prices)[:top]
    units = {name: comparison.unit_of(opened, name) for name in prices}
    if json:
        asked = {"table": opened.name, "table_id": opened.id, "split": split, "epochs": epochs}
        print_json(asked | {"limits": [bound.asked for bound in bounds], "units": units, "best": found})
        return
    others = [name for name in prices if name not in SIZES]
    rows = [
        [percent(f["accuracy"]), f["official_index"], _millions(f["params_millions"], 3),
         _millions(f["macs_millions"], 1), *(f"{f['costs'][name]:.6g}" for name in others), f["architecture"]]
        for f in found
    ]  # fmt: skip
    headings = [plain(f"{name} ({units[name]})" if units[name] else name) for name in others]
    print_grid([f"{split} %", "official index", "params M", "MACs M", *headings, "architecture"], rows)


def _ranked(accuracy: FloatArray, prices: dict[str, FloatArray]) -> list[dict[str, Any]]:
    """All architectures with an accuracy and what they cost, the best first, for JSON."""
    order = np.argsort(np.where(np.isnan(accuracy), np.inf, -accuracy), kind="stable")
    return [
        names(Architecture.from_index(index)) | {"accuracy": accuracy[index]}
        | {f"{kind}_millions": prices[kind][index] / 1e6 if kind in prices else None for kind in SIZES}
        | {"costs": {name: price[index] for name, price in prices.items()}}
        for index in order.tolist() if not np.isnan(accuracy[index])
    ]  # fmt: skip


def _millions(number: float | None, digits: int) -> str:
    """A size as people read it; "-" where the table knows none."""
    return "-" if number is None or np.isnan(number) else f"{number:.{digits}f}"


def _bound_in_millions(table: Table, kind: str, millions: float) -> comparison.Bound:
    if not 0 < millions < np.inf:
        raise ValueError(f"--max-{kind} is a number of millions above 0; got {millions}")
    largest = np.nanmax(comparison.costs(table, kind), initial=0.0)
    if largest and millions * 1e6 > 1_000 * largest:  # which excludes nothing; meant was surely a count
        raise ValueError(
            f"--max-{kind} is a number of millions: {millions:,.8g} of them are over a thousand times the "
            f"largest network's {largest:,.0f}; the count is --max {kind}={millions:.8g}"
        )
    return comparison.Bound(kind, millions * 1e6, True, f"--max-{kind} {millions:g}")


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
    x: Annotated[
        str | None,
        typer.Option(
            "--x",
            "--cost",
            help="For landscape: macs (the default), params, latency, or any column that `table info` lists.",
        ),
    ] = None,
    y: Annotated[
        str | None, typer.Option("--y", help="For landscape: likewise; by default the split's accuracy.")
    ] = None,
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
    if kind != "landscape" and (x or y):
        raise ValueError(f"--x and --y are for landscape; {kind} has axes of its own")
    if kind == "landscape" and not (x or y or "macs" in comparison.cost_names(opened[0])):
        raise NotRecorded(
            f"{opened[0].name} records no macs for landscape's axis: name another cost with --x, or draw "
            "--kind histogram, ops or ranks, which need accuracies alone"
        )
    if kind == "landscape":
        data = plots.landscape(opened[0], out, split=split, x=x or "macs", y=y)
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


table_front.add_to(app)
table_explore.add_to(app)
