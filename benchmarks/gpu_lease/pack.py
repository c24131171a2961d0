"""What travels to the GPU's machine, packed in parts that are small enough for one call each.

A call carries the repository and one part. The first part has all that builds of 16-pixel images
need, and kernels compiled ahead; together with the others it has the 32-pixel images as well.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import checkout
from benchmarks.checkout import ROOT
from benchmarks.gpu_lease import codec
from benchmarks.gpu_lease.unpack import MANIFEST, SIDES, digest
from benchmarks.studies.official12 import read_reference
from nb201env.training.images.originals import Arrays, read_cifar10
from nb201env.training.images.tasks import shrink
from nb201env.workers import local

CALL_BYTES = 64 << 20
"""What one call carries, the repository included."""
PART_BYTES = 61_000_000
LEAST_BYTES = 1_000_000
SPARE_BYTES = 250_000
"""Kept free for what is added to the repository before the lease."""
_MANIFEST_BYTES = 50_000  # at most, in each part
CHUNK = 2500  # images
_FITTED = 1500  # images that the predictors are fitted to


class Source(NamedTuple):
    """What is packed.

    Attributes:
        data: CIFAR-10, see `nb201env.training.images.originals.read_cifar10`.
        reference: CSV of official accuracies, see `benchmarks.studies.official12.read_reference`.
        kernels: A folder of kernels compiled ahead.
    """

    data: Path
    reference: Path | None = None
    kernels: Path | None = None


def pack(source: Source, out: Path, repository: int, say: Callable[[str], None] = print) -> list[int]:
    """Write the parts, ``part-1/`` and so on.

    Args:
        source: What is packed.
        out: Where; older parts there are removed.
        repository: Bytes of the repository's own files, which travel too.
        say: Called with a line of progress now and then.

    Returns:
        The bytes of each part.

    Raises:
        ValueError: If no room is left beside the repository, or a file is not what it should be.
        OSError: If a file cannot be read or written.
    """
    limit = min(PART_BYTES, CALL_BYTES - SPARE_BYTES - repository)
    if limit < LEAST_BYTES:
        raise ValueError(
            f"the repository's own files are {repository:,} of the {CALL_BYTES:,} bytes of a call: no room "
            "is left for images; take large files out of the checkout"
        )
    arrays = read_cifar10(source.data)
    contents = dict(_files(source, arrays, say))
    for old in out.glob("part-*"):
        shutil.rmtree(old)
    parts, files = _Parts(out, _even(contents, limit - _MANIFEST_BYTES)), {}
    for name, content in contents.items():
        files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "pieces": parts.add(name, content)}
    images = {
        str(side): {name: digest(array) for name, array in _of_side(arrays, side).items()}
        for side in (16, 32)
    }
    manifest = {"images": images, "files": files}
    return parts.close(json.dumps(manifest) + "\n")


def repository_bytes(root: Path = ROOT) -> int:
    """Bytes of all files of a checkout that are not ignored.

    Raises:
        ValueError: If it is not a Git checkout.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ValueError(f"{root} is not a Git checkout, whose files would travel too ({error})") from error
    files = {root / name for name in done.stdout.split("\0") if name}
    return sum(file.stat().st_size for file in files if file.is_file())


def compile_kernels(python: str, out: Path, say: Callable[[str], None] = print) -> Path:
    """Compile the kernels of all builds with another Python's Triton, for an H100 or H200.

    Raises:
        ValueError: If that fails; the message is the last line of what was said.
    """
    out.mkdir(parents=True, exist_ok=True)
    module = ["-m", "nb201env.training.gpu.precompile"]
    variants = out / "variants.json"
    for command in (
        [sys.executable, *module, "--list", str(variants)],
        [python, *module, "--from", str(variants), "--capability", "90", "--out", str(out / "cache")],
    ):
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, env=checkout.environment())  # fmt: skip
        lines = done.stdout.strip().splitlines() or ["no output"]
        if done.returncode:
            raise ValueError(f"{command[0]} does not compile the kernels: {lines[-1]}")
        say(f"kernels: {lines[-1]}")
    return out / "cache"


class _Parts:
    """Fills one part after the other; what does not fit into the rest of one goes on in the next."""

    def __init__(self, out: Path, limit: int) -> None:
        self.out, self.limit, self.sizes = out, limit, [0]

    def add(self, name: str, content: bytes) -> int:
        """Write a file's pieces; returns how many."""
        pieces = 0
        while content or not pieces:
            if self.sizes[-1] == self.limit:
                self.sizes.append(0)
            piece = content[: self.limit - self.sizes[-1]]
            folder = self.out / f"part-{len(self.sizes)}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.{pieces}").write_bytes(piece)
            self.sizes[-1] += len(piece)
            content, pieces = content[len(piece) :], pieces + 1
        return pieces

    def close(self, manifest: str) -> list[int]:
        assert len(manifest) < _MANIFEST_BYTES, len(manifest)
        for number in range(1, len(self.sizes) + 1):
            (self.out / f"part-{number}" / MANIFEST).write_text(manifest)
        return [size + len(manifest) for size in self.sizes]


def _even(contents: dict[str, bytes], limit: int) -> int:
    """Bytes of each of as few parts as do: alike, so that the repository has room to grow beside each.

    The first one holds at least all that the small images need, if it can.
    """
    total = sum(map(len, contents.values()))
    small = sum(len(content) for name, content in contents.items() if not name.startswith("32px"))
    return min(limit, max(small, -(-total // -(-total // limit))))


def _files(source: Source, arrays: Arrays, say: Callable[[str], None]) -> Iterator[tuple[str, bytes]]:
    """Names and contents, the most valuable first."""
    labels = io.BytesIO()
    np.savez_compressed(labels, **{name: arrays[name] for name in ("y_train", "y_test")})  # type: ignore[arg-type]
    yield "labels.npz", labels.getvalue()
    if source.reference:
        read_reference(source.reference)
        yield "reference.csv.xz", lzma.compress(source.reference.read_bytes())
    if source.kernels:
        yield "kernels.tar.xz", pack_folder(source.kernels)
    images = np.concatenate([arrays["x_train"], arrays["x_test"]])
    model = codec.fit(images[:_FITTED])
    say(f"predictors are fitted to {min(_FITTED, len(images)):,} images")
    yield "model.npz", codec.dump(model)
    chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    levels: dict[int, dict[int, bytes]] = {}
    count = len(os.sched_getaffinity(0)) if len(chunks) > 1 else 1
    for done in local(partial(_encode, model=model), chunks, count):
        levels[done.place] = done.result()
        if len(levels) % 8 == 0:
            say(f"{len(levels)} of {len(chunks)} blocks of images are packed")
    for side in SIDES:
        for number in range(len(chunks)):
            yield f"{side:02d}px-{number:02d}", levels[number][side]


def _encode(images: codec.Images, model: codec.Model) -> dict[int, bytes]:
    levels = {}
    while True:
        levels[images.shape[1]] = codec.encode(images, model)
        if images.shape[1] == codec.BASE:
            return levels
        images = shrink(images, images.shape[1] // 2)


def _of_side(arrays: Arrays, side: int) -> Arrays:
    small = {name: shrink(arrays[name], side) for name in ("x_train", "x_test")} if side < 32 else {}
    return arrays | small


def pack_folder(folder: Path) -> bytes:
    """A folder as the content of a .tar.xz."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w:xz") as archive:
        archive.add(folder, arcname=".")
    return found.getvalue()


def itinerary(out: Path, sizes: Sequence[int], repository: int) -> str:
    """Which part travels in which call, and what to run there."""
    lines = [
        f"part-{number}: {size:,} bytes, with the repository {size + repository:,} of {CALL_BYTES:,}"
        for number, size in enumerate(sizes, 1)
    ]
    last, whole = len(sizes), f"{_COMMAND} 430"
    commands = [
        f"{_COMMAND} 210 --stages check,rows,profile",
        *[f"{_COMMAND} 30 --stages check"] * (last - 2),
        whole,
    ]
    lines += ["", "first lease, calls right after one another on the same machine:"]
    lines += [f"  carry {out}/part-{n}: {commands[n - 1 if last > 1 else -1]}" for n in range(1, last + 1)]
    lines += ["later leases, once the first has been collected:", f"  carry {out}/part-1: {whole}"]
    return "\n".join(lines)


_COMMAND = "python3 -m benchmarks.gpu_lease all --out OUT --seconds"
