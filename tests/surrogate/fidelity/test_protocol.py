"""The measurement: draws, baselines, ceilings, keeping results, transfer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nb201env.arrays import FloatArray
from nb201env.comparison import kendall
from nb201env.space import SIZE, all_ops
from nb201env.surrogate.fidelity import baselines, protocol, report
from nb201env.surrogate.fidelity.protocol import Job, random_draw
from nb201env.surrogate.fidelity.transfer import transfer_row
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.table import Table
from nb201env.tables import open_table


@given(st.integers(2, 15_000), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_draws_are_disjoint_and_cover_everything(size: int, number: int) -> None:
    train, rest = random_draw(np.ones(SIZE), size, number)
    assert len(train) == size
    np.testing.assert_array_equal(np.sort(np.concatenate([train, rest])), np.arange(SIZE))
    smaller = random_draw(np.ones(SIZE), max(2, size // 2), number)[0]
    assert set(smaller) <= set(train)


def test_draws_leave_unknown_values_out() -> None:
    truth = np.full(SIZE, np.nan)
    truth[[5, 9, 100, 700]] = 0.5
    train, rest = random_draw(truth, 2, 0)
    assert set(train) | set(rest) == {5, 9, 100, 700}
    with pytest.raises(ValueError, match="between 2 and 2, so that some remain; got 4"):
        random_draw(truth, 4, 0)


@pytest.mark.parametrize("name", baselines.NAMES)
def test_every_model_learns_something(truth: FloatArray, name: str) -> None:
    train, rest = random_draw(truth, 60, 0)
    model = baselines.model(name, 0).fit(all_ops()[train], truth[train])
    rest = rest[::20]
    predicted = model.predict(all_ops()[rest])
    assert predicted.shape == rest.shape
    assert kendall(truth[rest], predicted) > 0.3
    again = baselines.model(name, 0).fit(all_ops()[train], truth[train]).predict(all_ops()[rest])
    np.testing.assert_array_equal(predicted, again)


def test_unknown_models_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown model 'svm'; use one of surrogate, xgboost-onehot"):
        baselines.model("svm", 0)


def test_ceilings_of_the_official_numbers(table: Table) -> None:
    """One seed against another: the values computed when the project began."""
    expected = {"cifar10-valid-200": 0.910, "cifar100-200": 0.887, "ImageNet16-120-200": 0.908}
    for name, tau in expected.items():
        found = protocol.ceilings(open_table(name), split="valid", epochs=200)
        assert found["seed"]["kendall_tau"] == pytest.approx(tau, abs=0.001)
        assert found["seed"]["kendall_tau"] < found["class"]["kendall_tau"] < 1
        assert found["seed"]["noise_wasserstein"] < 0.1 * found["seed"]["noise_median_real"]


def test_results_are_kept_and_not_measured_again(table: Table, tmp_path: Path) -> None:
    keep = tmp_path / "kept" / "measured.jsonl"
    todo = list(protocol.jobs(table, ["k-nearest", "surrogate"], [25], draws=2))
    measured: list[Job] = []
    first = protocol.run_jobs(table, todo[:3], keep, split="valid", epochs=200, progress=measured.append)
    assert measured == todo[:3]
    with open(keep, "a", encoding="utf-8") as file:
        file.write('{"table": "cut sho')
    assert protocol.read_kept(keep) == first


def test_measuring_goes_on_where_it_stopped(table: Table, tmp_path: Path) -> None:
    keep = tmp_path / "measured.jsonl"
    todo = list(protocol.jobs(table, ["ridge"], [25], draws=3))
    protocol.run_jobs(table, todo[:2], keep, split="valid", epochs=200)
    with open(keep, "a", encoding="utf-8") as file:
        file.write('{"table": "cut sho')
    measured: list[Job] = []
    results = protocol.run_jobs(table, todo, keep, split="valid", epochs=200, progress=measured.append)
    assert measured == todo[2:]
    assert protocol.read_kept(keep) == results
    assert list(results) == todo
    assert protocol.measure(table, todo[0], split="valid", epochs=200) == results[todo[0]]


def test_a_foreign_file_of_results_is_named(tmp_path: Path) -> None:
    path = tmp_path / "measured.jsonl"
    path.write_text(json.dumps({"model": "x"}) + "\n")
    with pytest.raises(ValueError, match=r"measured.jsonl:1: no kept result"):
        protocol.read_kept(path)


def test_the_gaussian_process_stops_where_it_costs_too_much(table: Table) -> None:
    sizes = {job.size for job in protocol.jobs(table, ["gaussian-process"], protocol.SIZES)}
    assert sizes == {20, 78, 156, 469, 781, 1563}
    assert len(list(protocol.jobs(table, ["surrogate"]))) == len(protocol.SIZES) * protocol.DRAWS


def test_one_run_is_learnt_and_predicted_alone(table: Table) -> None:
    """Training and test labels are that run's values, by hand; means over runs give other scores."""
    job = next(protocol.one_run_jobs(table, [78], 1, split="valid", epochs=200))
    assert job == Job(table.id, "surrogate", 78, 0, "777")
    run = table.accuracy(split="valid", epochs=200, run=777)
    train, rest = random_draw(run, 78, 0)
    model = SurrogateRegressor(random_state=0).fit(all_ops()[train], run[train])
    found = protocol.measure(table, job, split="valid", epochs=200)
    assert found["kendall_tau"] == kendall(run[rest], model.predict(all_ops()[rest]))
    of_means = protocol.measure(table, Job(table.id, "surrogate", 78, 0), split="valid", epochs=200)
    assert found["kendall_tau"] != of_means["kendall_tau"]


def test_one_run_takes_several_and_the_sizes_of_the_literature(table: Table) -> None:
    sizes = [job.size for job in protocol.one_run_jobs(table, split="valid", epochs=200)]
    assert sizes == [size for size in protocol.PAPER_SIZES for _ in range(protocol.DRAWS)]
    surrogate = open_table("cifar10-valid-200-surrogate")
    assert list(protocol.one_run_jobs(surrogate, [100], split="valid", epochs=200)) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_the_spread_is_the_standard_deviation_over_draws(values: list[float]) -> None:
    results = {Job("t", "ridge", 30, number): {"r2": value} for number, value in enumerate(values)}
    found = report.summarise_table(open_table("cifar10-valid-200"), "valid", 200, results, {})
    shown = found["models"]["ridge"]["30"]["r2"]
    assert shown == {"mean": round(float(np.mean(values)), 5), "std": round(float(np.std(values)), 5)}


def test_transfer_compares_three_ways(table: Table) -> None:
    row = transfer_row(open_table("cifar100-200"), table, 30, 1, split="valid", epochs=200)
    assert row["from"] == "cifar100-200"
    assert row["to"] == "cifar10-valid-200"
    tau = {name: found["mean"] for name, found in row["kendall_tau"].items()}
    assert all(found["std"] == 0 for found in row["top_kendall_tau"].values())  # of one draw
    assert tau["feature"] > tau["own"]
    assert 0.8 < tau["as_is"] < 0.95
