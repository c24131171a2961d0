"""Networks small enough for finite differences, in float64, and images for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.space import CONV1X1, CONV3X3, NONE, POOL, SKIP
from nb201env.training.network import Network, Skeleton, initial_network
from nb201env.training.proxies.gradients import layers, weight

TINY = Skeleton(width=2, cells=1, classes=3, image_size=8, channels=1)
MIXED = Architecture((CONV3X3, SKIP, CONV1X1, POOL, NONE, CONV1X1))
LIVE = [
    MIXED,
    Architecture((CONV1X1,) * 6),
    Architecture((SKIP, POOL, SKIP, POOL, SKIP, POOL)),
    Architecture((NONE, NONE, NONE, CONV3X3, NONE, NONE)),
]
"""Cells whose output depends on their input."""
DEAD = [
    Architecture((NONE,) * 6),
    Architecture((NONE, NONE, NONE, NONE, NONE, CONV1X1)),
    Architecture((CONV3X3, SKIP, POOL, NONE, NONE, NONE)),
]
"""Cells whose output does not."""


def network(architecture: Architecture = MIXED, seed: int = 0) -> Any:
    """A tiny network whose batch norms divide by the deviation, and by next to nothing beside it."""
    made = initial_network(architecture, TINY, seed).double()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-20 if architecture not in DEAD else 1e-5
    return made


def images(count: int = 6, seed: int = 1) -> Tensor:
    """Gaussian images; float64 [count, 1, 8, 8]."""
    return torch.randn(count, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def labels(count: int = 6) -> Tensor:
    """0, 1, 2, 0, 1, 2 …"""
    return torch.arange(count) % TINY.classes


def numeric(found: Network, loss: Callable[[], Tensor], step: float = 1e-6) -> list[FloatArray]:
    """Central differences of a loss in the weights of every layer, in order."""
    gradients = []
    for layer in layers(found):
        values = weight(layer).detach().view(-1)
        gradient = np.zeros(len(values))
        for place, value in enumerate(values.tolist()):
            sides = []
            for moved in (value + step, value - step):
                values[place] = moved
                sides.append(float(loss()))
            values[place] = value
            gradient[place] = (sides[0] - sides[1]) / (2 * step)
        gradients.append(gradient)
    return gradients
