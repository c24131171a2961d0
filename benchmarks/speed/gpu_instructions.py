"""Instructions that the stacked kernels issue per pixel, read from their machine code; needs no GPU.

    python -m benchmarks.speed.gpu_instructions
    python -m benchmarks.speed.gpu_instructions --out docs/data/gpu-instructions.json

The networks are so thin that a GPU can run out of issue slots before it runs out of memory bandwidth. A
multiprocessor issues at most four instructions a clock, each for 32 threads. Counted are those of all
warps of a program, the loops as often as they run, divided by four and by the pixels of a program: clocks
per pixel of one multiprocessor that waits for nothing.

What is counted, for a convolution on one edge, `channels` wide in and out:

* `convolve`, `data_gradient` (of a node that the convolution alone leaves) and `weight_gradient`;
* what feeds them: `output_gradient`, the gradient of the raw output; `rectify`, a node after its ReLU, as
  if every convolution needed a copy of its own (a cell makes one at most);
* beside them `norm_sums`, and `node_sum` and `data_gradient` by term.

The first two lines are the `sum`. The kernels of commit f9c3497 were counted by the same rule at commit
3318904, where this tool's --help says how.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.speed.sass import Code, Trips, blocks_of, compiled, issued, matrix_columns
from nb201env.architecture import Architecture
from nb201env.output import markdown_table
from nb201env.space import CONV3X3, NUM_EDGES
from nb201env.training.gpu.codes import Codes, Convs
from nb201env.training.gpu.launches import Launch, recorded

CHANNELS = {16: 32, 32: 16, 64: 8}
"""Of the official network's stages, and the side of their images in pixels."""
IMAGES, NETWORKS = 256, 64
TAPS = {"3x3": 9, "1x1": 1}
PER_CLOCK = 4
HEAVY = ("convolve", "data_gradient", "weight_gradient")
FEEDING = ("output_gradient", "rectify")


class Row(NamedTuple):
    """One kernel at one width.

    Attributes:
        kernel: Its name, and where it matters the term that it computes.
        channels: In and out.
        clocks: Per pixel, by op; an op that makes no difference is "any".
        registers: Of a thread.
        spilled: Bytes of a thread.
        shared: Bytes of a program.
    """

    kernel: str
    channels: int
    clocks: dict[str, float]
    registers: int
    spilled: int
    shared: int


def rows(channels: Sequence[int] = tuple(CHANNELS), kernels: Sequence[str] | None = None) -> list[Row]:
    """Count all kernels at these widths.

    Args:
        channels: Of `CHANNELS`.
        kernels: Names of some of them; by default all.

    Raises:
        ValueError: If the kernels were defined for Triton's interpreter, or a count is ambiguous.
    """
    found = []
    for width in channels:
        for name, launches in _launches(width).items():
            if name in _COUNTS and (kernels is None or name in kernels):
                codes = [compiled(launch.variant) for launch in launches[:2]]
                for label, clocks in _COUNTS[name](codes, launches, width).items():
                    found.append(Row(label, width, clocks, *codes[0].usage))
    return found


def _launches(width: int) -> dict[str, list[Launch]]:
    """What a cell launches, by kernel; the nodes with the fewest edges first."""
    from nb201env.training.gpu.functions import cell

    side, anything = CHANNELS[width], [Architecture((CONV3X3,) * NUM_EDGES)] * NETWORKS
    with recorded() as found, torch.device("meta"):
        codes, convs = Codes.of(anything, "meta"), Convs(NUM_EDGES, NETWORKS, width, width)
        x = torch.empty(NETWORKS, IMAGES, side, side, width, dtype=torch.bfloat16, requires_grad=True)
        cell(x, convs, codes).sum().backward()
    kinds: dict[str, list[Launch]] = {}
    for launch in found:
        kinds.setdefault(launch.variant.name, []).append(launch)
    for name in ("norm_sums", "output_gradient"):  # backward, and so from node 3 with its three edges
        kinds.get(name, []).reverse()
    return kinds


Counts = dict[str, dict[str, float]]
_POOLING = Trips(outer=1, inner=9)
"""Of a pooling's taps, within a loop over edges."""


def _per_pixel(code: Code, instructions: float, pixels: float) -> float:
    return instructions * code.warps / PER_CLOCK / pixels


def _count_taps(codes: Sequence[Code], launches: Sequence[Launch], width: int) -> Counts:
    """A kernel with a loop over taps: convolve, and data_gradient's convolutions."""
    code, c, blocks = codes[0], codes[0].constants, blocks_of(codes[0].listing)
    pixels = c["BLOCK"]
    each = pixels // (16 * code.warps) * (width // 16) * (width // matrix_columns(code.listing))
    found = {code.name: {
        op: _per_pixel(code, issued(blocks, taps * each, Trips()), pixels)
        for op, taps in TAPS.items()
    }}  # fmt: skip
    if code.name == "data_gradient":
        nothing = issued(blocks, 0, Trips())
        skip = issued(blocks, 0, Trips(outer=1))
        pooling = issued(blocks, 0, _POOLING)
        named = {"node": nothing, "skip": skip - nothing, "pooling": pooling - nothing}
        for name, count in named.items():
            found[f"data_gradient, {name}"] = {"any": _per_pixel(code, count, pixels)}
    return found


def _count_weights(codes: Sequence[Code], launches: Sequence[Launch], width: int) -> Counts:
    """weight_gradient: a loop over tiles of pixels. One of its groups of taps has that of a 1x1 op."""
    code, c, blocks, grid = codes[0], codes[0].constants, blocks_of(codes[0].listing), launches[0].grid
    seen, height = {"3x3": c["WINDOWS"], "1x1": 1}, c["WINDOW"] * width
    groups, splits = grid[:2]
    pixels = IMAGES * c["H"] * c["W"] / splits
    each = height // (16 * code.warps) * (c["BLOCK"] // 16) * (width // matrix_columns(code.listing))
    trips = Trips(matrix=int(pixels // c["BLOCK"]))
    counts = {op: issued(blocks, seen[op] * each, trips) for op in TAPS}
    counts["3x3"] *= groups
    return {code.name: {op: _per_pixel(code, count, pixels) for op, count in counts.items()}}


def _count_terms(codes: Sequence[Code], launches: Sequence[Launch], width: int) -> Counts:
    """node_sum of one and of two edges, whose difference is a term; a skip costs a little less."""
    pixels = codes[0].constants["BLOCK"]
    one, two = (issued(blocks_of(code.listing), 0, Trips(outer=n)) for n, code in enumerate(codes, start=1))
    pooling = issued(blocks_of(codes[0].listing), 0, _POOLING)
    named = {"node": 2 * one - two, "term": two - one, "pooling": pooling - 2 * one + two}
    return {
        f"node_sum, {name}": {"any": _per_pixel(codes[0], count, pixels)} for name, count in named.items()
    }


def _count_plain(codes: Sequence[Code], launches: Sequence[Launch], width: int) -> Counts:
    """A kernel that does one thing per pixel, for one edge."""
    code, pixels = codes[0], codes[0].constants["BLOCK"]
    if code.name == "rectify":  # its tile is one of elements
        pixels /= width
    count = issued(blocks_of(code.listing), 0, Trips(outer=1))
    return {code.name: {"any": _per_pixel(code, count, pixels)}}


_COUNTS: dict[str, Callable[[Sequence[Code], Sequence[Launch], int], Counts]] = {
    "convolve": _count_taps,
    "data_gradient": _count_taps,
    "weight_gradient": _count_weights,
    "output_gradient": _count_plain,
    "rectify": _count_plain,
    "norm_sums": _count_plain,
    "node_sum": _count_terms,
}


def sums(found: Sequence[Row]) -> dict[str, dict[int, float]]:
    """Clocks per pixel of a convolution's three kernels and of what feeds them, by op and width."""
    return {
        op: {
            width: sum(
                row.clocks.get(op, row.clocks.get("any", 0.0))
                for row in found
                if row.channels == width and row.kernel in (*HEAVY, *FEEDING)
            )
            for width in sorted({row.channels for row in found})
        }
        for op in TAPS
    }


def table(found: Sequence[Row]) -> str:
    """The rows and the sums as Markdown."""
    headings = ["kernel", "channels", *TAPS, "registers", "spilled", "shared"]
    rows = []
    for row in sorted(found, key=lambda row: (row.channels, list(row.clocks) == ["any"], row.kernel)):
        three, one = (row.clocks.get(op, row.clocks.get("any", 0.0)) for op in TAPS)
        held = (str(row.registers), str(row.spilled), f"{row.shared:,}")
        rows.append([row.kernel, str(row.channels), f"{three:.2f}", f"{one:.2f}", *held])
    for width in sorted({row.channels for row in found}):
        three, one = (sums(found)[op][width] for op in TAPS)
        rows.append(["**sum**", str(width), f"**{three:.2f}**", f"**{one:.2f}**", "", "", ""])
    return markdown_table(headings, rows, "lr")


def entry(found: Sequence[Row]) -> dict[str, Any]:
    """What is kept of a count: clocks per pixel by kernel, op and width; their sum; what programs hold."""
    clocks: dict[str, dict[str, dict[str, float]]] = {}
    usage: dict[str, dict[str, dict[str, int]]] = {}
    for row in found:
        for op, value in row.clocks.items():
            clocks.setdefault(row.kernel, {}).setdefault(op, {})[str(row.channels)] = round(value, 3)
        usage.setdefault(row.kernel.partition(",")[0], {})[str(row.channels)] = {
            "registers": row.registers, "spilled": row.spilled, "shared": row.shared
        }  # fmt: skip
    rounded = {op: {str(c): round(v, 3) for c, v in widths.items()} for op, widths in sums(found).items()}
    return {"clocks per pixel": clocks, "sum": rounded, "usage": usage}


def read(path: Path) -> dict[str, Any]:
    """What `main` wrote; if there is nothing yet, what it begins with.

    Raises:
        ValueError: If it is no JSON.
    """
    if not path.exists():
        return {"command": "python -m benchmarks.speed.gpu_instructions"}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    import triton

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="JSON to add the counts to, under Triton's version.")
    parser.add_argument("--sum", action="store_true", help="Only the kernels that are in the sum.")
    options = parser.parse_args(arguments)
    found = rows(kernels=(*HEAVY, *FEEDING) if options.sum else None)
    print(f"Triton {triton.__version__}, compute capability 9.0, clocks per pixel\n")
    print(table(found))
    if options.out is not None:
        kept = read(options.out)
        kept.setdefault("now", {})[triton.__version__] = entry(found)
        options.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ["TRITON_INTERPRET"] = "0"  # read when the kernels are defined: these are to be compiled
    main()
