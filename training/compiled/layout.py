"""Where everything of one network lies in the flat arrays of `nb201env.training.compiled.trainer`.

A unit is a convolution with its batch norm (the residual blocks' shortcuts have no norm, the last
norm has no convolution), in order of execution. A place is a tensor [C, H, W, B]: the stem's output
is the first, and every block adds three: a cell its nodes 1 to 3 (its node 0 is the place before), a
residual block its inner activation, its halved input and its output. The last norm's output is the
last. Tensors of one kind lie one after the other, gradients at the same offsets of a second array.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nb201env.arrays import IntArray
from nb201env.space import CONV1X1, CONV3X3
from nb201env.training.network import Network, live_ops

F32 = npt.NDArray[np.float32]
CELL, REDUCTION = 0, 1

KERNEL, STRIDE, IN, OUT, SIDE, WEIGHT, NORM, RUNNING, NORMAL = range(9)
"""Columns of `Layout.units`: kernel (0: none), stride, channels in and out, side of the input, and
offsets of the weight and of gain and bias (-1: no norm) in theta, of mean and variance in running, and
per image of the normalised output."""

OFFSET, CHANNELS, ROWS = range(3)
"""Columns of `Layout.places`: the offset per image, channels, side."""


class Layout(NamedTuple):
    """All that the compiled functions need to know about one network.

    Attributes:
        units: int64 [units, 9].
        places: int64 [places, 3].
        blocks: CELL or REDUCTION, in order; int64 [blocks].
        ops: The op of every edge, "none" where it does not matter; int64 [6].
        classifier: Offsets of its weight and bias in theta, and the classes; int64 [3].
    """

    units: IntArray
    places: IntArray
    blocks: IntArray
    ops: IntArray
    classifier: IntArray


class Parameters:
    """A network's trained values as two flat arrays.

    Attributes:
        theta: Weights, gains and biases; float32 [n].
        running: Running means and variances; float32 [m].
    """

    def __init__(self) -> None:
        self._trained: list[Tensor] = []
        self._running: list[Tensor] = []

    def load(self) -> None:
        """Make the arrays from the network's tensors."""
        self.theta, self.running = _flat(self._trained), _flat(self._running)

    def store(self) -> None:
        """Copy the arrays' values back into the network's tensors."""
        for flat, tensors in ((self.theta, self._trained), (self.running, self._running)):
            parts = torch.split(torch.from_numpy(flat), [tensor.numel() for tensor in tensors])
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def trained(self, *tensors: Tensor) -> int:
        """Note tensors of theta; returns the first one's offset."""
        return _note(self._trained, tensors)

    def moving(self, *tensors: Tensor) -> int:
        """Note tensors of the running statistics; returns the first one's offset."""
        return _note(self._running, tensors)


def lay_out(network: Network) -> tuple[Layout, Parameters]:
    """Walk through a network in order of execution."""
    return _Walk(network).result


class _Walk:
    def __init__(self, network: Network) -> None:
        self.parameters = Parameters()
        self.units: list[list[int]] = []
        self.places: list[tuple[int, int, int]] = []
        self.blocks: list[int] = []
        self.place_end = self.normal_end = 0
        skeleton = network.skeleton
        self.width, self.side = skeleton.width, skeleton.image_size
        self.live = live_ops(network.architecture)
        self.unit(network.stem[0], network.stem[1], self.side)
        self.place(self.width, self.side)
        for stage, cells in enumerate(network.stages):
            if stage:
                self.reduction(network.reductions[stage - 1])
            for cell in cells.children():
                self.cell(cell)
        self.unit(None, network.last[0], self.side)
        self.place(self.width, self.side)
        linear = network.classifier
        offset = self.parameters.trained(linear.weight, linear.bias)
        classifier = [offset, offset + linear.weight.numel(), linear.out_features]
        self.parameters.load()
        tables = (self.units, self.places, self.blocks, self.live, classifier)
        self.result = Layout(*(np.array(t, dtype=np.int64) for t in tables)), self.parameters

    def cell(self, cell: Any) -> None:
        for edge, op in enumerate(self.live):
            if op in (CONV1X1, CONV3X3):
                self.unit(cell.edges[edge][1], cell.edges[edge][2], self.side)
        for _ in range(3):
            self.place(self.width, self.side)
        self.blocks.append(CELL)

    def reduction(self, block: Any) -> None:
        before, half = self.side, self.side // 2
        self.unit(block.conv_a[1], block.conv_a[2], before)
        self.unit(block.conv_b[1], block.conv_b[2], half)
        self.unit(block.shortcut[1], None, half)
        for channels in (2 * self.width, self.width, 2 * self.width):
            self.place(channels, half)
        self.width, self.side = 2 * self.width, half
        self.blocks.append(REDUCTION)

    def place(self, channels: int, side: int) -> None:
        self.places.append((self.place_end, channels, side))
        self.place_end += channels * side * side

    def unit(self, conv: Any, norm: Any, side: int) -> None:
        """A convolution and a batch norm; either may be None."""
        kernel, stride, inputs, outputs, weight = 0, 1, self.width, self.width, -1
        if conv is not None:
            kernel, stride = conv.kernel_size[0], conv.stride[0]
            inputs, outputs, weight = (
                conv.in_channels,
                conv.out_channels,
                self.parameters.trained(conv.weight),
            )
        affine = running = -1
        if norm is not None:
            affine = self.parameters.trained(norm.weight, norm.bias)
            running = self.parameters.moving(norm.running_mean, norm.running_var)
        self.units.append([kernel, stride, inputs, outputs, side, weight, affine, running, self.normal_end])
        self.normal_end += outputs * (side // stride) ** 2


def _note(known: list[Tensor], tensors: tuple[Tensor, ...]) -> int:
    offset = sum(tensor.numel() for tensor in known)
    known += [tensor.detach() for tensor in tensors]
    return offset


def _flat(tensors: list[Tensor]) -> F32:
    flat: F32 = torch.cat([tensor.flatten() for tensor in tensors]).numpy()
    return flat
