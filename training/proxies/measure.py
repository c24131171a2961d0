"""All proxies of one untrained network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nb201env.architecture import Architecture
from nb201env.training.network import Network, Skeleton, initial_network
from nb201env.training.proxies import activations, flow, gradients

_TRICKS = "Abdelfattah et al., Zero-cost proxies for lightweight NAS, ICLR 2021 (arXiv 2101.08134)"
_AZ_NAS = "Lee & Ham, AZ-NAS, CVPR 2024 (arXiv 2403.19232)"
SOURCES = {
    "epe_nas": "Lopes et al., EPE-NAS, ICANN 2021 (arXiv 2102.08099)",
    "expressivity": _AZ_NAS,
    "fisher": f"Turner et al., BlockSwap, ICLR 2020 (arXiv 1906.04113), as in {_TRICKS}",
    "grad_norm": _TRICKS,
    "jacov": "Mellor et al., Neural architecture search without training, first version (arXiv 2006.04647v1)",
    "l2_norm": _TRICKS,
    "nwot": "Mellor et al., Neural architecture search without training, ICML 2021 (arXiv 2006.04647)",
    "plain": f"Mozer & Smolensky, Skeletonization, NeurIPS 1988, as in {_TRICKS}",
    "progressivity": _AZ_NAS,
    "snip": f"Lee et al., SNIP, ICLR 2019 (arXiv 1810.02340), as in {_TRICKS}",
    "synflow": f"Tanaka et al., SynFlow, NeurIPS 2020 (arXiv 2006.05467), as in {_TRICKS}",
    "trainability": _AZ_NAS,
    "zen": "Lin et al., Zen-NAS, ICCV 2021 (arXiv 2102.01063)",
    "zico": "Li et al., ZiCo, ICLR 2023 (arXiv 2301.11300)",
}
"""What `score` gives, in order, and where each formula is from."""


class Batch(NamedTuple):
    """What networks look at: two halves, each with one image of every label.

    Attributes:
        images: Normalised; float32 [B, channels, side, side].
        labels: int64 [B].
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

    Returns:
        A finite number by the names of `SOURCES`; more promises more.
    """
    half = len(batch.labels) // 2
    network = initial_network(architecture, skeleton, seed).train()
    halves = zip(batch.images.split(half), batch.labels.split(half), strict=True)
    first, second = (gradients.Watched(network, *both) for both in halves)
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
    shape = (2, half, *batch.images.shape[1:])
    noise = [
        one.contiguous(memory_format=torch.channels_last) for one in torch.randn(shape, generator=generator)
    ]
    drawn = draw_weights(network, generator, fan_in=True)
    blocks = flow.az_nas(drawn, noise[0], generator)
    found |= blocks._asdict()
    found["zen"] = activations.zen(draw_weights(network, generator, fan_in=False), *noise)
    return {name: found[name] for name in SOURCES}


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
