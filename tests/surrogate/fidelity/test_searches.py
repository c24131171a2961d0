"""Trajectory fidelity and leave-one-out, on searches made up here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray, IntArray
from nb201env.space import SIZE
from nb201env.surrogate.fidelity.searches import (
    _ranges,
    leave_one_out,
    read_searches,
    regret_curves,
    trajectory_fidelity,
)
from nb201env.table import Table
from nb201env.tables import open_table
from nb201env.trajectory import FORMAT, VERSION, BadTrajectory, Trajectory


def made_up(table: Table, agent: str, index: IntArray, accuracy: FloatArray) -> Trajectory:
    header = {
        "format": FORMAT, "version": VERSION, "agent": agent, "command": "made up",
        "table": {"name": table.name, "id": table.id},
    }  # fmt: skip
    queries = [
        {
            "architecture": str(Architecture.from_index(i)),
            "run": "777",
            "accuracy": a,
            "seconds": 1,
            "clock": 1,
        }
        for i, a in zip(index.tolist(), accuracy.tolist(), strict=True)
    ]
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
        searches.append(made_up(table, agent, index, runs[index]))
    return searches


def write_trajectory(path: Path, search: Trajectory, *, end: bool = True) -> None:
    lines = [search.header, *search.queries, *([{"end": "search over"}] if end else [])]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(scope="module")
def surrogate_table() -> Table:
    return open_table("cifar10-valid-200-surrogate")


def test_trajectory_files_are_read(table: Table, tmp_path: Path) -> None:
    search = random_searches(table, "rnd", 1, 7)[0]
    write_trajectory(tmp_path / "rnd-0.jsonl", search)
    read = read_searches(tmp_path, table)["rnd"][0]
    np.testing.assert_array_equal(read.index, search.index)
    np.testing.assert_array_equal(read.accuracy, search.accuracy)
    assert read.header["command"] == "made up"


def test_other_files_are_refused(table: Table, surrogate_table: Table, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no trajectories"):
        read_searches(tmp_path, table)
    search = random_searches(table, "rnd", 1, 7)[0]
    write_trajectory(tmp_path / "rnd-0.jsonl", search)
    with pytest.raises(ValueError, match="rnd-0.jsonl: searched the table cifar10-valid-200 with id"):
        read_searches(tmp_path, surrogate_table)
    write_trajectory(tmp_path / "rnd-0.jsonl", search, end=False)
    with pytest.raises(ValueError, match="not the trajectory of a finished search"):
        read_searches(tmp_path, table)
    (tmp_path / "rnd-0.jsonl").write_text("hello\n")
    with pytest.raises(BadTrajectory, match=r"rnd-0.jsonl, line 1: not JSON"):
        read_searches(tmp_path, table)


def test_regret_follows_the_incumbent(table: Table) -> None:
    means = table.accuracy(split="valid", epochs=200, run="mean")
    best = int(np.argmax(means))
    search = made_up(table, "a", np.array([0, best, 5]), np.array([0.1, 0.92, 0.91]))
    curve = regret_curves(table, [search], 3)[0]
    np.testing.assert_allclose(curve, [means[best] - means[0], 0, 0])
    # A lucky run of a worse architecture takes the lead, and the regret says what it is worth.
    lucky = made_up(table, "a", np.array([best, 0]), np.array([0.91, 0.93]))
    np.testing.assert_allclose(regret_curves(table, [lucky], 2)[0], [0, means[best] - means[0]])
    with pytest.raises(ValueError, match="3 queries; 4 are needed"):
        regret_curves(table, [search], 4)


def test_the_same_searches_are_inside_the_band(table: Table) -> None:
    searches = {name: random_searches(table, name, 10, 20) for name in ("good", "any")}
    same = trajectory_fidelity(table, table, searches, searches, 20)
    for one in same["agents"].values():
        assert one["inside"] == 1
        assert one["outside"] == one["apart"] == []
        assert one["p_value"] > 0.9
    assert same["ranking_table"] == same["ranking_surrogate"]
    assert same["ranking_tau"] == 1
    assert same["clear_pairs"] == same["clear_pairs_agree"]


def test_leaving_the_band_is_reported(table: Table) -> None:
    real = {"a": random_searches(table, "good", 10, 20)}
    worst = int(np.argmin(table.accuracy(split="valid", epochs=200, run="mean")))
    bad = {"a": [made_up(table, "a", np.full(20, worst), np.full(20, 0.1))] * 3}
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
