"""The whole of a GPU lease on a CPU: packed here, run in a clean copy of the checkout, collected here.

Needs nothing but what the GPU's machine has, so that it runs in an environment as bare as that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.checkout import ROOT
from tests.benchmarks import lease_data


def copy_checkout(target: Path) -> Path:
    """All files that are not ignored, as they are now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    for name in names.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


def prepare(folder: Path) -> str:
    """Pack images and numbers in miniature into ``parts``; returns what was printed."""
    data, reference = (
        lease_data.write_images(folder / "images.npz"),
        lease_data.write_reference(folder / "reference.csv"),
    )
    return lease(ROOT, "prepare", "--data", data, "--reference", reference, "--to", folder / "parts")


def run(folder: Path, checkout: Path, *more: object, env: Mapping[str, str] | None = None) -> str:
    """The lease itself; returns what was printed."""
    return lease(
        checkout, "all", "--device", "cpu", "--miniature", "--work", folder / "work", "--out", folder / "out",
        "--parts", folder / "parts", "--builds", folder / "builds", *more, env=env,
    )  # fmt: skip


def collect(folder: Path) -> str:
    """Add what came back to ``builds``; returns what was printed."""
    return lease(ROOT, "collect", folder / "out" / "lease.tar.gz", "--builds", folder / "builds")


def lease(checkout: Path, *arguments: object, env: Mapping[str, str] | None = None) -> str:
    command = [sys.executable, "-m", "benchmarks.gpu_lease", *map(str, arguments)]
    env = {**(os.environ if env is None else env), "OMP_NUM_THREADS": "1"}  # little to share out
    for ours in ("PYTHONPATH", "PYTHONSAFEPATH"):  # it finds its own checkout
        env.pop(ours, None)
    done = subprocess.run(command, cwd=checkout, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, f"{command[3:]} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout
