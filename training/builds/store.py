"""Where a build's files live: a folder of this machine, or whatever fsspec reaches.

Addresses such as ``s3://bucket/digits`` or ``gs://bucket/digits`` (with the package that fsspec asks
for, such as s3fs) let many machines build into one place. A file appears there in one step, as on a
disk: it is written here first and then put there whole.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from nb201env.arrays import Array
from nb201env.container import Container, DamagedTable, write
from nb201env.extras import require


class Store:
    """Files by name below one address.

    Args:
        address: A folder's path, or a URL that fsspec understands.

    Raises:
        ValueError: If nothing knows how to reach the address.
    """

    def __init__(self, address: str | os.PathLike[str]) -> None:
        self.address = os.fspath(address).rstrip("/")
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
        """Whether there is such a file."""
        if self.folder is not None:
            return (self.folder / file).is_file()
        return bool(self._remote.isfile(self._at(file)))

    def read_text(self, file: str) -> str:
        """A text file's content; raises FileNotFoundError if there is none."""
        with self._here(file) as path:
            return path.read_text()

    def write_text(self, file: str, text: str) -> None:
        """Write a text file in one step."""
        with self._appearing(file) as path:
            path.write_text(text)

    def read(self, file: str) -> Container:
        """A container.

        Raises:
            FileNotFoundError: If there is none.
            DamagedTable: If it is damaged.
        """
        with self._here(file) as path:
            try:
                return Container(path)  # its memory map outlives a temporary file
            except DamagedTable as error:
                raise DamagedTable(str(error).replace(str(path), self.name(file))) from None

    def write(self, file: str, manifest: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Write a container in one step; raises OSError if that fails, and leaves nothing behind."""
        if self.folder is not None:  # `write` makes the file appear in one step by itself
            (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
            write(self.folder / file, manifest, arrays)
            return
        with self._appearing(file) as path:
            write(path, manifest, arrays)

    @contextmanager
    def _here(self, file: str) -> Iterator[Path]:
        if self.folder is not None:
            yield self.folder / file
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(file).name
            self._remote.get_file(self._at(file), str(path))
            yield path

    @contextmanager
    def _appearing(self, file: str) -> Iterator[Path]:
        if self.folder is not None:
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
            try:
                yield partial
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(file).name
            yield path
            self._remote.makedirs(self._at(file).rpartition("/")[0], exist_ok=True)
            self._remote.put_file(str(path), self._at(file))

    def _at(self, file: str) -> str:
        return f"{self._remote._strip_protocol(self.address)}/{file}"

    @cached_property
    def _remote(self) -> Any:
        fsspec = require("fsspec", "train")
        try:
            return fsspec.core.url_to_fs(self.address)[0]
        except (ImportError, ValueError) as error:
            raise ValueError(f"cannot reach {self.address} ({error})") from error
