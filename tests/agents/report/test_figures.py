"""Drawn figures: nothing covers anything, no two agents look alike, same numbers give same bytes."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nb201env.agents.report.data import load
from nb201env.agents.report.figure_lines import compare, regret
from nb201env.agents.report.figure_ranks import levels, ranks
from nb201env.agents.report.figure_space import space
from nb201env.agents.report.figure_style import PAPER, SCREEN, Cast, Medium, spread
from nb201env.agents.report.figures import FILES, draw
from nb201env.agents.report.summary import SettingSummary, Summary, summarise
from nb201env.pictures import plain_number
from tests.agents.report.figure_data import many, ranked

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def summary(bench_folder: Path) -> Summary:
    return summarise(load([bench_folder]))


@pytest.fixture(scope="module")
def written(summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    draw(replace(summary, settings=summary.settings[:1]), folder)
    return folder


def drawn(kind: str, one: SettingSummary, medium: Medium) -> Any:
    from matplotlib import pyplot

    labels = [agent.entry.label for agent in one.agents]
    cast = Cast(labels)
    settings: Any = medium.settings
    with pyplot.rc_context(settings):
        if kind == "regret":
            figure = regret(pyplot, one, cast, medium)
        elif kind == "space":
            figure = space(pyplot, one, cast, medium)
        elif kind == "ranks":
            figure = ranks(pyplot, ranked(len(labels)), cast, medium)
        else:
            profiles = {agent.entry.label: agent.profile for agent in one.agents}
            scores = {agent.entry.label: agent.iqm.value for agent in one.agents}
            figure = compare(pyplot, profiles, one.improvement, scores, "title", "x", cast, medium)
        figure.draw_without_rendering()
    return figure


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    yield
    from matplotlib import pyplot

    pyplot.close("all")


# -- nothing covers anything -----------------------------------------------------------------


@pytest.mark.parametrize("medium", [SCREEN, PAPER], ids=["screen", "paper"])
@pytest.mark.parametrize("count", [1, 3, 13, 24])
@pytest.mark.parametrize("kind", ["regret", "profiles", "space", "ranks"])
def test_all_words_are_on_the_figure_and_legends_outside_the_axes(
    kind: str, count: int, medium: Medium, summary: Summary
) -> None:
    from matplotlib.text import Text

    searches = 1 if count == 24 else 6
    figure = drawn(kind, many(summary.settings[0], count, searches), medium)
    width, height = figure.bbox.size
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible():
            box = text.get_window_extent()
            # A tick beyond the axes' end has a label that is not drawn.
            inside = box.x0 > -2 and box.y0 > -2 and box.x1 < width + 2 and box.y1 < height + 2
            assert inside or text in [t for a in figure.axes for t in unseen(a)], text
    assert len(figure.legends) == (kind != "ranks")
    for legend in figure.legends:
        assert not any(legend.get_window_extent().overlaps(axes.get_tightbbox()) for axes in figure.axes)
    assert figure.get_size_inches()[0] == medium.width


def unseen(axes: Any) -> list[Any]:
    seen = {tick for axis in (axes.xaxis, axes.yaxis) for tick in axis._update_ticks()}
    ticks = [*axes.xaxis.get_major_ticks(), *axes.xaxis.get_minor_ticks(),
             *axes.yaxis.get_major_ticks(), *axes.yaxis.get_minor_ticks()]  # fmt: skip
    off = [tick for tick in ticks if tick not in seen or not axes.axison]
    return [label for tick in off for label in (tick.label1, tick.label2)]


@pytest.mark.parametrize("count", [13, 24])
def test_numbers_at_the_lines_ends_do_not_touch(count: int, summary: Summary) -> None:
    figure = drawn("regret", many(summary.settings[0], count), PAPER)
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts if text.get_text().isdigit()]
        boxes = [box for box in boxes if box.width]
        numbers = [text.get_text() for text in axes.texts if text.get_text() != "0"]
        assert sorted(numbers, key=int) == [str(number + 1) for number in range(count)]
        middles = sorted(text.get_position()[1] for text in axes.texts if text.get_text() != "0")
        height = axes.get_window_extent().height
        assert min(np.diff(middles)) * height > 0.6 * figure.dpi * PAPER.em


@pytest.mark.parametrize("count", [5, 6, 13, 24])
def test_no_two_agents_are_alike_and_many_have_numbers(count: int, summary: Summary) -> None:
    figure = drawn("regret", many(summary.settings[0], count), SCREEN)
    (legend,) = figure.legends
    lines = legend.get_lines()
    assert len({(line.get_color(), str(line._unscaled_dash_pattern)) for line in lines}) == count + 1
    names = [text.get_text() for text in legend.get_texts()]
    assert names[0] == ("1  agent 0" if count > 5 else "agent 0")
    assert names[count] == "random search, expected"


@pytest.mark.parametrize(("count", "bands", "said"), [
    (1, 1, "95 % interval"), (5, 5, "95 % interval"), (6, 2, "95 % interval, of the two best alone"),
])  # fmt: skip
def test_bands_are_few_and_the_legend_says_whose(count: int, bands: int, said: str, summary: Summary) -> None:
    for kind in ("regret", "profiles"):
        figure = drawn(kind, many(summary.settings[0], count), SCREEN)
        assert len(figure.axes[0].collections) == bands
        assert figure.legends[0].get_texts()[-1].get_text() == said
        if bands == 2:
            best = {Cast([f"agent {i}" for i in range(6)]).colour(f"agent {i}") for i in (4, 5)}
            from matplotlib.colors import to_hex

            assert {to_hex(band.get_facecolor()[0]) for band in figure.axes[0].collections} == best


def test_one_search_alone_has_no_interval(summary: Summary) -> None:
    figure = drawn("regret", many(summary.settings[0], 3, searches=1), SCREEN)
    assert not figure.axes[0].collections
    assert "interval" not in " ".join(text.get_text() for text in figure.legends[0].get_texts())


def test_without_a_clock_there_is_no_panel_of_time(summary: Summary) -> None:
    one = summary.settings[0]
    still = [replace(a, by_seconds=replace(a.by_seconds, x=0 * a.by_seconds.x)) for a in one.agents]
    assert [len(drawn("regret", s, SCREEN).axes) for s in (one, replace(one, agents=tuple(still)))] == [2, 1]


def test_a_matrix_of_many_has_numbers_over_its_columns(summary: Summary) -> None:
    for count, heads in ((3, ["agent 0", "agent 1", "agent 2"]), (13, [str(i + 1) for i in range(13)])):
        figure = drawn("profiles", many(summary.settings[0], count), PAPER)
        matrix = figure.axes[1]
        assert [label.get_text() for label in matrix.get_xticklabels()] == heads
        assert len(matrix.texts) == count**2
    assert matrix.get_yticklabels()[12].get_text() == "13  agent 12"


def test_bold_chances_are_those_told_apart(summary: Summary) -> None:
    one = many(summary.settings[0], 2)
    pairs = dict(one.improvement)
    pairs["agent 1", "agent 0"] = pairs["agent 1", "agent 0"]._replace(low=0.51)
    matrix = drawn("profiles", replace(one, improvement=pairs), SCREEN).axes[1]
    assert [text.get_fontweight() for text in matrix.texts] == ["normal", "normal", "bold", "normal"]


def test_the_space_rings_what_was_chosen_and_numbers_what_was_chosen_most(summary: Summary) -> None:
    one = summary.settings[0]
    figure = drawn("space", one, SCREEN)
    rings = next(dots for dots in figure.axes[1].collections if not len(dots.get_facecolors()))
    chosen = {search.chosen for entry in one.setting.entries for search in entry.searches}
    assert len(rings.get_offsets()) == len(chosen)
    accuracies = sorted(100 * one.setting.landscape.valid[list(chosen)])
    np.testing.assert_allclose(sorted(rings.get_offsets()[:, 1]), accuracies)
    numbers = " ".join(text.get_text() for text in figure.axes[1].texts)
    assert sorted(re.findall(r"\d+", numbers)) == ["1", "2"]


# -- ranks -----------------------------------------------------------------------------------


def test_better_ranks_are_to_the_left_and_bars_join_groups(summary: Summary) -> None:
    figure = drawn("ranks", many(summary.settings[0], 5), SCREEN)
    (axes,) = figure.axes
    shown = {text.get_text() for text in axes.texts}
    assert {"agent 0  (1.00)", "agent 4  (4.60)", "critical difference 1.00"} <= shown
    bars = [line.get_xdata() for line in axes.lines if line.get_linewidth() > 3]
    np.testing.assert_allclose([np.mean(bar) for bar in bars], [1.45, 2.35, 3.25, 4.15])
    assert axes.get_xlim()[0] < axes.get_xlim()[1]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9))))
def test_bars_of_one_line_do_not_touch(found: list[tuple[int, int]]) -> None:
    spans = [(float(low), float(low + length)) for low, length in sorted(found)]
    lines = levels(spans)
    for line in set(lines):
        mine = [span for span, other in zip(spans, lines, strict=True) if other == line]
        assert all(one[1] < two[0] for one, two in pairwise(mine))
    assert set(lines) == set(range(len(set(lines))))


# -- numbers ---------------------------------------------------------------------------------


@given(st.lists(st.floats(-1, 2), max_size=30), st.floats(0.001, 0.2))
def test_places_are_spread_in_their_order(places: list[float], gap: float) -> None:
    found = spread(np.array(places), gap)
    room = min(gap, 1 / max(len(places) - 1, 1))
    order = np.argsort(places, kind="stable")
    assert (np.diff(found[order]) >= room - 1e-9).all()
    assert ((found >= -1e-9) & (found <= 1 + 1e-9)).all()


def test_places_with_room_stay() -> None:
    np.testing.assert_allclose(spread(np.array([0.9, 0.1, 0.5]), 0.2), [0.9, 0.1, 0.5])
    np.testing.assert_allclose(spread(np.array([0.5, 0.5, 0.9]), 0.2), [0.4, 0.6, 0.9])


def test_numbers_on_axes_have_a_minus_sign_and_no_powers() -> None:
    found = [plain_number(x) for x in (-0.5, 1e-5, 0.1, 1.0, 1000.0, 1e6, 0.0)]
    assert found == ["−0.5", "0.00001", "0.1", "1", "1,000", "1,000,000", "0"]


# -- files -----------------------------------------------------------------------------------


def test_a_pdf_is_as_wide_as_a_page_and_holds_true_type_fonts(written: Path) -> None:
    for path in written.glob("*.pdf"):
        raw = path.read_bytes()
        parts = [_inflated(part) for part in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", raw, re.DOTALL)]
        text = raw + b"".join(parts)
        assert b"STIXGeneral" in text
        assert b"/FontFile2" in text
        assert b"/Type3" not in text
        assert re.search(rb"/MediaBox \[ ?0 0 486 ", text)
        assert not re.search(rb"CreationDate|Producer|/Creator", text)


def _inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""


def test_an_svg_needs_no_font(written: Path) -> None:
    for path in written.glob("*.svg"):
        assert "<text" not in path.read_text()
        assert 'width="486pt"' in path.read_text()


def test_the_same_numbers_give_the_same_bytes(bench_folder: Path, written: Path, tmp_path: Path) -> None:
    """In another process, whose hashes of texts are others."""
    code = (
        "import sys; from dataclasses import replace; from pathlib import Path\n"
        "from nb201env.agents.report.data import load; from nb201env.agents.report.figures import draw\n"
        "from nb201env.agents.report.summary import summarise\n"
        "found = summarise(load([Path(sys.argv[1])]))\n"
        "draw(replace(found, settings=found.settings[:1]), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(bench_folder), str(tmp_path)]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "7", "PATH": "/usr/bin"})
    names = {path.name for path in written.iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert {f"{name}.{kind}" for name in ("regret-0", "profiles-0", "space-0", "overall")
            for kind in ("png", "svg", "pdf")} <= names  # fmt: skip
    for name in names:
        assert FILES.fullmatch(name)
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes(), name
