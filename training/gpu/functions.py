"""A cell and a lone convolution of K networks as differentiable functions over the Triton kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nb201env.space import EDGES
from nb201env.training.gpu.codes import Codes, Convs
from nb201env.training.gpu.passes import Backward, Shape, convolve_into, new_norm, node_sum, rectify
from nb201env.training.gpu.variants import settle_keys

_NODES = 4
settle_keys()  # before the first launch: else kernels that were compiled ahead may not be found


def cell(x: Tensor, convs: Convs, codes: Codes) -> Tensor:
    """One cell of every network: node 0, [K, B, H, W, C], to node 3 of the same shape.

    Its graph can be run backward once: the gradients take the place of what it saved.

    Raises:
        RuntimeError: In a second backward pass.
    """
    out: Tensor = _Cell.apply(  # type: ignore[no-untyped-call]
        x, convs.weight, convs.gain, convs.bias, convs, codes
    )
    return out


def conv_norm(
    x: Tensor, convs: Convs, codes: Codes, *, stride: int = 1, relu: bool = True, addend: Tensor | None = None
) -> Tensor:
    """ReLU, 3x3 convolution and batch norm of every network, plus `addend`.

    Its graph can be run backward once, as that of `cell`.

    Args:
        x: [K, B, H, W, I], or [1, B, H, W, I] for images that all networks see, which get no gradient.
        convs: Its weights, those of one edge.
        codes: `Codes.everywhere(K)`.
        stride: 1 or 2, which takes even sides.
        relu: Whether there is a ReLU before the convolution.
        addend: Of the output's shape.

    Raises:
        ValueError: If the sides are odd and the stride is 2, or a gradient of shared images is asked for.
        RuntimeError: In a second backward pass.
    """
    networks, sides = convs.weight.shape[1], x.shape[2:4]
    if stride == 2 and (sides[0] % 2 or sides[1] % 2):
        raise ValueError(f"stride 2 takes images of even sides; got {sides[0]} x {sides[1]}")
    if x.requires_grad and len(x) != networks:
        raise ValueError(
            f"x is one batch for {networks} networks and has no gradient of its own; detach it, or expand it"
        )
    out: Tensor = _ConvNorm.apply(  # type: ignore[no-untyped-call]
        x, convs.weight, convs.gain, convs.bias, addend, convs, codes, stride, relu
    )
    return out


class _Cell(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, gain: Tensor, bias: Tensor, convs: Convs, codes: Codes
    ) -> Tensor:
        x, weight = x.contiguous(), weight.to(x.dtype)
        shape = Shape.of(x, len(x), x.shape[-1])
        y = x.new_empty(codes.capacity, *x.shape[1:])
        norm, raw, rectified = new_norm(convs), [x], [rectify(x, codes, _NODES)]
        for node in range(1, _NODES):
            first = node * (node - 1) // 2
            convolve_into(rectified, weight, y, convs, codes, first, shape, norm)
            for nodes, new in zip(
                (raw, rectified), node_sum(raw, y, norm, codes, node, _NODES, shape), strict=True
            ):
                nodes.append(new)
        ctx.codes, ctx.spent = codes, False
        # Skips and poolings are linear: only what convolutions read is needed again.
        ctx.save_for_backward(*rectified[:3], y, norm, weight)
        return raw[3]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        _spend(ctx)
        *nodes, y, norm, weight = ctx.saved_tensors
        back = Backward.of(y, norm, weight, ctx.codes, _NODES)
        gradients = [grads[0].contiguous()]  # of the nodes after the present one
        for source in (2, 1, 0):
            back.outputs(gradients[0], source + 1, source + 1)
            gradients.insert(0, back.data(nodes[source], source, gradients))
        d_weight = back.weights([nodes[source] for source, _ in EDGES])
        return gradients[0], d_weight, back.d_gain, back.d_bias, None, None


class _ConvNorm(torch.autograd.Function):
    """A cell of two nodes: edge 0 is the convolution, edge 1 a skip from the addend."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, gain: Tensor, bias: Tensor, addend: Tensor | None,
        convs: Convs, codes: Codes, stride: int, relu: bool,
    ) -> Tensor:  # fmt: skip
        x, networks, weight = x.contiguous(), weight.shape[1], weight.to(x.dtype)
        if relu:
            x = rectify(x, codes, 2)
        shape = Shape.of(x, networks, max(weight.shape[-2:]), stride)
        y = x.new_empty(networks, shape.images, shape.height, shape.width, weight.shape[-1])
        norm = new_norm(convs)
        convolve_into([x], weight, y, convs, codes, 0, shape, norm, stride)
        sources = [y] if addend is None else [y, addend.contiguous()]
        shape = Shape.of(y, networks, weight.shape[-1])
        out, _ = node_sum(sources, y, norm, codes, 1, 2, shape)
        ctx.codes, ctx.stride, ctx.relu, ctx.adds, ctx.spent = codes, stride, relu, addend is not None, False
        ctx.save_for_backward(x, y, norm, weight)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        _spend(ctx)
        x, y, norm, weight = ctx.saved_tensors
        g = grads[0].contiguous()
        back = Backward.of(y, norm, weight, ctx.codes, 2)
        back.outputs(g, 1, 1)
        d_x = back.data(x, 0, [g], ctx.stride, ctx.relu) if ctx.needs_input_grad[0] else None
        d_weight = back.weights([x], ctx.stride)
        nothing = (None,) * 4
        return d_x, d_weight, back.d_gain, back.d_bias, g if ctx.adds else None, *nothing


def _spend(ctx: Any) -> None:
    """The backward pass overwrites the raw outputs: a second one would find gradients in their place."""
    if ctx.spent:
        raise RuntimeError(
            "this part of a stacked network has been run backward already, which overwrote what it saved; "
            "run the forward pass again (retain_graph=True is of no use here)"
        )
    ctx.spent = True
