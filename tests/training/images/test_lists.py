"""The official lists of the images that validate: read beside the images, and never replaced silently."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nb201env.training.images import lists, originals
from nb201env.training.images.fetch import DamagedData
from nb201env.training.images.lists import LISTS, download_list, read_list
from nb201env.training.images.originals import Download
from nb201env.training.images.tasks import download_task, find_task, load_task
from tests.training.images.test_fetch import OK, Behave, serve  # noqa: F401

VALID = [0, 3, 4, 7, 9]
NAMES = {"cifar100": "cifar100-test-split.txt", "ImageNet16-120": "imagenet-16-120-test-split.txt"}


def write_list(path: Path, valid: list[int] = VALID, images: int = 10) -> Path:
    """A list in the official layout: numbers as texts, each after the name of its type."""
    test = [row for row in range(images) if row not in valid]
    rows = {"xvalid": ["int", [*map(str, valid)]], "xtest": ["int", [*map(str, test)]]}
    path.write_text(json.dumps(rows))
    return path


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten evaluation images, each of its own label, as CIFAR-100 and ImageNet16-120; no list yet."""
    monkeypatch.setattr(originals, "MD5", {})
    labels = np.arange(10)
    for side, name in ((32, "cifar100.npz"), (16, "imagenet.npz")):
        pixels = np.zeros((10, side, side, 3), np.uint8)
        np.savez(tmp_path / name, x_train=pixels, y_train=labels, x_test=pixels, y_test=labels, part=True)
    return tmp_path


@pytest.mark.parametrize(("task", "file"), [("cifar100", "cifar100.npz"), ("ImageNet16-120", "imagenet.npz")])
def test_the_list_decides_what_validates(task: str, file: str, images: Path) -> None:
    write_list(images / NAMES[task])
    data = load_task(task, images / file)
    assert data.splits["valid"].labels.tolist() == VALID
    assert data.splits["test"].labels.tolist() == [1, 2, 5, 6, 8]
    assert data.splits["train"].labels.tolist() == list(range(10))


@pytest.mark.parametrize(("task", "file"), [("cifar100", "cifar100.npz"), ("ImageNet16-120", "imagenet.npz")])
def test_without_the_list_there_is_an_error_and_another_task(task: str, file: str, images: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=rf"{NAMES[task]} is missing.*https://.*{task}-own-halves"
    ) as error:
        load_task(task, images / file)
    assert ("--download" in str(error.value)) == (task in originals.DOWNLOADS)
    own = load_task(f"{task}-own-halves", images / file)
    valid, test = (own.splits[name].labels.tolist() for name in ("valid", "test"))
    assert sorted(valid + test) == list(range(10))
    assert len(valid) == 5
    write_list(images / NAMES[task], valid)  # the same images under another name are another task
    assert load_task(task, images / file).digest != own.digest


@pytest.mark.parametrize("dataset", LISTS)
def test_manifests_say_whose_halves_they_are(dataset: str) -> None:
    official, own = find_task(dataset), find_task(f"{dataset}-own-halves")
    assert "the official x-valid half" in official.valid_on
    assert "our random half" in own.valid_on
    assert official.dataset == own.dataset == dataset


@pytest.mark.parametrize("where", [".", "cifar-100-python"])
def test_the_list_lies_in_the_given_or_the_unpacked_folder(where: str, images: Path) -> None:
    (images / where).mkdir(exist_ok=True)
    write_list(images / where / NAMES["cifar100"])
    valid, test = read_list("cifar100", images, 10)
    assert (valid.tolist(), test.tolist()) == (VALID, [1, 2, 5, 6, 8])


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "{}",
        "[1, 2]",
        '{"xvalid": ["int", ["1", "two"]], "xtest": ["int", []]}',
        '{"xvalid": ["int"], "xtest": ["int", []]}',
        '{"xvalid": ["int", [1, 2]], "xtest": ["int", []]}',
        '{"xvalid": ["int", ["1", "²"]], "xtest": ["int", []]}',
        '{"xvalid": ["int", ["1", "-1"]], "xtest": ["int", []]}',
        '{"xvalid": ["int", ["1", "99999999999999999999"]], "xtest": ["int", []]}',
        '{"xvalid": ["int", {"1": 2}], "xtest": ["int", []]}',
        '{"xvalid": ["int", [NaN]], "xtest": ["int", []]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_list(text: str, images: Path) -> None:
    (images / NAMES["cifar100"]).write_text(text)
    with pytest.raises(DamagedData, match=r"cifar100-test-split\.txt: not a list of images"):
        read_list("cifar100", images, 10)


@pytest.mark.parametrize(
    ("valid", "count"), [([0, 1, 2], 9), ([0, 0, 1], 10), ([0, 1, 12], 10)], ids=["short", "twice", "beyond"]
)
def test_a_list_of_other_images(valid: list[int], count: int, images: Path) -> None:
    write_list(images / NAMES["cifar100"], valid, count)
    with pytest.raises(DamagedData, match="does not split 10 test images in two"):
        read_list("cifar100", images, 10)


def test_a_pipe_or_something_without_end_in_the_lists_place(images: Path) -> None:
    os.mkfifo(images / NAMES["cifar100"])
    with pytest.raises(FileNotFoundError, match="is missing"):
        read_list("cifar100", images, 10)
    (images / NAMES["cifar100"]).unlink()
    with open(images / NAMES["cifar100"], "wb") as file:
        file.truncate(10**12)
    with pytest.raises(DamagedData, match="more than 1,000,000 bytes"):
        read_list("cifar100", images, 10)


def test_a_list_that_is_not_the_official_one(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_list(images / NAMES["cifar100"])
    monkeypatch.setattr(originals, "MD5", {path.name: hashlib.md5(path.read_bytes()).hexdigest()})
    read_list("cifar100", images, 10)
    write_list(path, [1, 3, 4, 7, 9])
    with pytest.raises(DamagedData, match=r"md5 .* instead of .*; get a fresh copy"):
        read_list("cifar100", images, 10)


# -- download --------------------------------------------------------------------------------


@pytest.fixture
def served(
    images: Path,
    serve: Callable[[Behave], str],  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """An address of the list, under its own checksum, and CIFAR-100 already unpacked in a folder."""
    path = write_list(images / NAMES["cifar100"])

    def behave(connection: socket.socket) -> None:
        found = path.read_bytes() if path.exists() else None
        connection.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n" if found is None else OK + b"\r\n" + found)

    monkeypatch.setattr(lists, "MD5", {path.name: hashlib.md5(path.read_bytes()).hexdigest()})
    monkeypatch.setattr(lists, "ADDRESS", serve(behave).rstrip("/"))
    known = {"cifar100": Download("http://127.0.0.1:9/never-asked", "", "cifar-100-python", 0)}
    monkeypatch.setattr(originals, "DOWNLOADS", known)
    folder = tmp_path_factory.mktemp("data")
    (folder / "cifar-100-python").mkdir()
    return folder


def test_download_brings_the_list_too(served: Path) -> None:
    source = download_task("cifar100", served)
    assert read_list("cifar100", source, 10)[0].tolist() == VALID
    assert read_list("cifar100", served, 10)[0].tolist() == VALID


def test_own_halves_need_no_list(served: Path) -> None:
    assert list(download_task("cifar100-own-halves", served).iterdir()) == []


def test_a_wrong_list_is_not_written(served: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (images / NAMES["cifar100"]).write_text("something else")
    with pytest.raises(DamagedData, match=r"md5 .* instead of .*nothing was written"):
        download_list("cifar100", served)
    (images / NAMES["cifar100"]).unlink()
    with pytest.raises(OSError, match="cannot be reached"):
        download_list("cifar100", served)
    assert not (served / NAMES["cifar100"]).exists()
