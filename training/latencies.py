"""How long the forward pass of every canonical class takes on this machine, as a column for a table.

A shared machine is a poor clock: it gets warm, and other programs come and go. So

* every class is measured in several rounds, each in an order of its own, and counts by the median of them;
* between its passes runs one reference network, and only the ratio of the two counts: what slows both down
  slows the ratio down not at all;
* while other programs work, nothing is measured: a stretch of classes during which they did is measured
  again.

What is measured stands in a journal at once, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import csv
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch

from nb201env.architecture import Architecture, all_strings
from nb201env.arrays import FloatArray
from nb201env.classes import canonical_classes, representatives
from nb201env.fields import Fields
from nb201env.files import alone, appearing
from nb201env.training.latency import device_name, skeleton_of, timed
from nb201env.training.network import Network
from nb201env.training.precision import exact_float32
from nb201env.training.threads import one_thread
from nb201env.training.trainers import check_device

REFERENCE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
"""The network that every other one is measured beside: official:6111, which NAS-Bench-201's users know."""
STRETCH = 16
"""Classes that are measured, and judged by what else ran, together: about a second."""
QUIET = 0.1
"""Other programs may keep so much of one core busy, on average over a stretch."""
PATIENCE = 600
"""Seconds without a quiet stretch after which the measurement stops."""
_WARM_UP = 2
FORMAT = "nb201-latencies"


class NotQuiet(RuntimeError):
    """Other programs have kept the machine busy all the time; the message says how much."""


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
        device: "cpu", on one thread, or "cuda".
        machine: What it runs on: the processor's or the GPU's name.
        software: The versions of PyTorch and of the system.
    """

    task: str
    batch: int
    repeats: int
    rounds: int
    device: str
    machine: str
    software: str

    @classmethod
    def here(cls, task: str, *, batch: int = 1, repeats: int = 5, rounds: int = 3, device: str = "cpu"
             ) -> Setting:  # fmt: skip
        """A measurement on this machine.

        Raises:
            ValueError: If the task or the device is unknown.
        """
        skeleton_of(task, None)
        check_device(device)
        software = f"PyTorch {torch.__version__}, {platform.system()} {platform.machine()}"
        with one_thread():
            machine = device_name(torch.device(device))
        return cls(task, batch, repeats, rounds, device, machine, software)

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


class Latencies(NamedTuple):
    """The result, by lexicographic index: a class's number is that of all its members; float64 [15625] each.

    Attributes:
        seconds: The median over rounds.
        spread: Half the range over rounds: how far a number is to be trusted.
    """

    seconds: FloatArray
    spread: FloatArray


def measure_all(
    setting: Setting, out: Path, *, busy: bool = False, classes: int | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> Latencies:  # fmt: skip
    """Measure every class, and write a CSV file with a row for each architecture.

    Args:
        setting: What to measure.
        out: The file. Beside it lies the journal, ``<out>.journal``, which a second call goes on with; it
            stays.
        busy: Measure although other programs work.
        classes: Only so many classes, for a try; all if None. Then no file is written.
        progress: Called with how much is done, how much there is, and a word on what is waited for.

    Raises:
        BadJournal: If the journal is of another measurement.
        NotQuiet: If other programs kept the machine busy for ten minutes.
        AtWork: If another process measures into the same file.
    """
    path = out.with_name(f"{out.name}.journal")
    with alone(out.with_name(f".{out.name}.lock"), f"measuring into {out}"):
        done = read_journal(path, setting)
        left = list(_stretches(setting, classes, {(one.round, one.cls) for one in done}))
        total = len(done) + sum(map(len, left))

        def tell(note: str = "") -> None:
            progress(len(done), total, note)

        with path.open("a", encoding="utf-8") as journal:
            for found in _measured(setting, left, busy, tell):
                journal.writelines(json.dumps(one) + "\n" for one in found)
                journal.flush()
                done += found
                tell()
        result = summarised(done)
        if classes is None:
            _write(out, setting, result)
    return result


def summarised(done: Sequence[Measured]) -> Latencies:
    """Latencies from measurements; NaN for classes that were not measured."""
    level = float(np.median([one.reference for one in done]))
    by_class: dict[int, list[float]] = {}
    for one in done:
        by_class.setdefault(one.cls, []).append(one.seconds / one.reference * level)
    seconds, spread = np.full((2, len(representatives())), np.nan)
    for cls, rounds in by_class.items():
        seconds[cls], spread[cls] = np.median(rounds), (max(rounds) - min(rounds)) / 2
    return Latencies(seconds[canonical_classes()], spread[canonical_classes()])


# -- measuring -------------------------------------------------------------------------------


def _stretches(
    setting: Setting, classes: int | None, done: set[tuple[int, int]]
) -> Iterator[list[tuple[int, int]]]:
    """What is left to do, as stretches of pairs (round, class)."""
    for number in range(setting.rounds):
        order = np.random.default_rng(number).permutation(len(representatives()))[:classes].tolist()
        left = [(number, cls) for cls in order if (number, cls) not in done]
        for start in range(0, len(left), STRETCH):
            yield left[start : start + STRETCH]


def _measured(
    setting: Setting, stretches: Sequence[list[tuple[int, int]]], busy: bool, tell: Callable[[str], None]
) -> Iterator[list[Measured]]:
    if not stretches:
        return
    with one_thread(), torch.inference_mode(), exact_float32():
        bench = _Bench(setting)
        for stretch in stretches:
            yield _quietly(bench, stretch, busy, tell)


def _quietly(
    bench: _Bench, stretch: list[tuple[int, int]], busy: bool, tell: Callable[[str], None]
) -> list[Measured]:
    """Measure a stretch again and again until nothing else runs meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while True:
        others = OtherPrograms()
        found = [bench.measure(number, cls) for number, cls in stretch]
        share = others.share()
        if busy or share <= QUIET:
            return found
        if time.monotonic() > deadline:
            raise NotQuiet(
                f"other programs have kept {share:.1f} cores busy for {PATIENCE // 60} minutes; end them and "
                "run this again, which goes on from here, or measure nevertheless with --busy"
            )
        tell(f"waiting: other programs keep {share:.1f} cores busy")
        time.sleep(1)


class OtherPrograms:
    """How busy all programs but this one have kept the machine since this was made."""

    def __init__(self) -> None:
        self._start = self._now()

    def share(self) -> float:
        """In cores, on average."""
        wall, others = (now - then for now, then in zip(self._now(), self._start, strict=True))
        return max(others, 0.0) / max(wall, 1e-9)

    @staticmethod
    def _now() -> tuple[float, float]:
        everyone, mine = psutil.cpu_times(), psutil.Process().cpu_times()
        idle = everyone.idle + getattr(everyone, "iowait", 0.0) + getattr(everyone, "guest", 0.0)
        return time.monotonic(), sum(everyone) - idle - mine.user - mine.system


class _Bench:
    """Networks and images on the device."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._place = torch.device(setting.device)
        self._skeleton = skeleton = skeleton_of(setting.task, None)
        shape = setting.batch, skeleton.channels, skeleton.image_size, skeleton.image_size
        self._images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self._place)
        self._reference = self._network(Architecture.of(REFERENCE))

    def _network(self, architecture: Architecture) -> Network:
        network: Network = Network(architecture, self._skeleton).eval().to(self._place)
        return network

    def measure(self, number: int, cls: int) -> Measured:
        """Passes of a class and of the reference in turns."""
        network = self._network(Architecture.from_index(int(representatives()[cls])))
        pairs = [
            (timed(network, self._images, self._place), timed(self._reference, self._images, self._place))
            for _ in range(_WARM_UP + self._setting.repeats)
        ]
        seconds, reference = np.median(pairs[_WARM_UP:], axis=0).tolist()
        return Measured(number, cls, seconds, reference)


# -- files -----------------------------------------------------------------------------------


def read_journal(path: Path, setting: Setting) -> list[Measured]:
    """What a measurement that was stopped has left; a new journal is begun where there is none.

    A last line that was cut in two counts for nothing.

    Raises:
        BadJournal: If it is of another measurement, or no journal.
    """
    head = {"format": FORMAT, "version": 1, **asdict(setting)}
    whole, newline, cut = (path.read_bytes() if path.exists() else b"").rpartition(b"\n")
    if not newline:
        path.write_text(json.dumps(head) + "\n", encoding="utf-8")
        return []
    if cut:
        with path.open("r+b") as file:
            file.truncate(len(whole) + 1)
    first, *lines = whole.split(b"\n")
    if (found := Fields.parse(first, f"{path}, line 1", BadJournal).value) != head:
        differ = [name for name in head if found.get(name) != head[name]]
        raise BadJournal(
            f"{path} is of another measurement ({', '.join(differ)}); name another --out, or delete it"
        )
    return [_read_line(line, f"{path}, line {number}") for number, line in enumerate(lines, start=2)]


def _read_line(line: bytes, where: str) -> Measured:
    try:
        number, cls, seconds, reference = json.loads(line)
        if type(number) is type(cls) is int and cls < len(representatives()) and min(seconds, reference) > 0:
            return Measured(number, cls, float(seconds), float(reference))
    except (ValueError, TypeError):
        pass
    raise BadJournal(f"{where}: not a measurement; delete the line, or the file")


def _write(out: Path, setting: Setting, found: Latencies) -> None:
    names = "architecture", setting.column, setting.column.replace("latency", "latency_spread")
    with appearing(out) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        rows: Any = csv.writer(file)
        rows.writerow(names)
        for row in zip(all_strings(), found.seconds.tolist(), found.spread.tolist(), strict=True):
            rows.writerow((row[0], f"{row[1]:.6e}", f"{row[2]:.2e}"))
