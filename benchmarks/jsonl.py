"""Files of JSON objects, one a line, added as soon as they are known: a kill cuts off one line at most."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any


def append(file: Path, /, **values: Any) -> None:
    """Add a line; behind one that a kill has cut off, a new one is begun."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a+b") as stream:
        stream.seek(max(stream.tell() - 1, 0))
        cut_off = stream.read() not in (b"", b"\n")
        stream.write(b"\n" * cut_off + json.dumps(values).encode() + b"\n")


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a file; none if there is no file."""
    return objects(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else []


def objects(lines: Iterable[str]) -> list[dict[str, Any]]:
    """The objects among lines, of which some may say other things or be cut off."""
    found = []
    for line in lines:
        with suppress(ValueError):
            if line.startswith("{"):
                found.append(json.loads(line))
    return found
