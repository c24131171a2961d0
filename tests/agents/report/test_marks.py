"""What is marked as the best of a column: the best, and what cannot be told apart from it."""

from __future__ import annotations

import numpy as np
import pytest

from nb201env.agents.report import tables
from nb201env.agents.report.grid import Cell, Grid
from nb201env.agents.report.marks import alike, best, mark, together
from nb201env.agents.report.statistics import Estimate, improvement
from nb201env.agents.report.summary import SettingSummary, summarise
from nb201env.arrays import FloatArray
from tests.agents.report.made import bench, setting

RNG = np.random.default_rng(0)
LOW, ALSO_LOW, HIGH = (RNG.normal(mean, 1, size=20) for mean in (0.0, 0.1, 3.0))


def marked(*scores: FloatArray | None) -> list[bool]:
    held = [None if one is None else [one] for one in scores]
    return best([np.nan if one is None else float(one.mean()) for one in scores], held)


def one(**regrets: list[float]) -> SettingSummary:
    return summarise(bench(setting("env", regrets))).settings[0]


def column(grid: Grid, name: str) -> dict[str, tuple[str, float | None, bool]]:
    place = grid.columns.index(name)
    cells = {row[0]: row[place] for row in grid.rows}
    return {
        label: (str(cell), cell.value, cell.best) if isinstance(cell, Cell) else (cell, None, False)
        for label, cell in cells.items()
    }


# -- which ------------------------------------------------------------------------------------


def test_the_best_and_what_lies_near_it() -> None:
    assert marked(HIGH, LOW, ALSO_LOW) == [False, True, True]
    assert marked(HIGH, LOW) == [False, True]
    assert marked(LOW, LOW) == [True, True]
    assert best([5.0, 1.0], [[LOW], [LOW]]) == [True, True], "alike by all their searches"


def test_few_searches_tell_nothing_apart() -> None:
    assert marked(np.array([1.0, 1, 1]), np.array([0.0, 0, 0])) == [True, True]
    assert marked(np.ones(1), np.zeros(1)) == [True, True]
    assert marked(np.ones(5), np.zeros(5)) == [False, True]


def test_what_is_no_number_is_not_marked() -> None:
    assert marked(None, LOW, HIGH) == [False, True, False]
    assert marked(None, LOW) == [False, True], "the best of all that there is"
    assert marked(LOW) == [False], "one agent alone is compared with none"
    assert marked(None, None) == [False, False]
    assert marked(np.full(9, np.inf), np.full(9, np.inf)) == [False, False]


def test_intervals_hold_for_all_comparisons_together() -> None:
    """The same two agents: told apart where they are alone, not among many."""
    near, far = np.arange(10.0), np.arange(10.0) + 4.2
    assert marked(near, far) == [True, False]
    assert marked(near, far, *[far] * 11) == [True] * 13
    assert together(1) == pytest.approx(0.95)
    assert together(10) == pytest.approx(0.995)


def test_several_environments_count_together() -> None:
    """In none alone, but in all three together they are told apart."""
    near, far = np.arange(10.0), np.arange(10.0) + 2.2
    assert best([0.0, 2.2], [[near], [far]]) == [True, True]
    assert best([0.0, 2.2], [[near] * 3, [far] * 3]) == [True, False]


def test_higher_can_be_better() -> None:
    cells = [Cell("3", 3.0), Cell("0", 0.0), "not recorded"]
    found = mark(cells, [[HIGH], [LOW], None], higher=True)
    assert [(str(cell), cell.value, cell.best) for cell in found] == [
        ("3", 3.0, True), ("0", 0.0, False), ("not recorded", None, False)
    ]  # fmt: skip


def test_marks_agree_with_what_is_shown() -> None:
    """An interval that is shown as [50, 80] holds 50, though it begins at 50.4."""
    assert alike(Estimate(0.65, 0.504, 0.8))
    assert not alike(Estimate(0.65, 0.506, 0.8))
    assert alike(improvement([LOW], [ALSO_LOW]))


# -- in the tables ----------------------------------------------------------------------------


def test_final_results() -> None:
    spread = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1]
    grid = tables.final(one(good=spread, fine=spread[::-1], bad=[5 + x for x in spread]))
    for name, good, bad in (
        ("regret, interquartile mean (points)", 0.055, 5.055),
        ("median rank", 6.5, 506.5),
        ("validation accuracy (%)", 89.945, 84.945),
    ):
        found = column(grid, name)
        assert {label: cell[2] for label, cell in found.items()} == {"good": True, "fine": True, "bad": False}
        assert found["good"][1] == pytest.approx(good)
        assert found["bad"][1] == pytest.approx(bad)
    assert column(grid, "searches")["good"] == ("10", 10, False)
    assert column(grid, "simulated GPU hours")["good"] == ("0.1", 200 / 3600, False)
    assert "Marked: " in grid.note
    assert "Marked: " not in tables.final(one(alone=spread)).note


def test_queries_to_reach_are_sorted_and_marked_within_a_target() -> None:
    optimum, near, far = tables.reach(one(late=[2.0] * 8, half=[0.0] * 4 + [0.2] * 4, all=[0.0] * 8))
    assert [grid.title for grid in (optimum, near, far)] == [
        "Queries to reach: the optimum", "Queries to reach: within 0.1 points",
        "Queries to reach: within 0.3 points",
    ]  # fmt: skip
    assert [row[0] for row in optimum.rows] == ["all", "half", "late"]
    assert [row[0] for row in far.rows] == ["half", "all", "late"], "equals keep their order"
    shares = column(optimum, "reached [%]")
    assert shares["half"][:2] == ("4 of 8 [22, 78]", 0.5)
    assert [shares[label][2] for label in ("all", "half", "late")] == [True, True, False]
    assert column(optimum, "median")["late"] == ("> 2", np.inf, False)
    assert column(optimum, "mean")["half"] == ("–", np.inf, False)
    assert column(optimum, "simulated GPU hours, median")["all"] == ("0.1", 200 / 3600, True)


def test_nobody_is_best_where_nobody_reached() -> None:
    optimum = tables.reach(one(a=[2.0] * 8, b=[3.0] * 8))[0]
    assert not any(cell.best for row in optimum.rows for cell in row if isinstance(cell, Cell))


def test_all_environments_mark_regrets_and_mean_ranks() -> None:
    spread = [0.1 * x for x in range(1, 11)]
    regrets = {"good": spread, "fine": spread[::-1], "bad": [5 + x for x in spread]}
    summary = summarise(bench(setting("one", regrets), setting("two", regrets)))
    assert summary.overall is not None
    grid = tables.overall(summary.overall)
    for name in grid.columns[1:]:
        found = column(grid, name)
        assert {label: cell[2] for label, cell in found.items()} == {"good": True, "fine": True, "bad": False}
    assert column(grid, "mean rank")["bad"][:2] == ("3.00", 3.0)


def test_every_number_of_every_table_knows_its_value() -> None:
    summary = summarise(bench(*(setting(n, {"a": [1.0] * 5, "b": [2.0] * 5}) for n in ("one", "two"))))
    assert summary.overall is not None
    texts = {"agent", "seeds", "test accuracy (%)", "better than →"}
    for grid in (
        tables.final(summary.settings[0]), *tables.reach(summary.settings[0]),
        tables.overall(summary.overall), tables.improvement(["a", "b"], summary.overall.improvement),
    ):  # fmt: skip
        for row in grid.rows:
            for name, cell in zip(grid.columns, row, strict=True):
                number = name not in texts and (cell != "–" or "reach" in grid.title)
                assert isinstance(getattr(cell, "value", None), (int, float)) == number, (grid.title, name)
