"""The explorer in headless Chromium: what is drawn, found, pinned and said, with pointer, finger and keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, Table, drawing
from nb201env.agents.searches.outcome import Landscape
from nb201env.comparison import costs
from nb201env.notation import FORMS
from nb201env.pages.space import space_scripts
from nb201env.space import SIZE, neighbours
from tests.browser import opened

BEST = Architecture.from_official_index(6111)
PICTURE = "() => document.querySelector('canvas').toDataURL()"


def choose(page: Any, label: str, text: str) -> None:
    page.get_by_label(label, exact=True).select_option(text)


def find(page: Any, text: str) -> None:
    page.get_by_label("Find a cell", exact=True).fill(text)
    page.keyboard.press("Enter")


def panel(page: Any) -> str:
    return str(page.locator(".pinned").inner_text())


def pinned(page: Any) -> int:
    """The lexicographic index of the cell in the panel."""
    (index,) = re.findall(r"index \(lexicographic\)\s+(\d+)", panel(page))
    return int(index)


def place(page: Any, index: int) -> tuple[float, float]:
    """Where the marked dot is on the screen, after pinning it by its index."""
    find(page, f"index:{index}")
    box = page.locator(".marks .pin").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


# -- axes and colours ------------------------------------------------------------------------


def test_every_measure_is_an_axis_and_a_colour(page: Any, official: list[Table]) -> None:
    names = ["validation accuracy", "parameters", "MACs", "GPU seconds", "latency"]
    expected = [f"{name}, {table.name}" for table in official for name in names] + ["official index"]
    expected.insert(len(names), f"CPU latency, {official[0].name}")
    for axis in ("Across", "Upwards"):
        assert page.get_by_label(axis, exact=True).locator("option").all_inner_texts() == expected
    seen = set()
    for name in expected:
        choose(page, "Across", name)
        seen.add(page.evaluate(PICTURE))
    choose(page, "Across", expected[1])
    for name in page.get_by_label("Colour", exact=True).locator("option").all_inner_texts():
        choose(page, "Colour", name)
        seen.add(page.evaluate(PICTURE))
        assert page.locator(".key").is_visible() == (name != "nothing")
    # Less than all: the tables' sizes and seconds are alike but for a factor, and so are their colours.
    assert len(seen) >= len(expected) + 20


def test_the_key_says_what_colours_mean(page: Any, official: list[Table]) -> None:
    latency = 1e3 * costs(official[1], "latency_seconds")
    for colour, shown in (
        ("depth (convolutions in a row)", ["0", "1", "2", "3", "output cut off"]),
        ("how many skip", ["0", "1", "2", "3", "4", "5", "6"]),
        ("op on edge 1→2", list(drawing.LABELS[:5])),
        ("latency, cifar100-200", [f"{latency.min():.2f}", f"{latency.max():.2f}"]),
    ):
        choose(page, "Colour", colour)
        assert page.locator(".key span").all_inner_texts() == shown


def test_ranges_and_log_scales_change_the_picture(page: Any) -> None:
    seen = {page.evaluate(PICTURE)}
    for text in ("all", "the best half", "the best tenth"):
        choose(page, "Accuracies", text)
        seen.add(page.evaluate(PICTURE))
    page.get_by_label("log x").check()
    seen.add(page.evaluate(PICTURE))
    assert len(seen) == 5
    choose(page, "Across", "official index")  # which begins at 0
    assert page.get_by_label("log x").is_disabled()


def test_dots_stand_where_their_numbers_are(page: Any, official: list[Table]) -> None:
    """Higher accuracy on both tables is further up and to the right, by the same share of the axes."""
    choose(page, "Across", "validation accuracy, cifar100-200")
    choose(page, "Accuracies", "all")
    accuracy = [Landscape.of(table).valid for table in official[:2]]
    cells = [BEST.index, 0, 777, 9000]
    places = np.array([place(page, index) for index in cells])
    for axis, values, sign in ((0, accuracy[1], 1), (1, accuracy[0], -1)):
        slope, offset = np.polyfit(values[cells], places[:, axis], 1)
        np.testing.assert_allclose(places[:, axis], slope * values[cells] + offset, atol=0.6)
        assert slope * sign > 0


# -- cells -----------------------------------------------------------------------------------


def test_the_panel_tells_all_that_is_known_of_a_cell(page: Any, official: list[Table]) -> None:
    find(page, "6111")
    text = panel(page)
    assert str(BEST) in text
    assert re.search(r"official index\s+6111\s+index \(lexicographic\)\s+11667\s+depth .*\s+3\s", text)
    for table in official:
        landscape = Landscape.of(table)
        numbers = f"{100 * landscape.valid[BEST.index]:.2f} %", f"{landscape.rank[BEST.index]:,}"
        assert re.search(rf"{table.name}\s+rank\s+validation accuracy\s+{numbers[0]}\s+{numbers[1]}\s", text)
        seconds = table.seconds(epochs=table.epochs, run="mean")[BEST.index]
        assert f"{seconds:,.0f} s" in text
    same = "html => { const box = document.createElement('div'); box.innerHTML = html; return box.innerHTML }"
    drawn = page.locator(".picture svg").evaluate("svg => svg.outerHTML")
    assert drawn == page.evaluate(same, drawing.svg(BEST.ops))


@pytest.mark.parametrize("cell", [0, 11667, SIZE - 1])
def test_neighbours_are_the_architectures_neighbours(page: Any, official: list[Table], cell: int) -> None:
    find(page, f"index:{cell}")
    rows = page.locator(".neighbours tbody tr")
    found = [int(one.get_attribute("data-index")) for one in rows.locator("button").all()]
    assert sorted(found) == sorted(neighbours(cell).tolist())
    valid = Landscape.of(official[0]).valid
    differences = 100 * (valid[found] - valid[cell])
    shown = [float(text.replace("−", "-")) for text in rows.locator("td:last-child").all_inner_texts()]
    np.testing.assert_allclose(shown, differences, atol=0.00501)
    assert shown == sorted(shown, reverse=True)
    for text, index in zip(rows.locator("button").all_inner_texts(), found, strict=True):
        other = Architecture.from_index(index)
        (edge,) = [k for k in range(6) if other.ops[k] != Architecture.from_index(cell).ops[k]]
        names = [drawing.LABELS[Architecture.from_index(one).ops[edge]] for one in (cell, index)]
        assert text.endswith(f": {names[0]} → {names[1]}")
    assert page.locator(".marks .neighbour").count() <= 24


def test_neighbours_are_sorted_and_lead_on(page: Any) -> None:
    find(page, "6111")
    page.get_by_role("button", name="change", exact=True).click()
    texts = page.locator(".neighbours tbody button").all_inner_texts()
    assert [text.partition(":")[0] for text in texts] == [
        edge for edge in ("in→1", "in→2", "1→2", "in→out", "1→out", "2→out") for _ in range(4)
    ]
    head = page.locator(".neighbours th[aria-sort=ascending]")
    assert head.inner_text().startswith("change")
    first = page.locator(".neighbours tbody button").first
    index = int(first.get_attribute("data-index"))
    first.click()
    assert pinned(page) == index
    assert page.locator(".neighbours tbody button").first.inner_text().startswith("in→1")  # still sorted so
    assert {
        int(b.get_attribute("data-index")) for b in page.locator(".neighbours tbody button").all()
    } == set(neighbours(index).tolist())


# -- searching -------------------------------------------------------------------------------

TYPED = ("official string", "official index", "index", "op numbers", "op names")
READ = [form.example for form in FORMS if form.name in TYPED]


def test_a_cell_is_found_as_python_reads_it(page: Any) -> None:
    others = ["6111", "  official:6111 ", ", ".join(BEST.names), "3x3 3×3 3x3 skip 3×3 1x1"]
    for text in (*READ, *others):
        find(page, "index:0")
        find(page, text)
        assert page.locator(".problem").inner_text() == ""
        assert pinned(page) == BEST.index


def test_a_number_is_the_index_that_is_said(page: Any) -> None:
    page.get_by_label("which index a number is").select_option("a number is the index (lexicographic)")
    find(page, "6111")
    assert pinned(page) == 6111


WRONG = [
    "official:15625", "index:15625", "|none~0|+|none~0|none~1|",
    "|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "|none~0|+|none~0|+|none~0|none~1|none~2|",
    "|non~0|+|none~0|none~1|+|none~0|none~1|none~2|", "official:x", "official:-1",
]  # fmt: skip


def test_what_is_no_cell_is_answered_as_python_answers(page: Any) -> None:
    for text in WRONG:
        with pytest.raises(ValueError, match=".") as caught:
            Architecture.parse(text)
        find(page, text)
        beginning = re.split(r"[;(]| '", str(caught.value))[0].rstrip(": ")
        assert beginning in page.locator(".problem").inner_text()
        assert page.locator(".pinned h3").count() == 0
    find(page, "6111")
    assert page.locator(".problem").inner_text() == ""


MISTAKES = [
    ("", "write a cell"), ("15625", "in 0..15624; got '15625'"),
    ("3,3,3,1,3,2", "say whose they are, ops:(3, 3, 3, 1, 3, 2)"), ("<img src=x>", "got '<img src=x>'"),
    ("a b c d e f", "unknown op 'a'; the ops are none, skip_connect"),
    ("ops:(3,3,3,1,3,5)", "six op numbers in 0..4"), ("9" * 300, "…'"),
]  # fmt: skip


def test_other_mistakes_get_one_sentence(page: Any) -> None:
    for text, message in MISTAKES:
        find(page, text)
        said = page.locator(".problem").inner_text()
        assert message in said
        assert len(said) < 330
        assert page.locator("img").count() == 0
    assert page.locator(".problem").get_attribute("role") == "alert"


def test_a_cell_out_of_range_widens_the_range(page: Any) -> None:
    find(page, "index:0")  # all none: the worst there is
    assert page.get_by_label("Accuracies").input_value() == "all"
    assert page.locator(".marks .pin").count() == 1


# -- pointer, finger and keys ----------------------------------------------------------------


def test_a_click_pins_what_hovering_shows(page: Any) -> None:
    x, y = place(page, BEST.index)
    page.get_by_role("button", name="let the pinned cell go").click()
    page.mouse.move(x, y)
    tip = page.locator("#tip").inner_text()
    assert "official index\t6111" in tip
    assert page.locator(".marks .hover").count() == 1
    page.mouse.click(x, y)
    assert pinned(page) == BEST.index
    page.mouse.move(5, 5)
    assert page.locator("#tip").is_hidden()
    assert pinned(page) == BEST.index
    page.get_by_role("button", name="let the pinned cell go").click()
    assert page.locator(".pinned h3").count() == 0
    assert page.locator(".marks circle").count() == 0


def test_the_nearest_dot_is_the_nearest(page: Any) -> None:
    """The grid finds what measuring the distance to all dots finds, at 400 places."""
    different = page.evaluate(
        "() => {"
        + space_scripts()
        + """
        const host = document.createElement("div");
        document.body.append(host);
        const axes = axesOf(DATA.space).flatMap(([, list]) => list).map(([, , one]) => one);
        const chart = spaceCanvas(host, "x");
        const axis = (one) => ({ measure: one, low: one.sorted[0], high: one.sorted.at(-1), log: false });
        chart.draw(axis(axes[4]), axis(axes[0]), { buckets: null, colours: [] }, []);
        let different = 0, found = 0;
        for (let k = 0; k < 400; k++) {
            const x = (k * 37.7) % chart.size().width, y = (k * 91.3) % chart.size().height;
            let best = NEAR ** 2, near = -1;
            for (let i = 0; i < SIZE; i++) if (chart.visible[i]) {
                const d = (chart.x[i] - x) ** 2 + (chart.y[i] - y) ** 2;
                if (d < best) [best, near] = [d, i];
            }
            const one = chart.nearest(x, y);
            found += one >= 0;
            const distance = (i) => (i < 0 ? NEAR ** 2 : (chart.x[i] - x) ** 2 + (chart.y[i] - y) ** 2);
            different += distance(one) !== distance(near);
        }
        return [different, found];
    }"""
    )
    assert different[0] == 0
    assert different[1] > 100


def test_the_keyboard_leads_from_dot_to_dot(page: Any, official: list[Table]) -> None:
    page.locator("canvas").focus()
    page.keyboard.press("ArrowDown")  # begins at the top
    said = page.locator("aside [aria-live]")
    assert said.inner_text().startswith("cell 6111, in→1 3×3, in→2 3×3, 1→2 3×3, in→out skip")
    page.keyboard.press("Enter")
    assert pinned(page) == BEST.index
    valid, last = Landscape.of(official[0]).valid, BEST.index
    for _ in range(10):
        page.keyboard.press("ArrowDown")
        (official_index,) = re.findall(r"^cell (\d+),", said.inner_text())
        index = Architecture.from_official_index(int(official_index)).index
        assert valid[index] < valid[last]
        last = index
    page.keyboard.press("Enter")
    assert pinned(page) == last
    page.keyboard.press("Escape")
    assert page.locator(".pinned h3").count() == 0
    assert said.inner_text() == "no cell is pinned"


def test_a_tap_shows_and_pins(browser: Any, space_file: Path) -> None:
    settings: dict[str, Any] = {"has_touch": True, "viewport": {"width": 400, "height": 900}}
    for page in opened(browser, space_file, **settings):
        x, y = place(page, BEST.index)
        before = page.locator("canvas").bounding_box()
        page.locator(".pinned button").click()
        page.locator("canvas").scroll_into_view_if_needed()
        now = page.locator("canvas").bounding_box()
        page.touchscreen.tap(x - before["x"] + now["x"], y - before["y"] + now["y"])
        assert page.locator("#tip").is_visible()
        assert pinned(page) == BEST.index


def test_a_narrow_window_has_the_panel_below(browser: Any, space_file: Path) -> None:
    for page in opened(browser, space_file, viewport={"width": 400, "height": 900}):
        find(page, "6111")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        chart, side = (page.locator(one).bounding_box() for one in ("canvas", ".side"))
        assert side["y"] >= chart["y"] + chart["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_axe_finds_nothing(browser: Any, space_file: Path, scheme: str, width: int) -> None:
    axe: Any = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs axe, of the extra dev"
    )
    for page in opened(browser, space_file, color_scheme=scheme, viewport={"width": width, "height": 900}):
        for text in (None, "no cell", "6111"):
            if text is not None:
                find(page, text)
            found = axe.Axe().run(page).response["violations"]
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def test_paper_shows_chart_and_cell_in_light(page: Any) -> None:
    page.locator("#theme").click()
    find(page, "6111")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("canvas").is_visible()
    assert page.locator(".neighbours").is_visible()
    assert page.locator(".find").is_hidden()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
