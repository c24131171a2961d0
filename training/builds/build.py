"""Train everything a plan asks for: one shard after the other, in several processes, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nb201env import workers
from nb201env.architecture import Architecture
from nb201env.arrays import Array
from nb201env.training.builds.divergence import train_masked
from nb201env.training.builds.plan import Folder, Plan, this_machine
from nb201env.training.builds.shards import Unit
from nb201env.training.builds.weights import Weights, weights_of, write_weights
from nb201env.training.data import SPLITS, Data
from nb201env.training.gpu.graphs import activations_on
from nb201env.training.gpu.stacked import best_backend
from nb201env.training.images.tasks import load_task
from nb201env.training.loop import DivergedTraining, Logs
from nb201env.training.threads import one_thread
from nb201env.training.trainers import check_device, find_trainer
from nb201env.workers import Cluster, WorkerDied

_RETRIES = 10
"""How many lost workers or hosts of a cluster a shard survives; what kills its worker each time ends then."""


class BuildProgress(NamedTuple):
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


class Way(NamedTuple):
    """How shards are trained, apart from what the plan says.

    Attributes:
        device: Where.
        weights: Also hand over every network's trained weights.
        mask_diverged: A training whose loss stops being a number is a missing run, not an error.
    """

    device: str = "cpu"
    weights: bool = False
    mask_diverged: bool = False


ON_CPU = Way()


class Trained(NamedTuple):
    """A trained shard on its way to its file.

    Attributes:
        arrays: The shard's arrays.
        about: Where and how long it was trained.
        weights: The trained weights by architecture; empty if they are not wanted.
    """

    arrays: dict[str, Array]
    about: dict[str, Any]
    weights: list[tuple[Architecture, Weights]]


def train_unit(plan: Plan, unit: Unit, data: Data, way: Way) -> Trained:
    """Train one shard; nothing is written.

    Args:
        plan: The build.
        unit: Which shard.
        data: The task's images.
        way: How.

    Raises:
        DivergedTraining: If a loss stopped being a number, unless `way` masks such trainings.
    """
    start = time.perf_counter()
    trainer, chosen, data = find_trainer(plan.trainer), plan.architectures(unit), data.to(way.device)
    about: dict[str, Any] = this_machine(data.mean.device) | arithmetic(plan.trainer, data.mean.device)
    lost: list[Architecture] = []
    if way.mask_diverged:
        logs, networks, lost = train_masked(trainer, chosen, data, plan.recipe, unit.seed)
    else:
        logs, networks = trainer(chosen, data, plan.recipe, unit.seed)
    if lost:
        about["diverged"] = [{"architecture": str(one), "seed": unit.seed} for one in lost]
    about["seconds"] = round(time.perf_counter() - start, 3)
    kept = [(n.architecture, weights_of(n)) for n in networks] if way.weights else []
    return Trained(_arrays(logs), about, kept)


def arithmetic(trainer: str, device: torch.device) -> dict[str, str]:
    """For a shard's manifest: the type of a trainer's activations, and Triton's version if it is used."""
    dtype = activations_on(device) if trainer in ("graphs", "stacked") else torch.float32
    found = {"activations": str(dtype).removeprefix("torch.")}
    if trainer == "stacked" and best_backend(device) == "triton":
        found["triton"] = version("triton")
    return found


def store(folder: Folder, unit: Unit, trained: Trained) -> int:
    """Write a trained shard, its weights first; returns how many architectures it holds."""
    for architecture, weights in trained.weights:
        write_weights(folder.store, architecture, unit.seed, folder.plan.digest, weights)
    folder.write(unit, trained.arrays, trained.about)
    return trainings_in(trained.arrays)


def trainings_in(arrays: dict[str, Array]) -> int:
    """How many trainings a shard holds, the masked ones not counted."""
    return int((arrays["train_correct"][:, -1] >= 0).sum())


def _arrays(logs: Logs) -> dict[str, Array]:
    arrays: dict[str, Array] = {"measured_seconds": logs.seconds}
    for split in SPLITS:
        arrays[f"{split}_correct"] = logs.correct[split].astype(np.int32)
        arrays[f"{split}_loss"] = logs.loss[split]
    return arrays


def build(
    folder: Folder,
    way: Way = ON_CPU,
    *,
    source: Path | Data | None = None,
    jobs: int = 1,
    limit_seconds: float | None = None,
    share: tuple[int, int] = (1, 1),
    cluster: Cluster | None = None,
    report: Callable[[BuildProgress], None] = lambda _: None,
) -> BuildProgress:
    """Train all missing shards of a folder.

    Args:
        folder: The build.
        way: How each shard is trained. If trainings that diverge are masked, the shards in which
            that happens are trained a second time without them.
        source: Where the task's images are, or the images themselves.
        jobs: Processes; each trains one shard at a time on one thread. The results do not
            depend on it.
        limit_seconds: Start no shard after this time; those in flight are finished.
        share: (k, n): train only every n-th shard, from the k-th on, because other machines build
            the others into the same folder.
        cluster: Train on this Ray cluster instead of this machine's processes.
        report: Called after every shard.

    Raises:
        DivergedTraining: If a loss stopped being a number and is not to be masked; all other shards
            are trained first.
        OSError: If a shard cannot be written, the process that trains it dies twice, or the cluster loses
            all that could train it; those finished are safe.
        ValueError: If the device, the limit or the share is none, or the images are not the plan's.
    """
    check_device(way.device, here=cluster is None)
    workers.check_limit(limit_seconds)
    if not 1 <= share[0] <= share[1]:
        raise ValueError(f"a share is (k, n), the k-th of n; got {share}")
    folder.store.sweep("shards")
    start, total = time.perf_counter(), len(folder.plan.units)
    missing = folder.missing()
    progress = BuildProgress(total - len(missing), total, 0, 0, 0.0)
    mine = set(folder.plan.units[share[0] - 1 :: share[1]])
    todo = [unit for unit in missing if unit in mine]
    report(progress)
    diverged: list[DivergedTraining] = []
    shards = _Shards(folder.plan, way, source)
    left = None if limit_seconds is None else max(0.0, limit_seconds - (time.perf_counter() - start))
    for outcome in _built(folder, shards, todo, jobs, cluster, left):
        if isinstance(outcome, DivergedTraining):
            diverged.append(outcome.with_traceback(None))  # whose frames hold the networks and their memory
            continue
        progress = BuildProgress(
            progress.done + 1, total, progress.finished + 1, progress.trainings + outcome,
            time.perf_counter() - start,
        )  # fmt: skip
        report(progress)
    if diverged:
        raise DivergedTraining(
            f"{len(diverged)} of {total} shards diverged; the first: {diverged[0]}",
            [architecture for error in diverged for architecture in error.architectures],
        )
    return progress


def _built(
    folder: Folder, shards: _Shards, todo: Sequence[Unit], jobs: int, cluster: Cluster | None,
    limit_seconds: float | None,
) -> Iterator[int | DivergedTraining]:  # fmt: skip
    """Train and store shards; how many architectures each holds, or why it holds none, as they end."""
    if cluster is None:
        into = partial(_train_into, folder, shards)
        for done in workers.local(into, todo, jobs, limit_seconds=limit_seconds):
            yield _stored(done.job, done.error) or done.result()
        return
    shards = replace(shards, images=shards.load())
    for trained in workers.ray(
        shards.train, todo, jobs, cluster, retries=_RETRIES, limit_seconds=limit_seconds
    ):
        yield _stored(trained.job, trained.error) or store(folder, trained.job, trained.result())


def _stored(unit: Unit, error: Exception | None) -> DivergedTraining | None:
    """Why a shard holds nothing, if it diverged; raises what a lost process raises, with what to do."""
    if isinstance(error, WorkerDied):
        raise WorkerDied(
            f"{unit.file}: {error}; all finished shards are safe: give it more memory, or fewer --jobs, and "
            "run the same command again"
        ) from error
    return error if isinstance(error, DivergedTraining) else None


def _train_into(folder: Folder, shards: _Shards, unit: Unit) -> int:
    return store(folder, unit, shards.train(unit))


@dataclass(frozen=True)
class _Shards:
    """Trains a plan's shards on images that every worker loads once, unless it is given them."""

    plan: Plan
    way: Way
    source: Path | Data | None
    images: Data | None = None

    @cached_property
    def data(self) -> Data:
        return (self.images or self.load()).to(self.way.device)

    def load(self) -> Data:
        """The plan's images."""
        given = isinstance(self.source, Data)
        images = self.source if isinstance(self.source, Data) else load_task(self.plan.task, self.source)
        if images.digest != self.plan.data:
            where = "given" if given else f"in {self.source}"
            raise ValueError(f"the images {where} are not those of the plan; give the plan's own")
        return images

    def train(self, unit: Unit) -> Trained:
        with one_thread():
            return train_unit(self.plan, unit, self.data, self.way)
