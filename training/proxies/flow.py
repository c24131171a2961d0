"""Proxies from how signals and gradients pass the untrained network's blocks, whatever the images."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle

from nb201env.training.network import Network
from nb201env.training.proxies.gradients import layers, weight


def synflow(network: Network) -> float:
    """log(1 + the sum over weights of weight · gradient of R), R the network's sum on an image of ones.

    Tanaka, Kunin, Yamins & Ganguli, "SynFlow" (NeurIPS 2020): all weights are made positive, and batch norms
    are left out, as Abdelfattah et al. (ICLR 2021) do, in float64 (the sums are larger than float32 can tell
    apart). The logarithm keeps the order.

    Args:
        network: Which one; what makes it another one is not undone.
    """
    flowing = without_batch_norms(network)
    skeleton = network.skeleton
    with torch.no_grad():
        for parameter in flowing.parameters():
            parameter.abs_()
    image = torch.ones(1, skeleton.channels, skeleton.image_size, skeleton.image_size, dtype=torch.float64)
    used = [*layers(flowing)]
    found = torch.autograd.grad(flowing(image).sum(), [*map(weight, used)], allow_unused=True)
    flow = sum((weight(layer) * g).sum() for layer, g in zip(used, found, strict=True) if g is not None)
    return float(torch.as_tensor(flow).detach().log1p())


def without_batch_norms(network: Network) -> Network:
    """Change a network to float64, and so that its batch norms pass on what they get."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return network.double()


class Blocks(NamedTuple):
    """The three scores of AZ-NAS beside the number of multiply-accumulates.

    Attributes:
        expressivity: The sum over blocks of the entropy of the normalised spectrum of their features.
        progressivity: The least growth of that entropy from one block to the next.
        trainability: The mean over blocks of 2 - s - 1/s, where s is the spectral norm of their Jacobian.
    """

    expressivity: float
    progressivity: float
    trainability: float


def az_nas(network: Network, images: Tensor, generator: torch.Generator) -> Blocks:
    """The scores of Lee & Ham, "AZ-NAS" (CVPR 2024), as their code has them.

    Blocks are the stem, the cells and the residual blocks. A block that gives nothing has no entropy. In the
    trainability, 1/s is 1/(s + 1e-6). A block that passes a gradient on unchanged has nothing in it to train,
    and counts as if s were 0; the authors' code says minus infinity there.

    Args:
        network: Which one; weights from a normal distribution of variance 2 / fan-in, as theirs.
        images: Gaussian noise; float32 [B, channels, side, side].
        generator: Of the random signs that estimate Jacobians.
    """
    features = block_features(network, images)
    entropies = [entropy(one.detach()) for one in features]
    growth = [after - before for before, after in pairwise(entropies)]
    trained = [trainability(before, after, generator) for before, after in pairwise(features)]
    return Blocks(sum(entropies), min(growth), sum(trained) / len(trained))


def block_features(network: Network, images: Tensor) -> list[Tensor]:
    """What the stem, and every block after it, gives, each made of the one before; float32 [B, C, H, W]."""
    features = [network.stem(images)]
    for stage, cells in enumerate(network.stages):
        blocks = [network.reductions[stage - 1]] if stage else []
        for block in [*blocks, *cells]:  # type: ignore[misc]
            # A cell of dead edges alone gives zeros that depend on nothing; what follows depends on them.
            features.append(block(features[-1]).requires_grad_())
    return features


def entropy(features: Tensor) -> float:
    """The entropy of the normalised eigenvalues of the channels' covariance over images and pixels.

    Args:
        features: Float32 [B, C, H, W].
    """
    rows = features.permute(0, 2, 3, 1).flatten(0, 2)
    rows = rows - rows.mean(0)
    spectrum = torch.linalg.eigvalsh((rows.T @ rows / len(rows)).double()).clamp_min(0)
    if not float(spectrum.sum()) > 0:
        return 0.0
    part = spectrum / spectrum.sum()
    return float(-(part * (part + 1e-8).log()).sum())


def trainability(before: Tensor, after: Tensor, generator: torch.Generator) -> float:
    """2 - s - 1/s, where s is the spectral norm of a block's Jacobian between channels; see `az_nas`.

    The Jacobian is the mean over images and pixels of the products of random signs behind the block and of
    the gradients in front of it that they become.

    Args:
        before: What the block gets; float32 [B, C, H, W].
        after: What it makes of that; of the same shape, or of half the side.
        generator: Of the signs.
    """
    signs = torch.randint(2, after.shape, generator=generator).to(after) * 2 - 1
    (back,) = torch.autograd.grad(
        after, before, signs, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    if torch.equal(back, signs):
        back = torch.zeros_like(back)
    if back.shape[2] != signs.shape[2]:
        back = pixel_unshuffle(back, back.shape[2] // signs.shape[2])
    left, right = (one.permute(0, 2, 3, 1).flatten(0, 2) for one in (back, signs))
    norm = float(torch.linalg.matrix_norm(left.T @ right / len(right), 2))
    return 2 - norm - 1 / (norm + 1e-6)
