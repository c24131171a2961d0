"""The training loop: one program, K networks, one seed.

The plain path trains one network (K = 1) with PyTorch's own modules; an engine that trains many at
once can give the same loop a model of K networks. On a CPU the seed and the number of threads decide
every bit. On a GPU cuDNN is held to float32 without TF32 and to its deterministic algorithms
(`nb201env.training.precision`), as in the official code; PyTorch promises no more for its other operations,
so there equal bits are likely but not part of the definition.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from nb201env.architecture import Architecture
from nb201env.arrays import IntArray
from nb201env.training.data import SPLITS, Data, Split, batches, training_split
from nb201env.training.network import Network, Skeleton, initial_network
from nb201env.training.precision import exact_float32
from nb201env.training.recipe import Recipe

EVALUATION_BATCH = 128


class DivergedTraining(ArithmeticError):
    """A loss stopped being a finite number; the message says whose, when, and what to do.

    Attributes:
        architectures: All whose loss is no number by then; others may follow in later epochs.
    """

    def __init__(self, message: str, architectures: Sequence[Architecture] = ()) -> None:
        super().__init__(message)
        self.architectures = tuple(architectures)


class Logs(NamedTuple):
    """What K runs of one seed left behind, for every split and epoch.

    Attributes:
        correct: Correctly classified images per split, -1 for none; int64 [K, epochs].
        loss: Mean cross-entropy per split; float32 [K, epochs].
        seconds: Measured seconds per network of each epoch's training, evaluation not included;
            where K networks are trained at once each counts for a K-th; float32 [K, epochs].

    The training split's numbers are running ones: in training mode, on augmented images, while
    the weights move. The others are evaluated after the epoch.
    """

    correct: dict[str, IntArray]
    loss: dict[str, npt.NDArray[np.float32]]
    seconds: npt.NDArray[np.float32]


class Alone(nn.Module):
    """One plain network as a model of K = 1: logits [1, B, classes]."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images to logits [1, B, classes]."""
        logits: Tensor = self.network(images)
        return logits[None]


def skeleton_for(data: Data, recipe: Recipe) -> Skeleton:
    """The skeleton that fits a task's images and a recipe's size."""
    _, channels, side, _ = data.splits["train"].images.shape
    return Skeleton(recipe.width, recipe.cells, data.classes, side, channels)


def train_plain(
    architectures: Sequence[Architecture], data: Data, recipe: Recipe, seed: int
) -> tuple[Logs, list[Network]]:
    """Train architectures one after the other: the definition that other engines are held to.

    Returns:
        The logs, in the order of `architectures`, and the trained networks.

    Raises:
        DivergedTraining: If a loss stops being a finite number.
    """
    skeleton, device = skeleton_for(data, recipe), data.mean.device
    networks = [initial_network(a, skeleton, seed).to(device) for a in architectures]
    logs = [fit(Alone(n), [n.architecture], data, recipe, seed) for n in networks]
    return concatenate(logs), networks


@exact_float32()
def fit(
    model: nn.Module, architectures: Sequence[Architecture], data: Data, recipe: Recipe, seed: int
) -> Logs:
    """Train a model of K networks; each gets the gradient of its own loss.

    Args:
        model: Maps images [B, C, H, W] to logits [K, B, classes], with one optimizer state per
            weight, so that the K networks do not touch each other.
        architectures: The K architectures, for messages.
        data: The images.
        recipe: How to train.
        seed: Of the stream of batches.

    Raises:
        DivergedTraining: If a loss stops being a finite number.
    """
    epochs, seconds, start = list[list[Result]](), [], time.perf_counter()
    for epoch, trained in enumerate(train_epochs(model, data, recipe, seed)):
        if data.mean.is_cuda:
            torch.cuda.synchronize(data.mean.device)  # it has only been asked for so far
        seconds.append((time.perf_counter() - start) / len(architectures))
        results = [trained, *(evaluate(model, data, data.splits[name]) for name in SPLITS[1:])]
        check_finite(results, architectures, recipe, seed, epoch)
        epochs.append(results)
        start = time.perf_counter()
    return as_logs(epochs, seconds, len(architectures))


Result = tuple[Tensor, Tensor]
"""Correct images, int64 [K], and mean loss, float64 [K]."""


def train_epochs(model: nn.Module, data: Data, recipe: Recipe, seed: int) -> Iterator[Result]:
    """Train a model of K networks, see `fit`; hands over after every epoch, with what the epoch counted."""
    optimizer = torch.optim.SGD(
        model.parameters(), recipe.learning_rate, recipe.momentum,
        nesterov=recipe.nesterov, weight_decay=recipe.weight_decay,
    )  # fmt: skip
    for epoch in range(recipe.epochs):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(epoch)
        yield _train_epoch(model, optimizer, data, recipe, seed, epoch)


def _train_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, data: Data, recipe: Recipe, seed: int, epoch: int
) -> Result:
    model.train()
    sums: list[Result] = []
    for images, labels in batches(data, recipe, seed, epoch):
        losses, correct = _judge(model(images), labels)
        optimizer.zero_grad()
        losses.mean(dim=1).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        sums.append((correct, losses.detach().double().sum(dim=1)))
    return _total(sums, len(training_split(data, recipe).labels))


@exact_float32()
@torch.no_grad()
def evaluate(model: nn.Module, data: Data, split: Split) -> Result:
    """Correct images and mean loss of K networks on a split, in evaluation mode."""
    model.eval()
    sums: list[Result] = []
    for start in range(0, len(split.labels), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        losses, correct = _judge(model(data.normalise(split.images[part])), split.labels[part])
        sums.append((correct, losses.double().sum(dim=1)))
    return _total(sums, len(split.labels))


def _judge(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [K, B, classes] to each image's loss [K, B] and the correct images [K]."""
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)), reduction="none")
    correct = (logits.detach().argmax(dim=-1) == labels).sum(dim=1)
    return losses.view(logits.shape[:2]), correct


def _total(sums: Sequence[Result], images: int) -> Result:
    correct, loss = (torch.stack(column).sum(dim=0) for column in zip(*sums, strict=True))
    return correct, loss / images


def check_finite(
    results: Sequence[Result], architectures: Sequence[Architecture], recipe: Recipe, seed: int, epoch: int
) -> None:
    """Raise `DivergedTraining` if a split's loss of one epoch is not a number."""
    losses = torch.stack([loss for _, loss in results])  # [splits, K]
    lost = (~torch.isfinite(losses)).cpu()
    if not lost.any():
        return
    split, first = lost.nonzero()[0].tolist()
    value = float(losses[split, first])
    raise DivergedTraining(
        f"the {SPLITS[split]} loss of {architectures[first]} (seed {seed}) is {value} in epoch {epoch + 1} "
        f"of {recipe.epochs} with recipe {recipe.name!r}; let it be a missing run (--mask-diverged), or "
        f"lower the learning_rate ({recipe.learning_rate}) and build into a new folder",
        [architectures[one] for one in lost.any(dim=0).nonzero().flatten().tolist()],
    )


def as_logs(epochs: Sequence[Sequence[Result]], seconds: Sequence[float], count: int) -> Logs:
    """Logs from every epoch's results for every split, and its seconds per network."""
    correct, loss = {}, {}
    for place, name in enumerate(SPLITS):
        correct[name] = torch.stack([e[place][0] for e in epochs], dim=1).cpu().numpy()
        loss[name] = torch.stack([e[place][1] for e in epochs], dim=1).float().cpu().numpy()
    return Logs(correct, loss, np.tile(np.array(seconds, dtype=np.float32), (count, 1)))


def missing_logs(networks: int, epochs: int) -> Logs:
    """What stands for runs that are not there."""
    nothing = np.full((networks, epochs), np.nan, dtype=np.float32)
    count = np.full((networks, epochs), -1, dtype=np.int64)
    return Logs(dict.fromkeys(SPLITS, count), dict.fromkeys(SPLITS, nothing), nothing)


def without(logs: Logs, missing: Sequence[bool]) -> Logs:
    """The same logs, but those of some networks as if they were not there."""
    rows, none = np.array(missing)[:, None], missing_logs(*logs.seconds.shape)
    return Logs(
        {name: np.where(rows, none.correct[name], logs.correct[name]) for name in SPLITS},
        {name: np.where(rows, none.loss[name], logs.loss[name]) for name in SPLITS},
        np.where(rows, none.seconds, logs.seconds),
    )


def concatenate(logs: Sequence[Logs]) -> Logs:
    """Several logs of one recipe as one, along the axis of networks."""
    return Logs(
        {name: np.concatenate([log.correct[name] for log in logs]) for name in SPLITS},
        {name: np.concatenate([log.loss[name] for log in logs]) for name in SPLITS},
        np.concatenate([log.seconds for log in logs]),
    )
