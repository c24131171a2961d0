"""The study of a device's latency: what it embeds of a journal, and what it computes from the embedded."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("psutil")
pytest.importorskip("torch")

from benchmarks.studies import __main__ as studies
from benchmarks.studies import latency
from nb201env.architecture import Architecture
from nb201env.classes import canonical_classes, representatives
from nb201env.devices import of_dataset, read
from nb201env.space import CONV1X1, CONV3X3, NONE, POOL, SIZE, SKIP, all_ops
from nb201env.training.latency_journal import Journal, Measured, Setting

CLASSES = len(representatives())
TRUE = np.random.default_rng(0).uniform(0.001, 0.01, CLASSES)
SETTING = Setting.here("cifar10-valid", rounds=2)


def journal(path: Path, factor: float = 1.0) -> Path:
    """A journal of two rounds, whose machine is slower by a factor in the second."""
    done = [Measured(0, cls, TRUE[cls], 0.008) for cls in range(CLASSES)]
    done += [Measured(1, cls, TRUE[cls] * factor, 0.008 * factor) for cls in range(CLASSES)]
    head = {"format": "nb201-latencies", "version": 1, **asdict(SETTING), "began": "2026-11-29"}
    path.write_text("".join(json.dumps(one) + "\n" for one in (head, *done)))
    return path


def run(*words: Path | str) -> None:
    studies.main(["latency", "run", *map(str, words)])


def test_a_journal_is_embedded_with_what_it_says(tmp_path: Path) -> None:
    run("--journal", journal(tmp_path / "a.journal", factor=2), "--out", tmp_path / "a.safetensors")
    device = read(tmp_path / "a.safetensors")
    assert device.name == "cpu_latency_seconds"
    assert device.values == pytest.approx(1.5 * TRUE[canonical_classes()], rel=1e-6)
    assert device.spread.max() < 1e-9
    about = device.measured
    assert (about["task"], about["rounds"], about["date"]) == ("cifar10-valid", 2, "2026-11-29")
    assert about["machine"] == SETTING.machine
    assert about["network"]["image_size"] == 32
    assert about["kendall_between_rounds"] == 1.0
    assert {*about} == {*of_dataset("cifar10")["cpu_latency_seconds"].measured}


def test_a_journal_that_lacks_a_class_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = journal(tmp_path / "a.journal")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(SystemExit):
        run("--journal", path, "--out", tmp_path / "a.safetensors")
    assert "holds 10,969 of 10,970 measurements" in capsys.readouterr().err
    assert not (tmp_path / "a.safetensors").exists()


def test_rounds_that_rank_in_reverse_agree_by_minus_one() -> None:
    setting = replace(SETTING, rounds=3)
    done = [Measured(number, cls, 1.0 + (-1) ** number * cls / CLASSES, 2.0)
            for number in range(3) for cls in range(CLASSES)]  # fmt: skip
    assert latency.between_rounds(Journal(setting, "", done)) == pytest.approx(-1 / 3)


def test_what_an_op_costs_is_found_where_costs_are_sums() -> None:
    prices = {CONV3X3: 4.0, CONV1X1: 2.0, POOL: 3.0, SKIP: 0.5, NONE: 0.0}
    values = 7.0 + sum(price * (all_ops() == op).sum(axis=1) for op, price in prices.items())
    found, explained = latency.per_op(values)
    assert found == pytest.approx([7.0, 4.0, 2.0, 3.0, 0.5])
    assert explained == pytest.approx(1.0)


def test_live_architectures_are_those_whose_every_op_counts() -> None:
    whole = latency.whole()
    assert whole[Architecture((CONV3X3,) * 6).index]
    assert whole[Architecture((NONE,) * 6).index]
    assert not whole[Architecture((CONV3X3, NONE, NONE, CONV3X3, NONE, NONE)).index]  # node 1 leads nowhere


def test_disagreements_are_the_greatest_of_ranks() -> None:
    a = np.arange(SIZE, dtype=np.float64)
    b = a.copy()
    chosen = np.flatnonzero(latency.whole())
    b[chosen[[0, -1]]] = b[chosen[[-1, 0]]]
    assert latency.disagreements(a, b, count=1) == chosen[[-1, 0]].tolist()


def test_the_excess_is_over_the_fastest_that_is_as_accurate() -> None:
    seconds, accuracy = of_dataset("cifar10")[latency.NAME].values, latency.accuracy()
    fronts = dict(latency.fronts())
    assert latency.excess(fronts["CPU latency"]) == pytest.approx(1.0)
    for index, found in zip(fronts["MACs"], latency.excess(fronts["MACs"]), strict=True):
        as_good = [seconds[other] for other in range(SIZE) if accuracy[other] >= accuracy[index]]
        assert found == seconds[index] / min(as_good)
