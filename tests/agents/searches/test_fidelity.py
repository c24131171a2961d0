"""Searches on a surrogate's table beside searches on its training table, made up here and real."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import cli
from nb201env.agents.searches import fidelity
from nb201env.agents.searches.fidelity import (
    SearchPlan,
    _ranges,
    compare,
    leave_one_out,
    read_searches,
    regret_curves,
    training_table,
    trajectory_fidelity,
)
from nb201env.agents.searches.runner import Search
from nb201env.agents.searches.writing import Writer
from nb201env.architecture import Architecture
from nb201env.space import SIZE
from nb201env.surrogate.fidelity.evaluate import Plan, add_searches, evaluate
from nb201env.table import Table, write_table
from nb201env.tables import open_table
from nb201env.trajectory import FORMAT, VERSION, BadTrajectory, Trajectory


def made_up(agent: str, table: Table, index: Any, accuracy: Any) -> Trajectory:
    """A search that asked for these architectures and was answered with these accuracies."""
    header = {
        "format": FORMAT, "version": VERSION, "agent": agent, "command": "made up", "seed": 0,
        "env": {"id": "NB201-cifar10-v0", "kwargs": {}}, "table": {"name": table.name, "id": table.id},
    }  # fmt: skip
    queries = [
        {"architecture": str(Architecture.from_index(int(i))), "run": "0", "accuracy": float(a),
         "seconds": 1.0, "clock": 1.0}
        for i, a in zip(index, accuracy, strict=True)
    ]  # fmt: skip
    return Trajectory(Path(f"{agent}.jsonl"), header, queries, True)


def random_searches(table: Table, agent: str, count: int, queries: int, seed: int = 0) -> list[Trajectory]:
    """Uniformly random queries; agent "good" asks among the best half only."""
    rng = np.random.default_rng(seed)
    means = table.accuracy(split="valid", epochs=200, run="mean")
    pool = np.argsort(-means)[: SIZE // 2] if agent == "good" else np.arange(SIZE)
    runs = table.runs(split="valid", epochs=200)[:, 0]
    searches = []
    for _ in range(count):
        index = rng.choice(pool, queries)
        searches.append(made_up(agent, table, index, runs[index]))
    return searches


def write_trajectory(path: Path, search: Trajectory, *, end: bool = True) -> None:
    writer = Writer(path, search.header)
    for query in search.queries:
        writer.query(query)
    writer.close(complete=end)
    if not end:
        writer.partial.rename(path)


def planned(folder: Path) -> Search:
    return Search("rnd", "NB201-cifar10-v0", 0, {"budget_queries": 7}, folder)


@pytest.fixture(scope="module")
def table() -> Table:
    return open_table("cifar10-valid-200")


@pytest.fixture(scope="module")
def surrogate_table() -> Table:
    return open_table("cifar10-valid-200-surrogate")


def test_trajectory_files_are_read(table: Table, tmp_path: Path) -> None:
    search = random_searches(table, "rnd", 1, 7)[0]
    write_trajectory(tmp_path / "rnd-0.jsonl", search)
    (read,) = read_searches([planned(tmp_path)], table)
    np.testing.assert_array_equal(read.index, search.index)
    np.testing.assert_array_equal(read.accuracy, search.accuracy)
    assert read.header["command"] == "made up"


def test_other_files_are_refused(table: Table, surrogate_table: Table, tmp_path: Path) -> None:
    searches = [planned(tmp_path)]
    with pytest.raises(FileNotFoundError, match="rnd-0.jsonl"):
        read_searches(searches, table)
    search = random_searches(table, "rnd", 1, 7)[0]
    write_trajectory(tmp_path / "rnd-0.jsonl", search)
    with pytest.raises(ValueError, match="rnd-0.jsonl: searched the table cifar10-valid-200 with id"):
        read_searches(searches, surrogate_table)
    write_trajectory(tmp_path / "rnd-0.jsonl", search, end=False)
    with pytest.raises(ValueError, match="not the trajectory of a finished search"):
        read_searches(searches, table)
    (tmp_path / "rnd-0.jsonl").write_text("hello\n")
    with pytest.raises(BadTrajectory, match=r"rnd-0.jsonl, line 1: not JSON"):
        read_searches(searches, table)


def test_regret_follows_the_incumbent(table: Table) -> None:
    means = table.accuracy(split="valid", epochs=200, run="mean")
    best = int(np.argmax(means))
    search = made_up("a", table, [0, best, 5], [0.1, 0.92, 0.91])
    curve = regret_curves(table, [search], 3)[0]
    np.testing.assert_allclose(curve, [means[best] - means[0], 0, 0])
    # A lucky run of a worse architecture takes the lead, and the regret says what it is worth.
    lucky = made_up("a", table, [best, 0], [0.91, 0.93])
    np.testing.assert_allclose(regret_curves(table, [lucky], 2)[0], [0, means[best] - means[0]])
    with pytest.raises(ValueError, match="3 queries; 4 are needed"):
        regret_curves(table, [search], 4)


def without(table: Table, index: int, path: Path) -> Table:
    """The table's mean accuracies, without one architecture."""
    accuracy = table.accuracy(split="valid", epochs=200, run="mean").reshape(SIZE, 1, 1).copy()
    accuracy[index] = np.nan
    manifest = {
        "name": "partial-200", "task": {"name": "toy", "dataset": "cifar10"}, "schedule": {"epochs": 200},
        "seeds": [777], "provenance": {}, "licence": "none", "columns": {"valid_accuracy": {"epochs": [200]}},
    }  # fmt: skip
    return write_table(path / "partial.safetensors", manifest, {"valid_accuracy": accuracy})


def test_what_a_table_lacks_makes_no_curve_of_nothing(table: Table, tmp_path: Path) -> None:
    partial = without(table, 5, tmp_path)
    search = made_up("a", partial, [4, 5, 6], [0.1, 0.2, 0.15])
    with pytest.raises(
        ValueError, match=r"a.jsonl: partial-200 has no run of what it had found after 2 queries"
    ):
        regret_curves(partial, [search], 3)
    assert np.isfinite(regret_curves(partial, [search], 1)).all()
    later = made_up("a", partial, [4, 5, 6], [0.1, 0.05, 0.15])
    assert np.isfinite(regret_curves(partial, [later], 3)).all(), "it was never the incumbent"


def test_what_a_table_lacks_is_neither_trained_on_nor_tested_on(table: Table, tmp_path: Path) -> None:
    partial = without(table, 5, tmp_path)
    searches = {"a": [made_up("a", partial, [*range(40)], [0.1] * 40)],
                "b": [made_up("b", partial, [5, *range(60, 90)], [0.1] * 31)]}  # fmt: skip
    rows = leave_one_out(partial, searches)
    assert {(row["train"], row["test"], row["trained_on"], row["tested_on"]) for row in rows} == {
        ("a", "b", 39, 30), ("a", "everything", 39, SIZE - 40),
        ("b", "a", 30, 39), ("b", "everything", 30, SIZE - 31),
    }  # fmt: skip
    assert all(np.isfinite(row["kendall_tau"]) and np.isfinite(row["r2"]) for row in rows)


def test_data_sets_without_an_id_of_their_own_use_the_one_for_all() -> None:
    official = open_table("cifar10-valid-200")
    for dataset, env_id in (
        ("cifar10", "NB201-cifar10-v0"),
        ("digits", "NB201-digits-v0"),
        ("mnist", "NB201-v0"),
    ):
        table: Any = SimpleNamespace(dataset=dataset, name=official.name)
        (one,) = SearchPlan("s", ("random_search",), (0,)).searches("random_search", table, "t", Path())
        assert one.env_id == env_id


def test_the_same_searches_are_inside_the_band(table: Table) -> None:
    searches = {name: random_searches(table, name, 10, 20) for name in ("good", "any")}
    same = trajectory_fidelity(table, table, searches, searches, 20)
    for name, one in same["agents"].items():
        spread = regret_curves(table, searches[name], 20)[:, -1].std()
        assert one["final_std"] == dict.fromkeys(("table", "surrogate", "found"), spread)
        assert one["inside"] == 1
        assert one["outside"] == one["apart"] == []
        assert one["p_value"] > 0.9
    assert same["ranking_table"] == same["ranking_surrogate"]
    assert same["ranking_tau"] == 1
    assert same["clear_pairs"] == same["clear_pairs_agree"]


def test_leaving_the_band_is_reported(table: Table) -> None:
    real = {"a": random_searches(table, "good", 10, 20)}
    worst = int(np.argmin(table.accuracy(split="valid", epochs=200, run="mean")))
    bad = {"a": [made_up("a", table, [worst] * 20, [0.1] * 20)] * 3}
    one = trajectory_fidelity(table, table, real, bad, 20)["agents"]["a"]
    assert one["inside"] == 0
    assert one["outside"] == one["apart"] == [[1, 20]]
    assert one["p_value"] < 0.05


def test_a_wrong_order_of_clearly_different_agents_is_counted(table: Table) -> None:
    """The surrogate's searches swap the two agents."""
    searches = {name: random_searches(table, name, 12, 3) for name in ("good", "any")}
    swapped = {"good": searches["any"], "any": searches["good"]}
    found = trajectory_fidelity(table, table, searches, swapped, 3)
    assert found["clear_pairs"] == 1
    assert found["clear_pairs_agree"] == 0
    assert found["ranking_tau"] == -1


def test_ranges_are_counted_from_one() -> None:
    assert _ranges(np.array([1, 0, 1, 1, 0], dtype=bool)) == [[1, 1], [3, 4]]
    assert _ranges(np.zeros(3, dtype=bool)) == []


def test_leave_one_out_trains_on_one_agent_and_tests_on_another(table: Table) -> None:
    searches = {name: random_searches(table, name, 4, 60) for name in ("good", "any")}
    rows = leave_one_out(table, searches)
    assert [(row["train"], row["test"]) for row in rows] == [
        ("good", "any"), ("good", "everything"), ("any", "good"), ("any", "everything")
    ]  # fmt: skip
    for row in rows:
        assert row["trained_on"] <= 240
        assert row["tested_on"] <= SIZE - row["trained_on"]
        assert 0 < row["kendall_tau"] < 1
    # Who has seen the bad half knows the whole space better.
    assert rows[3]["kendall_tau"] > rows[1]["kendall_tau"]


# -- real searches -----------------------------------------------------------------------------


SMALL = SearchPlan(
    "cifar10-valid-200-surrogate", ("random_search", "regularized_evolution"), seeds=(0, 1, 2), queries=30
)


Compared = tuple[Path, dict[str, Any], list[str]]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """The folder of real searches, what is found, and what was said."""
    folder, said = tmp_path_factory.mktemp("compared"), list[str]()
    return folder, compare(SMALL, folder, said.append), said


def test_searches_on_both_tables_are_compared(compared: Compared, tmp_path: Path) -> None:
    """The report that they become a part of keeps them when it is evaluated again."""
    _, searches, said = compared
    assert said == searches["commands"]
    assert len(said) == 4
    assert set(searches["trajectory_fidelity"]["agents"]) == {"random_search", "regularized_evolution"}
    assert len(searches["leave_one_out"]) == 4
    summary = add_searches({"command": "this test"} | searches, tmp_path)
    page = (tmp_path / "fidelity.md").read_text()
    assert "Written by `this test` with" in page
    assert "mean regret on the surrogate" in page
    assert said[0] in page
    assert (tmp_path / "surrogate-searches.png").exists()
    evaluated = evaluate(Plan(tables=(), split="valid", epochs=200, out=tmp_path, command="an evaluation"))
    assert evaluated["searches"] == summary["searches"]
    assert "Written by `an evaluation` and `this test` with" in (tmp_path / "fidelity.md").read_text()


def test_searches_are_those_of_the_command_that_is_named(compared: Compared, tmp_path: Path) -> None:
    folder, searches, _ = compared
    command = searches["commands"][-1]
    assert command == (
        "nb201 search --agent regularized_evolution --env NB201-cifar10-v0 "
        '--env-kwargs \'{"table": "cifar10-valid-200-surrogate"}\' --budget 30 --seeds 0-2'
    )
    surrogate = open_table(SMALL.surrogate)
    mine = folder / "searches" / surrogate.id[:12] / "regularized_evolution-2.jsonl"
    budget, further = {"budget_queries": 30}, {"table": SMALL.surrogate}
    alone = Search(
        "regularized_evolution", "NB201-cifar10-v0", 2, budget, tmp_path / "alone", env_kwargs=further
    ).run()
    assert mine.read_bytes() == alone.read_bytes()


def test_only_missing_searches_are_run(compared: Compared, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, searches, _ = compared
    run: list[Search] = []
    original = fidelity.run_missing

    def noting(some: Sequence[Search]) -> None:
        run.extend(some)
        original(some)

    monkeypatch.setattr(fidelity, "run_missing", noting)
    assert compare(SMALL, folder) == searches
    assert run == []
    next((folder / "searches").glob("*/random_search-1.jsonl")).unlink()
    assert compare(SMALL, folder) == searches
    assert [(search.agent, search.seed) for search in run] == [("random_search", 1)]


def test_what_else_was_searched_before_does_not_count(compared: Compared) -> None:
    folder, searches, _ = compared
    fewer = compare(SearchPlan(SMALL.surrogate, ("random_search",), seeds=(0, 1), queries=30), folder)
    assert fewer["commands"] == [
        searches["commands"][place].replace("--seeds 0-2", "--seeds 0-1") for place in (0, 2)
    ]
    (one,) = fewer["trajectory_fidelity"]["agents"].values()
    assert one["searches_table"] == one["searches_surrogate"] == 2
    assert [(row["train"], row["test"]) for row in fewer["leave_one_out"]] == [
        ("random_search", "everything")
    ]


def test_searches_of_another_budget_are_not_taken_for_those_asked_for(compared: Compared) -> None:
    folder, _, _ = compared
    with pytest.raises(ValueError, match="of another configuration.*choose another --out"):
        compare(SearchPlan(SMALL.surrogate, SMALL.agents, SMALL.seeds, queries=20), folder)


def test_one_search_of_one_agent_is_reported_without_what_it_cannot_tell(
    compared: Compared, tmp_path: Path
) -> None:
    folder, _, _ = compared
    alone = compare(SearchPlan(SMALL.surrogate, ("random_search",), seeds=(0,), queries=30), folder)
    assert alone["trajectory_fidelity"]["agents"]["random_search"]["apart"] == []
    add_searches(alone, tmp_path)
    assert "NaN" not in (tmp_path / "fidelity.json").read_text()
    page = (tmp_path / "fidelity.md").read_text()
    assert "- random_search: the mean regret on the surrogate" in page
    assert "nan" not in page
    assert "Agents by mean final regret" not in page


def test_searches_need_a_surrogates_table() -> None:
    with pytest.raises(ValueError, match="cifar100-200 is not a surrogate's table"):
        training_table(open_table("cifar100-200"))
    assert training_table(open_table("cifar10-valid-200-surrogate")) == "cifar10-valid-200"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.safetensors", "mine", 5, None])
def test_a_manifest_leads_to_no_file(name: Any) -> None:
    trained = {"name": name, "id": "0" * 64}
    manifest = {"kind": "surrogate", "provenance": {"training_table": trained}}
    surrogate: Any = SimpleNamespace(name="s", manifest=manifest)
    with pytest.raises(
        (FileNotFoundError, ValueError), match="s was trained on|s: provenance: training_table: name"
    ):
        training_table(surrogate)


def test_a_failing_search_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="unknown agent 'nobody'"):
        compare(SearchPlan(SMALL.surrogate, ("nobody",)), tmp_path)

    def broken(*_: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(Search, "run", broken)
    with pytest.raises(RuntimeError, match="--agent random_search .* failed: RuntimeError: no luck"):
        compare(SMALL, tmp_path)


def test_the_command_reports_what_it_compared(tmp_path: Path) -> None:
    words = ["--table", SMALL.surrogate, "--agent", "random_search,regularized_evolution", "--seeds", "0-2"]
    result = CliRunner().invoke(
        cli.build(), ["fidelity", *words, "--queries", "30", "--out", str(tmp_path)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    assert "of the queries inside the band" in result.output
    assert "## Trajectory fidelity" in (tmp_path / "fidelity.md").read_text()
