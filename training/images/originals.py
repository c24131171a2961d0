"""Reading the data sets' original files without running anything that is in them.

The originals are Python pickles. A pickle can call any function, so they are read by the interpreter
that reads the official tables (`nb201env.sources.pickles.unpickle`), which calls nothing. An .npz with
the same arrays does as well.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
import urllib.request
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nb201env.arrays import Array
from nb201env.sources.errors import SourceError
from nb201env.sources.pickles.types import IMAGES, PickledArray
from nb201env.sources.pickles.unpickle import loads

Arrays = dict[str, npt.NDArray[np.uint8]]
"""x_train and x_test, uint8 [n, side, side, 3]; y_train and y_test, uint8 [n]."""

IMAGENET_CLASSES = 120


class DamagedData(ValueError):
    """A data file that is not what it should be; the message says which and what to do."""


class Download(NamedTuple):
    """An archive that can be fetched: address, md5 as published with it, and its folder inside."""

    url: str
    md5: str
    folder: str


DOWNLOADS: dict[str, Download] = {
    "cifar10": Download(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
        "cifar-10-batches-py",
    ),
    "cifar100": Download(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
        "cifar-100-python",
    ),
}


MD5: dict[str, str] = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
    "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
    "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
    "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
    "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
    "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
    "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
    "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
    "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
    "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
    "val_data": "3410e3017fdaefba8d5073aaa65e4bd6",
    "cifar100-test-split.txt": "16f51963f0ccd95cb6c08c33ca4c1665",
    "imagenet-16-120-test-split.txt": "670c7749b090d2e937e20d10e811be22",
}
"""Of the original files of CIFAR-10, CIFAR-100 and 16x16 ImageNet, as published for their loaders,
and of the official lists (`nb201env.training.images.lists`)."""


def read_pickle(path: Path) -> dict[str, Any]:
    """A dictionary from an original file: a pickle of plain values and numpy arrays.

    Byte keys become text.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedData: If it is not such a pickle, or not the original one.
    """
    content = read_original(path)
    try:
        value = loads(content, file=path.name, allowed=IMAGES)
        if type(value) is not dict:
            raise SourceError(path.name, "content", "expected a dictionary")
        return {_text(key): _content(held) for key, held in value.items()}
    except (SourceError, UnicodeDecodeError) as error:
        raise DamagedData(f"{path}: not a readable image file ({error}); get a fresh copy") from error


def _text(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)


def _content(held: Any) -> Any:
    return held.value if type(held) is PickledArray else held


def read_original(path: Path) -> bytes:
    """An original file's content, held to its published md5 if there is one.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedData: If it is not the original one.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is missing; give --data the folder of the data set's original files"
        ) from error
    found = _md5(content)
    if found != MD5.get(path.name, found):
        raise DamagedData(f"{path}: md5 {found} instead of {MD5[path.name]}; get a fresh copy")
    return content


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def read_cifar10(source: Path) -> Arrays:
    """CIFAR-10 from its six original files, or an .npz."""
    if source.suffix == ".npz":
        return read_npz(source)
    folder = _inside(source, DOWNLOADS["cifar10"].folder)
    train = [read_pickle(folder / f"data_batch_{i}") for i in range(1, 6)]
    return _arrays(folder, train, read_pickle(folder / "test_batch"), "labels", 32)


def read_cifar100(source: Path) -> Arrays:
    """CIFAR-100 (its 100 fine labels) from its two original files, or an .npz."""
    if source.suffix == ".npz":
        return read_npz(source)
    folder = _inside(source, DOWNLOADS["cifar100"].folder)
    return _arrays(folder, [read_pickle(folder / "train")], read_pickle(folder / "test"), "fine_labels", 32)


def read_imagenet16(source: Path) -> Arrays:
    """ImageNet16-120: the first 120 classes of 16x16 ImageNet, from its 11 files, or an .npz."""
    if source.suffix == ".npz":
        return read_npz(source)
    train = [_first_classes(read_pickle(source / f"train_data_batch_{i}")) for i in range(1, 11)]
    return _arrays(source, train, _first_classes(read_pickle(source / "val_data")), "labels", 16)


def read_npz(path: Path) -> Arrays:
    """Arrays from an .npz; no pickles inside.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedData: If it does not hold the four arrays.
    """
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in names}
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing; give --data an existing .npz") from error
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedData(
            f"{path}: not an .npz with {', '.join(names)} ({error}); get a fresh copy"
        ) from error
    return _checked(path, arrays)


def download(dataset: str, folder: Path, url: str | None = None) -> Path:
    """Fetch and unpack a data set's original archive, unless it is there already.

    Args:
        dataset: "cifar10" or "cifar100". (ImageNet's address wants an account.)
        folder: Where to put it.
        url: Another address of the same archive.

    Returns:
        The folder of the original files.

    Raises:
        ValueError: If this data set cannot be fetched.
        OSError: If the address does not answer.
        DamagedData: If what came is not the archive; nothing is unpacked then.
    """
    if dataset not in DOWNLOADS:
        raise ValueError(f"{dataset} cannot be downloaded here; known: {', '.join(DOWNLOADS)}")
    what = DOWNLOADS[dataset]
    target = folder / what.folder
    if target.is_dir():
        return target
    content = fetch(url or what.url, what.md5, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as aside:  # the folder appears when it is complete
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(aside, filter="data")
        Path(aside, what.folder).rename(target)
    return target


def fetch(address: str, md5: str, folder: Path) -> bytes:
    """What an address serves, if it is the file with this md5; `folder` is named in the message if not.

    Raises:
        OSError: If the address does not answer.
        DamagedData: If something else came.
    """
    try:
        with urllib.request.urlopen(address, timeout=60) as response:
            content: bytes = response.read()
    except OSError as error:
        raise OSError(f"{address} cannot be reached ({error}); put its file into {folder} by hand") from error
    if _md5(content) != md5:
        raise DamagedData(f"{address}: md5 {_md5(content)} instead of {md5}; nothing was written, try again")
    return content


def _inside(source: Path, name: str) -> Path:
    return source / name if (source / name).is_dir() else source


def _first_classes(batch: dict[str, Any]) -> dict[str, Any]:
    labels = np.asarray(batch["labels"])
    chosen = labels <= IMAGENET_CLASSES  # the files count classes from 1
    return {"data": np.asarray(batch["data"])[chosen], "labels": labels[chosen] - 1}


def _arrays(path: Path, train: list[dict[str, Any]], test: dict[str, Any], labels: str, side: int) -> Arrays:
    arrays = {}
    for part, files in (("train", train), ("test", [test])):
        try:
            pixels = np.concatenate([np.asarray(file["data"]) for file in files])
            arrays[f"y_{part}"] = np.concatenate([np.asarray(file[labels]) for file in files])
            # Originals hold one image per row, its planes one after the other.
            arrays[f"x_{part}"] = pixels.reshape(-1, 3, side, side).transpose(0, 2, 3, 1)
        except (KeyError, ValueError) as error:
            raise DamagedData(
                f"{path}: the {part} files do not hold images ({error}); get a fresh copy"
            ) from error
    return _checked(path, arrays)


def _checked(path: Path, arrays: dict[str, Array]) -> Arrays:
    for part in ("train", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1] != x.shape[2] or len(x) != y.size or y.ndim != 1:
            raise DamagedData(
                f"{path}: x_{part} must be uint8 [n, side, side, channels] and y_{part} [n]; "
                f"got {x.dtype} {x.shape} and {y.shape}; get a fresh copy"
            )
    return {name: array.astype(np.uint8, copy=False) for name, array in arrays.items()}
