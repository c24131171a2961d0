"""Back here: verifies what a lease brought home and adds it to the repository's ``builds/``."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.gpu_lease.lease import REPORTS, copy_once, covered
from nb201env.container import DamagedTable
from nb201env.training.builds.plan import Folder
from nb201env.training.builds.shards import ForeignShard, Unit
from nb201env.training.data import SPLITS

_PIECE = re.compile(r"\.\d+$")


def collect(files: Sequence[Path], builds: Path, cache: Path | None = None) -> list[str]:
    """Add archives' shards to the builds that they belong to, and their records to ``builds/reports``.

    Nothing is added of an archive in which anything is wrong.

    Args:
        files: Archives; of one that was cut, all pieces.
        builds: The repository's folder of unfinished builds.
        cache: Where to put the lease's Triton cache; it takes the place of one that is there.

    Returns:
        A line for each build on what is covered.

    Raises:
        ValueError: If an archive or shard is damaged or belongs to another build.
        OSError: If a file cannot be read or written.
    """
    touched = set[str]()
    for content in _archives(files):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            _extract(content, folder)
            plans = sorted(folder.glob("builds/*/plan.json"))
            new = [found for plan in plans for found in _verified(plan, builds)]
            for source, target in new:
                copy_once(source, target)
                touched.add(target.relative_to(builds).parts[0])
            _keep_records(folder, builds)
            if cache and (folder / "triton").is_dir():
                shutil.rmtree(cache, ignore_errors=True)
                shutil.copytree(folder / "triton", cache)
    return [covered(builds / name) for name in sorted(touched)]


def _archives(files: Sequence[Path]) -> Iterator[bytes]:
    """The archives' contents; pieces are put together by their numbers."""
    whole: dict[Path, list[Path]] = {}
    for file in files:
        whole.setdefault(file.with_name(_PIECE.sub("", file.name)), []).append(file)
    for pieces in whole.values():
        yield b"".join(piece.read_bytes() for piece in sorted(pieces, key=_number))


def _number(piece: Path) -> int:
    return int(piece.suffix[1:]) if _PIECE.search(piece.name) else 0


def _extract(content: bytes, folder: Path) -> None:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(
            f"the archive cannot be read ({error}); if it came in pieces, give all of them"
        ) from error


def _verified(plan_file: Path, builds: Path) -> Iterator[tuple[Path, Path]]:
    """The files of a build that are not in the repository yet, with where they go."""
    folder, target = Folder.open(plan_file.parent), builds / plan_file.parent.name
    if (target / "plan.json").is_file() and Folder.open(target).plan.digest != folder.plan.digest:
        raise ForeignShard(
            f"{target} holds another build than the archive's {target.name}; move one of them out of the way"
        )
    units = {unit.file: unit for unit in folder.plan.units}
    yield plan_file, target / "plan.json"
    for shard in sorted(plan_file.parent.glob("shards/*")):
        name = f"shards/{shard.name}"
        if name not in units:
            raise ForeignShard(f"{target.name}/{name}: the build has no such shard; it was not added")
        check_shard(folder, units[name])
        yield shard, target / name
    yield from ((report, target / report.name) for report in plan_file.parent.glob("report.md"))


def check_shard(folder: Folder, unit: Unit) -> None:
    """Hold a shard to its hashes, its plan, and to what such arrays can hold.

    Raises:
        ValueError: If it is damaged, of another build, or holds what no training gives.
    """
    arrays, _ = folder.read(unit)
    for split in SPLITS:
        if (arrays[f"{split}_correct"] > 60_000).any():
            raise DamagedTable(f"{unit.file}: {split}_correct counts more images than there are")


def _keep_records(folder: Path, builds: Path) -> None:
    """Summary, verdicts and rows, in a folder named by when and on what."""
    about = json.loads((folder / "machine.json").read_text())
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{about['started']}-{about['device']}").strip("-")
    target = builds / REPORTS / name
    target.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.is_file():  # a later call's records hold the earlier ones
            shutil.copyfile(file, target / file.name)
