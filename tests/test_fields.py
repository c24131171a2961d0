"""What a file says in JSON: its types are checked, and messages name the place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nb201env.fields import Fields, parse_json, quoted


class Wrong(ValueError):
    """The error of these tests."""


def fields(value: Any) -> Fields:
    return Fields(value, "a.json", Wrong)


READERS: dict[str, Callable[[Fields], Any]] = {
    "text": lambda f: f.text("x"),
    "flag": lambda f: f.flag("x"),
    "whole": lambda f: f.whole("x", least=0, most=9),
    "number": lambda f: f.number("x", least=0, most=9),
    "object": lambda f: f.object("x").value,
    "texts": lambda f: f.texts("x"),
    "wholes": lambda f: f.wholes("x", least=0),
    "objects": lambda f: [one.value for one in f.objects("x")],
}
GOOD: dict[str, list[Any]] = {
    "text": ["", "a"],
    "flag": [True, False],
    "whole": [0, 9],
    "number": [0, 2.5, 9],
    "object": [{}, {"a": 1}],
    "texts": [[], ["a"]],
    "wholes": [[], [0, 3]],
    "objects": [[], [{}]],
}
BAD: dict[str, list[Any]] = {
    "text": [None, 1, ["a"]],
    "flag": [0, 1, "true", None],
    "whole": [True, 1.0, -1, 10, "1", None, 10**400],
    "number": [True, float("nan"), float("inf"), 9.5, -1, "1", 10**400],
    "object": [None, [], "{}"],
    "texts": ["a", [1], None],
    "wholes": [[True], [1.0], [-1], 3],
    "objects": [{}, [[]]],
}


@pytest.mark.parametrize("kind", READERS)
def test_what_fits_is_read_and_what_does_not_is_refused_by_name(kind: str) -> None:
    for value in GOOD[kind]:
        assert READERS[kind](fields({"x": value})) == value
    for value in BAD[kind]:
        with pytest.raises(Wrong, match=r"^a\.json: x: should be "):
            READERS[kind](fields({"x": value}))
    with pytest.raises(Wrong, match=r"^a\.json: x is missing"):
        READERS[kind](fields({}))


def test_a_missing_entry_may_have_a_default_a_wrong_one_may_not() -> None:
    assert fields({}).text("x", default="a") == "a"
    assert fields({}).object("x", default={}).value == {}
    with pytest.raises(Wrong):
        fields({"x": None}).text("x", default="a")


def test_places_are_named_all_the_way_down() -> None:
    with pytest.raises(Wrong, match=r"^a\.json: rows\[1\]: seed: should be a whole number, not \"7\""):
        fields({"rows": [{}, {"seed": "7"}]}).objects("rows")[1].whole("seed")
    with pytest.raises(Wrong, match=r"^a\.json: should be an object, not a list of 2"):
        fields([1, 2])


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "[" * 100_000, "1" * 5000, b"\xff"])
def test_what_is_not_json_is_one_error(text: str | bytes) -> None:
    with pytest.raises(Wrong, match=r"^a\.json: not JSON"):
        parse_json(text, "a.json", Wrong)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_no_value_gets_another_error(value: Any) -> None:
    for read in READERS.values():
        try:
            read(fields({"x": value}))
        except Wrong as error:
            assert len(str(error)) < 200


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe{\x00}\x00",
        b'"\xff"',
        "{} {}",
        '{"a": 1} x',
        '"\\ud800"',
        '{"\\udfff": 1}',
        "[" * 10**5,
        "\ufeff{}",
    ],
)
def test_what_json_allows_and_nobody_can_write_is_refused(text: str | bytes) -> None:
    with pytest.raises(Wrong, match=r"^x: not JSON \("):
        parse_json(text, "x", Wrong)


def test_escapes_and_blanks_are_read() -> None:
    assert parse_json('\t {"a": "\\ud83d\\ude00\\u00e9"}\r\n', "x") == {"a": "\U0001f600é"}
    assert parse_json(' "é" '.encode(), "x") == "é"


def test_bounds_in_messages_are_short() -> None:
    with pytest.raises(ValueError, match="of at least a number of more than 20 digits"):
        Fields({"a": 1}, "x").number("a", least=10**30)


class TwoLines:
    def __repr__(self) -> str:
        return "one\n   two" + 100 * "!"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", r"'a\nb'"), (2.0, "2.0"), (True, "True"), (-1, "-1"), ([1, True], "[1, True]"),
        (TwoLines(), "one two" + 72 * "!" + "…"), (10**400, "a number of more than 20 digits"),
    ],
)  # fmt: skip
def test_what_a_caller_handed_over_on_one_short_line(value: Any, text: str) -> None:
    assert quoted(value) == text


def test_unknown_entries_are_named() -> None:
    entries = Fields({"a": 1, "b": 2}, "x.json")
    entries.refuse_others(["a", "b", "c"])
    with pytest.raises(ValueError, match=r'^x\.json: unknown entry "b"$'):
        entries.refuse_others(iter(["a"]))
