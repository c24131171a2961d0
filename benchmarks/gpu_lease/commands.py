"""The commands that a lease runs apart, each in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.gpu_lease.budget import shard_for
from benchmarks.gpu_lease.lease import Lease
from benchmarks.gpu_lease.targets import Profile, Rows, Target


def unpack(lease: Lease, side: int) -> list[str]:
    """Make the file of images of this side."""
    return _module("benchmarks.gpu_lease.unpack", "--work", lease.work, "--side", side)


def check(lease: Lease, file: Path, limit_seconds: float) -> list[str]:
    """Hold every kernel to the plain network."""
    return _module(
        "nb201env.training.gpu.check", "--device", lease.device, "--json", file,
        "--limit-seconds", limit_seconds, *lease.todo.check,
    )  # fmt: skip


def rows(lease: Lease, what: Rows, wanted: Sequence[str], limit_seconds: float, each: float) -> list[str]:
    """Measure rows."""
    return _module(
        "benchmarks.speed.gpu", "--device", lease.device, "--task-shape", what.shape,
        "--jsonl", lease.work / what.file, "--limit-seconds", limit_seconds, "--each-seconds", each,
        "--rows", *wanted,
    )  # fmt: skip


def profile(lease: Lease, what: Profile) -> list[str]:
    """Time a step's kernels."""
    return _module(
        "benchmarks.speed.gpu_profile", "--device", lease.device, "--task-shape", what.shape,
        "--row", what.row,
        "--json", lease.work / what.file,
    )  # fmt: skip


def validate(lease: Lease, folder: Path, trainer: str, count: int, limit_seconds: float) -> list[str]:
    """Train architectures whose official numbers are known."""
    return _module(
        "benchmarks.studies", "official12", "run", "--reference", lease.reference,
        "--data", lease.images(32), "--out", folder, "--count", count, "--recipe", lease.todo.recipe,
        "--trainer", trainer, "--device", lease.device, "--shard", shard_for(trainer, lease.todo.shard),
        "--limit-seconds", limit_seconds,
    )  # fmt: skip


def build(
    lease: Lease, target: Target, trainer: str, limit_seconds: float, expected: float, skipped: Iterable[str]
) -> list[str]:
    """Build a target's missing shards."""
    return _module(
        "benchmarks.gpu_lease.builder", "--target", target.name, "--trainer", trainer,
        "--data", lease.images(target.side), "--folder", lease.folder(target.folder(trainer)),
        "--log", lease.work / "build.jsonl", "--device", lease.device, "--limit-seconds", limit_seconds,
        "--expected-seconds", expected, "--skip", *sorted(skipped),
    )  # fmt: skip


def _module(name: str, *arguments: object) -> list[str]:
    texts = (f"{a:.1f}" if isinstance(a, float) else str(a) for a in arguments)
    return [sys.executable, "-m", name, *texts]
