"""Reading the cells of CSV and Parquet files: keys, numbers, and where in the file they stand."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, TextIO

import numpy as np

from nb201env.arrays import FloatArray
from nb201env.extras import require
from nb201env.sources.errors import SourceError, show
from nb201env.sources.opening import open_source
from nb201env.sources.parquet import check_pages
from nb201env.space import SIZE

LONGEST_LINE = 1 << 16
LONGEST_KEY = 1 << 10
MOST_ROWS = 2 * SIZE
"""Of a Parquet file: enough to say which architecture stands in it twice."""
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE)
_NONE = ("", "nan", "null", "none")


class Cells(NamedTuple):
    """What was read of a file.

    Attributes:
        headings: Of all columns.
        keys: The key of each row, a text or a number.
        places: How messages name each row: "line 7" (of the file, from 1) or "row 7" (from 1).
        numbers: Of each wanted column, one per row; NaN where there is none.
    """

    headings: list[str]
    keys: list[Any]
    places: list[str]
    numbers: list[FloatArray]


def read_cells(source: Path, key: str, names: Sequence[str], most: int = SIZE) -> Cells:
    """Read the key's column and some columns of numbers of a CSV file, or Parquet if its name ends so.

    Args:
        source: The file.
        key: The key's column.
        names: The columns of numbers.
        most: How many rows there may be. Of a file with more come some more than that, so that whoever
            knows what a row is can say what is wrong.

    Raises:
        SourceError: If the file is damaged or holds something else there.
        OSError: If it cannot be read.
        MissingExtra: For a Parquet file, if pyarrow is not installed.
    """
    with open_source(source) as file:
        read = _read_parquet if source.suffix == ".parquet" else _read_csv
        cells = read(source, file, key, names, most)
    if not cells.keys:
        raise SourceError(source, "content", "has a heading but no row")
    for name, numbers in zip(names, cells.numbers, strict=True):
        if bool(np.isnan(numbers).all()):
            raise SourceError(source, name, "holds no number")
    return cells


def _read_csv(source: Path, file: IO[bytes], key: str, names: Sequence[str], most: int) -> Cells:
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        return _read_lines(source, text, key, names, most)


def _read_lines(source: Path, text: TextIO, key: str, names: Sequence[str], most: int) -> Cells:
    reader = csv.reader(iter(lambda: text.readline(LONGEST_LINE), ""), strict=True)
    keys: list[Any] = []
    places: list[str] = []
    numbers: list[list[float]] = [[] for _ in names]
    try:
        header = next((row for row in reader if row), [])
        if not header:
            raise SourceError(source, "content", "the file is empty")
        at = [_position(source, header, name) for name in [key, *names]]
        for row in reader:
            if not row:
                continue
            place = f"line {reader.line_num}"
            if len(row) != len(header):
                raise SourceError(source, place, f"{len(row)} cells under {len(header)} headings")
            if len(keys) > most:
                break  # enough to see that there are too many
            keys.append(_short(source, place, row[at[0]]))
            places.append(place)
            for name, values, column in zip(names, numbers, at[1:], strict=True):
                values.append(_cell(source, place, name, row[column]))
    except (csv.Error, UnicodeDecodeError) as error:
        where = f"line {reader.line_num}" if isinstance(error, csv.Error) else f"after line {reader.line_num}"
        raise SourceError(source, where, f"not a CSV file in UTF-8 ({error})") from None
    return Cells(header, keys, places, [np.array(values, dtype=np.float64) for values in numbers])


def _position(source: Path, header: Sequence[str], name: str) -> int:
    count = list(header).count(name)
    if count > 1:
        raise SourceError(source, name, f"is the heading of {count} columns; rename all but one")
    if not count:
        raise SourceError(source, name, f"is not one of the columns {_which(name, header)}")
    return list(header).index(name)


def _which(name: str, header: Sequence[str]) -> str:
    """The headings there are, and what was probably meant."""
    shown = ", ".join(heading[:40] for heading in header[:20]) or "(none)"
    other = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
    if other:
        between = {";": "semicolons", "\t": "tabs", "|": "bars"}[other]
        return f"{shown}; the file has {between} between its cells: save it with commas (and decimal points)"
    close = difflib.get_close_matches(name[:80], [heading[:80] for heading in header[:200]], n=1)
    if close:
        return f"{shown}; did you mean {close[0]}?"
    return shown


def _short(source: Path, place: str, key: str) -> str:
    if len(key) > LONGEST_KEY:
        raise SourceError(source, place, f"a key of {len(key)} characters: {show(key)}")
    return key


def _cell(source: Path, place: str, name: str, text: str) -> float:
    text = text.strip()
    if text.lower() in _NONE:
        return np.nan
    if _NUMBER.fullmatch(text) is None:  # float() also takes 9_0, and the digits of every script
        raise SourceError(source, f"{place}, {name}", f"{show(text)} is no number")
    return float(text)


def _read_parquet(source: Path, file: IO[bytes], key: str, names: Sequence[str], most: int) -> Cells:
    parquet = require("pyarrow.parquet", "parquet")
    pyarrow = require("pyarrow", "parquet")
    try:
        # As a dictionary a text is held once, however many rows it stands in.
        opened = parquet.ParquetFile(
            file, read_dictionary=[key], thrift_string_size_limit=1 << 22, thrift_container_size_limit=1 << 17
        )
        headings = list(opened.schema_arrow.names)
        for name in [key, *names]:
            _position(source, headings, name)
        for name in names:
            kind = opened.schema_arrow.field(name).type
            if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
                raise SourceError(source, name, f"expected numbers, got {kind}")
        _check_key(source, key, opened.schema_arrow.field(key).type)
        check_pages(source, file, opened.metadata, [key, *names], max(most, MOST_ROWS))
        table = opened.read(columns=[key, *names])
        numbers = [table.column(name).cast("float64", safe=False).to_numpy() for name in names]
        keys = _keys(source, key, table.column(key))
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        problem = f"damaged or not a Parquet file ({type(error).__name__})"
        raise SourceError(source, "parquet", problem) from error
    return Cells(headings, keys, [f"row {number}" for number in range(1, len(keys) + 1)], numbers)


def _check_key(source: Path, key: str, kind: Any) -> None:
    types = require("pyarrow", "parquet").types
    if types.is_dictionary(kind):
        kind = kind.value_type
    texts = types.is_string(kind) or types.is_large_string(kind)
    if not (texts or types.is_integer(kind) or types.is_floating(kind)):
        raise SourceError(source, key, f"expected texts or whole numbers, got {kind}")


def _keys(source: Path, key: str, column: Any) -> list[Any]:
    keys: list[Any] = []
    for chunk in column.chunks:
        if hasattr(chunk, "dictionary"):
            chunk.validate(full=True)  # indices of a damaged file may lie outside
            known = chunk.dictionary.to_pylist()
            for text in known:
                _short(source, key, str(text))
            keys += [None if at is None else known[at] for at in chunk.indices.to_pylist()]
        else:
            keys += chunk.to_pylist()
    return keys
