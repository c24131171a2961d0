"""What stands in for the real parts of a GPU lease: commands that train nothing, shards of any numbers."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_lease import home
from benchmarks.gpu_lease.lease import Lease
from benchmarks.gpu_lease.targets import Profile, Rows, Target
from nb201env.training.builds.plan import Folder, Plan
from nb201env.training.builds.shards import COLUMNS
from nb201env.training.recipe import find_recipe


def shell(text: str) -> list[str]:
    return ["sh", "-c", text]


def check_command(*wrong: str, problem: str = "it is wrong") -> Callable[..., list[str]]:
    """A check that finds these trainers wrong."""
    verdicts = [
        {"part": f"{name}16x32", "trainer": name, "ok": name not in wrong,
         "problem": problem if name in wrong else ""}
        for name in ("stacked", "graphs")
    ]  # fmt: skip
    return lambda lease, file, *_: shell(f"echo '{json.dumps(verdicts)}' > {file}; echo checked")


def rows_command(lease: Lease, what: Rows, wanted: list[str], *_: float) -> list[str]:
    lines = [json.dumps(row(name, count)) for name, count in (label.split(":") for label in wanted)]
    return shell(" && ".join(f"echo '{line}' >> {lease.work / what.file}" for line in lines))


def profile_command(lease: Lease, what: Profile) -> list[str]:
    kernels = [{"name": "node_sum", "launches": 24, "seconds": 0.0015}]
    found = {"row": what.row, "shape": what.shape, "device": "cpu", "step_seconds": 0.002, "kernels": kernels}
    return shell(f"echo '{json.dumps(found)}' > {lease.work / what.file}")


def row(trainer: str, networks: str | int, per_hour: float = 3600.0, error: str = "") -> dict[str, Any]:
    return {
        "row": f"{trainer}:{networks}",
        "trainer": trainer,
        "networks": int(networks),
        "architectures_per_hour": per_hour,
        "error": error,
    }


def build_command(
    lease: Lease, target: Target, trainer: str, limit: float, expected: float, skipped: set[str]
) -> list[str]:
    """Makes one shard after the other without training anything."""
    write_shards(lease.folder(target.folder(trainer)), 2, target.plan(trainer, "0" * 64))
    return shell("echo built")


def validate_command(lease: Lease, folder: Path, *_: Any) -> list[str]:
    write_shards(folder, 2)
    return shell("echo validated")


def write_shards(folder: Path, count: int, plan: Plan | None = None, loss: float = 1.0) -> None:
    """The first shards of a build, with any numbers."""
    plan = plan or Plan("cifar10-valid", "0" * 64, find_recipe("smoke-2"), (777,), "stacked", shard=1,
                        only=(62, 3124))  # fmt: skip
    build = Folder.create(folder, plan)
    for unit in plan.units[:count]:
        shape = (len(plan.architectures(unit)), plan.recipe.epochs)
        arrays = {
            name: np.full(shape, *((1, np.int32) if "correct" in name else (loss, np.float32)))
            for name in COLUMNS
        }
        about = {"torch": "2.0", "device": "cuda:0", "processor": "none", "seconds": 1.0}
        build.write(unit, arrays | {"measured_seconds": np.ones(shape, np.float32)}, about)


def outcome(lease: Lease, stage: str) -> tuple[str, str]:
    line = next(line for line in reversed(lease.outcomes()) if line["stage"] == stage)
    return line["outcome"], line["text"]


def archived(lease: Lease) -> set[str]:
    with tarfile.open(lease.out / home.ARCHIVE) as archive:
        return {name for name in archive.getnames() if not name.startswith("triton/")}
