"""The plain networks with everything that is cheap to win on a GPU, several in flight.

Images and augmentation on the device, channels-last memory, bf16 activations beside float32
weights (automatic mixed precision), the whole step as one CUDA graph, and several architectures
at once on streams of their own. On a CPU the same code runs in float32, without graphs.

Every architecture is a program of its own, recorded anew: a full batch, an epoch's rest and an
evaluation. That is a fraction of a second each, beside seconds of training, and is not avoided.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nb201env.architecture import Architecture
from nb201env.training.data import Data
from nb201env.training.gpu.capture import Lane, fit
from nb201env.training.loop import Alone, Logs, concatenate, skeleton_for
from nb201env.training.network import Network, initial_network
from nb201env.training.recipe import Recipe

IN_FLIGHT = 8


def train_graphs(
    architectures: Sequence[Architecture], data: Data, recipe: Recipe, seed: int,
    *, dtype: torch.dtype | None = None, in_flight: int = IN_FLIGHT,
) -> tuple[Logs, list[Network]]:  # fmt: skip
    """Train architectures a few at a time; like `nb201env.training.loop.train_plain`, to rounding.

    On a GPU cuDNN is held to its deterministic algorithms (`nb201env.training.precision`), so that equal bits
    from run to run are likely; PyTorch promises them for none of its other operations.

    Args:
        architectures: What to train.
        data: The images, on the device that trains.
        recipe: How to train.
        seed: Of the weights and the batches.
        dtype: Of activations; by default bfloat16 on a GPU and float32 elsewhere. With float32 TF32
            is off.
        in_flight: How many at a time.

    Raises:
        DivergedTraining: If a loss stops being a finite number.
    """
    skeleton, device = skeleton_for(data, recipe), data.mean.device
    dtype = dtype or activations_on(device)
    logs: list[Logs] = []
    networks: list[Network] = []
    for start in range(0, len(architectures), in_flight):
        some = architectures[start : start + in_flight]
        plain = [
            initial_network(a, skeleton, seed).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for a in some
        ]
        lanes = [Lane(Alone(n), 1, recipe, data, dtype, own_stream=True) for n in plain]
        logs += fit(lanes, [[a] for a in some], data, recipe, seed)
        networks += plain
    return concatenate(logs), networks


def activations_on(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU, float32 on a CPU."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32
