"""All proxies of one untrained network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nb201env.architecture import Architecture
from nb201env.training.network import Network, Skeleton, initial_network
from nb201env.training.proxies import activations, flow, gradients

HALF = 10
"""Images in a batch: one of each label of CIFAR-10."""
NAMES = (
    "epe_nas", "expressivity", "fisher", "grad_norm", "jacov", "l2_norm", "nwot", "plain",
    "progressivity", "snip", "synflow", "trainability", "zen", "zico",
)  # fmt: skip
"""What `score` gives, in order."""


class Batch(NamedTuple):
    """What networks look at.

    Attributes:
        images: Normalised; float32 [2 * HALF, channels, side, side].
        labels: int64 [2 * HALF].
    """

    images: Tensor
    labels: Tensor


def score(architecture: Architecture, skeleton: Skeleton, batch: Batch, seed: int) -> dict[str, float]:
    """All proxies of one architecture's network at one initialisation.

    Args:
        architecture: Which one.
        skeleton: What surrounds its cells.
        batch: Images with labels.
        seed: Of the weights, and of the Gaussian images.
    """
    network = initial_network(architecture, skeleton, seed).train()
    halves = list(zip(batch.images.split(HALF), batch.labels.split(HALF), strict=True))
    first, second = (gradients.Watched(network, *half) for half in halves)
    response = activations.Response(network, *batch)
    found = {
        "grad_norm": gradients.grad_norm(first),
        "snip": gradients.snip(first),
        "plain": gradients.plain(first),
        "fisher": gradients.fisher(first),
        "l2_norm": gradients.l2_norm(first),
        "zico": gradients.zico([first, second]),
        "nwot": activations.nwot(response),
        "jacov": activations.jacov(response),
        "epe_nas": activations.epe_nas(response),
        "synflow": flow.synflow(initial_network(architecture, skeleton, seed)),
    }
    generator = torch.Generator().manual_seed(seed)
    shape = (2, HALF, *batch.images.shape[1:])
    noise = [
        one.contiguous(memory_format=torch.channels_last) for one in torch.randn(shape, generator=generator)
    ]
    drawn = draw_weights(network, generator, fan_in=True)
    blocks = flow.az_nas(drawn, noise[0], generator)
    found |= blocks._asdict()
    found["zen"] = activations.zen(draw_weights(network, generator, fan_in=False), *noise)
    return {name: found[name] for name in NAMES}


def draw_weights(network: Network, generator: torch.Generator, *, fan_in: bool) -> Network:
    """Draw the weights anew, from a normal distribution around 0; biases become 0.

    Args:
        network: Which one; changed.
        generator: Of the weights.
        fan_in: Whether the variance is 2 / a unit's number of inputs (He et al., ICCV 2015), or 1.
    """
    with torch.no_grad():
        for layer in gradients.layers(network):
            weight = gradients.weight(layer)
            deviation = (2 / weight[0].numel()) ** 0.5 if fan_in else 1.0
            weight.normal_(0, deviation, generator=generator)
            if isinstance(layer, nn.Linear):
                layer.bias.zero_()
    return network
