"""The benchmark of reports in miniature: it runs, and measures what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from benchmarks.speed import report
from nb201env.trajectory import read


def test_the_benchmark_in_miniature(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "REPORTS", {"with a replay": report.REPORTS["with a replay"]})
    report.run_searches(tmp_path, searches=8, queries=5)
    files = sorted(tmp_path.rglob("*.jsonl"))
    assert [len(read(file).queries) for file in files] == [5] * 8
    report.main(["--runs", str(tmp_path)])
    text = capsys.readouterr().out
    assert re.search(r"^8 trajectories as JSON +\d+\.\d +1$", text, re.MULTILINE)
    row = re.search(r"^with a replay +([\d.]+) +[\d.]+ +(\d+) +([\d.]+)$", text, re.MULTILINE)
    assert row is not None
    seconds, memory, page = map(float, row.groups())
    assert 0 < seconds < 60
    assert 30 < memory < report.GOAL_MEGABYTES
    assert 0 < page < report.GOAL_PAGE


def test_memory_is_that_of_the_process() -> None:
    cost = report.measured([sys.executable, "-c", "x = b'x' * 400_000_000"])
    assert 400 < cost.megabytes < 430
    assert cost.seconds > 0


def test_a_report_that_fails_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="ended with code 3"):
        report.measured([sys.executable, "-c", "raise SystemExit(3)"])
