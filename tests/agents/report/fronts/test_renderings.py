"""The report on searches with several objectives in all of its forms, and what `nb201 search` prints."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator, ValidationError
from typer.testing import CliRunner

from nb201env import cli
from nb201env.agents.report.csv_files import write_csv
from nb201env.agents.report.data import load
from nb201env.agents.report.document import Figure, Section, document
from nb201env.agents.report.fronts import tables, verdict
from nb201env.agents.report.fronts.csv_files import FRONT_FILES
from nb201env.agents.report.fronts.summary import FrontAgent, FrontSetting
from nb201env.agents.report.grid import Cell, Grid
from nb201env.agents.report.json_file import json_text, schema
from nb201env.agents.report.latex import latex
from nb201env.agents.report.markdown import markdown
from nb201env.agents.report.summary import Summary, summarise
from nb201env.agents.report.write import write
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import run_all
from tests.agents.report.fronts.agents import ENV, LIGHT, OTHER_ENV

pytest.importorskip("moocore")


@pytest.fixture(scope="module")
def one(summary: Summary) -> FrontSetting:
    return summary.fronts[0]


@pytest.fixture(scope="module")
def mixed(bench_folder: Path, folder: Path) -> Summary:
    """Two environments with one objective and two with several."""
    return summarise(load([bench_folder, folder]))


@pytest.fixture(scope="module")
def content(summary: Summary) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json_text(summary, "nb201 report runs"))
    return found


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with open(folder / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def grids(section: Section) -> Iterator[Grid]:
    return (part for part in section.parts if isinstance(part, Grid))


# -- sections --------------------------------------------------------------------------------


def test_every_front_has_a_section_with_its_figures(summary: Summary) -> None:
    together, first, second, sources = document(summary, "nb201 report")
    assert [one.name for one in (together, first, second, sources)] == [
        "fronts",
        "front-0",
        "front-1",
        "sources",
    ]
    assert [(part.chart, part.file) for part in second.parts if isinstance(part, Figure)] == [
        ("front-volume", "front-volume-1"),
        ("front-share", "front-share-1"),
        ("front-attained", "front-attained-1"),
    ]
    assert "two environments" not in together.paragraphs[0]
    assert together.paragraphs[0].startswith("Over both environments, ")


def test_scalar_environments_come_first_and_are_compared_alone(mixed: Summary, bench_folder: Path) -> None:
    sections = document(mixed, "nb201 report")
    assert [section.name for section in sections] == [
        "all", "environment-0", "environment-1", "fronts", "front-0", "front-1", "sources",
    ]  # fmt: skip
    alone = document(summarise(load([bench_folder])), "nb201 report")
    assert sections[:3] == alone[:3]


def test_three_objectives_have_no_attained_front(tmp_path: Path) -> None:
    further = {"objectives": ["accuracy", "params", "latency_seconds"]}
    searches = plan(["random_search"], [ENV], [0], {"budget_queries": 5}, tmp_path, {}, further)
    assert run_all(searches, 1, lambda *_: None) == []
    section, _ = document(summarise(load([tmp_path])), "")
    figures = [part for part in section.parts if isinstance(part, Figure)]
    assert [figure.chart for figure in figures] == ["front-volume", "front-share"]
    assert "closed form" not in figures[0].note  # which would take too long
    assert "closed form" in figures[1].note
    front = next(grid for grid in grids(section) if grid.title == "The true front")
    assert front.columns[1:4] == ("accuracy (%)", "params", "latency (ms)")
    assert len(front.rows) == tables.MOST_POINTS == 40
    assert "The other 14 points are in front_points.csv." in front.note


def test_who_finds_most_is_said_and_marked(one: FrontSetting) -> None:
    said, grid = " ".join(verdict.verdict(one)), tables.final(one)
    best = max(one.agents, key=lambda agent: -agent.iqm.value)
    assert said.startswith(
        f"Within 60 queries, {best.entry.label} ends best, with {100 * best.iqm.value:.2f} %"
    )
    column = grid.columns.index("hypervolume (%)")
    means = [100 * agent.volumes.mean() for agent in one.agents]
    cells = [row[column] for row in grid.rows]
    assert all(isinstance(cell, Cell) for cell in cells)
    assert [cell.value for cell in cells if isinstance(cell, Cell)] == pytest.approx(means)
    assert [cell.best for cell in cells if isinstance(cell, Cell)][int(np.argmax(means))]
    points = {agent.entry.label: agent.shares.mean() * 13 for agent in one.agents}
    most = max(points.values())
    who = " and ".join(label for label, mean in points.items() if mean == pytest.approx(most))
    assert f"Of the 13 points of the true front most are asked for by {who}: {most:.1f} on average." in said


def test_the_objectives_the_reference_point_and_the_front_are_said(one: FrontSetting) -> None:
    said = tables.about(one)
    assert "accuracy (more is better; a reward is the value)" in said
    assert "params (less is better; a reward is minus the value times 6.529e-07)" in said
    assert "accuracy 9.712 %, params 1,531,546, as the reference point" in said
    assert "has 13 points. Hypervolumes" in said
    assert f"{one.landscape.volume:.4f}" in said


def test_the_true_front_is_shown_with_who_asked_for_it(one: FrontSetting) -> None:
    grid = tables.front(one)
    assert grid.columns == ("architecture", "accuracy (%)", "params", "asked for by searches")
    assert len(grid.rows) == 13
    assert grid.rows[0][1:3] == ("91.61", "1,073,466")
    counts = tables.asked_for(one)
    searches = [search for agent in one.agents for search in agent.entry.searches]
    expected = sum(float(agent.shares.sum()) for agent in one.agents) * 13
    assert counts.sum() == pytest.approx(expected)
    assert grid.rows[-1][3] == f"{counts[-1]} of {len(searches)}"


def test_few_searches_are_warned_of(summary: Summary) -> None:
    for section in document(summary, "")[:3]:
        assert section.warnings[0].startswith("Every agent has only six searches")


# -- files -----------------------------------------------------------------------------------


def test_markdown_and_latex_hold_all_tables(summary: Summary) -> None:
    page, paper = (
        markdown(summary, "nb201 report", {"front-share-0": "front-share-0.png"}),
        latex(summary, ""),
    )
    for section in document(summary, "")[:-1]:
        for grid in grids(section):
            assert grid.title in page
            assert grid.title.replace("%", r"\%") in paper
    assert "front-share-0.png" in page
    assert paper.count(r"\begin{table}") == sum(len([*grids(s)]) for s in document(summary, "")[:-1])


def test_the_json_file_is_as_its_schema_says(content: dict[str, Any], summary: Summary) -> None:
    Draft202012Validator(schema()).validate(content)
    assert content["environments"] == []
    assert content["overall"] is None
    for told, one in zip(content["fronts"], summary.fronts, strict=True):
        assert told["name"] == one.setting.name
        assert [point["index"] for point in told["landscape"]["front"]] == one.landscape.front.index.tolist()
        for agent, result in zip(told["agents"], one.agents, strict=True):
            assert agent["volumes"] == result.volumes.tolist()
            assert agent["entry"]["searches"][0]["answer"] == _answer(result)


def _answer(agent: FrontAgent) -> list[int]:
    answer = agent.entry.searches[0].answer
    assert answer is not None
    return [*map(int, answer)]


@pytest.mark.parametrize("where", ["fronts", "agents", "landscape"])
def test_nothing_stands_in_it_that_is_not_described(where: str, content: dict[str, Any]) -> None:
    told = json.loads(json.dumps(content))
    front = told["fronts"][0]
    at = {"fronts": front, "agents": front["agents"][0], "landscape": front["landscape"]}[where]
    at["surprise"] = 1
    with pytest.raises(ValidationError):
        Draft202012Validator(schema()).validate(told)
    del at["surprise"], at[min(at)]
    with pytest.raises(ValidationError):
        Draft202012Validator(schema()).validate(told)


def test_csv_files_hold_the_numbers(summary: Summary, tmp_path: Path) -> None:
    write_csv(summary, tmp_path)
    agents = [(one, agent) for one in summary.fronts for agent in one.agents]
    for row, (one, agent) in zip(rows(tmp_path, "front_agents"), agents, strict=True):
        assert (row["environment"], row["agent"]) == (one.setting.name, agent.entry.label)
        assert float(row["hypervolume_percent_mean"]) == pytest.approx(100 * agent.volumes.mean())
        assert float(row["answer_hypervolume_percent_mean"]) == pytest.approx(
            100 * agent.answer_volumes.mean()
        )
    volumes = [volume for _, agent in agents for volume in agent.volumes]
    found = [float(row["hypervolume_percent"]) for row in rows(tmp_path, "front_searches")]
    np.testing.assert_allclose(found, 100 * np.array(volumes), rtol=1e-7)
    points = rows(tmp_path, "front_points")
    assert len(points) == 2 * sum(len(one.landscape.front.index) for one in summary.fronts)
    assert (points[1]["objective"], points[1]["value"], points[1]["unit"]) == ("params", "1073466", "count")
    corners = [corner for _, agent in agents for corner in np.ravel(np.array(agent.surface))]
    np.testing.assert_allclose([float(row["value"]) for row in rows(tmp_path, "front_attained")], corners)
    curves = [row for row in rows(tmp_path, "front_curves") if row["agent"] == "random search, expected"]
    assert {(row["what"], row["axis"]) for row in curves} == {("gap", "queries"), ("share", "queries")}
    assert rows(tmp_path, "searches") == []


def test_reports_with_one_objective_have_no_such_files(
    bench_folder: Path, folder: Path, tmp_path: Path
) -> None:
    """And those of an earlier report in the folder go away."""
    several = write(load([folder]), tmp_path / "r", "nb201 report", figures=False)
    assert {f"{name}.csv" for name in FRONT_FILES} <= {path.name for path in several}
    single = write(load([bench_folder]), tmp_path / "r", "nb201 report", figures=False)
    assert {path.name for path in single} == {path.name for path in (tmp_path / "r").iterdir()}
    assert not [path for path in single if path.name.startswith("front")]
    assert "fronts" not in json.loads((tmp_path / "r" / "report.json").read_text())


# -- nb201 search ----------------------------------------------------------------------------


def test_search_prints_hypervolumes_and_shares(summary: Summary, folder: Path) -> None:
    words = ["search", "--agent", "random_search", "--env", f"{ENV},{OTHER_ENV}", "--seeds", "0-5"]
    words += ["--budget", "60", "--out", str(folder)]
    shown = CliRunner().invoke(cli.build(), words)
    assert shown.exit_code == 0, shown.output
    for one in summary.fronts:
        volumes = 100 * one.agents[0].volumes
        assert f"{volumes.mean():.2f} ± {volumes.std():.2f}" in shown.output
    assert "best architecture" not in shown.output
    told = json.loads(CliRunner().invoke(cli.build(), [*words, "--json"]).output)
    for row, volume in zip(told[:6], summary.fronts[0].agents[0].volumes, strict=True):
        assert row["hypervolume"] == pytest.approx(volume)
        assert row["answer_hypervolume"] <= row["hypervolume"] + 1e-12
        assert 0 <= row["share_of_front"] <= 1
        assert len(row["architectures"]) > 1
        assert "accuracy" not in row


def test_an_agent_of_ones_own_may_search_for_fronts(summary: Summary) -> None:
    assert [entry.agent for entry in summary.bench.settings[0].entries] == ["random_search", LIGHT]
