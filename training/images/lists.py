"""The official lists of which test images validate.

CIFAR-100's test images and ImageNet16-120's validation images are halved by lists that follow no
known recipe. The lists are Dong and Yang's files, ``configs/nas-benchmark/*-test-split.txt`` of
AutoDL-Projects: JSON, {"xvalid": ["int", ["1", "3", ...]], "xtest": [...]}. They are not part of
this package; they are read from beside the images and held to their md5.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nb201env.arrays import IntArray
from nb201env.fields import Fields
from nb201env.training.images.fetch import DamagedData, fetch
from nb201env.training.images.originals import DOWNLOADS, MD5, read_original

ADDRESS = "https://raw.githubusercontent.com/D-X-Y/AutoDL-Projects/main/configs/nas-benchmark"
LISTS: dict[str, str] = {
    "cifar100": "cifar100-test-split.txt",
    "ImageNet16-120": "imagenet-16-120-test-split.txt",
}
"""The list's file name, by data set."""
_LARGEST = 1_000_000


def read_list(dataset: str, source: Path, images: int) -> tuple[IntArray, IntArray]:
    """The official halves of a data set's test images.

    Args:
        dataset: A key of `LISTS`.
        source: Folder of the original files, or an .npz; the list is looked for in the folder or beside
            the .npz.
        images: How many test images there are.

    Returns:
        Sorted row numbers of what validates and of what tests, int64 each.

    Raises:
        FileNotFoundError: If the list is not there; the message says how to get it.
        DamagedData: If it is not the official one, or does not halve these images.
    """
    path = _find(dataset, source if source.is_dir() else source.parent)
    content = read_original(path, _LARGEST)
    try:
        fields = Fields.parse(content, "it")
        valid, test = (_rows(fields, key, images) for key in ("xvalid", "xtest"))
    except ValueError as error:
        raise DamagedData(f"{path}: not a list of images ({error}); get a fresh copy") from error
    if not np.array_equal(np.sort(np.concatenate([valid, test])), np.arange(images)):
        raise DamagedData(f"{path}: does not split {images} test images in two; use it with all of {dataset}")
    return valid, test


def _rows(fields: Fields, key: str, images: int) -> IntArray:
    """The rising row numbers of an entry ["int", ["1", "3", ...]]."""
    rows = fields.value.get(key)
    if not (isinstance(rows, list) and len(rows) == 2 and isinstance(rows[1], list)):
        raise fields.refuse(key, 'should be ["int", [...]]')
    if not all(
        isinstance(row, str) and row.isascii() and row.isdecimal() and len(row) < 8 for row in rows[1]
    ):
        raise fields.refuse(key, f"should hold the numbers of {images} images as texts")
    return np.sort(np.array([int(row) for row in rows[1]], dtype=np.int64))


def _find(dataset: str, folder: Path) -> Path:
    name = LISTS[dataset]
    unpacked = folder / DOWNLOADS[dataset].folder if dataset in DOWNLOADS else folder
    for path in (folder / name, unpacked / name):
        if path.is_file():
            return path
    by_itself = " (--download does)" if dataset in DOWNLOADS else ""
    raise FileNotFoundError(
        f"{folder / name} is missing: the official list of the images that validate; get it from "
        f"{ADDRESS}/{name}{by_itself}, or take the task {dataset}-own-halves, with halves of our own"
    )


def download_list(dataset: str, folder: Path) -> None:
    """Fetch a data set's list into `folder`, unless it is there.

    Raises:
        OSError: If the address does not answer as it should.
        DamagedData: If what came is not the list; nothing is written then.
    """
    name = LISTS[dataset]
    if not (folder / name).is_file():
        fetch(f"{ADDRESS}/{name}", folder / name, MD5[name], _LARGEST)
