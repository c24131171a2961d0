"""Parameters and multiply-accumulates of an architecture, in closed form.

The official network (width 16, 5 cells per stage) is a fixed skeleton plus 15 copies of the
cell, 5 at each of the widths 16, 32 and 64 with the image side halving in between. Only the two
convolutions cost anything, wherever they stand and whether or not they reach the output, so the
cost depends on two counts: n1 edges ``nor_conv_1x1`` and n3 edges ``nor_conv_3x3``.

What the official files call FLOPs are multiply-accumulates of convolutions and the classifier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nb201env.arrays import IntArray
from nb201env.space import CONV1X1, CONV3X3, decode

_WIDTHS = (16, 32, 64)
_CELLS_PER_STAGE = 5


@dataclass(frozen=True, slots=True)
class Dataset:
    """What the cost depends on: the square image's side in pixels and the number of classes."""

    image_size: int
    classes: int


DATASETS: dict[str, Dataset] = {
    "cifar10": Dataset(32, 10),
    "cifar100": Dataset(32, 100),
    "ImageNet16-120": Dataset(16, 120),
}


def params(index: npt.ArrayLike, dataset: str) -> IntArray:
    """Trainable parameters (a count) of architectures given by index, any shape.

    Source: counted from the official skeleton; equals the official files for every architecture.
    """
    n1, n3 = _conv_counts(index)
    # One convolution: k*k*C*C weights without bias, and a batch norm with 2*C.
    one = _CELLS_PER_STAGE * sum(c * c + 2 * c for c in _WIDTHS)
    three = _CELLS_PER_STAGE * sum(9 * c * c + 2 * c for c in _WIDTHS)
    return np.asarray(_skeleton_params(_dataset(dataset).classes) + one * n1 + three * n3)


def macs(index: npt.ArrayLike, dataset: str) -> IntArray:
    """Multiply-accumulates (a count, per image) of architectures given by index, any shape."""
    n1, n3 = _conv_counts(index)
    spec = _dataset(dataset)
    sides = [spec.image_size >> stage for stage in range(3)]
    one = _CELLS_PER_STAGE * sum(c * c * s * s for c, s in zip(_WIDTHS, sides, strict=True))
    return np.asarray(_skeleton_macs(spec) + one * n1 + 9 * one * n3)


def _dataset(name: str) -> Dataset:
    if name not in DATASETS:
        raise ValueError(f"no cost model for data set {name!r}; known: {', '.join(DATASETS)}")
    return DATASETS[name]


def _conv_counts(index: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    ops = decode(index)
    return (ops == CONV1X1).sum(-1), (ops == CONV3X3).sum(-1)


def _skeleton_params(classes: int) -> int:
    stem = 9 * 3 * 16 + 2 * 16
    # A reduction block: two 3x3 convolutions with batch norm, and a 1x1 shortcut without one.
    reductions = sum(9 * c * 2 * c + 4 * c + 9 * 4 * c * c + 4 * c + 2 * c * c for c in _WIDTHS[:-1])
    return stem + reductions + 2 * 64 + 64 * classes + classes


def _skeleton_macs(spec: Dataset) -> int:
    side = spec.image_size
    total = 9 * 3 * 16 * side * side
    for c in _WIDTHS[:-1]:
        side //= 2
        total += (9 * c * 2 * c + 9 * 4 * c * c + 2 * c * c) * side * side
    return total + (64 + 1) * spec.classes  # the official counter counts the bias too
