"""How smoothly the space moves in a browser: a pointer over 15,625 dots, and changes of axes.

    python -m benchmarks.speed.pages [REPORT.html]

Writes the explorer of the three embedded official tables and opens it in headless Chromium (without a
GPU), or measures the first space of a report. The pointer moves in every frame for four seconds in all. In
turns with it stands what the page does not do: to paint all dots again at every move. Prints one line per
figure: the figure, its goal, and whether it holds.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from nb201env.envs.registration import OFFICIAL
from nb201env.pages.explorer import explorer
from nb201env.tables import open_table
from tests.browser import ARGUMENTS, program

SECONDS, ROUNDS = 1.0, 4


def line(what: str, figure: float, goal: str = "", holds: bool = True) -> None:
    verdict = f"   goal {goal:10s} {'holds' if holds else 'MISSED'}" if goal else ""
    print(f"{what:62s} {figure:12,.2f}{verdict}", flush=True)


# Moves the pointer once per frame along a curve; gives the times between frames, and of moves.
_MOVE = """async ({ seconds, moving, again }) => {
  const canvas = [...document.querySelectorAll("canvas")].find((one) => one.offsetParent);
  const select = canvas.closest(".card").querySelector("[data-name=x] select");
  const frames = [], moves = [], box = canvas.getBoundingClientRect();
  let last = await new Promise(requestAnimationFrame), shown = 0;
  const end = last + 1000 * seconds;
  for (let step = 0; last < end; step++) {
    const at = step / 40, x = box.left + box.width * (0.33 + 0.2 * Math.sin(1.7 * at));
    const y = box.top + box.height * (0.25 + 0.17 * Math.sin(2.3 * at + 1));
    const begin = performance.now();
    if (again) select.dispatchEvent(new Event("change"));
    const where = { clientX: x, clientY: y, bubbles: true, pointerType: "mouse" };
    if (moving) canvas.dispatchEvent(new PointerEvent("pointermove", where));
    moves.push(performance.now() - begin);
    shown += !document.getElementById("tip").hidden;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  return { frames, moves, shown };
}"""

_CHANGE = """async () => {
  const canvas = [...document.querySelectorAll("canvas")].find((one) => one.offsetParent), times = [];
  const card = canvas.closest(".card");
  const selects = ["x", "colour"].map((name) => card.querySelector(`[data-name=${name}] select`));
  for (const select of selects) for (const option of [...select.options]) {
    select.value = option.value;
    const begin = performance.now();
    select.dispatchEvent(new Event("change"));
    times.push(performance.now() - begin);
    await new Promise(requestAnimationFrame);
  }
  return times;
}"""


def quantile(values: list[float], share: float) -> float:
    """The value that so large a share of all does not exceed."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


@dataclass
class Moves:
    """Times in milliseconds: between frames, and of the main thread per move; in how many a dot was found."""

    frames: list[float] = field(default_factory=list)
    moves: list[float] = field(default_factory=list)
    shown: int = 0

    def add(self, tab: Any, *, moving: bool, again: bool) -> None:
        """Measure for `SECONDS` more."""
        found = tab.evaluate(_MOVE, {"seconds": SECONDS, "moving": moving, "again": again})
        self.frames += found["frames"]
        self.moves += found["moves"]
        self.shown += found["shown"]

    def rate(self) -> float:
        """Frames per second."""
        return 1000 * len(self.frames) / sum(self.frames)


def measure(tab: Any) -> None:
    """Print the figures of an open page."""
    still, own, again = (Moves(), Moves(), Moves())
    for _ in range(ROUNDS):  # in turns, since other programs come and go
        still.add(tab, moving=False, again=False)
        own.add(tab, moving=True, again=False)
        again.add(tab, moving=True, again=True)
    changes = tab.evaluate(_CHANGE)
    middle = quantile(changes, 0.5)

    print(f"the pointer is over a dot in {own.shown} of {len(own.moves)} moves")
    line("frames per second, nothing moves: what the machine gives now", still.rate())
    line("frames per second, a move in each frame", own.rate())
    share = own.rate() / still.rate()
    line("frames with moves over frames without", share, ">= 0.95", share >= 0.95)
    median, slow = quantile(own.moves, 0.5), quantile(own.moves, 0.95)
    line("a move, milliseconds of the main thread, median", median, "<= 4", median <= 4)
    line("a move, milliseconds of the main thread, 95 % take at most", slow)
    ratio = quantile(again.moves, 0.5) / median
    line("the same with all dots painted at every move, over a move", ratio, ">= 3", ratio >= 3)
    line("frames per second, all painted at every move", again.rate())
    line("another axis or colour, milliseconds, median", middle, "<= 33", middle <= 33)
    line("another axis or colour, milliseconds, the slowest", max(changes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", nargs="?", type=Path)
    file = parser.parse_args().report
    if program() is None:
        print("pages: skipped, no Chromium is installed, and CHROMIUM names none")
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        if file is None:
            file = Path(folder) / "space.html"
            file.write_text(explorer([open_table(name) for name in OFFICIAL.values()]), encoding="utf-8")
        line("size of the page, MB", file.stat().st_size / 1e6, "<= 6", file.stat().st_size <= 6e6)
        browser = playwright.chromium.launch(executable_path=program(), args=ARGUMENTS)
        tab = browser.new_page(viewport={"width": 1200, "height": 900})
        tab.goto(file.resolve().as_uri())
        if panels := tab.get_by_role("tab").all():
            panels[-1].click()  # an environment: of several, all together come first and have no space
        tab.locator("canvas:visible").first.scroll_into_view_if_needed()
        measure(tab)
        browser.close()


if __name__ == "__main__":
    main()
