"""The proxies of all classes: stopped anywhere, shared, resumed, refused.

Most tests score by a made-up formula, at no cost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from nb201env import proxies
from nb201env.classes import representatives
from nb201env.files import AtWork, alone
from nb201env.training.data import Data, Split
from nb201env.training.images.tasks import load_task
from nb201env.training.journal import BadJournal
from nb201env.training.proxies import compute as module
from nb201env.training.proxies.compute import (
    KIND,
    Progress,
    Setting,
    Unit,
    batch_of,
    compute,
    journal_path,
    order,
    values,
)
from nb201env.training.proxies.measure import SOURCES

CLASSES = len(representatives())
DIGITS = load_task("digits")
SETTING, BATCH = Setting.of(DIGITS, 2), batch_of(DIGITS)


def made_up(unit: Unit) -> dict[str, float]:
    """Scores that tell networks and proxies apart."""
    return {name: unit.cls / 7 + unit.initialisation + place for place, name in enumerate(SOURCES)}


class Made:
    """Scores by `made_up`; keeps what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[Unit] = []

    def __call__(self, unit: Unit) -> dict[str, float]:
        self.asked.append(unit)
        return made_up(unit)


def run(out: Path, setting: Setting = SETTING, **options: Any) -> tuple[Progress, list[Unit]]:
    """A computation; what it says, and what it has scored."""
    made = Made()
    return compute(setting, BATCH, out, work=made, **options), made.asked


def stopped_after(done: int, out: Path, **options: Any) -> Path:
    """A computation that is stopped; its journal."""

    def stop(stand: Progress) -> None:
        if stand.done >= done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(out, report=stop, **options)
    assert not out.exists()
    return journal_path(out, options.get("share", (1, 1)))


# -- images ----------------------------------------------------------------------------------


def data_of(labels: list[int], task: str = "npz:mine") -> Data:
    """Images that are all of one grey: their place."""
    pixels = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8)
    split = Split(pixels, torch.tensor(labels))
    splits = {"train": split, "valid": split, "test": split}
    return Data(task, splits, torch.zeros(1), torch.ones(1), max(labels) + 1)


def test_networks_see_the_first_two_images_of_each_label_one_in_each_half() -> None:
    batch = batch_of(data_of([2, 0, 0, 1, 2, 2, 1, 0, 1]))
    assert batch.images[:, 0, 0, 0].tolist() == [1, 3, 0, 2, 6, 4]
    assert batch.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_of_many_labels_they_see_the_first_ten() -> None:
    assert batch_of(data_of([*range(12), *range(12)])).labels.tolist() == [*range(10), *range(10)]


def test_a_label_with_one_image_is_refused() -> None:
    with pytest.raises(ValueError, match="task 'npz:mine' has 1 training image of label 1; proxies need two"):
        batch_of(data_of([0, 1, 0]))


def test_digits_images_are_normalised_and_make_the_setting() -> None:
    assert BATCH.images.shape == (20, 1, 8, 8)
    assert BATCH.labels.tolist() == [*range(10)] * 2
    first = next(place for place, label in enumerate(DIGITS.splits["train"].labels) if label == 0)
    assert torch.equal(BATCH.images[0], DIGITS.normalise(DIGITS.splits["train"].images[first : first + 1])[0])
    assert (SETTING.task, SETTING.batch, SETTING.skeleton.image_size) == ("digits", 20, 8)
    assert (SETTING.skeleton.width, SETTING.skeleton.cells) == (16, 5)
    assert Setting.of(data_of([0, 0]), 2).images != SETTING.images
    with pytest.raises(ValueError, match="networks are drawn at least once; got 0 initialisations"):
        Setting.of(DIGITS, 0)


# -- the file --------------------------------------------------------------------------------


def test_the_file_holds_every_score_and_says_how_it_came_about(tmp_path: Path) -> None:
    out = tmp_path / "p.safetensors"
    stand, asked = run(out)
    assert stand == (2 * CLASSES, 2 * CLASSES)
    assert sorted(asked) == [Unit(number, cls) for number in range(2) for cls in range(CLASSES)]
    found = proxies.read(out)
    assert found.names == tuple(sorted(SOURCES))
    assert (found.initialisations, found.sources, found.licence) == (2, SOURCES, "MIT")
    wanted = np.float32(np.arange(CLASSES) / 7 + 1 + [*SOURCES].index("nwot"))
    assert np.array_equal(found.of_classes("nwot", initialisation=1), wanted)
    about = found.computed
    assert {*about} == {"what", "network", "task", "images", "batch", "initialisations", "software", "date"}
    assert about["network"] == {"width": 16, "cells": 5, "classes": 10, "image_size": 8, "channels": 1}


def test_a_finished_computation_computes_nothing_again(tmp_path: Path) -> None:
    out = tmp_path / "p.safetensors"
    run(out)
    before = out.read_bytes()
    assert run(out)[1] == []
    assert out.read_bytes() == before
    out.unlink()
    assert run(out)[1] == []
    assert out.read_bytes() == before


def test_scores_of_ones_own_images_have_no_licence_but_their_owners(tmp_path: Path) -> None:
    run(tmp_path / "p.safetensors", replace(SETTING, task="npz:mine", initialisations=1))
    assert proxies.read(tmp_path / "p.safetensors").licence == "not stated"


def test_what_is_not_scored_is_missing() -> None:
    found = values(1, {Unit(0, 3): made_up(Unit(0, 3))})
    assert {name: np.flatnonzero(~np.isnan(row[0])).tolist() for name, row in found.items()} == {
        name: [3] for name in SOURCES
    }


# -- stopped ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [1.0, 0.99999, 0.7, 0.001, 0.0])
def test_what_was_killed_goes_on_where_it_was(kept: float, tmp_path: Path) -> None:
    """Wherever it cut the journal, in the middle of a line or of the head."""
    setting = replace(SETTING, initialisations=1)
    run(tmp_path / "whole", setting)
    path = stopped_after(300, tmp_path / "cut", setting=setting)
    there = path.read_bytes()
    path.write_bytes(there[: round(kept * len(there))])
    lines = max(path.read_bytes().count(b"\n") - 1, 0)
    assert len(run(tmp_path / "cut", setting)[1]) == CLASSES - lines
    assert (tmp_path / "cut").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.slow
def test_a_killed_command_loses_no_network(tmp_path: Path) -> None:
    """Killed twice, as no handler can catch it: what stood in the journal stays, and is not scored again."""
    out = tmp_path / "p.safetensors"
    command = [sys.executable, "-m", "nb201env.cli", "proxies", "compute", "--task", "digits",
               "--initialisations", "1", "--out", str(out)]  # fmt: skip
    before: list[str] = []
    for least in (3, 6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while len(KIND.read(journal_path(out)).done if journal_path(out).exists() else []) < least:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        lines = journal_path(out).read_text().split("\n")[:-1]
        assert lines[: len(before)] == before
        before = lines
    found = KIND.read(journal_path(out)).done
    assert [one.unit for one in found] == order(1)[: len(found)]
    scorer = module._Scorer(SETTING.skeleton, BATCH)
    assert scorer(found[-1].unit) == found[-1].scores


# -- shares ----------------------------------------------------------------------------------


def test_shares_are_all_networks_each_once() -> None:
    parts = [order(2, (k, 3)) for k in (1, 2, 3)]
    assert sorted(chain(*parts)) == sorted(order(2)) == sorted({*order(2)})
    assert max(map(len, parts)) - min(map(len, parts)) <= 2


def test_the_file_appears_with_the_last_share(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    stand, _ = run(tmp_path / "shared", share=(2, 2))
    assert stand.done < stand.total
    assert not (tmp_path / "shared").exists()
    stand, _ = run(tmp_path / "shared", share=(1, 2))
    assert stand.done == stand.total
    assert (tmp_path / "shared").read_bytes() == (tmp_path / "whole").read_bytes()


def test_journals_of_other_machines_count(tmp_path: Path) -> None:
    """Whatever their shares were."""
    for place, share in (("here", (1, 3)), ("there", (2, 2))):
        (tmp_path / place).mkdir()
        run(tmp_path / place / "p", share=share)
    path = journal_path(tmp_path / "there" / "p", (2, 2))
    path.rename(tmp_path / "here" / path.name)
    known = {*order(2, (1, 3)), *order(2, (2, 2))}
    stand, asked = run(tmp_path / "here" / "p")
    assert sorted(asked) == sorted({*order(2)} - known)
    assert stand.done == stand.total


def test_two_processes_do_not_compute_one_share(tmp_path: Path) -> None:
    with (
        alone(tmp_path / ".p.journal.lock", "computing into p.journal"),
        pytest.raises(AtWork, match="another command is computing into"),
    ):
        run(tmp_path / "p")


@pytest.mark.slow
def test_the_scores_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    setting = replace(SETTING, initialisations=1)
    share = (1, 1000)
    for jobs in (1, 2):
        compute(setting, BATCH, tmp_path / str(jobs), share=share, jobs=jobs)
    one, two = (KIND.read(journal_path(tmp_path / name, share)).done for name in "12")
    assert sorted(one) == sorted(two)
    assert len(one) == len(order(1, share))


# -- refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [({"images": "0" * 64}, "images "), ({"initialisations": 3}, "initialisations 2"),
     ({"batch": 2}, "batch 20"), ({"software": "PyTorch 0"}, "software "), ({"task": "other"}, "task digits"),
     ({"skeleton": replace(SETTING.skeleton, classes=7)}, "skeleton ")],
)  # fmt: skip
@pytest.mark.parametrize("share", [(1, 1), (1, 2)])
def test_a_journal_of_another_computation_is_refused(
    change: dict[str, Any], named: str, share: tuple[int, int], tmp_path: Path
) -> None:
    """One's own as well as that of another share."""
    path = stopped_after(20, tmp_path / "p")
    before = path.read_bytes()
    with pytest.raises(BadJournal, match=rf"is of another computation \({named}"):
        run(tmp_path / "p", replace(SETTING, **change), share=share)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line[:2],
        lambda line: [line[0], CLASSES, line[2]],
        lambda line: [2, *line[1:]],
        lambda line: [line[0], -1, line[2]],
        lambda line: [line[0], True, line[2]],
        lambda line: [*line[:2], {**line[2], "other": 1.0}],
        lambda line: [*line[:2], {**line[2], "zen": 1}],
        lambda line: [*line[:2], {**line[2], "zen": None}],
        lambda line: [*line[:2], {**line[2], "zen": float("inf")}],
        lambda line: {},
    ],
)
def test_a_line_that_is_no_score_is_named(spoil: Callable[[Any], Any], tmp_path: Path) -> None:
    path = stopped_after(20, tmp_path / "p")
    lines = path.read_text().split("\n")
    lines[4] = json.dumps(spoil(json.loads(lines[4])))
    path.write_text("\n".join(lines))
    with pytest.raises(BadJournal, match=r"p\.journal, line 5: not "):
        run(tmp_path / "p")


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    out = tmp_path / "p"
    out.write_text("mine")
    with pytest.raises(FileExistsError, match="p is there already, and its journals are not; name another"):
        run(out)
    assert out.read_text() == "mine"
    other = tmp_path / "q"
    run(other)
    proxies.write(other, {name: np.zeros((2, CLASSES)) for name in SOURCES}, SOURCES, {}, "MIT")
    before = other.read_bytes()
    with pytest.raises(FileExistsError, match="q is there already, and not of this computation; name"):
        run(other)
    assert other.read_bytes() == before
    with pytest.raises(FileNotFoundError, match="there is no such folder; make it, or name another --out"):
        run(tmp_path / "nowhere" / "p")


def test_a_network_that_cannot_be_scored_takes_no_other_with_it(tmp_path: Path) -> None:
    def fails(unit: Unit) -> dict[str, float]:
        if unit == order(2)[5]:
            raise MemoryError("too small a machine")
        return made_up(unit)

    with pytest.raises(MemoryError):
        compute(SETTING, BATCH, tmp_path / "p", work=fails)
    assert len(KIND.read(journal_path(tmp_path / "p")).done) == 5
