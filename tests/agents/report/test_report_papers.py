"""The report beside the papers' published rows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nb201env import cli, open_table
from nb201env.agents.report.data import load
from nb201env.agents.report.grid import Cell
from nb201env.agents.report.papers import beside
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import run_all
from nb201env.table import write_table
from nb201env.trajectory import read
from tests.agents.conftest import ENVS, LIGHT
from tests.agents.report.test_report import report, runner


@pytest.fixture
def official_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tables under the names that an import gives: CIFAR-10 of 12 epochs, and of 200 with test accuracy."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("NB201_HOME", str(home))
    valid = open_table("cifar10-valid-200").runs(split="valid", epochs=200)[:, :2]
    for name, epochs, column, shift in (
        ("official-cifar10-valid-12", 12, "valid_accuracy", 0.02),
        ("official-cifar10-200", 200, "test_accuracy", -0.01),
    ):
        manifest = {
            "name": name, "task": {"name": name, "dataset": "cifar10"}, "schedule": {"epochs": epochs},
            "seeds": [777, 888], "provenance": {}, "licence": "none",
            "columns": {c: {"epochs": [epochs]} for c in (column, "train_seconds")},
        }  # fmt: skip
        columns = {column: valid[:, :, None] + shift, "train_seconds": np.full((15_625, 2, 1), 500.0)}
        write_table(home / f"{name}.safetensors", manifest, columns)
    return home


def test_published_rows_stand_beside_ours(official_home: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    words = [
        "bench",
        "--protocol",
        "nb201",
        "--agent",
        ",".join(LIGHT),
        "--seeds",
        "0-2",
        "--out",
        str(runs),
    ]
    result = runner.invoke(cli.build(), words)
    assert result.exit_code == 0, result.output
    report(tmp_path / "out", runs)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "Beside the paper: NAS-Bench-201, table 5" in text
    trajectory = read(runs / ENVS[0] / "random_search-0.jsonl")
    assert trajectory.header["env"]["kwargs"]["overshoot"] == "drop"
    assert trajectory.header["table"]["name"] == "official-cifar10-valid-12"
    assert len(trajectory.queries) == 24  # of 500 seconds each
    assert "| random search | published | 90.93 ± 0.36 | 93.70 ± 0.36 | 70.93 ± 1.09 |" in text
    (ours,) = re.findall(r"\| random search \| ours \| (.*) \|", text)
    cells = ours.split(" | ")
    chosen = [read(runs / ENVS[0] / f"random_search-{seed}.jsonl").incumbents()[-1] for seed in range(3)]
    for cell, split in zip(cells[:2], ("valid", "test"), strict=True):
        name = {"valid": "cifar10-valid-200", "test": "official-cifar10-200"}[split]
        percent = 100 * open_table(name).accuracy(split=split, epochs=200, run="mean")[chosen]
        assert cell == f"{percent.mean():.2f} ± {percent.std():.2f}"
    assert cells[3] == cells[5] == "not recorded"
    assert f"official-cifar10-200 (id {open_table('official-cifar10-200').id[:16]})" in text
    grid = beside(load([runs]).settings[0])
    assert grid is not None
    numbers = [cell for row in grid.rows for cell in row if isinstance(cell, Cell)]
    assert [cell.value for cell in numbers[4:7]] == pytest.approx([90.93, 93.70, 70.93])
    assert not any(cell.best for cell in numbers), "published searches are not at hand to compare with"


def test_what_is_not_the_papers_search_has_a_note(official_home: Path, tmp_path: Path) -> None:
    pytest.importorskip("statsmodels")
    runs = str(tmp_path / "runs")
    words = ["bench", "--protocol", "nats", "--agent", "bohb,reinforce", "--seeds", "0", "--out", runs]
    assert runner.invoke(cli.build(), words).exit_code == 0
    grid = beside(load([Path(runs)]).settings[0])
    assert grid is not None
    assert {row[:2] for row in grid.rows} == {
        ("BOHB", "ours"), ("BOHB", "published *"), ("REINFORCE", "ours"), ("REINFORCE", "published")
    }  # fmt: skip
    assert "* BOHB: not the search of the paper" in grid.note


def test_a_protocols_hyperparameters_are_recorded(official_home: Path, tmp_path: Path) -> None:
    for protocol, given, rate in (("nb201", "{}", 0.03), ("nats", "{}", 0.01),
                                  ("nb201", '{"reinforce": {"learning_rate": 0.1}}', 0.1)):  # fmt: skip
        out = tmp_path / str(rate)
        words = ["bench", "--protocol", protocol, "--agent", "reinforce,random_search", "--seeds", "0"]
        result = runner.invoke(cli.build(), [*words, "--agent-kwargs", given, "--out", str(out)])
        assert result.exit_code == 0, result.output
        header = read(out / ENVS[0] / "reinforce-0.jsonl").header
        assert header["hyperparameters"]["learning_rate"] == rate


def test_other_budgets_are_no_papers(official_home: Path, bench_folder: Path, tmp_path: Path) -> None:
    settings = {"table": "official-cifar10-valid-12", "overshoot": "allow"}
    searches = plan(
        LIGHT, ENVS[:1], [0], {"budget_seconds": 12_000.0}, tmp_path / "runs", env_kwargs=settings
    )
    run_all(searches, 1, lambda *_: None)
    for folder in (tmp_path / "runs", bench_folder):
        assert all(beside(setting) is None for setting in load([folder]).settings)


def test_a_protocol_needs_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NB201_HOME", str(tmp_path / "nothing"))
    for words, message in (
        (["--protocol", "nats"], "such as official-cifar10-valid-12, and .* has none: import the official"),
        (["--protocol", "mine"], "unknown protocol 'mine'; the protocols are nb201, nats"),
        (["--protocol", "nats", "--budget", "500"], "--protocol sets environments and budgets"),
    ):
        result = runner.invoke(cli.build(), ["bench", "--agent", "random_search", *words])
        assert re.search(message, str(result.exception))
