"""``nb201 latency --all``: what a slowing, busy, failing machine does to the latencies of all classes.

Most tests measure on a made-up machine, whose networks take a known time on a clock of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("psutil")

import psutil

from nb201env.classes import canonical_classes, representatives
from nb201env.cli import build, main
from nb201env.comparison import cost_names, costs, unit_of
from nb201env.tables import open_table
from nb201env.training import latencies
from nb201env.training.images.tasks import find_task
from nb201env.training.journal import BadJournal
from nb201env.training.latencies import (
    PATIENCE,
    STRETCH,
    NotQuiet,
    ThisMachine,
    Usage,
    measure_all,
    summarised,
)
from nb201env.training.latency_journal import Measured, Setting, journal_path, read_journal

CLASSES = len(representatives())
TRUE = np.random.default_rng(0).uniform(0.001, 0.01, CLASSES)
"""What a pass of each class takes on the made-up machine, in seconds."""
REFERENCE = 0.008
SETTING = Setting.here("digits")


class Made:
    """A machine whose networks take `TRUE` seconds times `slow` of the time of day, beside others that work.

    Attributes:
        clock: The time of day, in seconds.
        asked: The rounds and classes that were measured, in order.
    """

    def __init__(
        self, _: object = None, *, slow: Callable[[float], float] = lambda t: 1.0,
        busy: Callable[[float], float] = lambda t: 0.0, jump: dict[tuple[int, int], float] | None = None,
    ) -> None:  # fmt: skip
        self.slow, self.busy, self.jump = slow, busy, jump or {}
        self.clock, self.others = 0.0, 0.0
        self.asked: list[tuple[int, int]] = []

    def __call__(self, setting: Setting) -> Made:
        return self

    def measure(self, number: int, cls: int) -> Measured:
        self.asked.append((number, cls))
        true = TRUE[cls] * self.jump.get((number, cls), 1.0)
        pairs = np.median([(self._pass(true), self._pass(REFERENCE)) for _ in range(5)], axis=0)
        return Measured(number, cls, *pairs.tolist())

    def _pass(self, seconds: float) -> float:
        taken = float(seconds * self.slow(self.clock))
        self.others += taken * self.busy(self.clock)
        self.clock += taken
        return taken

    def usage(self) -> Usage:
        return Usage(self.clock, self.others)

    def wait(self, seconds: float) -> None:
        self.others += seconds * self.busy(self.clock)
        self.clock += seconds


def by_class(values: Any) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = values[representatives()]
    return found


# -- what is measured ------------------------------------------------------------------------


def test_every_class_is_measured_in_every_round_in_an_order_of_the_rounds_own(tmp_path: Path) -> None:
    machine = Made()
    found = measure_all(SETTING, tmp_path / "all.csv", machine=machine)
    assert by_class(found.seconds) == pytest.approx(TRUE, rel=1e-9)
    assert found.spread.max() < 1e-9
    assert np.array_equal(found.seconds, by_class(found.seconds)[canonical_classes()])
    rounds = [[cls for number, cls in machine.asked if number == one] for one in range(3)]
    assert all(sorted(one) == list(range(CLASSES)) for one in rounds)
    assert rounds[0] != rounds[1] != rounds[2]


def test_a_machine_that_slows_down_to_half_changes_no_ratio(tmp_path: Path) -> None:
    """While raw seconds of the same class differ by a half and more from the first round to the last."""
    whole = Made()
    measure_all(SETTING, tmp_path / "steady.csv", machine=whole)
    length = whole.clock * 1.5
    slowing = Made(slow=lambda t: 1 + min(t / length, 1.0))
    found = by_class(measure_all(SETTING, tmp_path / "slowing.csv", machine=slowing).seconds)
    done = read_journal(journal_path(tmp_path / "slowing.csv")).done
    raw = np.array([[one.seconds for one in sorted(done) if one.round == number] for number in (0, 2)])
    assert np.median(raw[1] / raw[0]) > 1.5
    level = np.median(found / TRUE)
    assert found / TRUE == pytest.approx(level, rel=0.01)
    assert 1 < level < 2


def test_the_median_over_rounds_counts_and_the_spread_is_half_their_range(tmp_path: Path) -> None:
    machine = Made(jump={(1, 7): 10.0, (2, 8): 1.2, (0, 8): 0.9})
    found = measure_all(SETTING, tmp_path / "all.csv", machine=machine)
    seconds, spread = by_class(found.seconds)[[7, 8]], by_class(found.spread)[[7, 8]]
    assert seconds == pytest.approx(TRUE[[7, 8]])
    assert spread == pytest.approx(TRUE[[7, 8]] * [4.5, 0.15])


def test_latencies_are_in_seconds_of_the_machines_usual_speed() -> None:
    done = [Measured(0, 0, 2.0, 4.0), Measured(1, 0, 3.0, 6.0), Measured(2, 0, 4.0, 8.0)]
    found = summarised(done)
    assert by_class(found.seconds)[0] == 3.0
    assert np.isnan(by_class(found.seconds)[1:]).all()


# -- quiet -----------------------------------------------------------------------------------


def test_a_stretch_beside_other_programs_is_measured_again(tmp_path: Path) -> None:
    """And nothing of the tries before stands in the journal."""
    notes: list[str] = []
    machine = Made(busy=lambda t: 0.5 if 2 < t < 20 else 0.05, slow=lambda t: 3.0 if 2 < t < 20 else 1.0)
    measure_all(SETTING, tmp_path / "all.csv", machine=machine, classes=200,
                progress=lambda done, total, note: notes.append(note))  # fmt: skip
    waited = [note for note in notes if note]
    assert {*waited} >= {"waiting: other programs keep 0.5 cores busy"}
    assert len(machine.asked) == 3 * 200 + STRETCH * len(waited)
    done = read_journal(journal_path(tmp_path / "all.csv")).done
    assert [one.seconds for one in done] == pytest.approx([TRUE[one.cls] for one in done])


def test_a_machine_that_is_never_quiet_is_given_up_after_ten_minutes(tmp_path: Path) -> None:
    machine = Made(busy=lambda t: 1.5)
    with pytest.raises(NotQuiet, match=r"have kept 1.5 cores busy for 10 minutes; .* goes on from here"):
        measure_all(SETTING, tmp_path / "all.csv", machine=machine)
    assert PATIENCE < machine.clock < PATIENCE + 10
    assert read_journal(journal_path(tmp_path / "all.csv")).done == []
    found = measure_all(SETTING, tmp_path / "all.csv", machine=Made(busy=lambda t: 1.5), busy=True)
    assert by_class(found.seconds) == pytest.approx(TRUE)


class Times(NamedTuple):
    """The processors' times since the start, as psutil tells them on Linux."""

    user: float = 100.0
    nice: float = 5.0
    system: float = 20.0
    idle: float = 900.0
    iowait: float = 50.0
    guest: float = 30.0  # is in `user` already
    guest_nice: float = 2.0  # is in `nice` already


class Process:
    """This process, as psutil tells of it."""

    def cpu_times(self) -> Times:
        return Times(user=40.0, system=10.0)


def test_what_others_use_is_all_but_idle_and_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_times", Times)
    monkeypatch.setattr(psutil, "Process", Process)
    assert ThisMachine(SETTING).usage().others == (100 + 5 + 20) - (40 + 10)


# -- stopped ---------------------------------------------------------------------------------


def stopped_after(done: int, out: Path, setting: Setting = SETTING) -> Path:
    """A measurement that is stopped; its journal."""

    def stop(now: int, total: int, note: str) -> None:
        if now >= done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_all(setting, out, machine=Made(), progress=stop)
    assert not out.exists()
    return journal_path(out)


@pytest.mark.parametrize("kept", [1.0, 0.99999, 0.7, 0.5, 0.001, 0.0])
def test_what_was_killed_goes_on_where_it_was(kept: float, tmp_path: Path) -> None:
    """Wherever it cut the journal, in the middle of a line or of the head."""
    measure_all(SETTING, tmp_path / "whole.csv", machine=Made())
    path = stopped_after(CLASSES + 100, tmp_path / "cut.csv")
    there = path.read_bytes()
    path.write_bytes(there[: round(kept * len(there))])
    lines = max(path.read_bytes().count(b"\n") - 1, 0)
    machine = Made()
    measure_all(SETTING, tmp_path / "cut.csv", machine=machine)
    assert len(machine.asked) == 3 * CLASSES - lines
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len({(one.round, one.cls) for one in read_journal(path).done}) == 3 * CLASSES


def test_a_finished_measurement_measures_nothing_again(tmp_path: Path) -> None:
    out, machine = tmp_path / "all.csv", Made()
    first = measure_all(SETTING, out, machine=Made())
    before = out.read_bytes(), journal_path(out).read_bytes()
    again = measure_all(SETTING, out, machine=machine)
    assert machine.asked == []
    assert np.array_equal(first.seconds, again.seconds)
    assert (out.read_bytes(), journal_path(out).read_bytes()) == before


@pytest.mark.parametrize(
    ("change", "named"),
    [({"batch": 2}, "batch 1"), ({"machine": "another"}, "machine "), ({"rounds": 5}, "rounds 3"),
     ({"skeleton": replace(SETTING.skeleton, classes=7)}, "skeleton ")],
)  # fmt: skip
def test_another_measurements_journal_is_refused(change: dict[str, Any], named: str, tmp_path: Path) -> None:
    path = stopped_after(40, tmp_path / "one.csv")
    before = path.read_bytes()
    with pytest.raises(BadJournal, match=rf"is of another measurement \({named}"):
        measure_all(replace(SETTING, **change), tmp_path / "one.csv", machine=Made())
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    ["notes of mine", "{}\n", '{"format": "nb201-latencies", "version": 2}\n', "[1]\n",
     '{"format": "nb201-latencies", "version": 1}\n', '{"format": "other'],
)  # fmt: skip
def test_what_is_no_journal_is_left_alone(content: str, tmp_path: Path) -> None:
    path = journal_path(tmp_path / "mine.csv")
    path.write_text(content)
    with pytest.raises(BadJournal, match=r"mine\.csv\.journal"):
        measure_all(SETTING, tmp_path / "mine.csv", machine=Made())
    assert path.read_text() == content


@pytest.mark.parametrize(
    "line",
    ["[0, 1, 0.5]", "[0, 5485, 0.1, 0.1]", "[3, 1, 0.1, 0.1]", "[0, -1, 0.1, 0.1]", "[0, 1, 0.0, 0.1]",
     "[0, 1, NaN, 0.1]", "[true, 1, 0.1, 0.1]", "[0, 1, 0.1, Infinity]", "{}", "x"],
)  # fmt: skip
def test_a_line_that_is_no_measurement_is_named(line: str, tmp_path: Path) -> None:
    path = stopped_after(40, tmp_path / "one.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[2:], ""]))
    with pytest.raises(BadJournal, match=r"one\.csv\.journal, line 3: not "):
        measure_all(SETTING, tmp_path / "one.csv", machine=Made())


# -- what comes of it ------------------------------------------------------------------------


def test_the_journal_says_what_was_measured_how(tmp_path: Path) -> None:
    path = stopped_after(1, tmp_path / "one.csv", Setting.here("cifar10-valid"))
    head = json.loads(path.read_text().splitlines()[0])
    assert (head["task"], head["batch"], head["repeats"], head["rounds"]) == ("cifar10-valid", 1, 5, 3)
    assert head["machine"].endswith(", 1 thread")
    assert head["software"].startswith("PyTorch ")
    assert head["skeleton"] == {"width": 16, "cells": 5, "classes": 10, "image_size": 32, "channels": 3}
    assert find_task(head["task"]).dataset == "cifar10"
    assert len(head["began"]) == len("2026-11-29")


def test_the_columns_are_added_to_a_table_which_then_has_its_own(tmp_path: Path) -> None:
    out = tmp_path / "made.csv"
    found = measure_all(Setting.here("cifar10-valid"), out, machine=Made(jump={(0, 9): 1.5}))
    names = "cpu_latency_seconds", "cpu_latency_spread_seconds"
    columns = [word for name in names for word in ("--column", f"{name}={name}")]
    run("table", "add-columns", out, "--table", "cifar10-valid-200", "--name", "here", "--out", tmp_path,
        "--key", "architecture", *columns)  # fmt: skip
    table = open_table(tmp_path / "here.safetensors")
    assert costs(table, names[0]) == pytest.approx(found.seconds, rel=1e-6)
    assert costs(table, names[1]) == pytest.approx(found.spread, rel=0.01, abs=1e-9)
    assert not np.allclose(costs(table, names[0]), costs(open_table("cifar10-valid-200"), names[0]))
    assert cost_names(table).count(names[0]) == 1
    assert [unit_of(table, name) for name in names] == ["s", "s"]
    assert table.id != open_table("cifar10-valid-200").id


def test_this_machine_measures_two_classes(tmp_path: Path) -> None:
    found = measure_all(SETTING, tmp_path / "two.csv", classes=2, busy=True)
    measured = ~np.isnan(by_class(found.seconds))
    orders = [np.random.default_rng(number).permutation(CLASSES)[:2] for number in range(3)]
    assert measured.sum() == len(np.unique(orders))
    assert 0 < by_class(found.seconds)[measured].min() < 1
    assert not (tmp_path / "two.csv").exists()


# -- the command -----------------------------------------------------------------------------


def run(*words: Any) -> str:
    result = CliRunner().invoke(build(), [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def test_the_command_measures_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latencies, "ThisMachine", Made)
    arguments = ["latency", "--all", "--task", "digits", "--rounds", 1, "--out", tmp_path / "all.csv"]
    said = run(*arguments)
    assert f"{1e3 * TRUE.min():.2f} to {1e3 * TRUE.max():.2f} ms, median spread 0.0 %" in said
    found = json.loads(run(*arguments, "--json"))
    assert found["column"] == "cpu_latency_seconds"
    assert found["seconds"]["least"] == pytest.approx(TRUE.min())
    assert (found["setting"]["rounds"], found["relative_spread"]) == (1, 0.0)
    assert (tmp_path / "all.csv").read_text().count("\n") == 15_626


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name one architecture, or say --all"),
        (["official:6111", "--all"], "name one architecture, or say --all"),
        (["--all"], "say where the latencies go: --all --out latencies.csv"),
        (["--all", "--out", "nowhere/a.csv"], "nowhere/a.csv: there is no such folder; make it, or"),
        (["--all", "--out", "there.csv"], "there.csv is there already, and not of this measurement; name"),
        (["--all", "--out", "bad.csv"], "bad.csv.journal is no journal of this measurement; name another"),
        (["--all", "--out", "a.csv", "--task", "cifar11"], "cifar11"),
        (["--all", "--out", "a.csv", "--batch", "100000"], "a batch is 1 to 65,536 images; got 100,000"),
        (["--all", "--out", "a.csv", "--device", "tpu"], "tpu"),
        (["--all", "--out", "a.csv"], "other programs have kept 2.0 cores busy for 10 minutes; end them and"),
        (["official:6111", "--rounds", "3"], "--out, --rounds and --busy are for --all"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(latencies, "ThisMachine", lambda setting: Made(busy=lambda t: 2.0))
    Path("there.csv").write_text("mine")
    Path("bad.csv.journal").write_text("mine")
    monkeypatch.setattr(sys, "argv", ["nb201", "latency", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capsys.readouterr()
    assert (caught.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert message in said.err
    assert Path("there.csv").read_text() == Path("bad.csv.journal").read_text() == "mine"
