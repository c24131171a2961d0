"""One row of `benchmarks.speed.gpu`: what it names, how it is measured, and what it says."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.speed.gpu_floor import FLOOR, step_bytes
from nb201env.architecture import Architecture
from nb201env.classes import representatives
from nb201env.training.data import Data, Split, batches
from nb201env.training.gpu.capture import Lane
from nb201env.training.gpu.capture import evaluate as evaluate_lanes
from nb201env.training.gpu.checks.networks import images_like
from nb201env.training.gpu.graphs import activations_on, lanes_of
from nb201env.training.gpu.stacked import BACKENDS, best_backend
from nb201env.training.gpu.trainer import Program, Shape
from nb201env.training.loop import Alone, evaluate, fit, skeleton_for
from nb201env.training.network import initial_network, live_ops
from nb201env.training.recipe import Recipe, find_recipe

Row = dict[str, Any]
"""One measurement: what `measure` and `failed` give, as a line of the file."""
STEPS, EVALUATIONS = 98, 98 + 40  # batches of 256 in 25,000 images, and in 25,000 and 10,000
REST = 168 / 256  # of a batch is left of 25,000 images at the end of an epoch
SHAPES = {"official-12": 32, "small-12": 16}  # a recipe, and the side of its images in pixels
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


# -- what is measured ----------------------------------------------------------------------------


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
    networks = [initial_network(a, skeleton_for(data, recipe), 1) for a in some]
    return lanes_work(lanes_of(networks, data, recipe, activations_on(data.mean.device)), data, recipe)


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


def one(name: Name, device: str, shape: str, steps: int) -> Row:
    """One row, whatever happens."""
    try:
        data, recipe = prepare(device, shape)
        most = len(data.splits["train"].labels) // recipe.batch
        return measure(name, shape, data, recipe, max(1, min(steps, most)))
    except Exception as error:  # the next row may do better
        return failed(name, shape, why(error))
