"""Proxies from what an untrained network makes of a batch: how well it tells images apart.

Batch norms use the statistics of their batch, as in training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nb201env.arrays import FloatArray
from nb201env.training.network import Network

LEAST = -1e3
"""nwot of a network that cannot tell the images apart: instead of log(0), and below that of all others."""
_K = 1e-5
"""What the authors of jacov and EPE-NAS add before they take a logarithm."""


class Response:
    """What a network makes of a batch of images.

    Attributes:
        agreement: How many units of all ReLUs are on for both of two images, or off for both; float64 [B, B].
        jacobian: The gradient of an image's logits, summed, in its pixels; float64 [B, pixels].
        labels: Of the images; int64 [B].
    """

    def __init__(self, network: Network, images: Tensor, labels: Tensor) -> None:
        """Run the network forwards and backwards.

        Args:
            network: Which one.
            images: Float32 [B, channels, side, side].
            labels: int64 [B].
        """
        count = len(images)
        agreement = torch.zeros(count, count, dtype=torch.float64)

        def compare(_: nn.Module, __: Any, output: Tensor) -> None:
            on = (output.detach() > 0).flatten(1).float()
            both = on @ on.T
            counts = on.sum(1)
            # Off for both: all, less those on for either one, of which `both` were counted twice.
            agreement.add_(2 * both + on.shape[1] - counts[:, None] - counts[None, :])

        hooks = [
            unit.register_forward_hook(compare) for unit in network.modules() if isinstance(unit, nn.ReLU)
        ]
        images = images.clone().requires_grad_()
        try:
            total = network(images).sum()
        finally:
            for hook in hooks:
                hook.remove()
        (jacobian,) = torch.autograd.grad(total, images, allow_unused=True, materialize_grads=True)
        self.agreement: FloatArray = agreement.numpy()
        self.jacobian: FloatArray = jacobian.flatten(1).double().numpy()
        self.labels = labels.numpy()


def nwot(response: Response) -> float:
    """The logarithm of the determinant of the images' agreement in which ReLUs are on; at least `LEAST`.

    Mellor, Turner, Storkey & Crowley, "Neural architecture search without training" (ICML 2021).
    """
    return max(float(np.linalg.slogdet(response.agreement)[1]), LEAST)


def jacov(response: Response) -> float:
    """How little the rows of the Jacobian correlate: -sum(log(v + k) + 1/(v + k)) of the eigenvalues v.

    Mellor et al., first version (arXiv 2006.04647v1), k = 1e-5.
    """
    values = np.linalg.eigvalsh(_correlations(response.jacobian)) + _K
    return float(-(np.log(values) + 1 / values).sum())


def epe_nas(response: Response) -> float:
    """The sum over labels of |sum(log(|c| + k))| over the correlations c of the Jacobian's rows of a label.

    Lopes, Alirezazadeh & Alexandre, "EPE-NAS" (ICANN 2021), k = 1e-5.
    """
    rows = (response.jacobian[response.labels == label] for label in np.unique(response.labels))
    return float(sum(abs(np.log(np.abs(_correlations(own)) + _K).sum()) for own in rows))


def zen(network: Network, images: Tensor, others: Tensor) -> float:
    """The logarithm of how much the last features move with the image, in the scale before batch norms.

    Lin et al., "Zen-NAS" (ICCV 2021), as their code has it: the mean over images of the sum over features of
    |f(x) - f(x + 0.01 e)|, at least 1e-30, times the product over batch norms of the root of their mean
    variance. A batch norm of nothing, behind a convolution of a zero node, scales nothing and does not count.

    Args:
        network: Which one; its weights from the standard normal distribution, as the authors have it.
        images: Gaussian noise x; float32 [B, channels, side, side].
        others: Gaussian noise e, likewise.
    """
    scales: list[Tensor] = []

    def scale(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        variance = inputs[0].var(dim=(0, 2, 3), correction=0).mean()
        if variance > 0:
            scales.append(variance.sqrt().log())

    hooks: list[Any] = []
    features: list[Tensor] = []
    hooks.append(network.last.register_forward_hook(lambda _, __, output: features.append(output)))
    try:
        with torch.no_grad():
            network(images + 0.01 * others)
            norms = (unit for unit in network.modules() if isinstance(unit, nn.BatchNorm2d))
            hooks += [unit.register_forward_pre_hook(scale) for unit in norms]
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    moved = (features[0] - features[1]).abs().flatten(1).sum(1).mean()
    return float(moved.clamp_min(1e-30).log()) + float(torch.stack(scales).sum())


def _correlations(rows: FloatArray) -> FloatArray:
    """Pearson's, of all pairs of rows; float64 [n, n].

    Rows without variance are alike: they correlate by 1 with each other, and with no other row.
    """
    centred = rows - rows.mean(axis=1, keepdims=True)
    size = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, size, out=np.zeros_like(centred), where=size > 0)
    found: FloatArray = unit @ unit.T + (size == 0) * (size.T == 0)
    np.fill_diagonal(found, 1.0)
    return found
