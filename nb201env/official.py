"""The official data sets and trainings: their names, their images and their words.

| official key | trained on | official set | our split |
| --- | --- | --- | --- |
| cifar10-valid | half of the CIFAR-10 training images | x-valid / ori-test | valid / test |
| cifar10 | all CIFAR-10 training images | ori-test | test |
| cifar100, ImageNet16-120 | all training images | x-valid / x-test / ori-test | valid / test / valtest |

`ori-test` of CIFAR-100 and ImageNet16-120 is the union of x-valid and x-test, so it contains the
validation images; its own name, "valtest", keeps it from being mistaken for a test split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a data set's images look like.

    Attributes:
        image_size: Side of the square images, in pixels.
        classes: How many there are.
        channels: Numbers per pixel.
    """

    image_size: int
    classes: int
    channels: int = 3


DATASETS: dict[str, Dataset] = {
    "cifar10": Dataset(32, 10),
    "cifar100": Dataset(32, 100),
    "ImageNet16-120": Dataset(16, 120),
}

SCHEDULES: dict[str, int] = {"12": 12, "200": 200, "less": 12, "full": 200}
"""The official keys of a schedule ("less" and "full" in the .pth files) and its epochs."""


@dataclass(frozen=True, slots=True)
class OfficialSplit:
    """One set of images.

    Attributes:
        images: How many.
        what: Which, in words.
    """

    images: int
    what: str


@dataclass(frozen=True, slots=True)
class OfficialTask:
    """One official training: what is trained on, and what is evaluated on.

    Attributes:
        dataset: Data set.
        splits: The images of each split, "train" first.
        sets: Official set name to our split.
    """

    dataset: str
    splits: dict[str, OfficialSplit]
    sets: dict[str, str]


_HALF = "the official random half of the CIFAR-10 training images"
_THREE = {"x-valid": "valid", "x-test": "test", "ori-test": "valtest"}

TASKS: dict[str, OfficialTask] = {
    "cifar10-valid": OfficialTask(
        "cifar10",
        {
            "train": OfficialSplit(25_000, _HALF),
            "valid": OfficialSplit(25_000, "the other half of the CIFAR-10 training images"),
            "test": OfficialSplit(10_000, "the CIFAR-10 test images"),
        },
        {"x-valid": "valid", "ori-test": "test"},
    ),
    "cifar10": OfficialTask(
        "cifar10",
        {
            "train": OfficialSplit(50_000, "all CIFAR-10 training images"),
            "test": OfficialSplit(10_000, "the CIFAR-10 test images"),
        },
        {"ori-test": "test"},
    ),
    "cifar100": OfficialTask(
        "cifar100",
        {
            "train": OfficialSplit(50_000, "all CIFAR-100 training images"),
            "valid": OfficialSplit(5_000, "the official x-valid half of the CIFAR-100 test images"),
            "test": OfficialSplit(5_000, "the official x-test half of the CIFAR-100 test images"),
            "valtest": OfficialSplit(10_000, "all CIFAR-100 test images: valid and test together"),
        },
        _THREE,
    ),
    "ImageNet16-120": OfficialTask(
        "ImageNet16-120",
        {
            "train": OfficialSplit(151_700, "all ImageNet16-120 training images"),
            "valid": OfficialSplit(
                3_000, "the official x-valid half of the ImageNet16-120 validation images"
            ),
            "test": OfficialSplit(3_000, "the official x-test half of the ImageNet16-120 validation images"),
            "valtest": OfficialSplit(6_000, "all ImageNet16-120 validation images: valid and test together"),
        },
        _THREE,
    ),
}

PROTOCOL = (
    "SGD, Nesterov momentum 0.9, learning rate 0.1, weight decay 5e-4, batch 256; width 16, 5 cells per stage"
)
LICENCE = "MIT (numbers, NATS-Bench)"
CITATION = [
    "X. Dong and Y. Yang, NAS-Bench-201, ICLR 2020",
    "X. Dong, L. Liu, K. Musial and B. Gabrys, NATS-Bench, IEEE TPAMI 2021",
]


def describe(task: str, epochs: int) -> dict[str, Any]:
    """The part of a table's manifest that follows from its task and schedule."""
    spec = TASKS[task]
    return {
        "name": f"{task}-{epochs}",
        "space": "NAS-Bench-201",
        "task": {
            "name": task,
            "dataset": spec.dataset,
            "splits": {name: {"images": s.images, "what": s.what} for name, s in spec.splits.items()},
        },
        "schedule": {"epochs": epochs, "what": f"cosine to 0 over {epochs} epochs, per epoch"},
        "protocol": PROTOCOL,
        "licence": LICENCE,
        "citation": CITATION,
    }
