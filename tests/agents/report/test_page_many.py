"""The page of 13 agents with long names: legible at every width, by mouse, touch and keys, and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest

from nb201env.agents.report.looks import look
from nb201env.agents.report.page import scripts
from nb201env.pages.space import space_script
from tests.agents.conftest import ENVS
from tests.agents.report.conftest import MANY, opened

OPEN = "section:not([hidden])"
REGRET = f"{OPEN} [data-chart=regret] svg.agents"
TABLE = f"{OPEN} table.grid:not(.matrix)"


@pytest.fixture
def page(browser: Any, many: Path) -> Iterator[Any]:
    for tab in opened(browser, many, width=1400):
        tab.get_by_role("tab", name=ENVS[0], exact=True).click()
        yield tab


def boxes(page: Any, selector: str) -> list[dict[str, float]]:
    return [one.bounding_box() for one in page.locator(selector).all()]


def meet(a: dict[str, float], b: dict[str, float], slack: float = 2) -> bool:
    return all(
        a[at] + slack < b[at] + b[size] and b[at] + slack < a[at] + a[size]
        for at, size in (("x", "width"), ("y", "height"))
    )


def bands(page: Any) -> set[str]:
    found = page.locator(f"{REGRET} g.agent:has(path.band:visible)")
    return {one.get_attribute("data-agent") for one in found.all()}


# -- room ------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 400, 1400])
def test_the_page_never_scrolls_sideways(browser: Any, many: Path, width: int) -> None:
    for page in opened(browser, many, width=width):
        for tab in page.get_by_role("tab").all():
            tab.click()
            assert page.evaluate("document.documentElement.scrollWidth") == width


def test_what_is_too_wide_scrolls_on_its_own_and_by_keyboard(browser: Any, many: Path) -> None:
    for page in opened(browser, many, width=400):
        place = page.locator(f"{OPEN} .scroll:has(.matrix)")
        assert place.evaluate("one => one.scrollWidth > one.clientWidth")
        place.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("one => one.scrollLeft > 0", arg=place.element_handle())
        first, outer = boxes(page, f"{OPEN} .matrix tbody th")[0], place.bounding_box()
        assert first["x"] == pytest.approx(outer["x"], abs=1)  # the names stay in sight


def test_the_matrix_fits_a_wide_window(page: Any) -> None:
    place = page.locator(f"{OPEN} .scroll:has(.matrix)")
    assert place.evaluate("one => one.scrollWidth <= one.clientWidth")
    headings = page.locator(f"{OPEN} .matrix thead th")
    assert headings.locator(".chip").all_inner_texts() == [str(number + 1) for number in range(MANY)]
    names = page.locator(f"{OPEN} .matrix tbody th .agent").all_text_contents()
    for name, heading in zip(names, headings.all()[1:], strict=True):
        assert heading.get_attribute("title") == name
        assert name in heading.text_content()


def test_the_legend_never_covers_the_screen(browser: Any, many: Path) -> None:
    for width, height, stays in ((1400, 900, True), (400, 800, False), (320, 640, False), (1000, 400, False)):
        for page in opened(browser, many, width=width, height=height):
            page.mouse.wheel(0, 2500)
            page.wait_for_function("scrollY > 1000")
            legend = page.locator("#legend").bounding_box()
            assert (legend["y"] >= 0) == stays
            assert not stays or legend["height"] <= 0.26 * height


# -- who is who ------------------------------------------------------------------------------


def test_every_line_has_its_number_and_no_two_numbers_meet(page: Any) -> None:
    for chart in ("regret", "profile"):
        tags = f"{OPEN} [data-chart={chart}] .tag"
        shown = page.locator(tags).all_text_contents()
        assert sorted(map(int, shown)) == list(range(1, MANY + 1))
        if chart == "regret":
            assert not [pair for pair in combinations(boxes(page, f"{tags} rect"), 2) if meet(*pair)]


def test_numbers_of_lines_are_in_the_order_of_their_ends(page: Any) -> None:
    ends = {}
    for line in page.locator(f"{REGRET} g.agent").all():
        height = float(line.locator("path.line").get_attribute("d").split()[-1])
        ends[int(line.get_attribute("data-agent"))] = height
    tags = [
        (box["y"], int(text))
        for box, text in zip(
            boxes(page, f"{REGRET} .tag rect"),
            page.locator(f"{REGRET} .tag").all_text_contents(),
            strict=True,
        )
    ]
    heights = [ends[number - 1] for _, number in sorted(tags)]
    assert heights == sorted(heights)


def test_lines_have_the_colours_and_dashes_of_their_agents(page: Any) -> None:
    for line in page.locator(f"{REGRET} g.agent").all():
        number = int(line.get_attribute("data-agent"))
        path = line.locator("path.line")
        colour = path.evaluate("one => getComputedStyle(one).stroke")
        assert "#{:02x}{:02x}{:02x}".format(*map(int, re.findall(r"\d+", colour))) == look(number).light
        dash = path.get_attribute("stroke-dasharray")
        assert (dash == "none") == (not look(number).dash)
        if look(number).dash:
            assert [float(part) / 2 for part in dash.split()] == pytest.approx(look(number).dash)


def test_the_legend_shows_all_lines(page: Any) -> None:
    entries = page.locator("#legend .entry")
    assert entries.count() == MANY + 1
    assert entries.locator("svg line").count() == MANY + 1
    assert entries.last.inner_text() == "random search, expected"
    page.get_by_role("tab", name="All environments").click()
    assert page.locator("#legend .entry").count() == MANY


def test_long_names_are_shortened_in_their_middle(page: Any) -> None:
    """Agents of one name with other settings differ at their names' ends."""
    short = page.locator("#legend button.entry .agent").all_text_contents()
    assert len(set(short)) == MANY
    assert all(len(name) <= 26 for name in short)
    name = page.locator("#legend button.entry").last.get_attribute("title")
    assert page.get_by_role("button", name=f"{MANY} {name}", exact=True).count() == 1


def test_bands_are_those_of_hovered_and_chosen_agents(page: Any) -> None:
    buttons = page.locator("#legend button.entry")
    assert bands(page) == set()
    buttons.nth(3).hover()
    assert bands(page) == {"3"}
    buttons.nth(5).click()
    assert bands(page) == {"5"}
    buttons.nth(7).focus()
    page.keyboard.press("Enter")
    page.mouse.move(5, 5)
    assert {"5", "7"} <= bands(page)
    faded = page.locator(f"{REGRET} g.agent:not(.on)").first.evaluate("one => getComputedStyle(one).opacity")
    assert float(faded) < 0.5


def test_numbers_beside_the_lines_choose_too(page: Any) -> None:
    page.locator(f"{REGRET} .tag[data-agent='8']").click()
    assert page.locator("#legend [aria-pressed=true]").get_attribute("data-agent") == "8"
    assert bands(page) == {"8"}


def test_choosing_moves_nothing(page: Any) -> None:
    places = boxes(page, f"#legend .entry, {REGRET}")
    for button in page.locator("#legend button.entry").all()[:3]:
        button.click()
        assert boxes(page, f"#legend .entry, {REGRET}") == places


def test_hovering_draws_nothing_anew(page: Any) -> None:
    page.evaluate("window.before = document.querySelector('section:not([hidden]) svg.agents')")
    page.locator("#legend button.entry").nth(3).hover()
    page.locator("#legend button.entry").nth(4).click()
    assert page.evaluate("before === document.querySelector('section:not([hidden]) svg.agents')")


# -- values ----------------------------------------------------------------------------------


def test_a_tap_shows_what_a_mouse_shows(browser: Any, many: Path) -> None:
    for page in opened(browser, many, width=400, height=800, has_touch=True):
        page.get_by_role("tab", name=ENVS[0], exact=True).tap()
        chart = page.locator(REGRET)
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        page.touchscreen.tap(box["x"] + 150, box["y"] + 120)
        assert re.match(r"\d+ queries", page.locator("#tip").inner_text())
        page.wait_for_timeout(100)
        assert page.locator("#tip").is_visible()
        page.touchscreen.tap(box["x"] + 150, box["y"] - 60)
        assert page.locator("#tip").is_hidden()
        cell = page.locator(f"{OPEN} td.heat:has(small)").first
        cell.scroll_into_view_if_needed()
        cell.tap()
        assert re.search(r"beats .* probability of \d+ %", page.locator("#tip").inner_text(), re.DOTALL)
        page.locator("h1").tap()
        assert page.locator("#tip").is_hidden()
        entry = page.locator("#legend button.entry").nth(2)
        entry.tap()
        assert entry.get_attribute("aria-pressed") == "true"


def test_keys_reach_every_value(page: Any) -> None:
    page.locator(REGRET).focus()
    page.keyboard.press("End")
    assert page.locator("#tip").inner_text().startswith("40 queries")
    assert page.locator("#tip tr").count() == MANY + 1
    page.keyboard.press("Home")
    assert page.locator("#tip").inner_text().startswith("1 query")
    picked = set()
    for _ in range(MANY):
        page.keyboard.press("ArrowUp")
        picked.add(page.locator("#tip tr.on").inner_text())
        assert len(bands(page)) == 1
    assert len(picked) == MANY
    page.keyboard.press("Enter")
    assert page.locator("#legend [aria-pressed=true]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


# -- tables ----------------------------------------------------------------------------------


def test_tables_sort_by_mouse_and_keyboard(page: Any) -> None:
    table = page.locator(TABLE).first
    column = table.locator("thead th").all_inner_texts().index("simulated GPU hours")
    heading = table.locator("thead th").nth(column)
    cells = f"tbody tr > :nth-child({column + 1})"

    def values() -> list[float]:
        return [float(text.replace(",", "")) for text in table.locator(cells).all_inner_texts()]

    before = values()
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert values() == sorted(before)
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert values() == sorted(before, reverse=True)
    page.keyboard.press("Space")
    assert heading.get_attribute("aria-sort") == "none"
    assert values() == before


def test_agents_have_their_numbers_in_tables(page: Any) -> None:
    rows = page.locator(TABLE).first.locator("tbody th")
    names = [one.get_attribute("title") for one in page.locator("#legend button.entry").all()]
    for number, (row, name) in enumerate(zip(rows.all(), names, strict=True), 1):
        assert row.locator(".chip").inner_text() == str(number)
        assert row.locator(".agent").text_content() == name


# -- paper -----------------------------------------------------------------------------------

SHEET = 703  # pixels of A4 between margins of 12 mm


def test_paper_holds_everything(browser: Any, many: Path) -> None:
    for page in opened(browser, many, width=SHEET, color_scheme="dark"):
        page.get_by_role("tab", name=ENVS[1], exact=True).click()
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("section > h2:visible").all_inner_texts() == ["All environments", *ENVS]
        charts = page.locator("[data-chart]:not([data-chart=space])").count()
        assert page.locator("svg.agents:visible").count() == charts >= 2 + 2 + 1
        assert page.locator(".printed:visible").count() == 2 + 2 + 1
        assert page.locator(".printed:visible").nth(1).locator(".entry").count() == MANY + 1
        assert not page.locator("button:not(th *):visible, input:visible, #legend:visible").all()
        assert page.evaluate("document.documentElement.scrollWidth") <= SHEET
        cut = "all => all.filter((one) => one.scrollWidth > one.clientWidth + 1).length"
        assert page.locator(".scroll").evaluate_all(cut) == 0
        assert page.evaluate("getComputedStyle(document.querySelector('.heat')).printColorAdjust") == "exact"
        assert page.locator("html").get_attribute("data-theme") == "light"
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="screen")
        assert page.locator("html").get_attribute("data-theme") == "dark"
        assert page.locator(f"{OPEN} > h2").text_content() == ENVS[1]
        assert page.locator(OPEN).count() == 1


def test_printing_draws_for_paper(browser: Any, many: Path) -> None:
    """The browser itself says that it prints."""
    for page in opened(browser, many):
        page.evaluate(
            "addEventListener('beforeprint', () => { window.sheets = document.querySelectorAll("
            "'section:not([hidden])').length; })"
        )
        assert page.pdf(format="A4").startswith(b"%PDF")
        assert page.evaluate("sheets") == 1 + len(ENVS)
        assert page.locator(OPEN).count() == 1


# -- scripts ---------------------------------------------------------------------------------


def test_no_two_scripts_of_the_page_define_the_same_name() -> None:
    """They share one scope, where a second function silently replaces the first; the space has its own."""
    before, after = scripts().split(space_script())
    kinds = r"^(?:async )?(?:function\*?|const|let|class) (\w+)"
    names = re.findall(kinds, before + after, re.MULTILINE)
    assert len(names) > 50
    assert not [a for a, b in pairwise(sorted([*names, "spaceChart"])) if a == b]
