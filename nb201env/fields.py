"""What a file says in JSON, read with its types checked.

Whoever wrote a file may have written anything. So its objects are read through `Fields`, which names
the file and the entry that is not what it should be, and nothing is taken on trust:

    head = Fields.parse(line, "a.jsonl, line 1", BadTrajectory)
    seed = head.whole("seed", least=0)
    table_id = head.object("table").text("id")
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import numpy as np

Value = TypeVar("Value")
MakeError = Callable[[str], Exception]
_REQUIRED: Any = object()


def parse_json(text: str | bytes, where: str, error: MakeError = ValueError) -> Any:
    """Read JSON from a file of unknown origin.

    Args:
        text: The JSON, in UTF-8 if it is bytes.
        where: Of which file and place, for the message.
        error: Makes the error that is raised.

    Raises:
        ValueError: Or what `error` makes, if it is not JSON: NaN and Infinity are not, and depths and numbers
            that Python gives up on are refused likewise.
    """
    try:
        text = (text if isinstance(text, str) else text.decode("utf-8")).strip(" \t\n\r")
        value, end = _decode(text)
        if end < len(text):
            raise ValueError("more than one value")
        if "\\u" in text:  # half of a surrogate pair is legal there, and can be written nowhere
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except (ValueError, RecursionError) as cause:
        why = "too deep" if isinstance(cause, RecursionError) else str(cause)
        raise error(f"{where}: not JSON ({why})") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number of JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse)  # made once: `json.loads` would for every call
_decode = _decoder.raw_decode
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]


def parse_json_lines(lines: bytes) -> list[Any] | None:
    """Read whole lines of JSON at half the price of `parse_json` for each.

    Returns:
        Their values; None if `parse_json` might refuse a line, or read it in another way.
    """
    values, place = [], 0
    try:
        text = lines.decode("utf-8")
        while place < len(text):
            value, place = _scan(text, place)
            if text[place] != "\n":
                return None
            values.append(value)
            place += 1
    except (ValueError, RecursionError, StopIteration, IndexError):
        return None
    # With a line end in the middle of a value there would be fewer values than lines.
    return values if len(values) == lines.count(b"\n") and "\\" not in text else None


class Fields:
    """The entries of a JSON object from a file.

    Every reader takes the entry's name and, where the entry may be missing, a `default`. A missing entry
    without one, and an entry of another type or outside its bounds, raise.

    Args:
        value: What should be an object.
        where: How messages name it: "a.jsonl, line 1".
        error: Makes the error that is raised.

    Raises:
        ValueError: Or what `error` makes, if `value` is no object.
    """

    def __init__(self, value: Any, where: str, error: MakeError = ValueError) -> None:
        if not isinstance(value, dict):
            raise error(f"{where}: should be an object, not {shown(value)}")
        self.value: dict[str, Any] = value
        self.where, self.error = where, error

    @classmethod
    def parse(cls, text: str | bytes, where: str, error: MakeError = ValueError) -> Fields:
        """The fields of an object in JSON; see `parse_json`."""
        return cls(parse_json(text, where, error), where, error)

    def text(self, name: str, default: str = _REQUIRED) -> str:
        """A text."""
        return self._get(name, "a text", lambda value: isinstance(value, str), default)

    def flag(self, name: str, default: bool = _REQUIRED) -> bool:
        """True or false."""
        return self._get(name, "true or false", lambda value: isinstance(value, bool), default)

    def whole(
        self, name: str, *, least: int | None = None, most: int | None = None, default: int = _REQUIRED
    ) -> int:
        """A whole number, within bounds where they are given; true and 1.0 are none."""
        what = "a whole number" + _bounds(least, most)
        return self._get(name, what, lambda value: _is_whole(value) and _inside(value, least, most), default)

    def number(
        self, name: str, *, least: float | None = None, most: float | None = None, default: float = _REQUIRED
    ) -> float:
        """A finite number, within bounds where they are given."""
        what = "a number" + _bounds(least, most)
        found = self._get(
            name, what, lambda value: _is_number(value) and _inside(value, least, most), default
        )
        return found if found is default else float(found)

    def numbers(self, name: str, *, least: int, most: int) -> list[float]:
        """A list of finite numbers, so many of them."""
        found = self._list(name, "numbers", _is_number, _REQUIRED)
        if not least <= len(found) <= most:
            raise self.refuse(name, f"should be {least} to {most} numbers, not {shown(found)}")
        return [*map(float, found)]

    def object(self, name: str, default: dict[str, Any] = _REQUIRED) -> Fields:
        """An object, as fields of their own."""
        found = self._get(name, "an object", lambda value: isinstance(value, dict), default)
        return Fields(found, f"{self.where}: {name}", self.error)

    def texts(self, name: str, default: list[str] = _REQUIRED) -> list[str]:
        """A list of texts."""
        return self._list(name, "texts", lambda value: isinstance(value, str), default)

    def wholes(
        self, name: str, *, least: int | None = None, most: int | None = None, default: list[int] = _REQUIRED
    ) -> list[int]:
        """A list of whole numbers, each within bounds where they are given."""
        what = "whole numbers" + _bounds(least, most)
        return self._list(name, what, lambda value: _is_whole(value) and _inside(value, least, most), default)

    def objects(self, name: str, default: list[dict[str, Any]] = _REQUIRED) -> list[Fields]:
        """A list of objects."""
        found = self._list(name, "objects", lambda value: isinstance(value, dict), default)
        return [
            Fields(value, f"{self.where}: {name}[{place}]", self.error) for place, value in enumerate(found)
        ]

    def refuse_others(self, known: Iterable[str]) -> None:
        """Raise if there is an entry of another name."""
        if others := sorted(self.value.keys() - set(known)):
            raise self.error(f"{self.where}: unknown entry {shown(others[0])}")

    def refuse(self, name: str, why: str) -> Exception:
        """The error that says what is wrong with an entry, to be raised."""
        return self.error(f"{self.where}: {name}: {why}")

    def _get(self, name: str, what: str, fits: Callable[[Any], bool], default: Value) -> Value:
        if name not in self.value:
            if default is _REQUIRED:
                raise self.error(f"{self.where}: {name} is missing; it should be {what}")
            return default
        if not fits(self.value[name]):
            raise self.refuse(name, f"should be {what}, not {shown(self.value[name])}")
        return cast(Value, self.value[name])

    def _list(self, name: str, what: str, fits: Callable[[Any], bool], default: list[Any]) -> list[Any]:
        def all_fit(value: Any) -> bool:
            return isinstance(value, list) and all(map(fits, value))

        return self._get(name, f"a list of {what}", all_fit, default)


def shown(value: Any) -> str:
    """A value of unknown origin in a few characters, for a message."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, int) and not -(10**20) < value < 10**20:
        return "a number of more than 20 digits"
    text = json.dumps(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= 40 else text[:39] + "…"


def quoted(value: Any) -> str:
    """A value that a caller handed over, in Python's words but on one short line, for a message."""
    text = shown(value) if type(value) is int else " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:79] + "…"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return _is_whole(value) and abs(value) <= 2**1023  # larger ones are no float


def _inside(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _bounds(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f" of at least {shown(least)}"
    return f" in {shown(least)}..{shown(most)}" if least is not None else f" of at most {shown(most)}"


def finite_number(name: str, value: Any, above: float | None = None, otherwise: str = "") -> float:
    """An argument that has to be a finite number, as a float: NaN or infinity would limit nothing, or all.

    Args:
        name: Of the argument, for the message.
        value: What was given; a number of Python's or NumPy's, and no bool.
        above: What it has to be above.
        otherwise: What else is allowed, for the message.

    Raises:
        ValueError: If it is none.
    """
    number = math.nan
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            number = float(value)
    if not math.isfinite(number) or (above is not None and not number > above):
        must = f"above {above:g}{otherwise}, a finite number" if above is not None else "a finite number"
        raise ValueError(f"{name} must be {must}; got {quoted(value)}")
    return number
