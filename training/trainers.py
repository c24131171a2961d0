"""The ways to train architectures, by name: one signature, one result, to rounding."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch

from nb201env.architecture import Architecture
from nb201env.extras import require
from nb201env.training.data import Data
from nb201env.training.gpu.graphs import train_graphs
from nb201env.training.gpu.trainer import train_stacked
from nb201env.training.loop import Logs, train_plain
from nb201env.training.network import Network
from nb201env.training.recipe import Recipe

Trainer = Callable[[Sequence[Architecture], Data, Recipe, int], tuple[Logs, list[Network]]]
"""Trains architectures with one seed; gives their logs and the trained networks, in their order."""


def train_compiled(
    architectures: Sequence[Architecture], data: Data, recipe: Recipe, seed: int
) -> tuple[Logs, list[Network]]:
    """`nb201env.training.compiled.trainer.train_compiled`, imported on the first call: it takes a second."""
    require("numba", "train")
    from nb201env.training.compiled import trainer

    return trainer.train_compiled(architectures, data, recipe, seed)


TRAINERS: dict[str, Trainer] = {
    "plain": train_plain,
    "compiled": train_compiled,
    "graphs": train_graphs,
    "stacked": train_stacked,
}
"""Ways to train the architectures of a shard; all give the plain path's results, to rounding (on a
GPU the last two round activations to bfloat16, see docs/gpu.md)."""


def find_trainer(name: str) -> Trainer:
    """A trainer by name.

    Raises:
        ValueError: If there is none; the message lists the names.
    """
    if name not in TRAINERS:
        raise ValueError(f"unknown trainer {name!r}; the trainers are {', '.join(TRAINERS)}")
    return TRAINERS[name]


def trainer_for(device: str, image_size: int) -> str:
    """What "auto" stands for: the fastest trainer on this device for images of this side."""
    if device.startswith("cuda"):
        return "stacked"
    return "compiled" if image_size <= 8 else "plain"


def shard_for(trainer: str) -> int:
    """How many architectures a shard holds if nothing is said.

    What trains them one after the other, for minutes or hours each, gains nothing from more than one
    and would lose more to a kill.
    """
    return 1 if trainer == "plain" else 32


def check_device(device: str, here: bool = True) -> None:
    """Raise a ValueError that says what to do if a device's name is none, or none of this machine's.

    Args:
        device: "cpu", "cuda" or "cuda:1".
        here: Whether it must be one of this machine; otherwise only its name is looked at.
    """
    found = re.fullmatch(r"cpu|cuda(?::([0-9]{1,4}))?", device)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ", ".join(["cpu", *(f"cuda:{number}" for number in range(count))])
    if not found:
        raise ValueError(f"unknown device {device!r}; this machine has {there}")
    if not here or device == "cpu":
        return
    if not count:
        raise ValueError(
            f"device {device!r} asks for an NVIDIA GPU, but PyTorch {torch.__version__} sees none here; use "
            "--device cpu, or install a driver and a CUDA build of PyTorch"
        )
    if int(found[1] or 0) >= count:
        raise ValueError(f"there is no device {device!r} here; this machine has {there}")
