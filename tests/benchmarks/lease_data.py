"""Images in miniature, and the official numbers, for tests of the GPU lease."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nb201env.space import SIZE, official_index_of
from nb201env.training.images.originals import Arrays


def images(train: int, test: int) -> Arrays:
    """Smooth random images of 32 pixels, so that there is something to predict."""
    rng, arrays = np.random.default_rng(0), {}
    for part, count in (("train", train), ("test", test)):
        coarse = rng.integers(0, 256, (count, 4, 4, 3))
        fine = np.repeat(np.repeat(coarse, 8, axis=1), 8, axis=2) + rng.normal(0, 9, (count, 32, 32, 3))
        arrays[f"x_{part}"] = fine.clip(0, 255).astype(np.uint8)
        arrays[f"y_{part}"] = (np.arange(count) % 10).astype(np.uint8)
    return arrays


def write_images(path: Path, train: int = 256, test: int = 64) -> Path:
    arrays: dict[str, Any] = images(train, test)
    np.savez(path, **arrays, part=True)
    return path


def write_reference(path: Path) -> Path:
    rows = [f"{official_index_of(i)},{10 + 80 * i / SIZE}" for i in range(SIZE)]
    path.write_text("index,cifar10_valid_acc_12\n" + "\n".join(rows) + "\n")
    return path
