"""The command; see the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

import tests.screens
from tests.screens import bench, taking
from tests.screens.comparing import LIMITS, difference, small

STORED = Path(__file__).parents[1] / "agents" / "report" / "screens"


def stored(name: str) -> Image.Image:
    """The stored picture of this name."""
    with Image.open(STORED / f"{name}.png") as picture:
        picture.load()
        return picture


def write(folder: Path) -> None:
    """Take all pictures and put them into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with taking.chromium() as browser:
        for name, picture in taking.taken(browser, bench.report()).items():
            small(picture).save(folder / f"{name}.png", optimize=True)
            print(folder / f"{name}.png", picture.size)


def compare(out: Path) -> bool:
    """Say how far each picture is from the stored one; whether all are near enough."""
    out.mkdir(parents=True, exist_ok=True)
    alike = True
    with taking.chromium() as browser:
        for name, picture in taking.taken(browser, bench.report()).items():
            picture.save(out / f"{name}.png")
            found = difference(stored(name), small(picture))
            near = found.within(LIMITS)
            alike &= near
            print(f"{name}: {found}{'' if near else '  <- too far'}")
    return alike


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.screens", description=tests.screens.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("what", choices=("write", "compare"))
    parser.add_argument(
        "--out", type=Path, help="where pictures go; for write, by default where they are stored"
    )
    a = parser.parse_args(arguments)
    try:
        if a.what == "write":
            write(a.out or STORED)
            return 0
        return 0 if compare(a.out or Path("build/screens")) else 1
    except taking.NoBrowser as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
