"""Trainings whose loss stops being a number: named, survived by the others, or masked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nb201env import Architecture, NotRecorded
from tests.training.test_build import BEST, DATA, DEAD, ONLY, RECIPE, built, small_plan
from training.build import build
from training.loop import DivergedTraining
from training.merge import merge
from training.plan import Folder


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
    build(folder, jobs=jobs, mask_diverged=True)
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
    build(folder, mask_diverged=True)
    for unit, arrays, _ in folder.finished():
        for name, expected in undisturbed.read(unit)[0].items():
            if name != "measured_seconds":
                np.testing.assert_array_equal(arrays[name], expected)
