"""What memory bandwidth allows: bytes that a training step must move, counted tensor by tensor.

The networks are so thin that a GPU waits for memory, not for arithmetic. So a step's floor is its
bytes over the bandwidth. A *pass* is one read or one write of one activation tensor of a stage,
images x side^2 x channels elements; stages halve it (half the side, twice the channels).

Three ways to count, for the live ops of a cell:

* `FLOOR`: everything between two barriers is fused, and each tensor is read once per phase. The
  barriers are batch norm's: its statistics need the whole batch before the first output, and so do
  its two sums in the backward pass. Phases of a node: convolve; sum the terms; sum for the norms;
  gradients of data and weights.
* `STACKED`: as the kernels of `training.gpu` are cut: edges read their node on their own, and
  weight gradients are a pass of their own.
* `PLAIN`: one PyTorch call per module.

    python -m training.gpu.floor --bandwidth 4.0
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from nb201env.classes import representatives
from nb201env.space import CONV1X1, CONV3X3, EDGES, NONE, POOL, SKIP, Architecture
from training.network import STAGES, live_ops
from training.recipe import Recipe, find_recipe

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


def stacked_cell(ops: Ops) -> int:
    """Passes of a cell as the kernels of `training.gpu.functions` are cut."""
    edges = _edges(ops)
    convs = sum(op in _CONVS for _, _, op in edges)
    direct = len(edges) - convs
    sums = len({t for _, t, op in edges if op in _CONVS}) + convs
    forward = 2 * convs + convs + direct + 3
    data = 2 * convs + direct + 3 + 3  # terms; every node read for its sign; every gradient written
    return forward + sums + data + 3 * convs


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
    """Convolutions are still written and read again."""
    edges = _edges(ops)
    return 2 * sum(op in _CONVS for _, _, op in edges) + len(edges) + 3


def plain_evaluated(ops: Ops) -> int:
    """ReLU, convolution and batch norm are two passes each."""
    edges = _edges(ops)
    convs, pools = sum(op in _CONVS for *_, op in edges), sum(op == POOL for *_, op in edges)
    return 6 * convs + 2 * pools + 3 * (len(edges) - len({t for _, t, _ in edges}))


# Stem: write, read, write; read gradient and output for the sums, and again for the weights.
# Reduction, floor: the input is read forward and backward and its gradient written; on the output's
# side 3 for each convolution's output and node forward, the shortcut, and their gradients.
FLOOR = Count("floor", floor_cell, floor_evaluated, 7, (3, 19), 5, 2)
STACKED = Count("stacked", stacked_cell, stacked_evaluated, 7, (7, 27), 14, 2)
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
        evaluation_seconds: Of evaluating the other splits after an epoch.
        hours: Of all architectures and epochs, training alone.
        hours_evaluated: With the evaluations, without which there is no table.
    """

    convolutions: float
    passes: float
    gigabytes: float
    milliseconds: float
    epoch_seconds: float
    evaluation_seconds: float
    hours: float
    hours_evaluated: float


def estimate(
    count: Count, recipe: Recipe, bandwidth: float, *, architectures: Sequence[Ops] | None = None,
    side: int = 32, train_images: int = 25_000, evaluated_images: int = 35_000,
) -> Floor:  # fmt: skip
    """The mean over architectures; by default over one member of each of the 5,485 canonical classes.

    Args:
        count: The way to count.
        recipe: How they are trained.
        bandwidth: Of the memory, bytes per second.
        architectures: Live ops of each.
        side: Of the images, in pixels.
        train_images: Per epoch.
        evaluated_images: After each epoch, all splits.
    """
    chosen = canonical_live_ops() if architectures is None else architectures
    moved = np.mean([step_bytes(count, ops, recipe, side) for ops in chosen])
    looked = np.mean([step_bytes(count, ops, recipe, side, training=False) for ops in chosen])
    step = float(moved) / bandwidth
    epoch = step * train_images / recipe.batch
    evaluation = float(looked) / bandwidth * evaluated_images / recipe.batch
    runs = recipe.epochs * len(chosen) / 3600
    return Floor(
        float(np.mean([sum(op in _CONVS for op in ops) for ops in chosen])),
        float(np.mean([count.cell(ops) for ops in chosen])),
        float(moved) / 1e9, 1e3 * step, epoch, evaluation, runs * epoch, runs * (epoch + evaluation),
    )  # fmt: skip


@cache
def canonical_live_ops() -> list[Ops]:
    """Live ops of the first member of each canonical class."""
    return [live_ops(Architecture.from_index(i)) for i in representatives().tolist()]


def table(recipe: Recipe, bandwidth: float) -> str:
    """All counts as lines of Markdown."""
    lines = [
        "| count | passes per cell | GB per step | ms per step | s per epoch | GPU hours | with evaluation |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for count in COUNTS:
        f = estimate(count, recipe, bandwidth)
        lines.append(
            f"| {count.name} | {f.passes:.1f} | {f.gigabytes:.2f} | {f.milliseconds:.2f} | "
            f"{f.epoch_seconds:.3f} | {f.hours:.2f} | {f.hours_evaluated:.2f} |"
        )
    return "\n".join(lines)


OPERATIONS = 612
"""PyTorch operations of a plain step, views not counted: the mean of eight random classes."""
LAUNCH_SECONDS, GAP_SECONDS = 8e-6, 1.5e-6
"""Assumed, not measured: an operation's way from Python to the GPU, and between a graph's kernels."""


def predictions(recipe: Recipe, bandwidth: float, networks: int = 64) -> dict[str, float]:
    """Milliseconds per step and network that each stage of the work should reach.

    Bytes at the full bandwidth, plus what the launches cost where nothing hides them.

    Args:
        recipe: How they are trained.
        bandwidth: Of the memory, bytes per second.
        networks: In one stacked program.
    """
    least, stacked, plain = (estimate(count, recipe, bandwidth).milliseconds for count in COUNTS)
    gaps = 1e3 * OPERATIONS * GAP_SECONDS
    return {
        "plain loop, float32": max(1e3 * OPERATIONS * LAUNCH_SECONDS, plain),
        "graphs, bf16, one at a time": plain / 2 + gaps,
        "graphs, bf16, 8 in flight": plain / 2,
        f"stacked, bf16, {networks} at once": stacked + gaps / networks,
        "floor, bf16": least,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Bytes and seconds that a training must cost.")
    parser.add_argument("--recipe", default="official-12")
    parser.add_argument("--bandwidth", type=float, default=4.0, help="TB/s")
    a = parser.parse_args(arguments)
    recipe, bandwidth = find_recipe(a.recipe), a.bandwidth * 1e12
    print(table(recipe, bandwidth))
    print("\n| step | predicted ms per step and network | x plain |\n| --- | ---: | ---: |")
    steps = predictions(recipe, bandwidth)
    for name, milliseconds in steps.items():
        print(f"| {name} | {milliseconds:.2f} | {next(iter(steps.values())) / milliseconds:.1f} |")


if __name__ == "__main__":
    main()
