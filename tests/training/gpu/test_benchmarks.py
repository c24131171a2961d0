"""The scripts for a GPU, tried in miniature: they run, stop in time and go on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import bench_gpu

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def tiny(counts: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    data, recipe, _ = bench_gpu.prepare("cpu")
    return {"data": data, "recipe": replace(recipe, width=2, batch=4), "steps": 1, "counts": counts}


@needs_no_gpu
def test_without_a_gpu_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench_gpu.main([])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "sees no NVIDIA GPU here; try the script with --device cpu" in line


@needs_no_gpu
def test_the_command_in_miniature(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """More steps than there are batches: as many as there are."""
    bench_gpu.main(["--device", "cpu", "--steps", "99", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert {row["trainer"] for row in found["rows"]} == {"plain", "graphs", "stacked, torch"}
    assert "of the floor" in capsys.readouterr().out


def test_every_trainer_is_measured() -> None:
    counts = {"plain": (1,), "graphs": (2,), "stacked": (2,)}
    found = bench_gpu.run(limit_seconds=600, report=lambda _: None, **tiny(counts))
    json.dumps(found)
    rows = {row["trainer"]: row for row in found["rows"]}  # type: ignore[attr-defined]
    assert set(rows) == {"plain", "graphs", "stacked, torch"}
    for row in rows.values():
        assert row["images_per_second"] == pytest.approx(row["networks"] * 4 / row["step_seconds"])
        assert 0 < row["of_floor"] < math.inf
        assert row["architectures_per_hour"] > 0
    table = bench_gpu.show(found)
    assert table.row_count == 3


def test_the_limit_cuts_off_what_is_left() -> None:
    said: list[str] = []
    counts = {"plain": (1,), "graphs": (1,), "stacked": (1,)}
    found = bench_gpu.run(limit_seconds=0, report=said.append, **tiny(counts))
    assert found["rows"] == []
    assert said[-1].startswith("time is up; not measured: plain with 1")


def test_what_does_not_fit_is_said_and_not_tried_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def full(some: Any, *_: Any) -> bench_gpu.Timing:
        tried.append(len(some))
        if len(some) > 2:
            raise torch.OutOfMemoryError
        return bench_gpu.Timing(1.0, 0.5)

    monkeypatch.setattr(bench_gpu, "ways", lambda _: {"stacked, torch": full})
    found = bench_gpu.run(limit_seconds=60, report=lambda _: None, **tiny({"stacked": (1, 2, 4, 8)}))
    assert tried == [1, 2, 4]
    rows: Any = found["rows"]
    assert [bool(row["error"]) for row in rows] == [False, False, True]
    assert rows[1]["architectures_per_hour"] == pytest.approx(3600 * 2 / (12 * (98 + 137 * 0.5)))
    assert bench_gpu.show(found).row_count == 3
