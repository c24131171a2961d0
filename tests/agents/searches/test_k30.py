"""The preset k30: 30 queries on each data set, answered and judged by the embedded tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import cli, open_table
from nb201env.agents.papers.protocols import (
    K30,
    PRESETS,
    PROTOCOLS,
    Sources,
    find_protocol,
    plan_protocol,
    reference_sources,
    run_protocol,
    spread,
)
from nb201env.agents.papers.published import DATASETS
from nb201env.agents.searches.plan import plan
from nb201env.envs.registration import OFFICIAL
from nb201env.space import SIZE
from nb201env.table import write_table
from nb201env.trajectory import read
from tests.conftest import reference

IDS = [f"NB201-{dataset}-v0" for dataset in DATASETS]
runner = CliRunner()


@pytest.fixture
def no_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without tables: the embedded ones are all there is."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("NB201_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture
def test_known(no_tables: Path) -> Path:
    """A table with made-up test accuracies of CIFAR-10, under the name that published ones get."""
    name, test = "published-cifar10-200", np.linspace(0.1, 0.9, SIZE)
    manifest = {
        "name": name, "task": {"name": name, "dataset": "cifar10"}, "schedule": {"epochs": 200},
        "seeds": [777], "provenance": {}, "licence": "none", "columns": {"test_accuracy": {"epochs": [200]}},
    }  # fmt: skip
    write_table(no_tables / f"{name}.safetensors", manifest, {"test_accuracy": test[:, None, None]})
    return no_tables


def test_the_plan(no_tables: Path, tmp_path: Path) -> None:
    searches = plan_protocol("k30", ["random_search", "tpe"], [0, 1, 2], tmp_path)
    assert len(searches) == 3 * 2 * 3
    assert [search.env_id for search in searches[::6]] == IDS
    assert {search.table.id for search in searches} == {open_table(OFFICIAL[env]).id for env in IDS}
    assert all(search.budget == {"budget_queries": 30} for search in searches)
    usual = plan(["random_search", "tpe"], IDS, [0, 1, 2], {"budget_queries": 30}, tmp_path)
    assert searches == usual, "searches of the registered environments, with nothing added"


def test_imported_tables_do_not_change_the_plan(test_known: Path, tmp_path: Path) -> None:
    searches = plan_protocol(K30, ["random_search"], [0], tmp_path)
    assert [search.table.name for search in searches] == [OFFICIAL[env] for env in IDS]


def test_budgets_are_as_environments_take_them() -> None:
    assert K30.budgets == {dataset: {"budget_queries": 30} for dataset in DATASETS}
    assert PROTOCOLS["nb201"].budgets == {"cifar10": {"budget_seconds": 12_000.0}}
    assert K30.looked_up("cifar100") == ("cifar100",)
    assert [find_protocol(name) for name in PRESETS] == [*PROTOCOLS.values(), K30]
    with pytest.raises(ValueError, match="unknown protocol 'k3'; the protocols are nb201, nats, k30"):
        find_protocol("k3")


def test_answers_are_judged_by_means(no_tables: Path, tmp_path: Path) -> None:
    """What a search saw are single runs; its answer is worth the mean over the table's runs."""
    sources = Sources(search={}, valid={"cifar100": "cifar100-200"})
    found = run_protocol(K30, "random_search", range(4), sources, dataset="cifar100", folder=tmp_path)
    mean = open_table("cifar100-200").accuracy(split="valid", epochs=200, run="mean")
    seen = [max(query["accuracy"] for query in read(one.path).queries) for one in found]
    assert [one.queries for one in found] == [30] * 4
    assert [one.accuracy for one in found] == mean[[one.chosen for one in found]].tolist()
    assert all(saw != one.accuracy for saw, one in zip(seen, found, strict=True))
    assert spread(found, "cifar100", "valid", sources) == pytest.approx(
        (np.mean([one.accuracy for one in found]), np.std([one.accuracy for one in found]))
    )
    assert spread(found, "cifar100", "test", sources) is None


def test_published_test_accuracies(tmp_path: Path) -> None:
    sources = reference_sources(reference("nb201_cifar10.csv"), tmp_path)
    found = run_protocol(K30, "local_search", range(3), sources)
    rows = np.genfromtxt(reference("nb201_cifar10.csv"), delimiter=",", skip_header=1)
    expected = [rows[one.architecture.official_index, 2] / 100 for one in found]
    assert spread(found, "cifar10", "test", sources) == pytest.approx((np.mean(expected), np.std(expected)))


def test_the_command_needs_nothing_but_agents(no_tables: Path) -> None:
    result = runner.invoke(cli.build(), ["bench", "--protocol", "k30", "--agent", "random_search"])
    assert result.exit_code == 0, result.output
    assert "90 searches, 0 of them finished before" in result.output
    assert "test" not in result.output
    files = sorted(Path("runs/bench").rglob("*.jsonl"))
    assert [path.parent.name for path in files[::30]] == sorted(IDS)
    assert {read(path).header["seed"] for path in files} == set(range(30))


def test_the_command_shows_test_accuracies_where_they_are_known(test_known: Path) -> None:
    words = ["bench", "--protocol", "k30", "--agent", "random_search", "--seeds", "0-2"]
    result = runner.invoke(cli.build(), words)
    assert result.exit_code == 0, result.output
    assert result.output.count("test") == 1, "of CIFAR-10 alone"
    assert result.output.endswith("nb201 report runs/bench --table published-cifar10-200\n")
    rows = json.loads(runner.invoke(cli.build(), [*words, "--json"]).output)
    test = open_table("published-cifar10-200").accuracy(split="test", epochs=200, run="mean")
    for row in rows:
        path = Path("runs/bench") / row["env"] / f"random_search-{row['seed']}.jsonl"
        chosen = read(path).incumbents()[-1]
        assert row.get("test_accuracy") == (test[chosen] if "cifar10-v0" in row["env"] else None)
    mean = np.mean([row["test_accuracy"] for row in rows if "test_accuracy" in row])
    assert f"{100 * mean:.2f} ±" in result.output


def test_the_report_looks_answers_up(test_known: Path) -> None:
    words = ["bench", "--protocol", "k30", "--agent", "random_search", "--seeds", "0-1"]
    assert runner.invoke(cli.build(), words).exit_code == 0
    words = ["report", "runs/bench", "--no-figures", "--table", "published-cifar10-200"]
    assert runner.invoke(cli.build(), words).exit_code == 0
    text = Path("report/report.md").read_text(encoding="utf-8")
    assert text.count("test accuracy on published-cifar10-200 (%)") >= 1
    assert "Beside the paper" not in text, "no paper's row is of this protocol"


def test_other_seeds_and_budgets(no_tables: Path) -> None:
    words = ["bench", "--protocol", "k30", "--agent", "random_search"]
    result = runner.invoke(cli.build(), [*words, "--seeds", "4"])
    assert "3 searches, 0 of them" in result.output
    result = runner.invoke(cli.build(), [*words, "--budget", "31"])
    assert "--protocol sets environments and budgets" in str(result.exception)
