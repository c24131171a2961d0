"""The parts about kernels: cells of all architectures, and the convolutions around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from nb201env.architecture import Architecture
from nb201env.space import EDGES, NUM_EDGES
from nb201env.training.gpu.checks.findings import Allowed, Findings, unwritten_shows
from nb201env.training.gpu.checks.rounded import round_where_stored, store_output
from nb201env.training.gpu.checks.setting import CONVS, Setting, Tolerances, architectures, exact
from nb201env.training.gpu.codes import Codes, Convs
from nb201env.training.gpu.stacked import functions
from nb201env.training.network import Cell, Network, Skeleton
from nb201env.training.precision import exact_float32

Found = dict[str, Tensor | None]
Module = TypeVar("Module", bound=nn.Module)
ConvNorm = tuple[nn.Conv2d, nn.BatchNorm2d]
_GRADIENTS = {"d_weight": "weight", "d_gain": "gain", "d_bias": "bias"}
_MOVED = {"moved mean": "running_mean", "moved variance": "running_var"}


# -- the program ---------------------------------------------------------------------------------


@dataclass
class Block:
    """One block of K networks, as a program runs it.

    Attributes:
        convs: Its weights.
        leaves: Its inputs by the name of their gradient, [K, B, H, W, C].
        upstream: The gradient of its output.
        run: Computes it.
    """

    convs: Convs
    leaves: dict[str, Tensor]
    upstream: Tensor
    run: Callable[[], Tensor]

    def measured(self) -> Found:
        """Outputs in evaluation mode and in training, all gradients, and the moved statistics."""
        before = {name: buffer.clone() for name, buffer in self.convs.named_buffers()}
        with unwritten_shows():
            self.convs.eval()
            with torch.no_grad():
                evaluated = self.run()
            self.convs.train()
            out = self.run()
            inputs = [*self.leaves.values(), *(getattr(self.convs, name) for name in _GRADIENTS.values())]
            gradients = torch.autograd.grad(out, inputs, self.upstream, allow_unused=True)
        found: Found = {"evaluated out": evaluated, "out": out.detach()}
        found |= dict(zip([*self.leaves, *_GRADIENTS], gradients, strict=True))
        with torch.no_grad():
            for kind, name in _MOVED.items():
                buffer = getattr(self.convs, name)
                found[kind] = buffer.clone()
                buffer.copy_(before[name])
        return found


def measured_twice(findings: Findings, block: Block, some: list[Architecture]) -> Found:
    """The first of two runs, which must give the same bits.

    Args:
        findings: Where differences are noted.
        block: What to run.
        some: Its K architectures.
    """
    found, again = block.measured(), block.measured()
    for kind, one in found.items():
        two = again[kind]
        for k, name in enumerate(some):
            if one is not None and two is not None:
                findings.repeats(kind, _of(one, kind, k), _of(two, kind, k), name)
    return found


def _of(tensor: Tensor, kind: str, k: int) -> Tensor:
    """One network's part: of a tensor [edges, K, …] or of one [K, …]."""
    return tensor[:, k] if kind in _GRADIENTS or kind in _MOVED else tensor[k]


# -- the plain one -------------------------------------------------------------------------------


def randomised(module: Module) -> Module:
    """The module with gains, biases and running statistics that have no special value."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.5, 0.5)
                part.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
                part.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return module


@exact_float32()
def reference(
    module: nn.Module, x: Tensor, upstream: Tensor, addend: Tensor | None = None
) -> dict[str, Tensor]:
    """What a plain module gives for one network, in the program's layout [B, H, W, C].

    Leaves the gradients of its weights and its moved statistics in the module.
    """

    def plain(tensor: Tensor) -> Tensor:
        return tensor.detach().float().permute(0, 3, 1, 2).contiguous()

    leaves = [plain(t).requires_grad_() for t in (x, addend) if t is not None]
    with torch.no_grad():
        evaluated = module.eval()(*leaves)
    out = module.train()(*leaves)
    if out.requires_grad:
        out.backward(plain(upstream))
    found = {"evaluated out": evaluated, "out": out.detach()}
    for kind, leaf in zip(("d_x", "d_addend"), leaves, strict=False):
        found[kind] = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
    return {kind: tensor.permute(0, 2, 3, 1) for kind, tensor in found.items()}


def as_taps(weight: Tensor) -> Tensor:
    """A kernel [O, I, 3, 3] or [O, I, 1, 1] as its nine taps, [9, I, O]; of a 1x1 the centre alone."""
    taps = weight.permute(2, 3, 1, 0).reshape(-1, weight.shape[1], weight.shape[0])
    if len(taps) == 9:
        return taps
    whole = taps.new_zeros(9, *taps.shape[1:])
    whole[4] = taps[0]
    return whole


def put(convs: Convs, edge: int, k: int, plain: ConvNorm) -> None:
    """Give one network's weights and statistics on one edge to the program."""
    conv, norm = plain
    pairs = [(convs.weight, as_taps(conv.weight)), (convs.gain, norm.weight), (convs.bias, norm.bias)]
    pairs += [(getattr(convs, name), getattr(norm, name)) for name in _MOVED.values()]
    with torch.no_grad():
        for ours, theirs in pairs:
            ours[edge, k] = theirs


def expected_of(convs: Convs, edge: int, k: int, plain: ConvNorm | None) -> dict[str, Tensor]:
    """Gradients and moved statistics of one network on one edge; None: it has no convolution there."""
    nothing = {kind: torch.zeros_like(getattr(convs, name)[edge, k]) for kind, name in _GRADIENTS.items()}
    if plain is None:
        return nothing | {kind: getattr(convs, name)[edge, k] for kind, name in _MOVED.items()}
    conv, norm = plain
    found: dict[str, Any] = {"moved mean": norm.running_mean, "moved variance": norm.running_var}
    if conv.weight.grad is not None:
        found |= {"d_weight": as_taps(conv.weight.grad), "d_gain": norm.weight.grad, "d_bias": norm.bias.grad}
    return nothing | found


# -- the parts -----------------------------------------------------------------------------------


def cells(setting: Setting, channels: int, side: int) -> Findings:
    """Cells of every op on each edge, at one stage's channels and side.

    The program was made for the same architectures in another order, and then loaded with these.
    """
    torch.manual_seed(channels)
    some = architectures(setting.networks)
    plain = [randomised(Cell(a, channels)).to(setting.device) for a in some]
    norms = [[_conv_norm(cell, edge) for edge in range(NUM_EDGES)] for cell in plain]
    weights = _weights_of(norms, channels, channels, setting)
    codes = Codes.of(some[::-1], setting.device)
    codes.load(some)
    x = _random(setting, len(some), setting.batch, side, side, channels).requires_grad_()
    run = functions(setting.backend).cell
    block = Block(
        weights, {"d_x": x}, _upstream(setting, x, len(x), channels), lambda: run(x, weights, codes)
    )
    findings = Findings()
    found = measured_twice(findings, block, some)
    for k, cell in enumerate(plain):
        round_where_stored(cell, setting.dtype, setting.terms)
        expected = reference(cell, x[k], block.upstream[k])
        gradient = setting.allowed.gradient if exact(some[k]) else setting.allowed.chained
        compare = _Compare(findings, setting.allowed, gradient, found, k, some[k])
        compare.activations(expected, "")
        for edge, norm in enumerate(norms[k]):
            compare.weights(expected_of(weights, edge, k, norm), edge, _EDGE_NAMES[edge])
    return findings


_EDGE_NAMES = [f"of edge {source}->{target}" for source, target in EDGES]


def _conv_norm(cell: Any, edge: int) -> ConvNorm | None:
    return (cell.edges[edge][1], cell.edges[edge][2]) if cell.live[edge] in CONVS else None


Around = Callable[[Any], Any]
_AROUND: dict[str, Around] = {
    "of the stem": lambda network: network.stem,
    "of reduction 1, conv_a": lambda network: network.reductions[0].conv_a,
    "of reduction 1, conv_b": lambda network: network.reductions[0].conv_b,
    "of reduction 2, conv_a": lambda network: network.reductions[1].conv_a,
    "of reduction 2, conv_b": lambda network: network.reductions[1].conv_b,
}


def convs(setting: Setting, width: int, side: int) -> Findings:
    """Stem and residual blocks: strides, images that all networks share, and what is added."""
    torch.manual_seed(width)
    findings, some = Findings(), architectures(min(setting.networks, 16))
    networks = [
        randomised(Network(a, Skeleton(width, cells=1, image_size=side))).to(setting.device) for a in some
    ]
    for (name, around), shrunk in zip(_AROUND.items(), (1, 1, 2, 2, 4), strict=True):
        _around(findings, setting, some, name, [around(n) for n in networks], side // shrunk)
    return findings


class _Plus(nn.Module):
    """A convolution with what is added to its output, if anything; one sum is stored."""

    def __init__(self, inner: nn.Module, setting: Setting, adds: bool) -> None:
        super().__init__()
        self.inner = inner
        round_where_stored(inner, setting.dtype)
        if setting.terms and adds:
            store_output(inner, setting.dtype)
        store_output(self, setting.dtype)

    def forward(self, x: Tensor, addend: Tensor | None = None) -> Tensor:
        out: Tensor = self.inner(x)
        return out if addend is None else out + addend


def _around(
    findings: Findings, setting: Setting, some: list[Architecture], name: str, modules: list[Any], side: int
) -> None:
    """One of the convolutions outside of the cells, of all networks."""
    conv, stem, adds = modules[0][-2], len(modules[0]) == 2, name.endswith("conv_b")
    weights = _weights_of([[(m[-2], m[-1])] for m in modules], conv.in_channels, conv.out_channels, setting)
    stride = conv.stride[0]
    x = _random(setting, 1 if stem else len(some), setting.batch, side, side, conv.in_channels)
    upstream = _upstream(setting, x, len(some), conv.out_channels, stride)
    leaves = {} if stem else {"d_x": x.requires_grad_()}
    if adds:
        leaves["d_addend"] = torch.randn_like(upstream).requires_grad_()
    addend, codes = leaves.get("d_addend"), Codes.everywhere(len(some), setting.device)
    run = functions(setting.backend).conv_norm
    block = Block(
        weights, leaves, upstream, lambda: run(x, weights, codes, stride=stride, relu=not stem, addend=addend)
    )
    found = measured_twice(findings, block, some)
    for k, module in enumerate(modules):
        plain = _Plus(module, setting, adds)
        expected = reference(plain, x[0 if stem else k], upstream[k], None if addend is None else addend[k])
        if stem:
            del expected["d_x"]  # images get no gradient
        compare = _Compare(findings, setting.allowed, setting.allowed.gradient, found, k, some[k])
        compare.activations(expected, name)
        compare.weights(expected_of(weights, 0, k, (module[-2], module[-1])), 0, name)


def _weights_of(plain: list[list[ConvNorm | None]], inputs: int, outputs: int, setting: Setting) -> Convs:
    """The program's weights from the plain ones by network and edge."""
    weights = Convs(len(plain[0]), len(plain), inputs, outputs).to(setting.device)
    for k, edges in enumerate(plain):
        for edge, norm in enumerate(edges):
            if norm is not None:
                put(weights, edge, k, norm)
    return weights


def _random(setting: Setting, *shape: int) -> Tensor:
    return torch.randn(shape, device=setting.device).to(setting.dtype)


@exact_float32()
def _upstream(setting: Setting, x: Tensor, networks: int, channels: int, stride: int = 1) -> Tensor:
    """A gradient of a block's output that depends on its input x: noise, and a random convolution of x.

    Of noise alone a weight's gradient is a sum of n terms that cancel down to their root, while what rounding
    does to them does not cancel: a noise in bfloat16 has a few hundred values, each of which is rounded the
    same way at every pixel, once n is so large that batch norm's backward pass hardly moves them. A right
    program was off by 0.07 for that reason. In training a gradient depends on the images as well.

    Args:
        setting: Its type is the gradient's.
        x: [K, B, H, W, I], or [1, B, H, W, I] for all networks.
        networks: K.
        channels: Of the output, [K, B, H / stride, W / stride, channels].
        stride: Of the block.
    """
    kernel, found = torch.randn(channels, x.shape[-1], 3, 3, device=x.device), []
    for k in range(networks):
        seen = x[k % len(x)].detach().float().relu().permute(0, 3, 1, 2)
        signal = functional.conv2d(seen, kernel, None, stride, 1).permute(0, 2, 3, 1)
        found.append(signal / signal.square().mean().sqrt() + torch.randn_like(signal))
    return torch.stack(found).to(setting.dtype)


class _Compare(NamedTuple):
    """One network's tensors beside the plain ones."""

    findings: Findings
    allowed: Tolerances
    gradient: Allowed
    found: Found
    k: int
    architecture: Architecture

    def activations(self, expected: dict[str, Tensor], place: str) -> None:
        for kind, theirs in expected.items():
            ours, allowed = self.found[kind], self.gradient if kind.startswith("d_") else self.allowed.out
            ours = None if ours is None else ours[self.k]
            self.findings.compare(kind, ours, theirs, allowed, self.architecture, place)

    def weights(self, expected: dict[str, Tensor], edge: int, place: str) -> None:
        for kind, theirs in expected.items():
            ours, allowed = self.found[kind], self.allowed.moved if kind in _MOVED else self.gradient
            ours = None if ours is None else ours[edge, self.k]
            self.findings.compare(kind, ours, theirs, allowed, self.architecture, place)
