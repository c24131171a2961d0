"""Pages of docs/ and their generated parts, and the data that these are made of.

A generated part stands between two markers, the first of which names its writer:

    <!-- written by: python -m benchmarks.studies digits page -->
    …
    <!-- end -->

It holds what a study's data say; what stands around it is written by hand.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.checkout import ROOT
from nb201env.files import appearing

DOCS = ROOT / "docs"
DATA, FIGURES = DOCS / "data", DOCS / "figures"

Pages = dict[Path, str]
"""Texts of whole pages by their path."""

END = "<!-- end -->"
_WRITTEN_BY = re.compile(r"^<!-- written by: python -m benchmarks\.studies (\w+) page -->$", re.MULTILINE)


def begin(study: str) -> str:
    """The marker before a part that a study writes."""
    return f"<!-- written by: python -m benchmarks.studies {study} page -->"


def part(study: str, text: str) -> str:
    """A generated part with its markers."""
    return f"{begin(study)}\n\n{text.strip()}\n\n{END}"


def with_part(path: Path, study: str, text: str) -> str:
    """A page with the part that a study writes put in place of the former one.

    Raises:
        ValueError: If the page has no such part.
    """
    before, marker, rest = path.read_text(encoding="utf-8").partition(begin(study))
    _, end, after = rest.partition(END)
    if not (marker and end):
        raise ValueError(f"{path}: no part between {begin(study)} and {END}; put both where it shall stand")
    return f"{before}{part(study, text)}{after}"


def writers(text: str) -> list[str]:
    """The studies that write parts of a page, in order."""
    return _WRITTEN_BY.findall(text)


def read_data(path: Path) -> Any:
    """A study's data."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_data(path: Path, data: Any) -> None:
    """Write a study's data in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with appearing(path) as new:
        new.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
