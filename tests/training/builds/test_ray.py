"""Builds on Ray, with two workers on this machine: the tables are those of the local engine."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from nb201env.training.builds.merge import merge
from nb201env.training.builds.plan import Folder
from nb201env.training.recipe import find_recipe
from tests.training.builds.test_build import COMMAND, DATA, built, uninterrupted, wait_for_shards

pytest.importorskip("ray")


@pytest.mark.slow
def test_ray_gives_the_same_numbers(tmp_path: Path) -> None:
    """In a process of its own, because Ray leaves threads and warnings behind."""
    command = [*COMMAND, str(tmp_path / "ray"), "--engine", "ray", "--jobs", "2", "--weights"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    folder = built(tmp_path / "local", shard=1, recipe=find_recipe("digits-10"))
    both = Folder.open(tmp_path / "ray"), folder
    ids = {merge(f, tmp_path / "t.safetensors", DATA).id for f in both}
    assert len(ids) == 1
    assert len(list((tmp_path / "ray" / "weights").rglob("*.safetensors"))) == 12


@pytest.mark.slow
def test_ray_restarts_a_lost_worker(tmp_path: Path) -> None:
    """One worker is killed after the first shard; the table is the undisturbed one."""
    path = tmp_path / "ray"
    command = [*COMMAND, str(path), "--engine", "ray", "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_shards(path, process, 1)
    workers = subprocess.run(["pgrep", "-f", "ray::train"], capture_output=True, text=True)
    os.kill(int(workers.stdout.split()[0]), signal.SIGKILL)
    assert process.wait(timeout=300) == 0
    resumed = merge(Folder.open(path), tmp_path / "t.safetensors", DATA)
    assert resumed.id == uninterrupted(tmp_path / "whole")
