"""The study behind `small-12`: what it trains, what it computes, and that the page says the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.checkout import ROOT
from benchmarks.studies import small_space
from benchmarks.studies.__main__ import main
from nb201env.architecture import Architecture
from nb201env.classes import representatives
from nb201env.space import official_index_of
from nb201env.training import recipe as recipes
from nb201env.training.builds.build import build
from nb201env.training.builds.plan import Folder, Plan
from nb201env.training.images.tasks import load_task
from nb201env.training.loop import train_plain
from nb201env.training.recipe import find_recipe
from nb201env.training.threads import one_thread


def test_the_recipe_is_the_official_one_on_a_smaller_network() -> None:
    official, small = find_recipe("official-12"), find_recipe("small-12")
    assert replace(official, name="small-12", cells=1) == small
    assert small.pad * 16 // 32 == 2  # pixels of a crop, see `nb201env.training.data.batches`


def test_classes_are_drawn_and_not_chosen() -> None:
    some = small_space.chosen(128)
    assert len(set(some)) == 128
    assert set(some) <= set(representatives().tolist())
    assert small_space.chosen(40) == some[:40]


def test_agreement_in_closed_form() -> None:
    up = np.arange(50.0)
    assert small_space.agreement(up, up) == pytest.approx((1.0, 0.0))
    assert small_space.agreement(-up, up) == pytest.approx((-1.0, 0.0))
    rho, error = small_space.agreement(np.random.default_rng(1).normal(size=400), np.arange(400.0))
    assert abs(rho) < 0.15
    assert error == pytest.approx(1 / np.sqrt(400), rel=0.2)  # of independent ranks


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command's words for made-up images and a thin network."""
    rng = np.random.default_rng(0)
    images = {
        f"x_{p}": rng.integers(0, 256, (n, 32, 32, 3)).astype(np.uint8)
        for p, n in (("train", 40), ("test", 9))
    }
    np.savez(tmp_path / "c.npz", **images, y_train=np.arange(40) % 10, y_test=np.arange(9), part=True)  # type: ignore[arg-type]
    some = enumerate(small_space.chosen(3))
    lines = [f"{official_index_of(i)},{60 + k},{70 + k}" for k, i in some]
    header = "index,cifar10_valid_acc_12,cifar10_test_acc_12\n"
    (tmp_path / "r.csv").write_text(header + "\n".join(lines) + "\n")
    thin = replace(find_recipe("small-12"), width=2, batch=16)
    monkeypatch.setitem(recipes.PRESETS, "small-12", thin)
    monkeypatch.setattr(small_space, "VALID_IMAGES", 20)
    monkeypatch.setattr(small_space, "TEST_IMAGES", 9)
    return ["--data", str(tmp_path / "c.npz"), "--plain-json", str(tmp_path / "plain.json"), "--count", "3"]


def test_the_study_in_miniature(tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A build and the CPU's classes have the plain trainer's accuracies; what is there is kept."""
    data = load_task("cifar10-valid-16px", tmp_path / "c.npz")
    recipe, wanted = find_recipe("small-12"), small_space.chosen(3)
    plan = Plan(data.task, data.digest, recipe, (777,), only=tuple(wanted), shard=2)
    with one_thread():
        build(Folder.create(tmp_path / "build", plan), source=tmp_path / "c.npz")
        logs, _ = train_plain([Architecture.from_index(i) for i in wanted], data, recipe, 777)
    study = ["--build", str(tmp_path / "build"), "--json", str(tmp_path / "study.json")]
    main(["small_space", "run", *tiny, *study, "--count", "2"])
    main(["small_space", "run", *tiny, *study, "--reference", str(tmp_path / "r.csv")])
    said = capsys.readouterr().out
    assert [line.split(",")[0] for line in said.splitlines() if " of 3, " in line] == ["3 of 3"]
    assert "Validation accuracies of 3 classes by the plain trainer on a CPU are lower by 0.00 points" in said
    found, plain = (small_space.read(tmp_path / name) for name in ("study.json", "plain.json"))
    assert [row["index"] for row in found.rows] == [row["index"] for row in plain.rows] == wanted
    for k, (row, one) in enumerate(zip(found.rows, plain.rows, strict=True)):
        expected = logs.correct["valid"][k] / 20
        assert row["valid"] == one["valid"] == {str(e): pytest.approx(expected[e - 1]) for e in (8, 10, 12)}
        assert row["test"] == one["test"] == pytest.approx(logs.correct["test"][k, -1] / 9, abs=1e-6)
        assert (row["official_12_valid"], row["official_12_test"]) == (0.6 + k / 100, 0.7 + k / 100)
    assert small_space.table(found) in said


def test_another_build_is_no_study(tmp_path: Path) -> None:
    plan = Plan("cifar10-valid-16px", "0" * 64, find_recipe("small-12"), (888,))
    with pytest.raises(ValueError, match="is no build on cifar10-valid-16px with seed 777"):
        small_space.of_build(Folder.create(tmp_path, plan))


def test_the_page_says_what_the_study_found() -> None:
    """And the study says what the build in the repository holds."""
    page = (ROOT / "docs" / "gpu.md").read_text()
    study, plain = small_space.read(small_space.FILE), small_space.read(small_space.PLAIN_FILE)
    assert [row["index"] for row in study.rows] == small_space.chosen(128)
    assert small_space.table(study) in page
    assert " ".join(small_space.beside(study.rows, plain.rows).split()) in " ".join(page.split())

    built = small_space.of_build(Folder.open(ROOT / "builds" / "small-space-stacked"))
    assert (built.recipe, built.trainer) == (study.recipe, study.trainer) == ("small-12", "stacked")
    ours = [{key: row[key] for key in ("index", "valid", "test")} for row in study.rows]
    assert sorted(built.rows, key=lambda row: row["index"]) == sorted(ours, key=lambda row: row["index"])
