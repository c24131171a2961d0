"""Images in an .npz of unknown origin: the data set's, or one sentence; a claim costs no memory."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env.training.images import originals
from nb201env.training.images.fetch import DamagedData
from nb201env.training.images.originals import read_images
from nb201env.training.images.tasks import load_task

N, M = 6, 4


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(originals.COUNTS, "cifar10", (N, M))


def arrays(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "x_train": np.arange(N * 3072, dtype=np.uint8).reshape(N, 32, 32, 3), "y_train": np.arange(N),
        "x_test": np.ones((M, 32, 32, 3), np.uint8), "y_test": np.arange(M),
    }  # fmt: skip
    return values | changes


def saved(path: Path, **changes: Any) -> Path:
    np.savez(path, **arrays(**changes))
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("labels", [np.uint8, np.int8, np.int64, np.uint64, ">i4"])
def test_what_was_saved_comes_back(save: Any, labels: Any, tmp_path: Path) -> None:
    held = arrays(y_train=np.arange(N).astype(labels), x_train=np.asfortranarray(arrays()["x_train"]))
    save(tmp_path / "c.npz", **held, other=np.array(["not read"]))
    found = read_images(tmp_path / "c.npz", "cifar10")
    for name, array in found.items():
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, held[name])


NAN = float("nan")
WRONG_LABELS: dict[str, Any] = {
    "below zero": np.array([0, 1, 2, 3, 4, -1]),
    "beyond the classes": np.array([0, 1, 2, 3, 4, 10]),
    "256": np.array([0, 1, 2, 3, 4, 256]),
    "2**63": np.array([0, 1, 2, 3, 4, 2**63], np.uint64),
    "fractions": np.array([0, 1, 2, 3, 4, 2.7]),
    "whole floats": np.arange(6.0),
    "NaN": np.array([0, 1, 2, 3, 4, NAN]),
    "texts": np.array(list("012345")),
    "bytes": np.array([b"0"] * 6),
    "dates": np.arange(6).astype("datetime64[D]"),
    "durations": np.arange(6).astype("timedelta64[s]"),
    "flags": np.array([True] * 6),
    "complex": np.arange(6).astype(complex),
    "records": np.zeros(6, [("a", "i4"), ("b", "i4")]),
    "void": np.zeros(6, "V4"),
    "empty texts": np.zeros(6, "U0"),
    "objects": np.array([1, "x", None, 2, 3, 4], dtype=object),
    "a column": np.arange(6)[:, None],
    "one too few": np.arange(5),
    "none": np.zeros(0, int),
    "a number": np.array(3),
}


@pytest.mark.parametrize("labels", WRONG_LABELS.values(), ids=WRONG_LABELS)
def test_wrong_labels(labels: Any, tmp_path: Path) -> None:
    with pytest.raises(DamagedData, match=r"c\.npz.*y_train"):
        read_images(saved(tmp_path / "c.npz", y_train=labels), "cifar10")


WRONG_IMAGES: dict[str, Any] = {
    "floats": np.zeros((N, 32, 32, 3)),
    "signed": np.zeros((N, 32, 32, 3), np.int8),
    "wide": np.zeros((N, 32, 32, 3), np.uint16),
    "channels first": np.zeros((N, 3, 32, 32), np.uint8),
    "grey": np.zeros((N, 32, 32, 1), np.uint8),
    "flat": np.zeros((N, 3072), np.uint8),
    "not square": np.zeros((N, 32, 16, 3), np.uint8),
    "too large": np.zeros((N, 64, 64, 3), np.uint8),
    "no pixels": np.zeros((N, 0, 0, 3), np.uint8),
    "one too many": np.zeros((N + 1, 32, 32, 3), np.uint8),
    "none": np.zeros((0, 32, 32, 3), np.uint8),
    "objects": np.array([{"a": 1}] * N, dtype=object),
}


@pytest.mark.parametrize("images", WRONG_IMAGES.values(), ids=WRONG_IMAGES)
def test_wrong_images(images: Any, tmp_path: Path) -> None:
    with pytest.raises(DamagedData, match=r"c\.npz.*x_train"):
        read_images(saved(tmp_path / "c.npz", x_train=images), "cifar10")


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_test", "y_test"])
def test_a_missing_array_is_named(name: str, tmp_path: Path) -> None:
    held = arrays()
    del held[name]
    np.savez(tmp_path / "c.npz", **held)
    with pytest.raises(DamagedData, match=f"{name} is missing"):
        read_images(tmp_path / "c.npz", "cifar10")


@pytest.mark.parametrize(("train", "test"), [(N - 1, M), (N + 1, M), (N, M - 1), (N, M + 1), (0, M)])
def test_another_count_than_the_data_sets(train: int, test: int, tmp_path: Path) -> None:
    """Else its halves are not the official ones, and a table would say that they are."""
    held = {"x_train": np.zeros((train, 32, 32, 3), np.uint8), "y_train": np.zeros(train, int),
            "x_test": np.zeros((test, 32, 32, 3), np.uint8), "y_test": np.zeros(test, int)}  # fmt: skip
    path = saved(tmp_path / "c.npz", **held)
    with pytest.raises(DamagedData, match=r"images; cifar10 has .; take all of them"):
        read_images(path, "cifar10")
    saved(path, **held, part=True)
    if 0 < train <= N and test <= M:
        assert load_task("cifar10-valid", path).part
    else:
        with pytest.raises(DamagedData):
            read_images(path, "cifar10")


def test_a_whole_data_set_is_no_part(tmp_path: Path) -> None:
    assert not load_task("cifar10-valid", saved(tmp_path / "c.npz")).part
    assert not load_task("digits").part


# -- files that are no .npz ------------------------------------------------------------------


def head(shape: object, dtype: str = "'|u1'", version: int = 1) -> bytes:
    """A member's first bytes."""
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text


HEADS = {
    "a negative shape": head((-1, 32, 32, 3)),
    "a huge shape": head((10**30,)),
    "a fraction": head("(2.5,)"),
    "names": head("(n,)"),
    "a call": head("__import__('os').system('touch evil')"),
    "deep": head("(" * 3000 + ")" * 3000),
    "too long": head("(" + "1," * 20_000 + ")"),
    "an unknown type": head((6,), "'nonsense'"),
    "a type that is a number": head((6,), "5"),
    "a type within a type": head((6,), "[('a', [('b', 'O')])]"),
    "objects": head((6,), "'|O'"),
    "no head": b"",
    "another magic": b"\x00" * 100,
    "another version": head((6,), version=9),
    "a head that is cut": head((6,))[:20],
    "no dictionary": b"\x93NUMPY\x01\x00\x05\x00hello",
}


@pytest.mark.parametrize("content", HEADS.values(), ids=HEADS)
def test_a_head_that_is_none(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("c.npz", **{name: array for name, array in arrays().items() if name != "y_train"})
    with zipfile.ZipFile("c.npz", "a") as file:
        file.writestr("y_train.npy", content)
    with pytest.raises(DamagedData, match=r"c\.npz"):
        read_images(Path("c.npz"), "cifar10")
    assert not Path("evil").exists()


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packers_are_refused(compression: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "c.npz", "w", compression) as file:
        file.writestr("x_train.npy", b"x")
    with pytest.raises(DamagedData, match="packed as numpy packs nothing"):
        read_images(tmp_path / "c.npz", "cifar10")


def test_an_npy_is_no_npz(tmp_path: Path) -> None:
    with open(tmp_path / "c.npz", "wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(DamagedData, match=r"c\.npz: not an \.npz"):
        load_task("cifar10-valid", tmp_path / "c.npz")


def test_neither_a_folder_nor_an_npz(tmp_path: Path) -> None:
    (tmp_path / "c.csv").touch()
    for task in ("cifar10", "cifar100", "ImageNet16-120"):
        with pytest.raises(DamagedData, match="neither a folder nor an .npz"):
            load_task(task, tmp_path / "c.csv")


@pytest.mark.parametrize("name", ["c.npz", "cifar-10-batches-py/data_batch_1"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_pipes_and_folders_in_a_files_place(name: str, make: Any, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    make(tmp_path / name)
    with pytest.raises(OSError, match="not a file"):
        load_task("cifar10", tmp_path / "c.npz" if name == "c.npz" else tmp_path)


def test_damaged_bytes(tmp_path: Path) -> None:
    """Every one is noticed, unless it is one that zip files do not look at."""
    np.savez_compressed(tmp_path / "c.npz", **arrays())
    whole, rng = (tmp_path / "c.npz").read_bytes(), np.random.default_rng(0)
    expected = read_images(tmp_path / "c.npz", "cifar10")
    for _ in range(400):
        content = bytearray(whole)
        content[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        (tmp_path / "d.npz").write_bytes(
            content[: len(whole) if rng.random() < 0.7 else rng.integers(len(whole))]
        )
        try:
            found = read_images(tmp_path / "d.npz", "cifar10")
        except DamagedData:
            continue
        assert all((found[name] == array).all() for name, array in expected.items())


def bomb(path: Path, count: int, claimed: int) -> None:
    """An .npz whose first array inflates to `count` images and says that it holds `claimed`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("x_train.npy", "w") as member:
            member.write(head((claimed, 32, 32, 3)))
            for _ in range(count):
                member.write(bytes(3072))
        for name, array in arrays().items():
            if name != "x_train":
                buffer = io.BytesIO()
                np.save(buffer, array)
                file.writestr(f"{name}.npy", buffer.getvalue())


@pytest.mark.parametrize("claimed", [N, 20_000, 10**9])
def test_an_array_that_inflates_costs_no_memory(claimed: int, tmp_path: Path) -> None:
    bomb(tmp_path / "c.npz", 20_000, claimed)  # 61 MB
    tracemalloc.start()
    try:
        with pytest.raises(DamagedData, match=r"c\.npz"):
            read_images(tmp_path / "c.npz", "cifar10")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
