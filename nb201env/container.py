"""The file a table lives in: numpy arrays and one manifest, memory-mapped, without pickle.

A file is a valid safetensors file (8 bytes header length, a JSON header, then the raw arrays),
so any safetensors reader opens it too. On top of that format this module promises:

* the header is a pure function of the manifest and holds a checksum of it, so every flipped byte in
  the header, and every change of length, is an error on opening;
* the manifest holds the sha256 of every array, checked when an array is first read, so no number
  leaves a damaged file. A file that is overwritten in place while it is open is noticed at the next
  read, too; one that is replaced or deleted (as `write` does it) goes on answering what it held.

Opening reads the header, at most 8 MB, and takes at most some 40 times its size of memory; the arrays are
mapped, so reading them takes no more than they have bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from nb201env.arrays import Array
from nb201env.files import appearing, open_regular

Manifest = dict[str, Any]

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_MAX_HEADER = 8 * 1024 * 1024
FORMAT = "nb201-table"


class DamagedTable(ValueError):
    """A file that is not, or no longer, a table; the message says what is wrong and where."""


def write(
    path: str | os.PathLike[str],
    manifest: Mapping[str, Any],
    arrays: Mapping[str, Array],
    check: Callable[[Manifest], object] = lambda manifest: None,
) -> str:
    """Write arrays and manifest to one file, atomically, and return the file's checksum.

    The same arguments give the same bytes. The entry "arrays" of the manifest is filled in here.

    Args:
        path: Where to write; an existing file is replaced in one step.
        manifest: Anything JSON can hold, without the key "arrays".
        arrays: Names to arrays of a fixed-width number type.
        check: Called with the whole manifest before anything is written; may raise.

    Raises:
        ValueError: If an array's type has no place in the file.
        OSError: If the file cannot be written (a full disk, say); nothing is left behind.
    """
    data = {name: _little_endian(name, arrays[name]) for name in sorted(arrays)}
    full = dict(manifest) | {
        "arrays": {
            name: {"dtype": _CODES[array.dtype], "shape": list(array.shape), "sha256": _sha256(array)}
            for name, array in data.items()
        }
    }
    check(full)
    header = _header(full)
    with appearing(path) as new, open(new, "wb") as file:
        file.write(header)
        for name in _order(full["arrays"]):
            file.write(data[name].data)
        file.flush()
        os.fsync(file.fileno())
    return digest(full)


class Unchanging:
    """What never changes is its own copy."""

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class Container(Unchanging):
    """An open file: its manifest and its arrays, mapped into memory and checked on first use.

    Args:
        path: The file.

    Attributes:
        manifest: The manifest, plain JSON values; nothing but "arrays" is checked here.
        checksum: The sha256 of the manifest, which holds those of the arrays: two files with one
            checksum have the same bytes.

    Raises:
        FileNotFoundError: If there is none.
        OSError: If it is a folder, a pipe or a device.
        DamagedTable: If the header is not exactly what its manifest says, or the length is wrong.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with open_regular(path) as file:
            self.manifest, self._data_start = _read_header(self.path, file)
            self._offsets = _offsets(self.manifest["arrays"])
            expected = self._data_start + max((end for _, end in self._offsets.values()), default=0)
            stat = os.fstat(file.fileno())
            if stat.st_size != expected:
                raise DamagedTable(f"{path}: {stat.st_size} bytes instead of {expected}; get a fresh copy")
            self._bytes = np.memmap(file, dtype=np.uint8, mode="r")
        self.checksum = digest(self.manifest)
        self._file, self._opened = os.fspath(path), stat
        self._checked: dict[str, Array] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._offsets

    def array(self, name: str) -> Array:
        """One array, read-only and not copied; its hash is checked the first time.

        Raises:
            KeyError: If there is no such array.
            DamagedTable: If its bytes are not those that were written.
        """
        if self._overwritten():
            raise DamagedTable(f"{self.path}: was overwritten while it was open; open it again")
        if name not in self._checked:
            if problem := self.damage(name):
                raise DamagedTable(problem)
            self._checked[name] = self._view(name)
        return self._checked[name]

    def damage(self, name: str) -> str:
        """What is wrong with an array's bytes; empty if nothing is."""
        if _sha256(self._view(name)) == self.manifest["arrays"][name]["sha256"]:
            return ""
        return f"{self.path}: array {name!r} does not match its sha256; get a fresh copy"

    def _overwritten(self) -> bool:
        """Whether the file was changed in place, which changes what is mapped; a new file does not."""
        old = self._opened
        try:
            now = os.stat(self._file)
        except OSError:
            return False
        changed = now.st_mtime_ns != old.st_mtime_ns or now.st_size != old.st_size
        return changed and os.path.samestat(now, old)

    def _view(self, name: str) -> Array:
        spec = self.manifest["arrays"][name]
        start, end = self._offsets[name]
        raw = self._bytes[self._data_start + start : self._data_start + end]
        array: Array = np.asarray(raw).view(_DTYPES[spec["dtype"]]).reshape(spec["shape"])
        return array


def _sha256(array: Array) -> str:
    return hashlib.sha256(array.data).hexdigest()


def digest(value: Any) -> str:
    """The sha256 of plain JSON values; the same for equal values, whatever the order of their keys."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _little_endian(name: str, array: Array) -> Array:
    array = np.ascontiguousarray(array)
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _CODES:
        raise ValueError(f"array {name!r} has type {array.dtype}; use one of {', '.join(_DTYPES)}")
    return array.astype(dtype, copy=False)


def _order(specs: Mapping[str, Any]) -> list[str]:
    """Widest type first, so that every array starts at a multiple of its width."""
    return sorted(specs, key=lambda name: (-_DTYPES[specs[name]["dtype"]].itemsize, name))


def _offsets(specs: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    offsets, start = {}, 0
    for name in _order(specs):
        end = start + math.prod(specs[name]["shape"]) * _DTYPES[specs[name]["dtype"]].itemsize
        offsets[name], start = (start, end), end
    return offsets


def _header(manifest: Manifest, checksum_key: str = "checksum") -> bytes:
    specs = manifest["arrays"]
    tensors = {
        name: {"dtype": specs[name]["dtype"], "shape": specs[name]["shape"], "data_offsets": list(place)}
        for name, place in _offsets(specs).items()
    }
    metadata = {"format": FORMAT, checksum_key: digest(manifest), "manifest": _canonical(manifest)}
    text = json.dumps({"__metadata__": metadata} | tensors, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _read_header(path: Path, file: IO[bytes]) -> tuple[Manifest, int]:
    prefix = file.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or length > min(_MAX_HEADER, os.fstat(file.fileno()).st_size):
        raise DamagedTable(f"{path}: not a table (empty, cut short or another kind of file)")
    text = file.read(length)
    try:
        metadata = json.loads(text)["__metadata__"]
        manifest = json.loads(metadata["manifest"])
        _check_specs(manifest["arrays"])
        # What is the checksum was called "id" before a table's id became that of its numbers alone.
        expected = _header(manifest, "id" if "id" in metadata else "checksum")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedTable(f"{path}: not a table (its header cannot be read)") from error
    if prefix + text != expected:
        raise DamagedTable(f"{path}: the header was changed after writing; get a fresh copy")
    return manifest, len(expected)


def _check_specs(specs: Mapping[str, Any]) -> None:
    for name, spec in specs.items():
        sizes = spec["shape"]
        if not (isinstance(sizes, list) and all(type(size) is int and 0 <= size < 2**40 for size in sizes)):
            raise ValueError(f"array {name!r} has no shape")
        if spec["dtype"] not in _DTYPES or not isinstance(spec["sha256"], str):
            raise ValueError(f"array {name!r} has no type or no sha256")
