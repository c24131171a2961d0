"""Speed of training on one GPU: plain, graphs and stacked beside the floor; ``make bench-gpu``.

    python -m benchmarks.speed.gpu                                  all rows, the most valuable first
    python -m benchmarks.speed.gpu --rows stacked:64 plain:1 --jsonl rows.jsonl
    python -m benchmarks.speed.gpu --show --jsonl rows.jsonl        what is there, as a table

The images are random ones of CIFAR-10's form: speed does not depend on what they show. A row trains K
random classes: it makes and records the program, goes through a full batch, an epoch's rest and an
evaluation, as a build would, and then times whole steps (augmentation, forward, backward, optimizer) and
evaluations. ``stacked,torch:4`` is the stacked trainer without Triton's kernels.

    images/s            training images that one network has seen, per second, over all K
    architectures/h     3600 K / (12 epochs x (98 steps + 138 evaluated batches)), as a table needs them
    of the floor        seconds that `benchmarks.speed.gpu_floor` counts for these K at the bandwidth that
                        copying reaches on this device, over the measured seconds of a step
    GB                  the most memory that PyTorch has reserved

Every row is a process of its own with its own time limit. Whatever goes wrong in it is a row with an
`error`, in the file as soon as it is known, and the next row is measured; rows that the file already has
are not. Where K networks do not fit, more are not tried. With ``--device cpu`` a miniature runs, which
tries the script and says nothing about a GPU. Exit status: 2 if there is no such device, else 0.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.jsonl import append, objects, read_lines
from benchmarks.speed.gpu_rows import FULL, SHAPES, Name, Row, failed, one
from nb201env.output import markdown_table
from nb201env.processes import end_if_orphaned, run_apart

ROWS = (
    "plain:1", "stacked:64", "graphs:8", "graphs:1", "stacked:32", "stacked:128", "stacked:8", "stacked:1",
)  # fmt: skip
MINIATURE = ("plain:1", "stacked:2", "graphs:2", "stacked:1")


# -- all rows, each apart ------------------------------------------------------------------------


def run(
    names: Sequence[Name], shape: str, command: Sequence[str], limit_seconds: float, each_seconds: float,
    keep: Callable[[Row], None], there: Sequence[Row] = (), report: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Measure rows that are not there yet, one after the other, each in a process of its own.

    Args:
        names: The rows, in order.
        shape: Of the task, a key of `SHAPES`.
        command: Measures a row, given ``--row`` and its name.
        limit_seconds: Of all; a row that this ends is not kept.
        each_seconds: Of each; a row that this ends is kept as an error.
        keep: Called with each row as it comes, errors included.
        there: The rows that need not be measured again.
        report: Says what happens.
    """
    end, rows = time.monotonic() + limit_seconds, list(there)
    for name in names:
        left = end - time.monotonic()
        if any(row["row"] == str(name) and row["shape"] == shape for row in rows):
            report(f"{name}: is there")
            continue
        if left <= 0:
            report(f"{name}: not measured, time is up")
            continue
        smaller = [r for r in rows if r["trainer"] == name.way and r["shape"] == shape]
        full = [
            r["networks"] for r in smaller if r["error"].startswith(FULL) and r["networks"] < name.networks
        ]
        if full:
            row = failed(name, shape, f"not tried: {min(full)} did not fit into the memory")
        else:
            ended = run_apart([*command, "--row", str(name)], min(left, each_seconds))
            if ended.code is None and left < each_seconds:
                report(f"{name}: not measured, time is up")
                continue
            printed = objects(ended.lines)
            row = printed[-1] if printed else failed(name, shape, ended.why or "it printed no row")
        rows.append(row)
        keep(row)
        report(f"{name}: {row['error'] or as_words(row)}")


# -- words ---------------------------------------------------------------------------------------


def as_words(row: Row) -> str:
    return (
        f"{1e3 * row['step_seconds'] / row['networks']:.2f} ms a step and network, "
        f"{row['images_per_second']:,.0f} images/s, {row['architectures_per_hour']:,.0f} architectures/h"
    )


HEADINGS = ("trainer", "K", "ms/step and K", "images/s", "architectures/h", "x plain", "of the floor", "GB")


def figures(rows: Sequence[Row]) -> list[list[str]]:
    """Of each row what stands under `HEADINGS`, or its name and its error."""
    plain = [r["architectures_per_hour"] for r in rows if r["trainer"] == "plain" and not r["error"]]
    found = []
    for row in rows:
        cells = [row["trainer"], str(row["networks"])]
        if row["error"]:
            found.append([*cells, row["error"]])
            continue
        ratio = f"{row['architectures_per_hour'] / plain[0]:.1f}" if plain else ""
        memory = "" if row["memory_gb"] is None else f"{row['memory_gb']:.1f}"
        each = 1e3 * row["step_seconds"] / row["networks"]
        found.append([
            *cells, f"{each:.2f}", f"{row['images_per_second']:,.0f}",
            f"{row['architectures_per_hour']:,.0f}", ratio, f"{row['of_floor']:.0%}", memory,
        ])  # fmt: skip
    return found


def captions(rows: Sequence[Row]) -> list[str]:
    """What the rows were measured on, said once for each kind of machine and task."""
    said = (
        f"{r['shape']}: {r['device']}, PyTorch {r['torch']}, Triton {r['triton']}, "
        f"copying {r['bandwidth_tb']:.2f} TB/s"
        for r in rows
        if not r["error"]
    )
    return list({caption.rpartition(", copying")[0]: caption for caption in said}.values())


def by_shape(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of one task shape together, as ratios to the plain loop need them."""
    return {
        shape: [r for r in rows if r["shape"] == shape] for shape in dict.fromkeys(r["shape"] for r in rows)
    }


def show(rows: Sequence[Row]) -> RichTable:
    """The rows as a table; ratios are to the plain loop of the same task shape."""
    table = RichTable(title="; ".join(captions(rows)) or None, title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "trainer" else "right")
    for some in by_shape(rows).values():
        for line in figures(some):
            table.add_row(*line)
        table.add_section()
    return table


def markdown(rows: Sequence[Row]) -> list[str]:
    """The rows as lines of Markdown: per task shape what they were measured on, and a table."""
    lines = []
    for some in by_shape(rows).values():
        padded = [[*line, *[""] * (len(HEADINGS) - len(line))] for line in figures(some)]
        lines += [*captions(some), "", *markdown_table(HEADINGS, padded, "lr").splitlines(), ""]
    return lines[:-1]


# -- the command ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Plain, graphs, stacked and the floor on one GPU.")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a miniature")
    parser.add_argument("--task-shape", choices=SHAPES, default="official-12", help="recipe and image size")
    parser.add_argument("--rows", nargs="+", help=f"TRAINER:NETWORKS in order; default {' '.join(ROWS)}")
    parser.add_argument("--row", help="measure this one in this process; prints one JSON line")
    parser.add_argument("--limit-seconds", type=float, default=600, help="of all rows")
    parser.add_argument("--each-seconds", type=float, default=120, help="of each row")
    parser.add_argument("--steps", type=int, default=30, help="timed steps per row")
    parser.add_argument("--jsonl", type=Path, help="append each row here as it comes; rows there are kept")
    parser.add_argument("--show", action="store_true", help="measure nothing, print the rows of --jsonl")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    a = parser.parse_args(arguments)
    on_gpu = torch.device(a.device).type == "cuda"
    try:
        names = [Name.of(text) for text in ([a.row] if a.row else a.rows or (ROWS if on_gpu else MINIATURE))]
        if on_gpu and not a.show and not torch.cuda.is_available():
            raise ValueError("PyTorch sees no NVIDIA GPU here; try the script with --device cpu")
    except ValueError as error:
        print(f"benchmarks.speed.gpu: {error}", file=sys.stderr)
        sys.exit(2)
    if a.row:
        end_if_orphaned()
        print(json.dumps(one(names[0], a.device, a.task_shape, a.steps)), flush=True)
        return
    rows = read_lines(a.jsonl) if a.jsonl else []
    if not a.show:
        command = [sys.executable, "-m", "benchmarks.speed.gpu", "--device", a.device,
                   "--task-shape", a.task_shape, "--steps", str(a.steps)]  # fmt: skip
        there = list(rows)
        run(names, a.task_shape, command, a.limit_seconds, a.each_seconds, keeper(rows, a.jsonl), there)
    if a.markdown:
        print("\n".join(markdown(rows)))
    else:
        Console(width=130).print(show(rows))


def keeper(rows: list[Row], file: Path | None) -> Callable[[Row], None]:
    """Keeps a row at once, in the list and in the file."""

    def keep(row: Row) -> None:
        rows.append(row)
        if file is not None:
            append(file, **row)

    return keep


if __name__ == "__main__":
    main()
