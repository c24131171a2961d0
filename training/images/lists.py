"""The official lists of which test images validate.

CIFAR-100's test images and ImageNet16-120's validation images are halved by lists that follow no
known recipe. The lists are Dong and Yang's files, ``configs/nas-benchmark/*-test-split.txt`` of
AutoDL-Projects: JSON, {"xvalid": ["int", ["1", "3", ...]], "xtest": [...]}. They are not part of
this package; they are read from beside the images and held to their md5.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nb201env.arrays import IntArray
from nb201env.training.images.originals import DOWNLOADS, MD5, DamagedData, fetch, read_original

ADDRESS = "https://raw.githubusercontent.com/D-X-Y/AutoDL-Projects/main/configs/nas-benchmark"
LISTS: dict[str, str] = {
    "cifar100": "cifar100-test-split.txt",
    "ImageNet16-120": "imagenet-16-120-test-split.txt",
}
"""The list's file name, by data set."""


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
    content = read_original(path)
    try:
        lists = json.loads(content)
        valid, test = (np.sort(np.array(lists[key][1]).astype(np.int64)) for key in ("xvalid", "xtest"))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DamagedData(f"{path}: not a list of images ({error}); get a fresh copy") from error
    if not np.array_equal(np.sort(np.concatenate([valid, test])), np.arange(images)):
        raise DamagedData(f"{path}: does not split {images} test images in two; use it with all of {dataset}")
    return valid, test


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
        OSError: If the address does not answer.
        DamagedData: If what came is not the list; nothing is written then.
    """
    name = LISTS[dataset]
    if not (folder / name).is_file():
        (folder / name).write_bytes(fetch(f"{ADDRESS}/{name}", MD5[name], folder))
