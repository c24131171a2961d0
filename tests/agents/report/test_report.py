"""`nb201 report`: numbers that agree with the trajectories, and nothing else than the trajectories."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import Architecture, cli, open_table
from nb201env.agents import make_agent
from nb201env.agents.report import provenance
from nb201env.agents.report.curves import by_seconds
from nb201env.agents.report.data import Bench, load
from nb201env.agents.report.summary import hits, summarise
from nb201env.agents.searches.outcome import Landscape, Outcome
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.recorder import record
from nb201env.agents.searches.runner import Search, run_all
from nb201env.table import Table
from nb201env.trajectory import BadTrajectory, read
from tests.agents.conftest import ENVS, LIGHT

runner = CliRunner()


def report(out: Path, *folders: Path, figures: bool = False) -> str:
    words = ["report", *map(str, folders), "--out", str(out)] + ["--no-figures"] * (not figures)
    result = runner.invoke(cli.build(), words)
    if result.exception:
        raise result.exception
    return result.output


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def unmarked(path: Path) -> str:
    """A report without the marks of its best numbers."""
    return path.read_text().replace("**", "")


@pytest.fixture(scope="module")
def written(bench_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    report(out, bench_folder)
    return out


@pytest.fixture
def copy(bench_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bench_folder, tmp_path / "copy"))


# -- the numbers -----------------------------------------------------------------------------


def test_every_final_number_can_be_computed_by_hand(bench_folder: Path, written: Path) -> None:
    found = rows(written / "searches.csv")
    assert len(found) == 2 * 2 * 6
    for row in found:
        agent = row["agent"].replace(" ", "_")
        trajectory = read(bench_folder / row["environment"] / f"{agent}-{row['seed']}.jsonl")
        table = open_table(trajectory.header["table"]["name"])
        best = max(trajectory.queries, key=lambda q: q["accuracy"])
        assert row["architecture"] == best["architecture"]
        valid = table.accuracy(split="valid", epochs=200, run="mean")
        mine = valid[Architecture.parse(best["architecture"]).index]
        assert float(row["validation_percent"]) == pytest.approx(100 * mine)
        assert float(row["regret_points"]) == pytest.approx(100 * (valid.max() - mine), abs=1e-6)
        assert int(row["rank"]) == 1 + (valid > mine).sum()
        assert float(row["gpu_seconds"]) == pytest.approx(trajectory.clock[-1])
        within = [i for i, index in enumerate(trajectory.index) if valid.max() - valid[index] <= 0.003]
        assert row["queries_to_0.3"] == (str(within[0] + 1) if within else "")
        assert row["test_percent"] == ""
        assert row["table_id"] == table.id


def test_means_and_spreads_are_those_of_the_searches(bench: Bench, written: Path) -> None:
    searches = rows(written / "searches.csv")
    for row in rows(written / "agents.csv"):
        key = row["environment"], row["agent"]
        mine = [one for one in searches if (one["environment"], one["agent"]) == key]
        percent = np.array([float(one["validation_percent"]) for one in mine])
        assert float(row["validation_percent_mean"]) == pytest.approx(percent.mean())
        assert float(row["validation_percent_sd"]) == pytest.approx(percent.std(), abs=1e-6)
        cells = f"| {row['agent']} | 6 | 0-5 | 80 |", f"| {percent.mean():.2f} ± {percent.std():.2f} |"
        assert all(cell in unmarked(written / "report.md") for cell in cells)
    assert bench.labels == ["random search", "regularized evolution"]


def test_curves_end_where_the_searches_end(bench: Bench) -> None:
    for one in summarise(bench).settings:
        for agent in one.agents:
            final = agent.entry.finals().mean()
            assert agent.by_queries.x[-1] == 80
            assert agent.by_queries.mean[-1] == pytest.approx(final)
            assert agent.by_seconds.x[-1] == min(s.clock[-1] for s in agent.entry.searches)
            for curve in (agent.by_queries, agent.by_seconds):
                assert (curve.low <= curve.mean + 1e-12).all()
                assert (curve.mean <= curve.high + 1e-12).all()
                assert (curve.q25 <= curve.median).all()
            assert agent.profile.share[-1] == 1


def test_random_searchs_mean_curve_is_the_closed_form(tmp_path: Path) -> None:
    """300 searches: the mean regret after each number of queries lies within 4 standard errors."""
    searches = plan(["random_search"], ENVS[:1], range(300), {"budget_queries": 40}, tmp_path)
    run_all(searches, 1, lambda *_: None)
    (one,) = summarise(load([tmp_path])).settings
    (agent,) = one.agents
    assert one.random is not None
    np.testing.assert_array_equal(one.random.x, agent.by_queries.x)
    grid = agent.by_queries.x.astype(int) - 1
    error = np.array([s.regrets[grid] for s in agent.entry.searches]).std(axis=0) / np.sqrt(300)
    assert (np.abs(agent.by_queries.mean - one.random.mean) < 4 * error).all()


def test_time_curves_are_steps(bench: Bench) -> None:
    """Two searches whose answers come at different times; the curve starts when both have one."""
    table = bench.settings[0].landscape.table
    valid = np.zeros(15_625)
    valid[:4] = [0.5, 0.7, 0.8, 0.9]
    landscape = Landscape(table, valid, None, 0.9)

    def search(index: list[int], clock: list[float]) -> Outcome:
        asked = np.array(index)
        return Outcome(Path("x"), {"seed": 0}, landscape, asked, np.array(clock), asked, asked >= 0)

    searches = [search([0, 2, 3], [10, 20, 90]), search([1, 3], [30, 50])]
    curve = by_seconds([one.clock for one in searches], [one.regrets for one in searches])
    assert curve.x[0] == 30
    assert curve.x[-1] == 50
    np.testing.assert_allclose(curve.mean[:-1], (0.1 + 0.2) / 2)
    assert curve.mean[-1] == pytest.approx((0.1 + 0.0) / 2)


def test_repeated_architectures_count_as_queries_but_not_as_different(bench: Bench) -> None:
    landscape = bench.settings[0].landscape
    best = int(np.argmax(landscape.valid))
    index = np.array([5, 5, 5, 6, best, best])
    one = Outcome(Path("x"), {"seed": 0}, landscape, index, np.arange(6.0), index, index >= 0)
    assert hits(one) == [(5, 3, 4.0)] * 3
    partly = replace(one, whole=np.array([True] * 5 + [False]), index=np.array([5, 5, 5, 6, 7, best]))
    assert hits(partly)[0] == (np.inf, np.inf, np.inf)


def test_queries_that_name_all_epochs_are_whole(copy: Path) -> None:
    """As BOHB's do: the same search reaches the same, whether or not it says how long it trained."""
    reached = [agent.reach for one in summarise(load([copy])).settings for agent in one.agents]
    for path in copy.rglob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        named = [line | ({"epochs": 200} if "clock" in line else {}) for line in lines]
        path.write_text("".join(json.dumps(line) + "\n" for line in named))
    assert [agent.reach for one in summarise(load([copy])).settings for agent in one.agents] == reached
    assert sum(target.reached for agent in reached for target in agent) > 0


def test_ranks_count_what_is_better(bench: Bench) -> None:
    landscape = bench.settings[0].landscape
    assert landscape.rank[int(np.argmax(landscape.valid))] == 1
    for index in (0, 777, 15_624):
        assert landscape.rank[index] == 1 + (landscape.valid > landscape.valid[index]).sum()


def test_test_accuracy_is_shown_where_the_table_records_it(
    tested_table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tested_table.container.path)
    monkeypatch.setenv("NB201_HOME", str(Path(path).parent))
    searches = plan(
        LIGHT, ENVS[:1], [0, 1], {"budget_queries": 20}, tmp_path / "runs", env_kwargs={"table": path}
    )
    run_all(searches, 1, lambda *_: None)
    report(tmp_path / "out", tmp_path / "runs")
    for row in rows(tmp_path / "out" / "searches.csv"):
        assert float(row["test_percent"]) == pytest.approx(float(row["validation_percent"]) - 1)
    page = (tmp_path / "out" / "report.md").read_text()
    assert "not recorded" not in page
    valid, test = re.findall(r"(\d\d\.\d\d) ± \d\.\d\d", page)[:2]
    assert float(test) == pytest.approx(float(valid) - 1, abs=0.011)


def test_without_test_accuracy_the_report_says_so(written: Path) -> None:
    page = (written / "report.md").read_text()
    assert page.count("| not recorded |") == 4 + 2  # the agents' rows, and the tables'


def test_agents_with_other_hyperparameters_are_agents_of_their_own(tmp_path: Path) -> None:
    for sample in (2, 5):
        out = tmp_path / "runs" / str(sample)
        settings = {"regularized_evolution": {"sample": sample, "population": 7}}
        run_all(plan(LIGHT, ENVS[:1], [sample], {"budget_queries": 20}, out, settings), 1, lambda *_: None)
    bench = load([tmp_path / "runs"])
    assert bench.labels == [
        "random search",
        "regularized evolution (sample 2)",
        "regularized evolution (sample 5)",
    ]
    assert bench.settings[0].entries[0].seeds == [2, 5]


# -- traced and repeatable -------------------------------------------------------------------


def test_agents_whose_names_read_alike_are_kept_apart(tmp_path: Path) -> None:
    for seed, name in enumerate(("random_search", "random search")):
        env = gym.make(ENVS[0], budget_queries=5)
        record(make_agent("random_search"), env, seed, tmp_path / f"{seed}.jsonl", name=name)
    (setting,) = load([tmp_path]).settings
    assert [(entry.label, entry.seeds) for entry in setting.entries] == [
        ("random_search", [0]), ("random search", [1])
    ]  # fmt: skip


def test_the_same_trajectories_give_the_same_bytes(bench_folder: Path, written: Path, tmp_path: Path) -> None:
    report(tmp_path, bench_folder)
    for path in written.iterdir():
        text = path.read_text().replace(str(written), str(tmp_path))
        assert (tmp_path / path.name).read_text() == text
    names = {"report.md", "report.html", "searches.csv", "agents.csv", "curves.csv", "reach.csv",
             "profiles.csv", "improvement.csv", "overall.csv", "elsewhere.csv", "chosen.csv",
             "report.json"}  # fmt: skip
    assert {path.name for path in written.iterdir()} == names


def test_where_the_files_lie_does_not_matter(bench_folder: Path, written: Path, tmp_path: Path) -> None:
    """Two folders instead of one, and another order of files."""
    for env in ENVS:
        shutil.copytree(bench_folder / env, tmp_path / env)
    report(tmp_path / "out", tmp_path / ENVS[1], tmp_path / ENVS[0])
    for name in ("searches", "agents", "curves", "improvement", "profiles", "overall"):
        assert (tmp_path / "out" / f"{name}.csv").read_bytes() == (written / f"{name}.csv").read_bytes()
    assert load([bench_folder]).digest == load([tmp_path / ENVS[1], tmp_path / ENVS[0]]).digest


def test_the_report_names_where_its_numbers_are_from(bench: Bench, written: Path) -> None:
    for name in ("report.md", "report.html"):
        page = (written / name).read_text()
        for setting in bench.settings:
            assert setting.landscape.table.id in page
        assert bench.digest in page
        assert "24 trajectories" in page
        assert "nb201 search --agent random_search --env NB201-cifar100-v0 --seeds 0-5 --budget 80" in page
        assert f"numpy {np.__version__}" in page
        assert f"--out {written}" in page


def test_commands_are_merged_only_if_they_differ_in_the_seed_alone(bench: Bench) -> None:
    entry = bench.settings[0].entries[0]
    assert provenance.command(entry) == (
        "nb201 search --agent random_search --env NB201-cifar10-v0 --seeds 0-5 --budget 80"
    )
    entry.searches[0].header["command"], kept = "python mine.py", entry.searches[0].header["command"]
    assert provenance.command(entry) == "not shown (the trajectory names no single nb201 command)"
    entry.searches[0].header["command"] = ""
    assert provenance.command(entry) == "not recorded"
    entry.searches[0].header["command"] = kept


def test_replaying_is_said(bench_folder: Path) -> None:
    checked = load([bench_folder], check=True)
    assert checked.replayed
    assert "Every trajectory was replayed" in provenance.sentences(summarise(checked), "")[1]


def test_one_search_alone_can_be_reported(tmp_path: Path) -> None:
    """No intervals then, and nobody to compare with."""
    pytest.importorskip("matplotlib")
    Search("random_search", ENVS[0], 0, {"budget_queries": 1}, tmp_path / "runs").run()
    report(tmp_path / "out", tmp_path / "runs", figures=True)
    page = (tmp_path / "out" / "report.md").read_text()
    assert "nan" not in page
    assert "±" not in page.split("| random search |")[1].split("\n")[0]


def test_a_budget_in_seconds(tmp_path: Path) -> None:
    searches = plan(LIGHT, ENVS[:1], [0, 1, 2], {"budget_seconds": 60_000.0}, tmp_path / "runs")
    run_all(searches, 1, lambda *_: None)
    report(tmp_path / "out", tmp_path / "runs")
    page = (tmp_path / "out" / "report.md").read_text()
    assert "Budget: 60,000 simulated GPU seconds per search." in page
    assert "not within the budget" in page


# -- what can go wrong -----------------------------------------------------------------------


def error(folder: Path, kind: type[Exception] = ValueError) -> str:
    with pytest.raises(kind) as caught:
        load([folder])
    return str(caught.value)


def edit(path: Path, **changes: Any) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([json.dumps(json.loads(lines[0]) | changes) + "\n", *lines[1:]]))


@pytest.fixture
def victim(copy: Path) -> Path:
    return copy / ENVS[0] / "random_search-3.jsonl"


def test_nothing_to_report(tmp_path: Path) -> None:
    assert "no finished search" in error(tmp_path)
    assert "no folder" in error(tmp_path / "nowhere", FileNotFoundError)


def test_damaged_trajectories(copy: Path, victim: Path) -> None:
    content = victim.read_text()
    lines = content.splitlines(keepends=True)
    damages = {
        content[:-30]: "random_search-3.jsonl: cut short; run its search again: nb201 search --agent",
        "".join([*lines[:9], "{\n", *lines[10:]]): "line 10: not JSON",
        "".join([*lines[:9], "{}\n", *lines[10:]]): "line 10: not a query",
        content.replace("nor_conv_3x3~0|+", "nor_conv_7x7~0|+", 1): "unknown op 'nor_conv_7x7'",
        "".join([lines[0], lines[-1]]): "asked nothing",
        "": "no header",
    }
    for damaged, message in damages.items():
        victim.write_text(damaged)
        assert message in error(copy, BadTrajectory)


def test_a_foreign_table_is_an_error(copy: Path, victim: Path) -> None:
    edit(victim, table={"name": "cifar10-valid-200", "id": "f" * 64})
    assert "random_search-3.jsonl: searched the table cifar10-valid-200 with id ffffffffffff" in error(
        copy, FileNotFoundError
    )


def test_budgets_are_not_mixed(copy: Path) -> None:
    Search("random_search", ENVS[0], 50, {"budget_queries": 81}, copy).run()
    assert 'different budgets, {"budget_queries": 80} and {"budget_queries": 81}' in error(copy)


def test_environments_that_differ_are_not_mixed(copy: Path) -> None:
    Search(
        "random_search", ENVS[0], 0, {"budget_queries": 80}, copy / "x", env_kwargs={"repeats": "free"}
    ).run()
    names = [setting.name for setting in load([copy]).settings]
    assert len(names) == 3
    assert "NB201-cifar10-v0 (repeats free, table cifar10-valid-200)" in names


def test_a_search_counts_once(copy: Path, victim: Path) -> None:
    shutil.copy(victim, copy / "again.jsonl")
    assert "are the same search; keep one" in error(copy)


def test_forged_numbers_do_not_replay(copy: Path, victim: Path) -> None:
    lines = victim.read_text().splitlines(keepends=True)
    query = json.loads(lines[5])
    lines[5] = json.dumps(query | {"accuracy": 0.99}) + "\n"
    victim.write_text("".join(lines))
    load([copy])
    with pytest.raises(BadTrajectory, match=r"random_search-3.jsonl: does not replay: query 5: accuracy is"):
        load([copy], check=True)


def test_searches_cut_short_are_named_and_left_out(copy: Path, victim: Path, tmp_path: Path) -> None:
    victim.rename(victim.with_name(victim.name + ".partial"))
    output = report(tmp_path / "out", copy)
    assert f"left out, because cut short: {ENVS[0]}/random_search-3.jsonl.partial" in output
    page = (tmp_path / "out" / "report.md").read_text()
    assert f"Searches cut short, not part of any number: {ENVS[0]}/random_search-3.jsonl.partial." in page
    assert "| random search | 5 | 0-2,4-5 |" in page
