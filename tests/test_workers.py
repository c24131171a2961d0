"""Workers: the same results here, in processes and on Ray, whatever happens to a job or to its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nb201env import workers
from nb201env.workers import (
    Cluster,
    Done,
    NoCluster,
    WorkerDied,
    here,
    in_order,
    local,
    processes,
    ray,
    tell,
)

JOBS = [5, 3, 0, 4]


def square(number: int) -> int:
    return number * number


def inverse(number: int) -> float:
    return 1 / number


def in_two(work: Callable[[int], float], jobs: list[int]) -> Iterator[Done[int, float]]:
    return processes(work, jobs, 2)


both = pytest.mark.parametrize("run", [here, in_two])


@both
def test_every_job_comes_back_with_its_result(run: Callable[..., Iterator[Done[int, int]]]) -> None:
    ended = list(run(square, JOBS))
    assert {(done.place, done.job, done.result()) for done in ended} == {
        (0, 5, 25), (1, 3, 9), (2, 0, 0), (3, 4, 16)
    }  # fmt: skip
    assert in_order(ended) == [25, 9, 0, 16]
    assert in_order(run(square, [])) == []


@both
def test_an_error_is_handed_back_and_the_others_go_on(run: Callable[..., Iterator[Done[int, float]]]) -> None:
    ended = {done.job: done for done in run(inverse, JOBS)}
    assert sorted(ended) == sorted(JOBS)
    assert ended[4].result() == 0.25
    assert isinstance(ended[0].error, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        ended[0].result()
    with pytest.raises(ZeroDivisionError):
        in_order(run(inverse, JOBS))


def test_one_worker_is_this_process() -> None:
    assert in_order(local(process_of, JOBS, 1)) == [os.getpid()] * 4
    elsewhere = set(in_order(local(process_of, JOBS, 2)))
    assert os.getpid() not in elsewhere
    assert len(elsewhere) <= 2


def process_of(_: int) -> int:
    return os.getpid()


@dataclass(frozen=True)
class Prepared:
    """What it needs is made once in each process."""

    log: Path

    @cached_property
    def offset(self) -> int:
        (self.log / str(os.getpid())).touch(exist_ok=False)
        return 100

    def __call__(self, number: int) -> int:
        return self.offset + number


@both
def test_what_the_work_loads_it_keeps(run: Callable[..., Iterator[Done[int, int]]], tmp_path: Path) -> None:
    """A second time in one process would raise."""
    assert in_order(run(Prepared(tmp_path), JOBS)) == [105, 103, 100, 104]
    assert 1 <= len(list(tmp_path.iterdir())) <= 2


def say_twice(number: int) -> int:
    tell((number, "begins"))
    tell((number, "ends"))
    return number


def test_messages_are_heard_before_the_result() -> None:
    heard: list[tuple[int, str]] = []
    for done in processes(say_twice, JOBS, 2, hear=heard.append):
        assert [(done.job, "begins"), (done.job, "ends")] == [one for one in heard if one[0] == done.job]
    assert len(heard) == 2 * len(JOBS)
    assert in_order(processes(say_twice, JOBS, 2)) == JOBS  # nobody listens
    assert in_order(here(say_twice, JOBS)) == JOBS


# -- limits and endings ----------------------------------------------------------------------


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.mark.parametrize("count", [1, 2])
def test_after_the_limit_no_job_starts(count: int) -> None:
    assert not list(local(nap, [0.0] * 3, count, limit_seconds=0))
    ended = list(local(nap, [1.0] * 1000, count, limit_seconds=0.5))
    assert 1 <= len(ended) <= count, "those in flight are finished"


@dataclass(frozen=True)
class Deadly:
    """Job 0 always ends its process, job 4 does so the first time."""

    folder: Path

    def __call__(self, number: int) -> int:
        if number == 0 or (number == 4 and not (self.folder / "died").exists()):
            (self.folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number


def test_a_process_that_dies_does_not_lose_the_others(tmp_path: Path) -> None:
    ended = {done.job: done for done in processes(Deadly(tmp_path), JOBS, 2)}
    assert sorted(ended) == sorted(JOBS)
    assert isinstance(ended.pop(0).error, WorkerDied)
    assert all(done.result() == job for job, done in ended.items())


def note(folder: Path, number: int) -> int:
    (folder / str(number)).touch()
    time.sleep(0.2)
    if number == 0:
        raise ValueError("no zero")
    return number


def test_whoever_stops_listening_cancels_what_has_not_begun(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no zero"):
        in_order(processes(partial(note, tmp_path), [0, *range(1, 100)], 2))
    begun = len(list(tmp_path.iterdir()))
    assert begun < 10
    time.sleep(0.5)
    assert len(list(tmp_path.iterdir())) == begun


SCRIPT = """
import signal
import sys
from pathlib import Path
from functools import partial
from nb201env.workers import in_order, processes
from tests.test_workers import note
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored below a shell's background
    in_order(processes(partial(note, Path(sys.argv[1])), range(1, 200), 2))
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(sign: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    notes = tmp_path / "notes"
    notes.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), str(notes)], stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    end = time.monotonic() + 60
    while len(list(notes.iterdir())) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(sign)
    assert process.wait(30) != 0
    time.sleep(1)
    begun = len(list(notes.iterdir()))
    assert 3 <= begun < 100
    time.sleep(1)
    assert len(list(notes.iterdir())) == begun


def test_nothing_heavy_is_imported() -> None:
    code = "import sys; import nb201env.workers, nb201env.files; print({'torch', 'ray'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -1.0, -float("inf")])
@pytest.mark.parametrize("count", [1, 2])
def test_a_limit_that_is_none(count: int, limit: float) -> None:
    """NaN would start nothing, without a word."""
    with pytest.raises(ValueError, match="a limit is a finite number of seconds from 0"):
        list(local(nap, [0.0], count, limit_seconds=limit))


# -- Ray -------------------------------------------------------------------------------------


ON_RAY = """
import os
from nb201env.workers import Cluster, WorkerDied, ray
from tests.test_workers import JOBS, inverse
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
ended = {done.job: done for done in ray(inverse, JOBS, 2, Cluster(), retries=0)}
assert sorted(ended) == sorted(JOBS)
assert isinstance(ended.pop(0).error, ZeroDivisionError)
assert all(done.result() == 1 / job for job, done in ended.items())
assert not list(ray(inverse, JOBS, 2, Cluster(), retries=0, limit_seconds=0))
import ray as module
assert module._config.grpc_client_keepalive_time_ms() == 75000
assert module._config.grpc_client_keepalive_timeout_ms() == 30000
deadly = {done.job: done for done in ray(os._exit, [1], 1, Cluster(), retries=0)}
assert isinstance(deadly[1].error, WorkerDied), deadly
assert "WorkerCrashedError" in str(deadly[1].error), deadly
"""


@pytest.fixture(autouse=True)
def _settings_end_with_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.mark.slow
def test_ray_gives_the_same_results() -> None:
    """In a process of its own, because Ray leaves threads and warnings behind."""
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, "-c", ON_RAY], capture_output=True, text=True, timeout=300,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("own", [{}, {"RAY_grpc_client_keepalive_time_ms": "2000"}])
def test_ray_is_told_to_ask_silent_hosts(own: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is imported, because it does not look again; what somebody has set stays."""
    seen: dict[str, str] = {}

    def imported(*_: str) -> FakeRay:
        seen.update(os.environ)
        return FakeRay({"CPU": 1.0})

    monkeypatch.setattr(os, "environ", own.copy())
    monkeypatch.setattr(workers, "require", imported)
    assert not list(ray(square, [], 2, Cluster("auto"), retries=0))
    told = {"RAY_grpc_client_keepalive_time_ms": "75000", "RAY_grpc_client_keepalive_timeout_ms": "30000"}
    assert seen == told | own


@pytest.mark.parametrize("wrong", [Cluster(cpus=-1), Cluster(gpus=float("nan")), Cluster(cpus=float("inf"))])
def test_a_cluster_of_impossible_jobs(wrong: Cluster) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ValueError, match="cores and GPUs per job are finite numbers from 0"):
        list(ray(square, JOBS, 2, wrong, retries=0))


class FakeRay:
    """Just enough of Ray: it never does a job."""

    class exceptions:
        RayError = OSError

    def __init__(self, resources: dict[str, float], alive: bool = True, refuses: str = "") -> None:
        self._nodes, self._refuses = [{"Alive": alive, "Resources": resources}], refuses

    def init(self, **_: object) -> None:
        if self._refuses:
            raise RuntimeError(self._refuses)

    def put(self, work: object) -> object:
        return work

    def remote(self, *_: object, **__: object) -> Callable[..., Any]:
        return lambda _: SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_: object()))

    def wait(self, flying: list[object], **_: object) -> tuple[list[object], list[object]]:
        time.sleep(0.05)
        return [], flying

    def nodes(self) -> list[dict[str, Any]]:
        return self._nodes

    def shutdown(self) -> None: ...


@pytest.mark.parametrize(
    ("has", "alive"), [({"CPU": 4.0}, True), ({"CPU": 4.0, "GPU": 1.0}, False), ({}, True)]
)
def test_nobody_waits_for_ever_for_a_host(
    has: dict[str, float], alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "require", lambda *_: FakeRay(has, alive))
    monkeypatch.setattr(workers, "_PATIENCE_SECONDS", 0.3)
    with pytest.raises(NoCluster, match="no host of the cluster has had 1 cores and 0.5 GPUs for a job"):
        list(ray(square, JOBS, 2, Cluster("auto", gpus=0.5), retries=0))


def test_no_cluster_at_an_address_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        workers, "require", lambda *_: FakeRay({}, refuses="a long story\nversion mismatch\n")
    )
    with pytest.raises(NoCluster, match=r"^no Ray cluster at 'ray://x:1' \(version mismatch\)$"):
        list(ray(square, JOBS, 2, Cluster("ray://x:1"), retries=0))


def test_a_cluster_is_this_machine_by_default() -> None:
    assert Cluster() == ("local", 1, 0)
