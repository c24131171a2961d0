"""NASLib's `dataset_api` from a table: its conventions, the table's numbers, errors for what is not there."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from nb201env import Architecture, NotRecorded, open_table
from nb201env.architecture import all_strings
from nb201env.compat import naslib_api
from tests.epoch_table import write_epoch_table

TABLE = "cifar10-valid-200"
CELL = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"


def test_costs_are_those_of_naslibs_own_data() -> None:
    """The four numbers that stand in NASLib's tests for this architecture, in its units."""
    api = naslib_api(TABLE, split="valid", run=777)["nb201_data"]
    assert api[CELL]["cifar10-valid"]["cost_info"] == {
        "flops": 15.64737, "params": 0.129306, "latency": 0.0139359758611311, "train_time": 7.221092998981476,
    }  # fmt: skip


@pytest.mark.parametrize("table", ["cifar10-valid-200", "cifar100-200", "ImageNet16-120-200"])
@pytest.mark.parametrize("run", [777, "mean"])
def test_all_accuracies_are_the_tables(table: str, run: int) -> None:
    api = naslib_api(table, split="valid", run=run)["nb201_data"]
    dataset = table.removesuffix("-200")
    told = [api[cell][dataset]["eval_acc1es"][-1] for cell in api]
    held = open_table(table).accuracy(split="valid", epochs=200, run=run)
    assert [*api] == [*all_strings()]
    np.testing.assert_allclose(told, 100 * held, rtol=1e-12)


def test_curves_count_epochs_from_0(tmp_path: Path) -> None:
    table = write_epoch_table(tmp_path / "curves.safetensors")
    cell = Architecture.from_index(1234)
    curve = naslib_api(table, split="valid", run=7)["nb201_data"][str(cell)]["cifar10-valid"]["eval_acc1es"]
    held = [100 * table.query(cell, split="valid", epochs=epochs, run=7).accuracy for epochs in range(1, 13)]
    np.testing.assert_allclose([*curve], held)
    np.testing.assert_allclose(curve[:5], held[:5])
    assert (curve[3], curve[-1], len(curve)) == (curve[-9], curve[11], 12)
    with pytest.raises(IndexError):
        curve[12]


def test_a_run_that_is_missing_is_no_other(tmp_path: Path) -> None:
    table = write_epoch_table(tmp_path / "curves.safetensors")  # every third architecture lacks run 8
    numbers = naslib_api(table, split="valid", run=8)["nb201_data"][all_strings()[3]]["cifar10-valid"]
    with pytest.raises(NotRecorded, match=r"has no 'valid_accuracy' of run 8 of \|"):
        numbers["eval_acc1es"][-1]
    with pytest.raises(NotRecorded, match="does not record 'train_seconds'"):
        numbers["cost_info"]["train_time"]
    mean = naslib_api(table, split="valid", run="mean")["nb201_data"][all_strings()[3]]["cifar10-valid"]
    assert mean["eval_acc1es"][-1] == pytest.approx(
        100 * table.query(3, split="valid", epochs=12, run=7).accuracy
    )


def test_what_a_table_lacks_is_an_error_that_says_so() -> None:
    numbers = naslib_api(TABLE, split="valid", run=777)["nb201_data"][CELL]["cifar10-valid"]
    with pytest.raises(
        NotRecorded, match=r"'valid_accuracy' at epochs=51 \(NASLib's epoch 50; recorded: 200\)"
    ):
        numbers["eval_acc1es"][50]
    with pytest.raises(NotRecorded, match="at epochs=1 "):
        numbers["eval_acc1es"][:50]
    with pytest.raises(NotRecorded, match="does not record 'train_accuracy'"):
        numbers["train_acc1es"]
    with pytest.raises(NotRecorded, match="no 'flop'; costs are in Metric.HP"):
        numbers["flop"]
    with pytest.raises(NotRecorded, match="does not record 'test_accuracy'"):
        naslib_api(TABLE, split="test", run=777)
    with pytest.raises(NotRecorded, match="has no run 5"):
        naslib_api(TABLE, split="valid", run=5)


def test_what_it_is_not_a_table_of() -> None:
    api = naslib_api(TABLE, split="valid", run=777)["nb201_data"]
    with pytest.raises(NotRecorded, match="asked for 'cifar100', and cifar10-valid-200 is a table of"):
        api[CELL]["cifar100"]
    with pytest.raises(ValueError, match="digits-10 is a table of digits"):
        naslib_api("digits-10", split="valid", run=777)
    with pytest.raises(ValueError, match="no architecture|three node groups"):
        api["|x~0|"]


def test_not_strict_is_nan_where_there_is_nothing() -> None:
    numbers = naslib_api(TABLE, split="valid", run=777, strict=False)["nb201_data"][CELL]["cifar10-valid"]
    assert np.isnan(numbers["train_acc1es"][-1])
    assert np.isnan(numbers["eval_acc1es"][50])
    assert numbers["eval_acc1es"][-1] == pytest.approx(82.092)


def test_it_is_copied_and_pickled() -> None:
    api = naslib_api(TABLE, split="valid", run=777)
    for again in (copy.deepcopy(api), pickle.loads(pickle.dumps(api))):
        assert again["nb201_data"][CELL]["cifar10-valid"]["eval_acc1es"][-1] == pytest.approx(82.092)
