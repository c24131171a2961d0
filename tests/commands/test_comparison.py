"""Rank correlations and Pareto fronts against their definitions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from nb201env import Architecture, Table, cost, open_table
from nb201env.cli import build
from nb201env.comparison import compare, costs, kendall, pareto, spearman
from nb201env.sources.importer import import_official
from nb201env.space import SIZE
from nb201env.table import NotRecorded, write_table
from tests.official_data import architecture_results, write_pickle

SCORES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=40)


@settings(max_examples=100, deadline=None)
@given(SCORES)
def test_kendall_counts_pairs(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    balance = tied_a = tied_b = 0
    for i in range(len(a)):
        for j in range(i):
            balance += int(np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]))
            tied_a += a[i] == a[j]
            tied_b += b[i] == b[j]
    total = len(a) * (len(a) - 1) // 2
    below = np.sqrt(float((total - tied_a) * (total - tied_b)))
    if below:
        assert kendall(a, b) == pytest.approx(balance / below)
    else:
        assert np.isnan(kendall(a, b))


@settings(max_examples=50, deadline=None)
@given(SCORES)
def test_rank_correlations_agree_with_scipy(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


@settings(max_examples=100, deadline=None)
@given(SCORES)
def test_the_front_is_what_nothing_beats(pairs: list[tuple[int, int]]) -> None:
    cost, accuracy = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    front = pareto(cost, accuracy)
    points = {(cost[i], accuracy[i]) for i in front}
    for i in range(len(cost)):
        beaten = (
            (cost <= cost[i]) & (accuracy >= accuracy[i]) & ((cost < cost[i]) | (accuracy > accuracy[i]))
        ).any()
        assert ((cost[i], accuracy[i]) in points) == (not beaten)
    assert (np.diff(cost[front]) > 0).all()


def test_missing_architectures_are_left_out() -> None:
    a, b = np.full(SIZE, np.nan), np.full(SIZE, np.nan)
    a[:10], b[5:15] = np.arange(10) / 10, np.arange(10) / 10
    found = compare(a, b)
    assert (found.architectures, found.kendall) == (5, 1.0)
    assert found.spearman == pytest.approx(1.0)
    assert (found.regret_a, found.regret_b) == (0, 0)
    assert found.mean_difference == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="1 architectures in common"):
        compare(a, np.where(np.arange(SIZE) == 3, 0.5, np.nan))
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))


def test_kendall_of_thousands_counts_every_pair() -> None:
    """More than one round of merging, with ties, and orders that agree or reverse exactly."""
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for levels in (3, 50, 10**6):
        a, b = rng.integers(0, levels, (2, 3001)).astype(float)
        assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-14)
        assert (kendall(a, a), kendall(a, -a)) == (1, -1)
    assert np.isnan(kendall(np.ones(1), np.ones(1)))


def test_costs_are_the_tables_own_or_the_closed_form(tmp_path: Path) -> None:
    official = open_table("cifar10-valid-200")
    np.testing.assert_array_equal(costs(official, "params"), cost.params(np.arange(SIZE), "cifar10"))
    with pytest.raises(NotRecorded, match="does not record 'energy'; it has"):
        costs(official, "energy")
    manifest: dict[str, Any] = {
        "name": "timed", "task": {"name": "toy", "dataset": "toy"}, "schedule": {"epochs": 1},
        "seeds": [1, 2], "provenance": {}, "licence": "none", "columns": {"valid_accuracy": {"epochs": [1]}},
    }  # fmt: skip
    latency = np.tile([1.0, 3.0], (SIZE, 1))
    latency[5, 1] = latency[6] = np.nan
    columns = {"valid_accuracy": np.full((SIZE, 2, 1), 0.5), "latency_seconds": latency}
    manifest["columns"] |= {"latency_seconds": {}}
    timed = write_table(tmp_path / "timed.safetensors", manifest, columns)
    mean = costs(timed, "latency_seconds")
    assert mean.shape == (SIZE,)
    assert (mean[4], mean[5]) == (2, 1), "the mean over the runs there are"
    assert np.isnan(mean[6])
    with pytest.raises(NotRecorded, match="does not record 'params'"):
        costs(timed, "params")


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Official files in which one run's size belongs to another network, imported."""
    folder = tmp_path_factory.mktemp("uneven")
    (folder / "set").mkdir()
    for index in (0, 1462):
        results = architecture_results(index, (200,))
        if index == 1462:
            results["200"]["all_results"]["cifar100", 777]["params"] = 0.3
        write_pickle(folder / "set" / f"{index:06d}.pickle.pbz2", results)
    tables = import_official(folder / "set", folder / "tables", workers=1)
    return next(table for table in tables if table.name.endswith("cifar100-200"))


def test_an_architecture_has_one_size(uneven: Table) -> None:
    """Also where its runs disagree, and whether or not the table records one."""
    assert uneven.values("params").shape == (SIZE, 3), "what was recorded is still there"
    for kind, closed in cost.CLOSED_FORMS.items():
        sizes = costs(uneven, kind)
        assert sizes.shape == (SIZE,)
        assert np.array_equal(sizes, closed(np.arange(SIZE), "cifar100"))
        assert np.array_equal(sizes, costs(open_table("cifar100-200"), kind))


def test_what_is_recorded_by_epoch_is_no_cost(uneven: Table) -> None:
    with pytest.raises(NotRecorded, match="records 'train_seconds' by epoch, .*such are .*latency_seconds"):
        costs(uneven, "train_seconds")


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(build(), ["table", *map(str, arguments)])


ASK = ["--split", "valid", "--epochs", "200"]


def test_the_best_within_a_size(uneven: Table) -> None:
    path = uneven.container.path
    sizes = {
        index: float(cost.params(Architecture.from_official_index(index).index, "cifar100")) / 1e6
        for index in (0, 1462)
    }
    every = json.loads(run("best", path, *ASK, "--top", 9, "--json").stdout)["best"]
    assert {found["official_index"]: found["params_millions"] for found in every} == sizes
    small = min(sizes.values())
    some = json.loads(run("best", path, *ASK, "--top", 9, "--max-params", small, "--json").stdout)["best"]
    assert [sizes[found["official_index"]] for found in some] == [small]
    assert f"{small:.3f}" in run("best", path, *ASK, "--max-params", small).stdout


def own_rows(tmp_path: Path, columns: dict[str, Any], **about: Any) -> Path:
    """A table of a data set of one's own, of which no closed form is known."""
    manifest: dict[str, Any] = {
        "name": "toy", "task": {"name": "toy", "dataset": "toy"}, "schedule": {"epochs": 200}, "seeds": [],
        "provenance": {}, "licence": "none", "columns": {name: {} for name in columns},
    } | about  # fmt: skip
    manifest["columns"]["valid_accuracy"] = {"epochs": [200]}
    return write_table(tmp_path / "toy.safetensors", manifest, columns).container.path


def test_accuracy_alone_is_enough_for_the_best(tmp_path: Path) -> None:
    path = own_rows(tmp_path, {"valid_accuracy": np.arange(SIZE) / SIZE})
    shown = run("best", path, *ASK)
    assert shown.exit_code == 0
    assert [line.split()[2:4] for line in shown.stdout.splitlines()[1:]] == [["-", "-"]]
    found = json.loads(run("best", path, *ASK, "--json").stdout)["best"][0]
    assert (found["index"], found["params_millions"], found["macs_millions"]) == (SIZE - 1, None, None)
    refused = run("best", path, *ASK, "--max-params", 1)
    assert "does not record 'params'" in str(refused.exception)


def test_an_unknown_size_is_not_within_a_limit(tmp_path: Path) -> None:
    params = np.where(np.arange(SIZE) < 10, 1e6, np.nan)
    path = own_rows(tmp_path, {"valid_accuracy": np.arange(SIZE) / SIZE, "params": params})
    assert json.loads(run("best", path, *ASK, "--max-params", 2, "--json").stdout)["best"][0]["index"] == 9
    assert run("best", path, *ASK).stdout.splitlines()[1].split()[2] == "-"


@pytest.mark.parametrize("limit", ["nan", "inf", "-1", "0"])
@pytest.mark.parametrize("option", ["--max-params", "--max-macs"])
def test_a_limit_is_a_number_above_0(option: str, limit: str) -> None:
    refused = run("best", "cifar100-200", *ASK, option, limit)
    assert isinstance(refused.exception, ValueError)
    assert f"{option} is a number of millions above 0" in str(refused.exception)


def test_an_epoch_of_0_is_not_taken_for_the_first_tables(tmp_path: Path) -> None:
    refused = run("compare", "cifar10-valid-200", "cifar100-200", *ASK, "--epochs-b", 0)
    assert isinstance(refused.exception, NotRecorded)
    assert "at epochs=0" in str(refused.exception)


NOTHING = np.full(SIZE, np.nan)


@pytest.mark.parametrize(
    ("columns", "kind", "words"),
    [
        ({"valid_accuracy": NOTHING, "macs": NOTHING}, "landscape", "valid accuracy of no architecture"),
        ({"valid_accuracy": np.ones(SIZE)}, "landscape", "no macs for landscape's axis: name another cost"),
        ({"valid_accuracy": NOTHING}, "histogram", "valid accuracy of no architecture"),
        ({"valid_accuracy": NOTHING}, "ops", "valid accuracy of no architecture"),
        ({"valid_accuracy": np.ones(SIZE), "macs": NOTHING}, "landscape", "valid accuracy and macs of no"),
        ({"valid_accuracy": np.where(np.arange(SIZE) == 1, 0.5, np.nan)}, "histogram", "no canonical class"),
        ({"valid_accuracy": np.ones(SIZE)}, "seeds", "means over runs only"),
    ],
)
def test_what_cannot_be_drawn_is_said(tmp_path: Path, columns: dict[str, Any], kind: str, words: str) -> None:
    pytest.importorskip("matplotlib")
    path = own_rows(tmp_path, columns)
    refused = run("plot", path, "--split", "valid", "--kind", kind, "--out", tmp_path / "x.png")
    assert isinstance(refused.exception, NotRecorded)
    assert words in str(refused.exception)
    assert not (tmp_path / "x.png").exists()


def test_curves_are_means_over_the_runs_there_are(tmp_path: Path) -> None:
    plots = pytest.importorskip("nb201env.plots")
    pytest.importorskip("matplotlib")
    accuracy = np.full((SIZE, 2, 2), 0.5)
    accuracy[7] = [[0.2, np.nan], [0.4, 0.6]]
    path = own_rows(tmp_path, {"valid_accuracy": accuracy[:, 0, 0]})
    manifest = {key: value for key, value in open_table(path).manifest.items() if key != "arrays"}
    manifest |= {"seeds": [1, 2], "columns": {"valid_accuracy": {"epochs": [1, 2]}}}
    table = write_table(tmp_path / "two.safetensors", manifest, {"valid_accuracy": accuracy})
    drawn = plots.curves(table, tmp_path / "x.png", split="valid", architectures=[Architecture.from_index(7)])
    assert list(drawn["mean"].values()) == [pytest.approx([0.3, 0.6])]
