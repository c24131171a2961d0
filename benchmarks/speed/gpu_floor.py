"""What memory bandwidth allows: bytes that a training step must move, counted tensor by tensor.

The networks are so thin that a GPU waits for memory, not for arithmetic. So a step's floor is its
bytes over the bandwidth. A *pass* is one read or one write of one activation tensor of a stage,
images x side^2 x channels elements; stages halve it (half the side, twice the channels).

Three ways to count, for the live ops of a cell:

* `FLOOR`: everything between two barriers is fused, and each tensor is read once per phase. The
  barriers are batch norm's: its statistics need the whole batch before the first output, and so do
  its two sums in the backward pass. Phases of a node: convolve; sum the terms; sum for the norms;
  gradients of data and weights.
* `STACKED`: as the kernels of `nb201env.training.gpu` are cut: edges read their node on their own, nodes are
  stored after their ReLU, and gradients of raw outputs and of weights are passes of their own.
* `PLAIN`: one PyTorch call per module.

How long that takes on a given GPU, and what its instructions take, is in `benchmarks.speed.gpu_bounds`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from nb201env.architecture import Architecture
from nb201env.classes import representatives
from nb201env.space import CONV1X1, CONV3X3, EDGES, NONE, POOL, SKIP
from nb201env.training.network import STAGES, live_ops
from nb201env.training.recipe import Recipe

Ops = tuple[int, ...]
_CONVS = (CONV1X1, CONV3X3)


@dataclass(frozen=True)
class Count:
    """Passes of one way to compute; forward and backward.

    Attributes:
        name: Of the way.
        cell: Passes of a cell with these live ops.
        evaluated: The same without gradients and with known statistics.
        stem: Passes at the first stage, images not counted.
        reduction: Passes of a residual block over its input, and over its output (half as large).
        last: Passes over the last stage's output: batch norm, ReLU, mean.
        element: Bytes of an activation.
    """

    name: str
    cell: Callable[[Ops], int]
    evaluated: Callable[[Ops], int]
    stem: int
    reduction: tuple[int, int]
    last: int
    element: int


def _edges(ops: Ops) -> list[tuple[int, int, int]]:
    """Source, target and op of every edge that carries something."""
    return [(s, t, op) for (s, t), op in zip(EDGES, ops, strict=True) if op != NONE]


def _distinct(ops: Ops) -> list[tuple[int, int, int]]:
    """The same without nodes that are one skip from another: they are that node and cost nothing."""
    edges = _edges(ops)
    same = {0: 0}
    for node in (1, 2, 3):
        entering = [(s, op) for s, t, op in edges if t == node]
        copy = len(entering) == 1 and entering[0][1] == SKIP
        same[node] = same[entering[0][0]] if copy else node
    return [(same[s], t, op) for s, t, op in edges if same[t] == t]


def floor_cell(ops: Ops) -> int:
    """Passes of a cell when everything between two barriers is one kernel."""
    edges = _distinct(ops)
    convs = [(s, t) for s, t, op in edges if op in _CONVS]
    direct = {(s, t) for s, t, op in edges if op in (SKIP, POOL)}
    nodes = len({t for _, t, _ in edges})
    forward = len({s for s, _ in convs}) + len(convs)  # read a node for all its convolutions, write each
    forward += len(convs) + len(direct) + nodes  # read the terms, write the node
    sums = len({t for _, t in convs}) + len(convs)  # read a node's gradient and its convolutions
    sources = {s for s, _, _ in edges}
    gradients = len({(s, t) for s, t, _ in edges}) + len(convs)  # read targets' gradients and outputs
    gradients += len({s for s, _ in convs}) + len(sources)  # read the node, write its gradient
    return forward + sums + gradients


class Leaving(NamedTuple):
    """What leaves a node: how many convolutions, and how many skips and poolings."""

    convs: int
    others: int


def leaving(ops: Ops) -> list[Leaving]:
    """Of nodes 0, 1, 2 and 3; nothing leaves the last."""
    found = []
    for node in range(4):
        kinds = [op in _CONVS for s, _, op in _edges(ops) if s == node]
        found.append(Leaving(sum(kinds), len(kinds) - sum(kinds)))
    return found


def stacked_cell(ops: Ops) -> int:
    """Passes of a cell as the kernels of `nb201env.training.gpu.kernels` and `kernels_backward` are cut."""
    convs = sum(op in _CONVS for *_, op in _edges(ops))
    others = len(_edges(ops)) - convs
    targets = len({t for _, t, op in _edges(ops) if op in _CONVS})
    out = leaving(ops)
    sums = targets + convs
    gradients = targets + 2 * convs  # of raw outputs, in their place
    data = convs + others  # terms; the sign of nodes that a convolution leaves; nodes that anything leaves
    data += sum(node.convs > 0 for node in out) + sum(any(node) for node in out[1:3]) + 1
    weights = 2 * convs
    return stacked_evaluated(ops) + sums + gradients + data + weights


def plain_cell(ops: Ops) -> int:
    """Passes of a cell when every PyTorch module is a kernel or two."""
    total, arriving, leaving = 0, [0] * 4, [0] * 4
    for source, target, op in _edges(ops):
        arriving[target] += 1
        leaving[source] += 1
        if op in _CONVS:
            # Forward: ReLU 2, convolution 2, batch norm 3. Backward: batch norm 5, convolution 2
            # for the data and 2 for the weights, ReLU 3.
            total += 7 + 12
        elif op == POOL:
            total += 4
    # Sums of terms, and of a node's gradients from several edges: two reads and a write each.
    return total + 3 * sum(max(n - 1, 0) for n in (*arriving, *leaving))


def floor_evaluated(ops: Ops) -> int:
    """With known statistics a node is one kernel: read its sources, write it."""
    edges = _distinct(ops)
    return len({(s, t) for s, t, _ in edges}) + len({t for _, t, _ in edges})


def stacked_evaluated(ops: Ops) -> int:
    """A rectified copy of node 0; convolutions, written and read again; nodes before and after their ReLU."""
    convs, out = sum(op in _CONVS for *_, op in _edges(ops)), leaving(ops)
    copies = 2 * (out[0].convs > 0)
    written = 1 + sum((node.convs > 0) + (node.others > 0) for node in out[1:3])
    return copies + 2 * convs + len(_edges(ops)) + written


def plain_evaluated(ops: Ops) -> int:
    """ReLU, convolution and batch norm are two passes each."""
    edges = _edges(ops)
    convs, pools = sum(op in _CONVS for *_, op in edges), sum(op == POOL for *_, op in edges)
    return 6 * convs + 2 * pools + 3 * (len(edges) - len({t for _, t, _ in edges}))


# Stem: write, read, write; read gradient and output for the sums, and again for the weights.
# The stacked kernels store the raw outputs' gradients: read, read, write, and two readings less.
# Reduction, floor: the input is read forward and backward and its gradient written; on the output's
# side 3 for each convolution's output and node forward, the shortcut, and their gradients. Stacked: both
# convolutions take rectified copies.
FLOOR = Count("floor", floor_cell, floor_evaluated, 7, (3, 19), 5, 2)
STACKED = Count("stacked", stacked_cell, stacked_evaluated, 9, (9, 31), 14, 2)
PLAIN = Count("plain", plain_cell, plain_evaluated, 14, (12, 44), 16, 4)
COUNTS = (FLOOR, STACKED, PLAIN)


def step_bytes(count: Count, ops: Ops, recipe: Recipe, side: int = 32, training: bool = True) -> int:
    """Bytes that one network's step on a full batch moves, of activations.

    Args:
        count: The way to count.
        ops: Live ops.
        recipe: Its width, cells and batch.
        side: Of the images, in pixels.
        training: Forward and backward, or an evaluation.
    """
    unit = recipe.batch * side * side * recipe.width * count.element
    units = [unit >> stage for stage in range(STAGES)]
    if not training:
        return count.evaluated(ops) * recipe.cells * sum(units)
    total = count.cell(ops) * recipe.cells * sum(units) + count.stem * unit + count.last * units[-1]
    over_input, over_output = count.reduction
    return total + sum(over_input * one + over_output * two for one, two in pairwise(units))


@dataclass(frozen=True)
class Floor:
    """The mean architecture's figures.

    Attributes:
        convolutions: Live convolutions per cell.
        passes: Per cell, forward and backward.
        gigabytes: Per step.
        milliseconds: Per step.
        epoch_seconds: Of training.
        hours: Of all architectures and epochs, training alone.
        hours_evaluated: With the evaluations, without which there is no table.
    """

    convolutions: float
    passes: float
    gigabytes: float
    milliseconds: float
    epoch_seconds: float
    hours: float
    hours_evaluated: float


TRAIN_IMAGES, EVALUATED_IMAGES = 25_000, 35_000
"""Of CIFAR-10's official halves, per epoch: trained on, and evaluated after it on the other two splits."""


def estimate(
    count: Count, recipe: Recipe, bandwidth: float, *, architectures: Sequence[Ops] | None = None
) -> Floor:
    """The mean over architectures; by default over one member of each of the 5,485 canonical classes.

    Args:
        count: The way to count.
        recipe: How they are trained.
        bandwidth: Of the memory, bytes per second.
        architectures: Live ops of each.
    """
    chosen = canonical_live_ops() if architectures is None else architectures
    moved = np.mean([step_bytes(count, ops, recipe) for ops in chosen])
    looked = np.mean([step_bytes(count, ops, recipe, training=False) for ops in chosen])
    step = float(moved) / bandwidth
    epoch = step * TRAIN_IMAGES / recipe.batch
    evaluation = float(looked) / bandwidth * EVALUATED_IMAGES / recipe.batch
    runs = recipe.epochs * len(chosen) / 3600
    return Floor(
        float(np.mean([sum(op in _CONVS for op in ops) for ops in chosen])),
        float(np.mean([count.cell(ops) for ops in chosen])),
        float(moved) / 1e9, 1e3 * step, epoch, runs * epoch, runs * (epoch + evaluation),
    )  # fmt: skip


@cache
def canonical_live_ops() -> list[Ops]:
    """Live ops of the first member of each canonical class."""
    return [live_ops(Architecture.from_index(i)) for i in representatives().tolist()]
