"""Where the time of a training step goes on a GPU, kernel by kernel.

    python -m benchmarks.speed.gpu_profile --row stacked:64 --json profile.json
    python -m benchmarks.speed.gpu_profile --show profile.json                   as Markdown

The step is that of the row of `benchmarks.speed.gpu`; the times are those of PyTorch's profiler, which sees
the kernels within a recorded step, too. What is left of the step is time in which the GPU had nothing to do.
With ``--device cpu`` a miniature runs, which tries the script and says nothing about a GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed.gpu_rows import SHAPES, Name, Row, about, make, prepare, sample, seconds_of, synchronize
from nb201env.output import markdown_table
from nb201env.processes import end_if_orphaned

_MOST = 15  # kernels in a table


def kernel_times(work: Callable[[], object], device: torch.device, steps: int) -> list[dict[str, Any]]:
    """Every kernel's name, launches and seconds per step, the slowest first.

    Args:
        work: Takes the steps.
        device: Where; on a CPU it is PyTorch's operations instead of kernels.
        steps: How many `work` takes.
    """
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as found:
        work()
        synchronize(device)
    kernels = []
    for event in found.key_averages():
        micro = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        if micro > 0:
            kernels.append(
                {"name": event.key, "launches": event.count / steps, "seconds": micro / 1e6 / steps}
            )
    return sorted(kernels, key=lambda kernel: -kernel["seconds"])


def measure(name: Name, device: str, shape: str, steps: int) -> Row:
    """A row's step: its seconds, and those of its kernels."""
    data, recipe = prepare(device, shape)
    work, there = make(name, sample(name.networks), data, recipe), data.mean.device
    work.train(2)
    seconds = seconds_of(lambda: work.train(steps), there) / steps
    kernels = kernel_times(lambda: work.train(steps), there, steps)
    return about(name, shape, data) | {"steps": steps, "step_seconds": seconds, "kernels": kernels}


def markdown(found: Row) -> list[str]:
    """The slowest kernels as lines of Markdown, and all together."""
    whole, kernels = found["step_seconds"], found["kernels"]
    head = f"{found['row']} on {found['shape']}, {found['device']}: {1e3 * whole:.2f} ms a step"
    rest = kernels[_MOST:]
    some = kernels[:_MOST] + ([_together(f"{len(rest)} others", rest)] if rest else [])
    rows = [
        [
            kernel["name"][:60], f"{kernel['launches']:.0f}", f"{1e3 * kernel['seconds']:.2f}",
            f"{kernel['seconds'] / whole:.0%}",
        ]
        for kernel in [*some, _together("all", kernels)]
    ]  # fmt: skip
    headings = ["kernel", "launches a step", "ms a step", "of it"]
    return [head, "", *markdown_table(headings, rows, "lr").splitlines()]


def _together(name: str, kernels: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name} | {key: sum(k[key] for k in kernels) for key in ("launches", "seconds")}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Where the time of a training step goes, kernel by kernel.")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a miniature")
    parser.add_argument("--task-shape", choices=SHAPES, default="official-12", help="recipe and image size")
    parser.add_argument("--row", default="stacked:64", help="TRAINER:NETWORKS")
    parser.add_argument("--steps", type=int, default=3, help="that are looked at")
    parser.add_argument("--json", type=Path, help="write it here, too")
    parser.add_argument("--show", type=Path, metavar="JSON", help="measure nothing, print this one")
    a = parser.parse_args(arguments)
    if a.show:
        print("\n".join(markdown(json.loads(a.show.read_text()))))
        return
    end_if_orphaned()
    try:
        found = measure(Name.of(a.row), a.device, a.task_shape, a.steps)
    except ValueError as error:
        print(f"gpu_profile: {error}", file=sys.stderr)
        sys.exit(2)
    if a.json:
        a.json.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(markdown(found)))


if __name__ == "__main__":
    main()
