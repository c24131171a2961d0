"""The sub-commands ``nb201 surrogate fit``, ``predict`` and ``evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from nb201env.arrays import IntArray
from nb201env.commands.common import ARCHITECTURE, Group, Json
from nb201env.extras import require
from nb201env.files import appearing
from nb201env.output import command_line, names, print_json, resumable
from nb201env.reading import read_architecture, read_architecture_file, read_names, read_numbers
from nb201env.surrogate import check_extra

if TYPE_CHECKING:
    from nb201env.table import Table

app = Group("Predict a table from a part of one, and measure how well.")

_Split = Annotated[str, typer.Option(help='The split whose accuracy to predict, such as "valid".')]


@app.command()
def fit(
    table: Annotated[str, typer.Option(help="Name or path of a table.")],
    split: _Split,
    epochs: Annotated[list[int], typer.Option(help="Epochs completed; repeat for learning curves.")],
    out: Annotated[Path, typer.Option(help="The model file to write.")],
    size: Annotated[
        int | None, typer.Option(min=2, help="How many random architectures to train on.")
    ] = None,
    architectures: Annotated[
        Path | None,
        typer.Option(help="Or a file of them, one per line: official:6111, index:4711 or a string."),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encodings joined by '+'.")] = "paths+graph",
    seed: Annotated[int, typer.Option(min=0, help="For everything random.")] = 0,
    table_out: Annotated[
        Path | None, typer.Option(help="Also write the predictions of the whole space, as a table file.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads; the results do not depend on it.")] = 1,
    replace: Annotated[bool, typer.Option("--replace", help="Replace files that are there.")] = False,
    json: Json = False,
) -> None:
    """Fit a surrogate on a part of a table and save it.

    Example: nb201 surrogate fit --table cifar100-200 --split valid --epochs 200 --size 500 --out model
    """
    check_extra()
    from nb201env.surrogate.model import fit_surrogate
    from nb201env.surrogate.storage import check_can_be_saved, save
    from nb201env.surrogate.tables import materialise
    from nb201env.tables import check_free, open_table

    source = open_table(table)
    # What could not be kept is not worth the time.
    check_can_be_saved(encoding)
    check_free(out, "--out", replace)
    if table_out is not None:
        check_free(table_out, "--table-out", replace)
    train = _architectures(source, split, max(epochs), size, architectures, seed)
    surrogate = fit_surrogate(
        source, train, split=split, epochs=epochs, random_state=seed, n_jobs=threads,
        settings={"encoding": encoding},
    )  # fmt: skip
    model_id = save(surrogate, out)
    scores, written = surrogate.manifest["held_out_scores"], None
    if table_out is not None:
        provenance = {"model_id": model_id, "command": command_line()}
        name = table_out.stem if table_out.stem.endswith("-surrogate") else None
        written = materialise(surrogate, table_out, name=name, seed=seed, provenance=provenance)
    if json:
        found = {"out": str(out), "id": model_id, "architectures": len(train), "held_out_scores": scores}
        print_json(found | ({"table": str(table_out), "table_id": written.id} if written else {}))
        return
    typer.echo(f"{out}: model {model_id[:12]}, trained on {len(train):,} architectures of {source.name}")
    for name, value in scores.items():
        typer.echo(f"  {name.replace('_', ' '):20} {value:.4f}")
    if written is not None:
        typer.echo(f"{table_out}: table {written.name} {written.id[:12]}")


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
    from nb201env.surrogate.fidelity.report import number

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


def _architectures(
    table: Table, split: str, epochs: int, size: int | None, file: Path | None, seed: int
) -> IntArray:
    from nb201env.surrogate.fidelity.protocol import random_draw

    if (size is None) == (file is None):
        raise ValueError(
            "say either --size (random architectures) or --architectures (a file), not both or none"
        )
    if file is None:
        truth = table.accuracy(split=split, epochs=epochs, run="mean")
        return random_draw(truth, size or 0, seed)[0]
    return np.array([one.index for one in read_architecture_file(file)], dtype=np.int64)
