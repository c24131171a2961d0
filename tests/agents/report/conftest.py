"""The small bench, its page, and a page of many agents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nb201env.agents.report.data import Bench, load
from nb201env.agents.report.page import page as html
from nb201env.agents.report.summary import summarise
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import run_all
from tests import browser as browsers
from tests.agents.conftest import ENVS, LIGHT

MANY = 13
"""As many agents as the project itself compares."""


def opened(browser: Any, file: Path, width: int = 1200, height: int = 900, **settings: Any) -> Iterator[Any]:
    """The page in a window of this size; see `tests.browser.opened`."""
    yield from browsers.opened(browser, file, viewport={"width": width, "height": height}, **settings)


@pytest.fixture(scope="session")
def bench(bench_folder: Path) -> Bench:
    """Two agents on two environments, six searches each."""
    return load([bench_folder])


@pytest.fixture(scope="session")
def file(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their page."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html(summarise(bench), "nb201 report"), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Any, file: Path) -> Iterator[Any]:
    """The open page at its first environment; whatever it complains about or asks for fails the test."""
    for tab in opened(browser, file):
        tab.get_by_role("tab", name=ENVS[0], exact=True).click()
        yield tab


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
    path.write_text(html(summarise(load([folder])), "nb201 report"), encoding="utf-8")
    return path
