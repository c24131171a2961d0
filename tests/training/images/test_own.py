"""Images of one's own: a task's name, what may be in the file, how it is split, what is said otherwise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nb201env.tables import embedded
from nb201env.training.data import SPLITS, Data
from nb201env.training.images.fetch import DamagedData
from nb201env.training.images.own import OwnImages, draw, own_data
from nb201env.training.images.tasks import DATASETS, TASKS, download_task, find_task, load_task, short_name

GIVEN, DRAWN = "npz:shapes", "npz:shapes,valid=0.2,test=0.3"


def made(split: str, count: int, side: int = 8, channels: int = 3, classes: int = 3) -> dict[str, Any]:
    """Made-up images of one split; every class is there if there are enough of them."""
    rng = np.random.default_rng(SPLITS.index(split))
    images = rng.integers(0, 256, (count, side, side, channels), np.uint8)
    return {f"x_{split}": images, f"y_{split}": np.arange(count) % classes}


def arrays(**look: int) -> dict[str, Any]:
    return made("train", 20, **look) | made("valid", 9, **look) | made("test", 6, **look)


def saved(folder: Path, held: dict[str, Any]) -> Path:
    np.savez(folder / "own.npz", **held)
    return folder / "own.npz"


def images_of(data: Data, split: str) -> Any:
    """[n, side, side, channels]."""
    return data.splits[split].images.numpy().transpose(0, 2, 3, 1)


# -- the name --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "means", "written"),
    [
        ("npz:shapes", OwnImages("shapes"), "npz:shapes"),
        ("npz:a b.c-d_é", OwnImages("a b.c-d_é"), "npz:a b.c-d_é"),
        ("npz:s,valid=.2,test=0.300", OwnImages("s", 0.2, 0.3), "npz:s,valid=0.2,test=0.3"),
        ("npz:s,test=0.000001,seed=07", OwnImages("s", 0, 1e-6, 7), "npz:s,test=0.000001,seed=7"),
        ("npz:s,seed=0,valid=0.5", OwnImages("s", 0.5), "npz:s,valid=0.5"),
    ],
)
def test_one_text_for_each_task(said: str, means: OwnImages, written: str) -> None:
    """However it is written, a plan and a table hold the same."""
    assert OwnImages.parse(said) == OwnImages.parse(written) == means
    assert str(means) == written
    assert find_task(said).dataset == means.name == short_name(said)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("npz:", "a table's name is a file name"),
        ("npz:a/b", "a table's name is a file name"),
        ("npz:../x", "a table's name is a file name"),
        ("npz:.x", "a table's name is a file name"),
        ("npz:x.safetensors", "a table's name is a file name"),
        ("npz:a\nb", "a table's name is a file name"),
        ("npz: x", "no blank at an end"),
        ("npz:" + "x" * 300, "at most 100 characters"),
        ("npz:x,", "valid, test and seed may be set; not ''"),
        ("npz:x,valid", "valid is a share such as 0.2, of at most 6 digits; not ''"),
        *((f"npz:x,valid={v}", "is a share such as 0.2") for v in ("0", "1", "20", "-0.2", "nan", "2e-1")),
        ("npz:x,test=0.0000001", "test is a share such as 0.2, of at most 6 digits; not '0.0000001'"),
        ("npz:x,valid=0.2,valid=0.3", "valid stands twice"),
        ("npz:x,valid=0.5,test=0.5", "the shares leave nothing to train on"),
        ("npz:x,vaild=0.2", "valid, test and seed may be set; not 'vaild=0.2'"),
        ("npz:x,seed=-1", "seed is a whole number from 0 on; not '-1'"),
        ("npz:x,seed=1.5", "seed is a whole number from 0 on; not '1.5'"),
    ],
)  # fmt: skip
def test_a_name_that_is_none(said: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as error:
        find_task(said)
    assert str(error.value).isprintable()
    assert "npz:NAME,valid=0.2,test=0.2,seed=0" in str(error.value)


def test_other_images_keep_their_names() -> None:
    for name in (*TASKS, *DATASETS, "CIFAR10", "Digits"):
        with pytest.raises(ValueError, match=f"'{name}' means other images; name yours otherwise"):
            find_task(f"npz:{name}")
    for table in embedded():
        with pytest.raises(ValueError, match="means other images"):
            find_task(f"npz:{table.rpartition('-')[0].removesuffix('-200')}")


def test_unknown_tasks_say_how_to_bring_images() -> None:
    with pytest.raises(ValueError, match=r"unknown task 'mine'.*npz:NAME for your own images"):
        find_task("mine")
    with pytest.raises(ValueError, match=r"task npz:shapes needs its images: give --data FILE\.npz"):
        load_task(GIVEN)
    with pytest.raises(ValueError, match="are your own; give their --data FILE.npz, without --download"):
        download_task(GIVEN, Path("x"))


# -- the splits ------------------------------------------------------------------------------


def test_splits_that_are_in_the_file(tmp_path: Path) -> None:
    held = arrays()
    data = load_task(GIVEN, saved(tmp_path, held))
    for split in ("valid", "test"):
        assert (images_of(data, split) == held[f"x_{split}"]).all()
        assert data.splits[split].labels.tolist() == held[f"y_{split}"].tolist()
    order = np.random.default_rng(0).permutation(20)
    assert (images_of(data, "train") == held["x_train"][order]).all()
    assert data.splits["train"].labels.tolist() == held["y_train"][order].tolist()
    assert (data.task, data.classes, data.part) == (GIVEN, 3, False)


def test_shares_are_drawn_class_by_class() -> None:
    """50, 30, 10 and 5 images of the classes: each split has its share of each, rounded half up."""
    labels = np.repeat([0, 1, 2, 3], [50, 30, 10, 5])
    parts = draw(labels, OwnImages.parse(DRAWN))
    assert [np.bincount(labels[parts[split]]).tolist() for split in SPLITS] == [
        [25, 15, 5, 2], [10, 6, 2, 1], [15, 9, 3, 2],
    ]  # fmt: skip
    assert sorted(np.concatenate([parts[split] for split in SPLITS])) == list(range(95))
    assert all((np.diff(rows) < 0).any() for rows in parts.values())  # in no order of the file


def test_a_small_share_is_one_image_of_each_class() -> None:
    parts = draw(np.repeat([0, 1], 10), OwnImages("x", valid=0.01))
    assert [len(parts[split]) for split in parts] == [18, 2]


def test_the_seed_draws_them(tmp_path: Path) -> None:
    held = made("train", 40)
    path = saved(tmp_path, held)
    digests = [load_task(task, path).digest for task in (DRAWN, f"{DRAWN},seed=0", f"{DRAWN},seed=1")]
    assert digests[0] == digests[1] != digests[2]
    assert load_task(DRAWN, path).digest == own_data(DRAWN, held).digest


def test_one_share_and_one_split() -> None:
    held = made("train", 20) | made("test", 6)
    data = own_data("npz:shapes,valid=0.2", held)
    assert [len(data.splits[split].labels) for split in SPLITS] == [17, 3, 6]
    assert (images_of(data, "test") == held["x_test"]).all()


def test_words_say_where_the_images_come_from() -> None:
    given, drawn = find_task(GIVEN), find_task(DRAWN)
    assert given.trained_on == "x_train of shapes, in an order drawn by seed 0"
    assert (given.valid_on, given.tested_on) == ("x_valid of shapes", "x_test of shapes")
    assert (
        drawn.trained_on == "the other 50 % of every class in x_train of shapes, in an order drawn by seed 0"
    )
    assert drawn.tested_on == "30 % of every class in x_train of shapes, drawn by seed 0"


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_training_images_are_normal(channels: int) -> None:
    """Mean 0 and deviation 1 in every channel of those that are trained on, and of these alone."""
    data = own_data(DRAWN, made("train", 40, channels=channels))
    normal = data.normalise(data.splits["train"].images).double()
    torch.testing.assert_close(normal.mean(dim=(0, 2, 3)), torch.zeros(channels).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(
        normal.std(dim=(0, 2, 3), correction=0), torch.ones(channels).double(), rtol=1e-6, atol=0
    )


# -- what is no image ------------------------------------------------------------------------


def changed(**changes: Any) -> dict[str, Any]:
    return arrays() | changes


X, Y = arrays()["x_train"], arrays()["y_train"]
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "floats": ({"x_train": X / 255}, "x_train is float64 [20, 8, 8, 3]; images are uint8, black 0 and white"),
    "half": ({"x_test": np.zeros((6, 8, 8, 3), np.float16)}, "x_test is float16 [6, 8, 8, 3]; images"),
    "not a number": ({"x_train": np.full(X.shape, np.nan)}, "x_train is float64"),
    "wide": ({"x_train": X.astype(np.int64)}, "x.astype(np.uint8) makes them of whole numbers in that range"),
    "flags": ({"x_train": X > 99}, "255 * x.astype(np.uint8) makes them of black and white"),
    "texts": ({"x_train": X.astype(str)}, "images are uint8"),
    "grey": ({"x_train": X[..., 0]}, "x_train is uint8 [20, 8, 8]; images are [n, side, side, channels]"),
    "channels first": ({"x_valid": np.zeros((9, 3, 8, 8), np.uint8)}, "x.transpose(0, 2, 3, 1) moves the"),
    "rows": ({"x_train": X.reshape(20, -1)}, "x.reshape(-1, side, side, channels) makes them of rows"),
    "a number": ({"x_train": np.uint8(3)}, "x_train is uint8 []; images are [n, side, side, channels]"),
    "oblong": ({"x_train": X[:, :4]}, "so square: crop them, or pad them by np.pad"),
    "none": ({"x_valid": X[:0], "y_valid": Y[:0]},
             "x_valid is uint8 [0, 8, 8, 3]; images are [n, side, side, channels], and here is none"),
    "another size": ({"x_valid": made("valid", 9, side=4)["x_valid"]}, "of x_train are [20, 8, 8, 3]: all"),
    "other channels": ({"x_test": made("test", 6, channels=1)["x_test"]}, "x_test is uint8 [6, 8, 8, 1];"),
    "seven pixels": ({"x_train": X[:, :7, :7]}, "multiple of 4: np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))"),
    "six pixels": ({"x_train": X[:, :6, :6]}, "np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))) makes it one"),
    "one pixel": ({"x_train": X[:, :1, :1]}, "np.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0))) makes it one"),
    "no pixels": ({"x_train": X[:, :0, :0]}, "images have 1 to 4096 pixels a side and 1 to 1024 channels"),
    "no channels": ({"x_train": X[..., :0]}, "images have 1 to 4096 pixels a side and 1 to 1024 channels"),
    "huge": ({f"x_{split}": np.broadcast_to(X[:1, :4, :4, :1], (2 * 10**8, 4, 4, 1)) for split in SPLITS}
             | {f"y_{split}": np.broadcast_to(Y[:1], 2 * 10**8) for split in SPLITS},
             "9,600,000,000 bytes of pixels, of at most 4,000,000,000; shrink the images"),
    "too few labels": ({"y_train": Y[:-1]}, "labels are whole numbers [n], one for each of the 20 images"),
    "a column": ({"y_train": Y[:, None]}, "y_train is int64 [20, 1]; labels are whole numbers [n]: y.ravel"),
    "one-hot": ({"y_test": np.eye(3)[Y[:6]]}, "y_test is float64 [6, 3]; labels are whole numbers [n]: y."),
    "whole floats": ({"y_train": Y.astype(float)}, "np.unique(y, return_inverse=True)[1] numbers whatever"),
    "names": ({"y_train": Y.astype(str)}, "y_train is <U21 [20]; labels are whole numbers [n]: np.unique(y"),
    "label flags": ({"y_train": Y > 1}, "y_train is bool [20]; labels are whole numbers [n]"),
    "negative": ({"y_train": Y - 1}, "y_train[0] is -1; labels are 0..classes-1, and there are at most"),
    "large": ({"y_train": Y + 10**12}, "y_train[0] is 1000000000000; labels are 0..classes-1"),
    "from 1": ({"y_train": Y + 1}, "y_train has no 0, but goes up to 3; every class needs training images"),
    "a gap": ({"y_train": Y * 2}, "y_train has no 1, but goes up to 4"),
    "unseen": ({"y_valid": arrays()["y_valid"] + 1}, "y_valid[2] is 3; those of y_train are 0..2"),
    "below": ({"y_test": arrays()["y_test"] - 1}, "y_test[0] is -1; those of y_train are 0..2"),
    "one class": ({f"y_{split}": np.zeros(n, int) for split, n in (("train", 20), ("valid", 9), ("test", 6))},
                  "y_train has one class, 0; there is nothing to tell apart without two"),
    "a constant channel": ({"x_train": X * np.array([1, 0, 1], np.uint8) + np.array([0, 7, 0], np.uint8)},
                           "channel 1 is 7 in all training images; leave it out"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Of arrays at hand and of a file alike, in one sentence."""
    held = changed(**changes)
    with pytest.raises(DamagedData, match=re.escape(said)) as error:
        own_data(GIVEN, held)
    assert str(error.value).isprintable()
    if all(array.nbytes < 10**6 for array in held.values()):
        with pytest.raises(DamagedData, match=re.escape(said)) as error:
            load_task(GIVEN, saved(tmp_path, held))
        assert str(error.value).startswith(f"{tmp_path / 'own.npz'}: ")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("x_train", X / 255), ("x_train", X.astype(np.int16)), ("x_train", X > 99), ("x_train", X[..., 0]),
        ("x_train", X.transpose(0, 3, 1, 2)), *(("x_train", X[:, :side, :side]) for side in (5, 6, 7)),
        ("y_train", Y[:, None]), ("y_train", np.eye(3)[Y]), ("y_train", Y.astype(float)),
        ("y_train", np.array(list("abc"))[Y]), ("y_train", Y + 1), ("y_train", Y - 1), ("y_train", Y * 7),
    ],
)  # fmt: skip
def test_the_mend_that_is_named_mends(name: str, wrong: Any) -> None:
    """Where a message names a line of numpy, that line makes arrays that are taken."""
    held = {"x_train": X, "y_train": Y} | {name: wrong}
    with pytest.raises(DamagedData) as error:
        own_data(DRAWN, held)
    line = re.search(r"(?:np\.|255 \*|x[.[]|y\.).*?(?= (?:makes|moves|gives|numbers)|$)", str(error.value))
    assert line, error.value
    held[name] = eval(line[0], {"np": np, name[0]: wrong})
    assert len(own_data(DRAWN, held).splits["train"].labels) == 20 - 3 - 6


@pytest.mark.parametrize("name", ["x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test"])
def test_a_missing_array_is_named(name: str, tmp_path: Path) -> None:
    held = arrays()
    del held[name]
    said = f"{name} is missing.*shares of x_train as in npz:NAME"
    with pytest.raises(DamagedData, match=said):
        own_data(GIVEN, held)
    with pytest.raises(DamagedData, match=said):
        load_task(GIVEN, saved(tmp_path, held))


@pytest.mark.parametrize("name", ["x_valid", "y_valid", "x_test", "y_test"])
def test_images_that_would_not_be_used(name: str, tmp_path: Path) -> None:
    held = made("train", 20) | {name: arrays()[name]}
    said = f"{name[2:]} is there, but {DRAWN} draws these images from x_train; leave one of them"
    with pytest.raises(DamagedData, match=said):
        own_data(DRAWN, held)
    with pytest.raises(DamagedData, match=said):
        load_task(DRAWN, saved(tmp_path, held))


def test_a_class_that_cannot_be_shared() -> None:
    held = made("train", 20)
    held["y_train"] = np.array([0] * 17 + [1] * 3)
    assert np.bincount(own_data(DRAWN, held).splits["train"].labels).tolist() == [9, 1]
    held["y_train"] = np.array([0] * 18 + [1] * 2)
    with pytest.raises(
        DamagedData, match="class 1 has 2 of the images in x_train, too few to give each split"
    ):
        own_data(DRAWN, held)


def test_what_is_no_npz(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_text("hello")
    with pytest.raises(DamagedData, match=r"own\.npz: not an \.npz with x_train, y_train"):
        load_task(DRAWN, tmp_path / "own.npz")
    with pytest.raises(FileNotFoundError, match="nowhere.npz is missing"):
        load_task(DRAWN, tmp_path / "nowhere.npz")
    with pytest.raises(OSError, match="not a file"):
        load_task(DRAWN, tmp_path)
