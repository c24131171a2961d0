"""The study behind `small-12`: what it trains, what it computes, and that the page says the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import small_space
from nb201env.classes import representatives
from nb201env.space import Architecture, official_index_of
from training import recipe as recipes
from training.loop import train_plain
from training.recipe import find_recipe
from training.tasks import load_task
from training.threads import one_thread


def test_the_recipe_is_the_official_one_on_a_smaller_network() -> None:
    official, small = find_recipe("official-12"), find_recipe("small-12")
    assert replace(official, name="small-12", cells=1) == small
    assert small.pad * 16 // 32 == 2  # pixels of a crop, see `training.data.batches`


def test_classes_are_drawn_and_not_chosen() -> None:
    some = small_space.chosen(96)
    assert len(set(some)) == 96
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
    np.savez(tmp_path / "c.npz", **images, y_train=np.arange(40) % 10, y_test=np.arange(9))  # type: ignore[arg-type]
    some = enumerate(small_space.chosen(3))
    lines = [f"{official_index_of(i)},{60 + k},{70 + k}" for k, i in some]
    header = "index,cifar10_valid_acc_12,cifar10_test_acc_12\n"
    (tmp_path / "r.csv").write_text(header + "\n".join(lines) + "\n")
    thin = replace(find_recipe("small-12"), width=2, batch=16)
    monkeypatch.setitem(recipes.PRESETS, "small-12", thin)
    return ["--data", str(tmp_path / "c.npz"), "--json", str(tmp_path / "study.json"), "--count", "3"]


def test_the_study_in_miniature(tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its accuracies are the plain trainer's; classes that are there are not trained again."""
    small_space.main([*tiny, "--count", "2"])
    small_space.main([*tiny, "--reference", str(tmp_path / "r.csv")])
    said = capsys.readouterr().out
    assert [line.split(",")[0] for line in said.splitlines() if " of 3, " in line] == ["3 of 3"]
    rows = small_space.read(tmp_path / "study.json")
    assert [row["index"] for row in rows] == small_space.chosen(3)
    some = [Architecture.from_index(row["index"]) for row in rows]
    data = load_task("cifar10-valid-16px", tmp_path / "c.npz")
    with one_thread():
        logs, _ = train_plain(some, data, find_recipe("small-12"), 777)
    for k, row in enumerate(rows):
        expected = logs.correct["valid"][k] / 20
        assert row["valid"] == {str(e): pytest.approx(expected[e - 1]) for e in (8, 10, 12)}
        assert row["test"] == pytest.approx(logs.correct["test"][k, -1] / 9, abs=1e-6)
        assert (row["official_12_valid"], row["official_12_test"]) == (0.6 + k / 100, 0.7 + k / 100)
    assert small_space.table(rows) in said


def test_the_page_says_what_the_study_found() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gpu.md").read_text()
    rows = small_space.read(small_space.FILE)
    assert [row["index"] for row in rows] == [
        i for i in small_space.chosen(96) if i in {r["index"] for r in rows}
    ]
    assert small_space.table(rows) in page
