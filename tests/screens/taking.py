"""Pictures of a report's page as Chromium draws it: two of its panels at three widths, and what it prints."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser import ARGUMENTS, PROGRAMS, program

WIDTHS = (1400, 768, 400)
PANELS = ("all", "environment-0")
NAMES = (*(f"{panel}-{width}" for panel in PANELS for width in WIDTHS), "print")

# One family of fonts wherever the pictures are taken.
FONTS = """* { font-family: "DejaVu Sans" !important }
code, code *, pre, pre * { font-family: "DejaVu Sans Mono" !important }"""


class NoBrowser(Exception):
    """There is nothing to take pictures with."""


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """Chromium from the system (or CHROMIUM), driven by playwright.

    Raises:
        NoBrowser: If one of them is not installed.
    """
    path = program()
    if path is None:
        raise NoBrowser(f"none of {', '.join(PROGRAMS)} is installed, and CHROMIUM names none")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NoBrowser("needs playwright, of the extra dev") from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


def taken(
    browser: Any, html: str, names: tuple[str, ...] = NAMES, before: str = ""
) -> dict[str, Image.Image]:
    """The page's pictures by name.

    Args:
        browser: See `chromium`.
        html: The page.
        names: Of the pictures, of `NAMES`.
        before: JavaScript that is run in the page before.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        return {name: _picture(browser, file.as_uri(), name, before) for name in names}


def width_of(name: str) -> int:
    """The window's width in the picture of this name."""
    return int(name.rpartition("-")[2])


def _picture(browser: Any, address: str, name: str, before: str) -> Image.Image:
    panel, width = ("", 1000) if name == "print" else (name.rpartition("-")[0], width_of(name))
    # The page's own policy forbids styles from outside, and so the fonts.
    tab = browser.new_page(viewport={"width": width, "height": 900}, bypass_csp=True, color_scheme="light",
                           reduced_motion="reduce", device_scale_factor=1)  # fmt: skip
    try:
        tab.goto(address)
        tab.add_style_tag(content=FONTS)
        if panel:
            tab.evaluate(f"() => document.querySelector('[data-panel={panel}]').click()")
        # Charts take their size from the window, and again when the fonts have changed theirs.
        tab.evaluate("() => window.dispatchEvent(new Event('resize'))")
        tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if before:
            tab.evaluate(before)
        if name == "print":
            return _printed(tab.pdf(format="A4", print_background=True))
        whole = tab.screenshot(full_page=True, animations="disabled")
        return Image.open(io.BytesIO(whole)).convert("RGB")
    finally:
        tab.close()


def _printed(pdf: bytes) -> Image.Image:
    """All pages of a PDF, one below the other, at 96 dots to the inch."""
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    pages = [page.render(scale=96 / 72).to_pil().convert("RGB") for page in document]
    whole = Image.new("RGB", (max(page.width for page in pages), sum(page.height for page in pages)), "white")
    top = 0
    for page in pages:
        whole.paste(page, (0, top))
        top += page.height
    return whole
