"""The proxies of every canonical class, computed in any order and by any number of machines, into one file.

Every score goes into a journal (`nb201env.training.journal`) as soon as it is known: ``OUT.journal``, or
``OUT.2-of-4.journal`` for the second of four shares. What stands in any journal beside the file counts,
whoever wrote it, so machines without a common folder do their shares each, and one of them gets the journals
of all. The file appears when nothing is missing.
"""

from __future__ import annotations

import glob
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nb201env import proxies, workers
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.classes import representatives
from nb201env.fields import Fields
from nb201env.files import alone
from nb201env.training import journal
from nb201env.training.data import Data
from nb201env.training.images.own import PREFIX
from nb201env.training.network import Skeleton
from nb201env.training.precision import exact_float32
from nb201env.training.proxies.measure import SOURCES, Batch, score
from nb201env.training.threads import one_thread

LABELS = 10
"""Of how many labels networks see images at most: the first ones."""
WHAT = "scores of untrained networks, float32; more promises more"


@dataclass(frozen=True)
class Setting:
    """What is computed, and how.

    Attributes:
        task: Whose images the networks look at.
        images: sha256 of these images, normalised, and their labels.
        batch: How many there are, in two halves.
        initialisations: How often each network is drawn.
        software: The version of PyTorch.
        skeleton: What surrounds the cells.
    """

    task: str
    images: str
    batch: int
    initialisations: int
    software: str
    skeleton: Skeleton

    @classmethod
    def of(cls, data: Data, initialisations: int) -> Setting:
        """The official networks for a task's images.

        Raises:
            ValueError: If there are too few images, or initialisations.
        """
        if initialisations < 1:
            raise ValueError(f"networks are drawn at least once; got {initialisations} initialisations")
        batch = batch_of(data)
        _, channels, side, _ = batch.images.shape
        found = hashlib.sha256(batch.images.contiguous().numpy().data)
        found.update(batch.labels.numpy().data)
        skeleton = Skeleton(classes=data.classes, image_size=side, channels=channels)
        software = f"PyTorch {torch.__version__}"
        return cls(data.task, found.hexdigest(), len(batch.labels), initialisations, software, skeleton)

    @classmethod
    def read(cls, head: Fields) -> Setting:
        """The setting that a journal's first line tells.

        Raises:
            ValueError: If an entry is missing or not what it should be.
        """
        return cls(
            task=head.text("task"),
            images=head.text("images"),
            batch=head.whole("batch", least=2),
            initialisations=head.whole("initialisations", least=1),
            software=head.text("software"),
            skeleton=Skeleton.read(head.object("skeleton")),
        )


class Unit(NamedTuple):
    """One network: a class's first member, drawn once.

    Attributes:
        initialisation: From 0.
        cls: The class's number.
    """

    initialisation: int
    cls: int


class Scored(NamedTuple):
    """A line of the journal: a unit with its scores by the names of `SOURCES`."""

    initialisation: int
    cls: int
    scores: dict[str, float]

    @property
    def unit(self) -> Unit:
        """Whose scores these are."""
        return Unit(self.initialisation, self.cls)


class Progress(NamedTuple):
    """How far a computation is, all shares together, in networks."""

    done: int
    total: int


def batch_of(data: Data) -> Batch:
    """What networks look at: of each of the first ten labels its first two training images, in two halves.

    Raises:
        ValueError: If a label has fewer images.
    """
    images, labels = data.splits["train"]
    known = np.unique(labels.numpy())[:LABELS]
    rows = [np.flatnonzero(labels.numpy() == label)[:2] for label in known]
    for label, found in zip(known, rows, strict=True):
        if len(found) < 2:
            raise ValueError(
                f"task {data.task!r} has {len(found)} training image of label {label}; proxies need two"
            )
    chosen = torch.from_numpy(np.stack(rows, axis=1).ravel())
    return Batch(data.normalise(images[chosen]), labels[chosen])


def order(initialisations: int, share: tuple[int, int] = (1, 1)) -> list[Unit]:
    """The units of a share, each initialisation in a random order, so that a part of it says something."""
    return [
        Unit(number, cls)
        for number in range(initialisations)
        for cls in np.random.default_rng(number)
        .permutation(len(representatives()))
        .tolist()[share[0] - 1 :: share[1]]
    ]


def journal_path(out: Path, share: tuple[int, int] = (1, 1)) -> Path:
    """Where the journal of a share lies."""
    part = "" if share == (1, 1) else f".{share[0]}-of-{share[1]}"
    return out.with_name(f"{out.name}{part}.journal")


def compute(
    setting: Setting, batch: Batch, out: Path, *, share: tuple[int, int] = (1, 1), jobs: int = 1,
    report: Callable[[Progress], None] = lambda _: None,
    work: Callable[[Unit], dict[str, float]] | None = None,
) -> Progress:  # fmt: skip
    """Score every class, and write a file for `nb201env.proxies.read`.

    Args:
        setting: What to compute.
        batch: Its images.
        out: The file. It appears when the scores of all shares are there.
        share: (k, n): score only every n-th network, from the k-th on.
        jobs: Processes, each with one thread; the scores do not depend on it.
        report: Called after every network.
        work: Scores a network; a made-up one serves for tests.

    Raises:
        BadJournal: If a journal beside the file is of another computation.
        FileExistsError: If `out` is there, and is not what this computation wrote.
        FileNotFoundError: If its folder is not there.
        AtWork: If another process computes the same share.
        WorkerDied: If the process of a network dies twice.
    """
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"{out}: there is no such folder; make it, or name another --out")
    path = journal_path(out, share)
    with alone(path.with_name(f".{path.name}.lock"), f"computing into {path}"):
        KIND.resumed(path, setting)
        known = {one.unit: one.scores for one in _known(out, setting)}
        left = [unit for unit in order(setting.initialisations, share) if unit not in known]
        total = setting.initialisations * len(representatives())
        if out.exists() and len(known) < total:
            raise FileExistsError(f"{out} is there already, and its journals are not; name another --out")
        for done in workers.local(work or _Scorer(setting.skeleton, batch), left, jobs):
            known[done.job] = done.result()
            journal.append(path, [Scored(*done.job, known[done.job])])
            report(Progress(len(known), total))
    known |= {one.unit: one.scores for one in _known(out, setting)}  # by now, of other shares
    if len(known) == total:
        _write(out, setting, known)
    return Progress(len(known), total)


@dataclass(frozen=True)
class _Scorer:
    """Scores networks."""

    skeleton: Skeleton
    batch: Batch

    def __call__(self, unit: Unit) -> dict[str, float]:
        architecture = Architecture.from_index(int(representatives()[unit.cls]))
        with one_thread(), exact_float32():
            return score(architecture, self.skeleton, self.batch, unit.initialisation)


def _known(out: Path, setting: Setting) -> Iterator[Scored]:
    """What all journals beside a file hold."""
    for path in sorted(out.parent.glob(f"{glob.escape(out.name)}*.journal")):
        found = KIND.read(path)
        KIND.check(path, found, setting)
        yield from found.done


def _write(out: Path, setting: Setting, known: dict[Unit, dict[str, float]]) -> None:
    began = min(KIND.read(path).began for path in out.parent.glob(f"{glob.escape(out.name)}*.journal"))
    about = asdict(setting)
    computed = {"what": WHAT, "network": about.pop("skeleton"), **about, "date": began}
    licence = "not stated" if setting.task.startswith(PREFIX) else "MIT"
    made = values(setting.initialisations, known)
    if not out.exists():
        proxies.write(out, made, SOURCES, computed, licence)
        return
    there = proxies.read(out)
    if there.computed != computed or any(
        not np.array_equal(there.values[name], made[name].astype(np.float32)) for name in SOURCES
    ):
        raise FileExistsError(f"{out} is there already, and not of this computation; name another --out")


def values(initialisations: int, known: dict[Unit, dict[str, float]]) -> dict[str, FloatArray]:
    """Scores by proxy, float64 [initialisations, classes]; NaN where a network has not been scored."""
    found = {name: np.full((initialisations, len(representatives())), np.nan) for name in SOURCES}
    for unit, scores in known.items():
        for name, value in scores.items():
            found[name][unit] = value
    return found


def _scored(value: Any, setting: Setting) -> Scored | None:
    """A scored network, if a line of a journal is one."""
    if not (isinstance(value, list) and [*map(type, value)] == [int, int, dict]):
        return None
    found = Scored(*value)
    there = 0 <= found.initialisation < setting.initialisations and 0 <= found.cls < len(representatives())
    numbers = all(type(one) is float and math.isfinite(one) for one in found.scores.values())
    return found if there and numbers and found.scores.keys() == SOURCES.keys() else None


KIND = journal.Kind("nb201-proxies-journal", 1, "nb201 proxies compute", "computation", Setting.read, _scored)
