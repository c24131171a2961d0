"""A cell and a lone convolution of K networks as differentiable functions over the Triton kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from nb201env.space import EDGES
from training.gpu import kernels, kernels_backward
from training.gpu.codes import EPS, MOMENTUM, Codes, Convs

_BLOCK = 128  # pixels per program
_PIXELS_PER_SPLIT = 4096  # of a weight gradient: enough programs, few partial results
_NODES = 4


def cell(x: Tensor, convs: Convs, codes: Codes) -> Tensor:
    """One cell of every network: node 0, [K, B, H, W, C], to node 3 of the same shape."""
    out: Tensor = _Cell.apply(  # type: ignore[no-untyped-call]
        x, convs.weight, convs.gain, convs.bias, convs, codes
    )
    return out


def conv_norm(
    x: Tensor, convs: Convs, codes: Codes, *, stride: int = 1, relu: bool = True, addend: Tensor | None = None
) -> Tensor:
    """ReLU, 3x3 convolution and batch norm of every network, plus `addend`.

    Args:
        x: [K, B, H, W, I], or [1, B, H, W, I] for images that all networks see, which get no gradient.
        convs: Its weights, those of one edge.
        codes: `Codes.everywhere(K)`.
        stride: 1 or 2.
        relu: Whether there is a ReLU before the convolution.
        addend: Of the output's shape.
    """
    out: Tensor = _ConvNorm.apply(  # type: ignore[no-untyped-call]
        x, convs.weight, convs.gain, convs.bias, addend, convs, codes, stride, relu
    )
    return out


class _Shape(NamedTuple):
    """Sizes of one resolution's launches; `block` is how many pixels a program takes."""

    networks: int
    images: int
    height: int
    width: int
    block: int

    @property
    def pixels(self) -> int:
        return self.images * self.height * self.width

    @property
    def blocks(self) -> int:
        return -(-self.pixels // self.block)

    @property
    def grid(self) -> tuple[int, int]:
        return self.blocks, self.networks


def _shape(x: Tensor, networks: int, channels: int, stride: int = 1) -> _Shape:
    """For the output of `stride` over x, in tiles of up to `channels` channels."""
    height, width = x.shape[2] // stride, x.shape[3] // stride
    pixels = x.shape[1] * height * width
    block = max(16, min(tile_pixels(channels, x.dtype), _power_of_two(pixels)))
    return _Shape(networks, x.shape[1], height, width, block)


def tile_pixels(channels: int, dtype: torch.dtype) -> int:
    """Pixels per program: a tile of 8 KiB, so that nothing spills out of the registers."""
    return min(_BLOCK, 8192 // (lanes(channels) * dtype.itemsize))


def finish_rows(channels: int) -> int:
    """Tiles whose partial sums are added at a time."""
    return 4096 // lanes(channels)


def gradient_tile(inputs: int, outputs: int, dtype: torch.dtype) -> tuple[int, int]:
    """Taps and pixels at a time of a weight gradient: 16,384 sums and 32 KiB of inputs in bf16."""
    taps = max(1, min(16, 32768 // dtype.itemsize // (lanes(inputs) * lanes(outputs))))
    return taps, max(16, 65536 // dtype.itemsize // (taps * lanes(inputs) * dtype.itemsize))


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def lanes(channels: int) -> int:
    """The channels of a tile: a matrix product takes at least 16, and a power of two."""
    return max(16, _power_of_two(channels))


def _convolve(
    x: Tensor, weight: Tensor, y: Tensor, partial: Tensor | None, codes: Codes, edge: int, shape: _Shape,
    stride: int, relu: bool,
) -> None:  # fmt: skip
    ci, co = weight.shape[-2:]
    kernels.convolve[shape.grid](
        x, weight[edge], y, y if partial is None else partial, codes.ops[edge], codes.slots[edge],
        _stride(x), shape.pixels, shape.blocks, shape.height, shape.width, ci, co, lanes(ci), lanes(co),
        stride, relu, partial is not None, shape.block,
    )  # fmt: skip


def _stride(x: Tensor) -> int:
    return 0 if len(x) == 1 else x[0].numel()


def _convolve_into(
    sources: list[Tensor], weight: Tensor, y: Tensor, convs: Convs, codes: Codes, first: int, shape: _Shape,
    norm: Tensor, stride: int = 1, relu: bool = True,
) -> None:  # fmt: skip
    """The convolutions on all edges into one node; while training also their part of `norm`."""
    co, partial = weight.shape[-1], None
    if convs.training:
        partial = norm.new_empty(len(sources), shape.networks, shape.blocks, 2, co)
    for n, source in enumerate(sources):
        place = None if partial is None else partial[n]
        _convolve(source, weight, y, place, codes, first + n, shape, stride, relu)
    if partial is not None:
        kernels.finish_statistics[(shape.networks, len(sources))](
            partial, norm, convs.gain, convs.bias, convs.running_mean, convs.running_var, codes.ops,
            shape.networks, shape.pixels, shape.blocks, EPS, MOMENTUM, co, lanes(co), first, shape.block,
            finish_rows(co),
        )  # fmt: skip


def _new_norm(convs: Convs) -> Tensor:
    """float32 [edges, K, 4, C]: empty while training, from the running statistics otherwise."""
    if convs.training:
        return convs.gain.new_empty(*convs.gain.shape[:2], 4, convs.gain.shape[2])
    inverse = torch.rsqrt(convs.running_var + EPS)
    scale = convs.gain * inverse
    shift = convs.bias - convs.running_mean * scale
    return torch.stack((convs.running_mean, inverse, scale, shift), dim=2)


def _node_sum(
    sources: list[Tensor], y: Tensor, norm: Tensor, codes: Codes, first: int, shape: _Shape
) -> Tensor:
    c = y.shape[-1]
    out = y.new_empty(shape.networks, shape.images, shape.height, shape.width, c)
    padded = sources + [sources[0]] * (3 - len(sources))
    kernels.node_sum[shape.grid](
        out, *padded, y, norm, codes.ops, codes.slots, shape.networks, shape.pixels, shape.height,
        shape.width, c, lanes(c), first, len(sources), shape.block,
    )  # fmt: skip
    return out


class _Backward(NamedTuple):
    """What the backward kernels of one block share."""

    y: Tensor
    norm: Tensor
    weight: Tensor
    codes: Codes
    coefficients: Tensor
    d_gain: Tensor
    d_bias: Tensor

    @classmethod
    def of(cls, y: Tensor, norm: Tensor, weight: Tensor, codes: Codes) -> _Backward:
        edges, networks, _, channels = norm.shape
        zeros = [norm.new_zeros(edges, networks, channels) for _ in range(2)]
        return cls(y, norm, weight, codes, torch.empty_like(norm), *zeros)

    def sums(self, g: Tensor, first: int, count: int, shape: _Shape) -> None:
        """Batch norm's sums on the edges into one node, from the node's gradient."""
        c, edges = g.shape[-1], len(self.norm)
        partial = self.norm.new_empty(edges, shape.networks, shape.blocks, 2, c)
        kernels_backward.norm_sums[shape.grid](
            g, self.y, self.norm, partial, self.codes.ops, self.codes.slots, shape.networks, shape.pixels,
            shape.blocks, c, lanes(c), first, count, shape.block,
        )  # fmt: skip
        kernels_backward.finish_sums[(shape.networks, count)](
            partial, self.norm, self.coefficients, self.d_gain, self.d_bias, self.codes.ops, shape.networks,
            shape.pixels, shape.blocks, c, lanes(c), first, finish_rows(c),
        )  # fmt: skip

    def data(self, x: Tensor, gradients: list[Tensor], edges: list[int], stride: int = 1) -> Tensor:
        """A node's gradient from those of the nodes that its edges lead to."""
        ci, co = self.weight.shape[-2:]
        shape, out = _shape(x, len(x), max(ci, co)), torch.empty_like(x)
        missing = 3 - len(edges)
        kernels_backward.data_gradient[shape.grid](
            out, x, *gradients, *gradients[:1] * missing, self.y, self.coefficients, self.weight,
            self.codes.ops, self.codes.slots, shape.networks, shape.pixels, shape.height, shape.width, ci, co,
            lanes(ci), lanes(co), stride, *edges, *edges[:1] * missing, len(edges), shape.block,
        )  # fmt: skip
        return out

    def weights(
        self, x: Tensor, g: Tensor, edge: int, out: Tensor, stride: int = 1, relu: bool = True
    ) -> None:
        """One edge's kernels' gradients into out[edge]."""
        ci, co = self.weight.shape[-2:]
        shape = _shape(g, len(g), co)
        taps, block = gradient_tile(ci, co, g.dtype)
        block = min(block, max(16, _power_of_two(shape.pixels)))
        splits = max(1, -(-shape.pixels // _PIXELS_PER_SPLIT))
        per_split = -(-shape.pixels // splits)
        partial = out.new_empty(shape.networks, splits, *self.weight.shape[2:])
        kernels_backward.weight_gradient[(-(-9 // taps), splits, shape.networks)](
            x, g, self.y, self.coefficients[edge], partial, self.codes.ops[edge], self.codes.slots[edge],
            _stride(x), shape.pixels, splits, per_split, shape.height, shape.width, ci, co, lanes(ci),
            lanes(co), stride, relu, taps, block, num_warps=8,
        )  # fmt: skip
        torch.sum(partial, dim=1, out=out[edge])


class _Cell(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, gain: Tensor, bias: Tensor, convs: Convs, codes: Codes
    ) -> Tensor:
        x, shape = x.contiguous(), _shape(x, len(x), x.shape[-1])
        weight = weight.to(x.dtype)
        y = x.new_empty(codes.capacity, *x.shape[1:])
        norm, nodes = _new_norm(convs), [x]
        for target in range(1, _NODES):
            first = target * (target - 1) // 2
            _convolve_into(nodes, weight, y, convs, codes, first, shape, norm)
            nodes.append(_node_sum(nodes, y, norm, codes, first, shape))
        ctx.codes = codes
        ctx.save_for_backward(*nodes[:3], y, norm, weight)
        return nodes[3]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *nodes, y, norm, weight = ctx.saved_tensors
        shape = _shape(y, len(nodes[0]), y.shape[-1])
        back = _Backward.of(y, norm, weight, ctx.codes)
        gradients = {3: grads[0].contiguous()}
        for source in (2, 1, 0):
            target = source + 1
            back.sums(gradients[target], target * (target - 1) // 2, target, shape)
            leaving = [(edge, to) for edge, (start, to) in enumerate(EDGES) if start == source]
            gradients[source] = back.data(
                nodes[source], [gradients[to] for _, to in leaving], [edge for edge, _ in leaving]
            )
        d_weight = torch.empty_like(weight, dtype=torch.float32)
        for edge, (source, target) in enumerate(EDGES):
            back.weights(nodes[source], gradients[target], edge, d_weight)
        return gradients[0], d_weight, back.d_gain, back.d_bias, None, None


class _ConvNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, gain: Tensor, bias: Tensor, addend: Tensor | None,
        convs: Convs, codes: Codes, stride: int, relu: bool,
    ) -> Tensor:  # fmt: skip
        x, networks = x.contiguous(), weight.shape[1]
        weight = weight.to(x.dtype)
        shape = _shape(x, networks, max(weight.shape[-2:]), stride)
        y = x.new_empty(networks, shape.images, shape.height, shape.width, weight.shape[-1])
        norm = _new_norm(convs)
        _convolve_into([x], weight, y, convs, codes, 0, shape, norm, stride, relu)
        # The edges of a node with an addend: the convolution, and a skip from the addend.
        sources = [y] if addend is None else [y, addend.contiguous()]
        out = _node_sum(sources, y, norm, codes, 0, shape)
        ctx.codes, ctx.stride, ctx.relu, ctx.adds = codes, stride, relu, addend is not None
        ctx.save_for_backward(x, y, norm, weight)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, y, norm, weight = ctx.saved_tensors
        g = grads[0].contiguous()
        back = _Backward.of(y, norm, weight, ctx.codes)
        back.sums(g, 0, 1, _shape(y, len(y), y.shape[-1]))
        d_x = back.data(x, [g], [0], ctx.stride) if ctx.needs_input_grad[0] else None
        d_weight = torch.empty_like(weight, dtype=torch.float32)
        back.weights(x, g, 0, d_weight, ctx.stride, ctx.relu)
        nothing = (None,) * 4
        return d_x, d_weight, back.d_gain, back.d_bias, g if ctx.adds else None, *nothing
