"""A browser, and a page of many agents."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nb201env.agents.report.data import load
from nb201env.agents.report.page import page
from nb201env.agents.report.summary import summarise
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import run_all
from tests.agents.conftest import ENVS, LIGHT

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
MANY = 13
"""As many agents as the project itself compares."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium from the system (or CHROMIUM), driven by playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"needs a browser: none of {', '.join(BROWSERS)} is installed, and CHROMIUM names none")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Any, file: Path, width: int = 1200, height: int = 900, **settings: Any) -> Iterator[Any]:
    """The open page; whatever it complains about or asks for fails the test."""
    tab = browser.new_page(viewport={"width": width, "height": height}, **settings)
    complaints: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(file.as_uri())
    yield tab
    assert complaints == []
    assert requests == [file.as_uri()]
    tab.close()


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 13 agents with long names in two environments, three searches each."""
    folder = tmp_path_factory.mktemp("many")
    for sample in range(1, MANY):
        agents = LIGHT if sample == 1 else LIGHT[1:]
        settings = {LIGHT[1]: {"sample": sample}}
        searches = plan(agents, ENVS, range(3), {"budget_queries": 40}, folder / str(sample), settings)
        assert run_all(searches, 1, lambda *_: None) == []
    path = folder / "report.html"
    path.write_text(page(summarise(load([folder])), "nb201 report"), encoding="utf-8")
    return path
