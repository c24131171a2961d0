"""How a network is trained: the official recipe and small ones, as plain values.

Source of the official recipe: AutoDL-Projects, ``configs/nas-benchmark/{CIFAR,LESS}.config``,
``hyper-opts/{12E,200E}.config`` and ``xautodl/procedures/optimizers.py``. It has no warm-up, no
cutout, no dropout, no label smoothing and no mixed precision; weight decay acts on every
parameter, batch norm's included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from nb201env.fields import Fields


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to train.

    Attributes:
        name: What the command line calls it.
        epochs: The schedule's length; the learning rate is annealed over all of it.
        width: Channels of the first stage.
        cells: Cells per stage.
        batch: Images per step; the last step of an epoch takes what is left.
        learning_rate: At the first epoch; see `rate`.
        momentum: Of SGD.
        nesterov: Whether the momentum is Nesterov's.
        weight_decay: On every parameter.
        flip: Whether images are mirrored at random (left-right, one half of them).
        pad: Pixels of zero padding from which a random crop of the original size is taken, on
            32-pixel images; scaled with the image's side (16 pixels: half of it).
        train_images: How many of the task's training images are used, the first ones; 0 is all.
    """

    name: str
    epochs: int
    width: int = 16
    cells: int = 5
    batch: int = 256
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    flip: bool = True
    pad: int = 4
    train_images: int = 0

    def __post_init__(self) -> None:
        if not self.name.isprintable() or len(self.name) > 100:
            raise ValueError("a recipe's name is a line of at most 100 characters")
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if not least <= value <= most:  # so that NaN is refused
                raise ValueError(f"{name} of recipe {self.name!r} is in {least}..{most}; got {value}")

    @classmethod
    def read(cls, entries: Fields) -> Recipe:
        """A recipe from a file.

        Raises:
            ValueError: If an entry is missing, unknown or not what it should be.
        """
        entries.refuse_others(field.name for field in fields(cls))

        def number(name: str) -> float:
            entries.number(name)
            written: float = entries.value[name]  # a plan that says 1 has another digest than one of 1.0
            return written

        whole = entries.whole
        return cls(
            entries.text("name"), whole("epochs"), whole("width"), whole("cells"), whole("batch"),
            number("learning_rate"), number("momentum"), entries.flag("nesterov"), number("weight_decay"),
            entries.flag("flip"), whole("pad"), whole("train_images"),
        )  # fmt: skip

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch (0-based): cosine to 0, per epoch and not per step.

        0.5 * learning_rate * (1 + cos(pi * epoch / epochs)): the first epoch has the whole rate,
        the last one is still above 0.
        """
        return 0.5 * self.learning_rate * (1 + math.cos(math.pi * epoch / self.epochs))


_BOUNDS: dict[str, tuple[float, float]] = {
    "epochs": (1, 10_000),
    "width": (1, 4096),
    "cells": (1, 256),
    "batch": (1, 1_000_000),
    "learning_rate": (0, 1e38),
    "momentum": (0, 1),
    "weight_decay": (0, 1e38),
    "pad": (0, 1024),
    "train_images": (0, 10**9),
}
"""What a recipe's numbers may be: wide, but nothing that only exhausts a machine."""

PRESETS: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("official-12", epochs=12),
        Recipe("official-200", epochs=200),
        # For 16-pixel images: a whole table in minutes of one GPU; see docs/gpu.md for how well it ranks.
        Recipe("small-12", epochs=12, cells=1),
        # Digits on a CPU, see docs/building.md for how it was chosen. Thin, because the images are
        # small, but five cells per stage: with one or three the skeleton does most of the work, the
        # cells hardly differ and seeds decide the order. Few images and small batches, so that even
        # the best cell stays below 100 %. No crops (two pixels of eight are too many) and no mirrors.
        Recipe(
            "digits-10",
            epochs=10,
            width=4,
            batch=16,
            learning_rate=0.05,
            flip=False,
            pad=0,
            train_images=256,
        ),
        # Seconds per table, for trying the commands out.
        Recipe("smoke-2", epochs=2, width=2, cells=1, batch=64, flip=False, pad=0, train_images=128),
    )
}


def find_recipe(name: str) -> Recipe:
    """A preset by name.

    Raises:
        ValueError: If there is none; the message lists the names.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown recipe {name!r}; the presets are {', '.join(PRESETS)}")
    return PRESETS[name]
