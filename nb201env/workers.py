"""Workers: one function called with many jobs, here, in several processes, or on a Ray cluster.

    for done in processes(work, jobs, 4):
        print(done.job, done.result())

Each of `here`, `processes` and `ray` yields a `Done` per job as jobs end; the results do not depend on which
of them is used. A job that raises does not disturb the others: its error is handed back, and `Done.result`
raises it. Closing the iterator, because of an error or of Ctrl-C, cancels all jobs that have not begun and
waits for the others; until then no further job begins either. `in_order` closes it at the first error.

`work` must be picklable. Every worker gets it once, not once per job, and keeps it. So what `work` loads for
its first job, for instance in a `functools.cached_property`, is there for the next ones.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any, Generic, NamedTuple, TypeVar, cast

from nb201env.extras import require
from nb201env.processes import end_with_parent

Job = TypeVar("Job")
Result = TypeVar("Result")
Work = Callable[[Job], Result]
Hear = Callable[[Any], None]


class WorkerDied(ChildProcessError):
    """A job's process or host ended before the job did: it was killed, crashed, or ran out of memory."""


class NoCluster(ConnectionError):
    """There is no Ray cluster at an address, or nothing of it is left that could do the jobs."""


@dataclass(frozen=True)
class Done(Generic[Job, Result]):
    """A job that has ended.

    Attributes:
        job: The job.
        place: Its place among the jobs, from 0.
        value: What the work returned; None if it failed.
        error: Why it failed; None if it did not. `WorkerDied` if its process ended or its host was
            lost, otherwise what the work raised.
    """

    job: Job
    place: int
    value: Result | None = None
    error: Exception | None = None

    def result(self) -> Result:
        """What the work returned for this job; raises `error` if there is one."""
        if self.error is not None:
            raise self.error
        return cast(Result, self.value)


Outcomes = Iterator[Done[Job, Result]]


def in_order(outcomes: Iterable[Done[Any, Result]]) -> list[Result]:
    """All results in the order of their jobs; raises the first error, when no job runs any more."""
    try:
        by_place = {done.place: done.result() for done in outcomes}
    finally:  # by itself it would stay open as long as the error's traceback does
        getattr(outcomes, "close", lambda: None)()
    return [by_place[place] for place in sorted(by_place)]


def local(
    work: Work[Job, Result], jobs: Iterable[Job], count: int, *,
    limit_seconds: float | None = None, hear: Hear | None = None,
) -> Outcomes[Job, Result]:  # fmt: skip
    """Do jobs on this machine: `here` if `count` is 1, otherwise in `count` `processes`."""
    if count == 1:
        return here(work, jobs, limit_seconds=limit_seconds)
    return processes(work, jobs, count, limit_seconds=limit_seconds, hear=hear)


def here(
    work: Work[Job, Result], jobs: Iterable[Job], *, limit_seconds: float | None = None
) -> Outcomes[Job, Result]:
    """Do jobs in this process, one after the other.

    Args:
        work: Called with each job.
        jobs: What to do.
        limit_seconds: Start no job after this time.
    """
    in_time = _clock(limit_seconds)
    for place, job in enumerate(jobs):
        if not in_time():
            return
        yield _ended(place, job, partial(work, job))


def _ended(place: int, job: Job, outcome: Callable[[], Result]) -> Done[Job, Result]:
    try:
        return Done(job, place, outcome())
    except Exception as error:
        return Done(job, place, error=error)


def check_limit(limit_seconds: float | None) -> None:
    """Raise a ValueError if this is no time limit: NaN, infinite or below 0."""
    if limit_seconds is not None and not 0 <= limit_seconds < math.inf:
        raise ValueError(f"a limit is a finite number of seconds from 0; got {limit_seconds}")


def _clock(limit_seconds: float | None) -> Callable[[], bool]:
    check_limit(limit_seconds)
    start = time.perf_counter()
    return lambda: limit_seconds is None or time.perf_counter() - start < limit_seconds


# -- processes -------------------------------------------------------------------------------


_HEARING_SECONDS = 0.1
Numbered = tuple[int, Job]


def processes(
    work: Work[Job, Result], jobs: Iterable[Job], count: int, *,
    limit_seconds: float | None = None, hear: Hear | None = None,
) -> Outcomes[Job, Result]:  # fmt: skip
    """Do jobs in processes of this machine, which end with this one even if it is killed.

    A process that dies takes the jobs of the others with it. These jobs are then done again, each
    alone; the one whose process dies again is handed back with `WorkerDied`.

    Args:
        work: Called with each job.
        jobs: What to do.
        count: How many processes, each with one job at a time.
        limit_seconds: Start no job after this time; those in flight are finished.
        hear: Called here with every message that a job hands to `tell`.
    """
    in_time = _clock(limit_seconds)
    waiting = list(enumerate(jobs))[::-1]
    while waiting and in_time():
        for suspect in (yield from _in_pool(work, waiting, count, in_time, hear)):
            for place, job in (yield from _in_pool(work, [suspect], 1, in_time, hear)):
                yield Done(job, place, error=WorkerDied("its process died (killed, or out of memory)"))


def _in_pool(
    work: Work[Job, Result], waiting: list[Numbered[Job]], count: int, in_time: Callable[[], bool],
    hear: Hear | None,
) -> Generator[Done[Job, Result], None, list[Numbered[Job]]]:  # fmt: skip
    """Do what is waiting (the last one first) until a process dies; returns what was in flight then."""
    context = get_context("spawn")  # not forked: the threads of NumPy or PyTorch do not survive it
    said = context.SimpleQueue()  # of this pool alone: whoever is killed while writing leaves it locked
    flying: dict[Future[Result], Numbered[Job]] = {}
    pool = ProcessPoolExecutor(count, context, initializer=_begin, initargs=(work, said))
    try:
        while True:
            while waiting and len(flying) < count and in_time():
                try:
                    future = pool.submit(_do, waiting[-1][1])
                except BrokenProcessPool:
                    break  # what is in flight says so, too
                flying[future] = waiting.pop()
            if not flying:
                return []
            landed = wait(flying, _HEARING_SECONDS if hear else None, FIRST_COMPLETED).done
            while hear and not said.empty():
                hear(said.get())
            died = {future for future in landed if isinstance(future.exception(), BrokenProcessPool)}
            for future in landed - died:
                place, job = flying.pop(future)
                yield _ended(place, job, future.result)
            if died:
                return list(flying.values())
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker(NamedTuple):
    """What a worker process keeps: what it does with a job, and where its messages go."""

    work: Callable[[Any], Any]
    said: Any


_worker: _Worker | None = None


def _begin(work: Callable[[Any], Any], said: Any) -> None:
    """Prepare a worker process; it must not outlive a killed parent and write behind its back."""
    global _worker
    end_with_parent()
    _worker = _Worker(work, said)


def _do(job: Any) -> Any:
    assert _worker is not None, "not a worker process"
    return _worker.work(job)


def tell(message: Any) -> None:
    """In a job: hand a message to the `hear` of whoever runs `processes`; does nothing elsewhere."""
    if _worker is not None:
        _worker.said.put(message)


# -- Ray -------------------------------------------------------------------------------------


_PATIENCE_SECONDS = 120.0
_LOOKING_SECONDS = 10.0
_KEEPALIVE = {
    # A host whose cable is cut says nothing, so whoever waits for it has to ask. By itself Ray asks after
    # five minutes of silence and waits two more for the answer. Who asks more than once a minute is hung
    # up on, unless the hosts were started with the same setting.
    "RAY_grpc_client_keepalive_time_ms": "75000",
    "RAY_grpc_client_keepalive_timeout_ms": "30000",
}


class Cluster(NamedTuple):
    """A Ray cluster. Joining one means trusting it: what its hosts send back is unpickled here.

    Attributes:
        address: "local" (workers on this machine), "auto" (the cluster this machine belongs to)
            or "ray://host:10001".
        cpus: Cores per job.
        gpus: GPUs per job; 0.25 puts four jobs on one GPU.
    """

    address: str = "local"
    cpus: float = 1
    gpus: float = 0


def check_cluster(cluster: Cluster) -> None:
    """Raise a ValueError if the cores or GPUs per job are not finite numbers from 0."""
    if not all(0 <= number < math.inf for number in (cluster.cpus, cluster.gpus)):
        raise ValueError(
            f"cores and GPUs per job are finite numbers from 0; got {cluster.cpus} and {cluster.gpus}"
        )


def ray(
    work: Work[Job, Result], jobs: Iterable[Job], count: int, cluster: Cluster, *,
    retries: int, limit_seconds: float | None = None,
) -> Outcomes[Job, Result]:  # fmt: skip
    """Do jobs on a Ray cluster.

    The work travels once to each host and the results come back here, so the hosts share no folder. Hosts
    may come and go; if for two minutes none is left that could do a job, there is an error instead of
    waiting for ever. A host that dies is noticed at once, one that is cut off within two minutes, because
    Ray's settings `RAY_grpc_client_keepalive_time_ms` and `..._timeout_ms` are put into the environment here
    unless they are there already. Ray reads them when it is first imported.

    Args:
        work: Called with each job.
        jobs: What to do.
        count: How many jobs at a time.
        cluster: Where.
        retries: How often a job is done again elsewhere if its worker or host is lost.
        limit_seconds: Start no job after this time; those in flight are finished.

    Raises:
        MissingExtra: If Ray is not installed.
        NoCluster: If the address does not answer, or no host is left that could do the jobs.
        ValueError: If the limit is none, or the cores or GPUs per job are not finite numbers from 0.
    """
    check_cluster(cluster)
    module = _import()
    in_time = _clock(limit_seconds)
    _join(module, cluster, count)
    try:
        lonely = _Lonely(module, cluster)
        function = work.func if isinstance(work, partial) else work
        # What the cluster's dashboard and its process list call the jobs.
        sent, name = module.put(work), getattr(function, "__name__", type(function).__name__)
        remote = module.remote(num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=retries)(_apart)
        waiting, flying = list(enumerate(jobs))[::-1], dict[Any, Numbered[Job]]()
        while True:
            while waiting and len(flying) < count and in_time():
                place, job = waiting.pop()
                flying[remote.options(name=name).remote(sent, job)] = place, job
            if not flying:
                return
            landed, _ = module.wait(list(flying), num_returns=1, timeout=_LOOKING_SECONDS)
            lonely.check(bool(landed))
            for one in landed:
                place, job = flying.pop(one)
                yield Done(job, place, *_result(module, one))
    finally:
        module.shutdown()


def _import() -> Any:
    for name, value in _KEEPALIVE.items():
        os.environ.setdefault(name, value)
    return require("ray", "ray")


def _join(module: Any, cluster: Cluster, count: int) -> None:
    here = cluster.address == "local"
    own: dict[str, Any] = {"num_cpus": count, "include_dashboard": False} if here else {}
    try:
        module.init(address=cluster.address, log_to_driver=False, configure_logging=False, **own)
    except Exception as error:  # of many kinds, by what is at the address
        raise NoCluster(f"no Ray cluster at {cluster.address!r} ({_last_line(error)})") from error


def _result(module: Any, landed: Any) -> tuple[Any, Exception | None]:
    try:
        value, error = module.get(landed)
    except module.exceptions.RayError as lost:
        return None, WorkerDied(f"its worker or host was lost ({type(lost).__name__}: {_last_line(lost)})")
    return value, error


def _last_line(error: Exception) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "no message")


class _Lonely:
    """Notices that no host of a cluster is left that could do a job."""

    def __init__(self, module: Any, cluster: Cluster) -> None:
        self._module, self._cluster = module, cluster
        self._since: float | None = None

    def check(self, landed: bool) -> None:
        """Called now and then, with whether a job has ended since."""
        if landed or any(map(self._fits, self._module.nodes())):
            self._since = None
            return
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since > _PATIENCE_SECONDS:
            raise NoCluster(
                f"for {_PATIENCE_SECONDS:.0f} s no host of the cluster has had {self._cluster.cpus:g} cores "
                f"and {self._cluster.gpus:g} GPUs for a job; what has ended is safe: add such a host (ray "
                "start --address=...) and run the same command again"
            )

    def _fits(self, node: Any) -> bool:
        has = node["Resources"]
        return bool(
            node["Alive"]
            and has.get("CPU", 0) >= self._cluster.cpus
            and has.get("GPU", 0) >= self._cluster.gpus
        )


def _apart(work: Callable[[Any], Any], job: Any) -> tuple[Any, Exception | None]:
    done = _ended(0, job, partial(work, job))
    return done.value, done.error
