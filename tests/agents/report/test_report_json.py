"""`report.json`: every number in full precision, as its schema describes it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator, ValidationError

from nb201env import open_table
from nb201env.agents.report.data import load
from nb201env.agents.report.elsewhere import at_hand
from nb201env.agents.report.json_file import encoded, json_text, schema
from nb201env.agents.report.summary import Summary, summarise
from nb201env.agents.report.write import write
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import run_all
from tests.agents.conftest import ENVS, LIGHT
from tests.agents.report.figure_data import ranked
from tests.agents.report.test_report_papers import official_home  # noqa: F401


@pytest.fixture(scope="module")
def summary(bench_folder: Path) -> Summary:
    return summarise(load([bench_folder]))


@pytest.fixture(scope="module")
def content(summary: Summary) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json_text(summary, "nb201 report runs"))
    return found


def valid(content: dict[str, Any]) -> None:
    Draft202012Validator(schema()).validate(content)


def test_the_schema_is_one_and_describes_the_file(content: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema())
    valid(content)
    assert content["$schema"] == schema()["$id"]


@pytest.mark.parametrize("where", ["", "environments", "agents", "overall"])
def test_nothing_stands_in_the_file_that_is_not_described(where: str, content: dict[str, Any]) -> None:
    one = json.loads(json.dumps(content))
    at = {"": one, "environments": one["environments"][0], "agents": one["environments"][0]["agents"][0],
          "overall": one["overall"]}[where]  # fmt: skip
    at["surprise"] = 1
    with pytest.raises(ValidationError):
        valid(one)
    del at["surprise"], at[min(at)]
    with pytest.raises(ValidationError):
        valid(one)


def test_numbers_are_those_of_the_summary_to_the_last_digit(
    summary: Summary, content: dict[str, Any]
) -> None:
    for one, mine in zip(summary.settings, content["environments"], strict=True):
        assert mine["name"] == one.setting.name
        assert mine["landscape"]["optimum"] == one.setting.landscape.optimum
        for agent, shown in zip(one.agents, mine["agents"], strict=True):
            assert list(agent.iqm) == list(shown["iqm"].values())
            assert agent.by_seconds.mean.tolist() == shown["by_seconds"]["mean"]
            assert agent.profile.share.tolist() == shown["profile"]["share"]
            assert [s.regret for s in agent.entry.searches] == [
                s["regret"] for s in shown["entry"]["searches"]
            ]
            assert shown["valid_spread"]["deviation"] == float(agent.valid.std())
        for pair in mine["improvement"]:
            assert one.improvement[pair["better"], pair["than"]].value == pair["value"]


def test_numbers_are_those_of_the_csv_files(bench_folder: Path, tmp_path: Path) -> None:
    files = write(load([bench_folder]), tmp_path, "x", figures=False)
    assert tmp_path / "report.json" in files
    assert sorted(tmp_path.iterdir()) == files
    content = json.loads((tmp_path / "report.json").read_text())
    with open(tmp_path / "searches.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    shown = [
        (one["name"], agent["entry"]["label"], search)
        for one in content["environments"]
        for agent in one["agents"]
        for search in agent["entry"]["searches"]
    ]
    assert len(shown) == len(rows) == 24
    for (name, label, search), row in zip(shown, rows, strict=True):
        assert (name, label, str(search["seed"])) == (row["environment"], row["agent"], row["seed"])
        assert f"{100 * search['regret']:.8g}" == row["regret_points"]
        assert f"{search['seconds']:.8g}" == row["gpu_seconds"]
        assert search["chosen"]["architecture"] == row["architecture"]
        assert search["test_accuracy"] is None
        assert row["test_percent"] == ""


def test_what_is_not_known_is_null() -> None:
    assert encoded(np.array([1.5, np.nan, np.inf])) == [1.5, None, None]
    assert encoded(0.1 + 0.2) == 0.30000000000000004
    assert json.loads(json.dumps(encoded(np.float64(1 / 3)))) == 1 / 3
    assert [encoded(value) for value in (True, np.int64(3), None, "a\x1b")] == [True, 3, None, "a\\x1b"]
    with pytest.raises(TypeError, match="object has no form"):
        encoded(object())


def test_ranks_are_described(summary: Summary, content: dict[str, Any]) -> None:
    overall = {**content["overall"], "ranks": encoded(ranked(3))}
    valid({**content, "overall": overall})
    assert overall["ranks"]["mean"] == {"agent 0": 1, "agent 1": 1.9, "agent 2": 2.8}


def test_one_search_alone(bench_folder: Path, tmp_path: Path) -> None:
    run_all(plan(LIGHT[:1], ENVS[:1], [0], {"budget_queries": 1}, tmp_path), 1, lambda *_: None)
    content = json.loads(json_text(summarise(load([tmp_path])), "x"))
    valid(content)
    assert content["overall"] is None
    assert content["environments"][0]["agents"][0]["by_queries"]["x"] == [1]


def test_test_accuracy_and_other_tables(tested_table: Any, tmp_path: Path) -> None:
    path = str(tested_table.container.path)
    run_all(
        plan(LIGHT, ENVS[:1], [0, 1], {"budget_queries": 9}, tmp_path, env_kwargs={"table": path}), 1,
        lambda *_: None,
    )  # fmt: skip
    bench = replace(load([tmp_path], tables=[path]), places=at_hand(["cifar100-200"]))
    content = json.loads(json_text(summarise(bench), "x"))
    valid(content)
    (one,) = content["environments"]
    for agent in one["agents"]:
        np.testing.assert_allclose(np.subtract(agent["valid"], agent["test"]), 0.01)
    assert [found["place"]["name"] for found in one["elsewhere"]] == ["cifar100-200"]


@pytest.mark.usefixtures("official_home")
def test_published_rows_stand_beside_ours(tmp_path: Path) -> None:
    protocol = {"table": "official-cifar10-valid-12", "overshoot": "drop"}
    searches = plan(LIGHT[:1], ENVS[:1], [0, 1], {"budget_seconds": 12_000.0}, tmp_path, env_kwargs=protocol)
    run_all(searches, 1, lambda *_: None)
    summary = summarise(load([tmp_path]))
    content = json.loads(json_text(summary, "x"))
    valid(content)
    paper = content["environments"][0]["paper"]
    first, second, *others = paper["rows"]
    assert (paper["protocol"], first["mark"]) == ("nb201", "S")
    assert (first["dataset"], first["split"]) == ("cifar10", "valid")
    assert first["published"] == pytest.approx({"mean": 0.9093, "deviation": 0.0036})
    chosen = [search.chosen for search in summary.bench.searches]
    official = open_table("cifar10-valid-200").accuracy(split="valid", epochs=200, run="mean")[chosen]
    assert first["ours"]["mean"] == pytest.approx(official.mean())
    assert second["ours"] is not None
    assert others[1]["ours"] is None  # no table has CIFAR-100's test accuracy
