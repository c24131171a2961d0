"""Images: reading them safely, splitting them as the official code does, and the batches of a run."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nb201env.training.data import Data, augment, batches, training_split
from nb201env.training.images import originals
from nb201env.training.images.fetch import DamagedData
from nb201env.training.images.originals import read_cifar10, read_images, read_pickle
from nb201env.training.images.tasks import TASKS, load_task, official_half, shrink
from nb201env.training.recipe import find_recipe

RECIPE = replace(find_recipe("smoke-2"), train_images=0, batch=100, pad=8, flip=True)


def pixels(count: int, side: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3 * side * side)).astype(np.uint8)


def dump(path: Path, value: Any, protocol: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value, protocol))


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up files in the originals' layout, few images each, are taken for what they are not."""
    monkeypatch.setattr(originals, "MD5", {})
    for dataset, counts in (("cifar10", (50, 10)), ("cifar100", (20, 10)), ("ImageNet16-120", (20, 3))):
        monkeypatch.setitem(originals.COUNTS, dataset, counts)


@pytest.fixture
def cifar10(tmp_path: Path, made_up: None) -> Path:
    """CIFAR-10 in its original form, 50 + 10 images."""
    folder = tmp_path / "cifar-10-batches-py"
    for i in range(1, 6):
        dump(folder / f"data_batch_{i}", {b"data": pixels(10, 32, i), b"labels": [i] * 10})
    dump(folder / "test_batch", {b"data": pixels(10, 32, 6), b"labels": list(range(10))})
    return tmp_path


# -- files -----------------------------------------------------------------------------------


def test_cifar10_from_its_original_files(cifar10: Path) -> None:
    arrays = read_cifar10(cifar10)
    assert arrays["x_train"].shape == (50, 32, 32, 3)
    assert arrays["y_train"][::10].tolist() == [1, 2, 3, 4, 5]
    red = pixels(10, 32, 2)[0, :1024].reshape(32, 32)  # a row holds the red plane first
    assert (arrays["x_train"][10, :, :, 0] == red).all()
    assert (read_cifar10(cifar10 / "cifar-10-batches-py")["x_test"] == arrays["x_test"]).all()


def test_an_npz_does_as_well(cifar10: Path) -> None:
    arrays: dict[str, Any] = read_cifar10(cifar10)
    np.savez(cifar10 / "c.npz", **arrays)
    one, two = load_task("cifar10-valid", cifar10), load_task("cifar10-valid", cifar10 / "c.npz")
    assert one.digest == two.digest != load_task("cifar10", cifar10).digest


@pytest.mark.parametrize("task", ["cifar10-valid", "cifar10"])
def test_the_cifar10_tasks(cifar10: Path, task: str) -> None:
    data, arrays = load_task(task, cifar10), read_cifar10(cifar10)
    train, valid = official_half(50)
    rows = train if task == "cifar10-valid" else np.arange(50)
    assert (data.splits["train"].labels.numpy() == arrays["y_train"][rows]).all()
    assert (data.splits["valid"].images.permute(0, 2, 3, 1).numpy() == arrays["x_train"][valid]).all()
    assert data.splits["test"].images.shape == (10, 3, 32, 32)


def test_small_images_are_the_means_of_blocks(cifar10: Path) -> None:
    """Rounded to the nearest whole number, halves up; from 32 pixels, or from 16 as they are."""
    whole, small = load_task("cifar10-valid", cifar10), load_task("cifar10-valid-16px", cifar10)
    for name in ("train", "valid", "test"):
        means = torch.nn.functional.avg_pool2d(whole.splits[name].images.double(), 2)
        assert torch.equal(small.splits[name].images.double(), (means + 0.5).floor())
        assert torch.equal(small.splits[name].labels, whole.splits[name].labels)
    arrays = read_cifar10(cifar10)
    shrunk = {name: shrink(a, 16) if name.startswith("x") else a for name, a in arrays.items()}
    np.savez(cifar10 / "small.npz", **shrunk)  # type: ignore[arg-type]
    assert load_task("cifar10-valid-16px", cifar10 / "small.npz").digest == small.digest


def test_halves_round_up() -> None:
    block = np.array([[0, 0], [1, 1]], np.uint8).reshape(1, 2, 2, 1)
    assert shrink(block, 1).item() == 1
    assert shrink(255 * np.ones((1, 2, 2, 1), np.uint8), 1).item() == 255


@pytest.mark.parametrize(
    ("task", "side"), [("cifar10-valid", 16), ("cifar10-valid-16px", 24), ("cifar100-own-halves", 16),
                       ("ImageNet16-120-own-halves", 32)]
)  # fmt: skip
def test_images_of_another_size_are_refused(task: str, side: int, tmp_path: Path) -> None:
    """Else a table would say that it is of images that it is not of."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        f"x_{part}": rng.integers(0, 256, (10, side, side, 3)).astype(np.uint8) for part in ("train", "test")
    }
    np.savez(tmp_path / "c.npz", **arrays, y_train=np.arange(10), y_test=np.arange(10), part=True)
    with pytest.raises(ValueError, match=rf"needs images of \d+x\d+ pixels; these have {side}"):
        load_task(task, tmp_path / "c.npz")


def test_cifar100_and_imagenet16_from_their_original_files(tmp_path: Path, made_up: None) -> None:
    for name, count in (("train", 20), ("test", 10)):
        dump(tmp_path / "cifar-100-python" / name, {b"data": pixels(count, 32), b"fine_labels": [99] * count})
    data = load_task("cifar100-own-halves", tmp_path)
    assert [len(data.splits[s].labels) for s in ("train", "valid", "test")] == [20, 5, 5]
    for i in range(1, 11):
        dump(tmp_path / f"train_data_batch_{i}", {"data": pixels(4, 16), "labels": [1, 120, 121, 1000]})
    dump(tmp_path / "val_data", {"data": pixels(4, 16), "labels": [120, 1, 1, 500]})
    data = load_task("ImageNet16-120-own-halves", tmp_path)
    assert data.splits["train"].labels.tolist() == [0, 119] * 10
    assert sorted(data.splits["valid"].labels.tolist() + data.splits["test"].labels.tolist()) == [0, 0, 119]


def test_digits_need_no_file() -> None:
    data = load_task("digits")
    assert [len(data.splits[s].labels) for s in ("train", "valid", "test")] == [797, 500, 500]
    everything = torch.cat([data.splits[s].images for s in data.splits])
    assert everything.float().mean() == pytest.approx(float(data.mean), abs=0.1)
    assert everything.float().std() == pytest.approx(float(data.std), abs=0.1)
    assert len({image.numpy().tobytes() for image in everything}) == 1797


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch evil",)


def test_a_pickle_cannot_run_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dump(tmp_path / "bad", {"data": Evil()})
    with pytest.raises(DamagedData, match=r"bad: not a readable image file.*system"):
        read_pickle(tmp_path / "bad")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_every_pickle_protocol_is_read(protocol: int, tmp_path: Path) -> None:
    dump(tmp_path / "file", {b"data": pixels(2, 4), b"labels": [1, 2]}, protocol)
    assert (read_pickle(tmp_path / "file")["data"] == pixels(2, 4)).all()


def by_python_2(images: np.ndarray[Any, Any], labels: list[int]) -> bytes:
    """A dictionary as Python 2's cPickle wrote the data sets: texts are bytes, the memo counts from 1."""
    rows, width = (b"M" + int(n).to_bytes(2, "little") for n in images.shape)
    return (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04"
        b"K\x00\x85U\x01b\x87Rq\x05(K\x01" + rows + width + b"\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87R"
        b"q\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + images.nbytes.to_bytes(4, "little") + images.tobytes()
        + b"tbU\x06labelsq\x08]q\x09(" + b"".join(b"K" + bytes([n]) for n in labels) + b"eh\x02h\x05u."
    )  # fmt: skip


def test_a_file_of_python_2_is_read(tmp_path: Path) -> None:
    content = by_python_2(pixels(2, 4), [1, 2])
    expected = pickle.loads(content, encoding="bytes")
    assert (expected[b"data"] == pixels(2, 4)).all()
    (tmp_path / "file").write_bytes(content)
    found = read_pickle(tmp_path / "file")
    assert (found["data"] == pixels(2, 4)).all()
    assert found["data"].dtype == np.uint8
    assert found["labels"] == expected[b"labels"] == [1, 2]


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"hello", b"\x80\x04]\x94."])
def test_a_damaged_pickle(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DamagedData, match="file: not a readable image file"):
        read_pickle(tmp_path / "file")


def test_an_original_file_with_a_flipped_byte(cifar10: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be read as before; only its hash tells."""
    file = cifar10 / "cifar-10-batches-py" / "data_batch_2"
    content = bytearray(file.read_bytes())
    monkeypatch.setattr(originals, "MD5", {file.name: hashlib.md5(content).hexdigest()})
    assert len(read_cifar10(cifar10)["x_train"]) == 50
    content[2000] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedData, match=r"data_batch_2: md5 .* instead of .*; get a fresh copy"):
        read_cifar10(cifar10)


def test_hashes_are_known_for_every_original_file() -> None:
    assert len(originals.MD5) == 6 + 2 + 11 + 2  # images and lists
    assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in originals.MD5.values())
    assert len(set(originals.MD5.values())) == len(originals.MD5)


def test_a_missing_file_is_named(cifar10: Path) -> None:
    (cifar10 / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_3 is missing"):
        load_task("cifar10-valid", cifar10)


def test_a_cut_file(cifar10: Path) -> None:
    file = cifar10 / "cifar-10-batches-py" / "data_batch_3"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DamagedData, match="data_batch_3"):
        load_task("cifar10-valid", cifar10)


@pytest.mark.parametrize("wrong", ["text", "missing", "shape", "float"])
def test_a_wrong_npz(wrong: str, tmp_path: Path) -> None:
    path, images = tmp_path / "c.npz", np.zeros((4, 32, 32, 3), np.uint8)
    arrays: dict[str, Any] = {"x_train": images, "y_train": np.zeros(4, int), "part": True}
    arrays |= {"x_test": images, "y_test": np.zeros(4, int)}
    if wrong == "missing":
        del arrays["y_test"]
    elif wrong == "shape":
        arrays["y_test"] = np.zeros(3, int)
    elif wrong == "float":
        arrays["x_test"] = images.astype(float)
    np.savez(path, **arrays)
    if wrong == "text":
        path.write_text("hello")
    with pytest.raises(DamagedData, match=r"c\.npz"):
        read_images(path, "cifar10")


def test_every_other_task_asks_for_its_images() -> None:
    for task in TASKS:
        if task != "digits":
            with pytest.raises(ValueError, match=f"task {task} needs its images"):
                load_task(task)


# -- splits and batches ----------------------------------------------------------------------


def test_the_official_half() -> None:
    train, valid = official_half(50_000)
    assert (len(train), len(valid)) == (25_000, 25_000)
    assert (np.diff(train) > 0).all()
    assert (np.sort(np.concatenate([train, valid])) == np.arange(50_000)).all()


def stream(data: Data, seed: int, epoch: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(batches(data, RECIPE, seed, epoch))


def test_an_epoch_sees_every_image_once_and_keeps_the_last_batch() -> None:
    data = load_task("digits")
    labels = [y for _, y in stream(data, 1, 0)]
    assert [len(y) for y in labels] == [100] * 7 + [97]
    assert torch.cat(labels).bincount().tolist() == data.splits["train"].labels.bincount().tolist()


def test_a_stream_is_a_function_of_seed_and_epoch() -> None:
    data = load_task("digits")
    torch.manual_seed(0)
    first = stream(data, 1, 3)
    torch.manual_seed(1)
    for (x, y), (again_x, again_y) in zip(first, stream(data, 1, 3), strict=True):
        assert torch.equal(x, again_x)
        assert torch.equal(y, again_y)
    for other in (stream(data, 2, 3), stream(data, 1, 4)):
        assert not torch.equal(first[0][1], other[0][1])


def slow_augment(image: np.ndarray[Any, Any], dy: int, dx: int, flip: bool, pad: int) -> np.ndarray[Any, Any]:
    """One image [C, H, W] in the official order: mirror, pad with black, crop."""
    if flip:
        image = image[:, :, ::-1]
    height, width = image.shape[1:]
    image = np.pad(image, ((0, 0), (pad, pad), (pad, pad)))
    return image[:, dy : dy + height, dx : dx + width]


@pytest.mark.parametrize("pad", [0, 1, 4])
def test_augmentation_against_a_plain_loop(pad: int) -> None:
    images = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8)
    shifts, flips = torch.randint(2 * pad + 1, (40, 2)), torch.rand(40) < 0.5
    found = augment(images, shifts, flips, pad)
    for i in range(40):
        dy, dx = shifts[i].tolist()
        expected = slow_augment(images[i].numpy(), dy, dx, bool(flips[i]), pad)
        assert (found[i].numpy() == expected).all()


def test_padding_is_black_before_normalisation() -> None:
    data = load_task("digits")
    black = data.normalise(torch.zeros(1, 1, 1, 1, dtype=torch.uint8))
    assert float(black) == pytest.approx(-77.9 / 95.9)


def test_training_on_a_part() -> None:
    data = load_task("digits")
    part = training_split(data, replace(RECIPE, train_images=10))
    assert torch.equal(part.labels, data.splits["train"].labels[:10])
    with pytest.raises(ValueError, match="wants 800 training images"):
        training_split(data, replace(RECIPE, train_images=800))


def test_unknown_task() -> None:
    with pytest.raises(ValueError, match=r"unknown task 'mnist'.*digits"):
        load_task("mnist")
