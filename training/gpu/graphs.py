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
    skeleton, dtype = skeleton_for(data, recipe), dtype or activations_on(data.mean.device)
    networks = [initial_network(a, skeleton, seed) for a in architectures]
    logs: list[Logs] = []
    for start in range(0, len(architectures), in_flight):
        some = networks[start : start + in_flight]
        lanes = lanes_of(some, data, recipe, dtype)
        logs += fit(lanes, [[n.architecture] for n in some], data, recipe, seed)
    return concatenate(logs), networks


def lanes_of(networks: Sequence[Network], data: Data, recipe: Recipe, dtype: torch.dtype) -> list[Lane]:
    """A lane for each plain network, beside the others; moves the networks to the images' device.

    Args:
        networks: With the weights that they start from.
        data: The images.
        recipe: How to train.
        dtype: Of activations.
    """
    for network in networks:
        network.to(data.mean.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return [Lane(Alone(network), 1, recipe, data, dtype, own_stream=True) for network in networks]


def activations_on(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU, float32 on a CPU."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32
