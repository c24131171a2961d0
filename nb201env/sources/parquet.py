"""How large a Parquet file's columns are when they are unpacked, looked up before they are.

A page's header says how large the page is unpacked, and a reader takes that much memory. The sizes in
the file's footer are no help: nothing ties them to the pages. So `check_pages` walks through the headers
themselves, which are structures in Thrift's compact protocol.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

from nb201env.sources.errors import SourceError

LARGEST = 64 << 20
"""The most bytes of all wanted columns together, unpacked."""
PLAIN, BY_PREFIX = 0, 7
"""Encodings: the first of all, and the one in which a few bytes stand for any number of long texts."""
_UNPACKED, _PACKED = 2, 3
_HEADERS = {5: 2, 7: 2, 8: 4}
"""Kinds of page (of data, of a dictionary, of data in version 2), each with the entry for its encoding."""


def check_pages(source: Path, file: IO[bytes], metadata: Any, names: Collection[str], most_rows: int) -> None:
    """Check that the wanted columns are small enough to be read; the file's position stays.

    Args:
        source: For messages.
        file: The file.
        metadata: pyarrow's.
        names: The wanted columns.
        most_rows: How many rows there may be.

    Raises:
        SourceError: If they are not.
    """
    groups = [metadata.row_group(number) for number in range(min(metadata.num_row_groups, most_rows + 1))]
    rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    if rows > most_rows or len(groups) > most_rows:
        raise SourceError(source, "rows", f"{rows} rows; there are not so many architectures")
    paths = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    before, left = file.tell(), LARGEST
    for group in groups:
        for number, path in enumerate(paths):
            if path in names:
                left -= _unpacked(source, path, file, group.column(number), left, most_rows)
    file.seek(before)


def _unpacked(source: Path, name: str, file: IO[bytes], chunk: Any, most: int, most_rows: int) -> int:
    starts = [start for start in (chunk.dictionary_page_offset, chunk.data_page_offset) if start]
    start, size = min(starts, default=0), chunk.total_compressed_size
    if start < 0 or not 0 <= size <= os.fstat(file.fileno()).st_size:
        raise SourceError(source, name, "damaged (its pages lie outside the file); get a fresh copy")
    file.seek(start)
    data, at, total = file.read(size), 0, 0
    while at < len(data):
        try:
            header, at = _struct(data, at, depth=0)
            unpacked, packed = header[_UNPACKED], header[_PACKED]
            kind = next(kind for kind in _HEADERS if kind in header)
            values, encoding = header[kind][1], header[kind].get(_HEADERS[kind], PLAIN)
        except (LookupError, StopIteration, TypeError, AttributeError):
            raise SourceError(source, name, "damaged (the header of a page); get a fresh copy") from None
        if encoding == BY_PREFIX:
            raise SourceError(
                source, name, "encoded as DELTA_BYTE_ARRAY; write the file without that encoding"
            )
        total += max(unpacked, packed)
        if not (0 <= values <= most_rows and unpacked >= 0 and packed >= 0 and total <= most):
            raise SourceError(
                source, name, f"more than {LARGEST} bytes, or {most_rows} values, when unpacked"
            )
        at += packed
    return total


# -- Thrift's compact protocol ---------------------------------------------------------------

_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCT = 0, 1, 2, 3, 7, 8, 12
_DEEPEST = 8


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """A structure's whole numbers and structures by their ids, and where it ends; the rest is passed over."""
    if depth > _DEEPEST:
        raise LookupError
    found: dict[int, Any] = {}
    name = 0
    while (head := data[at]) & 15 != _STOP:
        at += 1
        if head >> 4:
            name += head >> 4
        else:
            name, at = _whole(data, at)
        found[name], at = _value(data, at, head & 15, depth)
    return found, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind == _BYTE:
        return data[at], at + 1
    if kind < _DOUBLE:
        return _whole(data, at)
    if kind == _DOUBLE:
        return None, at + 8
    if kind == _BINARY:
        size, at = _varint(data, at)
        return None, at + size
    if kind == _STRUCT:
        return _struct(data, at, depth + 1)
    raise LookupError  # lists, sets and maps: no header of a page has any


def _whole(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise LookupError
