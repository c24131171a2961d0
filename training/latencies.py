"""How long the forward pass of every canonical class takes on this machine, as a column for a table.

A shared machine is a poor clock: it gets warm, and other programs come and go. So

* every class is measured in several rounds, each in an order of its own, and counts by the median of them;
* between its passes runs one reference network, and only the ratio of the two counts: what slows both down
  slows the ratio down not at all;
* while other programs work, nothing is measured: a stretch of classes during which they did is measured
  again.

What is measured stands in a journal at once, so that a run that was stopped goes on where it was.

Networks compute what reaches the output and nothing else, as `nb201env.training.network` has it: a class's
number is that of its first member, and holds for all of them.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from nb201env.architecture import Architecture, all_strings
from nb201env.arrays import FloatArray
from nb201env.classes import canonical_classes, representatives
from nb201env.extras import require
from nb201env.files import alone, appearing
from nb201env.training.journal import append
from nb201env.training.latency import enough_memory, timed
from nb201env.training.latency_journal import KIND, Measured, Setting, journal_path
from nb201env.training.network import Network
from nb201env.training.precision import exact_float32
from nb201env.training.threads import one_thread

REFERENCE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
"""The network that every other one is measured beside: official:6111, which NAS-Bench-201's users know."""
STRETCH = 16
"""Classes that are measured, and judged by what else ran, together: about a second."""
QUIET = 0.1
"""Other programs may keep so much of one core busy, on average over a stretch."""
PATIENCE = 600
"""Seconds without a quiet stretch after which the measurement stops."""
_WARM_UP = 2


class NotQuiet(OSError):
    """Other programs have kept the machine busy all the time; the message says how much."""


class Latencies(NamedTuple):
    """The result, by lexicographic index: a class's number is that of all its members; float64 [15625] each.

    Attributes:
        seconds: The median over rounds.
        spread: Half the range over rounds: how far a number is to be trusted.
    """

    seconds: FloatArray
    spread: FloatArray


class Usage(NamedTuple):
    """How much time has passed since a fixed moment.

    Attributes:
        wall: In seconds.
        others: That programs other than this one have kept cores busy, in seconds of one core.
    """

    wall: float
    others: float


class Machine(Protocol):
    """What a measurement needs of a machine; a made-up one serves for simulations."""

    def measure(self, number: int, cls: int) -> Measured:
        """Measure a class once, in the round of this number."""

    def usage(self) -> Usage:
        """How much time has passed."""

    def wait(self, seconds: float) -> None:
        """Do nothing for so long."""


def measure_all(
    setting: Setting, out: Path, *, busy: bool = False, classes: int | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, note: None,
    machine: Callable[[Setting], Machine] | None = None,
) -> Latencies:  # fmt: skip
    """Measure every class, and write a CSV file with a row for each architecture.

    Args:
        setting: What to measure.
        out: The file. Beside it lies the journal, ``<out>.journal``, which a second call goes on with; it
            stays.
        busy: Measure although other programs work.
        classes: Only so many classes, for a try; all if None. Then no file is written.
        progress: Called with how much is done, how much there is, and a word on what is waited for.
        machine: Makes what measures; `ThisMachine` if None.

    Raises:
        BadJournal: If the journal is of another measurement.
        FileExistsError: If `out` is there, and is not what this measurement wrote.
        FileNotFoundError: If its folder is not there.
        NotQuiet: If other programs kept the machine busy for ten minutes.
        AtWork: If another process measures into the same file.
    """
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"{out}: there is no such folder; make it, or name another --out")
    path = journal_path(out)
    with alone(out.with_name(f".{out.name}.lock"), f"measuring into {out}"):
        done = KIND.resumed(path, setting)
        left = list(_stretches(setting, classes, {(one.round, one.cls) for one in done}))
        if out.exists() and (left or out.read_text(encoding="utf-8") != _csv(setting, summarised(done))):
            raise FileExistsError(f"{out} is there already, and not of this measurement; name another --out")
        total = len(done) + sum(map(len, left))

        def tell(note: str = "") -> None:
            progress(len(done), total, note)

        for found in _measured(setting, left, busy, tell, machine or ThisMachine):
            append(path, found)
            done += found
            tell()
        result = summarised(done)
        if classes is None and not out.exists():
            with appearing(out) as partial:
                partial.write_text(_csv(setting, result), encoding="utf-8", newline="")
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
    setting: Setting, stretches: Sequence[list[tuple[int, int]]], busy: bool, tell: Callable[[str], None],
    make: Callable[[Setting], Machine],
) -> Iterator[list[Measured]]:  # fmt: skip
    if not stretches:
        return
    with ExitStack() as stack:
        for context in (
            one_thread(),
            torch.inference_mode(),
            exact_float32(),
            enough_memory(setting.batch),
        ):
            stack.enter_context(context)
        machine = make(setting)
        for stretch in stretches:
            yield _quietly(machine, stretch, busy, tell)


def _quietly(
    machine: Machine, stretch: list[tuple[int, int]], busy: bool, tell: Callable[[str], None]
) -> list[Measured]:
    """Measure a stretch again and again until nothing else runs meanwhile."""
    deadline = machine.usage().wall + PATIENCE
    while True:
        before = machine.usage()
        found = [machine.measure(number, cls) for number, cls in stretch]
        now = machine.usage()
        share = max(now.others - before.others, 0.0) / max(now.wall - before.wall, 1e-9)
        if busy or share <= QUIET:
            return found
        if now.wall > deadline:
            raise NotQuiet(
                f"other programs have kept {share:.1f} cores busy for {PATIENCE // 60} minutes; end them and "
                "run this again, which goes on from here, or measure nevertheless with --busy"
            )
        tell(f"waiting: other programs keep {share:.1f} cores busy")
        machine.wait(1)


class ThisMachine:
    """Networks and images on this machine's processor or GPU; what works on a GPU besides is not noticed."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._place = torch.device(setting.device)
        skeleton = setting.skeleton
        shape = setting.batch, skeleton.channels, skeleton.image_size, skeleton.image_size
        self._images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self._place)
        self._reference = self._network(Architecture.of(REFERENCE))

    def _network(self, architecture: Architecture) -> Network:
        network: Network = Network(architecture, self._setting.skeleton).eval().to(self._place)
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

    def usage(self) -> Usage:
        """How much time has passed, and what of it other programs have kept cores busy."""
        psutil = require("psutil", "train")
        everyone, mine = psutil.cpu_times(), psutil.Process().cpu_times()
        # A guest's time counts twice, also as its host's.
        idle = sum(getattr(everyone, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
        return Usage(time.monotonic(), sum(everyone) - idle - mine.user - mine.system)

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


def _csv(setting: Setting, found: Latencies) -> str:
    names = "architecture", setting.column, setting.column.replace("latency", "latency_spread")
    file = io.StringIO(newline="")
    rows: Any = csv.writer(file, lineterminator="\n")
    rows.writerow(names)
    for row in zip(all_strings(), found.seconds.tolist(), found.spread.tolist(), strict=True):
        rows.writerow((row[0], f"{row[1]:.6e}", f"{row[2]:.2e}"))
    return file.getvalue()
