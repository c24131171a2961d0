"""The stages of a lease. Each runs apart, ends at its limit, and leaves what it has finished.

A stage returns nothing: what it found lies in the work folder, how it ended in ``stages.jsonl``. A
trainer that fails gives way to the next best, in the order that the check found usable.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_lease import budget, commands
from benchmarks.gpu_lease.lease import Lease, covered, finished, take_over
from benchmarks.gpu_lease.targets import Target
from benchmarks.gpu_lease.unpack import unpack_file, unpack_folder
from benchmarks.jsonl import read_lines
from benchmarks.studies.official12 import read_reference, write_report
from nb201env.training.builds.plan import Folder
from nb201env.training.gpu.check import usable as usable_of
from nb201env.training.gpu.kernel_cache import install

_ENDING = 6.0  # seconds that a check has to begin, and to write down what was done when its time is up
_ROW = 60.0  # seconds that one row may take
_STARTING = 15.0  # seconds until a first shard's kernels are there and its steps are recorded
Stage = Callable[[Lease, float], None]


def receive(lease: Lease) -> None:
    """Take in what this call brought, and what earlier leases finished.

    Raises:
        ValueError: If a part is damaged.
        OSError: If a file cannot be read or written.
    """
    lease.parts.receive(lease.carried)
    unpack_file(lease.parts, "reference.csv.xz", lease.reference)
    kernels = lease.work / "kernels"
    if not kernels.exists() and unpack_folder(lease.parts, "kernels.tar.xz", kernels):
        there = install(kernels, lease.work / "triton")
        lease.say("kernels", f"{there} compiled ahead are in Triton's cache")
    take_over(lease)


def images(lease: Lease, side: int) -> bool:
    """Make the images of this side, if they came; returns whether they are there."""
    if lease.images(side).exists():
        return True
    if not lease.parts.has_images(side):
        return False
    ended = lease.run("images", commands.unpack(lease, side), lease.todo.limits["images"])
    if ended.why:
        lease.note("images", "failed", f"{side} pixels: {ended.why}", ended.seconds)
    return not ended.why


# -- check, rows and profile ---------------------------------------------------------------------------


def check(lease: Lease, limit_seconds: float) -> None:
    """Which trainers can be used on this machine, into ``check.json``."""
    found = usable(lease)
    if found and not cut_short(lease):
        lease.note("check", "kept", f"was done on this machine; usable: {', '.join(found)}")
        return
    file, own_limit = lease.work / "check.json", max(1.0, limit_seconds - _ENDING)
    ended = lease.run("check", commands.check(lease, file, own_limit), limit_seconds)
    found = usable(lease)
    if not found:
        lease.note("check", "failed", ended.why or "no trainer is known to be right", ended.seconds)
    elif ended.code is None or cut_short(lease):
        lease.note("check", "time", f"not all of it was done; usable: {', '.join(found)}", ended.seconds)
    else:
        lease.note("check", "done", f"usable: {', '.join(found)}", ended.seconds)


def usable(lease: Lease) -> list[str]:
    """The trainers that the check lets through, best first; empty if there was no check."""
    verdicts = _verdicts(lease)
    return usable_of(verdicts) if verdicts else []


def cut_short(lease: Lease) -> bool:
    """Whether a part of the check ran out of time, so that another call should run it again."""
    return any("time was up" in str(verdict.get("problem")) for verdict in _verdicts(lease))


def _verdicts(lease: Lease) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads((lease.work / "check.json").read_text())
    except (FileNotFoundError, ValueError):
        return []
    return found


def rows(lease: Lease, limit_seconds: float) -> None:
    """Speeds of all trainers, the most valuable first, into ``rows-*.jsonl``."""
    start, why, measured = time.monotonic(), "", 0
    for what in lease.todo.rows:
        wanted = _missing(lease, what.file, what.rows)
        left = min(limit_seconds - (time.monotonic() - start), lease.left)
        if not wanted:
            continue
        if left < 1:
            why = why or "time is up"
            break
        each = min(_ROW, left / 2)
        ended = lease.run("rows", commands.rows(lease, what, wanted, left - 1, each), left)
        still = _missing(lease, what.file, what.rows)
        measured += len(wanted) - len(still)
        if ended.why or still:
            missing = ", ".join(still) or "nothing"
            why = f"not measured: {missing} of {what.shape}; {ended.why or 'time is up'}"
    seconds = time.monotonic() - start
    if why:
        lease.note("rows", "time" if "time" in why else "failed", why, seconds)
    else:
        lease.note("rows", "done" if measured else "kept", f"{measured} measured, all are there", seconds)


def _missing(lease: Lease, file: str, wanted: tuple[str, ...]) -> list[str]:
    there = {row.get("row") for row in read_lines(lease.work / file)}
    return [row for row in wanted if row not in there]


def profile(lease: Lease, limit_seconds: float) -> None:
    """Where a step's time goes, kernel by kernel, into ``profile-*.json``."""
    start, missing, why = time.monotonic(), [], ""
    for what in lease.todo.profiles:
        left = min(limit_seconds - (time.monotonic() - start), lease.left)
        if (lease.work / what.file).exists():
            continue
        missing.append(what.shape)
        if left >= 1:
            why = lease.run("profile", commands.profile(lease, what), left).why or why
    seconds = time.monotonic() - start
    there = [what.shape for what in lease.todo.profiles if (lease.work / what.file).exists()]
    if len(there) == len(lease.todo.profiles):
        lease.note("profile", "done" if missing else "kept", ", ".join(there), seconds)
    else:
        outcome = "failed" if why and "time" not in why else "time"
        lease.note(
            "profile", outcome, f"there is {', '.join(there) or 'none'}; {why or 'time is up'}", seconds
        )


# -- validate ---------------------------------------------------------------------------------


def validate(lease: Lease, limit_seconds: float) -> None:
    """The recipe against the official numbers, with as many architectures as fit."""
    start, recipe = time.monotonic(), lease.todo.recipe
    done = {f.name: sum(finished(f).values()) for f in lease.folder("").glob(f"validate-{recipe}-*")}
    if done and max(done.values()) >= lease.todo.least:
        best = max(done, key=lambda name: done[name])
        lease.note("validate", "kept", f"{best} has {done[best]} architectures")
        return
    if not lease.reference.exists() or not images(lease, 32):
        what = "32-pixel images" if lease.reference.exists() else "reference CSV"
        lease.note("validate", "skipped", f"the {what} has not come; carry all parts")
        return
    for trainer in _trainers(lease, "validate", recipe, lease.todo.shard):
        left = min(limit_seconds - (time.monotonic() - start), lease.left)
        if left < 1:
            lease.note("validate", "time", f"time is up before {trainer}", time.monotonic() - start)
            return
        if _validate(lease, trainer, left):
            return


def _validate(lease: Lease, trainer: str, left: float) -> bool:
    """Validate with one trainer; returns whether no other has to try."""
    folder = lease.folder(f"validate-{lease.todo.recipe}-{trainer}")
    shard = budget.shard_for(trainer, lease.todo.shard)
    measured = read_lines(lease.work / f"rows-{lease.todo.recipe}.jsonl")
    if (folder / "plan.json").is_file():
        count = len(Folder.open(folder).plan.only)
    else:
        count = budget.how_many(measured, trainer, left, lease.todo.least, lease.todo.most, shard)
    lease.say("validate", f"{count} architectures, trainer {trainer}")
    each = budget.seconds_each(measured, trainer, shard) or 0.0
    begin_until = max(1.0, left - 1 - shard * each)  # a shard begun later would be lost
    ended = lease.run("validate", commands.validate(lease, folder, trainer, count, begin_until), left)
    there = sum(finished(folder).values())
    said = f"{there} of {count} architectures, trainer {trainer}{_comparison(lease, folder, there)}"
    if not ended.why:
        lease.note("validate", "done" if there >= count else "time", said, ended.seconds)
    else:
        outcome = "time" if ended.code is None else "failed"
        lease.note("validate", outcome, f"{said}; {ended.why}", ended.seconds)
    return not ended.why or ended.code is None


def _comparison(lease: Lease, folder: Path, there: int) -> str:
    """Writes the report of what is finished; returns its figures."""
    if there < 2:
        return ""
    with np.load(lease.images(32)) as file:
        valid_images = len(file["y_train"]) // 2
    found = write_report(Folder.open(folder), read_reference(lease.reference), valid_images)
    return f": tau {found.tau:.3f}, mean difference {100 * found.difference:+.2f} points"


# -- build ------------------------------------------------------------------------------------


def build(lease: Lease, limit_seconds: float) -> None:
    """Shards of the first target that is not whole, and so on, until the time is up."""
    start = time.monotonic()
    for target in lease.todo.targets:
        left = min(limit_seconds - (time.monotonic() - start), lease.left)
        if left < 1:
            return
        if not images(lease, target.side):
            lease.note("build", "skipped", f"{target.name}: images of {target.side} pixels have not come")
            continue
        for trainer in _trainers(lease, "build", target.recipe.name, target.shard):
            if _build(lease, target, trainer, start + limit_seconds):
                break


def _build(lease: Lease, target: Target, trainer: str, end: float) -> bool:
    """Build with one trainer; returns whether no other has to try.

    A shard whose training raises is left out, and the next begun in a new process; two without a
    finished one between them are the trainer's fault.
    """
    folder, start = lease.folder(target.folder(trainer)), time.monotonic()
    skipped, before = set[str](), sum(finished(folder).values())
    while (left := min(end - time.monotonic(), lease.left)) >= 1:
        events = len(_events(lease, folder))
        expected = _expected(lease, target, trainer)
        ended = lease.run("build", commands.build(lease, target, trainer, left - 1, expected, skipped), left)
        new = _events(lease, folder)[events:]
        if not ended.why:
            break
        if ended.code is None:
            lease.say("build", ended.why)
            break
        lease.note("build", "failed", f"{folder.name}: {ended.why}", ended.seconds)
        if not new or (skipped and not any(e["event"] == "done" for e in new)):
            return False
        skipped.add(new[-1]["unit"])
    seconds, there = time.monotonic() - start, sum(finished(folder).values())
    if there == before:
        lease.note("build", "kept" if _whole(folder) else "time", f"{folder.name}: nothing new", seconds)
    else:
        lease.note("build", "done", f"{there - before} new trainings; {covered(folder)}", seconds)
    return True


def _whole(folder: Path) -> bool:
    return (folder / "plan.json").is_file() and not Folder.open(folder).missing()


def _events(lease: Lease, folder: Path) -> list[dict[str, str]]:
    return [line for line in read_lines(lease.work / "build.jsonl") if line["folder"] == folder.name]


def _expected(lease: Lease, target: Target, trainer: str) -> float:
    """Seconds of the next shard: as the last one, or by the rows; 0 if neither is known."""
    for line in reversed(read_lines(lease.work / "build.jsonl")):
        if line["folder"] == target.folder(trainer) and line["event"] == "done":
            return float(line["seconds"])
    shard = budget.shard_for(trainer, target.shard)
    each = budget.seconds_each(read_lines(lease.work / f"rows-{target.recipe.name}.jsonl"), trainer, shard)
    return 0.0 if each is None else _STARTING + shard * each


def _trainers(lease: Lease, stage: str, recipe: str, shard: int) -> list[str]:
    """Whom to try, best first; none, and a note, without a check."""
    found = usable(lease)
    if not found:
        lease.note(stage, "skipped", "no trainer is known to be right here; run the check first")
    return budget.order(found, read_lines(lease.work / f"rows-{recipe}.jsonl"), shard)


STAGES: dict[str, Stage] = {
    "check": check, "rows": rows, "profile": profile, "validate": validate, "build": build,
}  # fmt: skip
"""In the order of their value."""
