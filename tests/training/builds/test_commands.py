"""``nb201 build``, ``merge`` and ``audit`` from the command line, wrong commands included."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from nb201env import Architecture, Table
from nb201env.cli import build as program
from nb201env.tables import find
from nb201env.training import latency
from nb201env.training.recipe import PRESETS
from nb201env.training.trainers import check_device
from tests.training.builds.test_build import BUILD, ONLY


def test_the_commands(tmp_path: Path) -> None:
    runner, only = CliRunner(), ",".join(f"index:{index}" for index in ONLY)
    out = tmp_path / "digits"
    command = [*BUILD, "--out", str(out), "--only", only]
    result = runner.invoke(program(), command)
    assert result.exit_code == 0, result.output
    assert "2 of 2 shards" in result.output
    assert "complete" in result.output
    result = runner.invoke(program(), ["merge", str(out)])
    assert result.exit_code == 0, result.output
    assert "12 of 10,970 trainings" in result.output
    result = runner.invoke(program(), ["audit", str(out / "digits-2.safetensors"), "--sample", "3", "--json"])
    assert json.loads(result.output)["measures"]["dead_accuracy"] < 0.2
    assert Table.open(out / "digits-2.safetensors").manifest["protocol"]["train_images"] == 128


def test_a_table_of_one_seed(tmp_path: Path) -> None:
    """Of a build in which the other seed has not begun."""
    runner = CliRunner()
    runner.invoke(
        program(), [*BUILD, "--out", str(tmp_path), "--only", "index:62,index:3124", "--share", "1/2"]
    )
    result = runner.invoke(program(), ["merge", str(tmp_path), "--seeds", "3"])
    assert "2 of 5,485 trainings" in result.output
    assert Table.open(tmp_path / "digits-2.safetensors").seeds == (3,)
    result = runner.invoke(program(), ["merge", str(tmp_path), "--seeds", "777"])
    assert str(result.exception) == "choose among the build's seeds, 3,4; got 777"
    result = runner.invoke(program(), ["merge", str(tmp_path), "--seeds", "a"])
    assert "seeds look like" in str(result.exception)


def test_merge_replaces_a_table_of_its_build_and_nothing_else(tmp_path: Path) -> None:
    runner, build, table = CliRunner(), tmp_path / "build", tmp_path / "t.safetensors"
    command = [*BUILD, "--out", str(build), "--only", "index:62"]
    runner.invoke(program(), [*command, "--share", "1/2"])
    merge = ["merge", str(build), "--out", str(table)]
    assert runner.invoke(program(), merge).exit_code == 0
    partial = Table.open(table).id
    runner.invoke(program(), command)
    assert runner.invoke(program(), merge).exit_code == 0
    assert Table.open(table).id != partial
    for content in (b"notes", find("digits-10").read_bytes()):
        table.write_bytes(content)
        assert "--replace" in str(runner.invoke(program(), merge).exception)
        assert table.read_bytes() == content
    assert runner.invoke(program(), [*merge, "--replace"]).exit_code == 0
    for name in ("../t", "a/b", ".t", "x.safetensors"):
        assert "is a file name" in str(
            runner.invoke(program(), ["merge", str(build), "--name", name]).exception
        )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--recipe", "x"], "unknown recipe 'x'"),
        (["--task", "mnist"], "unknown task 'mnist'"),
        (["--seeds", "a"], "seeds look like"),
        (["--trainer", "x"], "unknown trainer"),
        (["--engine", "x"], "unknown engine"),
        (["--task", "cifar10-valid", "--recipe", "official-12"], "give --data"),
        (["--task", "cifar10-valid", "--data", "/nowhere.npz"], "missing"),
        *(
            (["--device", name], f"unknown device {name!r}; this machine has cpu")
            for name in ("gpu", "mps", "meta", "xla", "nonsense", "cpu:1", "cuda:x", "cuda:-1", "CUDA", "")
        ),
        *(
            (["--limit-seconds", text], "a limit is a finite number of seconds from 0; got")
            for text in ("nan", "-1", "inf", "-inf", "1e999")
        ),
        *(
            (["--engine", "ray", "--gpus", text], "finite numbers from 0; got")
            for text in ("nan", "-1", "inf")
        ),
        (["--seeds", "9223372036854775808"], "seeds look like 4, 0-9 or 0,3,7-9; got"),
        (["--seeds", "0-29999"], "take fewer seeds"),
        (["--jobs", "0"], "greater than or"),
        (["--shard", "0"], "greater than or"),
        *((["--share", text], "--share looks like 2/5") for text in ("0/2", "3/2", "nan", "1/0", "-1/2")),
        (["--recipe", "official-12", "--trainer", "none"], "unknown trainer"),
    ],
)
def test_wrong_commands(arguments: list[str], error: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(program(), [*BUILD, "--out", str(tmp_path / "x"), *arguments])
    assert result.exit_code != 0
    assert error in " ".join((str(result.exception) + result.output).replace("│", "").split())
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("out", ["", "/", "memory://x/y", "simplecache::memory://x", "http://host/x"])
def test_places_that_keep_no_build(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(program(), [*BUILD, "--out", out])
    assert isinstance(result.exception, ValueError)
    assert not list(tmp_path.iterdir())


def test_more_training_images_than_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noticed before anything is written."""
    monkeypatch.setitem(PRESETS, "smoke-2", replace(PRESETS["smoke-2"], train_images=800))
    result = CliRunner().invoke(program(), [*BUILD, "--out", str(tmp_path / "x")])
    assert "wants 800 training images" in str(result.exception)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        *((["--device", name], "unknown device") for name in ("gpu", "mps", "meta", "nonsense")),
        (["--batch", "100000000000"], "a batch is 1 to 65,536 images; got 100,000,000,000"),
    ],
)
def test_wrong_latencies(arguments: list[str], error: str) -> None:
    result = CliRunner().invoke(program(), ["latency", "official:6111", "--task", "digits", *arguments])
    assert isinstance(result.exception, ValueError)
    assert error in str(result.exception)


def test_too_little_memory_for_a_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(latency, "timed", full)
    with pytest.raises(ValueError, match="not enough memory for 256 images at once; give a smaller --batch"):
        latency.measure(Architecture((0,) * 6), "digits")


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="PyTorch .* sees none here"):
        check_device("cuda")
    check_device("cuda:7", here=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_device("cuda:1")
    for name in ("cuda:2", "cuda:99"):
        with pytest.raises(
            ValueError, match=f"no device '{name}' here; this machine has cpu, cuda:0, cuda:1"
        ):
            check_device(name)


def test_a_kill_loses_one_training_of_the_plain_trainer(tmp_path: Path) -> None:
    command = [*BUILD, "--seeds", "3", "--only", "index:62,index:3124", "--trainer"]
    for trainer, shards in (("plain", 2), ("compiled", 1)):
        result = CliRunner().invoke(program(), [*command, trainer, "--out", str(tmp_path / trainer)])
        assert f"{shards} of {shards} shards" in result.output


@pytest.mark.parametrize("left_out", ["--task", "--recipe", "--seeds"])
def test_what_decides_the_numbers_has_no_default(left_out: str, tmp_path: Path) -> None:
    place = BUILD.index(left_out)
    result = CliRunner().invoke(program(), [*BUILD[:place], *BUILD[place + 2 :], "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert left_out in result.output
    assert not list(tmp_path.iterdir())
