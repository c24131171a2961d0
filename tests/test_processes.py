"""Commands run apart: their limit ends them and all that they started, and what they said is kept."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from nb201env.processes import run_apart


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def test_what_it_prints_comes_line_by_line() -> None:
    heard: list[str] = []
    ended = run_apart(python("print('one'); import sys; print('two', file=sys.stderr)"), 60, heard.append)
    assert (ended.code, ended.lines, ended.why) == (0, ["one", "two"], "")
    assert heard == ended.lines


def test_a_failure_is_its_last_line() -> None:
    ended = run_apart(python("print('before'); raise RuntimeError('capture invalidated')"), 60)
    assert ended.code == 1
    assert ended.why == "RuntimeError: capture invalidated"


def test_a_signal_is_named() -> None:
    ended = run_apart(python("import os; os.abort()"), 60)
    assert ended.why.startswith("SIGABRT")


def test_at_its_limit_it_ends_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; "
        f"time.sleep(600)']); open({str(note)!r}, 'w').write(str(child.pid)); print('started'); "
        "time.sleep(600)"
    )
    start = time.monotonic()
    ended = run_apart(python(code), 5)
    assert time.monotonic() - start < 30
    assert ended.code is None
    assert ended.lines == ["started"]
    assert ended.why.startswith("its time was up after 5")
    child = int(note.read_text())
    for _ in range(100):  # killed; gone once its parent has noticed
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("its child is still there")


def test_what_it_runs_apart_in_its_turn_ends_too(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    inner = (
        "import os, time; from nb201env.processes import end_if_orphaned; end_if_orphaned(); "
        f"open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )
    outer = (
        "import sys; from nb201env.processes import run_apart; "
        f"run_apart([sys.executable, '-c', {inner!r}], 600)"
    )
    run_apart(python(outer), 15)
    pid = int(note.read_text())
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("what its child ran apart is still there")
