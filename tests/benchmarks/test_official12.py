"""The comparison with the official numbers, tried on a tiny made-up data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.studies import official12 as module
from benchmarks.studies.__main__ import main
from benchmarks.studies.official12 import (
    Comparison,
    choose,
    compare,
    machine_of,
    read_reference,
    report,
    shard_for,
    validate,
)
from nb201env.classes import canonical_classes
from nb201env.space import SIZE, official_index_of
from nb201env.training.builds.build import BuildProgress
from nb201env.training.builds.plan import Folder
from tests.conftest import ROOT
from tests.conftest import reference as reference_file


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    rows = [f"{official_index_of(i)},{10 + 80 * i / SIZE}" for i in range(SIZE)]
    path = tmp_path / "reference.csv"
    path.write_text("index,cifar10_valid_acc_12\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 64), ("test", 20)):
        labels = np.arange(count) % 10
        noise = rng.integers(0, 100, (count, 32, 32, 3))
        arrays[f"x_{part}"] = (noise + 15 * labels[:, None, None, None]).astype(np.uint8)
        arrays[f"y_{part}"] = labels.astype(np.uint8)
    np.savez(tmp_path / "images.npz", **arrays, part=True)
    return tmp_path / "images.npz"


def test_the_reference_is_read_by_official_index(reference: Path) -> None:
    accuracy = read_reference(reference)
    assert accuracy[0] == pytest.approx(0.1)
    assert (np.diff(accuracy) > 0).all()


def test_a_wrong_reference(tmp_path: Path) -> None:
    (tmp_path / "wrong.csv").write_text("index,other\n1,2\n")
    with pytest.raises(ValueError, match=r"wrong\.csv: needs the columns"):
        read_reference(tmp_path / "wrong.csv")


@pytest.mark.parametrize("count", [2, 8, 200])
def test_the_choice_spans_the_range(count: int, reference: Path) -> None:
    official = read_reference(reference)
    chosen = choose(official, count)
    assert len(set(canonical_classes()[chosen].tolist())) == count
    assert np.ptp(official[chosen]) > 0.9 * np.ptp(official)
    assert (np.diff(official[chosen]) > -0.03).all()


def test_the_whole_comparison(reference: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                              capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setattr(module, "find_recipe", lambda name: _thin(name))
    out = tmp_path / "out"
    found = validate(reference, images, out, count=3, recipe="official-12", jobs=1, device="cpu")
    assert len(found.ours) == 3
    assert ((found.ours >= 0) & (found.ours <= 1)).all()
    text = (out / "report.md").read_text()
    assert "Kendall's tau" in text
    assert text.count("nor_conv") + text.count("none") > 2
    arguments = ["--reference", str(reference), "--data", str(images), "--out", str(out), "--count", "3"]
    main(["official12", "run", *arguments])
    assert capsys.readouterr().out.strip() == text.strip()


@pytest.mark.parametrize(
    ("trainer", "count", "shard"),
    [("plain", 64, 1), ("compiled", 64, 1), ("graphs", 64, 8), ("stacked", 64, 32), ("stacked", 8, 8)],
)
def test_how_many_at_once(trainer: str, count: int, shard: int) -> None:
    """What a trainer takes at once, and not all, because a kill loses a shard."""
    assert shard_for(trainer, count) == shard


def test_every_shard_is_reported_as_it_comes(
    reference: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A line on standard error, and a report that holds until then; --shard says how many at once."""
    monkeypatch.setattr(module, "find_recipe", lambda name: _thin(name))
    out, held = tmp_path / "out", []
    say = module._say

    def noting(progress: BuildProgress) -> None:
        held.append((out / "report.md").read_text())
        say(progress)

    monkeypatch.setattr(module, "_say", noting)
    arguments = [
        "--reference", str(reference), "--data", str(images), "--out", str(out), "--count", "3", "--trainer",
        "graphs", "--shard", "2",
    ]  # fmt: skip
    main(["official12", "run", *arguments])
    said, lines = capsys.readouterr().out, [0, 2, 3]
    assert [f"{n} of 3 architectures" in text for n, text in zip(lines, held, strict=True)] == [True] * 3
    assert "--count 3 --recipe official-12 --trainer graphs --shard 2 --reference" in said
    assert Folder.open(out).plan.shard == 2


def test_what_is_said_after_a_shard(capsys: pytest.CaptureFixture[str]) -> None:
    module._say(BuildProgress(5, 8, 2, 16, 61.7))
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", "5 of 8 shards; here 16 architectures in 62 s\n")


def test_the_machine_is_the_gpu_where_there_is_one() -> None:
    assert machine_of({"processor": "AMD EPYC", "gpu": "NVIDIA H100 80GB HBM3"}) == "NVIDIA H100 80GB HBM3"
    assert machine_of({"processor": "AMD EPYC", "device": "cpu"}) == "AMD EPYC"


def _thin(name: str):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    from nb201env.training.recipe import PRESETS

    return replace(PRESETS[name], epochs=2, width=2, cells=1)


def test_the_figures() -> None:
    official = np.array([0.1, 0.2, 0.3])
    found = Comparison(np.array([0, 1, 2]), np.array([0.1, 0.3, 0.2]), official, np.ones(3))
    assert found.tau == pytest.approx(1 / 3)
    assert found.difference == pytest.approx(0)


def test_the_report_of_an_unfinished_build(
    reference: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Nothing, then one architecture, then all: what is there is reported, in the official order."""
    monkeypatch.setattr(module, "find_recipe", lambda name: _thin(name))
    arguments = {"count": 3, "recipe": "official-12", "jobs": 1, "device": "cpu"}
    found = validate(reference, images, tmp_path / "out", limit_seconds=0, **arguments)  # type: ignore[arg-type]
    assert len(found.ours) == 0
    assert "0 of 3 architectures" in (tmp_path / "out" / "report.md").read_text()
    found = validate(reference, images, tmp_path / "out", **arguments)  # type: ignore[arg-type]
    assert (np.diff(found.official) > 0).all()
    assert (found.seconds > 0).all()
    next((tmp_path / "out" / "shards").iterdir()).unlink()
    folder = Folder.open(tmp_path / "out")
    part = compare(folder, read_reference(reference), images=32)
    assert len(part.ours) == 2
    assert set(part.ours) <= set(found.ours)
    text = report(folder, part)
    assert "2 of 3 architectures" in text
    # The command without images writes the report of what is there; its accuracies count 25,000 images.
    main(["official12", "run", "--reference", str(reference), "--out", str(tmp_path / "out")])
    assert capsys.readouterr().out.count(r"\|+\|") == 2 * len(part.ours)


def test_the_committed_report_is_what_its_build_says() -> None:
    """Every number in it comes from the shards beside it and the reference file."""
    official = read_reference(reference_file("nb201_cifar10.csv"))
    committed = ROOT / "docs" / "data" / "official-12"
    folder = Folder.open(committed)
    assert list(folder.plan.only) == choose(official, len(folder.plan.only))
    assert (committed / "report.md").read_text() == report(folder, compare(folder, official))
    page = " ".join((ROOT / "docs" / "building.md").read_text().split())
    found = compare(folder, official)
    assert len(found.ours) == len(folder.plan.only) == 8
    assert found.tau == pytest.approx(1)
    assert f"{-100 * found.difference:.2f} points below" in page
    most = np.abs(found.ours - found.official).max()
    assert f"{100 * most:.2f} at most" in page
