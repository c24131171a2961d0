"""The plain network, rounding where a stacked program stores its activations.

The reference is float32. A program in bfloat16 differs from it in two ways: its numbers are a little
off, which is small, and where a node lies near zero its sign may be another, which is not: the ReLU
then passes a gradient that the reference stops, and a few such pixels in a thousand put a whole
gradient off by a tenth. So the reference rounds as well, at the very places where a program writes to
memory: it then has the same signs, and what differs is what rounding does to the gradients, less than
a hundredth. Between those places it is PyTorch's own module in float32, as in `nb201env.training.network`;
gradients pass the rounding unchanged.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nb201env.space import EDGES, NONE
from nb201env.training.network import Cell, Network, ResidualBlock


class _Stored(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
        return x.to(dtype).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


def stored(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x as it comes back from memory in this type; its gradient is not touched."""
    out: Tensor = _Stored.apply(x, dtype)  # type: ignore[no-untyped-call]
    return out


def round_where_stored(module: nn.Module, dtype: torch.dtype, terms: bool = False) -> None:
    """Change plain modules so that they round where a stacked program stores.

    Those are the weights in products, the raw outputs of convolutions, the nodes of a cell, what
    stem and residual blocks give, and the last batch norm's output.

    Args:
        module: A `Network` or any part of one, float32; changed in place.
        dtype: Of the program's activations; float32 changes nothing.
        terms: Whether each edge's output is stored too, and each sum of two, as without Triton's
            kernels.
    """
    if dtype == torch.float32:
        return
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.forward = partial(_convolve, part, dtype)  # type: ignore[method-assign]
        elif isinstance(part, Cell):
            for edge in part.edges:
                edge.register_forward_pre_hook(partial(_inputs, dtype))
                if terms:
                    store_output(edge, dtype)
            if terms:
                part.forward = partial(_cell, part, dtype)  # type: ignore[method-assign]
            store_output(part, dtype)
        elif isinstance(part, ResidualBlock):
            for output in (part.conv_a, part.shortcut[0], part, *([part.conv_b] if terms else [])):
                store_output(output, dtype)
        elif isinstance(part, Network):
            part.register_forward_pre_hook(partial(_inputs, dtype))
            store_output(part.stem, dtype)
            store_output(part.last[0], dtype)


def _convolve(conv: nn.Conv2d, dtype: torch.dtype, x: Tensor) -> Tensor:
    weight = stored(conv.weight, dtype)
    return stored(functional.conv2d(x, weight, None, conv.stride, conv.padding), dtype)


def _cell(cell: Cell, dtype: torch.dtype, x: Tensor) -> Tensor:
    """A cell whose nodes are stored after each term."""
    nodes: list[Tensor | None] = [x, None, None, None]
    for edge, (source, target) in enumerate(EDGES):
        if cell.live[edge] != NONE:
            value, before = nodes[source], nodes[target]
            term: Tensor = cell.edges[edge](torch.zeros_like(x) if value is None else value)
            nodes[target] = term if before is None else stored(before + term, dtype)
    return torch.zeros_like(x) if nodes[3] is None else nodes[3]


def _inputs(dtype: torch.dtype, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(stored(x, dtype) for x in inputs)


def store_output(module: nn.Module, dtype: torch.dtype) -> None:
    """Round what a module gives as if it were stored in this type."""
    module.register_forward_hook(lambda _, __, output: stored(output, dtype))
