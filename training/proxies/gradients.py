"""Proxies from the gradient of the loss in an untrained network: what a first step would change.

Batch norms use the statistics of their batch, as in training.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nb201env.training.network import Network


def layers(network: nn.Module) -> Iterator[nn.Module]:
    """The convolutions and the classifier: what pruning, and so these proxies, count as layers."""
    return (module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear))


def weight(layer: nn.Module) -> Tensor:
    """A layer's weight."""
    found = layer.weight
    assert isinstance(found, Tensor)
    return found


class Watched:
    """The loss's gradients in a network on one batch, and in what its layers give.

    Attributes:
        loss: The mean cross entropy over the batch, float32 scalar.
        used: The layers that the loss depends on, in order.
        gradients: In their weights, in the same order.
        outputs: What they give; float32 [B, C, H, W], or [B, classes].
        output_gradients: In those; of the same shapes.
    """

    def __init__(self, network: Network, images: Tensor, labels: Tensor) -> None:
        """Run the network forwards and backwards.

        Args:
            network: Which one.
            images: Float32 [B, channels, side, side].
            labels: int64 [B].
        """
        seen: dict[nn.Module, Tensor] = {}

        def keep(layer: nn.Module, _: Any, output: Tensor) -> None:
            seen[layer] = output

        hooks = [layer.register_forward_hook(keep) for layer in layers(network)]
        try:
            self.loss: Tensor = cross_entropy(network(images), labels)
        finally:
            for hook in hooks:
                hook.remove()
        used = list(seen)
        wanted = [*map(weight, used), *seen.values()]
        found = torch.autograd.grad(self.loss, wanted, allow_unused=True)
        both = list(zip(used, found[: len(used)], found[len(used) :], strict=True))
        self.used = [layer for layer, inner, _ in both if inner is not None]
        self.gradients = [inner for _, inner, _ in both if inner is not None]
        self.outputs = [seen[layer] for layer in self.used]
        self.output_gradients = [outer for _, inner, outer in both if inner is not None]


def grad_norm(watched: Watched) -> float:
    """The sum over layers of the Euclidean norm of the gradient in their weights.

    Abdelfattah, Mehrotra, Dudziak & Lane, "Zero-cost proxies for lightweight NAS" (ICLR 2021).
    """
    return _sum(gradient.norm() for gradient in watched.gradients)


def snip(watched: Watched) -> float:
    """The sum over weights of |gradient · weight|: how much the loss depends on there being each.

    Lee, Ajanthan & Torr, "SNIP" (ICLR 2019), summed as Abdelfattah et al. (ICLR 2021) do.
    """
    return _sum(
        (g * weight(layer)).abs().sum() for layer, g in zip(watched.used, watched.gradients, strict=True)
    )


def plain(watched: Watched) -> float:
    """The sum over weights of gradient · weight, with its sign.

    Mozer & Smolensky, "Skeletonization" (NeurIPS 1988), as Abdelfattah et al. (ICLR 2021) sum it. Weights in
    front of a batch norm cannot matter by their scale, so what is left of theirs is the rounding of sums.
    """
    return _sum((g * weight(layer)).sum() for layer, g in zip(watched.used, watched.gradients, strict=True))


def fisher(watched: Watched) -> float:
    """The sum over channels of half the mean over images of (sum over pixels of output · its gradient)².

    Turner, Crowley, O'Boyle, Storkey & Gray, "BlockSwap" (ICLR 2020), summed over the outputs of all
    layers as Abdelfattah et al. (ICLR 2021) do.
    """
    pairs = zip(watched.outputs, watched.output_gradients, strict=True)
    return _sum((out * g).flatten(2).sum(2).square().mean(0).sum() / 2 if out.ndim == 4
                else (out * g).square().mean(0).sum() / 2 for out, g in pairs)  # fmt: skip


def zico(batches: list[Watched]) -> float:
    """The sum over layers of log(sum over weights of mean |gradient| / its deviation), over batches.

    Li, Yang, Bhardwaj & Marculescu, "ZiCo" (ICLR 2023). Weights whose gradient does not vary count for
    nothing, as in the authors' code.
    """
    total, count = 0.0, len(batches)
    for gradients in zip(*(watched.gradients for watched in batches), strict=True):
        mean = _add(gradients) / count
        deviation = (_add([(one - mean).square_() for one in gradients]) / count).sqrt_()
        size = _add([one.abs() for one in gradients]) / count
        ratio = float(torch.where(deviation > 0, size / deviation, 0.0).sum())
        total += math.log(ratio) if ratio > 0 else 0.0
    return total


def l2_norm(watched: Watched) -> float:
    """The sum over layers of the Euclidean norm of their weights.

    Abdelfattah et al. (ICLR 2021). Layers that do not reach the output do not count.
    """
    return _sum(weight(layer).norm() for layer in watched.used)


def _add(terms: Sequence[Tensor]) -> Tensor:
    return functools.reduce(torch.add, terms)


def _sum(terms: Iterable[Tensor]) -> float:
    return float(sum(float(term.detach()) for term in terms))
