"""Several objectives: the page is what the data say, and published numbers are what our tables give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.studies import objectives
from benchmarks.studies.pages import read_data
from nb201env import open_table
from nb201env.agents.predictor_evolution import class_members
from nb201env.agents.report.data import load_files
from nb201env.comparison import costs
from nb201env.fronts.front import points
from nb201env.fronts.quality import hypervolume
from nb201env.table import Run

CIFAR10 = "cifar10-valid-200"


def test_the_page_says_what_the_data_say() -> None:
    for path, text in objectives.page().items():
        assert path.read_text(encoding="utf-8") == text


def test_the_data_are_of_the_present_agents_tables_and_fronts() -> None:
    data = read_data(objectives.RESULTS)
    assert tuple(data) == objectives.ENVS
    tables = ("cifar10-valid-200", "cifar100-200", "ImageNet16-120-200")
    for one, table in zip(data.values(), map(open_table, tables), strict=True):
        assert one["table"] == table.id
        assert one["front"] == len(points(table, objectives.OBJECTIVES).front().index)
        assert set(one["agents"]) == set(objectives.AGENTS)
        for name, agent in one["agents"].items():
            assert agent["hyperparameters"] == objectives.settings(name), f"run the study of {name} again"


def test_after_50_queries_ehvi_is_ahead_on_all_three() -> None:
    for one in read_data(objectives.RESULTS).values():
        first = {name: np.mean(agent["hypervolume"], axis=0)[0] for name, agent in one["agents"].items()}
        assert one["stops"][0] == 50
        assert max(first, key=lambda name: first[name]) == "ehvi"


def test_random_search_is_where_its_closed_form_is() -> None:
    for one in read_data(objectives.RESULTS).values():
        found = np.array(one["agents"]["random_search"]["hypervolume"])
        error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
        if len(found) >= 10:  # of fewer, the error is too rough
            assert (np.abs(found.mean(axis=0) - one["random"]["hypervolume"]) < 4 * error).all()


@pytest.mark.parametrize(
    ("table", "shares"),
    [(CIFAR10, (98.1, 100.0)), ("cifar100-200", (96.5, 100.0)), ("ImageNet16-120-200", (95.4, 99.9))],
)
def test_the_ceiling_of_one_member_of_each_class(table: str, shares: tuple[float, float]) -> None:
    first = np.array([members[0] for members in class_members()])
    for cost, share in zip(("latency_seconds", "params"), shares, strict=True):
        every = points(open_table(table), ["accuracy", cost])
        zero = np.zeros(2)
        whole = hypervolume(every.scaled(every.front().rewards), zero)
        assert round(100 * hypervolume(every.scaled(every.rewards[first]), zero) / whole, 1) == share


def test_a_search_is_counted_as_the_report_counts_it(tmp_path: Path) -> None:
    """The last hypervolume of a fresh search, from its trajectory alone."""
    planned = objectives.searches(["random_search"], [0], tmp_path)
    for search in planned:
        search.run()
    found = objectives.of_setting(objectives.report(planned)[objectives.ENVS[0]])["agents"]["random_search"]
    every = points(open_table(CIFAR10), objectives.OBJECTIVES)
    asked = np.unique(load_files([planned[0].path]).settings[0].entries[0].searches[0].index)
    zero = np.zeros(2)
    volume = hypervolume(every.scaled(every.rewards[asked]), zero)
    whole = hypervolume(every.scaled(every.front().rewards), zero)
    assert found["hypervolume"][0][-1] == pytest.approx(volume / whole, abs=1e-6)


def test_evoxbench_on_this_space_has_our_ranges() -> None:
    """Offline-MOO's nadir and ideal points of C-10/MOP5: error (%), params (M), FLOPs (M)."""
    table = open_table(CIFAR10)
    params, macs = costs(table, "params") / 1e6, costs(table, "macs") / 1e6
    assert (params.max(), macs.max()) == pytest.approx((1.531546, 220.11969), abs=1e-9)
    assert (params.min(), macs.min()) == pytest.approx((0.073306, 7.78305), abs=1e-9)
    errors = {run: 100 - 100 * table.accuracy(split="valid", epochs=200, run=run) for run in table.seeds}
    assert {run: np.nanmin(error) for run, error in errors.items()} == pytest.approx(
        {777: 8.316, 888: 8.280, 999: 8.316}, abs=1e-9
    )
    assert [np.nanmax(error) for error in errors.values()] == pytest.approx([90.288] * 3, abs=1e-9)


def test_lamoos_hypervolume_with_our_accuracies() -> None:
    """Standardised over the space; reference point: accuracy -1, FLOPs +4. LaMOO states 8.0699, of others."""
    table, reference = open_table(CIFAR10), np.array([-1.0, -4.0])
    macs = costs(table, "macs")
    found: dict[Run, float] = {}
    runs: list[Run] = ["mean", *table.seeds]
    for run in runs:
        accuracy = table.accuracy(split="valid", epochs=200, run=run)
        there = ~np.isnan(accuracy)
        score = (accuracy - accuracy[there].mean()) / accuracy[there].std()
        both = np.stack([score, -(macs - macs.mean()) / macs.std()], axis=1)
        found[run] = hypervolume(both[there], reference)
    assert found == pytest.approx({"mean": 8.3274, 777: 8.3482, 888: 8.3892, 999: 8.2550}, abs=1e-4)
