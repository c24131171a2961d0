"""The stacked trainer: a shard's architectures in one program, kept for the next shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from nb201env.architecture import Architecture
from nb201env.training.data import Data
from nb201env.training.gpu.capture import Lane, fit
from nb201env.training.gpu.codes import Codes, count_convolutions, count_members, live_codes
from nb201env.training.gpu.graphs import activations_on
from nb201env.training.gpu.stacked import Stacked, best_backend
from nb201env.training.loop import DivergedTraining, Logs, skeleton_for
from nb201env.training.network import Network, Skeleton, initial_network
from nb201env.training.recipe import Recipe


class Shape(NamedTuple):
    """What is built into a program; everything else is data."""

    networks: int
    skeleton: Skeleton
    recipe: Recipe
    device: torch.device
    dtype: torch.dtype
    backend: str


@dataclass(frozen=True)
class Program:
    """A stacked model with its recorded steps.

    Attributes:
        shape: What it is built for.
        model: The K networks.
        lane: Their training.
    """

    shape: Shape
    model: Stacked
    lane: Lane

    @classmethod
    def of(cls, shape: Shape, architectures: Sequence[Architecture], data: Data) -> Program:
        """A program with room for these architectures and, on a GPU, for others like them."""
        ops = live_codes(architectures)
        capacity, lengths = max(count_convolutions(ops), 1), count_members(ops)
        if shape.device.type == "cuda":
            # A record is made anew when a shard needs more room: not for every few convolutions.
            # Triton's kernels need no lists of members, so there these may be as long as they like.
            capacity = _round_up(capacity, -(-shape.networks // 2))
            step = shape.networks if shape.backend == "triton" else -(-shape.networks // 8)
            lengths = {key: _round_up(max(n, 1), step) for key, n in lengths.items()}
        codes = Codes.of(architectures, shape.device, capacity, lengths)
        model = Stacked(shape.skeleton, codes, shape.dtype, shape.backend)
        return cls(shape, model, Lane(model, shape.networks, shape.recipe, data))

    def fits(self, architectures: Sequence[Architecture]) -> bool:
        """Whether it has room for these architectures."""
        return self.model.codes.fits(live_codes(architectures))

    def train(self, networks: Sequence[Network], data: Data, seed: int) -> Logs:
        """Train plain networks from the weights that they have; they get the trained ones."""
        self.model.load(networks)
        self.lane.restart()
        logs = fit([self.lane], [[n.architecture for n in networks]], data, self.shape.recipe, seed)
        self.model.store(networks)
        return logs[0]


_kept: list[Program] = []


def train_stacked(
    architectures: Sequence[Architecture], data: Data, recipe: Recipe, seed: int,
    *, dtype: torch.dtype | None = None, backend: str | None = None,
) -> tuple[Logs, list[Network]]:  # fmt: skip
    """Train all these architectures in one program; like `nb201env.training.loop.train_plain`, to rounding.

    On a GPU, where recording takes seconds, the program of the last call is used again if it fits. A
    training repeats there to the bit by construction: the kernels add in a fixed order, and nothing is
    added by atomics.

    Args:
        architectures: What to train; all at once, so their number decides the memory.
        data: The images, on the device that trains.
        recipe: How to train.
        seed: Of the weights and the batches.
        dtype: Of activations; by default bfloat16 on a GPU and float32 elsewhere. With float32 TF32
            is off.
        backend: "triton" or "torch"; by default Triton's kernels on a GPU where it is installed.

    Raises:
        DivergedTraining: If a loss stops being a finite number.
    """
    device = data.mean.device
    shape = Shape(
        len(architectures), skeleton_for(data, recipe), recipe, device,
        dtype or activations_on(device), backend or best_backend(device),
    )  # fmt: skip
    program = _kept.pop() if _kept else None
    if program is None or program.shape != shape or not program.fits(architectures):
        program = None  # first, because two may not fit into the memory
        program = Program.of(shape, architectures, data)
    networks = [initial_network(a, shape.skeleton, seed) for a in architectures]
    try:
        logs = program.train(networks, data, seed)
    except DivergedTraining:
        _keep(program)  # nothing is wrong with it, and the shard may come again with others in place
        raise
    _keep(program)
    return logs, networks


def _keep(program: Program) -> None:
    if program.shape.device.type == "cuda":
        _kept.append(program)


def _round_up(n: int, step: int) -> int:
    return -(-n // step) * step
