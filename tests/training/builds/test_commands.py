"""``nb201 build``, ``merge`` and ``audit`` from the command line, wrong commands included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nb201env import Table
from nb201env.cli import build as program
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
    ],
)
def test_wrong_commands(arguments: list[str], error: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(program(), [*BUILD, "--out", str(tmp_path / "x"), *arguments])
    assert result.exit_code != 0
    assert error in str(result.exception)
    assert not (tmp_path / "x").exists()


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
