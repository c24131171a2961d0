"""The check's command: each part apart, none of which ends the others, and one line each."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nb201env.processes import Ended
from nb201env.training.gpu import check, torch_ops
from nb201env.training.gpu.check import Verdict, parts_for, usable
from tests.training.gpu.verdicts import verdict_on


def test_parts_of_a_build() -> None:
    assert parts_for("cuda", [32, 16]) == [
        "stacked16x32", "network16x32", "graphs16x32", "plain16x32", "cells16x32", "cells32x16", "cells64x8",
        "cells16x16", "cells32x8", "cells64x4", "convs16x32", "convs16x16",
    ]  # fmt: skip
    graphs = [name for name in parts_for("cpu", [8]) if check._verdict(name, "")["trainer"] == "graphs"]
    assert graphs == ["graphs4x8"]


def test_which_trainers_are_usable() -> None:
    def verdicts(**ok: bool) -> list[Verdict]:
        return [check._verdict(f"{part}16x32", "" if fine else "it is wrong") for part, fine in ok.items()]

    assert usable(verdicts(cells=True, stacked=True, graphs=True)) == ["stacked", "graphs", "plain"]
    assert usable(verdicts(cells=False, stacked=True, graphs=True)) == ["graphs", "plain"]
    assert usable(verdicts(cells=True, stacked=True, graphs=False)) == ["stacked", "plain"]
    assert usable(verdicts(cells=True, stacked=True, graphs=True, plain=True)) == [
        "stacked",
        "graphs",
        "plain",
    ]
    assert usable(verdicts(cells=True, stacked=True, graphs=True, plain=False)) == []  # all were held to it
    assert usable([]) == ["plain"]


def test_a_part_in_a_process_of_its_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The command itself, with its parts cut down to one."""
    file = tmp_path / "check.json"
    found = check.check(["cells4x4"], ["--device", "cpu", "--networks", "2"], 120, 1,
                        lambda verdicts, newest: check._report(file, verdicts, newest))  # fmt: skip
    (verdict,) = json.loads(file.read_text())
    assert [verdict] == found
    assert verdict["ok"], verdict["problem"]
    assert capsys.readouterr().out.startswith("cells4x4 ")


def test_no_part_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """One crashes, one hangs, one says nothing, one is right; and a kill would leave what was known."""
    right = json.dumps(check._verdict("cells4x8", "") | {"of_allowed": 0.1})
    ends = {
        "stacked4x8": Ended(-6, ["an illegal memory access was encountered"], 3.0),
        "network4x8": Ended(None, ["half a line {"], 9.0),
        "graphs4x8": Ended(0, [], 1.0),
        "cells4x8": Ended(0, ["UserWarning: of something", right, "and at the end"], 1.0),
    }
    monkeypatch.setattr(check, "run_apart", lambda command, limit: ends[command[command.index("--part") + 1]])
    reports: list[list[Verdict]] = []
    verdicts = check.check(list(ends), [], 60, 2, lambda known, newest: reports.append(known))
    problems = {v["part"]: v["problem"] for v in verdicts}
    assert problems["stacked4x8"] == "SIGABRT: an illegal memory access was encountered"
    assert problems["network4x8"] == "its time was up after 9 s"
    assert problems["graphs4x8"] == "it printed no verdict"
    assert verdicts[3]["ok"]
    assert usable(verdicts) == ["plain"]
    assert [v["ok"] for v in reports[0]] == [False] * 4
    assert all(len(report) == 4 for report in reports)


def test_without_time_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(check, "run_apart")
    (verdict,) = check.check(["cells4x8"], [], 0, 1)
    assert verdict["problem"] == "not run: the check's time was up"
    assert check.as_line(verdict) == "cells4x8         0.0 s  WRONG: not run: the check's time was up"


def test_the_last_report_is_of_all_parts_though_they_end_at_the_same_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check, "run_apart", lambda *_: Ended(0, ['{"problem": ""}'], 1.0))
    waits, still_missing = [0.2, 0.1, 0.05, 0.0], []

    def report(verdicts: list[Verdict], newest: Verdict | None) -> None:
        if newest is not None:
            time.sleep(waits.pop(0))  # what is told first takes longest to be written
        still_missing.append(sum("not run" in v["problem"] for v in verdicts))

    check.check(["cells4x8", "cells8x4", "cells16x2", "convs4x8"], [], 60, 4, report)
    assert still_missing == sorted(still_missing, reverse=True)
    assert still_missing[-1] == 0


def test_whatever_a_part_raises_is_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Tensor:
        raise RuntimeError("operation failed due to\n a previous error during capture")

    monkeypatch.setattr(torch_ops, "cell", broken)
    verdict = verdict_on("cells4x4", networks=2)
    assert verdict["problem"] == "RuntimeError: operation failed due to a previous error during capture"


@pytest.mark.parametrize("arguments", [["--part", "cells"], ["--part", "all16x32"]])
def test_an_unknown_part(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        check.main(["--device", "cpu", *arguments])
    assert stopped.value.code == 2
    assert "unknown part" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        check.main([])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "sees no NVIDIA GPU here; try the check with --device cpu" in line


@pytest.mark.parametrize(("problem", "status"), [("", 0), ("it is wrong", 1)])
def test_the_commands_exit_status(
    problem: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = check._verdict("cells4x4", problem) | {"of_allowed": 0.2, "seconds": 1.0}
    monkeypatch.setattr(check, "parts_for", lambda device, sides: ["cells4x4"])
    monkeypatch.setattr(check, "run_apart", lambda *_: Ended(status, [json.dumps(verdict)], 1.0))
    with pytest.raises(SystemExit) as stopped:
        check.main(["--device", "cpu"])
    assert stopped.value.code == status
    line, last = capsys.readouterr().out.splitlines()
    said = f"WRONG: {problem}" if problem else "right; the closest uses 20% of what is allowed"
    assert line == f"cells4x4         1.0 s  {said}"
    assert last == f"usable, the preferred first: {'plain' if problem else 'stacked, plain'}"
