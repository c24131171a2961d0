"""Damaged, wrongly filled and fuzzed files: an error that names file and field, and no other."""

from __future__ import annotations

import bz2
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nb201env.sources.errors import SourceError
from nb201env.sources.importer import import_official
from nb201env.sources.nats import Item, read_item
from nb201env.sources.pickles.streams import Stream
from nb201env.sources.pickles.unpickle import Unpickler, loads
from nb201env.sources.pth import read_pth
from tests.fuzz.pickles import fuzz
from tests.official_data import architecture_results, write_folder, write_pickle

# -- damage --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_file() -> bytes:
    return bz2.compress(pickle.dumps(architecture_results(11), protocol=4))


def read_bytes(path: Path, data: bytes) -> Any:
    path.write_bytes(data)
    return read_item(Item(11, str(path), 0, len(data), str(path)))


def test_truncated_files_are_named(tmp_path: Path, one_file: bytes) -> None:
    path = tmp_path / "000011.pickle.pbz2"
    for end in [0, 1, 3, 10, *range(100, len(one_file), len(one_file) // 25), len(one_file) - 1]:
        with pytest.raises(SourceError, match=r"000011\.pickle\.pbz2: (bz2|byte)"):
            read_bytes(path, one_file[:end])


def test_flipped_bits_are_found(tmp_path: Path, one_file: bytes) -> None:
    path = tmp_path / "000011.pickle.pbz2"
    rng = np.random.default_rng(0)
    for position in rng.integers(len(one_file), size=40).tolist():
        data = bytearray(one_file)
        data[position] ^= 1 << int(rng.integers(8))
        with pytest.raises(SourceError, match=r"000011\.pickle\.pbz2"):
            read_bytes(path, bytes(data))


def test_something_after_the_end_is_found(tmp_path: Path, one_file: bytes) -> None:
    with pytest.raises(SourceError, match="follows the end"):
        read_bytes(tmp_path / "000011.pickle.pbz2", one_file + bz2.compress(b"more"))


WRONG: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("not a dictionary", lambda v: [v], "content"),
    ("no schedule", lambda v: {}, "content"),
    ("unknown schedule", lambda v: {"90": v["200"]}, "'90'"),
    ("another index", lambda v: change(v, "200/arch_index", 12), "200/arch_index"),
    ("another architecture", lambda v: change(v, "12/arch_str", "|x~0|"), "12/arch_str"),
    ("index as text", lambda v: change(v, "12/arch_index", "11"), "12/arch_index"),
    ("seeds as a tuple", lambda v: change(v, "12/dataset_seed/cifar10", (111,)), "12/dataset_seed/cifar10"),
    ("seed twice", lambda v: change(v, "12/dataset_seed/cifar10", [111, 111]), "12/dataset_seed/cifar10"),
    ("unknown task", lambda v: change(v, "12/dataset_seed/mnist", [1]), "12/dataset_seed/'mnist'"),
    ("missing run", lambda v: change(v, "12/dataset_seed/cifar10", [5]), "12/all_results/cifar10/5"),
    ("epochs", lambda v: run(v, epochs=11), "cifar100/777/epochs"),
    ("other seed", lambda v: run(v, seed="0888"), "cifar100/777/seed"),
    ("accuracy as text", lambda v: entry(v, "train_acc1es", 3, "12.5"), "cifar100/777/train_acc1es"),
    ("accuracy as bool", lambda v: entry(v, "train_acc1es", 3, True), "cifar100/777/train_acc1es"),
    ("accuracy as list", lambda v: entry(v, "train_acc1es", 3, [1.0]), "cifar100/777/train_acc1es"),
    (
        "accuracy above 100",
        lambda v: entry(v, "eval_acc1es", "x-valid@199", 101.0),
        "cifar100/777/eval_acc1es",
    ),
    ("accuracy below 0", lambda v: entry(v, "train_acc1es", 0, -1.0), "cifar100/777/train_acc1es"),
    (
        "accuracy not a number",
        lambda v: entry(v, "train_acc1es", 0, float("nan")),
        "cifar100/777/train_acc1es",
    ),
    ("huge integer", lambda v: entry(v, "train_losses", 0, 10**400), "byte"),
    ("too many epochs", lambda v: entry(v, "train_losses", 200, 1.0), "cifar100/777/train_losses"),
    ("unknown epoch", lambda v: entry(v, "eval_losses", "x-valid@200", 1.0), "eval_losses/'x-valid@200'"),
    ("unknown set", lambda v: entry(v, "eval_losses", "x-what@1", 1.0), "eval_losses/'x-what@1'"),
    ("sets as text", lambda v: run(v, eval_names="x-valid"), "cifar100/777/eval_names"),
    ("unknown set name", lambda v: run(v, eval_names=["secret"]), "cifar100/777/eval_names"),
    ("losses as list", lambda v: run(v, train_losses=[0.5] * 200), "cifar100/777/train_losses"),
    ("negative time", lambda v: entry(v, "train_times", 0, -5.0), "cifar100/777/train_times"),
    ("a time missing", lambda v: without(v, "train_times", 7), "cifar100/777/train_times"),
    ("params as text", lambda v: run(v, params="0.1"), "cifar100/777/params"),
    ("params missing", lambda v: run(v, params=None), "cifar100/777/params"),
    ("absurd flops", lambda v: run(v, flop=1e300), "cifar100/777/flop"),
    ("latency as float", lambda v: run(v, latency=0.1), "cifar100/777/latency"),
    ("latency of texts", lambda v: run(v, latency=["0.1"]), "cifar100/777/latency"),
]


def change(values: dict[str, Any], path: str, new: Any) -> dict[str, Any]:
    *above, last = path.split("/")
    target: Any = values
    for key in above:
        target = target[key]
    target[last] = new
    return values


def run(values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    values["200"]["all_results"]["cifar100", 777].update(changes)
    return values


def entry(values: dict[str, Any], field: str, key: Any, value: Any) -> dict[str, Any]:
    values["200"]["all_results"]["cifar100", 777][field][key] = value
    return values


def without(values: dict[str, Any], field: str, key: Any) -> dict[str, Any]:
    del values["200"]["all_results"]["cifar100", 777][field][key]
    return values


@pytest.mark.parametrize(("what", "damage", "field"), WRONG, ids=[what for what, _, _ in WRONG])
def test_wrong_contents_are_named(
    tmp_path: Path, what: str, damage: Callable[[dict[str, Any]], Any], field: str
) -> None:
    data = bz2.compress(pickle.dumps(damage(architecture_results(11)), protocol=4))
    with pytest.raises(SourceError) as caught:
        read_bytes(tmp_path / "000011.pickle.pbz2", data)
    assert "000011.pickle.pbz2" in caught.value.file
    assert field in caught.value.field
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("problem", "values"),
    [
        ("not a torch file", [1, 1001, {"little_endian": True}]),
        ("is not torch's", [0x1950A86A20F9469CFC6C, 7, {"little_endian": True}]),
        ("byte order", [0x1950A86A20F9469CFC6C, 1001, {"little_endian": False}]),
    ],
)
def test_other_pth_files_are_refused(tmp_path: Path, problem: str, values: list[Any]) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(b"".join(pickle.dumps(value, protocol=2) for value in [*values, {}]))
    with pytest.raises(SourceError, match=problem):
        read_pth(path, lambda record: None)


def test_damaged_zips_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    for names in ([], ["a/data.pkl", "b/data.pkl"], ["data.pkl"], ["a/b/data.pkl"]):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, pickle.dumps({}))
        if names:
            with pytest.raises(SourceError, match="exactly one"):
                read_pth(path, lambda record: None)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"meta_archs": [0.5] * 1000}))
    data = bytearray(path.read_bytes())
    data[200] ^= 255
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"x\.pth"):
        read_pth(path, lambda record: None)


# -- fuzzing -------------------------------------------------------------------------------------


def test_a_thousand_fuzzed_inputs_raise_only_the_documented_error() -> None:
    fuzz(1_000, seed=0)


@pytest.mark.slow
def test_ten_thousand_fuzzed_inputs_raise_only_the_documented_error() -> None:
    fuzz(10_000, seed=0)


ATOMS = [st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(), st.text(max_size=80)]
PLAIN = st.recursive(
    st.one_of(*ATOMS, st.binary(min_size=1, max_size=80)),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers(0, 300) | st.text(max_size=20), inner, max_size=8)
        | st.dictionaries(st.integers(0, 300), st.floats(), max_size=40)
        | st.dictionaries(st.from_regex(r"[a-z-]{1,9}@\d{1,3}", fullmatch=True), st.floats(), max_size=40)
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(PLAIN, st.integers(2, 5))
def test_plain_data_comes_back_as_pythons_own_unpickler_reads_it(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol=protocol)
    for fast in (True, False):
        found = Unpickler(Stream("plain", data), fast=fast).load()
        assert repr(found) == repr(pickle.loads(data))


def test_numpy_values_come_back_as_numbers() -> None:
    rng = np.random.default_rng(0)
    for protocol in (2, 4, 5):
        for kind in ("f8", "f4", "i8", "u2", "?"):
            value = (rng.random(6) * 9).astype(kind)[0]
            assert loads(pickle.dumps(value, protocol=protocol), file="x") == value.item()
    for array in (rng.random((3, 4)), np.asfortranarray(rng.random((3, 4))), np.arange(5, dtype="i4")):
        for protocol in (2, 4):
            found = loads(pickle.dumps(array, protocol=protocol), file="x")
            assert np.array_equal(found.value, array)


def test_a_folder_with_one_bad_file_writes_no_table(tmp_path: Path, one_file: bytes) -> None:
    folder = write_folder(tmp_path / "set", (0,))
    (folder / "000011.pickle.pbz2").write_bytes(one_file[:-5])
    with pytest.raises(SourceError, match="000011"):
        import_official(folder, tmp_path / "out", workers=1)
    assert not list((tmp_path / "out").glob("*.safetensors"))
    write_pickle(folder / "000011.pickle.pbz2", architecture_results(11))
    assert len(import_official(folder, tmp_path / "out", workers=1)) == 8
