"""What every part of the check is told, the architectures that it looks at, and its tolerances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from nb201env.architecture import Architecture
from nb201env.space import CONV1X1, CONV3X3, EDGES, NONE, NUM_EDGES, POOL, SIZE, SKIP
from nb201env.training.gpu.checks.findings import Allowed
from nb201env.training.network import live_ops

CONVS = (CONV1X1, CONV3X3)


class Tolerances(NamedTuple):
    """How far off the tensors of one type may be.

    Attributes:
        out: Outputs, in training and in evaluation mode.
        gradient: Of inputs, weights, gains and biases, where every ReLU's input is exact.
        chained: The same where a ReLU's input was rounded: now and then a sign differs.
        moved: Running means and variances after a step.
        loss: Of a whole network.
        deep: Gradients of a whole network's weights: a sign that differs early changes them all.
        mixed: The same by PyTorch's mixed precision, which rounds at other places than the reference.
        deep_moved: Running means and variances of a whole network.
        replayed: Losses, and how far weights have come, by recorded steps beside the same unrecorded. The
            same bits are expected; but where a library picks another order of sums for a recording, one
            bit grows with every step. What is wrong with a recording (a step too many, another's
            momentum, a batch read twice) puts weights off by 1 and more.
    """

    out: Allowed
    gradient: Allowed
    chained: Allowed
    moved: Allowed
    loss: Allowed
    deep: Allowed
    mixed: Allowed
    deep_moved: Allowed
    replayed: Allowed


# Behind each: the worst mean and largest difference that the right program was seen to give, on a CPU.
# A program that is right but rounds once more than it must stays within them as well.
TOLERANCES = {
    torch.float32: Tolerances(
        out=Allowed(1e-5, 1e-4),  # 4e-7, 2e-6
        gradient=Allowed(1e-5, 1e-3),  # 5e-7, 6e-6
        chained=Allowed(2e-2),  # 3e-7; a single sign among 4,000 pixels would be 1e-2
        moved=Allowed(1e-5, 1e-4),  # 1e-7, 5e-7
        loss=Allowed(1e-4),  # 8e-6
        deep=Allowed(1e-1),  # 5e-5; 5e-2 where one sign differed
        mixed=Allowed(1e-1),  # 0
        deep_moved=Allowed(1e-4),  # 2e-6
        replayed=Allowed(1e-5),  # 0
    ),
    torch.bfloat16: Tolerances(
        out=Allowed(5e-3, 1e-1),  # 3e-4, 1e-2
        gradient=Allowed(1.5e-2, 2.5e-1),  # 8e-3, 9e-2
        chained=Allowed(3e-2),  # 9e-3
        moved=Allowed(1e-3, 1e-2),  # 1e-5, 6e-5
        loss=Allowed(1e-2),  # 2e-3
        deep=Allowed(3e-1),  # 9e-2; a gradient that is missing is 1
        mixed=Allowed(5e-1),  # 2e-1
        deep_moved=Allowed(2e-2),  # 1e-3
        replayed=Allowed(3e-1),  # 0
    ),
    torch.float16: Tolerances(  # by Triton's kernels in its interpreter
        out=Allowed(1e-3, 2e-2),  # 2e-4, 1e-3
        gradient=Allowed(3e-3, 5e-2),  # 3e-4, 4e-3
        chained=Allowed(1e-2),  # 6e-4
        moved=Allowed(1e-3, 1e-2),  # 3e-5, 8e-5
        loss=Allowed(2e-3),  # 1e-4
        deep=Allowed(1e-1),  # 5e-3
        mixed=Allowed(2e-1),
        deep_moved=Allowed(1e-2),  # 1e-4
        replayed=Allowed(3e-1),  # 0
    ),
}


@dataclass(frozen=True)
class Setting:
    """Of a check.

    Attributes:
        device: Where the program runs; the reference runs there too.
        backend: "triton" or "torch", the functions of the stacked program.
        dtype: Of the activations.
        batch: Images per step.
        networks: Architectures at once.
    """

    device: torch.device
    backend: str
    dtype: torch.dtype
    batch: int
    networks: int

    @property
    def allowed(self) -> Tolerances:
        """How far off tensors of this type may be."""
        return TOLERANCES[self.dtype]

    @property
    def terms(self) -> bool:
        """Whether the program stores every edge's output, as it does without Triton's kernels."""
        return self.backend == "torch"


def type_for(device: torch.device, backend: str) -> torch.dtype:
    """The type of a build on this device; half precision in Triton's interpreter, which has no bfloat16."""
    if device.type == "cuda":
        return torch.bfloat16
    return torch.float16 if backend == "triton" else torch.float32


_CHAINS = (
    (CONV3X3,) * NUM_EDGES,
    (CONV1X1,) * NUM_EDGES,
    (POOL,) * NUM_EDGES,
    (POOL, CONV3X3, CONV1X1, CONV3X3, POOL, CONV1X1),
    (CONV3X3, POOL, POOL, CONV1X1, CONV3X3, POOL),
    (NONE, NONE, CONV3X3, SKIP, NONE, SKIP),  # a convolution of nothing
    (CONV3X3, NONE, NONE, SKIP, NONE, NONE),  # node 1 leads nowhere
)


def architectures(count: int) -> list[Architecture]:
    """Every op on each edge, the other edges skips, and some that chain ops; from 32 on all of them.

    Args:
        count: How many; fewer are spread over the 32, and what is more is drawn at random.
    """
    skips = Architecture((SKIP,) * NUM_EDGES)
    ops = (NONE, CONV1X1, CONV3X3, POOL)
    some = [skips, *(skips.replace(edge, op) for edge in range(NUM_EDGES) for op in ops)]
    some += [Architecture(chain) for chain in _CHAINS]
    if count < len(some):
        return [some[i * len(some) // count] for i in range(count)]
    drawn = np.random.default_rng(0).choice(SIZE, count - len(some))
    return some + [Architecture.from_index(int(i)) for i in drawn]


def exact(architecture: Architecture) -> bool:
    """Whether what every convolution's ReLU sees is exact: a sum of copies of the cell's input."""
    ops = live_ops(architecture)
    found = {0}
    for node in (1, 2):
        entering = [(s, op) for (s, t), op in zip(EDGES, ops, strict=True) if t == node and op != NONE]
        if all(op == SKIP and source in found for source, op in entering):
            found.add(node)
    return all(s in found for (s, _), op in zip(EDGES, ops, strict=True) if op in CONVS)
