"""The page's charts of searches with several objectives, in Chromium: by mouse, keys, touch, and on paper."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env.agents.report.attained import attained_fronts
from nb201env.agents.report.page import page as html
from nb201env.agents.report.summary import Summary
from tests.agents.report.conftest import opened
from tests.agents.report.front_searches import PARAMS, THREE, summarised

pytest.importorskip("moocore")

NAMES = ["one", "two", "three </script><b>x</b>", "four & a very long name of an agent"]
OPEN = "section:not([hidden])"
ATTAINED, VOLUME, SHARE = (f"{OPEN} [data-chart=front-{kind}]" for kind in ("attained", "volume", "share"))


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarised(tmp_path_factory.mktemp("fronts"), (NAMES, PARAMS), (NAMES[:2], THREE))


@pytest.fixture(scope="module")
def number(summary: Summary) -> int:
    """That of the setting with two objectives."""
    return next(n for n, one in enumerate(summary.fronts) if len(one.landscape.all.objectives) == 2)


@pytest.fixture(scope="module")
def path(summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html(summary, "nb201 report"), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Any, path: Path, number: int) -> Iterator[Any]:
    for tab in opened(browser, path):
        tab.locator(f"#tab-front-{number}").click()
        yield tab


def data(path: Path) -> Any:
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL)[1])  # type: ignore[index]


def tip(page: Any) -> str:
    return str(page.locator("#tip").inner_text())


def lines(page: Any, chart: str) -> dict[str, str]:
    return {
        one.get_attribute("data-name"): one.get_attribute("d")
        for one in page.locator(f"{chart} path.line").all()
    }


# -- what is drawn ---------------------------------------------------------------------------


def test_every_agent_is_in_every_chart(page: Any) -> None:
    for chart, other in ((VOLUME, "random search, expected"), (SHARE, "random search, expected"),
                         (ATTAINED, "true front")):  # fmt: skip
        assert set(lines(page, chart)) == {*NAMES, other}
        assert page.locator(f"{chart} .tag").all_text_contents() != []
    entries = page.locator("#legend span.entry").all_inner_texts()
    assert entries == ["random search, expected", "true front"]
    assert page.locator("section b").count() == 0


def test_the_gap_falls_and_the_share_rises(page: Any) -> None:
    for chart, falls in ((VOLUME, True), (SHARE, False)):
        path = lines(page, chart)[NAMES[3]]
        heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]
        assert heights == sorted(heights, reverse=not falls)
        assert heights[0] != heights[-1]


def test_the_true_front_has_a_dot_for_each_point_in_the_window(
    page: Any, summary: Summary, number: int
) -> None:
    shown = attained_fronts(summary.fronts[number])
    assert shown is not None
    dots = page.locator(f"{ATTAINED} svg.agents g:has(> path.line) circle")
    assert dots.count() == len(shown.points)
    before = lines(page, ATTAINED)
    page.locator(ATTAINED).get_by_role("button", name="Half with the better validation accuracy").click()
    within = dots.count()
    window = shown.windows[1]
    assert within == int(((window.left <= shown.points[:, 0]) & (shown.points[:, 0] <= window.right)).sum())
    assert within < len(shown.points)
    assert lines(page, ATTAINED) != before
    for line in lines(page, ATTAINED).values():  # nothing beyond the window's sides
        x = [float(number) for number in re.findall(r"[MH]([\d.]+)", line)]
        assert 57 <= min(x) <= max(x) <= 1175
        assert x == sorted(x)


def test_steps_are_the_figures(path: Path, summary: Summary, number: int) -> None:
    shown = attained_fronts(summary.fronts[number])
    assert shown is not None
    panel = data(path)["panels"][f"front-{number}"]
    np.testing.assert_allclose(panel["front"]["x"], shown.front.x, rtol=1e-6)
    np.testing.assert_allclose(panel["front"]["y"], shown.front.y, rtol=1e-6)
    for agent, (label, steps) in zip(panel["agents"], shown.agents.items(), strict=True):
        assert data(path)["labels"][agent["label"]] == label
        np.testing.assert_allclose(agent["steps"]["x"], steps.x, rtol=1e-6)
    three = data(path)["panels"][f"front-{1 - number}"]
    assert three["front"] is None
    assert [agent["steps"] for agent in three["agents"]] == [None, None]


# -- reading values --------------------------------------------------------------------------


def test_the_tip_says_how_high_each_front_is_there(page: Any, summary: Summary, number: int) -> None:
    shown = attained_fronts(summary.fronts[number])
    assert shown is not None
    box = page.locator(f"{ATTAINED} svg.agents").bounding_box()
    seen = set()
    page.locator(ATTAINED).scroll_into_view_if_needed()
    for share in (0.3, 0.5, 0.8):
        box = page.locator(f"{ATTAINED} svg.agents").bounding_box()
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 60)
        at = float(re.match(r"parameters ([\d.]+) millions", tip(page))[1])  # type: ignore[index]
        for name, steps in (("true front", shown.front), *shown.agents.items()):
            height = steps.y[int((steps.x <= at).sum()) - 1]
            found = re.search(rf"{re.escape(name)}\s+([\d.]+) %", tip(page))
            assert float(found[1]) == pytest.approx(height, rel=1e-3)  # type: ignore[index]
        seen.add(at)
    assert len(seen) == 3


def test_the_keyboard_reads_values_and_chooses(page: Any, summary: Summary, number: int) -> None:
    page.locator(f"{VOLUME} svg.agents").focus()
    page.keyboard.press("End")
    assert tip(page).startswith("30 queries")
    for agent in summary.fronts[number].agents:
        found = re.search(rf"{re.escape(agent.entry.label)}\s+([\d.]+) %", tip(page))
        assert float(found[1]) == pytest.approx(100 * agent.gap_by_queries.mean[-1], rel=0.01)  # type: ignore[index]
    page.locator(f"{ATTAINED} svg.agents").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert tip(page).startswith("parameters 0.0")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert page.locator("#legend [aria-pressed=true]").count() == 1
    page.get_by_label("only the chosen").check()
    assert len(lines(page, ATTAINED)) == len(lines(page, VOLUME)) == 2


def test_axes_and_centres_switch(page: Any) -> None:
    seen = {json.dumps(lines(page, VOLUME))}
    for text in ("Simulated GPU time", "Median and quartiles"):
        page.locator(VOLUME).get_by_role("button", name=text).click()
        seen.add(json.dumps(lines(page, VOLUME)))
    page.locator(VOLUME).get_by_label("log y").uncheck()
    seen.add(json.dumps(lines(page, VOLUME)))
    assert len(seen) == 4
    assert page.locator(SHARE).get_by_label("log y").count() == 0
    before = lines(page, ATTAINED)
    page.locator(ATTAINED).get_by_label("log x").uncheck()
    assert lines(page, ATTAINED) != before


def test_a_tap_shows_what_a_mouse_shows(browser: Any, path: Path, number: int) -> None:
    for page in opened(browser, path, width=400, height=800, has_touch=True):
        page.locator(f"#tab-front-{number}").tap()
        chart = page.locator(f"{ATTAINED} svg.agents")
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        page.touchscreen.tap(box["x"] + 200, box["y"] + 120)
        assert tip(page).startswith("parameters")
        page.locator(f"{ATTAINED} h3").tap()
        assert page.locator("#tip").is_hidden()


# -- room, colours, paper --------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 400, 1400])
def test_the_page_never_scrolls_sideways(browser: Any, path: Path, width: int) -> None:
    for page in opened(browser, path, width=width):
        for tab in page.get_by_role("tab").all():
            tab.click()
            assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1200, "light")])
def test_axe_has_no_complaints(browser: Any, path: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe, of the extra dev")
    for page in opened(browser, path, width=width, color_scheme=scheme):
        for tab in page.get_by_role("tab").all():
            tab.click()
            found = axe.Axe().run(page).response["violations"]
            assert [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]] == []


@pytest.mark.parametrize(("scheme", "ink"), [("light", False), ("dark", True)])
def test_the_true_front_has_the_ink_of_light_and_dark(
    browser: Any, path: Path, number: int, scheme: str, ink: bool
) -> None:
    for page in opened(browser, path, color_scheme=scheme):
        page.locator(f"#tab-front-{number}").click()
        line = page.locator(f"{ATTAINED} path.line[data-name='true front']")
        colour = line.evaluate("one => getComputedStyle(one).stroke")
        assert (min(map(int, re.findall(r"\d+", colour)[:3])) > 150) == ink


def test_paper_holds_everything(browser: Any, path: Path) -> None:
    for page in opened(browser, path, width=703, color_scheme="dark"):
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("svg.agents:visible").count() == 2 + 2 + 1
        assert page.locator(".printed:visible").count() == 2 + 2 + 1
        keys = page.locator("[data-chart=front-attained] .printed .entry").all_inner_texts()
        assert keys[-1].strip() == "true front"
        assert len(keys) == len(NAMES) + 1
        assert page.evaluate("document.documentElement.scrollWidth") <= 703
        page.evaluate("dispatchEvent(new Event('afterprint'))")


def test_a_front_adds_little_to_the_page(path: Path, number: int) -> None:
    panel = json.dumps(data(path)["panels"][f"front-{number}"])
    assert len(panel) < 60_000  # of four agents
