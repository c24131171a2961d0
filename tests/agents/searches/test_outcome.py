"""What a search found: judged by its own table's means, and by no other table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nb201env.agents.searches.outcome import Landscape, Spread, outcome, spread_text
from nb201env.agents.searches.runner import Search
from nb201env.architecture import Architecture
from nb201env.space import SIZE
from nb201env.table import Table, write_table
from nb201env.tables import open_table
from nb201env.trajectory import BadTrajectory, Trajectory, read
from tests.agents.conftest import ENVS


def partial_table(path: Path, lacking: int) -> Path:
    """A table without one architecture."""
    accuracy = np.full((SIZE, 1, 1), 0.5)
    accuracy[lacking] = np.nan
    manifest = {
        "name": "partial-200", "task": {"name": "toy", "dataset": "cifar10"}, "schedule": {"epochs": 200},
        "seeds": [777], "provenance": {}, "licence": "none", "columns": {"valid_accuracy": {"epochs": [200]}},
    }  # fmt: skip
    write_table(path, manifest, {"valid_accuracy": accuracy})
    return path


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    search = Search("random_search", ENVS[0], 3, {"budget_queries": 30}, tmp_path_factory.mktemp("runs"))
    search.run()
    return read(search.path)


def test_the_incumbent_is_judged_by_means(trajectory: Trajectory) -> None:
    found = outcome(trajectory)
    table = open_table("cifar10-valid-200")
    means = table.accuracy(split="valid", epochs=200, run="mean")
    optimum = table.optimum(split="valid", epochs=200)[1]
    best = max(trajectory.queries, key=lambda query: query["accuracy"])
    assert str(found.architecture) == best["architecture"]
    assert (found.seed, found.queries) == (3, 30)
    assert found.accuracy == means[found.chosen]
    assert found.regret == optimum - found.accuracy
    assert found.gap_left == found.regret / (optimum - np.median(means))
    np.testing.assert_array_equal(found.regrets, optimum - means[trajectory.incumbents()])
    np.testing.assert_array_equal(found.asked_regrets, optimum - means[trajectory.index])
    assert found.gpu_hours == trajectory.queries[-1]["clock"] / 3600
    assert np.isnan(found.test_accuracy)


def test_test_accuracy_where_the_table_records_it(tested_table: Table, tmp_path: Path) -> None:
    path = str(tested_table.container.path)
    search = Search("random_search", ENVS[0], 0, {"budget_queries": 5}, tmp_path, env_kwargs={"table": path})
    search.run()
    found = outcome(read(search.path), tested_table)
    assert found.test_accuracy == pytest.approx(found.accuracy - 0.01)


def test_queries_of_short_trainings_reach_nothing(trajectory: Trajectory) -> None:
    queries = [query | ({"epochs": 12} if n % 2 else {}) for n, query in enumerate(trajectory.queries)]
    found = outcome(replace(trajectory, queries=queries))
    assert np.isinf(found.asked_regrets[1::2]).all()
    assert np.isfinite(found.asked_regrets[::2]).all()


def test_a_query_that_names_all_epochs_is_of_the_whole_training(epoch_table: str, tmp_path: Path) -> None:
    """As BOHB does, on tables with learning curves and on those without."""
    pytest.importorskip("statsmodels")
    for table, end in ((epoch_table, 12), ("cifar10-valid-200", 200)):
        search = Search(
            "bohb", ENVS[0], 0, {"budget_queries": 13}, tmp_path / str(end), env_kwargs={"table": table}
        )
        played = read(search.run())
        found = outcome(played, search.table)
        epochs = np.array([query["epochs"] for query in played.queries])
        np.testing.assert_array_equal(np.isfinite(found.asked_regrets), epochs == end)
        assert np.isfinite(found.asked_regrets).sum() == (1 if end == 12 else 13)


def test_the_whole_training_is_that_of_the_environment(epoch_table: str, tmp_path: Path) -> None:
    env_kwargs = {"table": epoch_table, "epochs": 4}
    search = Search("random_search", ENVS[0], 0, {"budget_queries": 5}, tmp_path, env_kwargs=env_kwargs)
    played = read(search.run())
    named = [query | {"epochs": 4} for query in played.queries]
    for queries in (played.queries, named):
        assert outcome(replace(played, queries=queries), search.table).whole.all()
    shorter = [query | {"epochs": 3} for query in played.queries]
    assert not outcome(replace(played, queries=shorter), search.table).whole.any()


def test_an_architecture_without_a_run_has_no_rank() -> None:
    official = open_table("cifar10-valid-200")
    valid = official.accuracy(split="valid", epochs=200, run="mean")
    valid[[3, 5]] = np.nan
    landscape = Landscape(official, valid, None, float(np.nanmax(valid)))
    assert landscape.rank[[3, 5]].tolist() == [0, 0]
    for index in (0, 4, 1234, int(np.nanargmax(valid))):
        assert landscape.rank[index] == 1 + (valid > valid[index]).sum()


def test_a_search_that_asked_for_what_the_table_lacks_is_refused(epoch_table: str, tmp_path: Path) -> None:
    """Such a file cannot come from this table; what its search found has no value."""
    partial = open_table(partial_table(tmp_path / "partial.safetensors", lacking=5))
    head = {"table": {"name": partial.name, "id": partial.id}, "env": {"id": ENVS[0], "kwargs": {}}}
    asked = [{"architecture": str(Architecture.from_index(i)), "accuracy": 0.5, "clock": 1.0} for i in (4, 5)]
    with pytest.raises(BadTrajectory, match=r"query 2 is of \|none.*, which partial-200 has no run of"):
        outcome(Trajectory(Path("x"), head, asked, True), partial)


def test_what_has_no_outcome(trajectory: Trajectory) -> None:
    name = trajectory.path.name
    with pytest.raises(BadTrajectory, match=f"{name}: this search asked nothing"):
        outcome(replace(trajectory, queries=[]))
    other = trajectory.header | {"table": {"name": "mine", "id": "f" * 64}}
    with pytest.raises(ValueError, match=f"{name}: searched the table mine with id ffffffffffff; the one"):
        outcome(replace(trajectory, header=other), open_table("cifar10-valid-200"))
    with pytest.raises(FileNotFoundError, match=f"{name}: searched the table mine with id ffffffffffff: "):
        outcome(replace(trajectory, header=other))
    strange = [trajectory.queries[0] | {"architecture": "nor_conv_7x7"}]
    with pytest.raises(BadTrajectory, match=f"{name}: "):
        outcome(replace(trajectory, queries=strange))


def test_mean_and_deviation_in_words() -> None:
    assert Spread.of([0.9, 0.92]) == pytest.approx((0.91, 0.01))
    assert str(Spread(0.9107, 0.0026)) == "91.07 ± 0.26"
    assert spread_text([0.9, 0.92]) == "91.00 ± 1.00"
    assert spread_text([0.9]) == "90.00", "one search has no deviation"


def test_incumbents() -> None:
    accuracies = [0.5, 0.4, 0.7, 0.7, 0.6, 0.9]
    queries = [
        {"architecture": str(Architecture.from_index(i)), "accuracy": a} for i, a in enumerate(accuracies)
    ]
    assert Trajectory(Path(), {}, queries, True).incumbents().tolist() == [0, 0, 2, 2, 2, 5]
