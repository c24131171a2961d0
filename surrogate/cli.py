"""The sub-commands ``nb201 surrogate fit``, ``predict`` and ``evaluate``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from nb201env.arrays import IntArray
from nb201env.extras import require
from nb201env.surrogate import check_extra

if TYPE_CHECKING:
    from nb201env.table import Table

app = typer.Typer(
    help="Predict a table from a part of one, and measure how well.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_TableName = Annotated[str, typer.Option("--table", help="Name or path of a table.")]
_Split = Annotated[str, typer.Option(help='The split whose accuracy to predict, such as "valid".')]
_Seed = Annotated[int, typer.Option(min=0, help="For everything random.")]
_Jobs = Annotated[int, typer.Option(min=1, help="Threads; changes nothing but the time.")]


@app.command()
def fit(
    table: _TableName,
    split: _Split,
    epochs: Annotated[list[int], typer.Option(help="Epochs completed; repeat for learning curves.")],
    out: Annotated[Path, typer.Option(help="The model file to write.")],
    size: Annotated[
        int | None, typer.Option(min=2, help="How many random architectures to train on.")
    ] = None,
    indices: Annotated[
        Path | None, typer.Option(help="Or a file of lexicographic indices, one per line.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encodings joined by '+'.")] = "paths+graph",
    seed: _Seed = 0,
    table_out: Annotated[
        Path | None, typer.Option(help="Also write the predictions of the whole space, as a table file.")
    ] = None,
    jobs: _Jobs = 1,
) -> None:
    """Fit a surrogate on a part of a table and save it."""
    check_extra()
    from nb201env.surrogate.model import fit_surrogate
    from nb201env.surrogate.storage import save
    from nb201env.surrogate.tables import materialise
    from nb201env.tables import open_table

    source = open_table(table)
    train = _architectures(source, split, max(epochs), size, indices, seed)
    surrogate = fit_surrogate(
        source, train, split=split, epochs=epochs, random_state=seed, n_jobs=jobs,
        settings={"encoding": encoding},
    )  # fmt: skip
    model_id = save(surrogate, out)
    typer.echo(f"{out}: model {model_id[:12]}, trained on {len(train):,} architectures of {source.name}")
    for name, value in surrogate.manifest["held_out_scores"].items():
        typer.echo(f"  {name.replace('_', ' '):20} {value:.4f}")
    if table_out is not None:
        provenance = {"model_id": model_id, "command": _command()}
        name = table_out.stem if table_out.stem.endswith("-surrogate") else None
        written = materialise(surrogate, table_out, name=name, seed=seed, provenance=provenance)
        typer.echo(f"{table_out}: table {written.name} {written.id[:12]}")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model file that `fit` wrote.")],
    architectures: Annotated[
        list[str] | None, typer.Argument(help="Lexicographic indices or official strings.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the whole space to this CSV file.")] = None,
) -> None:
    """Predict architectures, or with --csv the whole space."""
    check_extra()
    from nb201env.architecture import all_strings, index_of
    from nb201env.space import SIZE
    from nb201env.surrogate.storage import load

    if not architectures and csv is None:
        raise ValueError("name architectures to predict, or a file with --csv")
    surrogate = load(model)
    if csv is not None:
        accuracy, deviation = surrogate.predict(np.arange(SIZE))
        lines = ["index,architecture,accuracy,deviation"]
        rows = zip(range(SIZE), all_strings(), accuracy, deviation, strict=True)
        lines += [f"{i},{text},{mean:.6f},{spread:.6f}" for i, text, mean, spread in rows]
        csv.write_text("\n".join(lines) + "\n", encoding="utf-8")
        typer.echo(f"{csv}: {SIZE:,} predictions, accuracies as fractions")
    for text in architectures or []:
        index = index_of(int(text) if text.lstrip("-").isdigit() else text)
        accuracy, deviation = surrogate.predict(np.array([index]))
        typer.echo(f"{index:6}  {100 * accuracy[0]:6.2f} % ± {100 * deviation[0]:.2f}  (predicted)")


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
    splits: Annotated[int, typer.Option(min=1, help="Random splits.")] = 10,
    models: Annotated[str, typer.Option(help="Models, joined by commas, or 'all'.")] = "all",
    transfer_splits: Annotated[int, typer.Option(min=0, help="Random splits for transfer; 0: none.")] = 3,
) -> None:
    """Measure the fidelity of surrogates and baselines and write the report.

    What was measured before is kept in the folder and not measured again, so an evaluation can be
    stopped and started.
    """
    check_extra()
    require("matplotlib", "plots")
    from nb201env.surrogate.fidelity import baselines
    from nb201env.surrogate.fidelity.evaluate import Plan, evaluate

    chosen = baselines.NAMES if models == "all" else tuple(models.split(","))
    for name in chosen:
        baselines.model(name, 0)
    plan = Plan(
        tables=tuple(table), split=split, epochs=epochs, out=out, sizes=_whole_numbers(sizes), splits=splits,
        models=chosen, transfer_splits=transfer_splits, command=_command(),
    )  # fmt: skip
    summary = evaluate(plan, say=lambda text: typer.echo(text, err=True))
    for one in summary["tables"]:
        for size, scores in one["models"].get(baselines.SURROGATE, {}).items():
            typer.echo(
                f"{one['name']:24} N = {size:>5}  Kendall tau {scores['kendall_tau']['mean']:.3f}  "
                f"top 10 % {scores['top_kendall_tau']['mean']:.3f}"
            )
    typer.echo(f"report: {out / 'fidelity.md'}")


def _architectures(
    table: Table, split: str, epochs: int, size: int | None, indices: Path | None, seed: int
) -> IntArray:
    from nb201env.surrogate.fidelity.protocol import random_split

    if (size is None) == (indices is None):
        raise ValueError("say either --size (random architectures) or --indices (a file), not both or none")
    if indices is None:
        truth = table.accuracy(split=split, epochs=epochs, run="mean")
        return random_split(truth, size or 0, seed)[0]
    try:
        return np.array([int(line) for line in indices.read_text(encoding="utf-8").split()], dtype=np.int64)
    except ValueError as error:
        raise ValueError(f"{indices}: one lexicographic index per line; {error}") from error


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise ValueError(f"--sizes takes whole numbers joined by commas; got {text!r}") from error


def _command() -> str:
    """The command that is running, as one would type it."""
    words: list[Any] = ["nb201", *sys.argv[1:]]
    return shlex.join(map(str, words))
