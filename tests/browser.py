"""A browser for tests of pages, and a way to open a page that must neither complain nor ask for anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = ["--no-sandbox"]


def program() -> str | None:
    """Chromium: the file that CHROMIUM names, or the system's; None if there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)


def opened(browser: Any, file: Path, **settings: Any) -> Iterator[Any]:
    """The open page; whatever it complains about or asks for fails the test."""
    tab = browser.new_page(**{"viewport": {"width": 1200, "height": 900}} | settings)
    tab.set_default_timeout(10_000)
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
