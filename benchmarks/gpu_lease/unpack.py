"""On the GPU's machine: takes in the parts that a call brought, and makes files of them.

    python -m benchmarks.gpu_lease.unpack --work WORK --side 32

writes ``cifar10-32px.npz`` into the work folder, in several processes, if all of it is there.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import lzma
import os
import shutil
import sys
import tarfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_lease import codec
from nb201env.arrays import Array
from nb201env.files import appearing
from nb201env.processes import end_if_orphaned
from nb201env.training.images.originals import COUNTS
from nb201env.workers import in_order, local

MANIFEST = "manifest.json"
SIDES = (4, 8, 16, 32)


class Parts:
    """What has come of the packed files, see `benchmarks.gpu_lease.pack`.

    Args:
        folder: Where the pieces lie, of all parts together.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def receive(self, source: Path) -> int:
        """Take in the parts of a call; returns how many new pieces there were.

        Parts of another packing than those that are there take their place.
        """
        new = 0
        for part in sorted(source.glob("part-*")):
            if not (part / MANIFEST).is_file():
                continue
            self._make_room_for((part / MANIFEST).read_bytes())
            for file in part.iterdir():
                if not (self.folder / file.name).exists():
                    with appearing(self.folder / file.name) as copy:
                        shutil.copyfile(file, copy)
                    new += 1
        return new

    def _make_room_for(self, manifest: bytes) -> None:
        there = self.folder / MANIFEST
        if there.is_file() and there.read_bytes() == manifest:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        there.write_bytes(manifest)
        self.__dict__.pop("manifest", None)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Files and sha256 sums; without files if nothing has come."""
        path = self.folder / MANIFEST
        found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"files": {}}
        return found

    def has(self, name: str) -> bool:
        """Whether all pieces of a file are there."""
        about = self.manifest["files"].get(name)
        return about is not None and all(piece.is_file() for piece in self._pieces(name, about))

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            ValueError: If it is damaged.
            OSError: If it is not there.
        """
        about = self.manifest["files"][name]
        content = b"".join(piece.read_bytes() for piece in self._pieces(name, about))
        if hashlib.sha256(content).hexdigest() != about["sha256"]:
            raise ValueError(f"{self.folder / name} is damaged; carry its part again")
        return content

    def blocks(self, side: int) -> list[int]:
        """The numbers of the blocks of images, as packed for one side."""
        return sorted(int(name[5:]) for name in self.manifest["files"] if name.startswith(f"{side:02d}px-"))

    def has_images(self, side: int) -> bool:
        """Whether images of this side can be made."""
        names = [f"{s:02d}px-{n:02d}" for s in SIDES if s <= side for n in self.blocks(s)]
        return bool(names) and all(map(self.has, [*names, "labels.npz", "model.npz"]))

    def _pieces(self, name: str, about: dict[str, Any]) -> list[Path]:
        return [self.folder / f"{name}.{number}" for number in range(about["pieces"])]


def unpack_images(parts: Parts, side: int, out: Path) -> None:
    """Write an .npz of images that are exactly those packed.

    Raises:
        ValueError: If something is damaged.
        OSError: If something is missing, or the file cannot be written.
    """
    arguments = [(parts.folder, side, number) for number in parts.blocks(side)]
    images = np.concatenate(_blocks(arguments))
    with np.load(io.BytesIO(parts.read("labels.npz")), allow_pickle=False) as file:
        arrays = dict(file)
    arrays["x_train"], arrays["x_test"] = np.split(images, [len(arrays["y_train"])])
    for name, expected in parts.manifest["images"][str(side)].items():
        if digest(arrays[name]) != expected:
            raise ValueError(f"{name} of {side} pixels is not what was packed; pack the images again")
    if (len(arrays["y_train"]), len(arrays["y_test"])) != COUNTS["cifar10"]:
        arrays["part"] = np.array(True)
    with appearing(out) as new, open(new, "wb") as file:
        np.savez(file, **arrays)


def digest(array: Array) -> str:
    """sha256 of an array's numbers."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def unpack_file(parts: Parts, name: str, out: Path) -> bool:
    """Write a file that was packed with xz, unless it is there; returns whether it is."""
    if not out.exists() and parts.has(name):
        with appearing(out) as new:
            new.write_bytes(lzma.decompress(parts.read(name)))
    return out.exists()


def unpack_folder(parts: Parts, name: str, out: Path) -> bool:
    """Write a folder that was packed as .tar.xz, unless it is there; returns whether it is."""
    if not out.exists() and parts.has(name):
        with appearing(out) as new, tarfile.open(fileobj=io.BytesIO(parts.read(name))) as archive:
            archive.extractall(new, filter="data")
    return out.exists()


def _blocks(arguments: list[tuple[Path, int, int]]) -> list[codec.Images]:
    processes = min(len(arguments), len(os.sched_getaffinity(0)))
    return in_order(local(_block, arguments, processes))


def _block(arguments: tuple[Path, int, int]) -> codec.Images:
    folder, side, number = arguments
    parts = Parts(folder)
    model, images = codec.load(parts.read("model.npz")), None
    for each in SIDES:
        if each <= side:
            images = codec.decode(parts.read(f"{each:02d}px-{number:02d}"), model, images)
    assert images is not None
    return images


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_lease.unpack")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--side", type=int, choices=(16, 32), required=True)
    a = parser.parse_args(arguments)
    end_if_orphaned()
    try:
        unpack_images(Parts(a.work / "parts"), a.side, a.work / f"cifar10-{a.side}px.npz")
    except (ValueError, OSError) as error:
        print(f"images of {a.side} pixels: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
