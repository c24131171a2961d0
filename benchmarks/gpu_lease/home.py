"""What a lease brings home: one archive with everything new, and a summary."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu_lease.lease import Lease
from benchmarks.gpu_lease.summary import summary
from nb201env.files import appearing

ARCHIVE = "lease.tar.gz"
PIECE_BYTES = 16 << 20
"""No file that is brought home may be larger."""
_CACHE_BYTES = 16 << 20
"""Of Triton's cache, unpacked; a larger one stays there."""
_RECORDS = ("machine.json", "stages.jsonl", "check.json", "build.jsonl", "gpu.csv")


def bring_home(lease: Lease) -> list[Path]:
    """Write archive and summary into the lease's output folder; returns the files.

    The archive is cut into pieces if it is larger than a file that comes back may be.
    """
    text, content = summary(lease), io.BytesIO()
    (lease.work / "summary.md").write_text(text)
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for file in _files(lease):
            archive.add(file, arcname=str(file.relative_to(lease.work)))
    for old in lease.out.glob(f"{ARCHIVE}*"):
        old.unlink()
    written = [lease.out / "summary.md"]
    written[0].write_text(text)
    whole = content.getvalue()
    pieces = [whole[start : start + PIECE_BYTES] for start in range(0, len(whole), PIECE_BYTES)]
    for number, piece in enumerate(pieces):
        name = ARCHIVE if len(pieces) == 1 else f"{ARCHIVE}.{number}"
        with appearing(lease.out / name) as new:
            new.write_bytes(piece)
        written.append(lease.out / name)
    return written


def _files(lease: Lease) -> Iterator[Path]:
    """What is new, the small and valuable first."""
    yield lease.work / "summary.md"
    yield from (file for name in _RECORDS if (file := lease.work / name).is_file())
    yield from sorted(lease.work.glob("rows-*.jsonl"))
    yield from sorted(lease.work.glob("profile-*.json"))
    for plan in sorted(lease.work.glob("builds/*/plan.json")):
        shards = [s for s in sorted(plan.parent.glob("shards/*.safetensors")) if _is_new(lease, s)]
        if shards:
            yield plan
            yield from shards
            yield from plan.parent.glob("report.md")
    cache = [f for f in sorted(lease.work.glob("triton/*/*")) if f.suffix in (".json", ".cubin", ".so")]
    if sum(file.stat().st_size for file in cache) <= _CACHE_BYTES:
        yield from cache


def _is_new(lease: Lease, shard: Path) -> bool:
    return not (lease.builds / shard.relative_to(lease.work / "builds")).is_file()
