"""Images on the device as one tensor, and the batches of a run.

A run's batches are a function of the data, the recipe and the seed alone: order, crops and flips
are drawn on the CPU from a generator seeded by (seed, epoch). So all architectures of one seed
see the same stream, on every device, and an epoch can be repeated without the ones before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nb201env.training.recipe import Recipe

SPLITS = ("train", "valid", "test")


class Split(NamedTuple):
    """Images of one split.

    Attributes:
        images: uint8 [n, channels, side, side].
        labels: int64 [n].
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class Data:
    """One task's images.

    Attributes:
        task: The task's name.
        splits: What is trained on ("train") and evaluated on ("valid", "test").
        mean: Per channel, of the pixel values; float32 [channels].
        std: Per channel; float32 [channels].
        classes: How many labels there are.
        part: Whether these are only some of the data set's images, for a trial in miniature.
    """

    task: str
    splits: dict[str, Split]
    mean: Tensor
    std: Tensor
    classes: int
    part: bool = False

    def to(self, device: str | torch.device) -> Data:
        """The same data on another device."""
        splits = {n: Split(s.images.to(device), s.labels.to(device)) for n, s in self.splits.items()}
        return replace(self, splits=splits, mean=self.mean.to(device), std=self.std.to(device))

    @property
    def digest(self) -> str:
        """sha256 of all images and labels: shards from other images are told apart by it."""
        found = hashlib.sha256(f"{self.task} {self.mean.tolist()} {self.std.tolist()}".encode())
        for name in SPLITS:
            for tensor in self.splits[name]:
                found.update(tensor.cpu().contiguous().numpy().data)
        return found.hexdigest()

    def normalise(self, images: Tensor) -> Tensor:
        """Pixels, uint8 [B, C, H, W], to float32 with mean 0 and deviation 1 per channel.

        A pixel's channels lie side by side in memory, and so they do in everything that a network
        makes of it: PyTorch's pooling and batch norm are about three times as fast on a CPU then.
        """
        normal: Tensor = (images.float() - self.mean[:, None, None]) / self.std[:, None, None]
        return normal.contiguous(memory_format=torch.channels_last)


def batches(data: Data, recipe: Recipe, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The training batches of one epoch (0-based): normalised images and labels.

    The last batch takes what is left, as in the official recipe.
    """
    split = training_split(data, recipe)
    count, side = len(split.labels), split.images.shape[-1]
    generator = torch.Generator().manual_seed(_mix(seed, epoch))
    pad = recipe.pad * side // 32
    order = torch.randperm(count, generator=generator)
    shifts = torch.randint(2 * pad + 1, (count, 2), generator=generator)
    flips = (torch.rand(count, generator=generator) < 0.5) & recipe.flip
    device = split.labels.device
    order, shifts, flips = order.to(device), shifts.to(device), flips.to(device)
    for start in range(0, count, recipe.batch):
        part = slice(start, start + recipe.batch)
        chosen = order[part]
        images = augment(split.images[chosen], shifts[part], flips[part], pad)
        yield data.normalise(images), split.labels[chosen]


def training_split(data: Data, recipe: Recipe) -> Split:
    """The images that a recipe trains on: all of the split, or its first `recipe.train_images`.

    Raises:
        ValueError: If the recipe wants more than there are, or a batch cannot be normalised.
    """
    split, wanted = data.splits["train"], recipe.train_images
    if wanted > len(split.labels):
        raise ValueError(
            f"recipe {recipe.name!r} wants {wanted} training images, but task {data.task!r} has "
            f"{len(split.labels)}; use train_images=0 for all"
        )
    chosen = Split(split.images[:wanted], split.labels[:wanted]) if wanted else split
    count, side = len(chosen.labels), chosen.images.shape[-1]
    if side == 4 and (recipe.batch == 1 or count % recipe.batch == 1):
        raise ValueError(
            f"recipe {recipe.name!r} makes a batch of one image of the {count} of task {data.task!r}, and "
            "4x4 pixels end as one, which has no variance; use another batch or train_images"
        )
    return chosen


def augment(images: Tensor, shifts: Tensor, flips: Tensor, pad: int) -> Tensor:
    """Mirror some images, then crop each from its zero-padded self.

    Args:
        images: uint8 [B, C, H, W].
        shifts: Rows and columns to skip in the padded image, 0..2*pad; int64 [B, 2].
        flips: Which images are mirrored left-right; bool [B].
        pad: Zero pixels (black) added on each side.
    """
    count, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    rows = shifts[:, :1] + torch.arange(height, device=images.device)
    columns = shifts[:, 1:] + torch.arange(width, device=images.device)
    columns = torch.where(flips[:, None], width + 2 * pad - 1 - columns, columns)
    which = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _mix(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
