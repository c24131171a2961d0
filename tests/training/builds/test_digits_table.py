"""The embedded digits table: it holds what its command trains, and it discriminates."""

from __future__ import annotations

from itertools import combinations

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.studies import digits
from nb201env import Architecture, Table, open_table
from nb201env.classes import canonical_classes, representatives
from nb201env.comparison import kendall
from nb201env.space import SIZE
from nb201env.tables import embedded_file
from nb201env.training.builds.audit import dead_architectures
from nb201env.training.builds.merge import NOMINAL_MACS_PER_SECOND
from nb201env.training.data import SPLITS
from nb201env.training.images.tasks import load_task
from nb201env.training.recipe import Recipe, find_recipe
from nb201env.training.threads import one_thread
from nb201env.training.trainers import find_trainer

NAME, RECIPE = "digits-10", find_recipe("digits-10")


@pytest.fixture(scope="module")
def table() -> Table:
    return open_table(NAME)


# -- what was asked of it --------------------------------------------------------------------


@pytest.mark.parametrize("split", ["valid", "test"])
def test_two_seeds_agree_about_the_ranking(table: Table, split: str) -> None:
    runs = digits.class_runs(table, split)
    runs = runs[~np.isnan(runs).any(axis=1)]
    assert len(runs) == 5484
    assert min(kendall(runs[:, one], runs[:, two]) for one, two in combinations(range(3), 2)) >= 0.7


def test_it_is_complete_small_and_not_saturated(table: Table) -> None:
    assert table.seeds == (777, 888, 999)
    assert embedded_file(NAME).stat().st_size <= 8e6
    for split in SPLITS:
        values = table.everything(f"{split}_accuracy")
        assert values.shape == (SIZE, 3, 10)
        held = values[~np.isnan(values)]
        assert ((held >= 0) & (held <= 1)).all()
    assert table.accuracy(split="valid", epochs=10, run="mean").max() < 0.97


def test_what_was_measured_stands_in_the_manifest(table: Table) -> None:
    coverage = table.manifest["coverage"]
    assert (coverage["trainings"], coverage["of"]) == (3 * 5485 - 1, 3 * 5485)
    ((lost, seed),) = ((Architecture.parse(run["architecture"]), run["seed"]) for run in coverage["diverged"])
    runs = table.runs(split="valid", epochs=10)
    missing = canonical_classes() == canonical_classes()[lost.index]
    np.testing.assert_array_equal(np.isnan(runs[:, table.seeds.index(seed)]), missing)
    assert np.isnan(runs).sum() == missing.sum()
    measured = table.manifest["provenance"]["measured"]
    assert all(measured["processors"])
    assert 0 < measured["shard_seconds"] < 5 * 3600


# -- whose numbers they are ------------------------------------------------------------------


@pytest.mark.parametrize("seed", [777, 888, 999])
def test_training_again_gives_the_same_numbers(table: Table, seed: int) -> None:
    """The manifest's recipe, task and trainer, on this machine: every count and loss of every epoch."""
    provenance, protocol = table.manifest["provenance"], Recipe(**table.manifest["protocol"])
    data = load_task(table.manifest["task"]["name"])
    assert (protocol, data.digest) == (RECIPE, provenance["data_sha256"])
    indices = representatives()[np.random.default_rng(seed).integers(5485, size=2)].tolist()
    chosen = [Architecture.from_index(index) for index in indices]
    with one_thread():
        logs, _ = find_trainer(provenance["trainer"])(chosen, data, protocol, seed)
    run = table.seeds.index(seed)
    for split in SPLITS:
        images = table.manifest["task"]["splits"][split]["images"]
        for column, expected in (("accuracy", logs.correct[split] / images), ("loss", logs.loss[split])):
            stored = [table.record(one, f"{split}_{column}")[run] for one in chosen]
            np.testing.assert_array_equal(np.array(stored, dtype=expected.dtype), expected)


def test_members_of_a_class_share_their_runs(table: Table) -> None:
    runs = table.runs(split="test", epochs=10)
    np.testing.assert_array_equal(runs, runs[representatives()][canonical_classes()])  # NaN equals NaN


def test_cells_that_carry_nothing_are_at_chance(table: Table) -> None:
    """They can only learn how frequent each digit is: at best they always name one of the ten."""
    dead = dead_architectures()
    assert len(dead)
    labels = load_task("digits").splits["valid"].labels.numpy()
    shares = set((np.bincount(labels) / len(labels)).tolist())
    assert set(table.runs(split="valid", epochs=10)[dead].ravel().tolist()) <= shares


def test_the_clock_counts_arithmetic(table: Table) -> None:
    macs = table.values("macs")
    for epochs in (1, 10):
        expected = macs * (3 * 256 * epochs + 500) / NOMINAL_MACS_PER_SECOND
        np.testing.assert_allclose(table.seconds(epochs=epochs, run=777), expected, rtol=1e-6)


# -- the environment over it -----------------------------------------------------------------


def test_partial_trainings_can_be_asked_for(table: Table) -> None:
    env = gym.make("NB201-digits-v0", actions="pick", run="mean")
    best, _ = table.optimum(split="valid", epochs=10)
    for epochs in (1, 3, 10):
        env.reset(seed=0, options={"epochs": epochs})
        info = env.step(np.array(best.ops))[4]
        assert info["accuracy"] == table.query(best, split="valid", epochs=epochs, run="mean").accuracy


def test_limits_count_its_own_network(table: Table) -> None:
    """Not the official one, which is larger by far."""
    params = table.values("params")
    best, accuracy = table.optimum(split="valid", epochs=10)
    for limit, reward in ((params[best.index], accuracy), (params[best.index] - 1, 0.0)):
        env = gym.make("NB201-digits-v0", actions="pick", run="mean", limit={"on": "params", "max": limit})
        env.reset(seed=0)
        assert env.step(np.array(best.ops))[1] == reward


# -- the figures of its page -----------------------------------------------------------------


def test_agreement_is_decided_by_the_third_seed() -> None:
    """Two seeds that agree perfectly and a third that orders only the halves."""
    same = np.arange(100.0)
    third = np.where(same < 50, same, 200 - same)
    runs = np.stack([same, same, third], axis=1)
    upper = runs[50:]
    assert kendall(upper[:, 0], upper[:, 2]) == -1
    # Of the three pairs one agrees and two are reversed in the better half, by whichever third seed.
    assert digits.agreement(runs, 0.5) == pytest.approx((1 - 1 - 1) / 3)
    assert digits.agreement(np.stack([same] * 3, axis=1), 0.1) == 1


def test_the_deviation_between_seeds() -> None:
    runs = np.array([[0.10, 0.12, 0.14], [0.50, 0.50, 0.50]])
    assert digits.seed_deviation(runs) == pytest.approx(100 * np.sqrt(0.02**2 / 2))
