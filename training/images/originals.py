"""Reading the data sets' original files without running anything that is in them.

The originals are Python pickles. A pickle can call any function, so they are read by the interpreter
that reads the official tables (`nb201env.sources.pickles.unpickle`), which calls nothing. An .npz with
the same arrays does as well.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nb201env import official
from nb201env.arrays import Array
from nb201env.files import alone, read_limited
from nb201env.sources.errors import SourceError
from nb201env.sources.pickles.types import IMAGES, PickledArray
from nb201env.sources.pickles.unpickle import loads
from nb201env.training.images.fetch import DamagedData, fetch
from nb201env.training.images.npz import Head, read_npz

Arrays = dict[str, npt.NDArray[np.uint8]]
"""x_train and x_test, uint8 [n, side, side, 3]; y_train and y_test, uint8 [n]."""

IMAGENET_CLASSES = 120
COUNTS: dict[str, tuple[int, int]] = {
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
    "ImageNet16-120": (151_700, 6_000),
}
"""How many training and test images a data set has."""
_LARGEST_SIDE = 32
_LARGEST_FILE = 200_000_000  # CIFAR-100's training images are 155 MB
_LARGEST_CONTENT = 1_000_000_000


class Download(NamedTuple):
    """An archive that can be fetched.

    Attributes:
        url: Its address.
        md5: As published with it.
        folder: What it is unpacked as.
        bytes: Its size; no more is taken.
    """

    url: str
    md5: str
    folder: str
    bytes: int


DOWNLOADS: dict[str, Download] = {
    "cifar10": Download(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
        "cifar-10-batches-py",
        170_498_071,
    ),
    "cifar100": Download(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
        "cifar-100-python",
        169_001_437,
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


def read_original(path: Path, most: int = _LARGEST_FILE) -> bytes:
    """An original file's content, held to its published md5 if there is one.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it cannot be read, or is a pipe or a device.
        DamagedData: If it is not the original one, or has more than `most` bytes.
    """
    try:
        content = read_limited(path, most)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is missing; give --data the folder of the data set's original files"
        ) from error
    except ValueError as error:
        raise DamagedData(f"{error}; get a fresh copy") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != MD5.get(path.name, found):
        raise DamagedData(f"{path}: md5 {found} instead of {MD5[path.name]}; get a fresh copy")
    return content


def read_cifar10(source: Path) -> Arrays:
    """CIFAR-10 from its six original files, or an .npz."""
    if _is_npz(source):
        return read_images(source, "cifar10")
    folder = _inside(source, DOWNLOADS["cifar10"].folder)
    train = [folder / f"data_batch_{i}" for i in range(1, 6)]
    return _read_originals("cifar10", train, folder / "test_batch", "labels")


def read_cifar100(source: Path) -> Arrays:
    """CIFAR-100 (its 100 fine labels) from its two original files, or an .npz."""
    if _is_npz(source):
        return read_images(source, "cifar100")
    folder = _inside(source, DOWNLOADS["cifar100"].folder)
    return _read_originals("cifar100", [folder / "train"], folder / "test", "fine_labels")


def read_imagenet16(source: Path) -> Arrays:
    """ImageNet16-120: the first 120 classes of 16x16 ImageNet, from its 11 files, or an .npz."""
    if _is_npz(source):
        return read_images(source, "ImageNet16-120")
    train = [source / f"train_data_batch_{i}" for i in range(1, 11)]
    return _read_originals("ImageNet16-120", train, source / "val_data", "labels")


def _is_npz(source: Path) -> bool:
    if source.suffix != ".npz" and source.exists() and not source.is_dir():
        raise DamagedData(f"{source} is neither a folder nor an .npz; give --data one of them")
    return source.suffix == ".npz"


def read_images(path: Path, dataset: str) -> Arrays:
    """A data set from an .npz; no pickles inside.

    An .npz that has fewer images than the data set, for a trial in miniature, must say so by an entry
    ``part``; the tables made of it say so, too.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it cannot be read, or is a pipe or a device.
        DamagedData: If it does not hold the four arrays of this data set.
    """

    def judge(heads: Mapping[str, Head]) -> None:
        for part, most in zip(("train", "test"), COUNTS[dataset], strict=True):
            x, y = heads[f"x_{part}"], heads[f"y_{part}"]
            _check_look(path, part, x.shape, x.dtype, y.shape, y.dtype)
            _check_count(path, dataset, part, x.shape[0], most, is_part="part" in heads)

    arrays = read_npz(path, _NAMES, judge, optional=("part",))
    return _with_labels(path, dataset, {name: arrays[name] for name in _NAMES})


def download(dataset: str, folder: Path) -> Path:
    """Fetch and unpack a data set's original archive, unless it is there already.

    Args:
        dataset: "cifar10" or "cifar100". (ImageNet's address wants an account.)
        folder: Where to put it.

    Returns:
        The folder of the original files.

    Raises:
        ValueError: If this data set cannot be fetched.
        OSError: If the address does not answer as it should, or another command fetches this, too.
        DamagedData: If what came is not the archive; nothing is unpacked then.
    """
    if dataset not in DOWNLOADS:
        raise ValueError(f"{dataset} cannot be downloaded here; known: {', '.join(DOWNLOADS)}")
    what = DOWNLOADS[dataset]
    target, new = folder / what.folder, not folder.exists()
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{what.folder}.partial"
    try:
        with alone(folder / f".{what.folder}.lock", f"downloading {dataset} into {folder}"):
            shutil.rmtree(aside, ignore_errors=True)  # what a killed one has left
            aside.mkdir()
            try:
                fetch(what.url, aside / "archive", what.md5, what.bytes)
                _unpack(aside / "archive", aside, what)
                (aside / what.folder).rename(target)  # it appears when it is complete
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    finally:
        if new:
            with suppress(OSError):  # there is something in it, as there should be
                folder.rmdir()
    return target


def _unpack(archive: Path, folder: Path, what: Download) -> None:
    try:
        with tarfile.open(archive) as members:
            size = 0
            for member in members:
                size += member.size
                if size > _LARGEST_CONTENT:
                    raise tarfile.TarError(f"more than {_LARGEST_CONTENT:,} bytes inside")
                members.extract(member, folder, filter="data")
        if not (folder / what.folder).is_dir():
            raise tarfile.TarError(f"no folder {what.folder} inside")
    except (tarfile.TarError, EOFError, ValueError, RecursionError, zlib.error) as error:
        raise DamagedData(f"{what.url}: an archive that cannot be unpacked ({error}); try again") from error


def _inside(source: Path, name: str) -> Path:
    return source / name if (source / name).is_dir() else source


def _read_originals(dataset: str, train: list[Path], test: Path, labels: str) -> Arrays:
    """Arrays from original files: a dictionary each, with one image per row of its entry "data"."""
    arrays = {}
    for (part, most), files in zip(
        zip(("train", "test"), COUNTS[dataset], strict=True), (train, [test]), strict=True
    ):
        read = [_rows(file, dataset, labels) for file in files]
        x, y = (np.concatenate(column) for column in zip(*read, strict=True))
        _check_look(files[0].parent, part, x.shape, x.dtype, y.shape, y.dtype)
        _check_count(files[0].parent, dataset, part, len(x), most)
        arrays[f"x_{part}"], arrays[f"y_{part}"] = x, y
    return _with_labels(test.parent, dataset, arrays)


def _rows(file: Path, dataset: str, labels: str) -> tuple[Array, Array]:
    """The images [n, side, side, 3] and the labels of one original file."""
    content, side = read_pickle(file), official.DATASETS[dataset].image_size
    try:
        x, y = np.asarray(content["data"]), np.asarray(content[labels])
        if dataset == "ImageNet16-120":
            chosen = y <= IMAGENET_CLASSES  # the files count classes from 1
            x, y = x[chosen], y[chosen] - 1
        # The planes of an image lie one after the other.
        return x.reshape(-1, 3, side, side).transpose(0, 2, 3, 1), y
    except (LookupError, TypeError, ValueError) as error:
        raise DamagedData(f"{file}: it does not hold images ({error}); get a fresh copy") from error


# -- what may be in the arrays ---------------------------------------------------------------

_NAMES = ("x_train", "y_train", "x_test", "y_test")


def _check_look(
    path: Path, part: str, x: tuple[int, ...], x_type: Any, y: tuple[int, ...], y_type: Any
) -> None:
    """Shapes and types of images and labels."""
    right_x = len(x) == 4 and 0 < x[1] == x[2] <= _LARGEST_SIDE and x[3] == 3 and x_type == np.uint8
    if not (right_x and y == x[:1] and y_type.kind in "iu"):
        raise DamagedData(
            f"{path}: x_{part} must be uint8 [n, side, side, 3], of at most {_LARGEST_SIDE} pixels, and "
            f"y_{part} whole numbers [n]; got {x_type} {x} and {y_type} {y}; get a fresh copy"
        )


def _check_count(
    path: Path, dataset: str, part: str, count: int, most: int, *, is_part: bool = False
) -> None:
    if count == most or (is_part and 0 < count < most):
        return
    raise DamagedData(
        f"{path}: {count:,} {part} images; {dataset} has {most:,}; take all of them (an .npz of fewer "
        "says so by an entry 'part', see docs/building.md)"
    )


def _with_labels(path: Path, dataset: str, arrays: dict[str, Array]) -> Arrays:
    """The arrays with their labels as uint8, if every label is a class's number."""
    classes = official.DATASETS[dataset].classes
    for part in ("train", "test"):
        labels = arrays[f"y_{part}"]
        wrong = np.flatnonzero((labels < 0) | (labels >= classes))
        if len(wrong):
            raise DamagedData(
                f"{path}: y_{part}[{wrong[0]}] is {labels[wrong[0]]}; the labels of {dataset} are "
                f"0..{classes - 1}; get a fresh copy"
            )
    return {name: array.astype(np.uint8, copy=False) for name, array in arrays.items()}
