"""True fronts against the definition, each point beside each other one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nb201env import Table, cost, open_table
from nb201env.classes import canonical_classes
from nb201env.comparison import costs
from nb201env.fronts.front import Points, nondominated, points, true_front
from nb201env.official import describe
from nb201env.space import SIZE
from nb201env.table import NotRecorded, write_table
from tests.fronts import brute

OFFICIAL = ["cifar10-valid-200", "cifar100-200", "ImageNet16-120-200"]
TABLES = [*OFFICIAL, "digits-10", "cifar10-valid-200-surrogate"]
LISTS: list[list[Any]] = [
    ["accuracy", "params"],
    ["accuracy", "macs", "params"],
    ["params:max", {"name": "accuracy", "direction": "min", "scale": 3.0}],
    ["accuracy", "latency_seconds"],
    ["latency_seconds", "params", "accuracy", "macs"],
]


def chosen() -> Iterator[Any]:
    """Every table and list; those that take longest only when asked for."""
    for table in TABLES:
        for number, objectives in enumerate(LISTS):
            if "latency_seconds" in objectives and table == "digits-10":
                continue  # which records none
            quick = number == 0 or (number, table) == (3, TABLES[0])
            yield pytest.param(table, objectives, marks=() if quick else pytest.mark.slow)


def check(front: Points, everything: Points) -> None:
    """A front is the points that nothing dominates, each once, the best of the first objective first."""
    expected = everything.rewards[brute.nondominated(everything.rewards)]
    assert {*map(tuple, front.rewards)} == {*map(tuple, expected)}
    assert len({*map(tuple, front.rewards)}) == len(front.rewards)
    assert [*map(tuple, front.rewards)] == sorted(map(tuple, front.rewards), reverse=True)
    rows = np.searchsorted(everything.index, front.index)
    np.testing.assert_array_equal(everything.values[rows], front.values)


@pytest.mark.parametrize(("table", "objectives"), [*chosen()])
@pytest.mark.parametrize("how", [{}, {"run": -1}, {"per": "class"}], ids=["mean", "run", "class"])
def test_a_true_front_is_what_nothing_dominates(
    table: str, objectives: list[Any], how: dict[str, Any]
) -> None:
    opened = open_table(table)
    if "run" in how:
        how = {"run": opened.seeds[0]}
    check(true_front(opened, objectives, **how), points(opened, objectives, **how))


@pytest.mark.parametrize(
    ("table", "on_params", "on_latency"),
    [("cifar10-valid-200", 13, 25), ("cifar100-200", 15, 29), ("ImageNet16-120-200", 13, 21)],
)
def test_how_many_points_the_official_fronts_have(table: str, on_params: int, on_latency: int) -> None:
    opened = open_table(table)
    assert len(true_front(opened).index) == on_params
    assert len(true_front(opened, ["accuracy", "latency_seconds"]).index) == on_latency


@pytest.mark.parametrize("name", TABLES)
def test_points_are_the_tables_numbers(name: str) -> None:
    table = open_table(name)
    found = points(table, ["macs", "accuracy", {"name": "params", "scale": 0.5}])
    assert found.index.tolist() == list(range(SIZE))
    accuracy = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    if "skeleton" not in table.manifest:  # which has a network of its own
        macs, params = (count(np.arange(SIZE), table.dataset) for count in (cost.macs, cost.params))
        np.testing.assert_array_equal(found.values, np.stack([macs, accuracy, params], axis=1))
    np.testing.assert_array_equal(found.rewards[:, 1], accuracy)
    np.testing.assert_allclose(found.rewards[:, 0], -found.values[:, 0] / found.values[:, 0].max())
    np.testing.assert_array_equal(found.rewards[:, 2], -found.values[:, 2] / 2)
    best = found.front()
    assert best.architectures[0].index == best.index[0]
    assert accuracy.max() == best.values[:, 1].max()


def test_a_class_is_one_point_the_mean_of_its_members() -> None:
    table = open_table("cifar100-200")
    found, each = points(table, per="class"), points(table)
    classes = canonical_classes()
    assert len(found.index) == len(set(classes.tolist())) == 5485
    for row in (0, 17, 2000, 5484):
        members = np.flatnonzero(classes == classes[found.index[row]])
        assert found.index[row] == members.min()
        np.testing.assert_allclose(found.values[row], each.values[members].mean(axis=0), rtol=1e-12)


def test_scaled_rewards_run_from_0_to_1() -> None:
    everything = points(open_table("cifar10-valid-200"), ["accuracy", "params", "latency_seconds"])
    scaled = everything.scaled(everything.rewards)
    np.testing.assert_array_equal(scaled.min(axis=0), 0.0)
    np.testing.assert_array_equal(scaled.max(axis=0), 1.0)
    np.testing.assert_array_equal(nondominated(scaled), nondominated(everything.rewards))
    alike = Points(everything.objectives[:2], np.arange(2), np.array([[0.5, 7.0], [0.6, 7.0]]))
    np.testing.assert_array_equal(alike.scaled(alike.rewards), [[0, 0], [1, 0]])


NUMBERS = st.one_of(
    st.integers(0, 3).map(float),  # many ties
    st.sampled_from([-0.0, 0.0, 1e17, 1e17 + 16, 5e-324]),  # sums of which round
    st.floats(-1e300, 1e300),
)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 4).flatmap(lambda m: st.lists(st.tuples(*[NUMBERS] * m), min_size=1, max_size=12)))
def test_nondominated_is_the_definition(rows: list[tuple[float, ...]]) -> None:
    rewards = np.array([*rows, rows[0]])  # one twice at least
    before = rewards.copy()
    np.testing.assert_array_equal(nondominated(rewards), brute.nondominated(rewards))
    np.testing.assert_array_equal(rewards, before)


def test_what_a_sum_cannot_tell_apart() -> None:
    assert nondominated(np.array([[1e17, 0.0], [1e17, 1.0]])).tolist() == [False, True]
    assert nondominated(np.array([[0.0, 1.0], [-0.0, 1.0]])).tolist() == [True, True]
    assert nondominated(np.empty((0, 2))).tolist() == []


# -- what is refused -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """One run of half of the architectures, an energy that one lacks, and a score of a proxy."""
    held = np.arange(SIZE) % 2 == 0
    columns = {
        "valid_accuracy": np.where(held, np.arange(SIZE) / SIZE, np.nan).reshape(-1, 1, 1),
        "board_energy_joules": np.where(np.arange(SIZE) == 4, np.nan, 1.0), "synflow": np.arange(SIZE) - 7.0,
    }  # fmt: skip
    return own_table(tmp_path_factory.mktemp("fronts") / "half.safetensors", columns)


def own_table(path: Path, columns: dict[str, Any]) -> Table:
    manifest: dict[str, Any] = describe("cifar10-valid", 200) | {"seeds": [1], "provenance": {}}
    spec = {"valid_accuracy": {"epochs": [200]}}
    manifest["columns"] = {name: spec.get(name, {}) for name in columns}
    return write_table(path, manifest, columns)


def test_a_partial_table_has_the_front_of_what_it_holds(table: Table) -> None:
    found = points(table, ["accuracy", "synflow:min"])
    assert found.index.tolist() == list(range(0, SIZE, 2))
    check(found.front(), found)
    assert points(table, ["params", "macs"]).index.tolist() == list(range(SIZE)), "of which all are known"
    np.testing.assert_array_equal(true_front(table, ["accuracy", "synflow:max"]).index, [SIZE - 1])
    classes = points(table, ["accuracy", "params"], per="class")
    assert {*classes.index} <= {*canonical_classes()[::2].tolist(), *range(SIZE)}
    check(classes.front(), classes)


@pytest.mark.parametrize(
    ("objectives", "error", "message"),
    [
        (["accuracy", "parms"], NotRecorded, "has no objective 'parms'; did you mean 'params'[?]$"),
        (["accuracy", "x"], NotRecorded, "has no objective 'x'; there are accuracy, params, macs, board_en"),
        (["accuracy", "synflow"], ValueError, "'synflow': its name does not say .*'synflow:max' or 'synf"),
        (["accuracy", "params:most"], ValueError, "^params: direction must be 'max' or 'min'; got 'most'$"),
        (["accuracy", "board_energy_joules"], NotRecorded, "knows no board_energy_joules of 1 of 15,625 "),
        (["accuracy"], ValueError, r"^objectives: 2 to 8 of them; got \['accuracy'\]$"),
        ([f"c{number}" for number in range(9)], ValueError, "^objectives: 2 to 8 of them; got "),
        (["accuracy", "accuracy:min"], ValueError, "^objectives: a name stands twice; got "),
        ("accuracy", ValueError, r"^objectives are a list such as \['accuracy', 'params'\]; got 'accuracy'$"),
        ({"name": "params"}, ValueError, "^objectives are a list such as"),
        (["accuracy", 3], ValueError, "^an objective is a name, or looks like .*; got 3$"),
        (["accuracy", {"direction": "min"}], ValueError, "^an objective needs a 'name', as in "),
        (["accuracy", {"name": "params", "unit": "x"}], ValueError, "^an objective is a name, or looks like"),
        (["accuracy", {"name": "params", "scale": 0}], ValueError, "^params: scale must be above 0 "),
        (["accuracy", {"name": "params", "scale": True}], ValueError, "^params: scale must be above 0 "),
        (["accuracy", ""], ValueError, "^an objective is the name of one, such as 'params'; got ''$"),
    ],
    ids=str,
)
def test_mistakes_are_one_sentence(
    table: Table, objectives: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        points(table, objectives)
    assert "\n" not in str(caught.value)
    assert type(caught.value) is error


def test_what_else_is_refused(table: Table, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="^per must be 'architecture' or 'class'; got 'cell'$"):
        points(table, per="cell")  # type: ignore[arg-type]
    with pytest.raises(NotRecorded, match="no run 2"):
        points(table, run=2)
    without = own_table(tmp_path / "x.safetensors", {"synflow": np.arange(SIZE) * 1.0})
    with pytest.raises(NotRecorded, match="valid_accuracy"):
        points(without)
    found = points(without, ["params", "synflow:min"])  # which needs no accuracy
    check(found.front(), found)


def test_the_ends_in_units_are_the_tables_own_numbers() -> None:
    table = open_table("cifar10-valid-200")
    every = points(table, ["accuracy", "latency_seconds", "params:max"])
    accuracy = table.accuracy(split="valid", epochs=200, run="mean")
    latency = table.values("latency_seconds")
    params = costs(table, "params")
    assert every.worst_values.tolist() == [accuracy.min(), latency.max(), params.min()]
    assert every.best_values.tolist() == [accuracy.max(), latency.min(), params.max()]
