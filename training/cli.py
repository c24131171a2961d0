"""The sub-commands ``nb201 build``, ``merge``, ``audit`` and ``latency``.

Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from nb201env.architecture import Architecture
from nb201env.extras import require
from nb201env.tables import SUFFIX, open_table

if TYPE_CHECKING:
    from nb201env.training.builds.build import Progress as Stand

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of the original files, or an .npz; digits need none.")
]


def build(
    out: Annotated[
        str, typer.Option(help="The build's folder or URL (s3://...); made if new, resumed if not.")
    ],
    task: Annotated[
        str, typer.Option(help="digits, cifar10-valid, cifar10, cifar100, ImageNet16-120 (docs/building.md).")
    ],
    recipe: Annotated[str, typer.Option(help="A preset, such as official-12.")],
    seeds: Annotated[str, typer.Option(help="Seeds, one run each: 777,888,999.")],
    every_string: Annotated[
        bool, typer.Option(help="Train all 15,625, not one per canonical class.")
    ] = False,
    only: Annotated[str, typer.Option(help="Train only these indices: 0,6111; default all.")] = "",
    data: DataOption = None,
    download: Annotated[bool, typer.Option(help="Fetch the original files into --data first.")] = False,
    trainer: Annotated[
        str, typer.Option(help="plain, compiled, graphs, stacked, or auto (see docs/building.md).")
    ] = "auto",
    shard: Annotated[
        int | None, typer.Option(min=1, help="Architectures per shard; by default 1 if plain, else 32.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes; the results do not depend on it.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    weights: Annotated[bool, typer.Option(help="Also keep the trained weights.")] = False,
    mask_diverged: Annotated[
        bool, typer.Option(help="A loss that stops being a number makes a missing run, not an error.")
    ] = False,
    limit_seconds: Annotated[float | None, typer.Option(help="Start no shard after this time.")] = None,
    share: Annotated[
        str, typer.Option(help="2/5: train only the second fifth of the shards; other machines do the rest.")
    ] = "1/1",
    engine: Annotated[str, typer.Option(help="local (this machine's processes) or ray.")] = "local",
    address: Annotated[str, typer.Option(help="Of the cluster: local, auto, ray://host:10001.")] = "local",
    gpus: Annotated[float, typer.Option(help="GPUs per shard on Ray, such as 0.25.")] = 0,
) -> None:
    """Train whole tables, in shards; run it again to go on where it stopped."""
    _torch()
    from nb201env.training.builds.build import Way
    from nb201env.training.builds.build import build as run
    from nb201env.training.builds.plan import Folder, Plan
    from nb201env.training.images.tasks import download_task, load_task
    from nb201env.training.recipe import find_recipe
    from nb201env.training.trainers import find_trainer, shard_for, trainer_for
    from nb201env.workers import Cluster

    if engine not in ("local", "ray"):
        raise ValueError(f"unknown engine {engine!r}; the engines are local, ray")
    chosen = find_recipe(recipe)
    if download:
        data = download_task(task, data or Path("data"))
    images = load_task(task, data)
    if trainer == "auto":
        trainer = trainer_for(device, images.splits["train"].images.shape[-1])
    find_trainer(trainer)
    plan = Plan(
        task,
        images.digest,
        chosen,
        _numbers(seeds, "--seeds"),
        trainer,
        every_string,
        shard or shard_for(trainer),
        _numbers(only, "--only"),
    )
    folder = Folder.create(out, plan)
    with _bar() as progress:
        bar = progress.add_task(f"{task} {recipe}", total=len(plan.units), rate="")

        def tick(stand: Stand) -> None:
            progress.update(bar, completed=stand.done, rate=_rate(stand))

        stand = run(
            folder, Way(device, weights, mask_diverged), source=data, jobs=jobs,
            limit_seconds=limit_seconds, share=_share(share), report=tick,
            cluster=Cluster(address, gpus=gpus) if engine == "ray" else None,
        )  # fmt: skip
    typer.echo(f"{stand.done} of {stand.total} shards in {out}, {_rate(stand)}")
    again = "complete" if stand.done == stand.total else "run the same command (every share's) to go on"
    typer.echo(f"{again}; make the table with: nb201 merge {out}")


def merge(
    folder: Annotated[str, typer.Argument(help="A build's folder or URL.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The table's file; by default in the folder, or here if that is a URL."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The table's name; by default TASK-EPOCHS.")] = None,
    data: DataOption = None,
    measured: Annotated[bool, typer.Option(help="State processors and seconds in the manifest.")] = False,
    seeds: Annotated[str, typer.Option(help="Only these of the build's seeds: 777; by default all.")] = "",
) -> None:
    """Make a table of a build's finished shards; architectures not trained yet are masked."""
    _torch()
    from nb201env.training.builds.merge import merge as make
    from nb201env.training.builds.plan import Folder
    from nb201env.training.images.tasks import load_task

    opened = Folder.open(folder)
    plan = opened.plan
    file = f"{name or f'{plan.task}-{plan.recipe.epochs}'}{SUFFIX}"
    path = out or (opened.store.folder or Path()) / file
    images = load_task(plan.task, data)
    table = make(opened, path, images, name, measured, _numbers(seeds, "--seeds") or None)
    coverage = table.manifest["coverage"]
    typer.echo(f"{path}  id {table.id}")
    typer.echo(f"{coverage['trainings']:,} of {coverage['of']:,} trainings")


def audit(
    table: Annotated[str, typer.Argument(help="A table's name or file, built by 'nb201 build'.")],
    sample: Annotated[int, typer.Option(min=1, help="How many architectures to train again.")] = 20,
    seed: Annotated[int, typer.Option(help="Chooses the sample.")] = 0,
    data: DataOption = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Train a sample again from scratch and compare it with the table; exit code 1 on a finding."""
    _torch()
    from nb201env.training.builds.audit import audit as check
    from nb201env.training.images.tasks import load_task

    opened = open_table(table)
    report = check(opened, load_task(str(opened.manifest["task"]["name"]), data), sample, seed)
    if json_:
        typer.echo(json.dumps(report.as_json(), indent=1))
    else:
        for line in report.lines():
            typer.echo(line)
    if report.findings:
        raise typer.Exit(1)


def latency(
    architecture: Annotated[str, typer.Argument(help="An index or an official string.")],
    task: Annotated[str, typer.Option(help="Which image size and classes.")] = "cifar10-valid",
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 256,
    repeats: Annotated[int, typer.Option(min=1, help="Timed passes; the median is printed.")] = 20,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time one architecture's forward pass on this machine."""
    _torch()
    from nb201env.training.latency import measure

    chosen = Architecture.of(int(architecture) if architecture.isdigit() else architecture)
    found = measure(chosen, task, batch=batch, repeats=repeats, device=device)
    if json_:
        typer.echo(json.dumps(found._asdict()))
    else:
        typer.echo(f"{found.seconds * 1e3:.3f} ms  median of {repeats}, batch {batch}, {found.device}")


def _torch() -> ModuleType:
    return require("torch", "train")


def _numbers(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise ValueError(f"{option} takes numbers with commas, such as 777,888; got {text!r}") from error


def _share(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise ValueError(f"--share looks like 2/5, the second of five shares; got {text!r}")
    return int(part), int(parts)


def _bar() -> Progress:
    shards = TextColumn("{task.completed}/{task.total} shards")
    columns = (TextColumn("{task.description}"), BarColumn(), shards, TextColumn("{task.fields[rate]}"))
    return Progress(*columns, console=Console(stderr=True))


def _rate(stand: Stand) -> str:
    """Trainings per hour and time left, from what this call has measured."""
    if not stand.trainings:
        return ""
    left = stand.seconds_left
    return f"{stand.per_hour:,.0f} architectures/h, {left / 60:,.1f} min left"
