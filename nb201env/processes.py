"""Processes: what every worker needs, and commands that are run apart, with a limit that ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from multiprocessing import parent_process
from threading import Thread
from typing import NamedTuple


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
        code: Its exit status; None if its time was up and it was ended.
        lines: What it printed, standard error included.
        seconds: How long it ran.
    """

    code: int | None
    lines: list[str]
    seconds: float

    @property
    def why(self) -> str:
        """One line that says why it failed; empty if it did not."""
        if self.code == 0:
            return ""
        if self.code is None:
            return f"its time was up after {self.seconds:.0f} s"
        said = next((line.strip() for line in reversed(self.lines) if line.strip()), "no output")
        return said if self.code > 0 else f"{signal.Signals(-self.code).name}: {said}"


def run_apart(
    command: Sequence[str], limit_seconds: float, echo: Callable[[str], None] = lambda _: None
) -> Ended:
    """Run a command in a process of its own; at its limit it and all that it started are killed.

    Args:
        command: The program and its arguments.
        limit_seconds: How long it may run.
        echo: Called with every line it prints, as it comes.
    """
    start, lines = time.monotonic(), list[str]()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        bufsize=1, start_new_session=True,
    )  # fmt: skip

    def listen() -> None:
        assert process.stdout is not None
        with process.stdout as output:
            for line in output:
                lines.append(line.rstrip("\n"))
                echo(lines[-1])

    listener = Thread(target=listen, daemon=True)
    listener.start()
    code: int | None = None
    try:
        code = process.wait(max(0.0, limit_seconds))
    except subprocess.TimeoutExpired:
        pass
    finally:  # also when this process is interrupted
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        listener.join(5)
    return Ended(code, lines, time.monotonic() - start)


def end_with_parent() -> None:
    """In a worker: end it as soon as its parent is gone, even if that was killed.

    Otherwise the workers of a killed command go on, or wait for ever for their next task.
    """
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "not a worker process"
    parent.join()
    os._exit(1)


def end_if_orphaned() -> None:
    """In a command that is run apart: end it as soon as the process that started it is gone.

    `run_apart` ends all that a command started, but not what that ran apart in its turn.
    """
    Thread(target=_end_if_orphaned, args=(os.getppid(),), daemon=True).start()


def _end_if_orphaned(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
