"""Many searches and many agents: the same numbers from less memory, on pages of little growth."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env.agents.report.curves import Curve
from nb201env.agents.report.data import Bench, load
from nb201env.agents.report.figure_lines import regret_floor
from nb201env.agents.report.page import page
from nb201env.agents.report.summary import summarise
from nb201env.agents.report.thinning import TOLERANCE, drawn, thinned
from nb201env.pages.html import packed, packed_counts
from nb201env.space import SIZE

# -- reading ---------------------------------------------------------------------------------


def test_a_search_takes_a_few_bytes_a_query(bench: Bench) -> None:
    for search in bench.searches:
        arrays = search.index, search.incumbents, search.clock, search.whole
        assert [array.itemsize for array in arrays] == [2, 2, 8, 1]
        assert search.whole.strides == (0,), "all are of the whole training: one value for all"


def test_what_headers_have_in_common_is_there_once(bench: Bench) -> None:
    first, *others = (search.header for search in bench.settings[0].entries[0].searches)
    for other in others:
        assert other["seed"] != first["seed"]
        for name in ("env", "table", "versions", "hyperparameters", "source"):
            assert other[name] is first[name]


def test_reading_says_how_far_it_is(bench_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nb201env.agents.report.data._TICK", 4)
    heard: list[tuple[int, int]] = []
    found = load([bench_folder], progress=lambda *said: heard.append(said))
    count = len(found.searches)
    assert heard == [(done, count) for done in range(0, count, 4)]


# -- curves ----------------------------------------------------------------------------------


def deviation(curve: Curve, floor: float) -> float:
    """The most pixels that a line of the thinned curve lies above or below that of the whole one."""
    across, up = drawn(curve, floor)
    kept = np.flatnonzero(np.isin(curve.x, thinned(curve, floor).x))
    return max(float(np.abs(np.interp(x, x[kept], line[kept]) - line).max()) for x in across for line in up)


def test_thinned_curves_look_the_same(bench: Bench) -> None:
    before = after = 0
    for one in summarise(bench).settings:
        curves = [curve for agent in one.agents for curve in (agent.by_queries, agent.by_seconds)]
        floor = regret_floor([curve.mean for curve in curves]) / 100
        for curve in [*curves, one.random]:
            assert curve is not None
            few = thinned(curve, floor)
            assert deviation(curve, floor) <= TOLERANCE + 1e-9
            assert (few.x[0], few.x[-1]) == (curve.x[0], curve.x[-1])
            before, after = before + len(curve.x), after + len(few.x)
    assert 0.2 < after / before < 0.9, "some points say nothing, and some do"


def test_the_pixels_are_those_of_a_chart() -> None:
    line = np.array([0.1, 0.01, 0.001, 0.0])
    across, up = drawn(Curve(np.array([1.0, 10.0, 100.0, 1000.0]), *[line] * 6), floor=0.001)
    np.testing.assert_allclose(across[0], 1400 * np.array([0, 9, 99, 999]) / 999)
    np.testing.assert_allclose(across[1], 1400 * np.arange(4) / 3)
    np.testing.assert_allclose(up[0], [400, 40, 4, 0])
    np.testing.assert_allclose(up[3], [400, 200, 0, 0])


def test_a_straight_line_is_its_ends_and_a_corner_stays() -> None:
    x = np.arange(1.0, 101.0)
    flat, missing = np.full(100, 0.25), np.full(100, np.nan)
    assert thinned(Curve(x, flat, *[missing] * 5), 0.01).x.tolist() == [1, 100]
    corner = np.where(x < 40, 0.5, 0.25)
    assert thinned(Curve(x, corner, *[missing] * 5), 0.01).x.tolist() == [1, 39, 40, 100]
    edge = Curve(x, flat, flat, flat, flat, flat, corner)
    assert thinned(edge, 0.01).x.tolist() == [1, 39, 40, 100], "of a band alone, too"


def test_curves_without_extent_are_kept() -> None:
    """One query; no clock, where all points stand at 0 seconds."""
    for x in (np.ones(1), np.zeros(5)):
        curve = Curve(x, *[np.full(len(x), 0.1)] * 6)
        assert len(thinned(curve, 0.01).x) == len(x)


# -- the page --------------------------------------------------------------------------------


def unpacked(data: dict[str, Any]) -> list[int]:
    """As `unpack` of base.js does it."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(data["bits"]), np.uint8), bitorder="little")
    values = iter(np.frombuffer(base64.b64decode(data["base64"]), f"<{data['type']}").tolist())
    return [next(values) if bit else 0 for bit in bits[: data["size"]].tolist()]


@pytest.mark.parametrize("counted", [0, 1, 40, 3000, SIZE])
@pytest.mark.parametrize("most", [1, 300])
def test_counts_come_back(counted: int, most: int) -> None:
    rng = np.random.default_rng(counted)
    counts = np.zeros(SIZE, dtype=np.int64)
    counts[rng.choice(SIZE, counted, replace=False)] = rng.integers(1, most + 1, size=counted)
    data = packed_counts(counts)
    assert unpacked(data) == counts.tolist()
    size, dense = (len(str(one)) for one in (data, packed(counts)))
    assert size < 1.13 * dense + 50
    if counted <= 40:
        assert size < dense / 7


def test_what_an_agent_adds_to_a_page(bench: Bench) -> None:
    """Thinned curves, what it asked for, its rows: 48 agents on 3 environments are less than 3 MB."""
    alone = tuple(replace(setting, entries=setting.entries[:1]) for setting in bench.settings)
    further = sum(len(setting.entries) - 1 for setting in bench.settings)
    assert further == 2
    whole, few = (len(page(summarise(one), "")) for one in (bench, replace(bench, settings=alone)))
    assert (whole - few) / further < 20_000
