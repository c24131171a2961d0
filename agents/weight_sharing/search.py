"""What the weight-sharing agents share: images in two halves, the supernet, its weights' steps.

A weight-sharing agent trains one supernet on the task that the environment's table was made for
and derives an architecture from it. It learns nothing from the environment's answers: they are
asked for so that the trajectory shows what was derived, after every epoch if the budget allows,
and at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nb201env.agents.contract import Env, query
from nb201env.agents.weight_sharing.supernet import BATCH_STATISTICS, initial_supernet
from nb201env.architecture import Architecture
from nb201env.extras import check
from nb201env.space import NUM_EDGES, NUM_OPS
from nb201env.tables import open_table
from nb201env.training.data import Data, Split, batches
from nb201env.training.images.tasks import find_task, load_task, official_half
from nb201env.training.network import Skeleton
from nb201env.training.recipe import Recipe
from nb201env.training.threads import one_thread

Batch = tuple[Tensor, Tensor]
"""Normalised images [B, channels, side, side] and labels [B]."""

Forward = Callable[[Tensor], Tensor]
"""Images to logits [B, classes]."""

Derive = Callable[[], Architecture]
"""Says which architecture the agent would choose now; changes nothing."""

DIGITS: dict[str, Any] = {
    "width": 4, "cells": 1, "epochs": 30, "learning_rate": 0.1, "flip": False, "pad": 0,
}  # fmt: skip
"""For the digits task, chosen by how one-shot accuracies of RSPS order 48 random architectures.

One cell per stage, not the table's five: 200 steps are too few for deep paths (docs/weight-sharing.md).
Digits must not be mirrored, nor cropped from eight pixels.
"""


@dataclass(frozen=True)
class WeightSharing:
    """The hyper-parameters of every weight-sharing agent.

    The defaults are the official ones (AutoDL-Projects, ``configs/nas-benchmark/algos``).
    `PRESETS` holds others: ``make_agent("gdas", preset="digits")``.

    Attributes:
        batch_statistics: Which batch norms evaluate with the statistics of the batch at hand, the
            others with running averages: "none", "cells" or "all"; see `supernet`.
        task: What the supernet is trained on, one of `nb201env.training.images.tasks.TASKS`; empty: the task
            of the environment's table. Another one makes it a search for transfer.
        data: Folder or .npz of the task's original images; digits need none.
        width: Channels of the first stage.
        cells: Cells per stage.
        epochs: Passes over the half of the images that trains the weights.
        batch: Images per step.
        learning_rate: Of the weights, at the start.
        final_learning_rate: At the end of the cosine.
        cosine_epochs: Epochs from the one to the other, and back again if `epochs` are more; 0:
            all of them.
        momentum: Of SGD, Nesterov's.
        weight_decay: On all weights.
        clip: Largest norm of the weights' gradient; 0: any.
        flip: Whether training images are mirrored at random.
        pad: Zero padding of random crops, for 32-pixel images; scaled with the side.
        evaluation_batch: Images that judge one candidate; one batch each, in turn.
    """

    batch_statistics: str = "cells"
    task: str = ""
    data: str = ""
    width: int = 16
    cells: int = 5
    epochs: int = 250
    batch: int = 64
    learning_rate: float = 0.025
    final_learning_rate: float = 0.001
    cosine_epochs: int = 0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip: float = 5.0
    flip: bool = True
    pad: int = 4
    evaluation_batch: int = 512

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"digits": DIGITS}

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch, self.evaluation_batch) < 1:
            raise ValueError("epochs, batch and evaluation_batch must be at least 1")
        if self.batch_statistics not in BATCH_STATISTICS:
            raise ValueError(
                f"batch_statistics is one of {', '.join(BATCH_STATISTICS)}; got {self.batch_statistics!r}"
            )
        if not self.data:  # the images are then those of scikit-learn's digits
            check("sklearn", "train")

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`; the architecture derived at the end is asked for last.

        A budget of n queries is spread evenly over the epochs. Under one of seconds the last
        architecture alone is asked for, again and again unless repeats are free.
        """
        if env.spec is None:
            raise ValueError("make the environment with gym.make: its specification names the table")
        said = env.spec.kwargs
        queries, asked, over = said.get("budget_queries") or 1, 0, False
        with one_thread():
            lab = Lab(self, self._images(open_table(said["table"]).manifest["task"]["name"]), seed)
            for epoch, derive in enumerate(self.train(lab), start=1):
                due = queries * epoch // self.epochs - asked
                if due:
                    architecture = derive()
                for _ in range(due):
                    asked += 1
                    over = query(env, architecture).over
                    if over:
                        return
        while not over and said.get("repeats") != "free":
            over = query(env, architecture).over

    def train(self, lab: Lab) -> Iterator[Derive]:
        """Train the supernet; after every epoch say how to derive the architecture."""
        raise NotImplementedError

    def _images(self, tables_task: str) -> Data:
        name = self.task or tables_task
        find_task(name)
        if name != "digits" and not self.data:
            raise ValueError(
                f"this agent trains a supernet on the images of task {name}: give it data=FOLDER (the "
                "original files) or data=FILE.npz, or task='digits' to search there and look it up here"
            )
        return load_task(name, Path(self.data) if self.data else None)


class Lab:
    """One search's supernet, images and random numbers.

    Args:
        settings: The agent's hyper-parameters.
        data: The task; its training images are split into the halves.
        seed: Of everything random here.

    Attributes:
        supernet: What is trained.
        sgd: The optimizer of its weights.
        rng: The agent's random numbers for architectures.
        generator: The agent's random numbers for tensors.
    """

    def __init__(self, settings: WeightSharing, data: Data, seed: int) -> None:
        self.settings = settings
        self._weights_half, self._architecture_half = halves(data)
        initial, self._batch_seed, self._aside_seed, own, noise = (
            int(n) for n in np.random.SeedSequence(seed).generate_state(5)
        )
        self.rng = np.random.default_rng(own)
        self.generator = torch.Generator().manual_seed(noise)
        _, channels, side, _ = data.splits["train"].images.shape
        skeleton = Skeleton(settings.width, settings.cells, data.classes, side, channels)
        self.supernet = initial_supernet(skeleton, settings.batch_statistics, initial)
        self.sgd = torch.optim.SGD(
            self.supernet.parameters(), settings.learning_rate, settings.momentum,
            nesterov=settings.momentum > 0, weight_decay=settings.weight_decay,
        )  # fmt: skip
        self._recipe = Recipe(
            "search", settings.epochs, batch=settings.batch, flip=settings.flip, pad=settings.pad
        )

    def epochs(self) -> range:
        """The epochs' numbers."""
        return range(self.settings.epochs)

    def batches(self, epoch: int) -> Iterator[tuple[Batch, Batch]]:
        """One epoch in training mode: batches of the weights' half and of the architecture's.

        Sets the weights' learning rate as it goes: a cosine over the steps.
        """
        self.supernet.train()
        steps = math.ceil(len(self._weights_half.splits["train"].labels) / self.settings.batch)
        pairs = zip(self._stream(self._weights_half, epoch), self.judging_batches(epoch), strict=False)
        for step, pair in enumerate(pairs):
            self.sgd.param_groups[0]["lr"] = rate(self.settings, epoch + step / steps)
            yield pair

    def judging_batches(self, epoch: int) -> Iterator[Batch]:
        """The architecture's half, in an order of its own for every epoch, without end."""
        while True:
            yield from self._stream(self._architecture_half, epoch)
            epoch += self.settings.epochs  # another order

    def _stream(self, half: Data, epoch: int) -> Iterator[Batch]:
        return batches(half, self._recipe, self._batch_seed, epoch)

    def initial_logits(self) -> Tensor:
        """The architecture's logits at the start, 1e-3 N(0, 1), float32 [6, 5]."""
        noise = torch.randn(NUM_EDGES, NUM_OPS, generator=self.generator)
        return (1e-3 * noise).requires_grad_()

    def descend(self, batch: Batch, forward: Forward) -> None:
        """One step of the weights."""
        self.sgd.zero_grad()
        cross_entropy(batch, forward).backward()
        if self.settings.clip:
            torch.nn.utils.clip_grad_norm_(self.supernet.parameters(), self.settings.clip)
        self.sgd.step()

    @torch.no_grad()
    def accuracy(self, architecture: Architecture, batch: Batch) -> float:
        """One-shot accuracy: what an architecture reaches with the shared weights, a fraction."""
        self.supernet.eval()
        images, labels = batch
        return float((self.supernet.path(images, architecture).argmax(dim=1) == labels).double().mean())

    def best_of(self, candidates: Sequence[Architecture]) -> Architecture:
        """The candidate of the highest one-shot accuracy; the first of several.

        Each is judged on one batch of the architecture's half, in turn, as in the official code.
        """
        split, size = self._architecture_half.splits["train"], self.settings.evaluation_batch
        images, labels = self._architecture_half.normalise(split.images), split.labels
        parts = [slice(start, start + size) for start in range(0, len(labels), size)]
        found = [
            self.accuracy(one, (images[parts[i % len(parts)]], labels[parts[i % len(parts)]]))
            for i, one in enumerate(candidates)
        ]
        return candidates[int(np.argmax(found))]

    def aside(self, epoch: int) -> np.random.Generator:
        """Random numbers for deriving after an epoch: asking in between changes nothing later."""
        return np.random.default_rng([self._aside_seed, epoch])


def halves(data: Data) -> tuple[Data, Data]:
    """The training images in two halves, as training splits: for the weights, for the architecture."""
    images, labels = data.splits["train"]
    rows = (torch.from_numpy(part) for part in official_half(len(labels)))
    first, second = (
        Data(data.task, {"train": Split(images[part], labels[part])}, data.mean, data.std, data.classes)
        for part in rows
    )
    return first, second


def rate(settings: WeightSharing, epoch: float) -> float:
    """The weights' learning rate after so many epochs: a cosine, whose period is `cosine_epochs` twice."""
    high, low = settings.learning_rate, settings.final_learning_rate
    share = epoch / (settings.cosine_epochs or settings.epochs)
    return low + 0.5 * (high - low) * (1 + math.cos(math.pi * share))


def cross_entropy(batch: Batch, forward: Forward) -> Tensor:
    """The mean loss of a batch."""
    images, labels = batch
    return functional.cross_entropy(forward(images), labels)
