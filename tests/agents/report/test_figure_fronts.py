"""Drawn figures of searches with several objectives: right steps, in readable units, nothing covered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nb201env.agents.report.attained import attained_fronts, stairs
from nb201env.agents.report.figure_fronts import attained, share, volume
from nb201env.agents.report.figure_style import PAPER, SCREEN, Cast, Medium
from nb201env.agents.report.figures import FILES, draw
from nb201env.agents.report.fronts.summary import FrontSetting
from nb201env.agents.report.summary import Summary
from nb201env.fronts.front import nondominated
from tests.agents.report.front_searches import PARAMS, THREE, summarised

pytest.importorskip("matplotlib")
pytest.importorskip("moocore")

DRAWN = {"volume": volume, "share": share, "attained": attained}


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Four agents with two objectives, one with three."""
    names = ["one", "two $x$", "_three", "four"]
    return summarised(tmp_path_factory.mktemp("fronts"), (names, PARAMS), (["one"], THREE))


@pytest.fixture(scope="module")
def one(summary: Summary) -> FrontSetting:
    return next(found for found in summary.fronts if len(found.landscape.all.objectives) == 2)


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def many(one: FrontSetting, count: int) -> FrontSetting:
    """The same with this many agents, each like one of its own."""
    agents = tuple(
        replace(like, entry=replace(like.entry, label=f"agent {number}"))
        for number, like in ((n, one.agents[n % len(one.agents)]) for n in range(count))
    )
    return replace(one, agents=agents)


def drawn(kind: str, one: FrontSetting, medium: Medium) -> Any:
    from matplotlib import pyplot

    settings: Any = medium.settings
    with pyplot.rc_context(settings):
        figure = DRAWN[kind](pyplot, one, Cast([agent.entry.label for agent in one.agents]), medium)
        figure.draw_without_rendering()
    return figure


# -- steps -----------------------------------------------------------------------------------

POINTS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12)


@given(POINTS, st.booleans(), st.floats(1.05, 8.95))
def test_steps_bound_what_the_points_dominate(
    found: list[tuple[int, int]], more_across: bool, at: float
) -> None:
    """Against the definition: how high does any point that is at least as good across reach?"""
    if at.is_integer():
        at += 0.01  # on a corner itself the boundary is upright
    rewards = np.array(found, dtype=np.float64)
    kept = np.unique(rewards[nondominated(rewards)], axis=0)[::-1]
    sign = 1 if more_across else -1
    steps = stairs(kept * (1, sign), more_across, np.zeros(2))
    place = sign * at
    height = steps.y[int((steps.x <= place).sum()) - 1] if steps.x[0] <= place else 0.0
    assert height == max([up for up, across in found if across >= at], default=0)
    assert (np.diff(steps.x) >= 0).all()


def test_attained_fronts_are_in_units_that_people_read(one: FrontSetting) -> None:
    shown = attained_fronts(one)
    assert shown is not None
    assert shown.up == "validation accuracy (%)"
    assert shown.across == "parameters (millions; less is better)"
    land = one.landscape
    np.testing.assert_allclose(shown.points, (land.front.values * (100, 1e-6))[:, ::-1])
    for agent in one.agents:
        assert agent.surface is not None
        steps = shown.agents[agent.entry.label]
        np.testing.assert_allclose(steps.x[1:-1], 1e-6 * agent.surface[::-1, 1])
        np.testing.assert_allclose(steps.y[1:-1], 100 * agent.surface[::-1, 0])
        assert steps.x[-1] == pytest.approx(1e-6 * land.all.values[:, 1].max())
        assert steps.y[0] == pytest.approx(100 * land.all.values[:, 0].min())


def test_windows_hold_the_front_and_its_better_half(one: FrontSetting) -> None:
    shown = attained_fronts(one)
    assert shown is not None
    held = [
        int(((w.left < x) & (x < w.right) & (w.bottom < y) & (y < w.top)).sum())
        for w in shown.windows
        for x, y in [shown.points.T]
    ]
    assert held == [len(shown.points), (len(shown.points) + 1) // 2]
    assert shown.log  # 73,306 to 1,073,466 parameters


def test_three_objectives_have_no_figure_of_fronts(summary: Summary) -> None:
    three = next(found for found in summary.fronts if len(found.landscape.all.objectives) == 3)
    assert attained_fronts(three) is None
    with pytest.raises(ValueError, match="two objectives alone"):
        drawn("attained", three, SCREEN)


def test_an_agent_that_attains_nothing_in_half_of_its_searches_has_no_steps(one: FrontSetting) -> None:
    first = replace(one.agents[0], surface=np.empty((0, 2)))
    shown = attained_fronts(replace(one, agents=(first, *one.agents[1:])))
    assert shown is not None
    assert list(shown.agents) == [agent.entry.label for agent in one.agents[1:]]


# -- figures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("medium", [SCREEN, PAPER], ids=["screen", "paper"])
@pytest.mark.parametrize("count", [1, 4, 13])
@pytest.mark.parametrize("kind", DRAWN)
def test_all_words_are_on_the_figure_and_legends_outside_the_axes(
    kind: str, count: int, medium: Medium, one: FrontSetting
) -> None:
    figure = drawn(kind, many(one, count), medium)
    width, height = figure.bbox.size
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    texts += [words for axes in figure.axes for words in (axes.xaxis.label, axes.yaxis.label, axes.title)]
    for text in filter(lambda text: text.get_text(), texts):
        box = text.get_window_extent()
        assert box.x0 > -2, text
        assert box.y0 > -2, text
        assert box.x1 < width + 2, text
        assert box.y1 < height + 2, text
    (legend,) = figure.legends
    assert not any(legend.get_window_extent().overlaps(axes.get_tightbbox()) for axes in figure.axes)
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) >= count + 1
    assert ("true front" in names) == (kind == "attained")
    assert ("random search, expected" in names) == (kind != "attained")


def test_curves_show_the_numbers(one: FrontSetting) -> None:
    for kind, curves in (("volume", "gap_by_queries"), ("share", "share_by_queries")):
        left = drawn(kind, one, SCREEN).axes[0]
        assert left.get_yscale() == ("log" if kind == "volume" else "linear")
        for agent, line in zip(one.agents, left.get_lines(), strict=False):
            curve = getattr(agent, curves)
            np.testing.assert_allclose(line.get_xdata(), curve.x)
            least = left.get_ylim()[0]
            np.testing.assert_allclose(line.get_ydata(), np.maximum(100 * curve.mean, least), rtol=1e-9)


def test_the_true_front_is_drawn_in_ink_with_a_dot_for_each_point(one: FrontSetting) -> None:
    from matplotlib.colors import to_hex

    for panel in drawn("attained", one, SCREEN).axes:
        front, dots, *agents = panel.get_lines()
        assert to_hex(front.get_color()) == to_hex(dots.get_color()) == "#1f2933"
        assert len(dots.get_xdata()) == len(one.landscape.front.index)
        assert len(agents) == len(one.agents)


def test_files_have_their_names(summary: Summary, tmp_path: Path) -> None:
    made = draw(summary, tmp_path)
    count = {name: sum(one.startswith(f"front-{name}") for one in made) for name in DRAWN}
    assert count == {"volume": 2, "share": 2, "attained": 1}
    assert all(FILES.fullmatch(path.name) for path in tmp_path.iterdir())
