"""Training throughput: the builder's trainers beside a plain one-architecture-at-a-time loop.

Run with ``python -m benchmarks.speed.training``. The peer is the official network in PyTorch,
trained in the usual way: one architecture after the other, images [batch, channels, height, width]
one plane after the other, as data loaders give them, every architecture of the space. Both do the
same training steps on the same images. They are
measured in turns and in CPU seconds of one thread, so that other programs disturb less; printed is
the best of the turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from nb201env.architecture import Architecture
from nb201env.classes import representatives
from nb201env.output import print_grid
from nb201env.space import SIZE
from nb201env.training.data import Data, Split
from nb201env.training.images.tasks import load_task
from nb201env.training.loop import Alone, fit, skeleton_for
from nb201env.training.network import initial_network
from nb201env.training.recipe import Recipe, find_recipe
from nb201env.training.trainers import TRAINERS

Row = tuple[str, str, str, str, str]


def cifar_like(images: int) -> Data:
    """Random images of CIFAR-10's shape: speed does not depend on what they show."""
    rng = np.random.default_rng(0)

    def split(count: int) -> Split:
        pixels = rng.integers(0, 256, (count, 3, 32, 32)).astype(np.uint8)
        return Split(torch.from_numpy(pixels), torch.from_numpy(rng.integers(0, 10, count)))

    splits = {"train": split(images), "valid": split(8), "test": split(8)}
    return Data("cifar-like", splits, torch.full((3,), 120.0), torch.full((3,), 60.0), 10)


class Usual(Alone):
    """A network that is given its images as data loaders give them."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images.contiguous())


def plain_loop(architectures: Sequence[Architecture], data: Data, recipe: Recipe) -> None:
    """The peer: one architecture after the other."""
    for architecture in architectures:
        network = initial_network(architecture, skeleton_for(data, recipe), 1)
        fit(Usual(network), [architecture], data, recipe, 1)


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(what: str, data: Data, recipe: Recipe, trainer: str, count: int, turns: int) -> list[Row]:
    """Training images per second, evaluation included, and trainings per hour of one epoch each."""
    chosen = [Architecture.from_index(i) for i in representatives()[2500 : 2500 + count].tolist()]
    images = recipe.epochs * (recipe.train_images or len(data.splits["train"].labels)) * count
    ours, peer = [], []
    for _ in range(turns):
        ours.append(cpu_seconds(lambda: TRAINERS[trainer](chosen, data, recipe, 1)))
        peer.append(cpu_seconds(lambda: plain_loop(chosen, data, recipe)))
    fast, slow = min(ours), min(peer)
    sharing = SIZE / len(representatives())
    epochs = 3600 * count * recipe.epochs
    return [
        (f"{what}: images/s", f"{images / fast:,.0f}", f"{images / slow:,.0f}", f"{slow / fast:.2f}", ""),
        (f"{what}: epochs of a class / h", f"{epochs / fast:,.0f}", f"{epochs / slow:,.0f}",
         f"{slow / fast:.2f}", ">= 2"),
        (f"{what}: epochs of an architecture / h", f"{sharing * epochs / fast:,.0f}", f"{epochs / slow:,.0f}",
         f"{sharing * slow / fast:.2f}", ">= 4"),
    ]  # fmt: skip


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3, help="how often each pair is measured")
    parser.add_argument("--classes", type=int, default=32, help="classes trained at once, digits")
    a = parser.parse_args()
    torch.set_num_threads(1)
    digits = replace(find_recipe("digits-10"), epochs=1)
    official = replace(find_recipe("official-12"), epochs=1, train_images=256)
    rows = [
        *compare("digits", load_task("digits"), digits, "compiled", a.classes, a.turns),
        *compare("CIFAR-10, 256 images", cifar_like(256), official, "plain", 2, min(a.turns, 2)),
    ]
    headings = ("measure", "ours", "plain loop", "ratio", "goal")
    print_grid(headings, rows, "training, one CPU thread, per CPU second")


if __name__ == "__main__":
    main()
