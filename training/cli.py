"""The sub-commands ``nb201 build``, ``merge``, ``audit`` and ``latency``.

Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from nb201env.commands.common import ARCHITECTURE, Address, Engine, Jobs, Json, Seeds, cluster_address
from nb201env.extras import require
from nb201env.output import names, print_json, progress_bar, resumable
from nb201env.reading import parse_seeds, read_architecture, read_architectures, read_share
from nb201env.tables import SUFFIX, check_file_name, check_free, open_table

if TYPE_CHECKING:
    from nb201env.training.builds.build import BuildProgress

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of the original files, or an .npz; digits need none.")
]


def build(
    out: Annotated[
        str, typer.Option(help="The build's folder or URL (s3://...); made if new, resumed if not.")
    ],
    task: Annotated[
        str,
        typer.Option(
            help="digits, cifar10-valid, cifar10, cifar100, ImageNet16-120 (docs/building.md); npz:NAME for "
            "images of your own, npz:NAME,valid=0.2,test=0.2 if they are to be split (docs/own-images.md)."
        ),
    ],
    recipe: Annotated[
        str,
        typer.Option(
            help="official-12, official-200, small-12, digits-10, smoke-2, or a .json file of your own "
            "(docs/building.md)."
        ),
    ],
    seeds: Seeds,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change the recipe: epochs=3,width=4; name=mine names it. Repeat at will."
        ),
    ] = None,
    every_string: Annotated[
        bool, typer.Option("--every-string", help="Train all 15,625, not one per canonical class.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Train only these, repeated or with commas: official:6111,index:0."),
    ] = None,
    data: DataOption = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the original files into --data first.")
    ] = False,
    trainer: Annotated[
        str, typer.Option(help="plain, compiled, graphs, stacked, or auto (see docs/building.md).")
    ] = "auto",
    shard: Annotated[
        int | None, typer.Option(min=1, help="Architectures per shard; by default 1 if plain, else 32.")
    ] = None,
    jobs: Jobs = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    weights: Annotated[bool, typer.Option("--weights", help="Also keep the trained weights.")] = False,
    mask_diverged: Annotated[
        bool,
        typer.Option(
            "--mask-diverged", help="A loss that stops being a number makes a missing run, not an error."
        ),
    ] = False,
    limit_seconds: Annotated[float | None, typer.Option(help="Start no shard after this time.")] = None,
    share: Annotated[
        str, typer.Option(help="2/5: train only the second fifth of the shards; other machines do the rest.")
    ] = "1/1",
    engine: Engine = "local",
    address: Address = "local",
    gpus: Annotated[float, typer.Option(help="GPUs per shard on Ray, such as 0.25.")] = 0,
    json: Json = False,
) -> None:
    """Train whole tables, in shards; run it again to resume where it stopped.

    Example: nb201 build --task digits --recipe smoke-2 --seeds 0,1 --out small
    """
    _torch()
    from nb201env.training.builds.build import Way
    from nb201env.training.builds.build import build as run
    from nb201env.training.builds.plan import Folder, Plan
    from nb201env.training.builds.store import Store
    from nb201env.training.data import training_split
    from nb201env.training.images.tasks import download_task, find_task, load_task
    from nb201env.training.loop import skeleton_for
    from nb201env.training.recipe import read_recipe
    from nb201env.training.trainers import check_device, find_trainer, shard_for, trainer_for
    from nb201env.workers import Cluster, check_cluster, check_limit

    if out.startswith("memory:"):
        raise ValueError(f"a build at {out} is gone when the command ends; give --out a folder or a URL")
    ray = cluster_address(engine, address)
    cluster = Cluster(ray, gpus=gpus) if ray else None
    check_device(device, here=cluster is None)
    check_limit(limit_seconds)
    check_cluster(cluster or Cluster())
    Store(out)
    part, chosen, numbers = read_share(share), read_recipe(recipe, changes or ()), tuple(parse_seeds(seeds))
    trained = tuple(one.index for one in read_architectures(only or ()))
    find_task(task)
    if trainer != "auto":
        find_trainer(trainer)
    if download:
        data = download_task(task, data or Path("data"))
    images = load_task(task, data)
    if trainer == "auto":
        trainer = trainer_for(device, images.splits["train"].images.shape[-1])
    training_split(images, chosen)
    skeleton_for(images, chosen)
    plan = Plan(
        images.task,
        images.digest,
        chosen,
        numbers,
        trainer,
        every_string,
        shard or shard_for(trainer),
        trained,
    )
    folder = Folder.create(out, plan)
    with resumable(), progress_bar(f"{task} {chosen.name}", "shards") as progress:

        def tick(stand: BuildProgress) -> None:
            progress(stand.done, stand.total, _rate(stand))

        stand = run(
            folder, Way(device, weights, mask_diverged), source=data, jobs=jobs,
            limit_seconds=limit_seconds, share=part, report=tick,
            cluster=cluster,
        )  # fmt: skip
    if json:
        print_json({"out": out, "done": stand.done, "total": stand.total, "seconds_left": stand.seconds_left})
        return
    typer.echo(", ".join(filter(None, (f"{stand.done} of {stand.total} shards in {out}", _rate(stand)))))
    again = "complete" if stand.done == stand.total else "run the same command (every share's) to resume"
    typer.echo(f"{again}; make the table with: nb201 merge {out}")


def merge(
    folder: Annotated[str, typer.Argument(help="A build's folder or URL.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The table's file; by default in the folder, or here if that is a URL."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The table's name; by default TASK-EPOCHS, of own images NAME-EPOCHS.")
    ] = None,
    data: DataOption = None,
    measured: Annotated[
        bool, typer.Option("--measured", help="State processors and seconds in the manifest.")
    ] = False,
    seeds: Annotated[
        str | None, typer.Option(help="Only these of the build's seeds: 4, 0-9 or 0,3,7-9; by default all.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace what is there, if it is no table of this build.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a table of a build's finished shards; architectures not trained yet are masked.

    An earlier table of the same build is replaced.

    Example: nb201 merge digits-10 --seeds 777
    """
    _torch()
    from nb201env.training.builds.merge import is_of_build
    from nb201env.training.builds.merge import merge as make
    from nb201env.training.builds.plan import Folder
    from nb201env.training.images.tasks import load_task

    numbers = tuple(parse_seeds(seeds)) if seeds is not None else None
    opened = Folder.open(folder)
    plan = opened.plan
    name = name or plan.table_name
    check_file_name(name)
    path = out or (opened.store.folder or Path()) / f"{name}{SUFFIX}"
    if not is_of_build(path, plan):
        check_free(path, "--out", replace)
    images = load_task(plan.task, data)
    table = make(opened, path, images, name, measured, numbers)
    coverage = table.manifest["coverage"]
    if json:
        print_json({"out": str(path), "id": table.id, "coverage": coverage})
        return
    typer.echo(f"{path}  id {table.id}")
    typer.echo(f"{coverage['trainings']:,} of {coverage['of']:,} trainings")


def audit(
    table: Annotated[str, typer.Argument(help="A table's name or file, built by 'nb201 build'.")],
    sample: Annotated[int, typer.Option(min=1, help="How many architectures to train again.")] = 20,
    seed: Annotated[int, typer.Option(help="Chooses the sample.")] = 0,
    data: DataOption = None,
    json: Json = False,
) -> None:
    """Train a sample again from scratch and compare it with the table; exit code 1 on a finding.

    Example: nb201 audit digits-10 --sample 20
    """
    _torch()
    from nb201env.training.builds.audit import audit as check
    from nb201env.training.images.tasks import load_task

    opened = open_table(table)
    report = check(opened, load_task(str(opened.manifest["task"]["name"]), data), sample, seed)
    if json:
        print_json(report.as_json())
    else:
        for line in report.lines():
            typer.echo(line)
    if report.findings:
        raise typer.Exit(1)


def latency(
    architecture: Annotated[str | None, typer.Argument(help=ARCHITECTURE)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every canonical class, as a column.")] = False,
    task: Annotated[str, typer.Option(help="Which image size and classes.")] = "cifar10-valid",
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images at once; by default 256, with --all 1.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Timed passes, of which the median counts; 20, with --all 5.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="With --all: how often each class is measured; 3.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda; with --all the CPU has one thread.")] = "cpu",
    data: Annotated[Path | None, typer.Option("--data", help="The .npz of a task npz:NAME.")] = None,
    out: Annotated[Path | None, typer.Option(help="With --all: the CSV file to write.")] = None,
    busy: Annotated[
        bool, typer.Option("--busy", help="With --all: measure although other programs work.")
    ] = False,
    json: Json = False,
) -> None:
    """Time the forward pass of one architecture, or of all, on this machine.

    With --all it takes about half an hour and can be stopped; the same command goes on. It waits while other
    programs work. What it writes becomes a table's column with `nb201 table add-columns`.

    Example: nb201 latency official:6111 --task digits --batch 64
    """
    if (architecture is None) is not every:
        raise ValueError("name one architecture, or say --all")
    _torch()
    if architecture is not None:
        if out is not None or rounds is not None or busy:
            raise ValueError("--out, --rounds and --busy are for --all; one architecture is timed at once")
        _one_latency(architecture, task, batch or 256, repeats or 20, device, data, json)
    elif out is None:
        raise ValueError("say where the latencies go: --all --out latencies.csv")
    else:
        _all_latencies(out, task, batch or 1, repeats or 5, rounds or 3, device, data, busy, json)


def _one_latency(
    architecture: str, task: str, batch: int, repeats: int, device: str, data: Path | None, json: bool
) -> None:
    from nb201env.training.latency import measure

    chosen = read_architecture(architecture)
    found = measure(chosen, task, batch=batch, repeats=repeats, device=device, data=data)
    if json:
        print_json(names(chosen) | {"task": task} | found._asdict())
    else:
        typer.echo(f"{found.seconds * 1e3:.3f} ms  median of {repeats}, batch {batch}, {found.device}")


def _all_latencies(
    out: Path, task: str, batch: int, repeats: int, rounds: int, device: str, data: Path | None, busy: bool,
    json: bool,
) -> None:  # fmt: skip
    require("psutil", "train")
    from nb201env.training.latencies import measure_all
    from nb201env.training.latency_journal import Setting

    setting = Setting.here(task, batch=batch, repeats=repeats, rounds=rounds, device=device, data=data)
    with resumable(), progress_bar("measuring", "passes of classes") as progress:
        found = measure_all(setting, out, busy=busy, progress=progress)
    spread = float(np.median(found.spread / found.seconds))
    if json:
        low, middle, high = np.percentile(found.seconds, (0, 50, 100)).tolist()
        seconds = {"least": low, "median": middle, "most": high}
        about = {"out": str(out), "column": setting.column, "setting": asdict(setting)}
        print_json(about | {"seconds": seconds, "relative_spread": spread})
        return
    milliseconds = 1e3 * found.seconds
    typer.echo(
        f"{out}: {milliseconds.min():.2f} to {milliseconds.max():.2f} ms, "
        f"median spread {100 * spread:.1f} %, {setting.machine}"
    )


def _torch() -> ModuleType:
    return require("torch", "train")


def _rate(stand: BuildProgress) -> str:
    """Trainings per hour and time left, from what this call has measured."""
    if not stand.trainings:
        return ""
    left = stand.seconds_left
    return f"{stand.per_hour:,.0f} architectures/h, {left / 60:,.1f} min left"
