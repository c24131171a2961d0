"""Many architectures trained at once on a CPU: the same results as the plain path, to rounding.

The networks of a small task are so small that PyTorch's cost per call outweighs the arithmetic.
Here K networks that share seed, batches and skeleton run as one program: weights and activations
get a leading axis of length K, and the op of an edge is data (for every op, which of the K
networks have it there). `training.network` stays the definition: the weights are taken from K
plain networks, and `tests/training` holds this engine to the plain one.

Activations are [K, C, W, H, B], batch innermost, for two reasons. A 3x3 convolution becomes one
batched matrix product per layer: rows y-1, y, y+1 are stacked, and along x the kernel is spread
into a band matrix of (C_out W) x (3 C_in W). Since W halves when C doubles, it is 32 x 96 at all
three stages for images of 8 pixels and width 4: wasteful in arithmetic by W/3, but matrix
products run near the machine's peak while convolutions of four channels do not. And everything
else (batch norm, pooling, sums) walks through long contiguous rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from nb201env.space import CONV1X1, CONV3X3, EDGES, POOL, SKIP, Architecture
from training.data import Data
from training.loop import Logs, fit, skeleton_for
from training.network import STAGES, Network, initial_network, live_ops
from training.recipe import Recipe


def train_fused(
    architectures: Sequence[Architecture], data: Data, recipe: Recipe, seed: int
) -> tuple[Logs, list[Network]]:
    """Train all these architectures at once; like `training.loop.train_plain`, to rounding.

    Raises:
        DivergedTraining: If a loss stops being a finite number.
    """
    skeleton = skeleton_for(data, recipe)
    networks = [initial_network(architecture, skeleton, seed) for architecture in architectures]
    model = ManyNetworks(networks)
    logs = fit(model, architectures, data, recipe, seed)
    return logs, model.store()


@lru_cache(maxsize=64)
def band(side: int, stride: int) -> Tensor:
    """Which input column a kernel column reads at each output column; 0/1 [3, side/stride, side]."""
    out = torch.arange(side // stride)[:, None]
    return torch.stack([(torch.arange(side) == stride * out + d).float() for d in (-1, 0, 1)])


def row_matrix(weight: Tensor, side: int, stride: int) -> Tensor:
    """Kernels [K, O, I, 3, 3] (rows, columns) as band matrices [K, O * side/stride, 3 * I * side]."""
    k, o, i = weight.shape[:3]
    spread = weight @ band(side, stride).view(3, -1)
    spread = spread.view(k, o, i, 3, side // stride, side).permute(0, 1, 4, 3, 2, 5)
    return spread.reshape(k, o * (side // stride), 3 * i * side)


class _Rows(torch.autograd.Function):
    """x [K, C, W, H, B] to three stacked rows [K, 3 * C * W, H/stride * B], zero outside."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stride: int) -> Tensor:
        k, c, w, h, b = x.shape
        ctx.shape, ctx.stride = x.shape, stride
        out = x.new_zeros(k, 3, c, w, h // stride, b)
        for row, (target, source) in enumerate(_row_slices(h, stride)):
            out[:, row, :, :, target] = x[:, :, :, source]
        return out.view(k, 3 * c * w, -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        k, c, w, h, b = ctx.shape
        grad = grads[0].view(k, 3, c, w, h // ctx.stride, b)
        out = grad.new_zeros(ctx.shape)
        for row, (target, source) in enumerate(_row_slices(h, ctx.stride)):
            out[:, :, :, source] += grad[:, row, :, :, target]
        return out, None


def _row_slices(h: int, stride: int) -> list[tuple[slice, slice]]:
    """For the kernel's three rows: output rows that have an input row, and that input row."""
    return [
        (slice(1, None), slice(stride - 1, h - 1, stride)),
        (slice(None), slice(0, h, stride)),
        (slice(0, h - 1) if stride == 1 else slice(None), slice(1, h, stride)),
    ]


def convolve(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    """K convolutions, one for each network, zero padding to the same size.

    Args:
        x: [K, I, W, H, B].
        weight: [K, O, I, 1, 1] or [K, O, I, 3, 3].
        stride: 1 or 2.

    Returns:
        [K, O, W/stride, H/stride, B].
    """
    k, _, w, h, b = x.shape
    outputs = weight.shape[1]
    if weight.shape[-1] == 1:
        return torch.bmm(weight.flatten(2), x.flatten(2)).view(k, outputs, w, h, b)
    rows: Tensor = _Rows.apply(x, stride)  # type: ignore[no-untyped-call]
    out = torch.bmm(row_matrix(weight, w, stride), rows)
    return out.view(k, outputs, w // stride, h // stride, b)


class _BatchNorm(torch.autograd.Function):
    """Batch norm with the batch's statistics over the last axis of [K, C, N]; eps as in PyTorch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean = x.mean(-1, keepdim=True)
        centred = x - mean
        var = (centred * centred).mean(-1, keepdim=True)
        scale = torch.rsqrt(var + eps)
        normal = centred.mul_(scale)
        ctx.save_for_backward(normal, scale, gain)
        ctx.mark_non_differentiable(mean, var)
        return torch.addcmul(bias[..., None], normal, gain[..., None]), mean.squeeze(-1), var.squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        normal, scale, gain = ctx.saved_tensors
        grad = grads[0]
        d_bias = grad.sum(-1, keepdim=True)
        d_gain = (grad * normal).sum(-1, keepdim=True)
        n = grad.shape[-1]
        dx = torch.addcmul(grad, normal, d_gain / -n).sub_(d_bias / n).mul_(scale * gain[..., None])
        return dx, d_gain.squeeze(-1), d_bias.squeeze(-1), None


class _BoxMean(torch.autograd.Function):
    """Mean of the 3x3 neighbours inside the image, [..., W, H, B]: the official average pooling."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.inverse = _inverse_counts(x.shape[-3], x.shape[-2])
        return _box_sum(x).mul_(ctx.inverse)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return _box_sum(grads[0] * ctx.inverse)


def _box_sum(x: Tensor) -> Tensor:
    across = x.clone()
    across[..., 1:, :, :] += x[..., :-1, :, :]
    across[..., :-1, :, :] += x[..., 1:, :, :]
    out = across.clone()
    out[..., 1:, :] += across[..., :-1, :]
    out[..., :-1, :] += across[..., 1:, :]
    return out


@lru_cache(maxsize=16)
def _inverse_counts(w: int, h: int) -> Tensor:
    return 1 / _box_sum(torch.ones(w, h, 1))


def halve(x: Tensor) -> Tensor:
    """Mean over 2x2 blocks: [K, C, W, H, B] to [K, C, W/2, H/2, B]."""
    k, c, w, h, b = x.shape
    return x.view(k, c, w // 2, 2, h // 2, 2, b).mean(dim=(3, 5))


class _Stacked(nn.Module):
    """A module that stacks tensors of k plain modules and can put them back (`store`)."""

    def __init__(self) -> None:
        super().__init__()
        self._origins: dict[str, list[Tensor]] = {}

    def _stack(self, name: str, tensors: Sequence[Tensor]) -> None:
        origins = [tensor.detach() for tensor in tensors]
        self._origins[name] = origins
        stacked = torch.stack(origins)
        if isinstance(tensors[0], nn.Parameter):
            self.register_parameter(name, nn.Parameter(stacked))
        else:
            self.register_buffer(name, stacked)

    def store_here(self) -> None:
        """Copy the stacked tensors back to where they came from."""
        for name, origins in self._origins.items():
            for origin, value in zip(origins, getattr(self, name).detach(), strict=True):
                origin.copy_(value)


class ManyNorms(_Stacked):
    """The batch norms that k networks have at one place."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norms: Sequence[nn.BatchNorm2d]) -> None:
        super().__init__()
        self.eps, self.momentum = norms[0].eps, norms[0].momentum or 0.0
        for name in ("weight", "bias", "running_mean", "running_var"):
            self._stack(name, [getattr(norm, name) for norm in norms])

    def forward(self, x: Tensor) -> Tensor:
        """[k, C, W, H, B] to the same shape."""
        flat = x.flatten(2)
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            shift = self.bias - self.running_mean * scale
            return torch.addcmul(shift[..., None], flat, scale[..., None]).view_as(x)
        out, mean, var = _BatchNorm.apply(flat, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        n = flat.shape[-1]
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (n / (n - 1)), self.momentum)
        normed: Tensor = out.view_as(x)
        return normed


class ManyConvs(_Stacked):
    """The convolutions with batch norm (and the ReLU before them) that k networks have at one place."""

    weight: Tensor

    def __init__(self, convs: Sequence[nn.Conv2d], norms: Sequence[nn.BatchNorm2d]) -> None:
        super().__init__()
        self.stride = int(convs[0].stride[0])
        self._stack("weight", [conv.weight for conv in convs])
        self.norm = ManyNorms(norms)

    @classmethod
    def of(cls, blocks: Sequence[Any]) -> ManyConvs:
        """From k official convolution ops (ReLU, convolution, batch norm)."""
        return cls([b[1] for b in blocks], [b[2] for b in blocks])

    def forward(self, positive: Tensor) -> Tensor:
        """Inputs after their ReLU, [k, I, W, H, B], to [k, O, W/stride, H/stride, B]."""
        out: Tensor = self.norm(convolve(positive, self.weight, self.stride))
        return out


class ManyCells(nn.Module):
    """One cell of every network, in one place of the skeleton.

    For each edge it holds, per op, which networks have that op there (`members`).
    """

    def __init__(self, cells: Sequence[nn.Module], live: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        self.count = len(cells)
        self.members: list[dict[int, list[int]]] = []
        self.convs = nn.ModuleDict()
        for edge in range(len(EDGES)):
            groups = {op: [i for i, ops in enumerate(live) if ops[edge] == op] for op in range(1, 5)}
            self.members.append({op: group for op, group in groups.items() if group})
            for op in (CONV1X1, CONV3X3):
                if groups[op]:
                    blocks = [cells[i].edges[edge] for i in groups[op]]  # type: ignore[index]
                    self.convs[f"{edge}:{op}"] = ManyConvs.of(blocks)

    def forward(self, x: Tensor) -> Tensor:
        """[K, C, W, H, B] to the same shape."""
        nodes: list[Tensor | None] = [x, None, None, None]
        positive: dict[int, Tensor] = {}
        for edge, (source, target) in enumerate(EDGES):
            for op, members in self.members[edge].items():
                value = nodes[source]
                if value is None:
                    value = nodes[source] = torch.zeros_like(x)
                if op in (CONV1X1, CONV3X3) and source not in positive:
                    positive[source] = value.relu()
                chosen = self._choose(value if op in (SKIP, POOL) else positive[source], members)
                nodes[target] = self._add(x, nodes[target], self._term(edge, op, chosen), members)
        return torch.zeros_like(x) if nodes[3] is None else nodes[3]

    def _term(self, edge: int, op: int, value: Tensor) -> Tensor:
        if op == SKIP:
            return value
        if op == POOL:
            pooled: Tensor = _BoxMean.apply(value)  # type: ignore[no-untyped-call]
            return pooled
        term: Tensor = self.convs[f"{edge}:{op}"](value)
        return term

    def _choose(self, value: Tensor, members: list[int]) -> Tensor:
        return value if len(members) == self.count else value.index_select(0, torch.tensor(members))

    def _add(self, x: Tensor, node: Tensor | None, term: Tensor, members: list[int]) -> Tensor:
        if len(members) == self.count:
            return term if node is None else node + term
        return (torch.zeros_like(x) if node is None else node).index_add(0, torch.tensor(members), term)


class ManyNetworks(_Stacked):
    """K networks of one skeleton as one module; it copies their weights.

    Args:
        networks: Plain networks, such as `training.network.initial_network` makes.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        self.networks = list(networks)
        live = [live_ops(network.architecture) for network in networks]
        self.stem = ManyConvs([n.stem[0] for n in networks], [n.stem[1] for n in networks])  # type: ignore[misc]
        self.cells = nn.ModuleList()
        self.reductions = nn.ModuleList()
        for stage in range(STAGES):
            for cell in range(networks[0].skeleton.cells):
                self.cells.append(ManyCells([n.stages[stage][cell] for n in networks], live))  # type: ignore[index]
            if stage:
                blocks = [n.reductions[stage - 1] for n in networks]
                self.reductions.append(ManyReductions(blocks))
        self.last = ManyNorms([n.last[0] for n in networks])  # type: ignore[misc]
        self._stack("weight", [n.classifier.weight for n in networks])
        self._stack("bias", [n.classifier.bias for n in networks])

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images [B, channels, side, side], seen by all, to logits [K, B, classes]."""
        shared = images.permute(1, 3, 2, 0)[None]
        x = self.stem(shared.expand(len(self.weight), *shared.shape[1:]))
        per_stage = len(self.cells) // STAGES
        for place, cells in enumerate(self.cells):
            if place and place % per_stage == 0:
                x = self.reductions[place // per_stage - 1](x)
            x = cells(x)
        features = self.last(x).relu().mean(dim=(2, 3))
        return torch.baddbmm(self.bias[:, None], features.mT, self.weight.mT)

    def store(self) -> list[Network]:
        """Copy the weights and running statistics back into the plain networks; returns these."""
        for module in self.modules():
            if isinstance(module, _Stacked):
                module.store_here()
        return self.networks


class ManyReductions(_Stacked):
    """The residual block that K networks have between two stages."""

    shortcut: Tensor

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.conv_a = ManyConvs.of([b.conv_a for b in blocks])
        self.conv_b = ManyConvs.of([b.conv_b for b in blocks])
        self._stack("shortcut", [b.shortcut[1].weight for b in blocks])  # type: ignore[index,union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """[K, C, W, H, B] to [K, 2C, W/2, H/2, B]."""
        deep: Tensor = self.conv_b(self.conv_a(x.relu()).relu())
        return deep + convolve(halve(x), self.shortcut)
