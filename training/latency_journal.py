"""The journal of a measurement of all classes (`nb201env.training.latencies`): what, how, and what has been.

Its first line is the setting with the day on which the measurement began; a line for each class and round
follows: [round, class, seconds, seconds of the reference network].
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import torch

from nb201env.classes import representatives
from nb201env.fields import Fields, parse_json
from nb201env.training.latency import check_batch, device_name, skeleton_of
from nb201env.training.network import Skeleton
from nb201env.training.threads import one_thread
from nb201env.training.trainers import check_device

FORMAT, VERSION = "nb201-latencies", 1


class BadJournal(ValueError):
    """A file that is no journal of this measurement; the message says why."""


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
            BadJournal: Or what `head` raises, if an entry is missing or not what it should be.
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


class Journal(NamedTuple):
    """What a journal tells.

    Attributes:
        setting: What is measured, and how.
        began: The day on which the measurement began: "2026-11-29".
        done: What has been measured.
    """

    setting: Setting
    began: str
    done: list[Measured]


def journal_path(out: Path) -> Path:
    """Where the journal of a measurement into a file lies."""
    return out.with_name(f"{out.name}.journal")


def read_journal(path: Path) -> Journal:
    """Read a journal; what stands behind the last line's end counts for nothing.

    Raises:
        BadJournal: If it is none.
        FileNotFoundError: If it is not there.
    """
    first, *lines = path.read_bytes().split(b"\n")[:-1] or [b""]
    head = Fields.parse(first, f"{path}, line 1", BadJournal)
    if (head.text("format"), head.whole("version")) != (FORMAT, VERSION):
        raise BadJournal(f"{path} is no journal of `nb201 latency --all` that this release reads")
    try:
        setting = Setting.read(head)
    except ValueError as error:
        raise BadJournal(str(error)) from error
    done = [_read_line(line, setting, f"{path}, line {number}") for number, line in enumerate(lines, start=2)]
    return Journal(setting, head.text("began"), done)


def resumed(path: Path, setting: Setting) -> list[Measured]:
    """What a measurement that was stopped has left; a new journal is begun where there is none.

    A last line that was cut in two is cut off.

    Raises:
        BadJournal: If it is of another measurement, or no journal.
    """
    about = json.dumps({"format": FORMAT, "version": VERSION, **asdict(setting)})[:-1]
    there = path.read_bytes() if path.exists() else b""
    whole, newline, cut = there.rpartition(b"\n")
    if not newline:  # nothing, or the beginning of our first line
        if cut[: len(about)] != about.encode()[: len(cut)]:
            raise BadJournal(f"{path} is no journal of this measurement; name another --out, or delete it")
        path.write_text(f'{about}, "began": "{date.today()}"}}\n', encoding="utf-8")
        return []
    if cut:
        with path.open("r+b") as file:
            file.truncate(len(whole) + 1)
    found = read_journal(path)
    if found.setting != setting:
        mine, theirs = asdict(setting), asdict(found.setting)
        differ = ", ".join(f"{name} {theirs[name]}" for name in mine if mine[name] != theirs[name])
        raise BadJournal(
            f"{path} is of another measurement ({differ}); repeat its own command, name another --out, or "
            "delete it"
        )
    return found.done


def _read_line(line: bytes, setting: Setting, where: str) -> Measured:
    value = parse_json(line, where, BadJournal)
    if isinstance(value, list) and [*map(type, value)] == [int, int, float, float]:
        found = Measured(*value)
        if (
            0 <= found.round < setting.rounds
            and 0 <= found.cls < len(representatives())
            and min(found.seconds, found.reference) > 0
        ):
            return found
    raise BadJournal(f"{where}: not a measurement; delete the line, or the file")
