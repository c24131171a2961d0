"""The scripts for a GPU, tried in miniature: they run, stop in time and go on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import bench_gpu, gpu_hour
from nb201env import Table
from nb201env.space import SIZE, official_index_of
from training import recipe as recipes
from training import validate as validation
from training.recipe import Recipe

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


# -- the hour --------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 32), ("test", 10)):
        labels = np.arange(count) % 10
        noise = rng.integers(0, 100, (count, 32, 32, 3))
        arrays[f"x_{part}"] = (noise + 15 * labels[:, None, None, None]).astype(np.uint8)
        arrays[f"y_{part}"] = labels.astype(np.uint8)
    np.savez(tmp_path / "images.npz", **arrays)
    rows = [f"{official_index_of(i)},{10 + 80 * i / SIZE}" for i in range(SIZE)]
    (tmp_path / "reference.csv").write_text("index,cifar10_valid_acc_12\n" + "\n".join(rows) + "\n")
    return {"data": tmp_path / "images.npz", "reference": tmp_path / "reference.csv", "out": tmp_path / "out"}


@pytest.fixture
def _miniature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes.PRESETS, "thin", Recipe("thin", epochs=1, width=2, cells=1, batch=8))
    some = gpu_hour.every_op_on_every_edge()
    monkeypatch.setattr(gpu_hour, "every_op_on_every_edge", lambda: some[13:15])
    monkeypatch.setattr(gpu_hour, "CHECKED", replace(gpu_hour.CHECKED, width=4, batch=4, train_images=8))
    counts = {"plain": (1,), "graphs": (1,), "stacked": (1,)}
    small = tiny(counts)
    monkeypatch.setattr(bench_gpu, "prepare", lambda _: (small["data"], small["recipe"], counts))


def arguments(files: dict[str, Path], *more: str) -> list[str]:
    fixed = ["--data", str(files["data"]), "--out", str(files["out"]), "--device", "cpu", "--recipe", "thin",
             "--shard", "1", "--only", "62,3124", "--margin", "0", "--count", "2"]  # fmt: skip
    return [*fixed, *more]


@pytest.mark.usefixtures("_miniature")
def test_the_hour(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    gpu_hour.main(arguments(files, "--reference", str(files["reference"])))
    printed = capsys.readouterr().out
    for said in ("stacked: the worst loss is off by", "the trainer is stacked", "mean difference",
                 "2 of 5,485 classes"):  # fmt: skip
        assert said in printed
    assert json.loads((files["out"] / "bench.json").read_text())["rows"]
    table = Table.open(files["out"] / "cifar10" / "table.safetensors")
    assert table.manifest["provenance"]["trainer"] == "stacked"
    before = table.id
    gpu_hour.main(arguments(files))
    printed = capsys.readouterr().out
    for said in ("bench.json is there", "skipped: no --reference", before):
        assert said in printed


@pytest.mark.usefixtures("_miniature")
def test_an_hour_without_time_builds_nothing_and_says_so(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    gpu_hour.main(arguments(files, "--hours", "0"))
    printed = capsys.readouterr().out
    assert "time is up before stacked" in printed
    assert "the trainer is plain" in printed
    assert "no shard was finished" in printed


@pytest.mark.usefixtures("_miniature")
def test_a_trainer_that_fails_the_check_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    real = gpu_hour.TRAINERS["stacked"]

    def wrong(some: Any, data: Any, recipe: Any, seed: int, **more: Any) -> Any:
        return real(some, data, recipe, seed + 1, **more)  # type: ignore[call-arg]

    monkeypatch.setitem(gpu_hour.TRAINERS, "stacked", wrong)
    assert gpu_hour.check(gpu_hour.Clock(600), "cpu", 600) == ["graphs", "plain"]


def test_a_trainer_that_crashes_does_not_end_the_hour(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*_: Any, **__: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setitem(gpu_hour.TRAINERS, "stacked", crash)
    assert gpu_hour.check(gpu_hour.Clock(600), "cpu", 600) == ["graphs", "plain"]
    assert "stacked: not used, RuntimeError: operation not permitted" in capsys.readouterr().out


@needs_no_gpu
def test_an_hour_needs_its_device(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        gpu_hour.main([*arguments(files), "--device", "cuda"])
    assert stopped.value.code == 2
    assert "sees none here" in capsys.readouterr().err


def test_shares_of_the_clock() -> None:
    clock = gpu_hour.Clock(1000)
    assert clock.share("check") == pytest.approx(50)
    assert clock.share("build") == pytest.approx(1000, abs=5)
    assert sum(gpu_hour.SHARES.values()) < 0.5
    assert validation.TASK == gpu_hour.TASK
