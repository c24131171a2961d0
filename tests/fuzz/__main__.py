"""``make fuzz SECONDS=600``: spoilt inputs of every kind, for that long, each kind in a process of its own.

A finding is printed with the command that repeats it, and ends the program with code 1; so does a process
that crashes, or a case that takes longer than a minute.
"""

from __future__ import annotations

import argparse
import faulthandler
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.fuzz.targets import TARGETS

SLICE = 20.0
"""Seconds that a kind is fuzzed before the next one has its turn."""
LONGEST_CASE = 60


def fuzz(name: str, first: int, seconds: float, cases: int | None = None) -> int:
    """Try the cases of one kind, from a number on; how many were tried.

    Args:
        name: One of `TARGETS`.
        first: The first case's number, which is all that decides it.
        seconds: For how long.
        cases: At most so many.
    """
    end, done = time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory(prefix="nb201-fuzz-") as folder:
        one = TARGETS[name](Path(folder))
        while time.monotonic() < end and (cases is None or done < cases):
            print(first + done, flush=True)
            faulthandler.dump_traceback_later(LONGEST_CASE, exit=True)
            one(np.random.default_rng([first + done]))
            faulthandler.cancel_dump_traceback_later()
            done += 1
    return done


def in_turns(seconds: float) -> int:
    """Fuzz all kinds in turns; the exit code."""
    end, begun = time.monotonic() + seconds, dict.fromkeys(TARGETS, time.time_ns() % 10**9)
    tried = dict.fromkeys(TARGETS, 0)
    while True:
        for name in TARGETS:
            left = end - time.monotonic()
            if left <= 0:
                return 0
            words = [name, "--first", str(begun[name]), "--seconds", str(min(SLICE, left))]
            done = subprocess.run(
                [sys.executable, "-m", "tests.fuzz", *words], capture_output=True, text=True, check=False
            )
            numbers = done.stdout.split()
            if done.returncode:
                again = f"python -m tests.fuzz {name} --first {numbers[-1] if numbers else 0} --cases 1"
                print(f"{done.stderr}\n{name}: found something (exit code {done.returncode}); again: {again}")
                return 1
            begun[name] += len(numbers)
            tried[name] += len(numbers)
            print(f"{name}: {tried[name]:,} cases, nothing found", flush=True)


def main() -> int:
    """Read the command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.fuzz")
    parser.add_argument("target", choices=["all", *TARGETS])
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--cases", type=int, help="at most so many")
    said = parser.parse_args()
    if said.target == "all":
        return in_turns(said.seconds)
    fuzz(said.target, said.first, said.seconds, said.cases)
    return 0


if __name__ == "__main__":
    sys.exit(main())
