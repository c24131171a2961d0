"""Small networks on a CPU, compiled: the same results as the plain path, to rounding.

The networks of a small task are so small that PyTorch's cost per call outweighs the arithmetic.
Here one compiled function trains a network for a whole epoch (`nb201env.training.compiled.passes`), so
nothing is called from Python between its steps, and everything it touches fits the processor's nearest
caches. `nb201env.training.network` stays the definition: weights are taken from plain networks and put back
into them, and `tests/training` holds this trainer to the plain one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nb201env.architecture import Architecture
from nb201env.arrays import IntArray
from nb201env.training.compiled import passes
from nb201env.training.compiled.layout import F32, lay_out
from nb201env.training.data import SPLITS, Data, batches
from nb201env.training.loop import Logs, Result, as_logs, check_finite, skeleton_for
from nb201env.training.network import Network, initial_network
from nb201env.training.recipe import Recipe

EVALUATION_BATCH = 64


def train_compiled(
    architectures: Sequence[Architecture], data: Data, recipe: Recipe, seed: int
) -> tuple[Logs, list[Network]]:
    """Train architectures one after the other; like `nb201env.training.loop.train_plain`, to rounding.

    Raises:
        DivergedTraining: If a loss stops being a finite number.
    """
    skeleton = skeleton_for(data, recipe)
    networks = [initial_network(architecture, skeleton, seed) for architecture in architectures]
    models = [Model(network, max(recipe.batch, EVALUATION_BATCH)) for network in networks]
    held_out = {name: arrange(_parts(data, name), EVALUATION_BATCH) for name in SPLITS[1:]}
    epochs, seconds = [], []
    for epoch in range(recipe.epochs):
        stream = arrange(batches(data, recipe, seed, epoch), recipe.batch)
        start = time.perf_counter()
        results = [_as_result(model.train(stream, recipe, epoch) for model in models)]
        seconds.append((time.perf_counter() - start) / len(models))
        results += [_as_result(model.evaluate(held_out[name]) for model in models) for name in SPLITS[1:]]
        check_finite(results, architectures, recipe, seed, epoch)
        epochs.append(results)
    for model in models:
        model.parameters.store()
    return as_logs(epochs, seconds, len(models)), networks


class Stream(NamedTuple):
    """Batches one after the other, each as [channels, H, W, B].

    Attributes:
        pixels: Normalised; float32 [n * channels * H * W].
        labels: int64 [n].
        batch: Images per batch; the last one holds what is left.
        channels: Of the images.
        side: Of the images.
    """

    pixels: F32
    labels: IntArray
    batch: int
    channels: int
    side: int


def arrange(parts: Iterable[tuple[Tensor, Tensor]], batch: int) -> Stream:
    """Batches of normalised images [B, channels, H, W] and labels as a `Stream`."""
    images, labels = zip(*parts, strict=True)
    pixels = torch.cat([part.permute(1, 2, 3, 0).flatten() for part in images]).numpy()
    return Stream(pixels, torch.cat(labels).numpy(), batch, images[0].shape[1], images[0].shape[2])


def _parts(data: Data, name: str) -> Iterator[tuple[Tensor, Tensor]]:
    images, labels = data.splits[name]
    for start in range(0, len(labels), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        yield data.normalise(images[part]), labels[part]


def _as_result(each: Iterable[tuple[float, int]]) -> Result:
    losses, correct = zip(*each, strict=True)
    return torch.tensor(correct), torch.tensor(losses, dtype=torch.float64)


class Model:
    """One network, ready to be trained.

    Args:
        network: A plain network; `parameters.store()` copies the trained values back into it.
        batch: The largest batch that it will see.
    """

    def __init__(self, network: Network, batch: int) -> None:
        self.layout, self.parameters = lay_out(network)
        self._velocity = np.zeros_like(self.parameters.theta)
        self._work = passes.make_work(self.layout, batch)

    def train(self, stream: Stream, recipe: Recipe, epoch: int) -> tuple[float, int]:
        """One epoch; mean loss and correct images, running ones."""
        loss, correct = passes.train_epoch(
            self.layout, self.parameters.theta, self.parameters.running, self._velocity, self._work, stream,
            recipe.rate(epoch), recipe.momentum, recipe.weight_decay, recipe.nesterov,
        )  # fmt: skip
        return loss / len(stream.labels), correct

    def evaluate(self, stream: Stream) -> tuple[float, int]:
        """Mean loss and correct images in evaluation mode."""
        loss, correct = passes.evaluate(
            self.layout, self.parameters.theta, self.parameters.running, self._work, stream
        )
        return loss / len(stream.labels), correct
