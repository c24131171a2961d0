"""Train everything a plan asks for: one shard after the other, in several processes, resumable."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from nb201env.space import Architecture
from training.data import SPLITS, Data
from training.fused import train_fused
from training.loop import DivergedTraining, Logs, train_plain
from training.network import Network
from training.plan import Folder, Unit, this_machine
from training.recipe import Recipe
from training.tasks import load_task
from training.weights import write_weights

Trainer = Callable[[Sequence[Architecture], Data, Recipe, int], tuple[Logs, list[Network]]]
TRAINERS: dict[str, Trainer] = {"plain": train_plain, "fused": train_fused}
"""Ways to train the architectures of a shard; all give the plain path's results, to rounding."""


class Progress(NamedTuple):
    """How far a build is.

    Attributes:
        done: Finished shards, those of earlier calls included.
        total: Shards of the whole plan.
        finished: Shards finished by this call.
        trainings: Architectures trained by this call (each seed counts).
        seconds: Since this call began.
    """

    done: int
    total: int
    finished: int
    trainings: int
    seconds: float

    @property
    def per_hour(self) -> float:
        """Trainings per hour, measured since this call began."""
        return 3600 * self.trainings / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float:
        """Estimated from the shards that this call has finished; infinite before the first."""
        if not self.finished:
            return float("inf")
        return self.seconds / self.finished * (self.total - self.done)


def find_trainer(name: str) -> Trainer:
    """A trainer by name.

    Raises:
        ValueError: If there is none; the message lists the names.
    """
    if name not in TRAINERS:
        raise ValueError(f"unknown trainer {name!r}; the trainers are {', '.join(TRAINERS)}")
    return TRAINERS[name]


def train_unit(folder: Folder, unit: Unit, data: Data, weights: bool = False) -> int:
    """Train one shard and write it; returns how many architectures it holds.

    Args:
        folder: Where it belongs.
        unit: Which one.
        data: The task's images, on the device that trains.
        weights: Also write every network's trained weights (`training.weights`).
    """
    plan = folder.plan
    architectures = plan.architectures(unit)
    start = time.perf_counter()
    logs, networks = find_trainer(plan.trainer)(architectures, data, plan.recipe, unit.seed)
    about = this_machine() | {
        "device": str(data.mean.device),
        "seconds": round(time.perf_counter() - start, 3),
    }
    if weights:
        for network in networks:
            write_weights(folder.path / "weights", network, unit.seed, plan.digest)
    folder.write(unit, _arrays(logs), about)
    return len(architectures)


def _arrays(logs: Logs) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {"measured_seconds": logs.seconds}
    for split in SPLITS:
        arrays[f"{split}_correct"] = logs.correct[split].astype(np.int32)
        arrays[f"{split}_loss"] = logs.loss[split]
    return arrays


def build(
    folder: Folder,
    *,
    source: Path | None = None,
    jobs: int = 1,
    device: str = "cpu",
    weights: bool = False,
    limit_seconds: float | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Train all missing shards of a folder.

    Args:
        folder: The build.
        source: Where the task's images are.
        jobs: Processes; each trains one shard at a time on one thread. The results do not
            depend on it.
        device: Where to train.
        weights: Also keep the trained weights.
        limit_seconds: Start no shard after this time; those in flight are finished.
        report: Called after every shard.

    Raises:
        DivergedTraining: If a loss stopped being a number; all other shards are trained first.
        OSError: If a shard cannot be written; those finished are safe.
    """
    start, total = time.perf_counter(), len(folder.plan.units)
    todo = folder.missing()
    progress = Progress(total - len(todo), total, 0, 0, 0.0)
    report(progress)
    diverged: list[DivergedTraining] = []

    def in_time() -> bool:
        return limit_seconds is None or time.perf_counter() - start < limit_seconds

    run = _run_here if jobs == 1 else _run_in_processes
    for outcome in run(folder, todo, source, jobs, device, weights, in_time):
        if isinstance(outcome, DivergedTraining):
            diverged.append(outcome)
            continue
        progress = Progress(
            progress.done + 1, total, progress.finished + 1, progress.trainings + outcome,
            time.perf_counter() - start,
        )  # fmt: skip
        report(progress)
    if diverged:
        raise DivergedTraining(f"{len(diverged)} of {total} shards diverged; the first: {diverged[0]}")
    return progress


Outcome = int | DivergedTraining


def _run_here(
    folder: Folder, todo: Sequence[Unit], source: Path | None, _: int, device: str, weights: bool,
    in_time: Callable[[], bool],
) -> Iterator[Outcome]:  # fmt: skip
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        data = load_task(folder.plan.task, source).to(device)
        for unit in todo:
            if not in_time():
                return
            try:
                yield train_unit(folder, unit, data, weights)
            except DivergedTraining as error:
                yield error
    finally:
        torch.set_num_threads(threads)


def _run_in_processes(
    folder: Folder, todo: Sequence[Unit], source: Path | None, jobs: int, device: str, weights: bool,
    in_time: Callable[[], bool],
) -> Iterator[Outcome]:  # fmt: skip
    context = multiprocessing.get_context("spawn")
    arguments = (folder, source, device, weights)
    with ProcessPoolExecutor(jobs, context, initializer=_prepare, initargs=arguments) as pool:
        waiting, flying = list(reversed(todo)), set[Future[int]]()
        while waiting or flying:
            while waiting and len(flying) < jobs and in_time():
                flying.add(pool.submit(_train_prepared, waiting.pop()))
            if not flying:
                return
            landed, flying = wait(flying, return_when=FIRST_COMPLETED)
            for future in landed:
                error = future.exception()
                if error is not None and not isinstance(error, DivergedTraining):
                    raise error
                yield error if isinstance(error, DivergedTraining) else future.result()


_prepared: tuple[Folder, Data, bool] | None = None


def _prepare(folder: Folder, source: Path | None, device: str, weights: bool) -> None:
    """Load the images once in each process of the pool."""
    global _prepared
    torch.set_num_threads(1)
    _prepared = folder, load_task(folder.plan.task, source).to(device), weights


def _train_prepared(unit: Unit) -> int:
    assert _prepared is not None
    folder, data, weights = _prepared
    return train_unit(folder, unit, data, weights)
