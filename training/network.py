"""The official network of NAS-Bench-201 in PyTorch: skeleton, ops and cell.

Source of the architecture: Dong & Yang, NAS-Bench-201, ICLR 2020, section 2, and the authors'
AutoDL-Projects (``xautodl/models/cell_infers``, ``cell_operations.py``), described in words.

    stem 3x3 + BN -> N cells at width C -> residual block, stride 2 -> N cells at 2C
                  -> residual block, stride 2 -> N cells at 4C -> BN, ReLU, mean, linear

A cell has four nodes. Every edge of a cell applies its op to its source node, a node is the sum
of its incoming edges, and the last node is the cell's output.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nb201env.architecture import Architecture, ArchitectureLike
from nb201env.container import DamagedTable
from nb201env.fields import Fields, quoted
from nb201env.official import DATASETS
from nb201env.space import CONV1X1, CONV3X3, EDGES, NONE, POOL, SKIP
from nb201env.table import Table

STAGES = 3
MOST = {"width": 4096, "cells": 256, "classes": 100_000, "image_size": 4096, "channels": 1024}
"""What a skeleton of a file may have: wide, but nothing that only exhausts a machine."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What surrounds the cell.

    Attributes:
        width: Channels of the first stage; doubled in each later stage.
        cells: Cells per stage.
        classes: Classes of the task.
        image_size: Side of the square image in pixels, a multiple of 4.
        channels: Channels of the image.
    """

    width: int = 16
    cells: int = 5
    classes: int = 10
    image_size: int = 32
    channels: int = 3

    def __post_init__(self) -> None:
        if min(self.width, self.cells, self.classes, self.channels) < 1:
            raise ValueError(f"width, cells, classes and channels must be at least 1; got {self}")
        if self.image_size < 4 or self.image_size % 4:
            raise ValueError(f"image_size must be a positive multiple of 4; got {self.image_size}")

    @classmethod
    def read(cls, entries: Fields) -> Skeleton:
        """A skeleton from a file.

        Raises:
            ValueError: If an entry is missing, unknown or not what it should be.
        """
        entries.refuse_others(MOST)
        return cls(**{name: entries.whole(name, least=1, most=largest) for name, largest in MOST.items()})


def live_ops(architecture: Architecture) -> tuple[int, ...]:
    """The six ops, with "none" on every edge that carries nothing to the output.

    An edge carries nothing if it is "none", if it passes on a node that is zero, or if no path
    leads from it to the output. A convolution of a zero node is the constant that its batch norm
    learns, so it does carry something.
    """
    ops = list(architecture.ops)
    alive = {0}
    for edge, (source, target) in enumerate(EDGES):
        if ops[edge] in (SKIP, POOL) and source not in alive:
            ops[edge] = NONE
        if ops[edge] != NONE:
            alive.add(target)
    reaching = {3}
    for edge in reversed(range(len(EDGES))):
        source, target = EDGES[edge]
        if target not in reaching:
            ops[edge] = NONE
        elif ops[edge] != NONE and source in alive:
            reaching.add(source)
    return tuple(ops)


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution without bias, batch norm: the official convolution op."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        )


class AveragePool(nn.AvgPool2d):
    """PyTorch's, around its faults: on a GPU its gradient is wrong where channels lie side by side in memory.

    On CUDA if the border is padded (PyTorch's issue 188344, in 2.11 and before), on MPS always (175190).
    Images that are laid out one channel after the other are right everywhere.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same, or fewer pixels."""
        return super().forward(x if x.device.type == "cpu" else x.contiguous())


class ResidualBlock(nn.Module):
    """Halves the side and doubles the channels between two stages."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_a = ReLUConvBN(inputs, outputs, 3, stride=2)
        self.conv_b = ReLUConvBN(outputs, outputs, 3)
        self.shortcut = nn.Sequential(AveragePool(2), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, 2C, H/2, W/2]."""
        out: Tensor = self.conv_b(self.conv_a(x)) + self.shortcut(x)
        return out


def make_op(op: int, width: int) -> nn.Module:
    """The module of one edge; every op keeps the shape [B, C, H, W]."""
    if op == CONV1X1:
        return ReLUConvBN(width, width, 1)
    if op == CONV3X3:
        return ReLUConvBN(width, width, 3)
    if op == POOL:
        return AveragePool(3, stride=1, padding=1, count_include_pad=False)
    return nn.Identity()


class Cell(nn.Module):
    """One cell. It owns the weights of all its edges but computes only those that matter."""

    def __init__(self, architecture: Architecture, width: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(make_op(op, width) for op in architecture.ops)
        self.live = live_ops(architecture)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same shape."""
        nodes: list[Tensor | None] = [x, None, None, None]
        for edge, (source, target) in enumerate(EDGES):
            if self.live[edge] == NONE:
                continue
            value = nodes[source]
            term = self.edges[edge](torch.zeros_like(x) if value is None else value)
            before = nodes[target]
            nodes[target] = term if before is None else before + term
        return torch.zeros_like(x) if nodes[3] is None else nodes[3]


class Network(nn.Module):
    """The whole network of one architecture, with PyTorch's default initialisation.

    Args:
        architecture: What every cell computes.
        skeleton: What surrounds the cells; the default is the official one for CIFAR-10.
    """

    def __init__(self, architecture: Architecture, skeleton: Skeleton | None = None) -> None:
        super().__init__()
        self.architecture = architecture
        self.skeleton = skeleton = skeleton or Skeleton()
        width = skeleton.width
        self.stem = nn.Sequential(
            nn.Conv2d(skeleton.channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )
        self.stages = nn.ModuleList()
        self.reductions = nn.ModuleList()
        for stage in range(STAGES):
            if stage:
                self.reductions.append(ResidualBlock(width, 2 * width))
                width *= 2
            self.stages.append(nn.Sequential(*(Cell(architecture, width) for _ in range(skeleton.cells))))
        self.last = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        self.classifier = nn.Linear(width, skeleton.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images [B, channels, side, side] to logits [B, classes]."""
        x = self.stem(images)
        for stage, cells in enumerate(self.stages):
            x = cells(self.reductions[stage - 1](x) if stage else x)
        logits: Tensor = self.classifier(self.last(x).mean(dim=(2, 3)))
        return logits


def initial_network(architecture: Architecture, skeleton: Skeleton, seed: int) -> Network:
    """The network at the start of a run: a function of its arguments alone.

    PyTorch's default initialisation draws from the global generator; it is seeded here, as the
    official code does, and put back afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(architecture, skeleton)


def count_params(network: nn.Module) -> int:
    """Trainable parameters (a count), those of dead edges included, as the official files count."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def count_macs(network: Network) -> int:
    """Multiply-accumulates per image (a count) of what `network` computes.

    Convolutions and the classifier, its bias included, as the official counter counts; dead
    edges and convolutions of nothing are computed or not, but only executed ones are counted.
    """
    total = 0

    def conv(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += module.weight.numel() * output.shape[2] * output.shape[3]

    hooks = [m.register_forward_hook(conv) for m in network.modules() if isinstance(m, nn.Conv2d)]
    skeleton, training = network.skeleton, network.training
    try:
        with torch.no_grad():
            size, device = skeleton.image_size, network.classifier.weight.device
            network.eval()(torch.zeros(1, skeleton.channels, size, size, device=device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return total + count_params(network.classifier)


def network_for(of: Table | str, architecture: ArchitectureLike) -> Network:
    """An architecture's network as it surrounds the cells of a table or of an official data set; not trained.

    Args:
        of: A table, or the name of an official data set: "cifar10", "cifar100" or "ImageNet16-120".
        architecture: Which one.

    Raises:
        LookupError: If there is no such data set, or the table is of another one and does not say what
            surrounds its cells.
        DamagedTable: If what the table says is no skeleton.
    """
    chosen = Architecture.of(architecture)
    if not isinstance(of, str) and "skeleton" in of.manifest:
        entries = Fields(of.manifest, str(of.container.path), DamagedTable)
        return Network(chosen, Skeleton.read(entries.object("skeleton")))
    name = of if isinstance(of, str) else of.dataset
    if name not in DATASETS:
        known = f"known are {', '.join(DATASETS)}, and tables made by 'nb201 merge'"
        raise LookupError(f"nothing says what surrounds a cell for {quoted(name)}; {known}")
    images = DATASETS[name]
    return Network(
        chosen, Skeleton(classes=images.classes, image_size=images.image_size, channels=images.channels)
    )
