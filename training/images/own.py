"""Images of one's own: a task made of a name and an .npz.

| task | what is in the file |
| --- | --- |
| npz:shapes | x_train, y_train, x_valid, y_valid, x_test, y_test |
| npz:shapes,valid=0.2 | x_train, y_train, x_test, y_test; a fifth of every class of x_train validates |
| npz:shapes,valid=0.2,test=0.2 | x_train, y_train; another fifth tests |

Images are uint8 [n, side, side, channels] of sides that are multiples of 4, labels whole numbers [n] in
0..classes-1. What is drawn from x_train, and the order of what is left to train on, follow from the
labels and ``seed=0`` (any other is written behind a comma, too). The mean and the deviation that normalise
each channel are those of the images that are trained on.

All is checked before it is used, first what the arrays say of themselves, then the labels; a message says
what was expected and, where there is one, the line of numpy that mends it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nb201env.arrays import Array, IntArray
from nb201env.fields import quoted
from nb201env.reading import read_whole
from nb201env.tables import check_file_name
from nb201env.training.data import SPLITS, Data, Split
from nb201env.training.images.fetch import DamagedData
from nb201env.training.images.npz import read_npz
from nb201env.training.images.own_checks import check_looks, check_values

PREFIX = "npz:"
_LONGEST_NAME = 100
_FORM = f"{PREFIX}NAME or {PREFIX}NAME,valid=0.2,test=0.2,seed=0"


# -- the task's name -------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnImages:
    """What the name of a task of own images says.

    Attributes:
        name: The data set's name.
        valid: The share of every class of x_train that validates; 0: x_valid does.
        test: The share that tests; 0: x_test does.
        seed: Draws them.
    """

    name: str
    valid: float = 0.0
    test: float = 0.0
    seed: int = 0

    @classmethod
    def parse(cls, task: str) -> OwnImages:
        """Read a task's name.

        Raises:
            ValueError: If it is none of own images.
        """
        name, *settings = task.removeprefix(PREFIX).split(",")
        try:
            if not task.startswith(PREFIX):
                raise ValueError(f"it does not begin with {PREFIX!r}")
            check_file_name(name)
            if len(name) > _LONGEST_NAME or name != name.strip():
                raise ValueError(f"a name has at most {_LONGEST_NAME} characters, no blank at an end")
            return cls(name, **_settings(settings))
        except ValueError as error:
            raise ValueError(f"{quoted(task)} is no task like {_FORM}: {error}") from None

    def __str__(self) -> str:
        drawn = [split for split in SPLITS[1:] if self.share(split)]
        settings = [f"{split}={self.share(split):.6f}".rstrip("0") for split in drawn]
        return ",".join([f"{PREFIX}{self.name}", *settings, *([f"seed={self.seed}"] if self.seed else [])])

    def share(self, split: str) -> float:
        """Of x_train, for "valid" or "test"."""
        return self.valid if split == "valid" else self.test

    @property
    def given(self) -> list[str]:
        """The splits that are in the file."""
        return [split for split in SPLITS if split == "train" or not self.share(split)]

    def what(self, split: str) -> str:
        """Which images a split has, in words."""
        drawn = sum(self.share(other) for other in SPLITS[1:])
        if split == "train":
            kept = f"the other {100 * (1 - drawn):g} % of every class in x_train" if drawn else "x_train"
            return f"{kept} of {self.name}, in an order drawn by seed {self.seed}"
        if not self.share(split):
            return f"x_{split} of {self.name}"
        part = f"{100 * self.share(split):g} % of every class in x_train"
        return f"{part} of {self.name}, drawn by seed {self.seed}"


def _settings(texts: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if key in found:
            raise ValueError(f"{key} stands twice")
        if key in SPLITS[1:]:
            found[key] = float(value) if re.fullmatch(r"0?\.[0-9]{1,6}", value) else 0.0
            if not found[key]:
                raise ValueError(f"{key} is a share such as 0.2, of at most 6 digits; not {quoted(value)}")
        elif key == "seed":
            found[key] = read_whole(value)
            if found[key] is None:
                raise ValueError(f"seed is a whole number from 0 on; not {quoted(value)}")
        else:
            raise ValueError(f"valid, test and seed may be set; not {quoted(text)}")
    if found.get("valid", 0) + found.get("test", 0) >= 1:
        raise ValueError("the shares leave nothing to train on")
    return found


# -- the images ------------------------------------------------------------------------------


def load_own(own: OwnImages, path: Path) -> Data:
    """The task's images from an .npz.

    Raises:
        DamagedData: If they are not what they should be.
        OSError: If there is no such file, or it cannot be read.
    """
    names = [f"{axis}_{split}" for split in own.given for axis in "xy"]
    arrays = read_npz(
        path, names, lambda heads: check_looks(own.given, str(own), str(path), heads),
        optional=[f"{axis}_{split}" for split in SPLITS if split not in own.given for axis in "xy"],
        mend=f"give a whole file with all of these, or shares of x_train as in {_FORM}",
    )  # fmt: skip
    return _data(own, arrays, str(path))


def own_data(task: str, arrays: Mapping[str, Array]) -> Data:
    """The task's images from arrays that are at hand; the same as those of an .npz with them.

    Args:
        task: Such as "npz:shapes,valid=0.2,test=0.2".
        arrays: x_train, y_train and, unless the task says which shares are drawn, x_valid, y_valid, x_test
            and y_test.

    Raises:
        ValueError: If the task's name is none, or they are not what they should be.
    """
    own, where = OwnImages.parse(task), "the arrays"
    for name in (f"{axis}_{split}" for split in own.given for axis in "xy"):
        if name not in arrays:
            raise DamagedData(f"{where}: {name} is missing; give it, or shares of x_train as in {_FORM}")
    held = {name: np.asarray(array) for name, array in arrays.items()}
    check_looks(own.given, str(own), where, held)
    return _data(own, held, where)


def _data(own: OwnImages, arrays: Mapping[str, Array], where: str) -> Data:
    check_values(own.given, where, arrays)
    rows = draw(arrays["y_train"].astype(np.int64), own, where)
    splits = {}
    for split in SPLITS:
        source = "train" if split in rows else split
        chosen = rows.get(split, np.arange(len(arrays[f"y_{source}"])))
        images = np.ascontiguousarray(arrays[f"x_{source}"][chosen].transpose(0, 3, 1, 2))
        labels = arrays[f"y_{source}"][chosen].astype(np.int64)
        splits[split] = Split(torch.from_numpy(images), torch.from_numpy(labels))
    mean, std = _statistics(splits["train"].images.numpy(), where)
    classes = int(arrays["y_train"].max()) + 1
    return Data(str(own), splits, torch.tensor(mean), torch.tensor(std), classes)


def draw(labels: IntArray, own: OwnImages, where: str = "the arrays") -> dict[str, IntArray]:
    """Which rows of x_train belong to each split that is taken from it, in a random order.

    All rows are shuffled; of every class the first ones validate, the next ones test, and the others are
    trained on. A share is rounded to whole images, half up, and is never none.

    Args:
        labels: Of x_train, every class at least once; int64 [n].
        own: The shares and the seed.
        where: For messages.

    Raises:
        DamagedData: If a class has too few images.
    """
    order = np.random.default_rng(own.seed).permutation(len(labels))
    counts = np.bincount(labels)
    taken = {split: _taken(counts, own.share(split)) for split in SPLITS[1:]}
    if (short := np.flatnonzero(counts <= sum(taken.values()))).size:
        raise DamagedData(
            f"{where}: class {short[0]} has {counts[short[0]]} of the images in x_train, too few to give "
            f"each split of {own} one; add some, or give x_valid and x_test"
        )
    by_class = np.argsort(labels[order], kind="stable")
    rank = np.empty(len(labels), np.int64)  # of each shuffled row among those of its class
    rank[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    first, last = taken["valid"][labels[order]], (taken["valid"] + taken["test"])[labels[order]]
    parts = {"train": order[rank >= last], "valid": order[rank < first]}
    parts["test"] = order[(rank >= first) & (rank < last)]
    return {split: rows for split, rows in parts.items() if split == "train" or own.share(split)}


def _taken(counts: IntArray, share: float) -> IntArray:
    found: IntArray = np.maximum(1, np.floor(share * counts + 0.5)).astype(np.int64) * (share > 0)
    return found


def _statistics(images: npt.NDArray[np.uint8], where: str) -> tuple[list[float], list[float]]:
    """Mean and deviation of every channel; sums of whole numbers, so that no machine rounds otherwise."""
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts, values = np.zeros(256, np.int64), np.arange(256)
        for block in np.array_split(images[:, channel], -(-len(images) // 1024)):
            counts += np.bincount(block.ravel(), minlength=256)
        total = int(counts.sum())
        first, second = (int((counts * values**power).sum()) for power in (1, 2))
        if total * second == first**2:
            raise DamagedData(
                f"{where}: channel {channel} is {first // total} in all training images; leave it out"
            )
        means.append(first / total)
        deviations.append((total * second - first**2) ** 0.5 / total)
    return means, deviations
