"""Builds shards of one target until the next would not fit into the time; run apart, see `stages`.

Prints a line for each shard, and appends to a .jsonl that a shard is begun, done or failed. What is
finished is safe, whatever ends this process.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.gpu_lease.targets import FULL, MINIATURE, Target
from benchmarks.jsonl import append
from nb201env.processes import end_if_orphaned
from nb201env.training.builds.build import Way, store, train_unit
from nb201env.training.builds.plan import Folder
from nb201env.training.images.tasks import load_task
from nb201env.training.threads import one_thread

_SPARE = 1.1  # a shard may take so much longer than the last one


def find_target(name: str) -> Target:
    """A target by its name."""
    return next(t for t in (*FULL.targets, *MINIATURE.targets) if t.name == name)


def build(
    target: Target, trainer: str, images: Path, folder: Path, log: Path, device: str,
    limit_seconds: float, expected_seconds: float, skipped: set[str],
) -> None:  # fmt: skip
    """Train missing shards in the plan's order.

    Args:
        target: The build.
        trainer: Who trains; also part of the plan.
        images: An .npz of CIFAR-10.
        folder: The build's folder; gone on with if there.
        log: The .jsonl.
        device: Where.
        limit_seconds: From now on; images are read within it.
        expected_seconds: Of the first shard; 0 if that is not known.
        skipped: Files of shards that are left out.

    Raises:
        Exception: Whatever a shard's training raises; those before it are finished.
    """
    start = time.monotonic()
    data = load_task(target.task, images)
    build = Folder.create(folder, target.plan(trainer, data.digest))
    data = data.to(device)
    todo = [unit for unit in build.missing() if unit.file not in skipped]
    for unit in todo:
        left = limit_seconds - (time.monotonic() - start)
        if left < max(1.0, _SPARE * expected_seconds):
            print(f"{unit.file} and all after it: about {expected_seconds:.0f} s each, {left:.0f} s are left")
            return
        append(log, folder=folder.name, unit=unit.file, event="begun")
        before = time.monotonic()
        try:
            with one_thread():  # what the CPU does for a GPU is no more than one thread's work
                trained = train_unit(build.plan, unit, data, Way(device, mask_diverged=True))
        except Exception as error:
            append(log, folder=folder.name, unit=unit.file, event="failed", error=type(error).__name__)
            raise
        count = store(build, unit, trained)
        expected_seconds = time.monotonic() - before
        append(log, folder=folder.name, unit=unit.file, event="done", architectures=count,
               seconds=round(expected_seconds, 2))  # fmt: skip
        print(f"{unit.file}: {count} architectures in {expected_seconds:.1f} s", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_lease.builder", description=__doc__)
    parser.add_argument("--target", required=True, help="its name")
    parser.add_argument("--trainer", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--limit-seconds", type=float, required=True)
    parser.add_argument("--expected-seconds", type=float, default=0.0)
    parser.add_argument("--skip", nargs="*", default=[])
    a = parser.parse_args(arguments)
    end_if_orphaned()
    try:
        build(
            find_target(a.target), a.trainer, a.data, a.folder, a.log, a.device, a.limit_seconds,
            a.expected_seconds, set(a.skip),
        )  # fmt: skip
    except Exception as error:  # the next trainer takes over; what is left of the GPU's state ends here
        print(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
