"""What a report says of searches with several objectives, held to brute force and to the closed form."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nb201env import open_table
from nb201env.agents.report.data import load
from nb201env.agents.report.fronts.summary import FRONT_TARGETS, FrontAgent, FrontSetting, attained
from nb201env.agents.report.summary import Summary, summarise
from nb201env.agents.searches.front import FrontLandscape, answer_volume, whole_queries
from nb201env.agents.searches.outcome import Outcome, outcome
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import run_all
from nb201env.arrays import FloatArray
from nb201env.comparison import costs
from nb201env.trajectory import BadTrajectory, read
from tests.agents.report.fronts.agents import ENV, write
from tests.agents.searches.test_outcome import partial_table

pytest.importorskip("moocore")

OBJECTIVES = ["accuracy", "params"]


@cache
def scaled() -> FloatArray:
    """By index, accuracy and parameters from 0, the table's worst, to 1, its best; from the table itself."""
    table = open_table("cifar10-valid-200")
    both = np.stack([table.accuracy(split="valid", epochs=200, run="mean"), -costs(table, "params")], axis=1)
    return np.asarray((both - both.min(axis=0)) / np.ptp(both, axis=0))


def area(points: FloatArray) -> float:
    """What points dominate of the plane above 0, strip by strip from the right."""
    total, height = 0.0, 0.0
    right = points[np.argsort(-points[:, 0])]
    for (x, y), (following, _) in zip(right, [*right[1:], (0.0, 0.0)], strict=True):
        height = max(height, y)
        total += height * (x - following)
    return total


def dominated(point: FloatArray, others: FloatArray) -> bool:
    """By the definition."""
    return bool(((others >= point).all(axis=1) & (others > point).any(axis=1)).any())


@pytest.fixture(scope="module")
def one(summary: Summary) -> FrontSetting:
    return summary.fronts[0]


@pytest.fixture(scope="module")
def searches(one: FrontSetting) -> list[tuple[FrontAgent, int, Outcome]]:
    return [(agent, n, search) for agent in one.agents for n, search in enumerate(agent.entry.searches)]


@pytest.fixture(scope="module")
def whole(one: FrontSetting) -> float:
    """The area that all architectures dominate."""
    return area(scaled())


def test_hypervolumes_are_the_areas(searches: list[tuple[FrontAgent, int, Outcome]], whole: float) -> None:
    for agent, number, search in searches:
        asked, answer = scaled()[search.index], scaled()[search.answer]
        assert agent.volumes[number] == pytest.approx(area(asked) / whole, abs=1e-9)
        assert agent.answer_volumes[number] == pytest.approx(area(answer) / whole, abs=1e-9)
        assert agent.answer_volumes[number] <= agent.volumes[number] + 1e-12


def test_the_share_counts_the_fronts_points(
    one: FrontSetting, searches: list[tuple[FrontAgent, int, Outcome]]
) -> None:
    every = scaled()
    # Of as many parameters only the most accurate can be on it.
    tops = np.array([[every[every[:, 1] == size, 0].max(), size] for size in np.unique(every[:, 1])])
    best = {tuple(point) for point in tops if not dominated(point, tops)}
    assert len(best) == len(one.landscape.front.index) == 13
    for agent, number, search in searches:
        found = best & {tuple(point) for point in every[search.index]}
        assert agent.shares[number] == pytest.approx(len(found) / 13)
    assert any(agent.shares.any() for agent in one.agents)


def test_curves_and_reach_are_of_the_first_queries(one: FrontSetting, whole: float) -> None:
    for agent in one.agents:
        gaps = np.array([
            [1 - area(scaled()[search.index[: count + 1]]) / whole for count in range(60)]
            for search in agent.entry.searches
        ])  # fmt: skip
        grid = agent.gap_by_queries.x.astype(int) - 1
        np.testing.assert_allclose(agent.gap_by_queries.mean, gaps.mean(axis=0)[grid], atol=1e-9)
        np.testing.assert_allclose(agent.gap_by_queries.median, np.median(gaps, axis=0)[grid], atol=1e-9)
        assert agent.gap_by_seconds.x[-1] == min(search.clock[-1] for search in agent.entry.searches)
        assert agent.share_by_queries.mean[-1] == pytest.approx(agent.shares.mean())
        assert ((agent.share_by_queries.low >= 0) & (agent.share_by_queries.high <= 1)).all()
        for (_, within), there, hits in zip(FRONT_TARGETS, agent.reach, agent.hits, strict=True):
            reached = np.asarray((gaps <= within).any(axis=1))
            assert there.reached == reached.sum()
            firsts = [hit.queries for hit, yes in zip(hits, reached, strict=True) if yes]
            np.testing.assert_array_equal(firsts, (gaps <= within).argmax(axis=1)[reached] + 1)


def test_improvement_is_that_of_hypervolumes(one: FrontSetting) -> None:
    first, second = one.agents
    pairs = np.sign(first.volumes[:, None] - second.volumes[None])
    expected = ((pairs + 1) / 2).mean()
    assert one.improvement[first.entry.label, second.entry.label].value == pytest.approx(expected)


def test_all_fronts_together(summary: Summary) -> None:
    over = summary.front_overall
    assert summary.settings == ()
    assert summary.overall is None
    assert over is not None
    assert over.labels == ("random search", "Light")
    for label in over.labels:
        for one, gaps in zip(summary.fronts, over.gaps[label], strict=True):
            (agent,) = [agent for agent in one.agents if agent.entry.label == label]
            np.testing.assert_allclose(gaps, 1 - agent.volumes)


# -- attained fronts -------------------------------------------------------------------------

_point = st.tuples(st.integers(0, 6), st.integers(0, 6))


@given(st.lists(st.lists(_point, max_size=6), min_size=1, max_size=5).filter(any), st.data())
def test_the_attained_boundary_is_that_of_the_grid(sets: list[list[tuple[int, int]]], data: Any) -> None:
    """Every place of the grid is attained by enough sets if and only if a corner of the boundary does it."""
    least = data.draw(st.integers(1, len(sets)))
    corners = attained([np.array(one, dtype=float).reshape(-1, 2) for one in sets], least)
    for x in range(7):
        for y in range(7):
            by = sum(any(a >= x and b >= y for a, b in one) for one in sets)
            assert (by >= least) == bool((corners >= (x, y)).all(axis=1).any())
    assert (np.diff(corners[:, 0]) < 0).all()
    assert (np.diff(corners[:, 1]) > 0).all()


def test_the_surface_is_what_half_of_the_searches_attain(one: FrontSetting) -> None:
    table = one.landscape.table
    accuracy, params = table.accuracy(split="valid", epochs=200, run="mean"), costs(table, "params")
    for agent in one.agents:
        assert agent.surface is not None
        asked = [(accuracy[search.index], params[search.index]) for search in agent.entry.searches]
        for worth, price in agent.surface:
            assert sum(((a >= worth) & (p <= price)).any() for a, p in asked) >= 3
            assert sum(((a > worth) & (p <= price)).any() for a, p in asked) < 3
            assert sum(((a >= worth) & (p < price)).any() for a, p in asked) < 3


# -- the closed form -------------------------------------------------------------------------


def test_random_searchs_mean_curves_are_the_closed_form(tmp_path: Path) -> None:
    """200 searches: the mean after each number of queries lies within 4 standard errors."""
    searches = plan(["random_search"], [ENV], range(200), {"budget_queries": 40}, tmp_path)
    assert run_all(searches, 1, lambda *_: None) == []
    (one,) = summarise(load([tmp_path])).fronts
    (agent,) = one.agents
    assert one.random_gap is not None
    assert one.random_share is not None
    grid = agent.gap_by_queries.x.astype(int) - 1
    np.testing.assert_array_equal(one.random_gap.x, agent.gap_by_queries.x)
    asked = [whole_queries(search) for search in agent.entry.searches]
    for of, mean, expected in (
        (one.landscape.volumes, 1 - agent.gap_by_queries.mean, 1 - one.random_gap.mean),
        (one.landscape.shares, agent.share_by_queries.mean, one.random_share.mean),
    ):
        error = np.array([of(search)[grid] for search in asked]).std(axis=0) / np.sqrt(len(asked))
        # Of rare points the first queries of all searches may find none: then there is no spread.
        assert (np.abs(mean - expected)[error > 0] < 4 * error[error > 0]).all()
        assert (error > 0)[grid > 10].all()


@pytest.mark.parametrize(
    ("further", "gap", "share", "surface"),
    [
        ({"repeats": "free"}, False, False, True),
        ({"objectives": ["accuracy", "params", "latency_seconds"]}, False, True, False),
        ({"run": 777, "objectives": ["latency_seconds", "params"]}, True, True, True),
    ],
)
def test_where_there_is_no_closed_form_or_surface(
    further: dict[str, Any], gap: bool, share: bool, surface: bool, tmp_path: Path
) -> None:
    searches = plan(["random_search"], [ENV], [0], {"budget_queries": 5}, tmp_path, {}, further)
    assert run_all(searches, 1, lambda *_: None) == []
    (one,) = summarise(load([tmp_path])).fronts
    assert (one.random_gap is not None, one.random_share is not None) == (gap, share)
    assert (one.agents[0].surface is not None) == surface


# -- the answer ------------------------------------------------------------------------------


def test_the_answer_is_what_looked_best_to_the_search(tmp_path: Path) -> None:
    """By the accuracies that were answered, of which each query is one; costs are the table's."""
    table, rng = open_table("cifar10-valid-200"), np.random.default_rng(0)
    index = rng.integers(0, 15_625, 40)
    index[20:] = index[:20]  # asked twice, answered differently
    price = costs(table, "params")[index]
    accuracy = (0.3 * price / price.max() + rng.uniform(0.1, 0.3, 40)).round(2)
    asked = [(int(i), float(a), None) for i, a in zip(index, accuracy, strict=True)]
    path = write(tmp_path / "a.jsonl", table, asked, OBJECTIVES)
    seen = np.stack([accuracy, -price], axis=1)
    best = {int(i) for i, point in zip(index, seen, strict=True) if not dominated(point, seen)}
    found = outcome(read(path), table)
    assert found.answer is not None
    assert found.answer.tolist() == sorted(best)
    assert len(best) > 2


def test_directions_count(tmp_path: Path) -> None:
    """The most parameters at the least latency: the accuracies answered do not matter."""
    table = open_table("cifar10-valid-200")
    asked = [(index, 0.5, None) for index in range(0, 15_625, 500)]
    path = write(tmp_path / "a.jsonl", table, asked, ["params:max", "latency_seconds"])
    index = np.arange(0, 15_625, 500)
    points = np.stack([costs(table, "params")[index], -costs(table, "latency_seconds")[index]], axis=1)
    best = [int(i) for i, point in zip(index, points, strict=True) if not dominated(point, points)]
    found = outcome(read(path), table)
    assert found.answer is not None
    assert found.answer.tolist() == best


def test_a_part_of_the_training_is_neither_asked_for_nor_an_answer(epoch_table: str, tmp_path: Path) -> None:
    table = open_table(epoch_table)
    best = table.optimum(split="valid", epochs=12)[0].index
    asked = [(best, 0.99, 1), (7, 0.5, None), (best, 0.99, 11)]
    found = outcome(read(write(tmp_path / "a.jsonl", table, asked, OBJECTIVES)), table)
    landscape = FrontLandscape.of(table, OBJECTIVES)
    assert found.answer is not None
    assert found.answer.tolist() == [7]
    assert whole_queries(found).tolist() == [-1, 7, -1]
    only = outcome(read(write(tmp_path / "b.jsonl", table, asked[:1], OBJECTIVES)), table)
    assert answer_volume(only, landscape) == 0


def test_a_search_for_what_the_table_lacks_is_refused(tmp_path: Path) -> None:
    partial = open_table(partial_table(tmp_path / "partial.safetensors", lacking=5))
    path = write(tmp_path / "a.jsonl", partial, [(4, 0.5, None), (5, 0.5, None)], OBJECTIVES)
    with pytest.raises(BadTrajectory, match=r"query 2 is of \|none.*, which partial-200 has no run of"):
        outcome(read(path), partial)


def test_a_search_with_one_objective_has_no_answer(bench_folder: Path) -> None:
    bench = load([bench_folder])
    assert all(search.answer is None for search in bench.searches)
    assert summarise(bench).fronts == ()
