"""Gymnasium's own tests of environments, not changed, on our ids, from the checkout in GYMNASIUM."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.clients.probes import CommandFailed, row, run

PLUGIN = """
import gymnasium as gym
import nb201env
import tests.envs.utils as utils

specs = [spec for name, spec in gym.registry.items() if name.startswith("NB201-") and name != "NB201-v0"]
utils.all_testing_initialised_envs[:] = [spec.make(disable_env_checker=True).unwrapped for spec in specs]
utils.all_testing_env_specs[:] = utils.gym_testing_env_specs[:] = specs
"""
"""Puts our ids where the tests look for Gymnasium's."""


def passed(file: str) -> int:
    """How many tests of a file pass; none may fail."""
    checkout = os.environ["GYMNASIUM"]
    Path("ours.py").write_text(PLUGIN, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "ours", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", checkout, f"{checkout}/tests/envs/{file}"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([os.getcwd(), checkout])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"(\d+) passed", done.stdout)
    if done.returncode or found is None:
        raise CommandFailed((done.stdout + done.stderr).strip().splitlines()[-1])
    return int(found[1])


@row("tests/envs/test_envs.py")
def environments() -> None:
    assert passed("test_envs.py") >= 30


@row("tests/envs/test_rendering.py")
def rendering() -> None:
    assert passed("test_rendering.py") >= 1


@row("tests/envs/test_action_dim_check.py")
def actions() -> None:
    assert passed("test_action_dim_check.py") >= 1


if __name__ == "__main__":
    run()
