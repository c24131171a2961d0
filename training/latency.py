"""How long one architecture's forward pass takes on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from nb201env.architecture import Architecture
from nb201env.training.builds.plan import processor
from nb201env.training.images.tasks import DATASETS, find_task, load_task
from nb201env.training.loop import skeleton_for
from nb201env.training.network import Network, Skeleton
from nb201env.training.precision import exact_float32
from nb201env.training.recipe import find_recipe
from nb201env.training.trainers import check_device

_WARM_UP = 3
MOST_IMAGES = 65_536
"""At once; they and what the network makes of them take some 20 GB."""


class Latency(NamedTuple):
    """One measurement.

    Attributes:
        seconds: The median pass.
        spread: The upper minus the lower quartile of the passes, in seconds.
        device: What it ran on.
        batch: Images at once.
    """

    seconds: float
    spread: float
    device: str
    batch: int


def measure(
    architecture: Architecture, task: str, *, batch: int = 256, repeats: int = 20, device: str = "cpu",
    data: Path | None = None,
) -> Latency:  # fmt: skip
    """The forward pass of the official network (width 16, 5 cells per stage), in float32, for evaluation.

    Args:
        architecture: Which one.
        task: Decides the image's size and the classes.
        batch: Images at once.
        repeats: Timed passes, after three that warm up.
        device: "cpu" or "cuda".
        data: Where the images are; only those of one's own are looked at, because nothing else says of what
            size they are.

    Raises:
        ValueError: If the task or the device is unknown, or there is not enough memory for the batch.
    """
    check_batch(batch)
    skeleton = skeleton_of(task, data)
    check_device(device)
    place = torch.device(device)
    network = Network(architecture, skeleton)
    network.eval().to(place)
    shape = batch, skeleton.channels, skeleton.image_size, skeleton.image_size
    with enough_memory(batch), torch.inference_mode(), exact_float32():
        images = torch.zeros(shape, device=place)
        times = [timed(network, images, place) for _ in range(_WARM_UP + repeats)][_WARM_UP:]
    low, middle, high = np.percentile(times, (25, 50, 75))
    return Latency(float(middle), float(high - low), device_name(place), batch)


def skeleton_of(task: str, data: Path | None) -> Skeleton:
    """The official one, for the task's images."""
    known = DATASETS.get(find_task(task).dataset)
    if known is None:
        return skeleton_for(load_task(task, data), find_recipe("official-12"))
    return Skeleton(classes=known.classes, image_size=known.image_size, channels=known.channels)


def check_batch(batch: int) -> None:
    """Check how many images are to go through at once.

    Raises:
        ValueError: If they are none, or too many for any memory.
    """
    if not 1 <= batch <= MOST_IMAGES:
        raise ValueError(f"a batch is 1 to {MOST_IMAGES:,} images; got {batch:,}")


@contextmanager
def enough_memory(batch: int) -> Iterator[None]:
    """Turn PyTorch's error of too little memory for so many images into a `ValueError` that says so."""
    try:
        yield
    except RuntimeError as error:  # PyTorch has no kind of its own for a CPU's memory
        if not isinstance(error, torch.cuda.OutOfMemoryError) and "alloc" not in str(error):
            raise
        raise ValueError(
            f"there is not enough memory for {batch:,} images at once; give a smaller --batch"
        ) from error


def timed(network: Network, images: torch.Tensor, place: torch.device) -> float:
    """The seconds of one forward pass."""
    start = time.perf_counter()
    network(images)
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    return time.perf_counter() - start


def device_name(place: torch.device) -> str:
    """The name of a processor, with its threads, or of a GPU."""
    if place.type == "cuda":
        return torch.cuda.get_device_name(place)
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} thread{'' if threads == 1 else 's'}"
