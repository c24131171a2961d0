"""How long one architecture's forward pass takes on this machine."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import torch

from nb201env.architecture import Architecture
from nb201env.training.builds.plan import processor
from nb201env.training.images.tasks import DATASETS, find_task
from nb201env.training.network import Network, Skeleton
from nb201env.training.precision import exact_float32

_WARM_UP = 3


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
    architecture: Architecture, task: str, *, batch: int = 256, repeats: int = 20, device: str = "cpu"
) -> Latency:
    """The forward pass of the official network (width 16, 5 cells per stage), in float32, for evaluation.

    Args:
        architecture: Which one.
        task: Decides the image's size and the classes.
        batch: Images at once.
        repeats: Timed passes, after three that warm up.
        device: "cpu" or "cuda".

    Raises:
        ValueError: If the task or the device is unknown.
    """
    data = DATASETS[find_task(task).dataset]
    place = torch.device(device)
    skeleton = Skeleton(classes=data.classes, image_size=data.image_size, channels=data.channels)
    network = Network(architecture, skeleton)
    network.eval().to(place)
    images = torch.zeros(batch, data.channels, data.image_size, data.image_size, device=place)
    with torch.inference_mode(), exact_float32():
        times = [_timed(network, images, place) for _ in range(_WARM_UP + repeats)][_WARM_UP:]
    low, middle, high = np.percentile(times, (25, 50, 75))
    return Latency(float(middle), float(high - low), _name(place), batch)


def _timed(network: Network, images: torch.Tensor, place: torch.device) -> float:
    start = time.perf_counter()
    network(images)
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    return time.perf_counter() - start


def _name(place: torch.device) -> str:
    if place.type == "cuda":
        return torch.cuda.get_device_name(place)
    return f"{processor()}, {torch.get_num_threads()} threads"
