"""The tasks: where their images come from and how they are split.

| task | trained on | valid | test |
| --- | --- | --- | --- |
| cifar10-valid | the official random half of the training images | the other half | the test images |
| cifar10 | all 50,000 training images | the other half, so seen in training | the test images |
| cifar10-valid-16px | as cifar10-valid, every image's 2x2 means | the other half | the test images |
| cifar100 | all training images | the official half of the test images | the other half |
| ImageNet16-120 | all training images | the official half of the validation images | the other half |
| cifar100-own-halves | as cifar100 | another random half | the other half |
| ImageNet16-120-own-halves | as ImageNet16-120 | another random half | the other half |
| digits | 797 of scikit-learn's 1,797 images | 500 | 500 |
| npz:NAME | images of one's own, see `nb201env.training.images.own` | | |

The official split of CIFAR-10 is regenerated from its recipe (see `official_half`). Those of
CIFAR-100 and ImageNet16-120 follow no known recipe and are read from the official lists (see
`nb201env.training.images.lists`); the tasks with halves of our own are for those who do not have them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from nb201env import official
from nb201env.arrays import IntArray
from nb201env.extras import require
from nb201env.fields import quoted
from nb201env.official import Dataset
from nb201env.training.data import SPLITS, Data, Split
from nb201env.training.images.lists import LISTS, download_list, read_list
from nb201env.training.images.originals import (
    COUNTS,
    Arrays,
    download,
    read_cifar10,
    read_cifar100,
    read_imagenet16,
)
from nb201env.training.images.own import PREFIX, OwnImages, load_own

_SPLIT_SEED = 1021
_OWN = "-own-halves"
"""Ends the names of tasks whose halves are not the official ones."""

DATASETS: dict[str, Dataset] = official.DATASETS | {
    "digits": Dataset(image_size=8, classes=10, channels=1),
    "cifar10-16px": Dataset(image_size=16, classes=10),
}
"""What the images of each data set look like, by `Task.dataset`."""


class Task(NamedTuple):
    """How to make one task's data.

    Attributes:
        dataset: The data set, as tables name it.
        trained_on, valid_on, tested_on: Which images these are, for the manifest.
        load: The data, from the folder or file where the original files are.
        files: The data set whose original files these are, where its name is another.
    """

    dataset: str
    trained_on: str
    valid_on: str
    tested_on: str
    load: Callable[[Path | None], Data]
    files: str = ""


def load_task(name: str, source: Path | None = None) -> Data:
    """A task's images.

    Args:
        name: One of `TASKS`, or a task of own images.
        source: Folder of the original files, or an .npz with x_train, y_train, x_test, y_test; of own images
            an .npz as `nb201env.training.images.own` says. Not needed for digits.

    Raises:
        ValueError: If there is no such task, no source was given, or a file is damaged.
        FileNotFoundError: If a file is missing; the message says which and how to get it.
    """
    return find_task(name).load(source)


def find_task(name: str) -> Task:
    """A task by name.

    Raises:
        ValueError: If there is none; the message lists the names.
    """
    if name.startswith(PREFIX):
        return _own(OwnImages.parse(name))
    if name not in TASKS:
        raise ValueError(
            f"unknown task {quoted(name)}; the tasks are {', '.join(TASKS)}, and {PREFIX}NAME for your own "
            "images (docs/own-images.md)"
        )
    return TASKS[name]


def short_name(task: str) -> str:
    """What tables of a task are called, before the epochs: its name, or that of the own images."""
    return OwnImages.parse(task).name if task.startswith(PREFIX) else task


def _own(own: OwnImages) -> Task:
    taken = {name.casefold() for name in (*TASKS, *DATASETS)}
    if own.name.casefold() in taken:
        raise ValueError(
            f"{own.name!r} means other images; name yours otherwise, as in {PREFIX}my-{own.name}"
        )
    train, valid, test = (own.what(split) for split in SPLITS)
    return Task(
        own.name, train, valid, test, lambda source: load_own(own, _given(str(own), source, "FILE.npz"))
    )


def download_task(name: str, folder: Path) -> Path:
    """Fetch a task's original files into `folder`, and the official list if it needs one.

    Returns:
        The folder of the original files, for `load_task`.

    Raises:
        ValueError: If there is no such task, or its images cannot be fetched.
        OSError: If an address does not answer.
        DamagedData: If what came is not the original.
    """
    task = find_task(name)
    if name.startswith(PREFIX):
        raise ValueError(f"the images of {name} are your own; give their --data FILE.npz, without --download")
    source = download(task.files or task.dataset, folder)
    if name in LISTS:
        download_list(name, source)
    return source


def official_half(count: int) -> tuple[IntArray, IntArray]:
    """The official random halves of a training set: sorted row numbers of both.

    Python's generator, seeded with 1021, shuffles the row numbers; the first half of them is trained
    on, the rest validates. Equals the official list for CIFAR-10 (50,000 rows).
    """
    rows = list(range(count))
    random.Random(_SPLIT_SEED).shuffle(rows)
    half = count // 2
    return np.array(sorted(rows[:half])), np.array(sorted(rows[half:]))


def shrink(images: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Images of twice this side as the means of their 2x2 blocks, halves rounded up.

    Args:
        images: uint8 [n, 2 * side, 2 * side, channels]; those of this side are taken as they are.
        side: Pixels.

    Raises:
        ValueError: If their side is another.
    """
    if images.shape[1] == side:
        return images
    _check_side(images, 2 * side)
    sums = images.reshape(len(images), side, 2, side, 2, -1).sum(axis=(2, 4), dtype=np.uint16)
    means: npt.NDArray[np.uint8] = ((sums + 2) // 4).astype(np.uint8)
    return means


def _check_side(images: npt.NDArray[np.uint8], side: int) -> None:
    if images.shape[1] != side:
        raise ValueError(
            f"this task needs images of {side}x{side} pixels; these have {images.shape[1]}; give --data the "
            "data set's own"
        )


def _cifar10(source: Path | None, name: str, whole: bool = False, side: int = 32) -> Data:
    arrays = read_cifar10(_given(name, source))
    for part in ("x_train", "x_test"):
        if side < 32:
            arrays[part] = shrink(arrays[part], side)
        _check_side(arrays[part], side)
    train, valid = official_half(len(arrays["y_train"]))
    splits = {
        "train": _split(arrays, "train", slice(None) if whole else train),
        "valid": _split(arrays, "train", valid),
        "test": _split(arrays, "test", slice(None)),
    }
    # The means of blocks have the images' own mean; the official deviations are kept too.
    data = _data(name, splits, (125.3, 123.0, 113.9), (63.0, 62.1, 66.7))
    return replace(data, part=_is_part("cifar10", arrays))


def _cifar100(source: Path | None, own: bool) -> Data:
    source = _given("cifar100" + own * _OWN, source)
    mean, std = (129.3, 124.1, 112.4), (68.2, 65.4, 70.4)
    return _halved_test("cifar100", source, read_cifar100(source), own, mean, std)


def _imagenet16(source: Path | None, own: bool) -> Data:
    source = _given("ImageNet16-120" + own * _OWN, source)
    mean, std = (122.68, 116.66, 104.01), (63.22, 61.26, 65.09)
    return _halved_test("ImageNet16-120", source, read_imagenet16(source), own, mean, std)


def _digits(_: Path | None) -> Data:
    bunch = require("sklearn.datasets", "train").load_digits()
    images = np.round(bunch.images * 15.9375).astype(np.uint8)[:, None]  # 0..16 to 0..255
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(images))
    parts = dict(zip(("train", "valid", "test"), np.split(order, (797, 1297)), strict=True))
    splits = {
        name: Split(torch.from_numpy(images[rows]), torch.from_numpy(bunch.target[rows].astype(np.int64)))
        for name, rows in parts.items()
    }
    return _data("digits", splits, (77.9,), (95.9,))


def _halved_test(
    dataset: str, source: Path, arrays: Arrays, own: bool, mean: tuple[float, ...], std: tuple[float, ...]
) -> Data:
    for part in ("x_train", "x_test"):
        _check_side(arrays[part], DATASETS[dataset].image_size)
    images = len(arrays["y_test"])
    valid, test = official_half(images) if own else read_list(dataset, source, images)
    splits = {
        "train": _split(arrays, "train", slice(None)),
        "valid": _split(arrays, "test", valid),
        "test": _split(arrays, "test", test),
    }
    data = _data(dataset + own * _OWN, splits, mean, std)
    return replace(data, part=_is_part(dataset, arrays))


def _is_part(dataset: str, arrays: Arrays) -> bool:
    return (len(arrays["y_train"]), len(arrays["y_test"])) != COUNTS[dataset]


def _split(arrays: Arrays, part: str, rows: IntArray | slice) -> Split:
    images = np.ascontiguousarray(arrays[f"x_{part}"][rows].transpose(0, 3, 1, 2))
    return Split(torch.from_numpy(images), torch.from_numpy(arrays[f"y_{part}"][rows].astype(np.int64)))


def _data(task: str, splits: dict[str, Split], mean: tuple[float, ...], std: tuple[float, ...]) -> Data:
    classes = DATASETS[find_task(task).dataset].classes
    return Data(task, splits, torch.tensor(mean), torch.tensor(std), classes)


_ORIGINALS = (
    "FOLDER (the original files) or --data FILE.npz, or add --download to fetch the original files into that "
    "folder"
)


def _given(task: str, source: Path | None, what: str = _ORIGINALS) -> Path:
    if source is None:
        raise ValueError(f"task {task} needs its images: give --data {what}")
    return source


_OFFICIAL_HALF = "the official x-valid half of "


def _halved(dataset: str, load: Callable[[Path | None, bool], Data]) -> dict[str, Task]:
    """The two tasks, of official and of own halves, of a data set whose evaluation images are halved."""
    train, valid = _words(dataset, "train"), _words(dataset, "valid")
    images = valid.removeprefix(_OFFICIAL_HALF)

    def task(valid: str, own: bool) -> Task:
        return Task(dataset, train, valid, f"the other half of {images}", lambda source: load(source, own))

    return {
        dataset: task(valid, own=False),
        f"{dataset}{_OWN}": task(f"our random half of {images}", own=True),
    }


def _words(task: str, split: str) -> str:
    return official.TASKS[task].splits[split].what


_HALF, _OTHER_HALF = _words("cifar10-valid", "train"), _words("cifar10-valid", "valid")
_TEST = "all CIFAR-10 test images"
_MEANS = ", every image's 2x2 means"
TASKS: dict[str, Task] = {
    "digits": Task(
        "digits", "797 of scikit-learn's digits", "500 others of scikit-learn's digits",
        "the remaining 500 of scikit-learn's digits", _digits,
    ),
    "cifar10-valid": Task(
        "cifar10", _HALF, _OTHER_HALF, _TEST, lambda source: _cifar10(source, "cifar10-valid")
    ),
    "cifar10-valid-16px": Task(
        "cifar10-16px", _HALF + _MEANS, _OTHER_HALF + _MEANS, _TEST + _MEANS,
        lambda source: _cifar10(source, "cifar10-valid-16px", side=16), "cifar10",
    ),
    "cifar10": Task(
        "cifar10", _words("cifar10", "train"), f"{_OTHER_HALF}, so seen in training", _TEST,
        lambda source: _cifar10(source, "cifar10", whole=True),
    ),
    **_halved("cifar100", _cifar100),
    **_halved("ImageNet16-120", _imagenet16),
}  # fmt: skip
