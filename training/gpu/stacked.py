"""K networks of one skeleton as one program, in which the architecture is data.

Weights and activations have a leading axis of length K; the activations are [K, B, H, W, C] (see
`nb201env.training.gpu.kernels`). All networks see the same batches; each has its own loss and optimizer
state, so they do not touch each other. `nb201env.training.network` stays the definition: weights are taken
from plain networks (`load`) and given back (`store`), and the tests hold this program to the
plain one for every op on every edge.

The work is done by the Triton kernels, or without them by plain PyTorch (`nb201env.training.gpu.torch_ops`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from nb201env.space import CONV1X1, CONV3X3
from nb201env.training.gpu import torch_ops
from nb201env.training.gpu.codes import Codes, Convs
from nb201env.training.network import STAGES, Network, Skeleton, live_ops

Pairs = Iterator[tuple[Tensor, Tensor]]
BACKENDS = ("triton", "torch")


def best_backend(device: torch.device) -> str:
    """Triton's kernels on a GPU where Triton is installed, plain PyTorch elsewhere."""
    return "triton" if device.type == "cuda" and importlib.util.find_spec("triton") else "torch"


def functions(backend: str) -> ModuleType:
    """The module with `cell` and `conv_norm`; Triton is imported only when it is asked for."""
    if backend == "torch":
        return torch_ops
    if backend != "triton":
        raise ValueError(f"unknown backend {backend!r}; the backends are {', '.join(BACKENDS)}")
    return importlib.import_module("nb201env.training.gpu.functions")


class Stacked(nn.Module):
    """K networks as one module.

    Args:
        skeleton: What surrounds the cells.
        codes: The architectures.
        dtype: Of activations and of the weights in products; the weights themselves, batch norm's
            statistics, the classifier and the losses are float32.
        backend: "triton" or "torch".
    """

    def __init__(
        self, skeleton: Skeleton, codes: Codes, dtype: torch.dtype = torch.float32, backend: str = "torch"
    ) -> None:
        super().__init__()
        self.skeleton, self.codes, self.dtype = skeleton, codes, dtype
        self.functions = functions(backend)
        networks, width = codes.ops.shape[1], skeleton.width
        self.fixed = Codes.everywhere(networks, codes.ops.device)
        self.stem = Convs(1, networks, skeleton.channels, width)
        self.cells, self.reductions = nn.ModuleList(), nn.ModuleList()
        for stage in range(STAGES):
            if stage:
                self.reductions.append(_Reduction(networks, width))
                width *= 2
            self.cells.extend(Convs(6, networks, width, width) for _ in range(skeleton.cells))
        self.last = _Norm(networks, width)
        self.weight = nn.Parameter(torch.zeros(networks, width, skeleton.classes))
        self.bias = nn.Parameter(torch.zeros(networks, skeleton.classes))
        self.to(codes.ops.device)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images [B, channels, side, side], seen by all, to float32 logits [K, B, classes]."""
        shared = images.permute(0, 2, 3, 1).to(self.dtype)[None]
        x: Tensor = self.functions.conv_norm(shared, self.stem, self.fixed, relu=False)
        for place, convs in enumerate(self.cells):
            if place and place % self.skeleton.cells == 0:
                x = self._reduce(x, place // self.skeleton.cells - 1)
            x = self.functions.cell(x, convs, self.codes)
        features = self.last(x).relu().mean(dim=(2, 3), dtype=torch.float32)
        return torch.baddbmm(self.bias[:, None], features, self.weight)

    def _reduce(self, x: Tensor, number: int) -> Tensor:
        block: Any = self.reductions[number]
        run = self.functions.conv_norm
        short = torch_ops.product(torch_ops.halve(x), block.shortcut.to(x.dtype))
        middle = run(x, block.conv_a, self.fixed, stride=2)
        out: Tensor = run(middle, block.conv_b, self.fixed, addend=short)
        return out

    def load(self, networks: Sequence[Network]) -> None:
        """Take the architectures and all weights and statistics from K plain networks.

        Raises:
            ValueError: If the program has no room for these architectures.
        """
        self.codes.load([network.architecture for network in networks])
        # Slots of edges without a convolution: zero weights stay zero and are never read.
        here = {name: torch.zeros(t.shape) for name, t in self.state_dict().items()}
        for ours, theirs in self._pairs(here, networks):
            ours.copy_(theirs)
        self.load_state_dict(here)

    def store(self, networks: Sequence[Network]) -> None:
        """Give all weights and statistics back to the plain networks."""
        here = {name: tensor.detach().cpu() for name, tensor in self.state_dict().items()}
        for ours, theirs in self._pairs(here, networks):
            theirs.copy_(ours)

    def _pairs(self, tensors: dict[str, Tensor], networks: Sequence[Network]) -> Pairs:
        """Views of our tensors beside the plain networks' tensors of the same meaning."""
        for k, network in enumerate(networks):
            live, part = live_ops(network.architecture), _view(tensors, k)
            yield from _conv_pairs(part("stem", 0), network.stem[0], network.stem[1])
            stages: list[Any] = list(network.stages)
            for place, cell in enumerate(cell for stage in stages for cell in stage):
                for edge, op in enumerate(live):
                    if op in (CONV1X1, CONV3X3):
                        block = cell.edges[edge]
                        yield from _conv_pairs(part(f"cells.{place}", edge), block[1], block[2])
            reductions: list[Any] = list(network.reductions)
            for place, block in enumerate(reductions):
                prefix = f"reductions.{place}"
                for name in ("conv_a", "conv_b"):
                    relu_conv_bn = getattr(block, name)
                    yield from _conv_pairs(part(f"{prefix}.{name}", 0), relu_conv_bn[1], relu_conv_bn[2])
                yield tensors[f"{prefix}.shortcut"][k].T, block.shortcut[1].weight.detach()[:, :, 0, 0]
            norm: Any = network.last[0]
            yield from _norm_pairs(lambda name, k=k: tensors[f"last.{name}"][k], norm)  # type: ignore[misc]
            yield tensors["weight"][k].T, network.classifier.weight.detach()
            yield tensors["bias"][k], network.classifier.bias.detach()


class _Norm(nn.Module):
    """The batch norms that K networks have before their classifiers."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, networks: int, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(networks, channels))
        self.bias = nn.Parameter(torch.zeros(networks, channels))
        self.register_buffer("running_mean", torch.zeros(networks, channels))
        self.register_buffer("running_var", torch.ones(networks, channels))

    def forward(self, x: Tensor) -> Tensor:
        """[K, B, H, W, C] to the same shape."""
        out: Tensor = torch_ops.normalise(
            x, self.gain, self.bias, self.running_mean, self.running_var, self.training
        )
        return out


class _Reduction(nn.Module):
    """Weights of the residual block that K networks have between two stages."""

    def __init__(self, networks: int, width: int) -> None:
        super().__init__()
        self.conv_a = Convs(1, networks, width, 2 * width)
        self.conv_b = Convs(1, networks, 2 * width, 2 * width)
        self.shortcut = nn.Parameter(torch.zeros(networks, width, 2 * width))


def _view(tensors: dict[str, Tensor], k: int) -> Callable[[str, int], Callable[[str], Tensor]]:
    """part(prefix, edge)(name): one network's part of a tensor of `Convs`."""
    return lambda prefix, edge: lambda name: tensors[f"{prefix}.{name}"][edge, k]


def _conv_pairs(ours: Callable[[str], Tensor], conv: Any, norm: Any) -> Pairs:
    taps, plain = ours("weight"), conv.weight.detach()  # [9, I, O] and [O, I, 3, 3] or [O, I, 1, 1]
    if plain.shape[-1] == 3:
        yield taps.view(3, 3, *taps.shape[1:]).permute(3, 2, 0, 1), plain
    else:
        yield taps[4].T, plain[:, :, 0, 0]
    yield from _norm_pairs(ours, norm)


def _norm_pairs(ours: Callable[[str], Tensor], norm: Any) -> Pairs:
    yield ours("gain"), norm.weight.detach()
    yield ours("bias"), norm.bias.detach()
    yield ours("running_mean"), norm.running_mean
    yield ours("running_var"), norm.running_var
