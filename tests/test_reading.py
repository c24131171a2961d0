"""Numbers on the command line: the digits 0 to 9, finite, and no more of them than can be used."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nb201env.reading import (
    MOST_SEEDS,
    format_budget,
    format_seeds,
    parse_budget,
    parse_seeds,
    read_architecture,
    read_numbers,
    read_object,
    read_run,
    read_share,
    read_whole,
)

# What Python's own int() or str.isdecimal() take, or what is too much.
NO_NUMBERS = [
    "",
    " 5",
    "5 ",
    "+5",
    "-5",
    "1_0",
    "٣",
    "５",
    "²",
    "५",
    "5\n",
    "\x005",
    "0x5",
    "1e3",
    "1.0",
    "5" * 19,
    "9" * 5000,
]
READERS = {
    "budget": (parse_budget, "a budget is a number of queries", "{}"),
    "seconds": (parse_budget, "a budget is a number of queries", "{}s"),
    "run": (read_run, "--run is a seed or 'mean'", "{}"),
    "share": (read_share, "--share looks like 2/5", "1/{}"),
    "part of a share": (read_share, "--share looks like 2/5", "{}/5"),
    "official": (read_architecture, "after official: comes a whole number", "official:{}"),
    "index": (read_architecture, "after index: comes a whole number", "index:{}"),
}


@pytest.mark.parametrize("what", READERS)
@pytest.mark.parametrize("text", NO_NUMBERS)
def test_only_plain_digits_are_whole_numbers(what: str, text: str) -> None:
    read, message, form = READERS[what]
    if what == "seconds" and text in ("1e3", "1.0", "5" * 19):
        return  # seconds may be fractions, and large
    with pytest.raises(ValueError, match=re.escape(message)):
        read(form.format(text))


@pytest.mark.parametrize("text", [text for text in NO_NUMBERS if text not in (" 5", "5 ", "5\n")])
def test_seeds_and_lists_of_numbers_too(text: str) -> None:
    for seeds in (text, f"0-{text}", f"{text}-9", f"1,{text}"):
        with pytest.raises(ValueError, match="seeds look like 4, 0-9 or 0,3,7-9; got"):
            parse_seeds(seeds)
    for numbers in (text, f"1,{text}"):
        with pytest.raises(ValueError, match="--sizes takes whole numbers separated by commas; got"):
            read_numbers(numbers, "--sizes")


def test_blanks_after_commas_do_no_harm() -> None:
    assert parse_seeds("0, 3, 7-9") == [0, 3, 7, 8, 9]
    assert read_numbers("20, 10,10", "--sizes") == (10, 20)


@given(st.integers(0, 10**18 - 1))
def test_whole_numbers(number: int) -> None:
    assert read_whole(str(number)) == number


@given(st.one_of(st.floats(min_value=0, exclude_min=True, allow_infinity=False), st.integers(1, 10**15)))
def test_budgets_in_seconds_round_trip(seconds: float) -> None:
    assert parse_budget(format_budget({"budget_seconds": seconds})) == {"budget_seconds": seconds}


@given(st.integers(1, 10**18 - 1))
def test_budgets_in_queries_round_trip(queries: int) -> None:
    assert parse_budget(format_budget({"budget_queries": queries})) == {"budget_queries": queries}


@pytest.mark.parametrize(
    "text",
    [
        "infs", "-infs", "Infinitys", "nans", "1e400s", "9" * 400 + "s", "-5", "-5s", "0", "00", "0s", "0e9s",
        "1e-400s", "1_000", "1_000s", "٣s", "s", "1e5", "1.s.", "1ss", " 1s", "1 s", "1S",
    ],
)  # fmt: skip
def test_budgets_have_an_end_and_a_beginning(text: str) -> None:
    with pytest.raises(ValueError, match="a budget is a number of queries"):
        parse_budget(text)


@pytest.mark.parametrize(
    "text", ["0-1000000000", "0-1000000", "5-999999999999999999", "0-999998,1000000-1000001"]
)
def test_more_seeds_than_anybody_needs_are_refused_before_they_are_listed(text: str) -> None:
    with pytest.raises(ValueError, match=f"{text}: at most 1,000,000 seeds, please"):
        parse_seeds(text)


def test_as_many_as_that_are_taken() -> None:
    assert len(parse_seeds(f"0-{MOST_SEEDS - 1}")) == MOST_SEEDS
    assert parse_seeds("999999999999999999") == [999999999999999999]


@given(st.sets(st.integers(0, 100), min_size=1))
def test_seeds_round_trip(seeds: set[int]) -> None:
    assert parse_seeds(format_seeds(sorted(seeds))) == sorted(seeds)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "1", "nul", '{"a": NaN}', '{"a": Infinity}', "[" * 100_000, '{"a":' * 100_000,
        '{"a": ' + "9" * 5000 + "}", "{} {}", '{"\\ud800": 1}',
    ],
)  # fmt: skip
def test_objects(text: str) -> None:
    with pytest.raises(ValueError, match="--agent-kwargs takes a JSON object, such as") as caught:
        read_object(text, "--agent-kwargs")
    assert len(str(caught.value)) < 250


def test_an_object_is_taken() -> None:
    assert read_object('{"a": {"b": [1, 2.5]}}', "--agent-kwargs") == {"a": {"b": [1, 2.5]}}


@pytest.mark.parametrize("text", ["500", "12000s", "0.5s", "1234567s", "1234567.25s"])
def test_budgets_round_trip(text: str) -> None:
    assert format_budget(parse_budget(text)) == text


@pytest.mark.parametrize("text", ["", "0", "-3", "1.5", "s", "0s", "nan", "nans", "ten"])
def test_bad_budgets(text: str) -> None:
    with pytest.raises(ValueError, match="a budget is a number of queries"):
        parse_budget(text)


def test_seeds() -> None:
    assert parse_seeds("4") == [4]
    assert parse_seeds("0-2") == [0, 1, 2]
    assert parse_seeds("0,3,7-9") == [0, 3, 7, 8, 9]
    for text in ("", "a", "3-", "2-1", "-1", "1,,2"):
        with pytest.raises(ValueError, match="seeds look like"):
            parse_seeds(text)
