"""Builds of one's own images: trained, merged, audited, resumed and loaded like those of any other task."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import Architecture, NotRecorded, Table
from nb201env.cli import build as program
from nb201env.training import load_network, network_for
from nb201env.training.builds.build import build
from nb201env.training.builds.merge import merge
from nb201env.training.builds.plan import Folder, Plan
from nb201env.training.data import Data
from nb201env.training.images.own import own_data
from nb201env.training.images.tasks import load_task
from nb201env.training.loop import Alone, evaluate, train_plain
from nb201env.training.network import count_params
from nb201env.training.recipe import Recipe, find_recipe, read_recipe
from nb201env.training.trainers import train_compiled
from tests.training.images.test_own import made, saved

TASK = "npz:shapes,valid=0.2,test=0.2"
RECIPE = replace(find_recipe("smoke-2"), train_images=0, batch=16)
ARCHITECTURES = [Architecture.from_official_index(index) for index in (6111, 123, 9000)]
BUILD = [
    "build", "--task", "npz:shapes,test=0.20,valid=.2", "--recipe", "smoke-2", "--set",
    "train_images=0,batch=16", "--seeds", "3,4", "--only", "official:6111,official:123", "--weights",
]  # fmt: skip


def run(*arguments: str) -> Any:
    return CliRunner().invoke(program(), [*arguments])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("images"), made("train", 60, side=4, channels=2, classes=4))


@pytest.fixture(scope="module")
def folder(images: Path) -> Path:
    """Built and merged by the commands."""
    out = images.parent / "build"
    for command in (
        [*BUILD, "--out", str(out), "--data", str(images)],
        ["merge", str(out), "--data", str(images)],
    ):
        result = run(*command)
        assert result.exit_code == 0, (result.output, result.exception)
    return out


@pytest.fixture(scope="module")
def table(folder: Path) -> Table:
    return Table.open(folder / "shapes-2.safetensors")


def test_the_table_says_all_of_it(table: Table, images: Path) -> None:
    data, manifest = load_task(TASK, images), table.manifest
    assert (table.name, table.dataset, table.epochs, table.seeds) == ("shapes-2", "shapes", 2, (3, 4))
    assert manifest["task"]["name"] == TASK
    assert {name: split["images"] for name, split in manifest["task"]["splits"].items()} == {
        "train": 36, "valid": 12, "test": 12,
    }  # fmt: skip
    assert "60 % of every class in x_train of shapes" in manifest["task"]["splits"]["train"]["what"]
    assert manifest["normalisation"] == {"mean": data.mean.tolist(), "std": data.std.tolist()}
    assert manifest["provenance"]["data_sha256"] == data.digest
    assert manifest["licence"] == "not stated"
    with pytest.raises(NotRecorded, match="it is partial"):
        gym.make("NB201-v0", table=str(table.container.path))


def test_the_command_in_the_manifest_makes_the_table_again(
    table: Table, images: Path, tmp_path: Path
) -> None:
    words = shlex.split(table.manifest["provenance"]["command"])
    out, data = str(tmp_path / "again"), ["--data", str(images)]
    assert run(*words[1:], "--out", out, *data).exit_code == 0
    assert run("merge", out, *data, "--name", "other").exit_code == 0
    assert Table.open(tmp_path / "again" / "other.safetensors").id == table.id


def test_going_on_needs_the_same_images(folder: Path, images: Path, tmp_path: Path) -> None:
    held = dict(np.load(images))
    held["x_train"][0, 0, 0, 0] ^= 1
    other = str(saved(tmp_path, held))
    result = run(*BUILD, "--out", str(folder), "--data", other)
    assert "holds another build: data " in str(result.exception)
    for command in (["merge", str(folder)], ["audit", str(folder / "shapes-2.safetensors")]):
        result = run(*command, "--data", other)
        assert "the images are not those that" in str(result.exception)
        assert "npz:shapes,valid=0.2,test=0.2 needs its images: give --data" in str(run(*command).exception)
    result = run(*BUILD, "--out", str(folder), "--data", str(images), "--set", "width=3,name=smoke-2+a")
    assert "holds another build: recipe smoke-2+train_images=0+batch=16 (not smoke-2+a)" in str(
        result.exception
    )
    name = "name=smoke-2+train_images=0+batch=16"
    result = run(*BUILD, "--out", str(folder), "--data", str(images), "--set", "width=3", "--set", name)
    assert "holds another build: recipe width 2 (not 3); repeat" in str(result.exception)
    assert run(*BUILD, "--out", str(folder), "--data", str(images)).exit_code == 0


def test_an_audit(folder: Path, images: Path) -> None:
    result = run(
        "audit", str(folder / "shapes-2.safetensors"), "--data", str(images), "--sample", "2", "--json"
    )
    assert set(json.loads(result.output)["measures"]) >= {"seed_deviation", "retrained_noise_ratio"}


def test_weights_come_back(table: Table, images: Path) -> None:
    data = load_task(TASK, images)
    network = load_network(table, ARCHITECTURES[0], 3)
    correct, _ = evaluate(Alone(network), data, data.splits["test"])
    found = table.query(ARCHITECTURES[0], split="test", epochs=2, run=3).accuracy
    assert abs(int(correct) / 12 - found) <= 1 / 12 + 1e-9  # another trainer's rounding
    untrained = network_for(table, ARCHITECTURES[0])
    assert untrained.skeleton == network.skeleton
    assert (untrained.skeleton.channels, untrained.skeleton.classes, untrained.skeleton.image_size) == (
        2,
        4,
        4,
    )
    assert count_params(untrained) == count_params(network)


def test_a_latency_looks_at_the_images(images: Path) -> None:
    arguments = ["latency", "official:6111", "--task", TASK, "--batch", "2", "--repeats", "1", "--json"]
    assert json.loads(run(*arguments, "--data", str(images)).output)["seconds"] > 0
    assert "needs its images: give --data FILE.npz" in str(run(*arguments).exception)


def test_images_at_hand(images: Path, table: Table, tmp_path: Path) -> None:
    """In Python no file is needed; the numbers are those of the file's."""
    data = own_data(TASK, dict(np.load(images)))
    recipe = read_recipe("smoke-2", ["train_images=0,batch=16"])
    only = tuple(one.index for one in ARCHITECTURES[:2])
    folder = Folder.create(tmp_path, Plan(TASK, data.digest, recipe, (3, 4), "compiled", only=only))
    build(folder, source=data)
    assert merge(folder, tmp_path / "t.safetensors", data).id == table.id
    other = own_data(TASK + ",seed=1", dict(np.load(images)))
    folder = Folder.create(tmp_path / "b", Plan(TASK, data.digest, recipe, (3,), "compiled", only=only))
    with pytest.raises(ValueError, match="the images given are not those of the plan"):
        build(folder, source=other)
    with pytest.raises(ValueError, match="'cifar10' means other images"):
        Plan("npz:cifar10", data.digest, recipe, (3,))


@pytest.mark.parametrize("side", [4, 8, 12, 20])
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 5), (4, 11)])
def test_plain_and_compiled_agree(side: int, channels: int, classes: int) -> None:
    """On every size that is taken."""
    look = {"side": side, "channels": channels, "classes": classes}
    held = made("train", 40, **look) | made("valid", 11, **look) | made("test", 11, **look)
    data, recipe = (
        own_data("npz:shapes", held),
        replace(RECIPE, epochs=1, batch=20, width=3, flip=True, pad=8),
    )
    plain = train_plain(ARCHITECTURES, data, recipe, seed=3)[0]
    fast = train_compiled(ARCHITECTURES, data, recipe, seed=3)[0]
    for split in ("train", "valid", "test"):
        np.testing.assert_allclose(fast.loss[split], plain.loss[split], rtol=2e-3)


@pytest.mark.parametrize("trainer", [train_plain, train_compiled])
@pytest.mark.parametrize(("count", "batch"), [(17, 8), (9, 1), (9, 4)])
def test_a_batch_of_one_pixel(trainer: Callable[..., Any], count: int, batch: int) -> None:
    """Of 4x4 pixels one is left at the end; one number has no variance."""

    def data(side: int) -> Data:
        return own_data("npz:x", made("train", count, side) | made("valid", 3, side) | made("test", 3, side))

    recipe: Recipe = replace(RECIPE, epochs=1, batch=batch)
    with pytest.raises(
        ValueError, match=rf"a batch of one image of the {count} of task 'npz:x'.*another batch"
    ):
        trainer(ARCHITECTURES[:1], data(4), recipe, 1)
    for fine, used in ((data(8), recipe), (data(4), replace(recipe, batch=3, train_images=6))):
        assert np.isfinite(trainer(ARCHITECTURES[:1], fine, used, 1)[0].loss["train"]).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "IMAGES", "--download"], "are your own; give their --data FILE.npz, without --download"),
        ([], "task npz:shapes,valid=0.2,test=0.2 needs its images: give --data FILE.npz"),
        (["--data", "nowhere.npz"], "nowhere.npz is missing; give --data an existing .npz"),
        (["--data", "IMAGES", "--task", "npz:shapes"], "x_valid is missing"),
        (["--data", "IMAGES", "--task", "shapes"], "unknown task 'shapes'"),
        (["--data", "IMAGES", "--task", "npz:digits"], "'digits' means other images; name yours otherwise"),
        (
            ["--data", "IMAGES", "--task", "npz:a/b"],
            "a table's name is a file name without its ending; got 'a/b'",
        ),
        (
            ["--data", "IMAGES", "--set", "epochs=0"],
            "--set: epochs: should be a whole number in 1..10000, not 0",
        ),
        (["--data", "IMAGES", "--recipe", "nowhere.json"], "nowhere.json"),
        (["--data", "IMAGES", "--recipe", "tiny"], "unknown recipe 'tiny'"),
        (["--data", "IMAGES", "--set", "batch=1"], "--set names batch twice"),
        (["--data", "IMAGES", "--set", "width=3,train_images=0"], "--set names train_images twice"),
    ],
)
def test_wrong_commands(arguments: list[str], said: str, images: Path, tmp_path: Path) -> None:
    """Nothing is written."""
    given = [str(images) if argument == "IMAGES" else argument for argument in arguments]
    result = run(*BUILD, "--out", str(tmp_path / "x"), *given)
    assert isinstance(result.exception, (ValueError, OSError, LookupError)), result.output
    assert said in str(result.exception)
    assert re.fullmatch(r"[^\n]+", str(result.exception))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        ("cifar10-valid", {"x": (16, 16, 1)}, "must be uint8 [n, side, side, 3]"),
        ("cifar10-valid", {"x": (16, 16, 3)}, "this task needs images of 32x32 pixels; these have 16"),
    ],
)
def test_images_of_another_size_for_an_official_task(
    task: str, given: dict[str, Any], said: str, tmp_path: Path
) -> None:
    held = {f"x_{split}": np.zeros((20, *given["x"]), np.uint8) for split in ("train", "test")}
    path = saved(
        tmp_path, held | {f"y_{split}": np.arange(20) % 10 for split in ("train", "test")} | {"part": True}
    )
    result = run(*BUILD, "--out", str(tmp_path / "x"), "--task", task, "--data", str(path))
    assert isinstance(result.exception, ValueError)
    assert said in str(result.exception)
