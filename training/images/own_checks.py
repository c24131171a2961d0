"""What arrays of one's own images must be before anything is made of them.

Every message says what was found, what was expected and, where there is one, the line of numpy that mends it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from nb201env.arrays import Array, IntArray
from nb201env.training.data import SPLITS
from nb201env.training.images.fetch import DamagedData
from nb201env.training.network import MOST

MOST_BYTES = 4_000_000_000
"""Of all pixels together: 1.3 million images of 32x32x3."""


class Look(Protocol):
    """What an array, or the head of one in a file, says of itself."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its numbers' type."""


def check_looks(given: Sequence[str], task: str, where: str, looks: Mapping[str, Look]) -> None:
    """Check names, types and shapes; no number is looked at.

    Args:
        given: The splits that are not drawn from x_train.
        task: The task's name, for messages.
        where: The file, for messages.
        looks: By the arrays' names.

    Raises:
        DamagedData: If they are not those of images.
    """
    for split in SPLITS:
        if split not in given and {f"x_{split}", f"y_{split}"} & looks.keys():
            raise DamagedData(
                f"{where}: x_{split} or y_{split} is there, but {task} draws these images from x_train; "
                "leave one of them out"
            )
    for split in given:
        images, labels = looks[f"x_{split}"], looks[f"y_{split}"]
        if fault := _images_fault(images, looks["x_train"]):
            raise DamagedData(f"{where}: x_{split} is {images.dtype} {[*images.shape]}; {fault}")
        if fault := _labels_fault(labels, images.shape[0]):
            raise DamagedData(f"{where}: y_{split} is {labels.dtype} {[*labels.shape]}; {fault}")
    size = sum(math.prod(looks[f"x_{split}"].shape) for split in given)
    if size > MOST_BYTES:
        raise DamagedData(f"{where}: {size:,} bytes of pixels, of at most {MOST_BYTES:,}; shrink the images")


def _images_fault(images: Look, like: Look) -> str:
    """What is wrong with the images of a split, if anything; `like` are those of x_train."""
    return _pixels_fault(images.dtype) or _shape_fault(images.shape) or _size_fault(images.shape, like.shape)


def _pixels_fault(dtype: np.dtype[Any]) -> str:
    if dtype == np.uint8:
        return ""
    mends = {
        "f": "np.round(255 * x).astype(np.uint8) makes them of numbers in 0..1",
        "b": "255 * x.astype(np.uint8) makes them of black and white",
    }
    mend = mends.get(dtype.kind, "x.astype(np.uint8) makes them of whole numbers in that range")
    return f"images are uint8, black 0 and white 255: {mend}"


def _shape_fault(shape: tuple[int, ...]) -> str:
    expected = "images are [n, side, side, channels]"
    if len(shape) == 3:
        return f"{expected}: x[..., None] gives grey ones their one channel"
    if len(shape) != 4:
        return f"{expected}: x.reshape(-1, side, side, channels) makes them of rows"
    if shape[1] != shape[2] == shape[3]:
        return f"{expected}: x.transpose(0, 2, 3, 1) moves the channels to the end"
    if shape[1] != shape[2]:
        return f"{expected}, so square: crop them, or pad them by np.pad"
    return "" if shape[0] else f"{expected}, and here is none: every split needs some"


def _size_fault(shape: tuple[int, ...], like: tuple[int, ...]) -> str:
    side, channels = shape[2:]
    if shape[1:] != like[1:]:
        return f"those of x_train are {[*like]}: all splits need images of one size"
    if not 0 < channels <= MOST["channels"] or not 0 < side <= MOST["image_size"]:
        return f"images have 1 to {MOST['image_size']} pixels a side and 1 to {MOST['channels']} channels"
    if side % 4:
        before, after = (4 - side % 4) // 2, (5 - side % 4) // 2
        edge = f"({before}, {after})"
        pad = f"np.pad(x, ((0, 0), {edge}, {edge}, (0, 0)))"
        return f"the network halves images twice, so a side is a multiple of 4: {pad} makes it one"
    return ""


def _labels_fault(labels: Look, count: int) -> str:
    """What is wrong with the labels of so many images, if anything."""
    expected = "labels are whole numbers [n]"
    if len(labels.shape) == 2 and labels.shape[1] > 1:
        return f"{expected}: y.argmax(axis=1) makes them of one column per class"
    if len(labels.shape) == 2:
        return f"{expected}: y.ravel() makes them of a column"
    if labels.dtype.kind not in "iu":
        return f"{expected}: np.unique(y, return_inverse=True)[1] numbers whatever classes there are"
    if labels.shape != (count,):
        return f"{expected}, one for each of the {count:,} images"
    return ""


def check_values(given: Sequence[str], where: str, arrays: Mapping[str, Array]) -> None:
    """Check the labels of arrays that look as they should.

    Raises:
        DamagedData: If those of x_train are not 0 to classes-1, each there, or others have further ones.
    """
    train = arrays["y_train"]
    classes = int(train.max()) + 1
    for split in given:
        labels = arrays[f"y_{split}"]
        if (wrong := np.flatnonzero((labels < 0) | (labels >= min(classes, MOST["classes"])))).size:
            known = f"labels are 0..classes-1, and there are at most {MOST['classes']:,} classes"
            if split != "train":
                known = f"those of y_train are 0..{classes - 1}"
            raise DamagedData(
                f"{where}: y_{split}[{wrong[0]}] is {labels[wrong[0]]}; {known}: np.unique(y, "
                "return_inverse=True)[1] numbers them, of all splits together"
            )
    if classes < 2:
        raise DamagedData(f"{where}: y_train has one class, 0; there is nothing to tell apart without two")
    if (missing := np.flatnonzero(_counts(train) == 0)).size:
        raise DamagedData(
            f"{where}: y_train has no {missing[0]}, but goes up to {classes - 1}; every class needs training "
            "images: np.unique(y, return_inverse=True)[1] numbers those that have some"
        )


def _counts(labels: Array) -> IntArray:
    counts: IntArray = np.bincount(labels.astype(np.int64))
    return counts
