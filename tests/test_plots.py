"""Figures of tables can be read: legends cover nothing, nothing is cut off, numbers have a true minus."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, NotRecorded, Table, open_table, pictures, plots
from nb201env.space import SIZE
from nb201env.table import write_table
from nb201env.tables import embedded

pytest.importorskip("matplotlib")

OTHER = partial(open_table, "cifar100-200")
KINDS: dict[str, Callable[[Table, Path], Any]] = {
    "landscape": lambda table, path: plots.landscape(table, path, split="valid"),
    "params": lambda table, path: plots.landscape(table, path, split="valid", x="params"),
    "latency": lambda table, path: plots.landscape(table, path, split="valid", x="latency"),
    "two columns": lambda table, path: plots.landscape(table, path, split="valid", x="params", y="macs"),
    "histogram": lambda table, path: plots.histogram(table, path, split="valid"),
    "seeds": lambda table, path: plots.seeds(table, path, split="valid"),
    "ops": lambda table, path: plots.ops(table, path, split="valid"),
    "ranks": lambda table, path: plots.ranks([table, OTHER()], path, split="valid"),
    "many ranks": lambda table, path: plots.ranks([OTHER(), table, table, table], path, split="valid"),
}  # fmt: skip


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The figures that are drawn, laid out as they would be saved, in place of files."""
    found: list[Any] = []

    def kept(figure: Any, path: object, plt: object) -> None:
        figure.set_dpi(150)
        figure.draw_without_rendering()
        found.append(figure)

    monkeypatch.setattr(pictures, "save", kept)
    yield found
    for figure in found:
        pictures.pyplot().close(figure)


def box(figure: Any, thing: Any) -> Any:
    """Where something stands in pixels."""
    return thing.get_window_extent(figure.canvas.get_renderer())


def legends(figure: Any) -> list[Any]:
    return [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]


def texts(figure: Any) -> list[Any]:
    """All texts that are seen: not the labels of ticks that lie outside the axes."""
    text = pictures.pyplot().Text
    axises = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    every = {one for axis in axises for tick in axis.get_major_ticks() for one in (tick.label1, tick.label2)}
    seen = {one for axis in axises for tick in axis._update_ticks() for one in (tick.label1, tick.label2)}
    found = [one for one in figure.findobj(text) if one.get_visible() and one.get_text().strip()]
    return [one for one in found if one in seen or one not in every]


def assert_readable(figure: Any) -> None:
    width, height = figure.bbox.width, figure.bbox.height
    for legend in legends(figure):
        its = box(figure, legend)
        for axes in figure.axes:
            assert not its.overlaps(axes.get_tightbbox(figure.canvas.get_renderer())), "a legend covers axes"
    for one in texts(figure):
        its, said = box(figure, one), one.get_text()
        assert its.x0 > -1, said
        assert its.y0 > -1, said
        assert its.x1 < width + 1, said
        assert its.y1 < height + 1, said
        assert not re.search(r"(?<!\w)-\d", said), said
        assert not re.search(r"\d[x]\d|\d%", said), said
    for axes in figure.axes:
        for one, two in combinations([axes.title, axes._left_title, *axes.texts], 2):
            if one.get_text() and two.get_text():
                assert not box(figure, one).overlaps(box(figure, two)), "texts lie over each other"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", embedded())
def test_legends_cover_no_dots_and_nothing_is_cut_off(name: str, kind: str, drawn: list[Any]) -> None:
    table = open_table(name)
    try:
        KINDS[kind](table, Path("x.png"))
    except NotRecorded:
        assert kind in ("seeds", "latency"), "all embedded tables have the rest"
        return
    (figure,) = drawn
    assert_readable(figure)


@pytest.mark.parametrize("best", [0, SIZE // 2, SIZE - 1])
def test_the_best_is_named_above_its_dot(best: int, drawn: list[Any], tmp_path: Path) -> None:
    """Wherever it lies, the first and the last place of the axis too, in a table of one's own."""
    accuracy = np.full((SIZE, 1, 1), 0.5) + np.arange(SIZE)[:, None, None] * 1e-6
    accuracy[best] = 0.9
    table = own(tmp_path, accuracy, cost=np.arange(SIZE, dtype=float))
    front = plots.landscape(table, Path("x.png"), split="valid", x="cost")["front"]
    assert front[-1]["cost"] == best
    (figure,) = drawn
    (label,) = [one for one in figure.axes[0].texts if one.get_text() == "best: 90.00 %"]
    x, y = figure.axes[0].transData.transform((best, 90))
    its = box(figure, label)
    assert its.x0 - 1 <= x <= its.x1 + 1
    assert y < its.y0 < y + 30
    assert figure.axes[0].bbox.x0 <= its.x0 + 1
    assert its.x1 - 1 <= figure.axes[0].bbox.x1
    assert_readable(figure)


@pytest.mark.parametrize("count", [1, 7, 20])
def test_curves_of_many_architectures_are_told_apart(count: int, drawn: list[Any]) -> None:
    architectures = [Architecture.from_index(700 * i) for i in range(count)]
    plots.curves(open_table("digits-10"), Path("x.png"), split="valid", architectures=architectures)
    (figure,) = drawn
    lines = figure.axes[0].lines
    assert len({(line.get_color(), str(line._dash_pattern)) for line in lines}) == count
    assert figure.axes[0].bbox.height > 300, "the legend leaves the curves room"
    (legend,) = figure.legends
    assert not box(figure, legend).overlaps(figure.axes[0].get_tightbbox())
    assert box(figure, legend).y0 >= -1


def test_a_strangers_name_is_shown_as_it_is(drawn: list[Any], tmp_path: Path) -> None:
    accuracy = np.linspace(0.1, 0.9, 2 * SIZE).reshape(SIZE, 2, 1)
    table = own(tmp_path, accuracy, name="a$b$_c")
    for kind in ("histogram", "seeds", "ops", "ranks"):
        KINDS[kind](table, Path("x.png"))
    for figure in drawn:
        said = "\n".join(one.get_text() for one in texts(figure))
        assert r"a\$b\$_c" in said
        assert "a$b" not in said


@pytest.mark.parametrize("kind", ["histogram", "seeds", "ops", "ranks", "many ranks"])
def test_long_names_are_not_cut_off_by_the_figures_edge(kind: str, drawn: list[Any], tmp_path: Path) -> None:
    accuracy = np.linspace(0.1, 0.9, 2 * SIZE).reshape(SIZE, 2, 1)
    KINDS[kind](own(tmp_path, accuracy, name="cifar10-valid-" + "with-augmentation-" * 4), Path("x.png"))
    assert_readable(drawn[0])


def test_numbers_in_figures_have_a_true_minus() -> None:
    assert pictures.number(-1.5, "+.2f") == "\u22121.50"
    assert pictures.number(1.5, "+.2f") == "+1.50"
    assert pictures.number(-1000, ",") == "\u22121,000"


def test_lines_are_told_apart_by_colour_and_dash() -> None:
    looks = [pictures.line(number) for number in range(24)]
    assert len({(look["color"], look["linestyle"]) for look in looks}) == 24
    for one, two in pairwise(looks):
        assert one["color"] != two["color"]
        assert one["linestyle"] != two["linestyle"]


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_numbers_give_the_same_bytes(tmp_path: Path, kind: str) -> None:
    for name in ("one", "two"):
        plots.ops(open_table("digits-10"), tmp_path / f"{name}.{kind}", split="valid")
    assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def own(folder: Path, accuracy: Any, *, name: str = "own", cost: Any = None) -> Table:
    """A table of valid accuracies [architecture, run, 1], and of a cost."""
    manifest = {
        "name": name, "task": {"name": "toy", "dataset": "cifar10"}, "schedule": {"epochs": 200},
        "seeds": list(range(accuracy.shape[1])), "provenance": {}, "licence": "none",
        "columns": {"valid_accuracy": {"epochs": [200]}},
    }  # fmt: skip
    columns = {"valid_accuracy": accuracy}
    if cost is not None:
        manifest["columns"] |= {"cost": {"unit": "s"}}  # type: ignore[operator]
        columns["cost"] = cost
    return write_table(folder / "own.safetensors", manifest, columns)
