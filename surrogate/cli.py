"""The sub-commands ``nb201 surrogate fit``, ``table``, ``predict`` and ``evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from nb201env.arrays import IntArray
from nb201env.commands.common import ARCHITECTURE, Group, Json
from nb201env.extras import require
from nb201env.files import appearing
from nb201env.output import command_line, names, plain, print_json, resumable, summary
from nb201env.reading import read_architecture, read_architecture_file, read_names, read_numbers
from nb201env.surrogate import check_extra
from nb201env.surrogate.telling import limits, lines, told

if TYPE_CHECKING:
    from nb201env.surrogate.model import Surrogate
    from nb201env.table import Table

app = Group("Predict a table from a part of one, and measure how well.")

_Split = Annotated[str, typer.Option(help='The split whose accuracy to predict, such as "valid".')]
_Replace = Annotated[bool, typer.Option("--replace", help="Replace files that are there.")]


@app.command()
def fit(
    table: Annotated[str | None, typer.Option(help="Learn from a table: its name or path.")] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="Or from your own evaluations of 20 architectures or more: a CSV or Parquet file."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="With --csv: the column of official strings or of indices.")
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(help="With --csv: the column of accuracies; repeat for more runs. Several rows of one "
                          "architecture are several runs, too."),
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of these accuracies: percent or fraction; by default, as they are.")
    ] = None,
    index: Annotated[
        str | None, typer.Option(help="What bare numbers in the key count by: official or lexicographic.")
    ] = None,
    seconds: Annotated[
        str | None, typer.Option(help="With --csv: the column of training seconds, for a clock.")
    ] = None,
    valid_seconds: Annotated[
        str | None, typer.Option(help="With --csv: the column of validation seconds.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="With --csv: what they are called; by default as the file.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="With --csv: the data set; by default called like them.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="The split whose accuracy to predict; with --csv by default valid.")
    ] = None,
    epochs: Annotated[
        list[int] | None,
        typer.Option(help="Epochs completed; with --table repeat for learning curves, with --csv optional."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The model file; by default NAME-surrogate-model.safetensors.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=2, help="With --table: how many random architectures, up to all.")
    ] = None,
    architectures: Annotated[
        Path | None,
        typer.Option(help="Or a file of them, one per line: official:6111, index:4711 or a string."),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encodings joined by '+'.")] = "paths+graph",
    seed: Annotated[int, typer.Option(min=0, help="For everything random.")] = 0,
    folds: Annotated[
        int, typer.Option(min=0, help="Of the cross-validation where fewer than 100 are held out; 0: none.")
    ] = 10,
    table_out: Annotated[
        Path | None, typer.Option(help="Also write the predictions of the whole space, as a table file.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads; the results do not depend on it.")] = 1,
    replace: _Replace = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Fit a surrogate on a table, or on evaluations of your own, save it and say how good it is.

    Example: nb201 surrogate fit --csv mine.csv --key arch --value acc --out model.safetensors
    """
    own = {"key": key, "value": value, "unit": unit, "index": index, "seconds": seconds,
           "valid_seconds": valid_seconds, "name": name, "dataset": dataset}  # fmt: skip
    part = {"size": size, "architectures": architectures}
    _check_source(table, csv, own, part, {"split": split, "epochs": epochs})
    check_extra()
    from nb201env.surrogate.storage import check_can_be_saved, save
    from nb201env.tables import check_file_name, check_free

    # What could not be kept is not worth the time.
    check_can_be_saved(encoding)
    said: list[str] = []
    if csv is not None:
        called, learn = _own_evaluations(csv, own, split or "valid", epochs or [], said.append)
    else:
        called, learn = _part_of_table(table or "", split or "", epochs or [], size, architectures, seed)
    if out is None:
        check_file_name(called)  # whoever wrote a table may have called it anything
        out = Path(f"{called}-surrogate-model.safetensors")
    check_free(out, "--out", replace)
    if table_out is not None:
        check_free(table_out, "--table-out", replace)
    surrogate = learn(random_state=seed, n_jobs=threads, settings={"encoding": encoding}, folds=folds)
    model_id = save(surrogate, out)
    written = None
    if table_out is not None:
        written = _write_table(surrogate, model_id, table_out, None, None, seed)
    if json:
        found = {"out": str(out), "id": model_id} | told(surrogate) | {"notes": said}
        print_json(found | ({"table": str(table_out), "table_id": written.id} if written else {}))
        return
    for text in said:
        typer.echo(f"note: {text}", err=True)
    count = len(surrogate.architectures)
    typer.echo(f"{out}: model {model_id[:12]}, trained on {count:,} architectures of {called}")
    for line in lines(surrogate):
        typer.echo(f"  {plain(line)}")
    if written is not None:
        typer.echo(f"{table_out}: table {written.name} {written.id[:12]}")


@app.command("table")
def write_table(
    model: Annotated[Path, typer.Argument(help="A model file that `fit` wrote.")],
    out: Annotated[Path, typer.Option(help="The table file to write, ending in .safetensors.")],
    name: Annotated[
        str | None,
        typer.Option(help="The table's name, ending in -surrogate; by default NAME-surrogate."),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(
            min=1, max=100, help="Imagined runs of each architecture; by default 3, or 1 without noise."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="For drawing them.")] = 0,
    replace: _Replace = False,
    json: Json = False,
) -> None:
    """Write the predictions of the whole space as a table: environments, searches and reports run on it.

    Example: nb201 surrogate table model.safetensors --out mine-surrogate.safetensors
    """
    check_extra()
    from nb201env.container import Container
    from nb201env.surrogate.storage import load
    from nb201env.tables import check_free

    surrogate, model_id = load(model), Container(model).checksum
    check_free(out, "--out", replace)
    written = _write_table(surrogate, model_id, out, name, runs, seed)
    if json:
        print_json({"out": str(out)} | told(surrogate) | summary(written))
        return
    typer.echo(f"{out}: table {plain(written.name)} {written.id[:12]}")
    for line in limits(surrogate):
        typer.echo(f"  {line}")
    typer.echo(f'  an environment: gym.make("NB201-v0", table="{plain(out)}", budget_queries=100)')


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model file that `fit` wrote.")],
    architectures: Annotated[list[str] | None, typer.Argument(help=ARCHITECTURE)] = None,
    out: Annotated[Path | None, typer.Option(help="Write the whole space to this CSV file.")] = None,
    json: Json = False,
) -> None:
    """Predict architectures, or with --out the whole space.

    Example: nb201 surrogate predict model official:6111 index:4711
    """
    if not architectures and out is None:
        raise ValueError("name architectures to predict, or a CSV file with --out")
    chosen = [read_architecture(text) for text in architectures or []]
    check_extra()
    from nb201env.architecture import all_strings
    from nb201env.space import SIZE
    from nb201env.surrogate.storage import load

    surrogate = load(model)
    if out is not None:
        accuracy, deviation = surrogate.predict(np.arange(SIZE))
        lines = ["index,architecture,accuracy,deviation"]
        rows = zip(range(SIZE), all_strings(), accuracy, deviation, strict=True)
        lines += [f"{i},{text},{mean:.6f},{spread:.6f}" for i, text, mean, spread in rows]
        with appearing(out) as new:
            new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if not json:
            typer.echo(f"{out}: {SIZE:,} predictions, accuracies as fractions")
    found = []
    for one in chosen:
        ((mean,), (spread,)) = surrogate.predict(np.array([one.index]))
        found.append(names(one) | {"accuracy": mean, "deviation": spread})
        if not json:
            typer.echo(f"{one}  {100 * mean:6.2f} % ± {100 * spread:.2f}  (predicted)")
    if json:
        print_json({"predictions": found} | ({"out": str(out)} if out else {}))


@app.command()
def evaluate(
    table: Annotated[list[str], typer.Option(help="Name or path of a table; repeat for several.")],
    split: _Split,
    epochs: Annotated[int, typer.Option(help="Epochs completed.")],
    out: Annotated[Path, typer.Option(help="Folder for the report and for what was measured.")] = Path(
        "runs/surrogate"
    ),
    sizes: Annotated[
        str, typer.Option(help="Training sizes, joined by commas.")
    ] = "20,78,156,469,781,1563,3125,7812",
    draws: Annotated[int, typer.Option(min=1, help="Random draws of the training architectures.")] = 10,
    model: Annotated[
        list[str] | None, typer.Option(help="Models, repeated or with commas; by default all.")
    ] = None,
    transfer_draws: Annotated[int, typer.Option(min=0, help="Random draws for transfer; 0: none.")] = 3,
    json: Json = False,
) -> None:
    """Measure the fidelity of surrogates and baselines and write the report.

    What was measured before is kept in the folder and not measured again, so an evaluation can be
    stopped and started.

    Example: nb201 surrogate evaluate --table cifar100-200 --split valid --epochs 200 --draws 2
    """
    check_extra()
    require("matplotlib", "plots")
    from nb201env.surrogate.fidelity import baselines
    from nb201env.surrogate.fidelity.evaluate import Plan, evaluate
    from nb201env.surrogate.fidelity.forms import number

    chosen = tuple(read_names(model, "model", baselines.NAMES)) if model else baselines.NAMES
    plan = Plan(
        tables=tuple(table), split=split, epochs=epochs, out=out, sizes=read_numbers(sizes, "--sizes"),
        draws=draws, models=chosen, transfer_draws=transfer_draws, command=command_line(),
    )  # fmt: skip
    with resumable():
        summary = evaluate(plan, say=lambda text: typer.echo(text, err=True))
    if json:
        print_json(summary)
        return
    for one in summary["tables"]:
        for size, scores in one["models"].get(baselines.SURROGATE, {}).items():
            typer.echo(
                f"{one['name']:24} N = {size:>5}  Kendall tau {number(scores['kendall_tau']['mean'])}  "
                f"top 10 % {number(scores['top_kendall_tau']['mean'])}"
            )
    typer.echo(f"report: {out / 'fidelity.md'}")


Learn = Callable[..., "Surrogate"]


def _check_source(
    table: str | None,
    csv: Path | None,
    own: Mapping[str, Any],
    part: Mapping[str, Any],
    what: Mapping[str, Any],
) -> None:
    """Refuse options that do not go together: `own` go with --csv, `part` and `what` with --table."""
    if (table is None) == (csv is None):
        raise typer.BadParameter(
            "say what to learn from: --table (a table) or --csv (a file of your own), not both or none"
        )
    given, missing = (part, ("key", "value")) if csv else (own, ("split", "epochs"))
    wrong = next((option for option, value in given.items() if value is not None), None)
    if wrong is not None:
        raise typer.BadParameter(f"{_option(wrong)} does not go with --{'csv' if csv else 'table'}")
    lacks = next((option for option in missing if not {**own, **what}[option]), None)
    if lacks is not None:
        raise typer.BadParameter(f"--{'csv' if csv else 'table'} needs {_option(lacks)}, too")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _own_evaluations(
    csv: Path, own: Mapping[str, Any], split: str, epochs: list[int], note: Callable[[str], None]
) -> tuple[str, Learn]:
    """What evaluations of one's own are called, and what fits a surrogate on them."""
    from nb201env.surrogate.files import read_evaluations
    from nb201env.surrogate.model import fit as fit_to

    if len(epochs) > 1:
        raise ValueError("--epochs stands once with --csv; learning curves need a table")
    given = dict(own) | {"values": own["value"], "epochs": epochs[0] if epochs else None}
    del given["value"]
    evaluations = read_evaluations(csv, split=split, note=note, **given)
    return evaluations.name, partial(fit_to, evaluations)


def _part_of_table(
    table: str, split: str, epochs: list[int], size: int | None, architectures: Path | None, seed: int
) -> tuple[str, Learn]:
    """What a table is called, and what fits a surrogate on a part of it."""
    from nb201env.surrogate.model import fit_surrogate
    from nb201env.tables import open_table

    source = open_table(table)
    train = _architectures(source, split, max(epochs), size, architectures, seed)
    return source.name, partial(fit_surrogate, source, train, split=split, epochs=epochs)


def _write_table(
    surrogate: Surrogate, model_id: str, path: Path, name: str | None, runs: int | None, seed: int
) -> Table:
    from nb201env.surrogate.tables import materialise

    provenance = {"model_id": model_id, "command": command_line()}
    name = name or (path.stem if path.stem.endswith("-surrogate") else None)
    return materialise(surrogate, path, name=name, runs=runs, seed=seed, provenance=provenance)


def _architectures(
    table: Table, split: str, epochs: int, size: int | None, file: Path | None, seed: int
) -> IntArray:
    from nb201env.surrogate.fidelity.protocol import some

    if (size is None) == (file is None):
        raise ValueError(
            "say either --size (random architectures) or --architectures (a file), not both or none"
        )
    if size is not None:
        truth = table.accuracy(split=split, epochs=epochs, run="mean")
        known = np.flatnonzero(~np.isnan(truth))
        if size > len(known):
            raise ValueError(
                f"{table.name} records {len(known):,} architectures, so --size is 2 to {len(known):,}; "
                f"got {size:,}"
            )
        return some(known, size, seed)
    assert file is not None
    return np.array([one.index for one in read_architecture_file(file)], dtype=np.int64)
