"""axe-core finds nothing to complain about on the page."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.agents.report.conftest import opened

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe, of the extra dev")


def complaints(page: Any) -> list[str]:
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (400, "dark"), (1200, "light")])
def test_every_tab(browser: Any, many: Path, width: int, scheme: str) -> None:
    for page in opened(browser, many, width=width, color_scheme=scheme):
        for tab in page.get_by_role("tab").all():
            tab.click()
            assert complaints(page) == []
        page.locator("#legend button").nth(1).click()
        page.locator("section:not([hidden]) svg.agents").first.focus()
        page.keyboard.press("End")
        page.locator("section:not([hidden]) .grid thead button").first.click()
        assert complaints(page) == []


def test_headings_are_in_order(browser: Any, many: Path) -> None:
    for page in opened(browser, many):
        levels = [
            int(tag[1])
            for tag in page.locator(":is(h1, h2, h3, h4)").evaluate_all("all => all.map(h => h.tagName)")
        ]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b - a <= 1 for a, b in pairwise(levels))
