"""Queries to reach, for agents that train a part of the way too: what counts is the whole training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, open_table
from nb201env.agents.report import tables
from nb201env.agents.report.csv_files import write_csv
from nb201env.agents.report.curves import Hit
from nb201env.agents.report.data import load
from nb201env.agents.report.summary import SettingSummary, hits, summarise
from nb201env.agents.searches.outcome import outcome
from nb201env.agents.searches.runner import Search
from nb201env.space import SIZE
from nb201env.table import write_table
from nb201env.trajectory import read
from tests.agents.report.test_report import rows

ENV = "NB201-cifar10-v0"
NEVER = Hit(np.inf, np.inf, np.inf)


def write(path: Path, table_path: str, queries: list[tuple[int, int | None]], **kwargs: Any) -> Path:
    """A trajectory of these architectures and epochs (None names none), 100 seconds each."""
    table = open_table(table_path)
    header = {
        "format": "nb201-trajectory", "version": 1, "agent": "mine", "seed": 0,
        "env": {"id": ENV, "kwargs": {"table": table_path, "budget_queries": len(queries)} | kwargs},
        "table": {"name": table.name, "id": table.id},
    }  # fmt: skip
    lines: list[dict[str, Any]] = [header]
    for number, (index, epochs) in enumerate(queries, start=1):
        query = {"architecture": str(Architecture.from_index(index)), "run": "7", "accuracy": 0.5,
                 "seconds": 100.0, "clock": 100.0 * number, "reward": 0.5}  # fmt: skip
        lines.append(query | ({} if epochs is None else {"epochs": epochs}))
    lines.append({"end": "search over"})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def best(epoch_table: str) -> int:
    """The optimum."""
    return open_table(epoch_table).optimum(split="valid", epochs=12)[0].index


def reached(path: Path, table: str) -> Hit:
    return hits(outcome(read(path), open_table(table)))[0]


def test_a_part_of_the_training_costs_but_does_not_reach(epoch_table: str, best: int, tmp_path: Path) -> None:
    """Asked after 1 epoch, after 11, and then whole: the fourth query, of the third architecture."""
    search = [(best, 1), (5, 12), (best, 11), (best, 12), (best, None)]
    path = write(tmp_path / "a.jsonl", epoch_table, search)
    assert reached(path, epoch_table) == Hit(4, 2, 400.0)
    path = write(tmp_path / "b.jsonl", epoch_table, search[:3])
    assert reached(path, epoch_table) == NEVER


@pytest.mark.parametrize("epochs", [None, 12])
def test_naming_all_epochs_is_the_whole_training(
    epochs: int | None, epoch_table: str, best: int, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", epoch_table, [(5, epochs), (best, epochs)])
    assert reached(path, epoch_table) == Hit(2, 2, 200.0)


@pytest.mark.parametrize("epochs", [None, 6])
def test_in_an_environment_of_fewer_epochs_these_are_the_whole(
    epochs: int | None, epoch_table: str, best: int, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", epoch_table, [(best, 3), (best, epochs)], epochs=6)
    assert reached(path, epoch_table) == Hit(2, 1, 200.0)


# -- an agent that does so --------------------------------------------------------------------


@pytest.fixture(scope="module")
def easy_table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Every tenth architecture is an optimum; curves of 12 epochs."""
    final = np.where(np.arange(SIZE) % 10 == 0, 0.9, 0.7 + 0.1 * np.arange(SIZE) / SIZE)
    columns = {
        "valid_accuracy": final[:, None, None] * (1 - 0.5 ** np.arange(1, 13)),
        "train_seconds": np.full((SIZE, 1, 12), 10.0),
    }
    epochs = list(range(1, 13))
    manifest = {
        "name": "easy-12", "task": {"name": "toy", "dataset": "cifar10"}, "schedule": {"epochs": 12},
        "seeds": [7], "provenance": {}, "licence": "none",
        "columns": {
            "valid_accuracy": {"epochs": epochs}, "train_seconds": {"epochs": epochs, "accumulates": True}
        },
    }  # fmt: skip
    path = tmp_path_factory.mktemp("easy") / "easy.safetensors"
    return str(write_table(path, manifest, columns).container.path)


@pytest.fixture(scope="module")
def bohb(easy_table: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("statsmodels")
    folder = tmp_path_factory.mktemp("bohb")
    for agent in ("random_search", "bohb"):
        for seed in range(3):
            Search(agent, ENV, seed, {"budget_queries": 60}, folder, env_kwargs={"table": easy_table}).run()
    return folder


@pytest.fixture(scope="module")
def summary(bohb: Path, easy_table: str) -> SettingSummary:
    return summarise(load([bohb], tables=[easy_table])).settings[0]


def test_bohb_reaches_what_it_trained_to_the_end(summary: SettingSummary, easy_table: str) -> None:
    """Counted once more in the files: partial trainings of good architectures do not count."""
    mean = open_table(easy_table).accuracy(split="valid", epochs=12, run="mean")
    (agent,) = (agent for agent in summary.agents if agent.entry.agent == "bohb")
    differs = False
    for seed in range(3):
        queries = read(agent.entry.searches[seed].path).queries
        assert {query["epochs"] for query in queries} == {1, 4, 12}
        for target, within in enumerate((0.0, 0.001, 0.003)):
            good = [
                (number, query)
                for number, query in enumerate(queries, start=1)
                if mean[Architecture.parse(query["architecture"]).index] >= mean.max() - within - 1e-12
            ]
            whole = [(number, query) for number, query in good if query["epochs"] == 12]
            differs |= good[:1] != whole[:1]
            hit = agent.hits[target][seed]
            assert hit.queries == (whole[0][0] if whole else np.inf)
            assert hit.seconds == (whole[0][1]["clock"] if whole else np.inf)
    assert differs, "in some search something good was trained partly, before or without the whole"


def test_gpu_hours_stand_beside_queries(
    summary: SettingSummary, bohb: Path, easy_table: str, tmp_path: Path
) -> None:
    assert [grid.columns[-1] for grid in tables.reach(summary)] == ["simulated GPU hours, median"] * 3
    write_csv(summarise(load([bohb], tables=[easy_table])), tmp_path)
    clocks = {(agent.entry.label, str(search.seed)): read(search.path).clock
              for agent in summary.agents for search in agent.entry.searches}  # fmt: skip
    searches, table = rows(tmp_path / "searches.csv"), rows(tmp_path / "reach.csv")
    for row in table:
        name = "optimum" if row["within_points"] == "0" else row["within_points"]
        mine = [one for one in searches if one["agent"] == row["agent"]]
        seconds = sorted(float(one[f"gpu_seconds_to_{name}"] or "inf") for one in mine)
        assert float(row["median_gpu_seconds"] or "inf") == pytest.approx(seconds[1])
        count = sum(np.isfinite(seconds))
        assert float(row["percent_of_searches"]) == pytest.approx(100 * count / 3)
        assert float(row["low"]) < float(row["percent_of_searches"]) + 1e-9
        for one in mine:
            if one[f"queries_to_{name}"]:
                clock = clocks[one["agent"], one["seed"]][int(one[f"queries_to_{name}"]) - 1]
                assert float(one[f"gpu_seconds_to_{name}"]) == pytest.approx(clock)
