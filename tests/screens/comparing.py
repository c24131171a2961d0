"""How far two pictures are apart: not by pixels, which fonts and browsers move, but by blocks of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SCALE = 4
"""A stored picture is smaller by this factor; a block is 4 x 4 of its pixels, 16 x 16 of the screen's."""
COLOURS, BLOCK, WINDOW = 256, 4, 5


class Difference(NamedTuple):
    """How far two pictures are apart.

    Attributes:
        height: By how much of its height one is higher than the other.
        mean: The mean difference of blocks, of 255 levels.
        worst: That of the window of 80 x 80 pixels of the screen that differs most.
    """

    height: float
    mean: float
    worst: float

    def within(self, limits: Difference) -> bool:
        """Whether nothing is beyond these limits."""
        return all(mine <= most for mine, most in zip(self, limits, strict=True))

    def __str__(self) -> str:
        return f"height {self.height:.2%}, mean {self.mean:.2f}, worst window {self.worst:.1f}"


LIMITS = Difference(height=0.02, mean=1.5, worst=6.5)
NOTHING_ALIKE = Difference(1.0, 255.0, 255.0)


def small(picture: Image.Image) -> Image.Image:
    """A picture as it is stored: a quarter as wide and as high, in 256 colours."""
    size = (-(-picture.width // SCALE), -(-picture.height // SCALE))
    reduced = picture.convert("RGB").resize(size, Image.Resampling.BOX)
    return reduced.quantize(COLOURS, dither=Image.Dither.NONE)


def difference(stored: Image.Image, now: Image.Image) -> Difference:
    """How far a picture is from a stored one, both as `small` makes them.

    The picture is stretched to the stored one's height. In each window it may lie a block higher or lower, or
    further left or right, than the stored one: whichever differs least counts.
    """
    one, two = stored.convert("RGB"), now.convert("RGB")
    if one.width != two.width:
        return NOTHING_ALIKE
    height = abs(one.height - two.height) / one.height
    if one.size != two.size:
        two = two.resize(one.size, Image.Resampling.BOX)
    a, b = _blocks(one), _blocks(two)
    steps = (-1, 0, 1)
    moved = [_windows(_apart(a, b, down, right)) for down in steps for right in steps]
    least = np.min(moved, axis=0)
    return Difference(height, float(least.mean()), float(least.max()))


def _blocks(picture: Image.Image) -> NDArray[np.float64]:
    """Means of blocks; [rows, columns, 3]."""
    pixels = np.asarray(picture, dtype=np.float64)
    rows, columns = pixels.shape[0] // BLOCK, pixels.shape[1] // BLOCK
    cut = pixels[: rows * BLOCK, : columns * BLOCK]
    return np.asarray(cut.reshape(rows, BLOCK, columns, BLOCK, 3).mean(axis=(1, 3)))


def _apart(a: NDArray[Any], b: NDArray[Any], down: int, right: int) -> NDArray[np.float64]:
    """The difference of blocks where one picture is moved; the edge's own blocks stand in beyond the edge."""
    rows = np.clip(np.arange(a.shape[0]) + down, 0, a.shape[0] - 1)
    columns = np.clip(np.arange(a.shape[1]) + right, 0, a.shape[1] - 1)
    return np.asarray(np.abs(a - b[rows][:, columns]).mean(axis=2))


def _windows(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of windows that overlap by half; [rows, columns]."""
    sums = np.pad(blocks, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    rows, columns = (_edges(length) for length in blocks.shape)
    (top, bottom), (left, right) = rows, columns
    whole = sums[bottom][:, right] - sums[top][:, right] - sums[bottom][:, left] + sums[top][:, left]
    return np.asarray(np.maximum(whole, 0) / np.outer(bottom - top, right - left))


def _edges(length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    width = min(WINDOW, length)
    first = np.unique(np.append(np.arange(0, length - width + 1, max(1, width // 2)), length - width))
    return first, first + width
