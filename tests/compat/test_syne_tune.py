"""Syne Tune's blackbox from a table: its names, the table's numbers, and errors for what is not there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, NotRecorded, Table, open_table
from nb201env.compat import syne_tune_blackbox
from nb201env.space import SIZE
from tests.epoch_table import write_epoch_table

pytest.importorskip("syne_tune")
pytest.importorskip("huggingface_hub")


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return write_epoch_table(tmp_path_factory.mktemp("curves") / "curves.safetensors")


def config(index: int) -> dict[str, str]:
    return {f"hp_x{edge}": name for edge, name in enumerate(Architecture.from_index(index).names)}


def test_names_and_space_are_those_of_its_own_blackbox() -> None:
    from syne_tune.blackbox_repository.conversion_scripts.scripts import nasbench201_import as its_own

    blackbox = syne_tune_blackbox("cifar10-valid-200", run=777)
    assert tuple(blackbox.configuration_space) == its_own.CONFIG_KEYS
    assert [*blackbox.fidelity_space] == [its_own.TIME_ATTR]
    assert blackbox.objectives_names == [its_own.METRIC_VALID_ERROR, its_own.METRIC_ELAPSED_TIME]
    (choices,) = {tuple(space.categories) for space in blackbox.configuration_space.values()}
    assert choices == ("avg_pool_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_1x1", "none")


@pytest.mark.parametrize("run", [7, "mean"])
def test_answers_are_the_tables(curves: Table, run: Any) -> None:
    blackbox = syne_tune_blackbox(curves, run=run)
    for index in np.random.default_rng(0).integers(SIZE, size=20).tolist():
        for epochs in (1, 5, 12):
            held = curves.query(index, split="valid", epochs=epochs, run=run)
            told = blackbox.objective_function(config(index), fidelity={"hp_epoch": epochs}, seed=0)
            assert told == {"metric_valid_error": 1 - held.accuracy, "metric_elapsed_time": held.seconds}


def test_all_architectures_are_there_in_order() -> None:
    table = open_table("cifar100-200")
    blackbox = syne_tune_blackbox(table, run="mean", costs=["params"])
    assert blackbox.hyperparameters.to_dict("records")[9610] == config(9610)
    accuracy = table.accuracy(split="valid", epochs=200, run="mean")
    np.testing.assert_array_equal(blackbox.objectives_evaluations[:, 0, 0, 0], 1 - accuracy)
    np.testing.assert_array_equal(blackbox.objectives_evaluations[:, 0, 0, 2], table.values("params"))
    assert blackbox.objectives_names[-1] == "metric_params"


def test_each_recorded_run_is_drawn_equally_often() -> None:
    table = open_table("cifar10-valid-200")
    blackbox = syne_tune_blackbox(table, run="sample")
    runs = table.runs(split="valid", epochs=200)
    for index in (0, 284, 9610, 11667):
        held = runs[index][~np.isnan(runs[index])]
        drawn = Counter((1 - blackbox.objectives_evaluations[index, :, 0, 0]).round(9).tolist())
        wanted = Counter(held.round(9).tolist() * (blackbox.num_seeds // len(held)))
        assert drawn == wanted


def test_a_drawn_run_keeps_its_own_seconds(curves: Table) -> None:
    blackbox = syne_tune_blackbox(curves, run="sample")
    accuracy, seconds = curves.runs(split="valid", epochs=12), curves.run_seconds(epochs=12)
    for index in (3, 4):
        pairs = {*zip((1 - accuracy[index]).tolist(), seconds[index].tolist(), strict=True)}
        assert {*map(tuple, blackbox.objectives_evaluations[index, :, -1].tolist())} <= pairs


def test_elapsed_time_grows_with_the_epochs(curves: Table) -> None:
    elapsed = syne_tune_blackbox(curves, run="sample").objectives_evaluations[..., 1]
    assert (np.diff(elapsed, axis=2) > 0).all()


def test_what_a_table_lacks_is_an_error_that_says_so(curves: Table, tmp_path: Path) -> None:
    with pytest.raises(NotRecorded, match="lacks numbers of run 8 of 5,209 architectures"):
        syne_tune_blackbox(curves, run=8)
    with pytest.raises(NotRecorded, match="has no run 5"):
        syne_tune_blackbox(curves, run=5)
    with pytest.raises(NotRecorded, match="does not record 'latency_seconds'"):
        syne_tune_blackbox(curves, run=7, costs=["latency_seconds"])
