"""Trainings whose loss stops being a number: named, survived by the others, or masked."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nb201env import Architecture, NotRecorded
from nb201env.training.builds.build import Way, build
from nb201env.training.builds.divergence import train_masked
from nb201env.training.builds.merge import merge
from nb201env.training.builds.plan import Folder
from nb201env.training.data import SPLITS
from nb201env.training.gpu import trainer as trainer_module
from nb201env.training.gpu.graphs import train_graphs
from nb201env.training.gpu.trainer import Program, Shape, train_stacked
from nb201env.training.loop import DivergedTraining, Logs, train_plain
from nb201env.training.network import Network, Skeleton, initial_network
from nb201env.training.trainers import Trainer, train_compiled
from tests.training.builds.test_build import BEST, DATA, DEAD, ONLY, RECIPE, built, small_plan


def test_a_diverging_training_is_named(tmp_path: Path) -> None:
    recipe = replace(RECIPE, learning_rate=1e30)
    folder = Folder.create(tmp_path, small_plan(recipe=recipe, only=(BEST,), shard=1, seeds=(1,)))
    with pytest.raises(DivergedTraining, match=r"seed 1\) is (nan|inf) in epoch \d of 2 .*learning_rate"):
        build(folder)


@pytest.mark.parametrize("jobs", [1, 2])
def test_divergence_does_not_stop_other_shards(jobs: int, tmp_path: Path) -> None:
    recipe = replace(RECIPE, learning_rate=1e30, epochs=1, train_images=32, batch=64)
    folder = Folder.create(tmp_path, small_plan(recipe=recipe, only=ONLY, shard=1, seeds=(1,)))
    with pytest.raises(DivergedTraining, match="of 6 shards diverged"):
        build(folder, jobs=jobs)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_diverged_training_can_be_a_missing_run(jobs: int, tmp_path: Path) -> None:
    """Its neighbours in the shard keep their numbers; the table says who is missing and why."""
    recipe = replace(RECIPE, learning_rate=1e30, epochs=1, train_images=32, batch=64)
    plan = small_plan(recipe=recipe, only=ONLY, shard=3, seeds=(1,))
    folder = Folder.create(tmp_path / "build", plan)
    build(folder, Way(mask_diverged=True), jobs=jobs)
    assert not folder.missing()
    table = merge(folder, tmp_path / "t.safetensors", DATA)
    coverage = table.manifest["coverage"]
    lost = [Architecture.parse(run["architecture"]).index for run in coverage["diverged"]]
    assert DEAD not in lost, "a network without convolutions that matter has a finite loss"
    assert BEST in lost
    assert coverage["trainings"] == len(ONLY) - len(lost)
    kept = sorted(set(plan.indices.tolist()) - set(lost))
    for split in ("train", "valid", "test"):
        accuracy = table.accuracy(split=split, epochs=1, run=1)
        assert np.isnan(accuracy[lost]).all()
        assert not np.isnan(accuracy[kept]).any()
    with pytest.raises(NotRecorded, match="no run 1"):
        table.query(BEST, split="valid", epochs=1, run=1)


def test_masking_changes_nothing_where_nothing_diverges(tmp_path: Path) -> None:
    undisturbed = built(tmp_path / "a")
    folder = Folder.create(tmp_path / "b", undisturbed.plan)
    build(folder, Way(mask_diverged=True))
    for unit, arrays, _ in folder.finished():
        for name, expected in undisturbed.read(unit)[0].items():
            if name != "measured_seconds":
                np.testing.assert_array_equal(arrays[name], expected)


# -- a shard that is trained again -----------------------------------------------------------


FIRST, SECOND = (Architecture.from_index(index) for index in ONLY[2:4])
SOUND = [Architecture.from_index(index) for index in (DEAD, ONLY[4])]
SHARD = [FIRST, SOUND[0], SECOND, SOUND[1]]
TRAINERS: dict[str, Trainer] = {
    "plain": train_plain, "compiled": train_compiled, "graphs": train_graphs, "stacked": train_stacked,
}  # fmt: skip
BRIEF = replace(RECIPE, train_images=32, batch=16)


class Poisoned:
    """A trainer in which some architectures diverge, each in the epoch that is said."""

    def __init__(self, trainer: Trainer, epochs: dict[Architecture, int]) -> None:
        self.trainer, self.epochs = trainer, epochs
        self.calls: list[list[Architecture]] = []

    def __call__(self, chosen: Sequence[Architecture], *arguments: Any) -> tuple[Logs, list[Network]]:
        self.calls.append(list(chosen))
        there = {one: epoch for one, epoch in self.epochs.items() if one in chosen}
        if there:
            first = min(there.values())
            raise DivergedTraining(
                f"in epoch {first}", [one for one, epoch in there.items() if epoch == first]
            )
        return self.trainer(chosen, *arguments)


@pytest.mark.parametrize("name", TRAINERS)
def test_the_others_keep_their_numbers(name: str) -> None:
    """To the bit those of a training in which nobody diverges."""
    trainer = Poisoned(TRAINERS[name], {FIRST: 1, SECOND: 2})
    logs, networks, lost = train_masked(trainer, SHARD, DATA, BRIEF, 3)
    assert lost == [FIRST, SECOND]
    assert [n.architecture for n in networks] == SOUND
    assert [len(call) for call in trainer.calls] == [4, 4, 4]
    whole, _ = TRAINERS[name](SHARD, DATA, BRIEF, 3)
    for split in SPLITS:
        np.testing.assert_array_equal(logs.correct[split][[1, 3]], whole.correct[split][[1, 3]])
        np.testing.assert_array_equal(logs.loss[split][[1, 3]], whole.loss[split][[1, 3]])
        assert (logs.correct[split][[0, 2]] == -1).all()
        assert np.isnan(logs.loss[split][[0, 2]]).all()
    assert np.isnan(logs.seconds[[0, 2]]).all()


def test_the_cheapest_sound_one_stands_in() -> None:
    trainer = Poisoned(train_compiled, {FIRST: 1})
    train_masked(trainer, SHARD, DATA, BRIEF, 3)
    assert trainer.calls[1] == [SOUND[0], SOUND[0], SECOND, SOUND[1]]  # it has no convolution at all


def test_a_stand_in_may_diverge_too() -> None:
    """What was sound until the first one stopped the training need not be sound to the end."""
    trainer = Poisoned(train_compiled, {FIRST: 1, SOUND[0]: 2, SECOND: 3})
    logs, networks, lost = train_masked(trainer, SHARD, DATA, BRIEF, 3)
    assert lost == [FIRST, SOUND[0], SECOND]
    assert [n.architecture for n in networks] == SOUND[1:]
    assert (logs.correct["valid"][:3] == -1).all()
    assert (logs.correct["valid"][3] >= 0).all()


def test_all_may_diverge() -> None:
    trainer = Poisoned(train_compiled, dict.fromkeys(SHARD, 1))
    logs, networks, lost = train_masked(trainer, SHARD, DATA, BRIEF, 3)
    assert (lost, networks, len(trainer.calls)) == (SHARD, [], 1)
    assert (logs.correct["train"] == -1).all()
    assert logs.correct["train"].shape == logs.loss["test"].shape == logs.seconds.shape == (4, BRIEF.epochs)


def test_a_trainer_that_names_nobody_does_not_go_on_for_ever() -> None:
    def trainer(*_: Any) -> Any:
        raise DivergedTraining("somewhere")

    with pytest.raises(DivergedTraining, match="somewhere"):
        train_masked(trainer, SHARD, DATA, BRIEF, 3)


@pytest.fixture
def not_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks of FIRST and SECOND start with a bias that is no number."""

    def poisoned(architecture: Architecture, skeleton: Skeleton, seed: int) -> Network:
        network = initial_network(architecture, skeleton, seed)
        if architecture in (FIRST, SECOND):
            torch.nn.init.constant_(network.classifier.bias, torch.nan)
        return network

    for module in ("loop", "compiled.trainer", "gpu.graphs", "gpu.trainer"):
        monkeypatch.setattr(f"nb201env.training.{module}.initial_network", poisoned)


@pytest.mark.parametrize("name", TRAINERS)
def test_trainers_name_all_that_have_diverged(name: str, not_numbers: None) -> None:
    """And nobody else: what is no number stays in its network. The plain one stops at the first."""
    with pytest.raises(DivergedTraining, match="is nan in epoch 1 of 2") as found:
        TRAINERS[name](SHARD, DATA, BRIEF, 1)
    assert found.value.architectures == ((FIRST,) if name == "plain" else (FIRST, SECOND))
    sent = pickle.loads(pickle.dumps(found.value))  # as from a process of a pool
    assert (str(sent), sent.architectures) == (str(found.value), found.value.architectures)


def test_the_program_of_a_shard_serves_it_again(monkeypatch: pytest.MonkeyPatch, not_numbers: None) -> None:
    """On a GPU it took seconds to make; here it is kept as there. Nothing of the first try is left in it."""
    made: list[Shape] = []
    real = Program.of

    def of(shape: Shape, *rest: Any) -> Program:
        made.append(shape)
        return real(shape, *rest)

    monkeypatch.setattr(trainer_module, "_keep", trainer_module._kept.append)
    monkeypatch.setattr(Program, "of", of)
    try:
        logs, _, lost = train_masked(train_stacked, SHARD, DATA, BRIEF, 1)
    finally:
        trainer_module._kept.clear()
    assert lost == [FIRST, SECOND]
    assert len(made) == 1
    fresh, _ = train_stacked([SOUND[0], SOUND[0], SOUND[0], SOUND[1]], DATA, BRIEF, 1)
    for split in SPLITS:
        np.testing.assert_array_equal(logs.loss[split][[1, 3]], fresh.loss[split][[1, 3]])
