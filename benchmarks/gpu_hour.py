"""One GPU hour, spent in the order that matters; every part can be stopped and gone on with.

    python -m benchmarks.gpu_hour --data cifar10.npz --reference nb201_cifar10.csv --out hour --hours 1

1. check: the GPU trainers against the plain one on the CPU, every op on every edge;
2. measure: `benchmarks.bench_gpu`, into OUT/bench.json;
3. validate: official-12 against the official numbers, into OUT/validation (needs --reference);
4. build: the CIFAR-10 table class by class into OUT/cifar10, merged at the end.

A trainer that fails the check is not used: stacked, else graphs, else plain. Run the same command
again to go on: finished shards stay, the bench is not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from benchmarks import bench_gpu
from nb201env.space import NUM_EDGES, NUM_OPS, SKIP, Architecture
from training.build import TRAINERS, build, check_device
from training.data import Data, Split
from training.loop import train_plain
from training.merge import merge
from training.plan import Folder, Plan
from training.recipe import Recipe, find_recipe
from training.tasks import load_task
from training.validate import validate

SHARES = {"check": 0.05, "measure": 0.15, "validate": 0.20}  # of the whole; what is left builds
TASK, SEED = "cifar10-valid", 777
CHECKED = Recipe("check", epochs=1, width=16, cells=1, batch=32, train_images=64)  # two steps


class Clock:
    """Says where the hour stands."""

    def __init__(self, seconds: float) -> None:
        self.start, self.seconds = time.perf_counter(), seconds

    @property
    def left(self) -> float:
        return self.seconds - (time.perf_counter() - self.start)

    def share(self, stage: str) -> float:
        """Seconds for a stage: its share, or what is left if that is less."""
        return max(0.0, min(SHARES.get(stage, 1.0) * self.seconds, self.left))

    def say(self, stage: str, text: str) -> None:
        print(f"[{self.seconds - self.left:6.0f} of {self.seconds:.0f} s] {stage}: {text}", flush=True)


def every_op_on_every_edge() -> list[Architecture]:
    skips = Architecture((SKIP,) * NUM_EDGES)
    return [skips.replace(edge, op) for edge in range(NUM_EDGES) for op in range(NUM_OPS)]


def check(clock: Clock, device: str, limit_seconds: float) -> list[str]:
    """Names of the trainers whose first two steps are the plain ones, to rounding in their own type."""
    start = time.perf_counter()
    recipe = CHECKED
    rng = np.random.default_rng(0)
    split = Split(
        torch.from_numpy(rng.integers(0, 256, (64, 3, 16, 16)).astype(np.uint8)),
        torch.from_numpy(rng.integers(0, 10, 64)),
    )
    data = Data("check", dict.fromkeys(("train", "valid", "test"), split), torch.full((3,), 120.0),
                torch.full((3,), 70.0), 10)  # fmt: skip
    some = every_op_on_every_edge()
    expected = train_plain(some, data, recipe, SEED)[0].loss["train"][:, 0]
    good = []
    for name in ("stacked", "graphs"):
        if time.perf_counter() - start > limit_seconds:
            clock.say("check", f"time is up before {name}: not used")
            continue
        worst = 0.0
        try:
            for dtype, tolerance in ((torch.float32, 1e-3), (None, 3e-2)):
                trainer: Callable[..., object] = TRAINERS[name]
                logs = trainer(some, data.to(device), recipe, SEED, dtype=dtype)[0]  # type: ignore[index]
                off = np.abs(logs.loss["train"][:, 0] / expected - 1).max()
                worst = max(worst, float(off / tolerance))
        except Exception as error:  # whatever a new device brings up must not end the hour
            clock.say("check", f"{name}: not used, {type(error).__name__}: {error}")
            continue
        clock.say("check", f"{name}: the worst loss is off by {worst:.1%} of what is allowed")
        if worst <= 1:
            good.append(name)
    return [*good, "plain"]


def measure(clock: Clock, out: Path, device: str, limit_seconds: float) -> None:
    file = out / "bench.json"
    if file.exists():
        clock.say("measure", f"{file} is there")
        return
    data, recipe, counts = bench_gpu.prepare(device)
    steps = 30 if torch.device(device).type == "cuda" else 1
    found = bench_gpu.run(data, recipe, steps, limit_seconds, counts, lambda t: clock.say("measure", t))
    Console(width=110).print(bench_gpu.show(found))
    file.write_text(json.dumps(found, indent=1) + "\n")


def build_table(
    clock: Clock, source: Path, out: Path, device: str, trainer: str, recipe: Recipe, shard: int,
    only: tuple[int, ...], margin: float,
) -> None:  # fmt: skip
    """Shards until `margin` seconds are left, then the table of all that are there."""
    data = load_task(TASK, source)
    plan = Plan(TASK, data.digest, recipe, (SEED,), trainer, shard=shard, only=only)
    folder = Folder.create(out / "cifar10", plan)
    build(
        folder, source=source, device=device, limit_seconds=max(0.0, clock.left - margin),
        report=lambda p: clock.say("build", f"{p.done} of {p.total} shards, {p.per_hour:,.0f} a. per hour"),
    )  # fmt: skip
    if len(folder.missing()) == len(plan.units):
        clock.say("build", "no shard was finished; run the same command again")
        return
    table = merge(folder, out / "cifar10" / "table.safetensors", data)
    coverage = table.manifest["coverage"]
    clock.say("build", f"{coverage['trainings']:,} of {coverage['of']:,} classes; table {table.id}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Check, measure, validate, build, within one GPU hour.")
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10 as an .npz, or its files' folder")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of all results; gone on with if there"
    )
    parser.add_argument(
        "--reference", type=Path, help="CSV of the official numbers; without it no validation"
    )
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--recipe", default="official-12")
    parser.add_argument("--shard", type=int, default=64, help="architectures at once")
    parser.add_argument("--count", type=int, default=64, help="architectures of the validation")
    parser.add_argument("--only", default="", help="indices, as of nb201 build; default all classes")
    parser.add_argument("--margin", type=float, default=120, help="seconds kept for the shard in flight")
    a = parser.parse_args(arguments)
    clock, only = Clock(3600 * a.hours), tuple(int(i) for i in a.only.split(",") if i)
    try:
        check_device(a.device)
        a.out.mkdir(parents=True, exist_ok=True)
        trainer = check(clock, a.device, clock.share("check"))[0]
        clock.say("check", f"the trainer is {trainer}")
        measure(clock, a.out, a.device, clock.share("measure"))
        if a.reference is None:
            clock.say("validate", "skipped: no --reference")
        else:
            found = validate(
                a.reference, a.data, a.out / "validation", a.count, a.recipe, 1, a.device,
                clock.share("validate"), trainer,
            )  # fmt: skip
            if len(found.ours) > 1:
                clock.say(
                    "validate", f"tau {found.tau:.3f}, mean difference {100 * found.difference:+.2f} points"
                )
        recipe = find_recipe(a.recipe)
        build_table(clock, a.data, a.out, a.device, trainer, recipe, a.shard, only, a.margin)
    except (ValueError, OSError) as error:
        print(f"gpu_hour: {error}", file=sys.stderr)
        sys.exit(2)
    clock.say("end", "run the same command again to go on")


if __name__ == "__main__":
    main()
