"""Train everything a plan asks for: one shard after the other, in several processes, resumable."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nb201env.architecture import Architecture
from nb201env.arrays import Array
from nb201env.extras import require
from nb201env.processes import end_with_parent
from nb201env.training.builds.divergence import train_masked
from nb201env.training.builds.plan import Folder, Plan, Unit, this_machine
from nb201env.training.builds.weights import Weights, weights_of, write_weights
from nb201env.training.data import SPLITS, Data
from nb201env.training.gpu.graphs import activations_on
from nb201env.training.gpu.stacked import best_backend
from nb201env.training.images.tasks import load_task
from nb201env.training.loop import DivergedTraining, Logs
from nb201env.training.threads import one_thread
from nb201env.training.trainers import check_device, find_trainer


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
    *,
    source: Path | None = None,
    jobs: int = 1,
    device: str = "cpu",
    weights: bool = False,
    mask_diverged: bool = False,
    limit_seconds: float | None = None,
    share: tuple[int, int] = (1, 1),
    cluster: Cluster | None = None,
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
        mask_diverged: Let a training whose loss stops being a number be a missing run, which the
            table's manifest names. Shards in which that happens are trained again without it.
        limit_seconds: Start no shard after this time; those in flight are finished.
        share: (k, n): train only every n-th shard, from the k-th on, because other machines build
            the others into the same folder.
        cluster: Train on this Ray cluster instead of this machine's processes.
        report: Called after every shard.

    Raises:
        DivergedTraining: If a loss stopped being a number and is not to be masked; all other shards
            are trained first.
        OSError: If a shard cannot be written; those finished are safe.
    """
    if cluster is None:
        check_device(device)
    start, total = time.perf_counter(), len(folder.plan.units)
    missing = folder.missing()
    progress = Progress(total - len(missing), total, 0, 0, 0.0)
    mine = set(folder.plan.units[share[0] - 1 :: share[1]])
    todo = [unit for unit in missing if unit in mine]
    report(progress)
    way = Way(device, weights, mask_diverged)
    diverged: list[DivergedTraining] = []

    def in_time() -> bool:
        return limit_seconds is None or time.perf_counter() - start < limit_seconds

    if cluster is not None:
        outcomes = run_on_ray(cluster, folder, todo, source, jobs, way, in_time)
    else:
        run = _run_here if jobs == 1 else _run_in_processes
        outcomes = run(folder, todo, source, jobs, way, in_time)
    for outcome in outcomes:
        if isinstance(outcome, DivergedTraining):
            diverged.append(outcome)
            continue
        progress = Progress(
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


Outcome = int | DivergedTraining


def _run_here(
    folder: Folder, todo: Sequence[Unit], source: Path | None, _: int, way: Way, in_time: Callable[[], bool]
) -> Iterator[Outcome]:
    data = load_task(folder.plan.task, source).to(way.device)
    for unit in todo:
        if not in_time():
            return
        try:
            with one_thread():
                trained = train_unit(folder.plan, unit, data, way)
        except DivergedTraining as error:
            yield error.with_traceback(None)  # whose frames hold the networks and their memory
        else:
            yield store(folder, unit, trained)


def _run_in_processes(
    folder: Folder,
    todo: Sequence[Unit],
    source: Path | None,
    jobs: int,
    way: Way,
    in_time: Callable[[], bool],
) -> Iterator[Outcome]:
    context = multiprocessing.get_context("spawn")
    arguments = (folder, source, way)
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


_prepared: tuple[Folder, Data, Way] | None = None


def _prepare(folder: Folder, source: Path | None, way: Way) -> None:
    """Load the images once in each process of the pool."""
    global _prepared
    end_with_parent()
    torch.set_num_threads(1)
    _prepared = folder, load_task(folder.plan.task, source).to(way.device), way


def _train_prepared(unit: Unit) -> int:
    assert _prepared is not None
    folder, data, way = _prepared
    return store(folder, unit, train_unit(folder.plan, unit, data, way))


# -- Ray -------------------------------------------------------------------------------------


class Cluster(NamedTuple):
    """A Ray cluster.

    Attributes:
        address: "local" (workers on this machine), "auto" (the cluster this machine belongs to)
            or "ray://host:10001".
        cpus: Cores per shard.
        gpus: GPUs per shard; 0.25 puts four shards on one GPU.
    """

    address: str = "local"
    cpus: float = 1
    gpus: float = 0


def run_on_ray(
    cluster: Cluster, folder: Folder, todo: Sequence[Unit], source: Path | None, jobs: int, way: Way,
    in_time: Callable[[], bool],
) -> Iterator[Outcome]:  # fmt: skip
    """Train shards on a Ray cluster, `jobs` at a time.

    The images travel once to each host and the results come back here, so the hosts share no
    folder. A shard whose worker or host is lost is trained again elsewhere.
    """
    ray: Any = require("ray", "ray")
    ray.init(address=cluster.address, num_cpus=jobs if cluster.address == "local" else None,
             log_to_driver=False, configure_logging=False)  # fmt: skip
    try:
        data = ray.put(load_task(folder.plan.task, source))
        remote = ray.remote(num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=-1)(_train_remotely)
        waiting, flying = list(reversed(todo)), dict[Any, Unit]()
        while waiting or flying:
            while waiting and len(flying) < jobs and in_time():
                unit = waiting.pop()
                flying[remote.remote(folder.plan, unit, data, way)] = unit
            if not flying:
                return
            (landed,), _ = ray.wait(list(flying), num_returns=1)
            outcome = ray.get(landed)
            unit = flying.pop(landed)
            yield outcome if isinstance(outcome, DivergedTraining) else store(folder, unit, outcome)
    finally:
        ray.shutdown()


def _train_remotely(plan: Plan, unit: Unit, data: Data, way: Way) -> Trained | DivergedTraining:
    torch.set_num_threads(1)
    try:
        return train_unit(plan, unit, data, way)
    except DivergedTraining as error:
        return error
