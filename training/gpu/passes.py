"""The passes of a cell over the GPU's memory: which kernel is started with which sizes.

`nb201env.training.gpu.functions` puts them in order; `nb201env.training.gpu.kernels` says what they compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nb201env.training.gpu import kernels, kernels_backward
from nb201env.training.gpu.codes import EPS, MOMENTUM, Codes, Convs

_TILE = 16_384  # bytes of a tile that goes through the matrix units: what the registers bear
_COPIED = 8_192  # bytes of a tile that is added up or copied
_PIXELS = 256  # most pixels of a tile
_ELEMENTS = 4_096  # of a tile without a shape
_PIXELS_PER_SPLIT = 4_096  # of a weight gradient: enough programs, few partial results
_SUMS = {2: 12_288, 4: 0}  # most of a weight gradient's program with several windows, by bytes of a number
_SEEN = 64  # most pixels of a weight gradient's tile


class Shape(NamedTuple):
    """Sizes of one resolution's launches.

    Attributes:
        networks: How many.
        images: Of the batch.
        height, width: Of an image, in pixels.
        channels: Of a tile; the more of input and output.
        dtype: Of activations.
    """

    networks: int
    images: int
    height: int
    width: int
    channels: int
    dtype: torch.dtype

    @classmethod
    def of(cls, x: Tensor, networks: int, channels: int, stride: int = 1) -> Shape:
        """That of the output of `stride` over x, [networks, images, height, width, channels]."""
        return cls(networks, x.shape[1], x.shape[2] // stride, x.shape[3] // stride, channels, x.dtype)

    @property
    def pixels(self) -> int:
        """Of the batch."""
        return self.images * self.height * self.width

    def block(self, size: int) -> int:
        """Pixels of a tile of at most so many bytes."""
        row = lanes(self.channels) * self.dtype.itemsize
        return max(16, min(_PIXELS, size // row, _power_of_two(self.pixels)))

    def grid(self, block: int) -> tuple[int, int]:
        """Programs: tiles of so many pixels, and networks."""
        return -(-self.pixels // block), self.networks


class Windows(NamedTuple):
    """How a weight gradient's program sees its input; see `kernels_backward.weight_gradient`.

    Attributes:
        taps: Side by side in a window.
        windows: Of a program.
        groups: Programs that share the nine taps.
        block: Pixels of a tile.
    """

    taps: int
    windows: int
    groups: int
    block: int

    @classmethod
    def of(cls, inputs: int, outputs: int, pixels: int, dtype: torch.dtype) -> Windows:
        """For this many channels, and tiles of no more pixels than there are."""
        taps = 4 if lanes(inputs) < 64 else 1
        # Of 12,288 sums each of a program's 128 threads has 96 in its registers; in single precision there
        # are no matrix units, and the operands are in registers as well.
        several = 3 * taps * lanes(inputs) * lanes(outputs) <= _SUMS[dtype.itemsize]
        windows = 3 if several else 1
        groups = (3 if taps > 1 else 9) // windows
        # Images of three channels are not read in pieces of 16 bytes, but number by number.
        most = _SEEN if dtype.itemsize == 2 and inputs % 8 == 0 else _SEEN // 4
        return cls(taps, windows, groups, max(16, min(most, _power_of_two(pixels))))


def lanes(channels: int) -> int:
    """The channels of a tile: a matrix product takes at least 16, and a power of two."""
    return max(16, _power_of_two(channels))


def finish_rows(channels: int) -> int:
    """Tiles whose partial sums are added at a time."""
    return 4096 // lanes(channels)


def rectify(x: Tensor, codes: Codes, nodes: int) -> Tensor:
    """Node 0 after its ReLU, for the networks in which a convolution leaves it."""
    out, size = torch.empty_like(x), x[0].numel()
    block = min(_ELEMENTS, max(16, _power_of_two(size)))
    kernels.rectify[(-(-size // block), len(x))](
        x, out, codes.ops, 0, nodes, codes.ops.shape[1], size, block
    )  # fmt: skip
    return out


def convolve_into(
    sources: Sequence[Tensor], weight: Tensor, y: Tensor, convs: Convs, codes: Codes, first: int,
    shape: Shape, norm: Tensor, stride: int = 1,
) -> None:  # fmt: skip
    """The convolutions on all edges into one node; while training also their part of `norm`."""
    ci, co = weight.shape[-2:]
    block, partial = shape.block(_TILE), norm
    grid = shape.grid(block)
    if convs.training:
        partial = norm.new_empty(len(sources), shape.networks, grid[0], 2, co)
    for n, source in enumerate(sources):
        kernels.convolve[grid](
            source, weight[first + n], y, partial[n], codes.ops, codes.slots, first + n, shape.networks,
            int(len(source) > 1), shape.pixels, grid[0], int(convs.training), shape.height, shape.width,
            ci, co, lanes(ci), lanes(co), stride, block,
        )  # fmt: skip
    if convs.training:
        kernels.finish_statistics[(shape.networks, len(sources))](
            partial, norm, convs.gain, convs.bias, convs.running_mean, convs.running_var, codes.ops, first,
            shape.networks, shape.pixels, grid[0], EPS, MOMENTUM, co, lanes(co), block, finish_rows(co),
        )  # fmt: skip


def new_norm(convs: Convs) -> Tensor:
    """float32 [edges, K, 4, C]: empty while training, from the running statistics otherwise."""
    if convs.training:
        return convs.gain.new_empty(*convs.gain.shape[:2], 4, convs.gain.shape[2])
    inverse = torch.rsqrt(convs.running_var + EPS)
    scale = convs.gain * inverse
    shift = convs.bias - convs.running_mean * scale
    return torch.stack((convs.running_mean, inverse, scale, shift), dim=2)


def node_sum(
    sources: Sequence[Tensor], y: Tensor, norm: Tensor, codes: Codes, node: int, nodes: int, shape: Shape
) -> tuple[Tensor, Tensor]:
    """A node as the sum of the edges from its sources: as it is, and after its ReLU.

    What no edge needs is not written; the last node is not rectified, and both are the same tensor.
    """
    c, block = y.shape[-1], shape.block(_COPIED)
    raw = y.new_empty(shape.networks, shape.images, shape.height, shape.width, c)
    rectified = raw if node == nodes - 1 else torch.empty_like(raw)
    padded = [*sources, *[sources[0]] * (3 - len(sources))]
    kernels.node_sum[shape.grid(block)](
        raw, rectified, *padded, y, norm, codes.ops, codes.slots, node * (node - 1) // 2, len(sources), node,
        nodes, shape.networks, shape.pixels, shape.height, shape.width, c, lanes(c), block,
    )  # fmt: skip
    return raw, rectified


class Backward(NamedTuple):
    """What the backward kernels of one cell share.

    Attributes:
        y: The raw outputs, which `outputs` replaces by their gradients.
        norm: What `convolve_into` made.
        weight: As in the forward pass.
        codes: The architectures.
        nodes: Of the cell.
        d_gain, d_bias: What `outputs` finds; zero where there is no convolution.
    """

    y: Tensor
    norm: Tensor
    weight: Tensor
    codes: Codes
    nodes: int
    d_gain: Tensor
    d_bias: Tensor

    @classmethod
    def of(cls, y: Tensor, norm: Tensor, weight: Tensor, codes: Codes, nodes: int) -> Backward:
        """From what a forward pass saved."""
        edges, networks, _, channels = norm.shape
        zeros = [norm.new_zeros(edges, networks, channels) for _ in range(2)]
        return cls(y, norm, weight, codes, nodes, *zeros)

    def outputs(self, g: Tensor, node: int, count: int) -> None:
        """The gradients of the raw outputs on the `count` edges into a node, from the node's gradient."""
        shape, c = Shape.of(g, len(g), g.shape[-1]), g.shape[-1]
        edges, first, block = len(self.norm), node * (node - 1) // 2, shape.block(_COPIED)
        grid = shape.grid(block)
        partial = self.norm.new_empty(edges, shape.networks, grid[0], 2, c)
        coefficients = self.norm.new_empty(edges, shape.networks, 3, c)
        kernels_backward.norm_sums[grid](
            g, self.y, self.norm, partial, self.codes.ops, self.codes.slots, first, count, shape.networks,
            shape.pixels, grid[0], c, lanes(c), block,
        )  # fmt: skip
        kernels_backward.finish_sums[(shape.networks, count)](
            partial, self.norm, coefficients, self.d_gain, self.d_bias, self.codes.ops, first,
            shape.networks, shape.pixels, grid[0], c, lanes(c), finish_rows(c),
        )  # fmt: skip
        kernels_backward.output_gradient[grid](
            g, self.y, self.norm, coefficients, self.codes.ops, self.codes.slots, first, count,
            shape.networks, shape.pixels, c, lanes(c), block,
        )  # fmt: skip

    def data(
        self, x: Tensor, node: int, gradients: Sequence[Tensor], stride: int = 1, relu: bool = True
    ) -> Tensor:
        """A node's gradient from those of the nodes after it; x: the node after its ReLU, if it has one."""
        ci, co = self.weight.shape[-2:]
        shape, out = Shape.of(x, len(x), max(ci, co)), torch.empty_like(x)
        block = shape.block(_TILE)
        padded = [*gradients, *[gradients[0]] * (3 - len(gradients))]
        kernels_backward.data_gradient[shape.grid(block)](
            out, x, *padded, self.y, self.weight, self.codes.ops, self.codes.slots, node, self.nodes,
            shape.networks, shape.pixels, int(relu), shape.height, shape.width, ci, co, lanes(ci), lanes(co),
            stride, block,
        )  # fmt: skip
        return out

    def weights(self, nodes: Sequence[Tensor], stride: int = 1) -> Tensor:
        """The gradients of all kernels; nodes: each edge's source, after its ReLU if it has one."""
        ci, co = self.weight.shape[-2:]
        shape = Shape.of(self.y, self.weight.shape[1], co)
        windows = Windows.of(ci, co, shape.pixels, self.y.dtype)
        tiles = -(-shape.pixels // windows.block)
        splits = -(-shape.pixels // _PIXELS_PER_SPLIT)
        partial = self.norm.new_empty(len(nodes), shape.networks, splits, 9, ci * co)
        for edge, x in enumerate(nodes):
            kernels_backward.weight_gradient[(windows.groups, splits, shape.networks)](
                x, self.y, partial[edge], self.codes.ops, self.codes.slots, edge, shape.networks,
                int(len(x) > 1), shape.pixels, splits, -(-tiles // splits), shape.height, shape.width,
                ci, co, lanes(ci), lanes(co), stride, *windows,
            )  # fmt: skip
        out = torch.empty_like(self.weight, dtype=torch.float32)
        block = min(1024, _power_of_two(9 * ci * co))
        kernels_backward.finish_weights[(-(-9 * ci * co // block), shape.networks, len(nodes))](
            partial, out, self.codes.ops, shape.networks, splits, ci * co, block
        )  # fmt: skip
        return out


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()
