"""The report's page looks as it did: pictures at three widths and in print, against stored ones.

Where a change of its looks is meant, ``python -m tests.screens write`` stores them anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason="needs pillow, which comes with the extra plots")
from PIL import ImageChops, ImageDraw  # noqa: E402

from tests.screens import bench, taking  # noqa: E402
from tests.screens.__main__ import STORED, stored  # noqa: E402
from tests.screens.comparing import LIMITS, difference, small  # noqa: E402

WIDEST = "environment-0-1400"
REWRITE = "if it shall look so from now on: python -m tests.screens write"


@pytest.fixture(scope="module")
def html() -> str:
    return bench.report()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    try:
        with taking.chromium() as browser:
            yield browser
    except taking.NoBrowser as error:
        pytest.skip(f"needs a browser: {error}")


@pytest.mark.parametrize("name", taking.NAMES)
def test_the_page_looks_as_it_is_stored(name: str, html: str, browser: Any, tmp_path: Path) -> None:
    if name == "print":
        pytest.importorskip("pypdfium2", reason="needs pypdfium2, of the extra dev")
    (now,) = taking.taken(browser, html, (name,)).values()
    found = difference(stored(name), small(now))
    now.save(tmp_path / f"{name}.png")
    assert found.within(LIMITS), f"{found}; see {tmp_path / name}.png; {REWRITE}"


SPOILT = {
    "a shifted legend": ("#legend", "transform: translate(60px, 0)"),
    "no legend": ("#legend", "visibility: hidden"),
    "a missing chart": ("[data-chart=regret]", "visibility: hidden"),
    "a chart without its lines": ("[data-chart=regret] path.line", "display: none"),
    "wrong colours": ("[data-chart=regret]", "filter: hue-rotate(120deg)"),
    "a table without its last column": ("table tr > :last-child", "visibility: hidden"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_spoilt_on_the_page_is_seen(what: str, html: str, browser: Any) -> None:
    """At the width where the whole is largest, and so what is spoilt the least of it."""
    selector, style = SPOILT[what]
    spoil = f"""() => {{
      if (!document.querySelector("{selector}")) throw new Error("nothing on the page is {selector}");
      const style = document.createElement("style");
      style.textContent = "{selector} {{ {style} !important }}";
      document.head.append(style);
    }}"""
    (now,) = taking.taken(browser, html, (WIDEST,), spoil).values()
    found = difference(stored(WIDEST), small(now))
    assert not found.within(LIMITS), found


def test_a_page_as_wide_as_the_window_is_as_wide_as_its_picture() -> None:
    """Nothing makes the page scroll sideways; a stored picture that is wider would let that pass."""
    for name in taking.NAMES[:-1]:
        assert stored(name).width == taking.width_of(name) // 4


def test_stored_pictures_are_small() -> None:
    files = list(STORED.glob("*.png"))
    assert {file.stem for file in files} == set(taking.NAMES)
    assert sum(file.stat().st_size for file in files) < 1_000_000
    for name in taking.NAMES:
        assert stored(name).mode == "P", "with a palette"


# -- the comparison by itself, on a drawn page ---------------------------------------------------


PAINTS = ("#2f6db5", "#d1495b", "#3a8f68", "#8e5aa8", "#b8860b", "#0f8c99")


def drawn(legend: int = 40, *, paints: Sequence[str] = PAINTS, table: int = 560, down: int = 0,
          font: float = 11) -> Any:  # fmt: skip
    """A page of 640 x 960 with a legend, a chart of lines and a table."""
    picture = Image.new("RGB", (640, 960), "white")
    draw = ImageDraw.Draw(picture)
    for place, paint in enumerate(PAINTS[:4]):
        left = legend + 90 * place
        draw.ellipse((left, 40 + down, left + 12, 52 + down), fill=paint)
        draw.text((left + 16, 40 + down), f"agent {place}", fill="#1f2933", font_size=font)
    draw.rectangle((40, 80 + down, 600, 480 + down), outline="#66727f")
    for place, paint in enumerate(paints):
        points = [(40 + 14 * x, 100 + 20 * place + 6 * x + down) for x in range(40)]
        draw.line(points, fill=paint, width=3)
    for row in range(16):
        for column in range(40, table, 80):
            text = f"{row * column % 97:.2f} ±1"
            draw.text((column, 520 + 24 * row + down), text, fill="#1f2933", font_size=font)
    return picture


STANDS = small(drawn())


def test_the_same_picture_is_no_difference() -> None:
    assert difference(STANDS, small(drawn())) == (0, 0, 0)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (drawn(legend=100), "the legend shifted"),
        (drawn(paints=()), "no lines in the chart"),
        (drawn(paints=["#1f2933"] * 6), "lines without their colours"),
        (drawn(table=480), "the table's last column cut off"),
        (drawn(down=40), "all further down"),
        (ImageChops.invert(drawn()), "dark in place of light"),
        (drawn().crop((0, 0, 640, 900)), "a page that ends early"),
        (drawn().resize((600, 960)), "another width"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_differs_is_beyond_the_limits(changed: Any, what: str) -> None:
    found = difference(STANDS, small(changed))
    assert not found.within(LIMITS), f"{what}: {found}"
    assert not difference(small(changed), STANDS).within(LIMITS)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (drawn(down=2), "two pixels lower"),
        (drawn(font=11.4), "a font that runs a little wider"),
        (drawn().resize((640, 972)), "a page that is 1 % higher"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_fonts_and_browsers_change_is_within_them(changed: Any, what: str) -> None:
    found = difference(STANDS, small(changed))
    assert found.within(LIMITS), f"{what}: {found}"


def test_noise_of_single_pixels_is_within_them() -> None:
    noise = np.random.default_rng(0).integers(-6, 7, (960, 640, 3))
    noisy = Image.fromarray(np.clip(np.asarray(drawn()).astype(int) + noise, 0, 255).astype(np.uint8))
    assert difference(STANDS, small(noisy)).within(LIMITS)


def test_a_picture_as_it_is_stored_is_the_same_when_it_is_read(tmp_path: Path) -> None:
    STANDS.save(tmp_path / "x.png", optimize=True)
    with Image.open(tmp_path / "x.png") as read:
        assert difference(STANDS, read) == (0, 0, 0)
