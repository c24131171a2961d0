"""The report looks up what the searches chose: test accuracy, and other data sets than the one searched."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import open_table
from nb201env.agents.report.data import load
from nb201env.agents.report.document import document
from nb201env.agents.report.elsewhere import at_hand, look_up
from nb201env.agents.report.grid import Grid
from nb201env.agents.report.page import page
from nb201env.agents.report.provenance import sentences
from nb201env.agents.report.summary import Summary, summarise
from nb201env.agents.report.tables import elsewhere
from nb201env.agents.report.write import write
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import run_all
from nb201env.missing import PAGE
from nb201env.table import Table, write_table
from tests.agents.conftest import ENVS, LIGHT
from tests.test_table import small_columns, small_manifest

EMBEDDED = ["cifar10-valid-200", "cifar100-200", "ImageNet16-120-200"]


@pytest.fixture(scope="module")
def summary(bench_folder: Path, tested_table: Table) -> Summary:
    return summarise(load([bench_folder], tables=[str(tested_table.container.path)]))


@pytest.fixture(scope="module")
def out(summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write(summary.bench, folder, "nb201 report", figures=False)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_number_can_be_looked_up_by_hand(summary: Summary, out: Path, tested_table: Table) -> None:
    searches = rows(out / "searches.csv")
    tables: dict[str, Table] = {name: open_table(name) for name in EMBEDDED} | {"tested-200": tested_table}
    found = rows(out / "elsewhere.csv")
    assert len(found) == 2 * 2 * (2 + 2)  # environments, agents, two embedded tables and two splits of one
    for row in found:
        table = tables[row["looked_up_in"]]
        assert (row["table_id"], row["epochs"], row["searches"]) == (table.id, "200", "6")
        worth = [
            table.query(one["architecture"], split=row["split"], epochs=200, run="mean").accuracy
            for one in searches
            if (one["environment"], one["agent"]) == (row["environment"], row["agent"])
        ]
        assert float(row["percent_mean"]) == pytest.approx(100 * np.mean(worth))
        assert float(row["percent_sd"]) == pytest.approx(100 * np.std(worth), abs=1e-6)
        assert float(row["low"]) <= float(row["percent_mean"]) <= float(row["high"])


def test_every_search_has_its_row_in_every_place(out: Path, tested_table: Table) -> None:
    searches, found = rows(out / "searches.csv"), rows(out / "chosen.csv")
    tables: dict[str, Table] = {name: open_table(name) for name in EMBEDDED} | {"tested-200": tested_table}
    assert len(found) == len(searches) * (2 + 2)
    chosen = {(one["environment"], one["agent"], one["seed"]): one["architecture"] for one in searches}
    for row in found:
        assert row["architecture"] == chosen[row["environment"], row["agent"], row["seed"]]
        table = tables[row["looked_up_in"]]
        assert (row["table_id"], row["epochs"]) == (table.id, "200")
        worth = table.query(row["architecture"], split=row["split"], epochs=200, run="mean").accuracy
        assert float(row["percent"]) == pytest.approx(100 * worth)


def test_it_names_split_and_table_and_what_was_searched(summary: Summary) -> None:
    (one, other) = (elsewhere(setting) for setting in summary.settings)
    assert one is not None
    assert other is not None
    assert one.columns == (
        "agent", "valid accuracy on cifar100-200 (%)", "valid accuracy on ImageNet16-120-200 (%)",
        "valid accuracy on tested-200 (%)", "test accuracy on tested-200 (%)",
    )  # fmt: skip
    assert other.columns[1:3] == (
        "valid accuracy on cifar10-valid-200 (%)", "valid accuracy on ImageNet16-120-200 (%)",
    )  # fmt: skip
    assert one.note.startswith("Of the architectures chosen on cifar10-valid-200: ")
    assert other.note.startswith("Of the architectures chosen on cifar100-200: ")
    (line,) = [line for line in sentences(summary, "x") if "looked up" in line]
    assert [f"{name} (id {open_table(name).id[:16]})" in line for name in EMBEDDED] == [True] * 3


def test_markdown_and_page_show_it(summary: Summary, out: Path) -> None:
    html, text = page(summary, "x"), (out / "report.md").read_text().replace("**", "")  # marks of the best
    for setting in summary.settings:
        grid = elsewhere(setting)
        assert grid is not None
        assert f"| {' | '.join(grid.columns)} |" in text
        for row in grid.rows:
            assert f"| {' | '.join(row)} |".replace("[", "\\[").replace("]", "\\]") in text or (
                f"| {' | '.join(row)} |" in text
            )
            assert all(cell in html for cell in row)
    parts = [part.title for part in document(summary, "x")[1].parts if isinstance(part, Grid)]
    assert parts[:2] == ["Final results", "On other tables"]


def test_only_the_embedded_tables_are_at_hand_unnamed(
    bench_folder: Path, tested_table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NB201_HOME", str(tested_table.container.path.parent))
    one, _ = summarise(load([bench_folder])).settings
    assert [found.what for found in one.elsewhere] == [
        "valid accuracy on cifar100-200", "valid accuracy on ImageNet16-120-200",
    ]  # fmt: skip


def test_test_accuracy_has_its_interval(tested_table: Table, tmp_path: Path) -> None:
    path = str(tested_table.container.path)
    searches = plan(
        LIGHT, ENVS[:1], [0, 1, 2], {"budget_queries": 20}, tmp_path / "runs", env_kwargs={"table": path}
    )
    run_all(searches, 1, lambda *_: None)
    bench = load([tmp_path / "runs"], tables=[path])
    (one,) = summarise(bench).settings
    assert (
        one.elsewhere == ()
    )  # an own training: the embedded tables are not comparable, and it is itself no other
    write(bench, tmp_path / "out", "x", figures=False)
    for row in rows(tmp_path / "out" / "agents.csv"):
        low, high = float(row["test_percent_low"]), float(row["test_percent_high"])
        assert low <= float(row["test_percent_mean"]) <= high
        mean, sd = float(row["test_percent_mean"]), float(row["test_percent_sd"])
        cell = f"{mean:.2f} ± {sd:.2f} [{low:.2f}, {high:.2f}]"
        assert cell in (tmp_path / "out" / "report.html").read_text()


def test_where_test_accuracy_is_missing_the_page_says_where_it_is(out: Path) -> None:
    text = (out / "report.md").read_text()
    assert f"cifar100-200 records no test accuracy; what the official files hold: {PAGE}." in text


def made(folder: Path, name: str, **changes: Any) -> str:
    path, columns = folder / f"{name}.safetensors", small_columns()
    columns["test_accuracy"][7] = np.nan
    return str(write_table(path, small_manifest(name=name, **changes), columns).container.path)


def test_an_architecture_that_a_table_lacks_is_not_recorded(tmp_path: Path) -> None:
    found = look_up(open_table("cifar10-valid-200"), [[0, 7], [0, 1]], at_hand([made(tmp_path, "toy")]))
    held = {one.what: [values is not None for values in one.by_agent] for one in found}
    assert [np.isnan(values).tolist() for values in found[-1].held] == [[False, True], [False, False]]
    assert held == {
        "valid accuracy on cifar100-200": [True, True],
        "valid accuracy on ImageNet16-120-200": [True, True],
        "valid accuracy on toy": [True, True],
        "test accuracy on toy": [False, True],
    }


def test_tables_that_are_called_alike_are_kept_apart(tmp_path: Path) -> None:
    impostor = made(tmp_path, "cifar100-200")
    places = at_hand([impostor, impostor, "cifar100-200"])
    assert [place.name for place in places] == [*EMBEDDED, "cifar100-200 (2)"]
    assert [place.given for place in places] == [False, True, False, True]


def test_what_was_searched_on_a_training_of_its_own_is_looked_up_only_where_asked(tmp_path: Path) -> None:
    own = Table.open(made(tmp_path, "own"))
    other = made(tmp_path, "other", seeds=[9, 10])
    for tables, looked_up in (
        ([], set()),
        ([own.container.path], set()),
        ([other], {"other"}),
        (["cifar100-200"], {"cifar100-200"}),
    ):
        assert {one.place.name for one in look_up(own, [[0]], at_hand(tables))} == looked_up


def test_what_a_surrogate_led_to_is_looked_up_in_the_measured_table() -> None:
    predicted = open_table("cifar10-valid-200-surrogate")
    assert [one.what for one in look_up(predicted, [[0]], at_hand([]))] == [
        f"valid accuracy on {name}" for name in EMBEDDED
    ]
