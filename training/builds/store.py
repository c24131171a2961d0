"""Where a build's files live: a folder of this machine, or a place in an object store.

Addresses such as ``s3://bucket/digits`` or ``gs://bucket/digits`` (with the package that fsspec asks
for, such as s3fs) let many machines build into one place. A file appears there in one step, as on a
disk: it is written here first and then put there whole. Of all that fsspec reaches only object stores
are taken, because only they promise that; and no chains ("simplecache::..."), of which some run things.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from nb201env.arrays import Array
from nb201env.container import Container, DamagedTable, write
from nb201env.extras import require
from nb201env.files import appearing, open_regular, read_limited

OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci")
_PROTOCOLS = (*OBJECT_STORES, "memory")
_LONGEST_TEXT = 4_000_000
_LARGEST_CONTAINER = 1_000_000_000
_DEAD_SECONDS = 3600  # no file takes as long to write


class Store:
    """Files by name below one address.

    Args:
        address: A folder's path, or a URL of one of `OBJECT_STORES`; "memory://..." is fsspec's own memory,
            for tests.

    Raises:
        ValueError: If it is none of these, or nothing installed knows how to reach it.
    """

    def __init__(self, address: str | os.PathLike[str]) -> None:
        self.address = _checked(os.fspath(address))
        if self.folder is None:
            _ = self._remote

    @property
    def folder(self) -> Path | None:
        """The folder, if it is one of this machine."""
        return None if "://" in self.address else Path(self.address)

    def name(self, file: str) -> str:
        """A file's full name, for messages."""
        return f"{self.address}/{file}"

    def has(self, file: str) -> bool:
        """Whether there is such a file, or something else in its place that is no folder."""
        if self.folder is not None:
            return os.path.lexists(self.folder / file) and not (self.folder / file).is_dir()
        with self._reached():
            return bool(self._remote.isfile(self._at(file)))

    def read_text(self, file: str) -> str:
        """A text file's content.

        Raises:
            FileNotFoundError: If there is none.
            OSError: If it cannot be read.
            ValueError: If it is no text, or longer than any of ours.
        """
        with self._here(file, _LONGEST_TEXT) as path:
            return read_limited(path, _LONGEST_TEXT).decode("utf-8")

    def write_text(self, file: str, text: str) -> None:
        """Write a text file in one step."""
        with self._appearing(file) as path:
            path.write_text(text, encoding="utf-8")

    def write_new_text(self, file: str, text: str) -> None:
        """Write a text file unless it is there; of several commands on one machine one is the first."""
        if self.folder is None:
            if not self.has(file):
                self.write_text(file, text)
            return
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.partial")
        try:
            new.write_text(text, encoding="utf-8")
            _appear_first(new, path)
        finally:
            new.unlink(missing_ok=True)

    def read(self, file: str) -> Container:
        """A container.

        Raises:
            FileNotFoundError: If there is none.
            OSError: If it cannot be read, or is a folder, a pipe or a device.
            DamagedTable: If it is damaged.
        """
        with self._here(file, _LARGEST_CONTAINER) as path:
            open_regular(path).close()
            try:
                return Container(path)  # its memory map outlives a temporary file
            except DamagedTable as error:
                raise DamagedTable(str(error).replace(str(path), self.name(file))) from None

    def write(self, file: str, manifest: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Write a container in one step; raises OSError if that fails, and leaves nothing behind."""
        with self._appearing(file) as path:
            write(path, manifest, arrays)

    def sweep(self, below: str) -> None:
        """Remove what commands that were killed while they wrote left in a folder of this machine."""
        if self.folder is None:
            return
        for partial in (self.folder / below).glob(".*.partial"):
            with contextlib.suppress(OSError):  # another command removes it
                if time.time() - partial.stat().st_mtime > _DEAD_SECONDS:
                    partial.unlink()

    @contextmanager
    def _here(self, file: str, most: int) -> Iterator[Path]:
        if self.folder is not None:
            yield self.folder / file
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(file).name
            with self._reached():
                size = self._remote.info(self._at(file)).get("size")
                if size is not None and size > most:
                    raise ValueError(f"{self.name(file)}: {size:,} bytes, which nothing of its kind has")
                self._remote.get_file(self._at(file), str(path))
            yield path

    @contextmanager
    def _appearing(self, file: str) -> Iterator[Path]:
        if self.folder is not None:
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            with appearing(path) as new:
                yield new
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(file).name
            yield path
            with self._reached():
                self._remote.makedirs(self._at(file).rpartition("/")[0], exist_ok=True)
                self._remote.put_file(str(path), self._at(file))

    def _at(self, file: str) -> str:
        return f"{self._remote._strip_protocol(self.address)}/{file}"

    @cached_property
    def _remote(self) -> Any:
        fsspec = require("fsspec", "train")
        try:
            return fsspec.core.url_to_fs(self.address)[0]
        except Exception as error:  # every store has kinds of its own, for want of a package or a password
            raise ValueError(f"cannot reach {self.address} ({error})") from error

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):
            raise
        except Exception as error:  # as above
            raise OSError(f"{self.address}: {type(error).__name__}: {error}") from error


def _appear_first(new: Path, path: Path) -> None:
    try:
        os.link(new, path)  # unlike a renaming it replaces nothing
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        os.replace(new, path)


def _checked(address: str) -> str:
    """An address without its last slashes."""
    protocol, mark, rest = address.partition("://")
    if not mark:
        if address.partition(":")[0] in (*_PROTOCOLS, "file") or "::" in address:
            raise ValueError(
                f"cannot reach {address} (addresses look like s3://bucket/folder, paths like ./x)"
            )
        if not address.strip("/"):
            raise ValueError(f"{address!r} is no folder for a build; name one of its own")
        return address.rstrip("/")
    if protocol == "file" and rest.startswith("/"):
        return _checked(rest)
    if protocol not in _PROTOCOLS or "::" in address or not rest.strip("/"):
        raise ValueError(
            f"cannot reach {address} (a build lives in a folder or in an object store: "
            f"{', '.join(f'{name}://BUCKET/FOLDER' for name in OBJECT_STORES[:3])}, ...)"
        )
    return address.rstrip("/")
