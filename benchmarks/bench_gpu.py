"""Speed of training on one GPU: plain, graphs and stacked beside the floor; ``make bench-gpu``.

    python -m benchmarks.bench_gpu                                  all rows, the most valuable first
    python -m benchmarks.bench_gpu --rows stacked:64 plain:1 --jsonl rows.jsonl
    python -m benchmarks.bench_gpu --show --jsonl rows.jsonl        what is there, as a table

The images are random ones of CIFAR-10's form: speed does not depend on what they show. A row trains K
random classes: it makes and records the program, goes through a full batch, an epoch's rest and an
evaluation, as a build would, and then times whole steps (augmentation, forward, backward, optimizer) and
evaluations. ``stacked,torch:4`` is the stacked trainer without Triton's kernels.

    images/s            training images that one network has seen, per second, over all K
    architectures/h     3600 K / (12 epochs x (98 steps + 138 evaluated batches)), as a table needs them
    of the floor        seconds that `training.gpu.floor` counts for these K at the bandwidth that
                        copying reaches on this device, over the measured seconds of a step
    GB                  the most memory that PyTorch has reserved

Every row is a process of its own with its own time limit. Whatever goes wrong in it is a row with an
`error`, in the file as soon as it is known, and the next row is measured; rows that the file already has
are not. Where K networks do not fit, more are not tried. With ``--device cpu`` a miniature runs, which
tries the script and says nothing about a GPU. Exit status: 2 if there is no such device, else 0.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table as RichTable

from nb201env.classes import representatives
from nb201env.processes import Ended, run_apart
from nb201env.space import Architecture
from training.data import Data, Split, batches
from training.gpu.capture import Lane
from training.gpu.capture import evaluate as evaluate_lanes
from training.gpu.checks.networks import images_like
from training.gpu.floor import FLOOR, step_bytes
from training.gpu.graphs import activations_on
from training.gpu.stacked import BACKENDS, best_backend
from training.gpu.trainer import Program, Shape
from training.loop import Alone, evaluate, fit, skeleton_for
from training.network import initial_network, live_ops
from training.recipe import Recipe, find_recipe

Row = dict[str, Any]
"""One measurement: what `measure` and `failed` give, as a line of the file."""
STEPS, EVALUATIONS = 98, 98 + 40  # batches of 256 in 25,000 images, and in 25,000 and 10,000
REST = 168 / 256  # of a batch is left of 25,000 images at the end of an epoch
SHAPES = {"official-12": 32, "small-12": 16}  # a recipe, and the side of its images in pixels
ROWS = (
    "plain:1",
    "stacked:64",
    "graphs:8",
    "graphs:1",
    "stacked:32",
    "stacked:128",
    "stacked:8",
    "stacked:1",
)
MINIATURE = ("plain:1", "stacked:2", "graphs:2", "stacked:1")
FULL = "does not fit into the memory"


class Name(NamedTuple):
    """What a row measures: TRAINER:NETWORKS, or TRAINER,BACKEND:NETWORKS."""

    trainer: str
    backend: str
    networks: int

    @classmethod
    def of(cls, text: str) -> Name:
        """Read one.

        Raises:
            ValueError: If it is none.
        """
        way, _, count = text.rpartition(":")
        trainer, _, backend = way.partition(",")
        known = trainer in ("plain", "graphs", "stacked") and (not backend or trainer == "stacked")
        if not known or backend not in ("", *BACKENDS) or not count.isdecimal() or int(count) < 1:
            raise ValueError(
                f"unknown row {text!r}; a row is plain:1, graphs:8, stacked:64 or stacked,torch:4"
            )
        return cls(trainer, backend, int(count))

    @property
    def way(self) -> str:
        return self.trainer + (f", {self.backend}" if self.backend else "")

    def __str__(self) -> str:
        return f"{self.way.replace(' ', '')}:{self.networks}"


# -- one row, in this process --------------------------------------------------------------------


@dataclass
class Work:
    """What a row does, step by step.

    Attributes:
        train: Take so many training steps.
        rest: Take one on the rest of an epoch.
        look: Evaluate these images.
    """

    train: Callable[[int], object]
    rest: Callable[[], object]
    look: Callable[[Split], object]


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    synchronize(device)
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


def bandwidth(device: torch.device) -> float:
    """Bytes per second, read and written, that copying a large tensor reaches; the best of five."""
    large = torch.ones(2**30 if device.type == "cuda" else 2**24, dtype=torch.uint8, device=device)
    other = torch.empty_like(large)
    return 2 * len(large) / min(seconds_of(lambda: other.copy_(large), device) for _ in range(5))


def sample(count: int) -> list[Architecture]:
    """Random canonical classes, the same for every row."""
    chosen = np.random.default_rng(0).permutation(representatives())[:count]
    return [Architecture.from_index(i) for i in chosen.tolist()]


def plain_work(some: Sequence[Architecture], data: Data, recipe: Recipe) -> Work:
    """The peer: one network after the other with PyTorch's modules, float32, data on the device."""
    skeleton = skeleton_for(data, recipe)
    networks = [initial_network(a, skeleton, 1).to(data.mean.device) for a in some]
    little = replace(data, splits={name: _first(split, 8) for name, split in data.splits.items()})

    def train(images: int) -> None:
        used = replace(little, splits=little.splits | {"train": data.splits["train"]})
        once = replace(recipe, epochs=1, train_images=images)
        for network in networks:
            fit(Alone(network), [network.architecture], used, once, 1)

    return Work(
        lambda steps: train(steps * recipe.batch),
        lambda: train(_rest(recipe)),
        lambda split: [evaluate(Alone(network), data, split) for network in networks],
    )


def lanes_work(lanes: Sequence[Lane], data: Data, recipe: Recipe) -> Work:
    """Lanes in flight together."""

    def stream() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        epoch = 0
        while True:
            whole = (b for b in batches(data, recipe, 1, epoch) if len(b[1]) == recipe.batch)
            yield from whole
            epoch += 1

    source = stream()

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        for lane in lanes:
            lane.train(images, labels)

    def rest() -> None:
        images, labels = next(source)
        step(images[: _rest(recipe)], labels[: _rest(recipe)])

    def train(steps: int) -> None:
        for _ in range(steps):
            step(*next(source))

    return Work(train, rest, lambda split: evaluate_lanes(lanes, split))


def graphs_work(some: Sequence[Architecture], data: Data, recipe: Recipe) -> Work:
    device, skeleton = data.mean.device, skeleton_for(data, recipe)
    plain = [
        initial_network(a, skeleton, 1).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for a in some
    ]
    dtype = activations_on(device)
    return lanes_work([Lane(Alone(n), 1, recipe, data, dtype, own_stream=True) for n in plain], data, recipe)


def stacked_work(some: Sequence[Architecture], data: Data, recipe: Recipe, backend: str) -> Work:
    device, skeleton = data.mean.device, skeleton_for(data, recipe)
    shape = Shape(len(some), skeleton, recipe, device, activations_on(device), backend)
    program = Program.of(shape, some, data)
    program.model.load([initial_network(a, skeleton, 1) for a in some])
    return lanes_work([program.lane], data, recipe)


def make(name: Name, some: Sequence[Architecture], data: Data, recipe: Recipe) -> Work:
    """What a row does, with the program made."""
    if name.trainer == "stacked":
        return stacked_work(some, data, recipe, name.backend or best_backend(data.mean.device))
    return (plain_work if name.trainer == "plain" else graphs_work)(some, data, recipe)


def _rest(recipe: Recipe) -> int:
    return max(1, int(REST * recipe.batch))


def _first(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])


def measure(name: Name, shape: str, data: Data, recipe: Recipe, steps: int) -> Row:
    """One row; raises whatever goes wrong."""
    some, device = sample(name.networks), data.mean.device
    speed = bandwidth(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    work, train = make(name, some, data, recipe), data.splits["train"]
    for once in (lambda: work.train(1), work.rest, lambda: work.look(_first(train, recipe.batch))):
        seconds_of(once, device)
    making = time.perf_counter() - start
    step = seconds_of(lambda: work.train(steps), device) / steps
    split = _first(train, 4 * recipe.batch)
    looked = seconds_of(lambda: work.look(split), device) * recipe.batch / len(split.labels)
    least = sum(step_bytes(FLOOR, live_ops(a), recipe, train.images.shape[-1]) for a in some)
    count, whole = name.networks, recipe.epochs * (STEPS * step + EVALUATIONS * looked)
    return about(name, shape, data) | {
        "step_seconds": step, "evaluation_seconds": looked, "making_seconds": making, "steps": steps,
        "images_per_second": count * recipe.batch / step, "architectures_per_hour": 3600 * count / whole,
        "of_floor": least / speed / step, "bandwidth_tb": speed / 1e12, "reached_tb": least / step / 1e12,
        "memory_gb": torch.cuda.max_memory_reserved(device) / 1e9 if device.type == "cuda" else None,
    }  # fmt: skip


def about(name: Name, shape: str, data: Data) -> Row:
    """What a row was measured on."""
    device, triton = data.mean.device, importlib.util.find_spec("triton")
    dtype = torch.float32 if name.trainer == "plain" else activations_on(device)
    backend = name.backend or best_backend(device) if name.trainer == "stacked" else ""
    return identity(name, shape) | {
        "backend": backend, "dtype": str(dtype).removeprefix("torch."), "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu, in miniature",
        "triton": importlib.import_module("triton").__version__ if triton else None,
    }  # fmt: skip


def identity(name: Name, shape: str) -> Row:
    return {"row": str(name), "shape": shape, "trainer": name.way, "networks": name.networks, "error": ""}


def failed(name: Name, shape: str, error: str) -> Row:
    """A row that says why there is none."""
    return identity(name, shape) | {"error": error}


def why(error: Exception) -> str:
    """One line; an error of too little memory says so first, whatever its type (a recording has its own)."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    full = isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower()
    return f"{FULL} ({text})" if full else text


def prepare(device: str, shape: str) -> tuple[Data, Recipe]:
    """Images and recipe for a device; on a CPU something that it does in seconds.

    Raises:
        ValueError: If there is no such device.
    """
    there, recipe, side = torch.device(device), find_recipe(shape), SHAPES[shape]
    if there.type != "cuda":
        torch.set_num_threads(1)
        recipe, side = replace(recipe, width=4, cells=1, batch=8), 8
        return images_like(there, side, 256 + _rest(recipe), 8), recipe
    if not torch.cuda.is_available():
        raise ValueError("PyTorch sees no NVIDIA GPU here; try the script with --device cpu")
    return images_like(there, side, 25_000, 8), recipe


# -- all rows, each apart ------------------------------------------------------------------------


def run(
    names: Sequence[Name], shape: str, command: Sequence[str], limit_seconds: float, each_seconds: float,
    keep: Callable[[Row], None], there: Sequence[Row] = (), report: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Measure rows that are not there yet, one after the other, each in a process of its own.

    Args:
        names: The rows, in order.
        shape: Of the task, a key of `SHAPES`.
        command: Measures a row, given ``--row`` and its name.
        limit_seconds: Of all; a row that this ends is not kept.
        each_seconds: Of each; a row that this ends is kept as an error.
        keep: Called with each row as it comes, errors included.
        there: The rows that need not be measured again.
        report: Says what happens.
    """
    end, rows = time.monotonic() + limit_seconds, list(there)
    for name in names:
        left = end - time.monotonic()
        if any(row["row"] == str(name) and row["shape"] == shape for row in rows):
            report(f"{name}: is there")
            continue
        if left <= 0:
            report(f"{name}: not measured, time is up")
            continue
        smaller = [r for r in rows if r["trainer"] == name.way and r["shape"] == shape]
        full = [
            r["networks"] for r in smaller if r["error"].startswith(FULL) and r["networks"] < name.networks
        ]
        if full:
            row = failed(name, shape, f"not tried: {min(full)} did not fit into the memory")
        else:
            ended = run_apart([*command, "--row", str(name)], min(left, each_seconds))
            if ended.code is None and left < each_seconds:
                report(f"{name}: not measured, time is up")
                continue
            row = read_row(ended) or failed(name, shape, ended.why or "it printed no row")
        rows.append(row)
        keep(row)
        report(f"{name}: {row['error'] or as_words(row)}")


def read_row(ended: Ended) -> Row | None:
    """The row that a process printed; None if it did not come to that."""
    for line in reversed(ended.lines):
        if line.startswith("{"):
            try:
                found: Row = json.loads(line)
            except ValueError:
                continue
            return found
    return None


def read_rows(file: Path | None) -> list[Row]:
    """The rows of a file; a line that a kill cut off is none."""
    if file is None or not file.exists():
        return []
    rows = []
    for line in file.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


# -- words ---------------------------------------------------------------------------------------


def as_words(row: Row) -> str:
    return (
        f"{1e3 * row['step_seconds'] / row['networks']:.2f} ms a step and network, "
        f"{row['images_per_second']:,.0f} images/s, {row['architectures_per_hour']:,.0f} architectures/h"
    )


HEADINGS = ("trainer", "K", "ms/step and K", "images/s", "architectures/h", "x plain", "of the floor", "GB")


def figures(rows: Sequence[Row]) -> list[list[str]]:
    """Of each row what stands under `HEADINGS`, or its name and its error."""
    plain = [r["architectures_per_hour"] for r in rows if r["trainer"] == "plain" and not r["error"]]
    found = []
    for row in rows:
        cells = [row["trainer"], str(row["networks"])]
        if row["error"]:
            found.append([*cells, row["error"]])
            continue
        ratio = f"{row['architectures_per_hour'] / plain[0]:.1f}" if plain else ""
        memory = "" if row["memory_gb"] is None else f"{row['memory_gb']:.1f}"
        each = 1e3 * row["step_seconds"] / row["networks"]
        found.append([
            *cells, f"{each:.2f}", f"{row['images_per_second']:,.0f}",
            f"{row['architectures_per_hour']:,.0f}", ratio, f"{row['of_floor']:.0%}", memory,
        ])  # fmt: skip
    return found


def captions(rows: Sequence[Row]) -> list[str]:
    """What the rows were measured on, said once for each kind of machine and task."""
    said = (
        f"{r['shape']}: {r['device']}, PyTorch {r['torch']}, Triton {r['triton']}, copying {r['bandwidth_tb']:.2f} TB/s"
        for r in rows
        if not r["error"]
    )
    return list({caption.rpartition(", copying")[0]: caption for caption in said}.values())


def by_shape(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of one task shape together, as ratios to the plain loop need them."""
    return {
        shape: [r for r in rows if r["shape"] == shape] for shape in dict.fromkeys(r["shape"] for r in rows)
    }


def show(rows: Sequence[Row]) -> RichTable:
    """The rows as a table; ratios are to the plain loop of the same task shape."""
    table = RichTable(title="; ".join(captions(rows)) or None, title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "trainer" else "right")
    for some in by_shape(rows).values():
        for line in figures(some):
            table.add_row(*line)
        table.add_section()
    return table


def markdown(rows: Sequence[Row]) -> list[str]:
    """The rows as lines of Markdown: per task shape what they were measured on, and a table."""
    lines = []
    for some in by_shape(rows).values():
        lines += [
            *captions(some),
            "",
            f"| {' | '.join(HEADINGS)} |",
            f"| --- |{' ---: |' * (len(HEADINGS) - 1)}",
        ]
        for line in figures(some):
            padded = [cell.replace("|", "\\|") for cell in line] + [""] * (len(HEADINGS) - len(line))
            lines.append(f"| {' | '.join(padded)} |")
        lines.append("")
    return lines[:-1]


# -- the command ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Plain, graphs, stacked and the floor on one GPU.")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a miniature")
    parser.add_argument("--task-shape", choices=SHAPES, default="official-12", help="recipe and image size")
    parser.add_argument("--rows", nargs="+", help=f"TRAINER:NETWORKS in order; default {' '.join(ROWS)}")
    parser.add_argument("--row", help="measure this one in this process; prints one JSON line")
    parser.add_argument("--limit-seconds", type=float, default=600, help="of all rows")
    parser.add_argument("--each-seconds", type=float, default=120, help="of each row")
    parser.add_argument("--steps", type=int, default=30, help="timed steps per row")
    parser.add_argument("--jsonl", type=Path, help="append each row here as it comes; rows there are kept")
    parser.add_argument("--show", action="store_true", help="measure nothing, print the rows of --jsonl")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    a = parser.parse_args(arguments)
    on_gpu = torch.device(a.device).type == "cuda"
    try:
        names = [Name.of(text) for text in ([a.row] if a.row else a.rows or (ROWS if on_gpu else MINIATURE))]
        if on_gpu and not a.show and not torch.cuda.is_available():
            raise ValueError("PyTorch sees no NVIDIA GPU here; try the script with --device cpu")
    except ValueError as error:
        print(f"bench_gpu: {error}", file=sys.stderr)
        sys.exit(2)
    if a.row:
        print(json.dumps(one(names[0], a.device, a.task_shape, a.steps)), flush=True)
        return
    rows = read_rows(a.jsonl)
    if not a.show:
        command = [sys.executable, "-m", "benchmarks.bench_gpu", "--device", a.device,
                   "--task-shape", a.task_shape, "--steps", str(a.steps)]  # fmt: skip
        there = list(rows)
        run(names, a.task_shape, command, a.limit_seconds, a.each_seconds, keeper(rows, a.jsonl), there)
    if a.markdown:
        print("\n".join(markdown(rows)))
    else:
        Console(width=130).print(show(rows))


def one(name: Name, device: str, shape: str, steps: int) -> Row:
    """One row, whatever happens."""
    try:
        data, recipe = prepare(device, shape)
        most = len(data.splits["train"].labels) // recipe.batch
        return measure(name, shape, data, recipe, max(1, min(steps, most)))
    except Exception as error:  # the next row may do better
        return failed(name, shape, why(error))


def keeper(rows: list[Row], file: Path | None) -> Callable[[Row], None]:
    """Keeps a row at once, in the list and in the file."""

    def keep(row: Row) -> None:
        rows.append(row)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a") as out:
                out.write(json.dumps(row) + "\n")

    return keep


if __name__ == "__main__":
    main()
