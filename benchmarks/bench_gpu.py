"""Training on one GPU: plain, graphs and stacked beside the floor; ``make bench-gpu``.

The recipe is official-12 and the images are random ones of CIFAR-10's shape: speed does not
depend on what they show. Every row times whole steps of K random classes (augmentation,
forward, backward, optimizer) and evaluations of a batch, after a step that compiles and records.

    images/s            training images that one network has seen, per second, over all K
    architectures/h     3600 K / (12 epochs x (98 steps + 137 evaluated batches)), as a table needs them
    of the floor        seconds that `training.gpu.floor` counts for these K at the bandwidth that
                        copying reaches on this device, over the measured seconds of a step
    memory              the most that PyTorch has reserved

With ``--device cpu`` a miniature runs, which tries the script and says nothing about a GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.bench_training import cifar_like
from nb201env.classes import representatives
from nb201env.space import Architecture
from training.data import Data, Split, batches
from training.gpu.capture import Lane
from training.gpu.floor import FLOOR, step_bytes
from training.gpu.graphs import activations_on
from training.gpu.stacked import best_backend
from training.gpu.trainer import Program, Shape
from training.loop import Alone, evaluate, fit, skeleton_for
from training.network import initial_network, live_ops
from training.recipe import Recipe, find_recipe

OFFICIAL_STEPS, OFFICIAL_EVALUATIONS = 98, 137  # batches of 256 in 25,000 and in 35,000 images
COUNTS = {"plain": (1,), "graphs": (1, 4, 8, 16), "stacked": (1, 8, 16, 32, 64, 128, 256)}


class Timing(NamedTuple):
    """Seconds of one training step, and of evaluating as many images, of all K networks."""

    step: float
    evaluation: float


@dataclass(frozen=True)
class Row:
    """One measurement; `error` says why there is none."""

    trainer: str
    networks: int
    step_seconds: float = float("nan")
    images_per_second: float = float("nan")
    architectures_per_hour: float = float("nan")
    of_floor: float = float("nan")
    memory_gb: float = float("nan")
    error: str = ""


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


def time_plain(some: Sequence[Architecture], data: Data, recipe: Recipe, steps: int) -> Timing:
    """The peer: one network after the other with PyTorch's modules, float32, data on the device."""
    device, skeleton = data.mean.device, skeleton_for(data, recipe)
    networks = [initial_network(a, skeleton, 1).to(device) for a in some]
    once = replace(recipe, epochs=1, train_images=recipe.batch)
    fit(Alone(networks[0]), some[:1], data, once, 1)  # finds the memory and the convolutions' programs
    long = replace(once, train_images=steps * recipe.batch)
    step = seconds_of(lambda: [fit(Alone(n), [n.architecture], data, long, 1) for n in networks], device)
    split = first_images(data, 4 * recipe.batch)
    looked = seconds_of(lambda: [evaluate(Alone(n), data, split) for n in networks], device)
    return Timing(step / steps, looked * recipe.batch / len(split.labels))


def time_lanes(lanes: Sequence[Lane], data: Data, recipe: Recipe, steps: int) -> Timing:
    """Lanes in flight together."""
    device = data.mean.device

    def stream() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for epoch in range(steps):  # more than needed
            yield from batches(data, replace(recipe, train_images=0), 1, epoch)

    source = stream()

    def train(count: int) -> None:
        for _ in range(count):
            images, labels = next(source)
            for lane in lanes:
                lane.train(images, labels)

    def look(split: Split) -> None:
        for lane in lanes:
            lane.evaluate(split)

    train(1)
    look(first_images(data, recipe.batch))
    step = seconds_of(lambda: train(steps), device) / steps
    split = first_images(data, 4 * recipe.batch)
    return Timing(step, seconds_of(lambda: look(split), device) * recipe.batch / len(split.labels))


def first_images(data: Data, count: int) -> Split:
    images, labels = data.splits["train"]
    return Split(images[:count], labels[:count])


def time_graphs(some: Sequence[Architecture], data: Data, recipe: Recipe, steps: int) -> Timing:
    device, skeleton = data.mean.device, skeleton_for(data, recipe)
    plain = [
        initial_network(a, skeleton, 1).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for a in some
    ]
    dtype = activations_on(device)
    lanes = [Lane(Alone(n), 1, recipe, data, dtype, own_stream=True) for n in plain]
    return time_lanes(lanes, data, recipe, steps)


def time_stacked(
    some: Sequence[Architecture], data: Data, recipe: Recipe, steps: int, backend: str
) -> Timing:
    device, skeleton = data.mean.device, skeleton_for(data, recipe)
    shape = Shape(len(some), skeleton, recipe, device, activations_on(device), backend)
    program = Program.of(shape, some, data)
    program.model.load([initial_network(a, skeleton, 1) for a in some])
    return time_lanes([program.lane], data, recipe, steps)


def ways(device: torch.device) -> dict[str, Callable[..., Timing]]:
    """What is measured, by name."""
    found: dict[str, Callable[..., Timing]] = {"plain": time_plain, "graphs": time_graphs}
    for backend in dict.fromkeys((best_backend(device), "torch")):
        found[f"stacked, {backend}"] = partial(time_stacked, backend=backend)
    return found


def measure(
    name: str, work: Callable[..., Timing], count: int, data: Data, recipe: Recipe, steps: int, speed: float
) -> Row:
    some, device = sample(count), data.mean.device
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        found = work(some, data, recipe, steps)
    except torch.OutOfMemoryError:
        return Row(name, count, error="does not fit into the memory")
    side = data.splits["train"].images.shape[-1]
    least = sum(step_bytes(FLOOR, live_ops(a), recipe, side) for a in some) / speed
    epoch = OFFICIAL_STEPS * found.step + OFFICIAL_EVALUATIONS * found.evaluation
    memory = torch.cuda.max_memory_reserved(device) / 1e9 if device.type == "cuda" else float("nan")
    return Row(
        name, count, found.step, count * recipe.batch / found.step, 3600 * count / (12 * epoch),
        least / found.step, memory,
    )  # fmt: skip


def run(
    data: Data, recipe: Recipe, steps: int, limit_seconds: float, counts: dict[str, Sequence[int]],
    report: Callable[[str], None] = print,
) -> dict[str, object]:  # fmt: skip
    """All rows that fit into the time, and what they were measured on."""
    start, device = time.perf_counter(), data.mean.device
    speed = bandwidth(device)
    report(f"copying reaches {speed / 1e12:.3f} TB/s")
    rows: list[Row] = []
    # Few networks of every trainer first, so that the limit cuts off the large ones of all.
    todo = [(k, name) for name in ways(device) for k in counts[name.split(",")[0]]]
    full: set[str] = set()
    for count, name in sorted(todo, key=lambda item: item[0]):
        if name in full:
            continue
        if time.perf_counter() - start > limit_seconds:
            report(f"time is up; not measured: {name} with {count} and all after it")
            break
        row = measure(name, ways(device)[name], count, data, recipe, steps, speed)
        if row.error:
            full.add(name)
        rows.append(row)
        report(f"{name}, K = {count}: {row.error or f'{row.images_per_second:,.0f} images/s'}")
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu, in miniature",
        "torch": torch.__version__, "bandwidth": speed, "recipe": asdict(recipe), "steps": steps,
        "rows": [asdict(row) for row in sorted(rows, key=lambda r: (r.trainer, r.networks))],
    }  # fmt: skip


def show(found: dict[str, object]) -> RichTable:
    """The result as a table; ratios are to the plain loop of the same run."""
    rows = [Row(**row) for row in found["rows"]]  # type: ignore[attr-defined]
    plain = [row.architectures_per_hour for row in rows if row.trainer == "plain"]
    table = RichTable(title=f"{found['device']}, PyTorch {found['torch']}", title_justify="left")
    for heading in (
        "trainer",
        "K",
        "ms/step",
        "images/s",
        "architectures/h",
        "x plain",
        "of the floor",
        "GB",
    ):
        table.add_column(heading, justify="left" if heading == "trainer" else "right")
    for row in rows:
        ratio = row.architectures_per_hour / plain[0] if plain else float("nan")
        figures = (
            f"{1e3 * row.step_seconds:.2f}", f"{row.images_per_second:,.0f}",
            f"{row.architectures_per_hour:,.1f}", f"{ratio:.1f}", f"{row.of_floor:.1%}",
            f"{row.memory_gb:.1f}",
        )  # fmt: skip
        table.add_row(row.trainer, str(row.networks), *((row.error,) if row.error else figures))
    return table


def miniature(data: Data, recipe: Recipe) -> tuple[Data, Recipe]:
    """Something that a CPU does in seconds: 8-pixel images, thin networks, small batches."""
    splits = {n: Split(s.images[:, :, :8, :8].contiguous(), s.labels) for n, s in data.splits.items()}
    return replace(data, splits=splits), replace(recipe, width=4, cells=1, batch=8)


def prepare(device: str) -> tuple[Data, Recipe, dict[str, Sequence[int]]]:
    """Data, recipe and counts for a device.

    Raises:
        ValueError: If there is no such device.
    """
    recipe = find_recipe("official-12")
    if torch.device(device).type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError("PyTorch sees no NVIDIA GPU here; try the script with --device cpu")
        return cifar_like(25_000).to(device), recipe, dict(COUNTS)
    torch.set_num_threads(1)
    data, recipe = miniature(cifar_like(256), recipe)
    return data, recipe, {"plain": (1,), "graphs": (2,), "stacked": (1, 2)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Plain, graphs, stacked and the floor on one GPU.")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a miniature")
    parser.add_argument("--limit-seconds", type=float, default=600, help="start no measurement after this")
    parser.add_argument("--steps", type=int, default=30, help="timed steps per row")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    a = parser.parse_args(arguments)
    try:
        data, recipe, counts = prepare(a.device)
    except ValueError as error:
        print(f"bench_gpu: {error}", file=sys.stderr)
        sys.exit(2)
    most = len(data.splits["train"].labels) // recipe.batch
    found = run(data, recipe, min(a.steps, most), a.limit_seconds, counts)
    Console(width=110).print(show(found))
    if a.json:
        a.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
