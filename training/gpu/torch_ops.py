"""The same functions as `nb201env.training.gpu.functions` in plain PyTorch: the reference, and the fallback.

Here too the architecture is data: a list of members per edge and op, padded to a fixed length so
that a captured program serves other architectures. Padding computes network 0 once more and
counts for nothing. Costs memory traffic (a 3x3 convolution writes its nine shifted inputs out),
but needs no compiler and runs on any device.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nb201env.space import CONV1X1, CONV3X3, EDGES, POOL
from nb201env.training.gpu.codes import COMPUTED, EPS, MOMENTUM, Codes, Convs, Members
from nb201env.training.network import make_op

_SPLIT = 4096
_POOL = make_op(POOL, 0)


def cell(x: Tensor, convs: Convs, codes: Codes) -> Tensor:
    """One cell of every network: node 0, [K, B, H, W, C], to node 3 of the same shape."""
    nodes: list[Tensor | None] = [x, None, None, None]
    for edge, (source, target) in enumerate(EDGES):
        for op in COMPUTED:
            members = codes.members.get((edge, op))
            if members is None:
                continue
            value = nodes[source]
            if value is None:
                value = nodes[source] = torch.zeros_like(x)
            term = _term(value.index_select(0, members.networks), op, convs, edge, members)
            before = nodes[target]
            node = torch.zeros_like(x) if before is None else before
            real = members.real.to(x.dtype)
            nodes[target] = node.index_add(0, members.networks, term.to(x.dtype) * real)
    return torch.zeros_like(x) if nodes[3] is None else nodes[3]


def _term(x: Tensor, op: int, convs: Convs, edge: int, members: Members) -> Tensor:
    if op == POOL:
        return pool(x)
    if op not in (CONV1X1, CONV3X3):
        return x
    weight = convs.weight[edge].index_select(0, members.networks).to(x.dtype)
    y = product(x.relu(), weight[:, 4]) if op == CONV1X1 else convolve(x.relu(), weight)
    return _normalise(y, convs, edge, members)


def conv_norm(
    x: Tensor, convs: Convs, codes: Codes, *, stride: int = 1, relu: bool = True, addend: Tensor | None = None
) -> Tensor:
    """As `nb201env.training.gpu.functions.conv_norm`."""
    del codes
    if len(x) == 1:
        x = x.expand(convs.weight.shape[1], *x.shape[1:])
    y = convolve(x.relu() if relu else x, convs.weight[0].to(x.dtype), stride)
    out = _normalise(y, convs, 0, None)
    return out if addend is None else out + addend


def _normalise(y: Tensor, convs: Convs, edge: int, members: Members | None) -> Tensor:
    """Batch norm of the members of an edge; None: of all networks."""
    gain, bias, means, variances = (
        t[edge] for t in (convs.gain, convs.bias, convs.running_mean, convs.running_var)
    )
    return normalise(y, gain, bias, means, variances, convs.training, members)


def normalise(
    y: Tensor, gain: Tensor, bias: Tensor, means: Tensor, variances: Tensor, training: bool,
    members: Members | None = None,
) -> Tensor:  # fmt: skip
    """Batch norm that moves its running statistics while training.

    Args:
        y: [n, B, H, W, C].
        gain, bias, means, variances: [K, C].
        training: Whether the batch's statistics count, or the running ones.
        members: Whose outputs y holds; None: all K networks'.
    """
    if members is not None:
        gain, bias = gain.index_select(0, members.networks), bias.index_select(0, members.networks)
    if not training:
        chosen = slice(None) if members is None else members.networks
        return batch_norm(y, gain, bias, means[chosen], variances[chosen])
    with torch.no_grad():
        found = torch.var_mean(y.detach().flatten(1, 3).float(), dim=1)
        for running, new in zip((variances, means), found, strict=True):
            if members is None:
                running.lerp_(new, MOMENTUM)
            else:
                change = (new - running[members.networks]) * MOMENTUM * members.real.view(-1, 1)
                running.index_add_(0, members.networks, change)
    return batch_norm(y, gain, bias)


def batch_norm(
    y: Tensor, gain: Tensor, bias: Tensor, mean: Tensor | None = None, var: Tensor | None = None
) -> Tensor:
    """Batch norm of [n, B, H, W, C] with gain and bias [n, C], by the batch's or given statistics."""
    value = y.flatten(1, 3).float()
    if mean is None or var is None:
        var, mean = torch.var_mean(value, dim=1, correction=0)
    scale = gain * torch.rsqrt(var + EPS)
    return ((value - mean[:, None]) * scale[:, None] + bias[:, None]).to(y.dtype).view_as(y)


def pool(x: Tensor) -> Tensor:
    """Mean of the 3x3 neighbours inside the image; [n, B, H, W, C]."""
    flat = x.flatten(0, 1).permute(0, 3, 1, 2)
    pooled: Tensor = _POOL(flat)
    return pooled.permute(0, 2, 3, 1).reshape(x.shape)


def halve(x: Tensor) -> Tensor:
    """Mean over 2x2 blocks: [n, B, H, W, C] to [n, B, H/2, W/2, C]."""
    n, b, h, w, c = x.shape
    return x.view(n, b, h // 2, 2, w // 2, 2, c).mean(dim=(3, 5))


def product(x: Tensor, weight: Tensor) -> Tensor:
    """Every pixel's channels times its network's matrix: [n, …, I] and [n, I, O] to [n, …, O]."""
    out: Tensor = _Product.apply(x.flatten(1, -2), weight)  # type: ignore[no-untyped-call]
    return out.view(*x.shape[:-1], weight.shape[-1])


def convolve(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    """3x3 convolutions, zero padding: [n, B, H, W, I] and [n, 9, I, O] to [n, B, H/stride, W/stride, O]."""
    columns: Tensor = _Columns.apply(x, stride)  # type: ignore[no-untyped-call]
    return product(columns, weight.flatten(1, 2))


class _Product(torch.autograd.Function):
    """A batched product whose weight gradient is cut into many: one alone leaves a GPU idle."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.bmm(x, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor]:
        x, weight = ctx.saved_tensors
        d_x = torch.bmm(grads[0], weight.mT) if ctx.needs_input_grad[0] else None
        n, rows, inputs = x.shape
        splits = rows // _SPLIT if rows % _SPLIT == 0 and rows else 1
        parts = torch.bmm(
            x.reshape(n * splits, rows // splits, inputs).mT,
            grads[0].reshape(n * splits, rows // splits, -1),
        )
        d_weight = parts.view(n, splits, *parts.shape[1:]).sum(dim=1, dtype=torch.float32)
        return d_x, d_weight.to(weight.dtype)


class _Columns(torch.autograd.Function):
    """Each output pixel's nine inputs side by side: [n, B, H, W, I] to [n, B, H/s, W/s, 9 * I]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stride: int) -> Tensor:
        ctx.shape, ctx.stride = x.shape, stride
        padded = functional.pad(x, (0, 0, 1, 1, 1, 1))
        return torch.cat([padded[tap] for tap in _taps(x.shape, stride)], dim=-1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None]:
        if not ctx.needs_input_grad[0]:
            return None, None
        n, b, h, w, c = ctx.shape
        out = grads[0].new_zeros(n, b, h + 2, w + 2, c)
        for tap, grad in zip(_taps(ctx.shape, ctx.stride), torch.split(grads[0], c, dim=-1), strict=True):
            out[tap] += grad
        return out[:, :, 1:-1, 1:-1], None


def _taps(shape: torch.Size, stride: int) -> list[tuple[slice, ...]]:
    """Where, in the padded image, each of the nine taps reads."""
    h, w = shape[2:4]
    whole = slice(None)
    return [
        (whole, whole, slice(row, row + h, stride), slice(column, column + w, stride))
        for row in range(3)
        for column in range(3)
    ]
