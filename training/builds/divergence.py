"""Trainings whose loss stops being a number, as missing runs of a shard that is otherwise whole."""

from __future__ import annotations

from collections.abc import Sequence

from nb201env.architecture import Architecture
from nb201env.space import CONV1X1, CONV3X3
from nb201env.training.data import Data
from nb201env.training.loop import DivergedTraining, Logs, missing_logs, without
from nb201env.training.network import Network, live_ops
from nb201env.training.recipe import Recipe
from nb201env.training.trainers import Trainer


def train_masked(
    trainer: Trainer, architectures: Sequence[Architecture], data: Data, recipe: Recipe, seed: int
) -> tuple[Logs, list[Network], list[Architecture]]:
    """Train architectures together; those that diverge get missing values.

    Whenever some do, all are trained again, with copies of a sound architecture (the cheapest) in
    their places. Networks do not touch each other, so the sound ones get the numbers that they would
    have got; and as many are trained as before, so a program that was made for them serves again.

    Args:
        trainer: How.
        architectures: Different ones.
        data: The images.
        recipe: How to train.
        seed: Of the weights and the batches.

    Returns:
        The logs of all architectures, the trained networks of the sound ones, and those that diverged.

    Raises:
        DivergedTraining: If a trainer names none that it has not named before.
    """
    lost: set[Architecture] = set()
    while sound := [one for one in architectures if one not in lost]:
        stand_in = min(sound, key=_convolutions)
        chosen = [stand_in if one in lost else one for one in architectures]
        try:
            logs, networks = trainer(chosen, data, recipe, seed)
        except DivergedTraining as error:
            if lost.issuperset(error.architectures):
                raise
            lost.update(error.architectures)
        else:
            gone = [one in lost for one in architectures]
            kept = [network for network, masked in zip(networks, gone, strict=True) if not masked]
            return without(logs, gone), kept, [one for one in architectures if one in lost]
    return missing_logs(len(architectures), recipe.epochs), [], list(architectures)


def _convolutions(architecture: Architecture) -> int:
    return sum(op in (CONV1X1, CONV3X3) for op in live_ops(architecture))
