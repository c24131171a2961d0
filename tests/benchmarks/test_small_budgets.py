"""Small budgets: the searches are the protocol's, nothing is lost, and the page says what the data say."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.studies import pages
from benchmarks.studies import small_budgets as study
from benchmarks.studies.queries import Contender
from nb201env import Architecture, open_table
from nb201env.agents.papers.protocols import plan_protocol
from nb201env.agents.random_search import expected_best
from nb201env.agents.registry import SEVERAL
from nb201env.envs.registration import OFFICIAL
from nb201env.trajectory import read
from tests.conftest import reference

ONE = Contender("evolution", "regularized_evolution", cap=30, seeds=1)
LABELS = [contender.label for contender in study.CONTENDERS]


def searched(contenders: list[Contender], log: Path, known: study.Rows | None = None) -> study.Rows:
    return study.run_missing(contenders, log, known or {})


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


# -- searches --------------------------------------------------------------------------------


@pytest.mark.parametrize("agent", ["local_search", "tpe"])
def test_answers_are_those_of_the_protocols_searches(agent: str, tmp_path: Path) -> None:
    for search in plan_protocol("k30", [agent], [7], tmp_path):
        dataset = search.table.dataset
        row = study.measure(Contender("", agent, 30, 30), dataset, 30, 7)
        incumbents = read(search.run()).incumbents()
        assert len(incumbents) == 30
        assert row["answers"] == [incumbents[9], incumbents[29]]
        assert len(row["cpu_seconds"]) == 1
        assert row["cpu_seconds"][0] > 0


def test_longer_searches_are_timed_in_windows() -> None:
    """An agent that learns from all answers thinks longer about the later ones."""
    row = study.measure(Contender("", "tpe", 30, 30), "cifar10", 300, 0)
    short = study.measure(Contender("", "tpe", 30, 30), "cifar10", 30, 0)
    assert row["answers"] == short["answers"], "agents know no budget"
    assert len(row["cpu_seconds"]) == 3
    assert row["cpu_seconds"][0] < row["cpu_seconds"][2]


def test_a_run_cut_short_goes_on(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    rows = searched([ONE], whole)
    assert len(rows) == len(lines(whole)) == 4, "one of 30 queries per data set, one of 300"
    cut.write_text("\n".join(lines(whole)[:2]) + "\n" + lines(whole)[2][:30], encoding="utf-8")
    again = searched([ONE], cut)
    assert again.keys() == rows.keys()
    assert [row["answers"] for row in again.values()] == [row["answers"] for row in rows.values()]
    assert searched([ONE], cut) == again
    assert study.from_entries(study.entries(rows, [ONE])) == rows, "a lost log is made up for by the data"


def test_only_what_has_changed_runs(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    known = searched([ONE], tmp_path / "known.jsonl")
    searched([ONE], log, known)
    assert lines(log) == []
    other = replace(ONE, label="small populations", kwargs={"population": 5})
    rows = searched([ONE, other], log, known)
    assert len(lines(log)) == 4
    assert {json.loads(line)["hyperparameters"]["population"] for line in lines(log)} == {5}
    assert len(study.entries(rows, [ONE, other])) == 8
    study.run_missing([ONE], log, known, again=True)
    assert len(lines(log)) == 8


def test_the_command_adds_to_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "DATA", tmp_path / "data.json")
    monkeypatch.setattr(study, "CSV", tmp_path / "none.csv")
    monkeypatch.setenv("NB201_HOME", str(tmp_path / "home"))
    second = Contender("walk", "random_search", cap=30, seeds=1)
    monkeypatch.setattr(study, "CONTENDERS", (ONE, second))
    for only in ("evolution", "random_search"):
        study.run(Namespace(only=[only], again=False, out=tmp_path / f"{only}.jsonl"))
    data = pages.read_data(study.DATA)
    assert list(dict.fromkeys(entry["label"] for entry in data["searches"])) == ["evolution", "walk"]
    assert data["test"] == {}, "what no table holds is not invented"
    assert " test" not in study.table_text(data)


def test_test_accuracies_are_the_published_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    path = reference("nb201_cifar10.csv")
    monkeypatch.setattr(study, "CSV", path)
    entries: list[dict[str, Any]] = [
        {"dataset": "cifar10", "answers": [[0, 7]]},
        {"dataset": "cifar100", "answers": [[1, 2]]},
    ]
    found = study.test_accuracies(entries, {"cifar100": {"optimum": 0.5, "accuracy": {}}})
    rows = np.genfromtxt(path, delimiter=",", skip_header=1)
    expected = rows[Architecture.from_index(7).official_index, 2] / 100
    assert found["cifar10"]["accuracy"].keys() == {"0", "7"}
    assert found["cifar10"]["accuracy"]["7"] == pytest.approx(expected, abs=1e-6)
    assert found["cifar10"]["optimum"] == pytest.approx(0.9437, abs=5e-5)
    assert found["cifar100"] == {"optimum": 0.5, "accuracy": {}}, "what was known is kept"


# -- numbers ---------------------------------------------------------------------------------


def made(label: str, answers: dict[str, list[int]], milliseconds: float) -> list[dict[str, Any]]:
    return [
        {"label": label, "dataset": dataset, "queries": 30, "answers": [[0, index] for index in indices],
         "cpu_seconds": [[milliseconds / 1000]] * len(indices)}
        for dataset, indices in answers.items()
    ]  # fmt: skip


def test_a_tables_numbers() -> None:
    means = {d: open_table(OFFICIAL[env]).accuracy(split="valid", epochs=200, run="mean")
             for d, env in study.ENVS.items()}  # fmt: skip
    ranked = {dataset: np.argsort(-mean) for dataset, mean in means.items()}
    good = {dataset: order[[0, 2]].tolist() for dataset, order in ranked.items()}
    poor = {dataset: order[[9000, 9001]].tolist() for dataset, order in ranked.items()}
    known = {str(index): 0.9 for index in (*good["cifar10"], 0)}
    data = {"test": {"cifar10": {"optimum": 0.9437, "accuracy": known}},
            "searches": [*made("poor", poor, 12.345), *made("good", good, 0.05)]}  # fmt: skip
    text = study.table_text(data)
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in text.splitlines()[4:]]
    rows = {row[0]: row for row in cells}
    assert list(rows) == ["the best there is", "good", "random search, closed form", "poor"], "best first"
    values = 100 * means["cifar10"][good["cifar10"]]
    error, regret = abs(values[0] - values[1]) / 2, values.max() - values.mean()
    assert rows["good"][1] == f"{values.mean():.2f} ± {error:.2f} ({regret:.2f})"
    assert rows["good"][2] == "90.00 ± 0.00"
    assert rows["good"][-1] == "0.05"
    assert rows["poor"][-1] == "12"
    assert rows["poor"][2] == "", "a mean is of all answers or of none"
    assert rows["the best there is"][1:3] == ["91.61", "94.37"]


def test_random_search_in_closed_form_is_what_searches_reach() -> None:
    data = study.committed()
    for entry in data["searches"]:
        if (entry["label"], entry["queries"]) == ("random search", 30):
            table = open_table(OFFICIAL[entry["env"]])
            for after in study.AFTER:
                values = study.accuracies(entry, after)
                closed = float(expected_best(table, after, epochs=200))
                assert closed == study.expected(after)[entry["dataset"]]
                assert abs(values.mean() - closed) < 3.5 * values.std(ddof=1) / np.sqrt(len(values))


def test_milliseconds_are_medians_over_all_searches() -> None:
    some: list[dict[str, Any]] = [
        {"cpu_seconds": [[0.001, 0.5], [0.002, None]]},
        {"cpu_seconds": [[9.0, 0.7]]},
    ]
    assert study._milliseconds(some, 0) == "2"
    assert study._milliseconds(some, 1) == "600"
    assert study._milliseconds([{"cpu_seconds": [[0.123456]]}], 0) == "120"
    assert study._milliseconds([{"cpu_seconds": [[None]]}], 0) == ""


def test_no_published_mean_beats_the_best_there_is() -> None:
    for dataset, splits in study.GENIUS.items():
        assert splits["valid"].mean < study.landscape(dataset).optimum


# -- the committed data ----------------------------------------------------------------------


def test_the_data_are_of_the_present_agents() -> None:
    entries = study.committed()["searches"]
    again = "run python -m benchmarks.studies small_budgets run"
    assert list(dict.fromkeys(entry["label"] for entry in entries)) == LABELS, again
    by_label = {contender.label: contender for contender in study.CONTENDERS}
    for entry in entries:
        contender = by_label[entry["label"]]
        assert contender.agent not in SEVERAL
        key = study.row_key(contender, entry["dataset"], entry["queries"], 0)
        assert {name: entry[name] for name in study.HEAD} == {name: key[name] for name in study.HEAD}, again
        seeds = study.SEEDS if entry["queries"] == 30 else [*study.TIMED_SEEDS]
        assert entry["seeds"] == seeds
        assert len(entry["answers"]) == len(entry["cpu_seconds"]) == len(seeds)
    assert len(entries) == 4 * len(LABELS)


def test_a_search_recorded_in_the_data_ends_so_again() -> None:
    """One of each agent that takes no time; the processor seconds are of that machine and moment."""
    for entry in study.committed()["searches"]:
        contender = next(c for c in study.CONTENDERS if c.label == entry["label"])
        if entry["dataset"] == "cifar100" and np.median(entry["cpu_seconds"]) < 0.002:
            assert study.measure(contender, "cifar100", 30, 3)["answers"] == entry["answers"][3]


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    study.figures(tmp_path)
    assert (tmp_path / "small-budgets.png").stat().st_size > 10_000
