"""The bench: every row apart, what goes wrong in one is a row, and the next is measured."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.jsonl import read_lines
from benchmarks.speed import gpu, gpu_rows
from benchmarks.speed.gpu import run
from benchmarks.speed.gpu_rows import FULL, Name, Row, Work, failed, identity, measure, one, prepare
from nb201env.training.gpu.capture import Lane

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def figures_of(name: str, **changes: Any) -> Row:
    """A row as a process prints it."""
    figures = {
        "step_seconds": 0.064, "evaluation_seconds": 0.02, "making_seconds": 9.0, "images_per_second": 256e3,
        "architectures_per_hour": 1000.0, "of_floor": 0.4, "memory_gb": 31.8, "bandwidth_tb": 3.0,
        "device": "H100", "torch": "2.11.0", "triton": "3.6.0",
    }  # fmt: skip
    return identity(Name.of(name), "official-12") | figures | changes


def command(**does: str) -> list[str]:
    """Stands in for the row's process: what it does, by the number of networks; else it prints a row."""
    lines = ["import json, os, sys, time", "name = sys.argv[-1]", f"row = {figures_of('plain:1')!r}"]
    lines += [
        "trainer, count = name.split(':')",
        "row |= dict(row=name, trainer=trainer, networks=int(count))",
    ]
    lines += [f"if count == {count[1:]!r}: {what}" for count, what in does.items()]
    return [sys.executable, "-c", "\n".join([*lines, "print(json.dumps(row))"])]


def measured(
    *names: str, limit: float = 60, each: float = 60, there: list[Row] | None = None, **does: str
) -> list[Row]:
    rows: list[Row] = []
    run([Name.of(n) for n in names], "official-12", command(**does), limit, each, rows.append, there or [],
        lambda _: None)  # fmt: skip
    return rows


# -- the command ---------------------------------------------------------------------------------


@needs_no_gpu
@pytest.mark.parametrize("more", [[], ["--row", "stacked:64"]], ids=["all", "one"])
def test_without_a_gpu_one_line_says_so(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        gpu.main(more)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "sees no NVIDIA GPU here; try the script with --device cpu" in line


@pytest.mark.parametrize(
    "name", ["stacked", "stacked:", "cudnn:8", "graphs,torch:8", "stacked,numpy:8", "plain:0"]
)
def test_an_unknown_row(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        gpu.main(["--device", "cpu", "--rows", name])
    assert stopped.value.code == 2
    assert f"unknown row {name!r}" in capsys.readouterr().err


def test_the_command_in_miniature(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """More steps than there are batches: as many as there are. What is there is not measured again."""
    file = tmp_path / "new" / "rows.jsonl"
    same = ["--device", "cpu", "--jsonl", str(file)]
    gpu.main([*same, "--steps", "99", "--rows", "stacked,torch:2"])
    (row,) = map(json.loads, file.read_text().splitlines())
    assert row["row"] == "stacked,torch:2"
    assert row["error"] == ""
    assert row["steps"] == 32
    assert "of the floor" in capsys.readouterr().out
    gpu.main([*same, "--rows", "stacked,torch:2"])
    assert "stacked,torch:2: is there" in capsys.readouterr().out
    assert len(file.read_text().splitlines()) == 1
    gpu.main([*same, "--show", "--markdown"])
    assert "| stacked, torch | 2 |" in capsys.readouterr().out


# -- one row -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain:1", "graphs:2", "stacked:2", "stacked,torch:1"])
def test_every_trainer_is_measured(name: str) -> None:
    data, recipe = prepare("cpu", "official-12")
    row = measure(Name.of(name), "official-12", data, replace(recipe, width=2, batch=4), 1)
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert row["row"] == name
    assert row["images_per_second"] == pytest.approx(row["networks"] * 4 / row["step_seconds"])
    assert 0 < row["of_floor"] < math.inf
    assert (
        min(row[k] for k in ("making_seconds", "evaluation_seconds", "architectures_per_hour", "reached_tb"))
        > 0
    )
    assert (row["dtype"], row["torch"], row["device"]) == ("float32", torch.__version__, "cpu, in miniature")


def test_a_row_also_survives_what_an_epoch_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of an epoch and an evaluation come before anything is timed; both count for the rate."""
    done: list[str] = []
    clock = iter(range(100))

    def look(split: Any) -> None:
        done.append(f"look {len(split.labels)}")

    work = Work(lambda n: done.append(f"train {n}"), lambda: done.append("rest"), look)
    monkeypatch.setattr(gpu_rows, "make", lambda *_: work)
    monkeypatch.setattr(gpu_rows, "bandwidth", lambda _: 1e9)
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    data, recipe = prepare("cpu", "official-12")
    row = measure(Name.of("stacked:64"), "official-12", data, recipe, 5)
    assert done == ["train 1", "rest", "look 8", "train 5", "look 32"]
    assert (row["step_seconds"], row["evaluation_seconds"]) == (0.2, 0.25)
    assert row["architectures_per_hour"] == pytest.approx(3600 * 64 / (12 * (98 * 0.2 + 138 * 0.25)))


def test_a_rest_is_a_batch_of_its_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    data, recipe = prepare("cpu", "small-12")
    assert (recipe.name, gpu_rows.SHAPES["small-12"]) == ("small-12", 16)
    sizes: list[int] = []
    real = Lane.train

    def train(self: Any, images: torch.Tensor, labels: torch.Tensor) -> None:
        sizes.append(len(labels))
        real(self, images, labels)

    monkeypatch.setattr(Lane, "train", train)
    measure(Name.of("graphs:1"), "small-12", data, replace(recipe, width=2), 2)
    assert sizes == [8, 5, 8, 8]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("tried to allocate"), FULL),
        (RuntimeError("CUDA error: out of memory\nwhile capturing"), FULL),
        (RuntimeError("operation failed due to a previous error during capture"), "RuntimeError: operation"),
        (ArithmeticError("the train loss is nan"), "ArithmeticError: the train"),
    ],
)
def test_whatever_goes_wrong_is_a_row(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Work:
        raise error

    monkeypatch.setattr(gpu_rows, "make", broken)
    row = one(Name.of("stacked:64"), "cpu", "official-12", 1)
    assert row["error"].startswith(said)
    assert "\n" not in row["error"]
    assert (row["trainer"], row["networks"], row["shape"]) == ("stacked", 64, "official-12")


# -- all rows ------------------------------------------------------------------------------------


def test_the_most_valuable_rows_come_first() -> None:
    assert gpu.ROWS[:3] == ("plain:1", "stacked:64", "graphs:8")
    assert [str(Name.of(name)) for name in gpu.ROWS] == list(gpu.ROWS)


def test_no_row_ends_the_others() -> None:
    """One raises, one is killed, one hangs, one says nothing, one prints what is no row."""
    rows = measured(
        "graphs:1", "graphs:2", "graphs:3", "graphs:4", "graphs:5", "graphs:6", each=4,
        n1="raise RuntimeError('poisoned')", n2="os.abort()", n3="time.sleep(60)", n4="sys.exit(0)",
        n5="print('{half a row'); sys.exit(3)",
    )  # fmt: skip
    errors = [row["error"] for row in rows]
    assert errors[0] == "RuntimeError: poisoned"
    assert errors[1].startswith("SIGABRT")
    assert errors[2].startswith("its time was up after 4")
    assert errors[3] == "it printed no row"
    assert errors[4] == "{half a row"
    assert errors[5] == ""


def test_where_it_does_not_fit_more_are_not_tried() -> None:
    """But fewer are, and other trainers."""
    rows = measured(
        "stacked:64", "stacked:32", "stacked:128", "graphs:128", n64=f"row['error'] = {FULL + ' (…)'!r}"
    )
    errors = {row["row"]: row["error"] for row in rows}
    assert errors == {
        "stacked:64": f"{FULL} (…)", "stacked:32": "", "graphs:128": "",
        "stacked:128": "not tried: 64 did not fit into the memory",
    }  # fmt: skip


def test_rows_that_are_there_are_not_repeated() -> None:
    there = [figures_of("plain:1"), failed(Name.of("graphs:8"), "official-12", "killed"),
             figures_of("stacked:8", shape="small-12")]  # fmt: skip
    rows = measured("plain:1", "graphs:8", "stacked:8", there=there)
    assert [row["row"] for row in rows] == ["stacked:8"]  # that of another task is another row


def test_the_limit_of_all_leaves_a_row_to_another_run() -> None:
    assert measured("plain:1", limit=0) == []
    assert measured("plain:1", limit=1, each=60, n1="time.sleep(60)") == []


def test_each_row_is_in_the_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(figures_of("plain:1")) + '\n{"row": "graphs:8", "net')  # cut off by a kill
    rows = read_lines(file)
    keep: Callable[[Row], None] = gpu.keeper(rows, file)
    keep(figures_of("graphs:8"))
    assert [row["row"] for row in read_lines(file)] == ["plain:1", "graphs:8"]
    assert len(rows) == 2


# -- words ---------------------------------------------------------------------------------------


def test_the_rows_as_a_table() -> None:
    rows = [figures_of("plain:1", architectures_per_hour=100.0, memory_gb=None), figures_of("stacked:64"),
            failed(Name.of("stacked,torch:4"), "official-12", "killed | here")]  # fmt: skip
    assert gpu.markdown(rows) == [
        "official-12: H100, PyTorch 2.11.0, Triton 3.6.0, copying 3.00 TB/s",
        "",
        "| trainer | K | ms/step and K | images/s | architectures/h | x plain | of the floor | GB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| plain | 1 | 64.00 | 256,000 | 100 | 1.0 | 40% | |",
        "| stacked | 64 | 1.00 | 256,000 | 1,000 | 10.0 | 40% | 31.8 |",
        "| stacked, torch | 4 | killed \\| here | | | | | |",
    ]
    assert gpu.show(rows).row_count == 3


def test_ratios_are_to_the_plain_loop_of_the_same_task() -> None:
    rows = [figures_of("plain:1", architectures_per_hour=100.0),
            figures_of("stacked:64", shape="small-12", architectures_per_hour=9000.0)]  # fmt: skip
    assert gpu.markdown(rows)[-1] == "| stacked | 64 | 1.00 | 256,000 | 9,000 | | 40% | 31.8 |"
