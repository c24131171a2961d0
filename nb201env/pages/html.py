"""One HTML file that needs nothing else: a template with style, script and numbers inside."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np

from nb201env.arrays import Array, FloatArray, IntArray

Json = dict[str, Any]


def asset(package: str, name: str) -> str:
    """The text of a file that comes with a package: `asset("nb201env.pages", "base.js")`."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def assembled(template: str, parts: Mapping[str, str]) -> str:
    """A template with every ``{{name}}`` replaced by the part of that name.

    Parts are markup: texts of strangers must be escaped before. What looks like a name in a part stays.
    """
    return re.sub(r"{{(\w+)}}", lambda match: parts[match[1]], template)


def in_script(data: Json) -> str:
    """Data as JSON that can stand in a ``<script>``.

    Raises:
        ValueError: If it holds a NaN or an infinity, which JSON lacks.
    """
    # "<" alone may open a comment that swallows the script; JSON can do without it.
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def short(value: float, digits: int = 5) -> float | None:
    """A number with so many significant digits, as small as JSON can hold it; None where there is none."""
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None


def packed(values: Array) -> Json:
    """An array as base64 of its smallest little-endian type; counts must not be negative."""
    if values.dtype.kind != "f":
        size = next(bits for bits in (8, 16, 32) if int(values.max()) < 1 << bits) // 8
        values = values.astype(f"<u{size}")
    kind = f"{values.dtype.kind}{values.dtype.itemsize}"
    return {"type": kind, "base64": base64.b64encode(values.tobytes()).decode("ascii")}


def packed_counts(counts: IntArray) -> Json:
    """Counts that are mostly 0, not negative: a bit for each that is not, from the lowest bit up, and those.

    Never larger than `packed` by more than an eighth, and far smaller where few things were counted.
    """
    some = counts > 0
    bits = base64.b64encode(np.packbits(some, bitorder="little").tobytes()).decode("ascii")
    return packed(counts[some] if some.any() else counts[:1]) | {"bits": bits, "size": len(counts)}


def packed_floats(values: FloatArray) -> Json:
    """Numbers in single precision; NaN for what is not recorded."""
    return packed(np.where(np.isfinite(values), values, np.nan).astype("<f4"))
