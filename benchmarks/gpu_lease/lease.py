"""One lease: its folders, how much of its time is left, and what is written down as it goes."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmarks.checkout import ROOT
from benchmarks.gpu_lease.targets import Work
from benchmarks.gpu_lease.unpack import Parts
from benchmarks.jsonl import append, read_lines
from nb201env.files import appearing
from nb201env.processes import Ended, run_apart
from nb201env.training.builds.plan import Folder

REPORTS = "reports"
_PAGE = "|#`┏┃┡│└"  # how lines of Markdown and of drawn tables begin
RESERVE_SECONDS = 6.0
"""Kept for the archive at the end."""


@dataclass
class Lease:
    """Where a lease works and until when.

    Attributes:
        device: Where networks are trained.
        work: Stays between calls; everything is written here as it comes.
        out: What is brought home: the archive and the summary.
        carried: Where this call's parts lie, see `benchmarks.gpu_lease.pack`.
        builds: Finished shards of earlier leases, in the repository.
        todo: What is done.
        seconds: How long this call may take, the archive included.
    """

    device: str
    work: Path
    out: Path
    carried: Path
    builds: Path
    todo: Work
    seconds: float
    start: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds for work, at least 0."""
        return max(0.0, self.start + self.seconds - RESERVE_SECONDS - time.monotonic())

    @property
    def parts(self) -> Parts:
        """What has come of the packed files."""
        return Parts(self.work / "parts")

    def images(self, side: int) -> Path:
        """The file of the images of this side, whether it is there or not."""
        return self.work / f"cifar10-{side}px.npz"

    @property
    def reference(self) -> Path:
        """The file of official accuracies, whether it is there or not."""
        return self.work / "reference.csv"

    def folder(self, name: str) -> Path:
        """A build's folder."""
        return self.work / "builds" / name

    def say(self, stage: str, text: str) -> None:
        """A line of progress, at once."""
        print(f"[{time.monotonic() - self.start:4.0f} of {self.seconds:.0f} s] {stage}: {text}", flush=True)

    def run(self, stage: str, command: Sequence[str], limit_seconds: float) -> Ended:
        """Run a command apart, for this long or as long as the lease lasts; its lines are passed on.

        Those of pages and tables are not: what they are made of is brought home.
        """

        def pass_on(line: str) -> None:
            if line.strip() and line[0] not in _PAGE:
                self.say(stage, line)

        return run_apart(command, min(limit_seconds, self.left), pass_on)

    def note(self, stage: str, outcome: str, text: str, seconds: float = 0.0) -> None:
        """Write down how a stage ended: "done", "kept", "skipped", "time" or "failed"; and say it."""
        self.say(stage, text if outcome in ("done", "kept") else f"{outcome}: {text}")
        append(self.work / "stages.jsonl", stage=stage, outcome=outcome, text=text, seconds=round(seconds, 1))

    def outcomes(self) -> list[dict[str, Any]]:
        """What was written down so far, of earlier calls too."""
        return read_lines(self.work / "stages.jsonl")

    def begin(self) -> None:
        """Make the folders, and note the machine at the first call."""
        self.work.mkdir(parents=True, exist_ok=True)
        self.out.mkdir(parents=True, exist_ok=True)
        # Every process started from here finds its kernels there.
        os.environ["TRITON_CACHE_DIR"] = str(self.work.absolute() / "triton")
        os.environ["PYTHONUNBUFFERED"] = "1"
        if not (self.work / "machine.json").exists():
            (self.work / "machine.json").write_text(json.dumps(machine(self.device), indent=1) + "\n")

    @property
    def about(self) -> dict[str, Any]:
        """The machine."""
        found: dict[str, Any] = json.loads((self.work / "machine.json").read_text())
        return found


def machine(device: str) -> dict[str, Any]:
    """What a lease runs on: card, software, and a sha256 of the sources that its figures depend on."""
    cuda = torch.device(device).type == "cuda"
    return {
        "started": datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ"),
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "triton", "numpy")},
        "source": source_digest(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def source_digest(root: Path = ROOT) -> str:
    """sha256 of the training code and the bench: figures of other sources are not taken over."""
    found = hashlib.sha256()
    benches = [root / "benchmarks" / "speed" / name for name in ("gpu.py", "gpu_rows.py", "gpu_profile.py")]
    for file in [*sorted((root / "training").rglob("*.py")), *benches]:
        found.update(f"{file.relative_to(root)} {file.stat().st_size} ".encode() + file.read_bytes())
    return found.hexdigest()


def take_over(lease: Lease) -> None:
    """Begin where earlier leases stopped: shards, and what was measured on such a card with these sources."""
    for plan in sorted(lease.builds.glob("*/plan.json")):
        target = lease.folder(plan.parent.name)
        for file in [plan, *sorted(plan.parent.glob("shards/*.safetensors"))]:
            copy_once(file, target / file.relative_to(plan.parent))
    about = lease.about
    for report in sorted(lease.builds.glob(f"{REPORTS}/*/machine.json"), reverse=True):
        earlier = json.loads(report.read_text())
        if all(earlier.get(key) == about[key] for key in ("device", "source", "torch", "triton")):
            for file in (*report.parent.glob("rows-*.jsonl"), *report.parent.glob("profile-*.json")):
                copy_once(file, lease.work / file.name)


def copy_once(source: Path, target: Path) -> None:
    """Copy a file in one step, unless there is one."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with appearing(target) as new:
        shutil.copyfile(source, new)


def finished(folder: Path) -> dict[int, int]:
    """How many architectures of each seed a build has; none if there is no build."""
    if not (folder / "plan.json").is_file():
        return {}
    build = Folder.open(folder)
    missing, found = set(build.missing()), dict.fromkeys(build.plan.seeds, 0)
    for unit in build.plan.units:
        if unit not in missing:
            found[unit.seed] += len(build.plan.indices[build.plan.rows(unit)])
    return found


def covered(folder: Path) -> str:
    """One line on how far a build is: seeds and classes."""
    plan = Folder.open(folder).plan
    parts = [f"seed {seed}: {count:,}" for seed, count in finished(folder).items()]
    return f"{folder.name}: of {len(plan.indices):,} classes, {', '.join(parts)}"
