"""The explorer of strangers' tables, and what its script and its data declare."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from nb201env import Table
from nb201env.pages.explorer import explorer
from nb201env.space import OPS, SIZE
from tests.browser import opened
from tests.pages.conftest import HOSTILE
from tests.pages.test_explorer import PICTURE, choose, find, panel, place


def written(folder: Path, *tables: Table) -> Path:
    path = folder / "space.html"
    path.write_text(explorer(tables), encoding="utf-8")
    return path


def test_a_strangers_table_is_only_text(browser: Any, odd_table: Table, tmp_path: Path) -> None:
    for page in opened(browser, written(tmp_path, odd_table)):
        assert page.title().startswith("The space: xxx")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1200
        names = page.get_by_label("Across", exact=True).locator("option").all_inner_texts()
        assert len(names) == 6
        seen = set()
        for name in names:
            choose(page, "Across", name)
            seen.add(page.evaluate(PICTURE))
        assert len(seen) == len(names)
        find(page, "index:1")
        assert "−2" in panel(page) or "-2" in panel(page)
        find(page, "index:0")  # of which there is no run
        assert re.search(r"validation accuracy\s+not recorded\s+–", panel(page))
        assert page.locator(".neighbours td:last-child").all_inner_texts() == ["–"] * 24
        assert page.locator("img").count() == 0
        assert HOSTILE in page.locator("footer").inner_text()


def test_a_table_of_accuracies_alone_is_drawn_in_the_official_order(
    browser: Any, bare_table: Table, tmp_path: Path
) -> None:
    for page in opened(browser, written(tmp_path, bare_table)):
        assert page.get_by_label("Across", exact=True).input_value() == "order"
        x, y = place(page, SIZE - 1)
        page.mouse.move(x, y)
        assert re.search(r"validation accuracy\s+90.00 %\s+rank\s+1\s", page.locator("#tip").inner_text())


def test_the_script_knows_ops_and_edges_from_the_page(space_file: Path) -> None:
    text = space_file.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert data["ops"]["names"] == list(OPS)


def test_the_space_declares_one_name_in_the_pages_script(page: Any) -> None:
    """So that no other script of a page can take another's place."""
    assert page.evaluate("[typeof spaceChart, typeof axesOf, typeof SPACE]") == [
        "function",
        "undefined",
        "undefined",
    ]
