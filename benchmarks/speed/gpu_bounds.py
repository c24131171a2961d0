"""What bandwidth and instruction issue allow on a given GPU, and what is predicted from it.

Two bounds on a training step of one network. *Memory*: its bytes (`benchmarks.speed.gpu_floor`) over the
bandwidth. *Issue*: its instructions over the rate at which the multiprocessors issue them. At most that is
four a clock and multiprocessor; kernels of this kind reach 2 to 2.8. Instructions are read from the machine
code by `benchmarks.speed.gpu_instructions`; what it found with Triton 3.6.0 stands here, of the present
kernels and of those of commit f9c3497, which were bound by it. Neither of the bounds was measured on a GPU.

    python -m benchmarks.speed.gpu_bounds --gpu H100
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from benchmarks.speed.gpu_floor import (
    COUNTS,
    FLOOR,
    PLAIN,
    STACKED,
    Count,
    Ops,
    canonical_live_ops,
    estimate,
    leaving,
)
from nb201env.output import markdown_table
from nb201env.space import CONV1X1, CONV3X3, EDGES, NONE, POOL, SKIP
from nb201env.training.network import STAGES
from nb201env.training.recipe import Recipe, find_recipe


class GPU(NamedTuple):
    """What of a GPU decides the bounds.

    Attributes:
        name: Of the card.
        processors: Its multiprocessors.
        clock: Of them, under load; Hz.
        bandwidth: Of the memory, as reached by copies; bytes per second.
    """

    name: str
    processors: int
    clock: float
    bandwidth: float


GPUS = {gpu.name: gpu for gpu in (GPU("H100", 132, 1.75e9, 3.0e12), GPU("H200", 132, 1.9e9, 4.3e12))}

Clocks = Mapping[str, tuple[float, float, float]]
CHANNELS = (16, 32, 64)
NOW: Clocks = {
    "rectify": (0.63, 1.27, 2.53),
    "convolve 3x3": (4.85, 7.79, 16.77),
    "convolve 1x1": (2.66, 4.35, 9.77),
    "node_sum, node": (0.96, 1.94, 3.88),
    "node_sum, term": (0.69, 1.39, 2.78),
    "node_sum, pooling": (4.52, 9.05, 18.09),
    "norm_sums": (2.23, 4.19, 8.16),
    "output_gradient": (1.56, 3.13, 6.27),
    "data_gradient 3x3": (4.07, 6.09, 13.13),
    "data_gradient 1x1": (1.94, 2.90, 6.07),
    "data_gradient, node": (1.18, 1.85, 3.75),
    "data_gradient, skip": (0.75, 1.22, 2.48),
    "data_gradient, pooling": (6.68, 10.54, 21.51),
    "weight_gradient 3x3": (2.40, 4.32, 6.59),
    "weight_gradient 1x1": (1.46, 2.38, 1.26),
}
"""Clocks per pixel of a multiprocessor that issues four instructions in each, by channels. Of data_gradient
the convolutions' include the node, which several edges share."""
BEFORE: Clocks = {
    "rectify": (0.0, 0.0, 0.0),
    "convolve 3x3": (13.80, 22.20, 52.83),
    "convolve 1x1": (5.12, 8.01, 19.83),
    "node_sum, node": (0.12, 0.23, 0.47),
    "node_sum, term": (0.77, 1.55, 3.09),
    "node_sum, pooling": (6.12, 12.23, 24.47),
    "norm_sums": (3.19, 4.00, 7.77),
    "output_gradient": (0.0, 0.0, 0.0),
    "data_gradient 3x3": (21.34, 38.99, 83.78),
    "data_gradient 1x1": (4.97, 8.05, 17.66),
    "data_gradient, node": (2.10, 3.51, 7.33),
    "data_gradient, skip": (0.0, 0.0, 0.0),
    "data_gradient, pooling": (10.75, 20.16, 43.19),
    "weight_gradient 3x3": (14.49, 28.17, 58.43),
    "weight_gradient 1x1": (14.49, 28.17, 19.48),
}
"""The same of commit f9c3497. Its node_sum's paths could not be told apart at 16 channels: half of those at
32 are taken, because it moves half as much."""

LIMIT, FAST, SLOW = 4.0, 2.8, 2.0
"""Instructions a clock: the hardware's limit, and the rates between which such kernels are."""
REACHED = 0.9, 0.75
"""Assumed: the part of the bandwidth of long copies that these kernels get."""
NETWORKS = 64
"""In one stacked program, which share the gaps between its kernels."""
OPERATIONS = 612
"""PyTorch operations of a plain step, views not counted: the mean of eight random classes."""
LAUNCH_SECONDS, GAP_SECONDS = (8e-6, 10.5e-6), (1.5e-6, 2.5e-6)
"""Assumed, not measured: an operation's way from Python to the GPU, and between a graph's kernels."""


def cell_clocks(clocks: Clocks, ops: Ops, stage: int) -> float:
    """Clocks per pixel that a cell's step takes at four instructions a clock."""

    def at(name: str) -> float:
        return clocks[name][stage]

    out, kinds = leaving(ops), {CONV3X3: "3x3", CONV1X1: "1x1"}
    total = at("rectify") * (out[0].convs > 0)
    total += at("node_sum, node") * (1 + sum(any(node) for node in out[1:3]))
    total += at("data_gradient, node") * (1 + sum(any(node) for node in out[1:3]))
    for op in ops:
        if op in kinds:
            total += sum(
                at(f"{name} {kinds[op]}") for name in ("convolve", "data_gradient", "weight_gradient")
            )
            total += at("node_sum, term") + at("norm_sums") + at("output_gradient")
            total -= at("data_gradient, node")
        elif op == SKIP:
            total += at("node_sum, term") + at("data_gradient, skip")
        elif op == POOL:
            total += at("node_sum, pooling") + at("data_gradient, pooling")
    return total


LONE = (NONE, NONE, NONE, CONV3X3, NONE, NONE)
"""A cell with one convolution, for which the stem and each convolution of a reduction are taken."""


def issue_milliseconds(
    clocks: Clocks, ops: Ops, recipe: Recipe, gpu: GPU, rate: float = LIMIT, side: int = 32
) -> float:
    """Of a step of one network: the cells, the stem and the reductions; PyTorch's own kernels not counted.

    Args:
        clocks: `NOW` or `BEFORE`.
        ops: Live ops.
        recipe: Its width, cells and batch.
        gpu: On which.
        rate: Instructions a clock and multiprocessor.
        side: Of the images, in pixels.

    Raises:
        ValueError: If instructions were not counted for the recipe's width.
    """
    if recipe.width != CHANNELS[0]:
        raise ValueError(
            f"instructions are counted for networks of width 16; {recipe.name} has {recipe.width}"
        )
    total = 0.0
    for stage in range(STAGES):
        pixels = recipe.batch * (side >> stage) ** 2
        lone = 2 if stage else 1
        total += pixels * recipe.cells * cell_clocks(clocks, ops, stage)
        total += pixels * lone * cell_clocks(clocks, LONE, stage)
    return 1e3 * total * LIMIT / rate / gpu.processors / gpu.clock


def mean_issue(clocks: Clocks, recipe: Recipe, gpu: GPU, rate: float = LIMIT) -> float:
    """Milliseconds of the mean of the 5,485 canonical classes."""
    return float(
        np.mean([issue_milliseconds(clocks, ops, recipe, gpu, rate) for ops in canonical_live_ops()])
    )


def cell_before(ops: Ops) -> int:
    """Passes of a cell of commit f9c3497: no copies, no stored gradients, all readers computed them."""
    edges = [(s, t, op) for (s, t), op in zip(EDGES, ops, strict=True) if op != NONE]
    convs = sum(op in (CONV1X1, CONV3X3) for *_, op in edges)
    sums = len({t for _, t, op in edges if op in (CONV1X1, CONV3X3)}) + convs
    return 2 * convs + len(edges) + 3 + sums + convs + len(edges) + 6 + 3 * convs


BEFORE_COUNT = replace(STACKED, name="stacked at f9c3497", cell=cell_before, stem=7, reduction=(7, 27))


class Range(NamedTuple):
    """Milliseconds per step and network."""

    low: float
    high: float


def stacked_range(count: Count, clocks: Clocks, recipe: Recipe, gpu: GPU) -> Range:
    """The longer of the two bounds, and the gaps between a graph's kernels.

    The low end with 90 % of the bandwidth and 2.8 instructions a clock, the high end with 75 % and 2.

    Args:
        count: Of the bytes.
        clocks: Of the instructions.
        recipe: How the networks are trained.
        gpu: On which.
    """
    memory = estimate(count, recipe, gpu.bandwidth).milliseconds
    ends = (
        max(memory / reached, mean_issue(clocks, recipe, gpu, rate)) + 1e3 * OPERATIONS * gap / NETWORKS
        for reached, rate, gap in zip(REACHED, (FAST, SLOW), GAP_SECONDS, strict=True)
    )
    return Range(*ends)


def predictions(recipe: Recipe, gpu: GPU) -> dict[str, Range]:
    """Milliseconds per step and network that each way to train should take.

    The plain loop waits for Python or for memory, whichever is longer; graphs in bf16 move half of its
    bytes, and have gaps between kernels where no other graph fills them; for the stacked program see
    `stacked_range`. Ranges: 90 to 75 % of the bandwidth, 8 to 10.5 microseconds per operation, 1.5 to 2.5
    between a graph's kernels. The floor is memory at its full bandwidth.

    Args:
        recipe: How they are trained.
        gpu: On which.
    """
    plain = estimate(PLAIN, recipe, gpu.bandwidth).milliseconds
    least = estimate(FLOOR, recipe, gpu.bandwidth).milliseconds
    half = [plain / 2 / reached for reached in REACHED]
    gaps = [1e3 * OPERATIONS * seconds for seconds in GAP_SECONDS]
    loop = (
        max(1e3 * OPERATIONS * seconds, plain / reached)
        for seconds, reached in zip(LAUNCH_SECONDS, REACHED, strict=True)
    )
    return {
        "plain loop, float32": Range(*loop),
        "graphs, bf16, one at a time": Range(half[0] + gaps[0], half[1] + gaps[1]),
        "graphs, bf16, 8 in flight": Range(*half),
        f"{BEFORE_COUNT.name}, bf16, {NETWORKS} at once": stacked_range(BEFORE_COUNT, BEFORE, recipe, gpu),
        f"stacked, bf16, {NETWORKS} at once": stacked_range(STACKED, NOW, recipe, gpu),
        "floor, bf16": Range(least, least),
    }


def memory_table(recipe: Recipe, gpu: GPU) -> str:
    """All counts of bytes as lines of Markdown."""
    headings = [
        "count", "passes per cell", "GB per step", "ms per step", "s per epoch", "GPU hours",
        "with evaluation",
    ]  # fmt: skip
    rows = []
    for count in (*COUNTS, BEFORE_COUNT):
        f = estimate(count, recipe, gpu.bandwidth)
        rows.append(
            [
                count.name, f"{f.passes:.1f}", f"{f.gigabytes:.2f}", f"{f.milliseconds:.2f}",
                f"{f.epoch_seconds:.3f}", f"{f.hours:.2f}", f"{f.hours_evaluated:.2f}",
            ]
        )  # fmt: skip
    return markdown_table(headings, rows, "lr")


def issue_table(recipe: Recipe, gpu: GPU) -> str:
    """Milliseconds per step at three rates, as lines of Markdown."""
    rates = (LIMIT, FAST, SLOW)
    rows = []
    for name, clocks in ((STACKED.name, NOW), (BEFORE_COUNT.name, BEFORE)):
        found = [mean_issue(clocks, recipe, gpu, rate) for rate in rates]
        rows.append([name, *(f"{ms:.2f}" for ms in found)])
    headings = ["issue of instructions", *(f"ms at {rate:g} a clock" for rate in rates)]
    return markdown_table(headings, rows, "lr")


def prediction_table(recipe: Recipe, gpu: GPU) -> str:
    """The predictions as lines of Markdown."""
    rows = []
    found = predictions(recipe, gpu)
    plain = next(iter(found.values()))
    for name, (low, high) in found.items():
        middle = sum(plain) / (low + high)
        span = f"{low:.1f}" if low == high else f"{low:.1f} to {high:.1f}"
        rows.append([name, span, f"{middle:.1f}"])
    return markdown_table(["step", "predicted ms per step and network", "x plain"], rows, "lr")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Bounds and predictions of training on a GPU.")
    parser.add_argument("--recipe", default="official-12")
    parser.add_argument("--gpu", choices=tuple(GPUS), default="H100")
    options = parser.parse_args(arguments)
    recipe, gpu = find_recipe(options.recipe), GPUS[options.gpu]
    print(
        f"{gpu.name}: {gpu.processors} multiprocessors at {gpu.clock / 1e9:g} GHz, "
        f"{gpu.bandwidth / 1e12:g} TB/s; nothing here was measured\n"
    )
    print(memory_table(recipe, gpu), issue_table(recipe, gpu), prediction_table(recipe, gpu), sep="\n\n")


if __name__ == "__main__":
    main()
