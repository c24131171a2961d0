"""The sub-commands ``nb201 proxies compute`` and ``compare``.

Nothing heavy is imported before a command runs; to compare needs no PyTorch.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from nb201env.commands.common import Epochs, Group, Jobs, Json, Split
from nb201env.envs.registration import OFFICIAL
from nb201env.extras import require
from nb201env.output import print_grid, print_json, progress_bar, resumable
from nb201env.proxies import open_proxies, read
from nb201env.proxies.agreement import Agreement, agreements, scores
from nb201env.reading import read_share
from nb201env.tables import open_table

app = Group("Scores of untrained networks: compute them, and see how well they rank.")


@app.command()
def compute(
    out: Annotated[
        Path, typer.Option(help="The file; beside it lie journals, with which a second call goes on.")
    ],
    task: Annotated[
        str, typer.Option(help="Whose images networks look at: cifar10, digits, npz:NAME (docs/building.md).")
    ],
    initialisations: Annotated[int, typer.Option(min=1, help="How often each network is drawn.")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of the original files, or an .npz; digits need none."),
    ] = None,
    jobs: Jobs = 1,
    share: Annotated[
        str, typer.Option(help="2/5: only the second fifth of the networks; other machines do the rest.")
    ] = "1/1",
    json: Json = False,
) -> None:
    """Score every canonical class; run it again to resume where it stopped.

    Example: nb201 proxies compute --task digits --initialisations 1 --out digits-proxies.safetensors
    """
    require("torch", "train")
    from nb201env.training.images.tasks import load_task
    from nb201env.training.proxies.compute import Progress, Setting, batch_of
    from nb201env.training.proxies.compute import compute as run

    part, images = read_share(share), load_task(task, data)
    setting = Setting.of(images, initialisations)
    with resumable(), progress_bar("scoring", "networks") as progress:

        def tick(stand: Progress) -> None:
            progress(stand.done, stand.total)

        stand = run(setting, batch_of(images), out, share=part, jobs=jobs, report=tick)
    if json:
        print_json({"out": str(out), "setting": asdict(setting)} | stand._asdict())
        return
    typer.echo(f"{stand.done:,} of {stand.total:,} networks")
    typer.echo(
        str(out) if stand.done == stand.total else "run the other shares, or bring their journals here"
    )


@app.command()
def compare(
    split: Split,
    epochs: Epochs,
    table: Annotated[
        list[str] | None,
        typer.Option(help="A table's name or file, repeated at will; by default the three official ones."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="What `nb201 proxies compute` wrote; by default what is embedded.")
    ] = None,
    json: Json = False,
) -> None:
    """Rank correlations of every proxy with the accuracy: Kendall's tau and Spearman's rho.

    A number is the mean over initialisations, each scored alone, ± half its range.

    Example: nb201 proxies compare --split valid --epochs 200 --table cifar100-200
    """
    opened = [open_table(name) for name in table or OFFICIAL.values()]
    proxies = read(file) if file else open_proxies()
    found = {
        one.name: agreements(scores(proxies, one), one.accuracy(split=split, epochs=epochs, run="mean"))
        for one in opened
    }
    if json:
        print_json({
            "computed": dict(proxies.computed), "split": split, "epochs": epochs,
            "tables": {name: [_as_json(one) for one in made] for name, made in found.items()},
        })  # fmt: skip
        return
    for place, (name, made) in enumerate(found.items()):
        if place:
            typer.echo()
        rows = [[one.name, *map(_cell, [one] * 3, _SHOWN), f"{one.mean.kendall:.3f}"] for one in made]
        print_grid(_HEADINGS, rows, f"{name}, {split} accuracy after {epochs} epochs, mean over runs")


_SHOWN = "kendall", "spearman", "kendall_top"
_HEADINGS = "score", "tau", "rho", "tau,\ntop 10 %", "tau of the\nmean score"


def _cell(one: Agreement, which: str) -> str:
    middle, spread = one.typical(which)
    return f"{middle:.3f} ± {spread:.3f}" if len(one.each) > 1 and np.isfinite(middle) else f"{middle:.3f}"


def _as_json(one: Agreement) -> dict[str, Any]:
    return {
        "score": one.name, "each": [each._asdict() for each in one.each], "mean": one.mean._asdict()
    }  # fmt: skip
