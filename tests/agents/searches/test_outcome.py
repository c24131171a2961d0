"""What a search found: judged by its own table's means, and by no other table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nb201env.agents.searches.outcome import Spread, outcome, spread_text
from nb201env.agents.searches.runner import Search
from nb201env.table import Table
from nb201env.tables import open_table
from nb201env.trajectory import BadTrajectory, Trajectory, read
from tests.agents.conftest import ENVS


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
    found = outcome(read(search.path))
    assert found.test_accuracy == pytest.approx(found.accuracy - 0.01)


def test_queries_of_short_trainings_reach_nothing(trajectory: Trajectory) -> None:
    queries = [query | ({"epochs": 12} if n % 2 else {}) for n, query in enumerate(trajectory.queries)]
    found = outcome(replace(trajectory, queries=queries))
    assert np.isinf(found.asked_regrets[1::2]).all()
    assert np.isfinite(found.asked_regrets[::2]).all()


def test_what_has_no_outcome(trajectory: Trajectory) -> None:
    name = trajectory.path.name
    with pytest.raises(BadTrajectory, match=f"{name}: this search asked nothing"):
        outcome(replace(trajectory, queries=[]))
    other = trajectory.header | {"table": {"name": "mine", "id": "f" * 64}}
    with pytest.raises(ValueError, match=f"{name}: searched the table mine with id ffffffffffff; the one"):
        outcome(replace(trajectory, header=other))
    strange = [trajectory.queries[0] | {"architecture": "nor_conv_7x7"}]
    with pytest.raises(BadTrajectory, match=f"{name}: "):
        outcome(replace(trajectory, queries=strange))


def test_mean_and_deviation_in_words() -> None:
    assert Spread.of([0.9, 0.92]) == pytest.approx((0.91, 0.01))
    assert str(Spread(0.9107, 0.0026)) == "91.07 ± 0.26"
    assert spread_text([0.9, 0.92]) == "91.00 ± 1.00"
    assert spread_text([0.9]) == "90.00", "one search has no deviation"
