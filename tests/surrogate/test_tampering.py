"""A model's file from a stranger, all its hashes right: refused in a sentence or harmless, never a crash."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env.arrays import Array
from nb201env.container import Container, write
from nb201env.space import SIZE
from nb201env.surrogate import model
from nb201env.surrogate.boosting import VALUE, VARIANCE, VarianceModel
from nb201env.surrogate.model import Surrogate, fit_surrogate
from nb201env.surrogate.storage import NotASurrogate, load, save
from nb201env.surrogate.trees import check, pack
from nb201env.table import Table
from tests.surrogate.conftest import CURVE_EPOCHS
from tests.test_manifest import changed

FREE = ("versions", "held_out_scores", "seed", "random_state")
SMALLER: dict[str, Any] = {"n_members": 2, "n_estimators": 4, "max_depth": 3}
WRONG: tuple[Any, ...] = (
    None, True, -1, 1.5, 10**30, "x", "../secret", [], [1, 2, 3], ["x"], {}, {"x": 1},
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny(curve_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with everything a model can have: noise, costs and curves; with few small trees."""
    patch = pytest.MonkeyPatch()
    patch.setattr(VarianceModel.__init__, "__defaults__", (4, 0))
    patch.setattr(model, "_COST_SETTINGS", {"encoding": "onehot", "target": "log", **SMALLER})
    train = np.random.default_rng(1).permutation(SIZE)[:60]
    surrogate = fit_surrogate(curve_table, train, split="valid", epochs=CURVE_EPOCHS[-2:], settings=SMALLER)
    path = tmp_path_factory.mktemp("tiny") / "model.safetensors"
    save(surrogate, path)
    patch.undo()
    return path


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of files are written here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def parts(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """A file's manifest, without what the container adds to it, and its arrays."""
    file = Container(path)
    manifest = {key: value for key, value in file.manifest.items() if key != "arrays"}
    return deepcopy(manifest), {name: np.array(file.array(name)) for name in file.manifest["arrays"]}


# -- the trees -------------------------------------------------------------------------------------


def test_no_tampered_tree_kills_the_process(table: Table, tmp_path: Path) -> None:
    """Several hundred of them, loaded in a process of their own, which must live to the end."""
    settings = {"n_members": 2, "n_estimators": 9, "max_depth": 3}
    fitted = fit_surrogate(table, range(0, SIZE, 60), split="valid", epochs=200, settings=settings)
    save(replace(fitted, costs={}, noise=None), tmp_path / "model.safetensors")
    command = [sys.executable, "-m", "tests.surrogate.tampered", str(tmp_path / "model.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"{done.returncode} at {lines[-1]}\n{done.stderr}"
    assert len(lines) > 500
    assert all(line.endswith((": loaded", "; get a fresh copy", "or fit again")) for line in lines)
    for what in ("left_children", "right_children", "parents", "split_type", "num_nodes", "empty", "cut at"):
        assert not [line for line in lines if what in line and line.endswith("loaded")]


def test_honest_trees_are_stored_as_xgboost_writes_them(small: Surrogate) -> None:
    """So a model's bytes do not depend on who checks them."""
    assert small.noise is not None
    for booster in (*small.accuracy.boosters_, *small.costs["train_seconds"].boosters_):
        assert pack(booster, VALUE) == bytes(booster.save_raw("ubj"))
    variance = small.noise.variance_.booster
    assert variance is not None
    assert pack(variance, VARIANCE) == bytes(variance.save_raw("ubj"))


def test_trees_of_another_objective_are_refused(small: Surrogate) -> None:
    content = pack(small.accuracy.boosters_[0], VALUE)
    with pytest.raises(ValueError, match="not what XGBoost writes"):
        check(content, VARIANCE)


def test_what_a_later_xgboost_adds_is_left_out(small: Surrogate) -> None:
    class Later:
        def save_raw(self, _: str) -> bytes:
            raw: bytes = small.accuracy.boosters_[0].save_raw("json")
            return raw.replace(b'"gbtree_model_param":', b'"news":[1],"gbtree_model_param":')

    assert pack(Later(), VALUE) == pack(small.accuracy.boosters_[0], VALUE)

    class Other:
        def save_raw(self, _: str) -> bytes:
            raw: bytes = small.accuracy.boosters_[0].save_raw("json")
            return raw.replace(b'"parents":', b'"forebears":')

    with pytest.raises(ValueError, match="writes boosters without 'parents'"):
        pack(Other(), VALUE)


@pytest.mark.parametrize("size", [1 << 20, 1 << 26])
def test_unpacking_is_bounded(tiny: Path, tmp_path: Path, size: int) -> None:
    manifest, arrays = parts(tiny)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
    write(tmp_path / "bomb", manifest, arrays | {"accuracy.member1": np.frombuffer(packed, dtype=np.uint8)})
    with pytest.raises(NotASurrogate, match="'accuracy.member1' holds no trees that can be used"):
        load(tmp_path / "bomb")


# -- the manifest and the other arrays -------------------------------------------------------------


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to every entry of a manifest, of all depths."""
    if path:
        yield path
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inner, (*path, key))


def test_every_entry_of_the_manifest_is_checked(tiny: Path, tmp_path: Path) -> None:
    """Replaced by values of a dozen kinds, or gone: NotASurrogate, or a model that works."""
    manifest, arrays = parts(tiny)
    tried, loaded, path = 0, [], tmp_path / "changed"
    for number, place in enumerate(places(manifest)):
        if place[1:3] == ("curves", "parts") and place[3:4] not in ((), (0,)):
            continue  # all parts are alike
        for value in (..., *WRONG[number % 2 :: 2]):  # by turns, for the sake of time
            write(path, changed(manifest, place, value), arrays)
            tried += 1
            try:
                surrogate = load(path)
            except NotASurrogate as refusal:
                assert "\n" not in str(refusal)
                assert str(refusal).startswith(str(path))
                continue
            loaded.append((place, value))
            assert np.isfinite(surrogate.predict(np.arange(9))).all()
    assert tried > 500
    for place, value in loaded:  # texts for people, and settings that no prediction depends on
        assert place[0] == "fitted" or place[-2:-1] == ("settings",) or place[-1] in FREE, (place, value)


def test_an_entry_too_many_is_refused(tiny: Path, tmp_path: Path) -> None:
    manifest, arrays = parts(tiny)
    for place in ((), ("fitted",), ("models",), ("models", "accuracy"), ("models", "accuracy", "settings"),
                  ("models", "noise"), ("models", "costs"), ("models", "curves")):  # fmt: skip
        write(tmp_path / "more", changed(manifest, (*place, "entry_point"), "os:system"), arrays)
        with pytest.raises(NotASurrogate, match="entry_point: is no entry of it"):
            load(tmp_path / "more")


@pytest.mark.parametrize("where", ["accuracy", "noise", "curves", "costs"])
@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("graph+transfer:/etc/passwd:valid:200", "'/etc/passwd', which is a path"),
        ("graph+transfer:../x.safetensors:valid:200", "which is a path"),
        ("graph+transfer:x.safetensors:valid:200", "which is a path"),
        ("graph+transfer:cifar100-200:valid:200", "here that table has id"),
        ("graph+transfer:nowhere-200:valid:200", "no table 'nowhere-200'"),
        ("graph+graph", "names a part twice"),
        ("graph+subprocess:Popen:1", "unknown encoding"),
    ],
)
def test_a_file_names_no_other_file(
    tiny: Path, tmp_path: Path, where: str, encoding: str, message: str
) -> None:
    manifest, arrays = parts(tiny)
    place = {
        "accuracy": ("accuracy", "settings"),
        "noise": ("noise",),
        "curves": ("curves", "parts", 1, "settings"),
        "costs": ("costs", "train_seconds", "settings"),
    }[where]
    write(tmp_path / "m", changed(manifest, ("models", *place, "encoding"), encoding), arrays)
    with pytest.raises(NotASurrogate, match=message):
        load(tmp_path / "m")


def test_every_array_is_checked(tiny: Path, tmp_path: Path) -> None:
    """Missing, of another type or shape, or with what is no number."""
    manifest, arrays = parts(tiny)
    for name, array in arrays.items():
        others = [None, array[:0], array[None], array.astype(np.float32), array[:-1]]
        if array.dtype.kind == "f":
            others += [np.full_like(array, np.nan), np.full_like(array, np.inf)]
        for other in others:
            rest = {key: value for key, value in arrays.items() if key != name}
            write(tmp_path / "m", manifest, rest | ({} if other is None else {name: other}))
            if (
                other is not None
                and len(other) == len(array) - 1
                and name in ("architectures", "noise.shapes")
            ):
                continue  # there may be any number of them
            if other is None and name.endswith(".variance") and name.startswith(("costs", "curves")):
                continue  # nothing is made of how far these may be off
            with pytest.raises(NotASurrogate):
                load(tmp_path / "m")
