"""The journal of a measurement of all classes (`nb201env.training.latencies`): what, how, and what has been.

A line (`nb201env.training.journal`) is a class in a round: [round, class, seconds, seconds of the reference].
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nb201env.classes import representatives
from nb201env.fields import Fields
from nb201env.training import journal
from nb201env.training.latency import check_batch, device_name, skeleton_of
from nb201env.training.network import Skeleton
from nb201env.training.threads import one_thread
from nb201env.training.trainers import check_device


@dataclass(frozen=True)
class Setting:
    """What is measured, and how.

    Attributes:
        task: Decides the image's size and the number of classes.
        batch: Images at once.
        repeats: Timed passes of each network and round, after two that warm up.
        rounds: How often every class is measured.
        device: "cpu" or "cuda".
        machine: What it runs on: the processor's name with its one thread, or the GPU's.
        software: The versions of PyTorch and of the system.
        skeleton: What surrounds the cells: width, cells per stage, classes, the image's size and channels.
    """

    task: str
    batch: int
    repeats: int
    rounds: int
    device: str
    machine: str
    software: str
    skeleton: Skeleton

    @classmethod
    def here(
        cls, task: str, *, batch: int = 1, repeats: int = 5, rounds: int = 3, device: str = "cpu",
        data: Path | None = None,
    ) -> Setting:  # fmt: skip
        """A measurement on this machine.

        Args:
            task: Decides the image's size and the number of classes.
            batch: Images at once.
            repeats: Timed passes of each network and round.
            rounds: How often every class is measured.
            device: "cpu" or "cuda".
            data: Where images of one's own are; looked at for their size alone.

        Raises:
            ValueError: If the task or the device is unknown, or the batch too large.
        """
        check_batch(batch)
        skeleton = skeleton_of(task, data)
        check_device(device)
        software = f"PyTorch {torch.__version__}, {platform.system()} {platform.machine()}"
        with one_thread():
            machine = device_name(torch.device(device))
        return cls(task, batch, repeats, rounds, device, machine, software, skeleton)

    @classmethod
    def read(cls, head: Fields) -> Setting:
        """The setting that a journal's first line tells.

        Raises:
            ValueError: Or what `head` raises, if an entry is missing or not what it should be.
        """
        return cls(
            task=head.text("task"),
            batch=head.whole("batch", least=1),
            repeats=head.whole("repeats", least=1),
            rounds=head.whole("rounds", least=1),
            device=head.text("device"),
            machine=head.text("machine"),
            software=head.text("software"),
            skeleton=Skeleton.read(head.object("skeleton")),
        )

    @property
    def column(self) -> str:
        """What the column is called."""
        return f"{'gpu' if self.device == 'cuda' else self.device}_latency_seconds"


class Measured(NamedTuple):
    """One class in one round.

    Attributes:
        round: From 0.
        cls: The class's number.
        seconds: The median pass.
        reference: That of the reference network in between, in seconds.
    """

    round: int
    cls: int
    seconds: float
    reference: float


def journal_path(out: Path) -> Path:
    """Where the journal of a measurement into a file lies."""
    return out.with_name(f"{out.name}.journal")


def read_journal(path: Path) -> Journal:
    """Read a journal; see `nb201env.training.journal.Kind.read`."""
    return KIND.read(path)


def _measured(value: Any, setting: Setting) -> Measured | None:
    """A measurement, if a line of a journal is one."""
    if not (isinstance(value, list) and [*map(type, value)] == [int, int, float, float]):
        return None
    found = Measured(*value)
    there = 0 <= found.round < setting.rounds and 0 <= found.cls < len(representatives())
    return found if there and min(found.seconds, found.reference) > 0 else None


Journal = journal.Journal[Setting, Measured]
KIND = journal.Kind("nb201-latencies", 1, "nb201 latency --all", "measurement", Setting.read, _measured)
