"""Ray on two hosts, one of which is lost in the middle: the same table, the same trajectories."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from nb201env.training.builds.merge import merge
from nb201env.training.builds.plan import Folder
from tests.training.builds.test_build import COMMAND, DATA, uninterrupted
from tests.two_hosts import ASKING, TwoHosts, why_not

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

NB201 = [sys.executable, "-c", "from nb201env.cli import main; main()"]


Loss = Callable[[TwoHosts], None]


def run_and_lose(
    lose: Loss, command: list[str], folder: Path, pattern: str, settings: Mapping[str, str] | None = None
) -> None:
    """Run a command on two hosts; lose one of them while it works, when the first files are there."""
    if reason := why_not():
        pytest.skip(reason)
    with TwoHosts(settings or {}) as hosts:
        ray = ["--engine", "ray", "--address", hosts.address, "--jobs", "2"]
        process, end = hosts.start([*command, *ray]), time.monotonic() + 300
        while not (any(folder.rglob(pattern)) and hosts.works(1)):
            assert process.poll() is None, f"it ended before the other host was lost: {hosts.log}"
            assert time.monotonic() < end, f"the other host never works: {hosts.log}"
            time.sleep(0.02)
        done = len(list(folder.rglob(pattern)))
        lose(hosts)
        assert process.wait(timeout=300) == 0, hosts.log
    assert done < len(list(folder.rglob(pattern)))


def test_a_build_that_loses_a_host(tmp_path: Path) -> None:
    """With Ray's settings as a build makes them: of a host that is cut off it hears in two minutes."""
    run_and_lose(TwoHosts.cut, [*COMMAND, str(tmp_path / "ray")], tmp_path / "ray", "*.safetensors")
    table = merge(Folder.open(tmp_path / "ray"), tmp_path / "t.safetensors", DATA)
    assert table.id == uninterrupted(tmp_path / "whole")


@pytest.mark.parametrize("lose", [TwoHosts.cut, TwoHosts.kill], ids=["cut", "killed"])
def test_a_bench_that_loses_a_host(lose: Loss, tmp_path: Path) -> None:
    """On a cluster that was told to ask more often."""
    bench = [*NB201, "bench", "--agent", "random_search", "--env", "NB201-cifar10-v0", "--seeds", "0-11"]
    bench += ["--budget", "30000", "--out"]
    run_and_lose(lose, [*bench, str(tmp_path / "ray")], tmp_path / "ray", "*.jsonl", ASKING)
    subprocess.run([*bench, str(tmp_path / "here"), "--jobs", "1"], check=True, capture_output=True)
    names = [file.relative_to(tmp_path / "here") for file in (tmp_path / "here").rglob("*.jsonl")]
    assert len(names) == 12
    for name in names:
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
