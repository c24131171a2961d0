"""How a network is trained: the official recipe and small ones, as plain values.

Source of the official recipe: AutoDL-Projects, ``configs/nas-benchmark/{CIFAR,LESS}.config``,
``hyper-opts/{12E,200E}.config`` and ``xautodl/procedures/optimizers.py``. It has no warm-up, no
cutout, no dropout, no label smoothing and no mixed precision; weight decay acts on every
parameter, batch norm's included.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from shlex import quote
from typing import Any

from nb201env.fields import Fields, parse_json
from nb201env.files import read_limited
from nb201env.reading import check_name


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to train; raises ValueError if a value is not of its type or out of bounds.

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
        entries = Fields(asdict(self), "a recipe")
        name = entries.text("name")
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise ValueError(f"a recipe's name is a line of at most {_LONGEST_NAME} characters")
        entries.where = f"recipe {name!r}"
        for field in FIELDS:
            _value(entries, field)
        if self.nesterov and not self.momentum:
            raise entries.refuse("nesterov", "needs a momentum above 0; set one or the other")

    @classmethod
    def read(cls, entries: Fields) -> Recipe:
        """A recipe from a file.

        Raises:
            ValueError: If an entry is missing, unknown or not what it should be.
        """
        entries.refuse_others(FIELDS)

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
_LONGEST_NAME = 100
_LONGEST_FILE = 100_000
FIELDS: dict[str, str] = {field.name: str(field.type) for field in fields(Recipe)}
"""The type of every field: "str", "int", "float" or "bool"."""


def _value(entries: Fields, name: str) -> Any:
    """An entry of a field's type, within its bounds."""
    kind = FIELDS[name]
    if kind == "str":
        return entries.text(name)
    if kind == "bool":
        return entries.flag(name)
    least, most = _BOUNDS[name]
    if kind == "float":
        return entries.number(name, least=least, most=most)
    return entries.whole(name, least=int(least), most=int(most))


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
        raise ValueError(
            f"unknown recipe {name!r}; the presets are {', '.join(PRESETS)}; a file's ends in .json"
        )
    return PRESETS[name]


# -- recipes of one's own --------------------------------------------------------------------


def read_recipe(text: str, changes: Sequence[str] = ()) -> Recipe:
    """A preset by name or a recipe from a file, with changes.

    A file, whose name ends in .json or holds a separator, is a JSON object of `Recipe`'s fields. "epochs" is
    needed; of the others those that are missing are the official ones, and the name is the file's.

    Args:
        text: The preset's name or the file's path.
        changes: "epochs=3", "epochs=3,width=4" or "name=mine", which goes to the end of its text. Without a
            name the recipe is called after what it was made of: "small-12+epochs=3".

    Raises:
        ValueError: If there is no such recipe, or a field is unknown, set twice or not what it should be.
        OSError: If the file cannot be read.
    """
    is_file = text.endswith(".json") or os.sep in text or bool(os.altsep and os.altsep in text)
    base = asdict(_read_file(Path(text)) if is_file else find_recipe(text))
    said = _said(changes)
    if not said:
        return Recipe(**base)
    entries = Fields({name: _parsed(name, value) for name, value in said.items()}, "--set")
    new = {name: _value(entries, name) for name in said}
    name = _name(base["name"], [f"{key}={value}" for key, value in said.items()])
    if "name" not in said and len(name) > _LONGEST_NAME:
        raise ValueError("--set makes too many changes for a name made of them; add --set name=MINE")
    return Recipe(**base | {"name": name} | new)


def as_options(recipe: Recipe) -> str:
    """The options of ``nb201 build`` that make a recipe: of the preset that is nearest to it."""
    wanted = asdict(recipe)

    def others(preset: Recipe) -> dict[str, Any]:
        return {name: value for name, value in wanted.items() if asdict(preset)[name] != value}

    nearest = min(PRESETS.values(), key=lambda preset: len(others(preset)))
    changes = [f"{key}={_written(value)}" for key, value in others(nearest).items() if key != "name"]
    texts = [",".join(changes)] if changes else []
    if recipe.name != _name(nearest.name, changes):
        texts.append(f"name={recipe.name}")
    return " ".join([f"--recipe {nearest.name}", *(f"--set {quote(text)}" for text in texts)])


def _read_file(path: Path) -> Recipe:
    found = Fields.parse(read_limited(path, _LONGEST_FILE), str(path))
    for name in found.value:
        try:
            check_name(name, "recipe field", FIELDS)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    found.value.setdefault("name", path.stem)
    _value(found, "epochs")
    return Recipe(**{name: _value(found, name) for name in FIELDS if name in found.value})


def _said(changes: Sequence[str]) -> dict[str, str]:
    """Each field that is changed, and its value as it was written."""
    said: dict[str, str] = {}
    for part in (part for change in changes for part in _parts(change)):
        name, equals, value = (side.strip() for side in part.partition("="))
        if not equals:
            raise ValueError(f"--set takes NAME=VALUE, such as epochs=3,width=4; got {part!r}")
        check_name(name, "recipe field", FIELDS)
        if name in said:
            raise ValueError(f"--set names {name} twice")
        if not value:
            raise ValueError(f"--set gives {name} no value; it takes NAME=VALUE, such as epochs=3")
        said[name] = value
    return said


def _name(base: str, changes: Sequence[str]) -> str:
    """What a recipe is called if nothing is said: after what it was made of."""
    return "+".join([base, *changes])


def _parts(change: str) -> list[str]:
    return [change] if change.lstrip().startswith("name=") else change.split(",")


def _parsed(name: str, text: str) -> Any:
    """What a value means that was written in a command."""
    if FIELDS[name] == "str":
        return text
    try:
        return parse_json(text, "--set")
    except ValueError:
        return text  # and is refused as such


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
