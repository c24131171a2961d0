"""Folders that strangers hand over: plans, shards and weights are sound, or one sentence says why not."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import DamagedTable, Table
from nb201env.container import Container, write
from nb201env.training import load_network
from nb201env.training.builds.build import build
from nb201env.training.builds.merge import merge
from nb201env.training.builds.plan import Folder, Plan
from nb201env.training.builds.shards import ForeignShard, Unit
from nb201env.training.builds.store import Store
from nb201env.training.builds.weights import weights_of, write_weights
from nb201env.training.loop import skeleton_for
from nb201env.training.network import Network
from tests.training.builds.test_build import BEST, DATA, small_plan

DEEP: Any = json.loads("[" * 900 + "]" * 900)
WRONG = [None, True, -1, 0, 2.5, 10**30, "", "../x", "x" * 5000, [], [1], [[]], {}, {"a": 1}, DEEP]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A build of one shard with three architectures and made-up numbers, the second of them missing."""
    folder = Folder.create(tmp_path / "build", small_plan(only=(BEST, 62, 5), shard=3, seeds=(3,)))
    folder.write(folder.plan.units[0], numbers(folder.plan), about(folder.plan))
    return folder


def numbers(plan: Plan) -> dict[str, Any]:
    arrays: dict[str, Any] = {"measured_seconds": np.ones((3, 2), np.float32)}
    for split in ("train", "valid", "test"):
        arrays[f"{split}_correct"] = np.full((3, 2), 40, np.int32)
        arrays[f"{split}_loss"] = np.ones((3, 2), np.float32)
    for name, array in arrays.items():
        array[1] = -1 if name.endswith("correct") else np.nan
    return arrays


def about(plan: Plan) -> dict[str, Any]:
    gone = {"architecture": str(plan.architectures(plan.units[0])[1]), "seed": 3}
    return {"torch": "2.0", "device": "cpu", "processor": "p", "seconds": 1.0, "diverged": [gone]}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every entry of nested objects and lists."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def mutations(whole: Any) -> Iterator[Any]:
    """Copies in which one entry is wrong, missing or added."""
    for *path, last in places(whole):
        for wrong in [*WRONG, "missing"]:
            changed = copy.deepcopy(whole)
            inner = changed
            for key in path:
                inner = inner[key]
            if wrong == "missing":
                del inner[last]
            else:
                inner[last] = wrong
            yield changed
    yield whole | {"added": 1}


def one_sentence(error: BaseException) -> bool:
    return str(error).isprintable() and 20 < len(str(error)) < 1000


# -- plans -----------------------------------------------------------------------------------


def test_every_entry_of_a_plan_is_checked(folder: Folder) -> None:
    """What is read is the plan, or another possible one, or one sentence that says what can be saved."""
    file, tried, refused = Path(folder.store.name("plan.json")), 0, 0
    for changed in mutations(folder.plan.as_json()):
        file.write_text(json.dumps(changed))
        tried += 1
        try:
            found = Folder.open(folder.store.address).plan
        except DamagedTable as error:
            assert one_sentence(error)
            assert "its finished shards are kept" in str(error)
            refused += 1
        else:
            assert json.loads(json.dumps(found.as_json())) == changed
    assert tried > 250
    assert refused > 0.8 * tried


@pytest.mark.parametrize(
    "text",
    ["", "hello", "[]", "null", "5", '"x"', "[" * 100_000, '{"a":' * 100_000, "NaN", "{" + " " * 5_000_000,
     '{"seeds": [' + "1," * 10**6 + "1]}", '{"shard": 1' + "0" * 5000 + "}", "\ud800"],
    ids=range(13),
)  # fmt: skip
def test_a_broken_plan(text: str, folder: Folder) -> None:
    """It says that nothing is lost, and so it is."""
    file, good = Path(folder.store.name("plan.json")), folder.plan
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    acts: list[Callable[[], Folder]] = [
        lambda: Folder.open(folder.store.address),
        lambda: Folder.create(folder.store.address, good),
    ]
    for act in acts:
        with pytest.raises(DamagedTable, match=r"plan\.json cannot be read .*delete it and run") as error:
            act()
        assert one_sentence(error.value)
    file.unlink()
    assert Folder.create(folder.store.address, good).missing() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": (2**63,)}, "seeds must be"),
        ({"seeds": (99999999999999999999999,)}, "seeds must be"),
        ({"seeds": tuple(range(30_000))}, "take fewer seeds"),
        ({"seeds": tuple(range(5000)), "shard": 1, "only": ()}, "take fewer seeds"),
        ({"shard": 10**30}, "a shard holds"),
    ],
)
def test_plans_that_only_exhaust_a_machine(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        small_plan(**changes)
    assert one_sentence(error.value)


def test_of_two_plans_at_once_the_first_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "new")
    store.write_new_text("plan.json", "first")
    store.write_new_text("plan.json", "second")
    assert store.read_text("plan.json") == "first"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["plan.json"]


# -- shards ----------------------------------------------------------------------------------


def shard(folder: Folder) -> Path:
    return Path(folder.store.name(folder.plan.units[0].file))


def test_every_entry_of_a_shard_is_checked(folder: Folder, tmp_path: Path) -> None:
    """Its hashes are right each time: whoever changes a file can compute them."""
    whole = Container(shard(folder)).manifest
    arrays = whole.pop("arrays")
    tried = refused = 0
    for changed in mutations(whole):
        if "arrays" in changed:
            continue
        write(shard(folder), changed, numbers(folder.plan))
        tried += 1
        try:
            folder.read(folder.plan.units[0])
        except (DamagedTable, ForeignShard) as error:
            assert one_sentence(error)
            refused += 1
        else:
            merge(folder, tmp_path / "t.safetensors", DATA)
    assert len(arrays) == 7
    assert tried > 150
    assert refused > 0.7 * tried


def change(name: str, value: Any, row: int = 0) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays[name].__setitem__((row, 0), value)


def replace_by(name: str, array: Any) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays.__setitem__(name, array)


IMPOSSIBLE = {
    "a count below zero": change("valid_correct", -2),
    "a missing epoch": change("valid_correct", -1),
    "a missing first epoch": change("train_correct", -1),
    "a loss that is no number": change("test_loss", np.nan),
    "an infinite loss": change("test_loss", np.inf),
    "a loss below zero": change("train_loss", -0.5),
    "infinite seconds": change("measured_seconds", np.inf),
    "seconds below zero": change("measured_seconds", -1),
    "a number of a missing run": change("valid_loss", 1.0, row=1),
    "another type": replace_by("valid_correct", np.ones((3, 2))),
    "another shape": replace_by("valid_correct", np.ones((2, 3), np.int32)),
    "an epoch too many": replace_by("valid_correct", np.ones((3, 3), np.int32)),
    "a row too few": replace_by("valid_correct", np.ones((2, 2), np.int32)),
    "no numbers": replace_by("valid_correct", np.ones((0, 2), np.int32)),
    "another array": replace_by("other", np.ones(3)),
    "a missing array": lambda arrays: arrays.pop("test_loss"),
}


@pytest.mark.parametrize("spoil", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_numbers_that_no_training_gives(spoil: Callable[[dict[str, Any]], Any], folder: Folder) -> None:
    arrays, unit = numbers(folder.plan), folder.plan.units[0]
    spoil(arrays)
    folder.write(unit, arrays, about(folder.plan))
    with pytest.raises(DamagedTable, match=r"delete it and run the build's own command again") as error:
        folder.read(unit)
    assert one_sentence(error.value)
    assert "get a fresh copy" not in str(error.value)
    assert folder.missing() == [unit], "a build trains it again"


def test_more_correct_images_than_there_are(folder: Folder, tmp_path: Path) -> None:
    arrays = numbers(folder.plan)
    arrays["valid_correct"][0] = 501
    folder.write(folder.plan.units[0], arrays, about(folder.plan))
    with pytest.raises(DamagedTable, match="501 correct valid images of 500; delete it"):
        merge(folder, tmp_path / "t.safetensors", DATA)


def test_a_shard_in_anothers_place(folder: Folder) -> None:
    (shard(folder).parent / "4-00007.safetensors").write_bytes(shard(folder).read_bytes())
    with pytest.raises(
        ForeignShard, match=r"another shard's place: it is \[3, 0\], and here belongs \[4, 7\]"
    ):
        folder.read(Unit(4, 7))


def test_images_of_another_task(folder: Folder, tmp_path: Path) -> None:
    other = Folder(folder.store.address, small_plan(data="0" * 64))
    with pytest.raises(ValueError, match="the images are not those"):
        merge(other, tmp_path / "t.safetensors", DATA)
    with pytest.raises(ValueError, match="the images in None are not those of the plan"):
        build(Folder(tmp_path / "new", small_plan(data="0" * 64)))


@pytest.mark.parametrize("name", ["plan.json", "shards/3-00000.safetensors"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_in_a_files_place(name: str, make: Any, folder: Folder, tmp_path: Path) -> None:
    path = Path(folder.store.name(name))
    path.unlink()
    make(path)
    with pytest.raises(OSError, match="not a"):
        Folder.open(folder.store.address).missing()


def test_what_killed_commands_left_is_removed_when_it_is_old(folder: Folder) -> None:
    old, new = (shard(folder).with_name(f".{age}.1-00.partial") for age in ("old", "new"))
    for path in (old, new):
        path.touch()
    os.utime(old, (0, time.time() - 100_000))
    build(folder, limit_seconds=0)
    assert sorted(path.name for path in shard(folder).parent.iterdir()) == [new.name, shard(folder).name]


# -- weights ---------------------------------------------------------------------------------


@pytest.fixture
def weights(folder: Folder, tmp_path: Path) -> Callable[[dict[str, Any]], Any]:
    """Writes weights beside the build's table and loads them."""
    table = merge(folder, tmp_path / "build" / "t.safetensors", DATA)
    architecture = folder.plan.architectures(folder.plan.units[0])[0]

    def load(held: dict[str, Any]) -> Any:
        write_weights(folder.store, architecture, 3, folder.plan.digest, held)
        return load_network(table, architecture, 3)

    load.network = Network(architecture, skeleton_for(DATA, folder.plan.recipe))  # type: ignore[attr-defined]
    return load


def test_weights_of_another_shape(weights: Any) -> None:
    whole = weights_of(weights.network)
    weights(whole)
    name = next(iter(whole))
    for held in (
        {key: value for key, value in whole.items() if key != name},
        whole | {"more": np.zeros(2)},
        whole | {name: whole[name].astype(np.float64)},
        whole | {name: whole[name].ravel()},
        whole | {name: np.zeros(0, np.float32)},
    ):
        with pytest.raises(DamagedTable) as error:
            weights(held)
        assert one_sentence(error.value)


def test_a_skeleton_that_is_none(weights: Any, tmp_path: Path) -> None:
    weights(weights_of(weights.network))
    held = Container(tmp_path / "build" / "t.safetensors")
    whole = copy.deepcopy(held.manifest)
    arrays, file = (
        {name: held.array(name) for name in whole.pop("arrays")},
        tmp_path / "build" / "u.safetensors",
    )
    for changed in mutations(whole["skeleton"]):
        write(file, whole | {"skeleton": changed}, arrays)
        with pytest.raises(ValueError, match=".") as error:
            load_network(Table.open(file), weights.network.architecture, 3)
        assert one_sentence(error.value)
