"""NSGA-II, scalarised evolution and Pareto local search: their rules, on landscapes whose front is known."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nb201env.agents import make_agent
from nb201env.agents.fronts.archive import Archive, offer
from nb201env.agents.fronts.scalarized_evolution import chebyshev, linear
from nb201env.agents.searches.front import FrontLandscape
from nb201env.agents.searches.recorder import record
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.extras import MissingExtra
from nb201env.fronts.front import nondominated, scale
from nb201env.space import SIZE, all_ops, neighbours
from nb201env.tables import open_table
from tests.agents.fronts.drive import one_draw, searched

pytest.importorskip("pymoo")
pytest.importorskip("moocore")

OURS = ("nsga2", "scalarized_evolution", "pareto_local_search")
NEVER_TWICE = ("nsga2", "pareto_local_search")
ENDS = Architecture((3, 3, 2, 1, 3, 2)), Architecture((1, 3, 0, 1, 2, 0))


@pytest.fixture(scope="module")
def hills() -> FloatArray:
    """How many edges agree with one target, and with another; float64 [15625, 2].

    They agree on two of six edges. What nothing dominates has these, and on every other edge the op of the
    one or of the other target: 2^4 architectures on the five points (2, 6), (3, 5), … (6, 2).
    """
    return np.stack([(all_ops() == end.ops).sum(axis=1) for end in ENDS], axis=1).astype(float)


@pytest.fixture(scope="module")
def noise() -> FloatArray:
    """Independent random rewards, a landscape of many local optima; float64 [15625, 2]."""
    return np.random.default_rng(0).random((SIZE, 2))


def test_the_hills_are_as_described(hills: FloatArray) -> None:
    front = hills[nondominated(hills)]
    assert len(front) == 16
    assert {*map(tuple, front.tolist())} == {(2, 6), (3, 5), (4, 4), (5, 3), (6, 2)}


@pytest.mark.parametrize(
    ("name", "queries", "kwargs"),
    [
        ("pareto_local_search", 600, {}),
        ("pareto_local_search", 500, {"preset": "published"}),
        ("nsga2", 700, {}),
        ("nsga2", 700, {"population": 50}),
        ("scalarized_evolution", 1000, {}),
    ],
)
def test_a_known_front_is_found(name: str, queries: int, kwargs: dict[str, Any], hills: FloatArray) -> None:
    """Every point of it, from any start."""
    points = {*map(tuple, hills[nondominated(hills)].tolist())}
    for seed in range(3):
        asked = searched(name, hills, queries, seed, **kwargs)
        assert points <= {*map(tuple, hills[asked].tolist())}


@pytest.mark.parametrize(
    ("name", "least"), [("nsga2", 0.96), ("scalarized_evolution", 0.93), ("pareto_local_search", 0.96)]
)
def test_they_find_more_of_the_front_than_random_search(name: str, least: float) -> None:
    """Of its hypervolume, after 200 queries, on average over ten seeds; accuracy and latency, CIFAR-10."""
    table, objectives = open_table("cifar10-valid-200"), ["accuracy", "latency_seconds"]
    landscape = FrontLandscape.of(table, objectives)
    draws = one_draw(table, objectives, np.random.default_rng(1))
    found = [landscape.volumes(np.array(searched(name, draws, 200, seed)))[-1] for seed in range(10)]
    assert landscape.expected_volumes(np.array(200)) < 0.92 < least < np.mean(found)


@pytest.mark.parametrize("name", OURS)
def test_units_do_not_matter(name: str, noise: FloatArray) -> None:
    """Rewards in other units, and those of a cost below zero, lead to the same queries."""
    other = (noise - [0, 1]) * [4.0, 2.0**-20]
    rounded = other / [4.0, 2.0**-20] + [0, 1]  # what is left of the noise
    assert searched(name, rounded, 300) == searched(name, other, 300)


@pytest.mark.parametrize("name", OURS)
def test_a_landscape_without_differences_is_no_obstacle(name: str) -> None:
    for rewards in (np.zeros((SIZE, 2)), np.full((SIZE, 3), -7.5)):
        asked = searched(name, rewards, 300)
        assert len(set(asked)) > 150


@pytest.mark.parametrize("name", NEVER_TWICE)
def test_no_architecture_is_asked_twice(name: str, hills: FloatArray) -> None:
    """Not even long after the front was found, where a search would dwell."""
    asked = searched(name, hills, 1500)
    assert len(set(asked)) == len(asked)


# -- NSGA-II ---------------------------------------------------------------------------------


def test_nsga2_goes_on_where_no_child_is_new(hills: FloatArray) -> None:
    """Without crossover and mutation all children are copies: strangers take their places."""
    asked = searched("nsga2", hills, 40, crossover=0.0, mutation=0.0)
    assert len(set(asked)) == 40


@pytest.mark.parametrize("kwargs", [{"population": 2}, {"population": 300}])
def test_populations_of_any_size(kwargs: dict[str, Any], hills: FloatArray) -> None:
    assert len(set(searched("nsga2", hills, 400, **kwargs))) == 400


def test_the_first_generation_is_uniform() -> None:
    first = [searched("nsga2", np.zeros((SIZE, 2)), 20, seed) for seed in range(100)]
    counts = np.stack([(all_ops()[np.ravel(first)] == op).mean(axis=0) for op in range(5)])
    np.testing.assert_allclose(counts, 0.2, atol=0.05)


def test_children_mix_what_survived(noise: FloatArray) -> None:
    """Without mutation every edge of a child is a parent's, and parents are of the twenty before."""
    asked = searched("nsga2", noise, 40, mutation=0.0, crossover=1.0)
    ops = all_ops()
    for edge in range(6):
        assert {*ops[asked[20:], edge].tolist()} <= {*ops[asked[:20], edge].tolist()}


def test_nsga2_neither_prints_nor_draws_from_the_global_generator(
    hills: FloatArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = np.random.get_state()  # noqa: NPY002
    searched("nsga2", hills, 60)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymoo", None)
    with pytest.raises(MissingExtra, match=r"this needs pymoo, .*pip install 'nb201env\[multi\]'"):
        make_agent("nsga2")


# -- scalarised evolution --------------------------------------------------------------------


def test_a_child_is_a_neighbour_of_one_that_is_alive(noise: FloatArray) -> None:
    """The first ten are random; each later one differs in one edge from one of the ten before it."""
    asked = searched("scalarized_evolution", noise, 300, population=10)
    alive = deque(asked[:10], maxlen=10)
    for child in asked[10:]:
        assert any(child in neighbours(one) for one in alive)
        alive.append(child)


def test_only_chebyshev_wants_what_lies_in_a_hollow() -> None:
    """A point between two corners, below the line through them: the best compromise, but of no sum."""
    points = np.array([[1.0, 0.0], [0.4, 0.4], [0.0, 1.0]])
    weights = np.stack([np.linspace(0, 1, 101), np.linspace(1, 0, 101)], axis=1)
    assert {int(linear(points, weight).argmax()) for weight in weights} == {0, 2}
    assert {int(chebyshev(points, weight).argmax()) for weight in weights} == {0, 1, 2}


@given(st.data())
def test_what_dominates_is_better_for_everybody(data: st.DataObject) -> None:
    share = st.floats(0, 1, width=16)
    one = data.draw(arrays.arrays(np.float64, 3, elements=share))
    better = data.draw(arrays.arrays(np.float64, 3, elements=share)) * (1 - one) + one
    weights = data.draw(arrays.arrays(np.float64, 3, elements=st.floats(0.0625, 1, width=16)))
    for utility in (chebyshev, linear):
        low, high = utility(np.stack([one, better]), weights / weights.sum())
        assert high >= low
        if (better > one + 1e-9).any():
            assert high > low


def test_rewards_are_scaled_by_the_front() -> None:
    """From its worst to its best; where it has one value, the objective does not count."""
    front = [np.array([0.9, -30.0, 1.0]), np.array([0.5, -10.0, 1.0])]
    rewards = np.array([[0.7, -20.0, 1.0], [0.1, -10.0, 0.0]])
    np.testing.assert_allclose(scale(rewards, front), [[0.5, 0.5, 0.0], [-1.0, 1.0, 0.0]])
    assert (scale(rewards, front[:1]) == 0).all()


def test_the_augmented_chebyshev_function_is_that_of_parego() -> None:
    """Worked by hand: regrets 0.5 and 0.2, weights 1/4 and 3/4."""
    found = chebyshev(np.array([[0.5, 0.8]]), np.array([0.25, 0.75]))
    np.testing.assert_allclose(found, [-(0.15 + 0.05 * (0.125 + 0.15))])


# -- Pareto local search ---------------------------------------------------------------------


@given(arrays.arrays(np.int64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.integers(0, 6)))
def test_an_archive_is_what_nothing_dominates(points: Any) -> None:
    """Whatever the order in which it is offered, and one architecture for each point."""
    archive: Archive = {}
    for index, point in enumerate(points.astype(float)):
        offer(archive, index, point)
    kept = sorted(tuple(reward.tolist()) for reward in archive.values())
    assert kept == sorted({*map(tuple, points[nondominated(points.astype(float))].tolist())})
    assert all((points[index] == reward).all() for index, reward in archive.items())


def test_what_is_asked_lies_around_the_archive_until_all_around_is_known(noise: FloatArray) -> None:
    """Replayed: an architecture from elsewhere is asked only after the archive is a local front."""
    asked = searched("pareto_local_search", noise, 4000, start=1)
    archive: Archive = {}
    around: set[int] = set()
    for position, index in enumerate(asked):
        if position and index not in around:
            assert around <= {*asked[:position]}, "a new start before all around was asked"
            front = noise[[*archive, *sorted(around)]]
            assert nondominated(front)[: len(archive)].all()
            return
        offer(archive, index, noise[index])
        around = {*neighbours(np.array([*archive])).ravel().tolist()}
    pytest.fail("4000 queries are enough for a climb on independent rewards")


def test_as_published_all_neighbours_of_a_member_are_asked_in_a_row(noise: FloatArray) -> None:
    asked = searched("pareto_local_search", noise, 600, preset="published")
    archive: Archive = {asked[0]: noise[asked[0]]}
    position, members = 1, 0
    while True:
        before = {*asked[:position]}
        new = [{*neighbours(member).tolist()} - before for member in archive]
        if not any(new):  # the climb ends
            break
        explored = next(
            (part for part in new if part and {*asked[position : position + len(part)]} == part), None
        )
        assert explored is not None, "the neighbours of no member"
        for index in asked[position : position + len(explored)]:
            offer(archive, index, noise[index])
        position += len(explored)
        members += 1
    assert members > 5


def test_an_archive_begins_with_random_architectures() -> None:
    first = [searched("pareto_local_search", np.zeros((SIZE, 2)), 20, seed) for seed in range(40)]
    counts = np.stack([(all_ops()[np.ravel(first)] == op).mean(axis=0) for op in range(5)])
    np.testing.assert_allclose(counts, 0.2, atol=0.06)


def test_pareto_local_search_goes_on_when_it_knows_the_whole_space(hills: FloatArray) -> None:
    asked = searched("pareto_local_search", hills, SIZE + 100, preset="published")
    assert len(set(asked[:SIZE])) == SIZE
    assert len(set(asked[SIZE:])) == 100


# -- all -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_editing_environments_are_refused(name: str, tmp_path: Path) -> None:
    env = gym.make("NB201-cifar10-mo-v0", actions="edit", budget_queries=3)
    with pytest.raises(ValueError, match="it needs actions='build' or 'pick'"):
        record(make_agent(name), env, 0, tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("nsga2", {"population": 1}, "population must be at least 2; got 1"),
        ("nsga2", {"crossover": 1.5}, "chances in 0..1; got 1.5 and"),
        ("nsga2", {"mutation": float("nan")}, "chances in 0..1; got 0.9 and nan"),
        ("scalarized_evolution", {"sample": 0}, "population and sample must be at least 1; got 50 and 0"),
        ("scalarized_evolution", {"edges": "all"}, "edges must be 'official' or 'uniform'; got 'all'"),
        ("scalarized_evolution", {"scalarization": "sum"}, "must be 'chebyshev' or 'linear'; got 'sum'"),
        ("pareto_local_search", {"move": "down"}, "move must be 'one' or 'all'; got 'down'"),
        ("pareto_local_search", {"start": 0}, "start must be at least 1; got 0"),
    ],
)
def test_hyperparameters_are_checked(name: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_agent(name, **kwargs)
