"""The numbers in the explorer's page are the tables', and what it says of cells is true of all 15,625."""

from __future__ import annotations

import base64
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, Table
from nb201env.agents.searches.outcome import Landscape
from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import canonical_classes
from nb201env.comparison import costs
from nb201env.pages.explorer import explorer
from nb201env.pages.html import asset
from nb201env.pages.space import cells_data, depths, tables_data
from nb201env.space import EDGES, SIZE, all_ops, official_ranks
from tests.pages.conftest import HOSTILE


def unpacked(held: dict[str, str]) -> Any:
    return np.frombuffer(base64.b64decode(held["base64"]), dtype=f"<{held['type']}")


def values(measure: dict[str, Any]) -> FloatArray:
    """A measure's numbers as the page's script reads them; float64 [15625]."""
    if "values" in measure:
        return np.asarray(unpacked(measure["values"]), dtype=np.float64)
    levels = np.append(unpacked(measure["levels"]).astype(np.float64), np.nan)
    return np.asarray(levels[unpacked(measure["places"])])


def ranks(measure: dict[str, Any]) -> IntArray:
    """Of each architecture, one more than how many have a higher level; 0 for none; int64 [15625]."""
    places = unpacked(measure["places"]).astype(np.int64)
    missing = places == len(unpacked(measure["levels"]))
    held = np.sort(places[~missing])
    return np.where(missing, 0, len(held) - np.searchsorted(held, places, side="right") + 1)


def page_data(page: str) -> Any:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]


def test_accuracies_and_their_ranks_are_the_tables(official: list[Table]) -> None:
    found = tables_data([(table.name, table) for table in official])
    assert [one["name"] for one in found] == [table.name for table in official]
    for one, table in zip(found, official, strict=True):
        landscape = Landscape.of(table)
        (accuracy,) = one["accuracies"]
        assert (accuracy["name"], accuracy["unit"]) == ("validation accuracy", "%")
        np.testing.assert_allclose(values(accuracy), 100 * landscape.valid, rtol=1e-6)
        np.testing.assert_array_equal(ranks(accuracy), landscape.rank)


def test_costs_are_the_tables_in_readable_units(official: list[Table]) -> None:
    for table in official:
        (one,) = tables_data([(table.name, table)])
        found = {cost["key"]: cost for cost in one["costs"]}
        names = ["parameters", "MACs", "GPU seconds", "latency"]
        units = {"params": ("M", 1e-6), "macs": ("M", 1e-6), "latency_seconds": ("ms", 1e3)}
        if table.dataset == "cifar10":  # whose networks a device has measured
            names, units = [*names, "CPU latency"], units | {"cpu_latency_seconds": ("ms", 1e3)}
        assert [cost["name"] for cost in one["costs"]] == names
        for key, (unit, scale) in units.items():
            assert found[key]["unit"] == unit
            np.testing.assert_allclose(values(found[key]), costs(table, key) * scale, rtol=1e-6)
        seconds = table.seconds(epochs=table.epochs, run="mean")
        np.testing.assert_allclose(values(found["seconds"]), seconds, rtol=1e-6)


def test_a_table_whose_costs_are_not_wanted_has_its_accuracies(official: list[Table]) -> None:
    first, second = tables_data([(table.name, table) for table in official[:2]], [True, False])
    assert first["costs"]
    assert second["accuracies"]
    assert second["costs"] == []


def test_gaps_stay_gaps_and_names_are_short(odd_table: Table) -> None:
    """What is missing is NaN and has no rank; a split that ended before the schedule says so."""
    (one,) = tables_data([(odd_table.name, odd_table)])
    assert len(one["name"]) == 60
    valid, test = one["accuracies"]
    assert (valid["name"], test["name"]) == ("validation accuracy", "test accuracy after 1 epochs")
    assert np.isnan(values(valid)).sum() == np.isnan(values(test)).sum() == -(-SIZE // 3)
    assert (ranks(valid)[::3] == 0).all()
    assert ranks(valid)[-1 if (SIZE - 1) % 3 else -2] == 1
    names = {cost["key"]: cost for cost in one["costs"]}
    assert set(names) == {HOSTILE, "few", "huge"}
    assert all(len(cost["name"]) <= 60 and len(cost["unit"]) <= 60 for cost in one["costs"])
    np.testing.assert_array_equal(values(names["few"]), np.arange(SIZE) % 3)
    assert np.isfinite(values(names["huge"])).sum() == -(-SIZE // 2)  # 1e300 is none of single precision


def test_tables_and_columns_of_one_name_are_told_apart(bare_table: Table) -> None:
    names = [one["name"] for one in tables_data([("bare", bare_table), ("bare", bare_table)])]
    assert names == ["bare", "bare (2)"]


# -- cells -----------------------------------------------------------------------------------


def longest(ops: list[int], node: int = 3) -> int:
    """Most convolutions on a path from the input to a node, by trying all paths; -1 where there is none."""
    if node == 0:
        return 0
    found = [-1]
    for (source, target), op in zip(EDGES, ops, strict=True):
        if target == node and op != 0 and (before := longest(ops, source)) >= 0:
            found.append(before + (op in (2, 3)))
    return max(found)


def test_the_depth_is_that_of_the_longest_path() -> None:
    found = depths()
    assert found.tolist() == [longest(ops) for ops in all_ops().tolist()]
    of = {text: int(found[Architecture.parse(text).index]) for text in ("official:6111", "index:0")}
    assert of == {"official:6111": 3, "index:0": -1}
    assert np.unique(found).tolist() == [-1, 0, 1, 2, 3]


def test_what_is_said_of_cells() -> None:
    data = cells_data()
    np.testing.assert_array_equal(unpacked(data["official"]), official_ranks())
    np.testing.assert_array_equal(unpacked(data["depth"]).astype(int) - 1, depths())
    members = unpacked(data["members"])
    classes = canonical_classes()
    for index in (0, 5, 11667, SIZE - 1):
        assert members[index] == (classes == classes[index]).sum()
    assert round((1 / members).sum()) == 5485


# -- the page --------------------------------------------------------------------------------


def test_the_page_of_three_tables_stays_small_and_names_no_address(space_file: Path) -> None:
    text = space_file.read_text(encoding="utf-8")
    assert len(text.encode()) < 1_200_000
    assert set(re.findall(r"\b\w+://[^\s\"'<\\]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(src|href)=", text)


def test_the_same_tables_give_the_same_page_and_each_counts_once(official: list[Table]) -> None:
    assert explorer([official[0], official[0]]) == explorer(official[:1])
    assert page_data(explorer(official[:1]))["space"] == {"tables": [0], "costs": [0]}


def test_scripts_are_short() -> None:
    for name in (Path(__file__).parents[2] / "nb201env" / "pages").iterdir():
        if name.suffix in (".js", ".css"):
            assert len(name.read_text(encoding="utf-8").splitlines()) < 400


# -- colours ---------------------------------------------------------------------------------


def colours(theme: str, letter: str) -> list[str]:
    """The CSS variables ``--s0``, ``--s1``, … or ``--op0``, … of a theme."""
    light, dark = re.findall(r"\{(.*?)\}", asset("nb201env.pages", "space.css"), re.DOTALL)[:2]
    return re.findall(rf"--{letter}\d: (#\w+);", light if theme == "light" else dark)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sight", ["", "protan", "deutan", "tritan"])
def test_ops_are_told_apart_by_colour_whatever_the_sight(theme: str, sight: str) -> None:
    color = pytest.importorskip("coloraide", reason="needs coloraide, of the extra dev").Color
    ops = [color(one).filter(sight) if sight else color(one) for one in colours(theme, "op")]
    assert len(ops) == 5
    for i, one in enumerate(ops):
        assert all(one.delta_e(other, method="2000") >= 10 for other in ops[:i])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_scale_of_numbers_leads_one_way_in_lightness(theme: str) -> None:
    """So that it is read without colours too: away from the page's own lightness."""
    color = pytest.importorskip("coloraide", reason="needs coloraide, of the extra dev").Color
    lightness = [color(one).convert("lab")["lightness"] for one in colours(theme, "s")]
    assert len(lightness) == 9
    steps = [b - a for a, b in pairwise(lightness)]
    assert all((step > 4) if theme == "dark" else (step < -4) for step in steps)
