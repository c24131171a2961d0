"""The report: from measurements to JSON, Markdown and figures; and the committed one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.studies import fidelity as study
from nb201env.surrogate.fidelity import evaluate as evaluation
from nb201env.surrogate.fidelity import figures, protocol, report
from nb201env.surrogate.fidelity.evaluate import Plan, evaluate
from nb201env.surrogate.fidelity.figures import files
from nb201env.surrogate.fidelity.protocol import Job, read_kept
from nb201env.surrogate.fidelity.published import PUBLISHED
from nb201env.table import Table
from nb201env.tables import open_table
from tests.conftest import ROOT

DOCS = ROOT / "docs"
SUMMARY: dict[str, Any] = {"command": "x", "versions": {}}
NO_CEILINGS: dict[str, dict[str, float]] = {"seed": {}, "class": {}}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A real evaluation, as small as one gets."""
    out = tmp_path_factory.mktemp("report")
    plan = Plan(
        tables=("cifar10-valid-200",), split="valid", epochs=200, out=out, sizes=(20, 78), draws=2,
        models=("surrogate", "k-nearest"), transfer_draws=0,
    )  # fmt: skip
    return out, evaluate(plan)


def test_a_tiny_evaluation_writes_its_report(tiny: tuple[Path, dict[str, Any]]) -> None:
    out, summary = tiny
    assert {path.name for path in out.iterdir()} == {
        "fidelity.json", "fidelity.md", "measured-valid-200.jsonl",
        "surrogate-calibration.png", "surrogate-learning.png",
    }  # fmt: skip
    assert json.loads((out / "fidelity.json").read_text()) == summary
    page = (out / "fidelity.md").read_text()
    assert "| PINAT | 0.549 | V [1] |" in page
    assert "k-nearest" in page
    assert "| one seed for another | class mean |" in page
    assert "| 0.910 | 0.950 |" in page
    assert len((out / "measured-valid-200.jsonl").read_text().splitlines()) == 10


def test_every_figure_of_the_page_comes_from_the_measurements(tiny: tuple[Path, dict[str, Any]]) -> None:
    out, summary = tiny
    kept = [json.loads(line) for line in (out / "measured-valid-200.jsonl").read_text().splitlines()]
    own, one_run = summary["tables"][0]["models"]["surrogate"]["78"], summary["tables"][0]["one_run"]
    assert one_run["run"] == "777"
    for run, shown in (("mean", own), ("777", one_run["scores"]["78"])):
        taus = [
            line["scores"]["kendall_tau"] for line in kept
            if (line["model"], line["size"], line["run"]) == ("surrogate", 78, run)
        ]  # fmt: skip
        assert len(taus) == 2
        assert shown["kendall_tau"] == {"mean": round(np.mean(taus), 5), "std": round(np.std(taus), 5)}
        assert f"| {np.mean(taus):.3f} ± {np.std(taus):.3f} |" in (out / "fidelity.md").read_text()


def test_writing_again_gives_the_same_bytes(tiny: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, summary = tiny
    evaluation.write_report(summary, tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes(), path.name


def test_other_epochs_are_measured_anew_in_the_same_folder(epoch_table: str, tmp_path: Path) -> None:
    def ridge(epochs: int, folder: str) -> dict[str, Any]:
        plan = Plan((epoch_table,), "valid", epochs, tmp_path / folder, (20,), draws=1, models=("ridge",))
        return evaluate(plan)

    ridge(6, "shared")
    assert ridge(12, "shared") == ridge(12, "own")


def test_transfer_from_a_table_without_a_name_is_refused_before_anything_is_measured(
    epoch_table: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="'curves-12' does not open .* --transfer-draws 0"):
        evaluate(Plan((epoch_table, "cifar100-200"), "valid", 12, out, (20,)))
    assert not out.exists()


def test_a_report_that_breaks_off_leaves_the_one_before(
    tiny: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, text: str, **_: object) -> None:
        path.write_bytes(text[: len(text) // 2].encode())
        raise KeyboardInterrupt

    _, summary = tiny
    evaluation.write_report(summary, tmp_path)
    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(KeyboardInterrupt):
        evaluation.write_report(summary | {"command": "another"}, tmp_path)
    assert json.loads((tmp_path / "fidelity.json").read_text()) == summary


def test_published_figures_have_a_source_and_stand_beside_cifar_10_alone(table: Table) -> None:
    for name, taus, source in PUBLISHED:
        assert source.mark in ("V", "S", "M"), name
        assert re.search(r"(20\d\d|arXiv)", source.where), name
        assert source.mark == "M" or "github.com/" in source.where, name
        assert source.labels, name
        assert all(size in protocol.PAPER_SIZES and 0 < tau < 1 for size, tau in taus.items()), name
    results = {Job(table.id, "surrogate", 78, 0): {"kendall_tau": 0.8}}
    part = report.summarise_table(table, "valid", 200, results, NO_CEILINGS)
    page = report.markdown(SUMMARY | {"tables": [part]}, {})
    assert all(f"| {name} |" in page for name, _, _ in PUBLISHED)
    elsewhere = report.markdown(SUMMARY | {"tables": [part | {"dataset": "cifar100"}]}, {})
    assert "PINAT" not in elsewhere
    assert "| surrogate, means over runs | 0.800 ± 0.000 |" in elsewhere


def test_the_first_words_follow_from_the_numbers(table: Table) -> None:
    """What is trusted is generated: other numbers, other words."""

    def opening(tau: float, one_run: float) -> str:
        results = {Job(table.id, "surrogate", size, 0): {"kendall_tau": tau} for size in (78, 1563)}
        results |= {Job(table.id, "surrogate", size, 0, "777"): {"kendall_tau": one_run + size / 1e5}
                    for size in (78, 1563)}  # fmt: skip
        ceilings = {"seed": {"kendall_tau": 0.9, "mae": 0.004}, "class": {}}
        part = report.summarise_table(table, "valid", 200, results, ceilings)
        return report.markdown(SUMMARY | {"tables": [part]}, {}).split("\n\n")[2]

    text = opening(0.93, 0.89)
    assert "is 0.930 with N = 1563, and with N = 78 still 0.930" in text
    assert "orders the next runs with 0.900" in text
    assert "orders them better from N = 1563 on (cifar10-valid-200)" in text
    assert "at no N up to 1563 (cifar10-valid-200)" in opening(0.93, 0.5)
    assert "from N = 78 on (cifar10-valid-200)" in opening(0.93, 0.95)


def test_scores_that_some_draws_lack_are_left_out(table: Table) -> None:
    results = {
        Job(table.id, "surrogate", 30, 0): {"kendall_tau": 0.5, "noise_ks": 0.1},
        Job(table.id, "surrogate", 30, 1): {"kendall_tau": 0.7},
    }
    summary = report.summarise_table(table, "valid", 200, results, NO_CEILINGS)
    assert summary["models"]["surrogate"]["30"] == {"draws": 2, "kendall_tau": {"mean": 0.6, "std": 0.1}}


def test_a_score_that_is_not_defined_is_a_dash(table: Table) -> None:
    results = {Job(table.id, "ridge", 30, number): {"kendall_tau": np.nan} for number in range(2)}
    results |= {Job(table.id, "k-nearest", 30, 0): {"kendall_tau": 0.5}}
    part = report.summarise_table(table, "valid", 200, results, NO_CEILINGS)
    assert json.loads(json.dumps(part, allow_nan=False)) == part
    page = report.markdown({"command": "x", "versions": {}, "tables": [part]}, {})
    assert "| ridge | – |" in page
    assert "| k-nearest | 0.500 ± 0.000 |" in page


def test_numbers_are_rounded_everywhere() -> None:
    assert report.rounded({"a": [0.1234567, {"b": (1, 2.0000001)}], "c": "x"}) == {
        "a": [0.12346, {"b": [1, 2.0]}], "c": "x"
    }  # fmt: skip


# -- the committed report ----------------------------------------------------------------------


def test_the_committed_report_follows_from_its_numbers(tmp_path: Path) -> None:
    study.figures(tmp_path)
    assert {figure.name for figure in tmp_path.iterdir()} == set(files(study.committed()).values())
    for figure in tmp_path.iterdir():
        assert (DOCS / "figures" / figure.name).stat().st_size < 200_000
    assert study.page() == {DOCS / "fidelity.md": (DOCS / "fidelity.md").read_text(encoding="utf-8")}
    assert study.committed()["command"] == study.COMMAND
    assert study.committed()["searches"]["command"] == study.SEARCHES


def test_the_committed_report_is_whole() -> None:
    summary = json.loads((DOCS / "data" / "fidelity.json").read_text())
    assert [table["dataset"] for table in summary["tables"]] == ["cifar10", "cifar100", "ImageNet16-120"]
    for table in summary["tables"]:
        assert table["id"] == open_table(table["name"]).id
        own = table["models"]["surrogate"]
        assert list(own) == ["20", "78", "156", "469", "781", "1563", "3125", "7812"]
        assert all(scores["draws"] == 10 for scores in own.values())
        assert table["one_run"]["run"] == "777"
        assert list(table["one_run"]["scores"]) == ["78", "156", "469", "781", "1563"]
        assert all(scores["draws"] == 10 for scores in table["one_run"]["scores"].values())
    searched = summary["searches"]["surrogate"]
    assert searched["id"] == open_table(searched["name"]).id


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "null", '{"tables": 5}', '{"tables": [{}]}', '{"versions": 1, "tables": []}', "NaN"],
)
def test_a_summary_that_is_none_is_named_and_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / "fidelity.json").write_text(content)
    with pytest.raises(ValueError, match=r"fidelity\.json: "):
        evaluation.add_searches({"command": "x"}, tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == [content]


def test_numbers_that_json_lacks_become_null() -> None:
    assert report.rounded({"a": float("inf"), "b": [float("nan"), -float("inf")]}) == {
        "a": None,
        "b": [None, None],
    }


@pytest.mark.parametrize("line", ["[]", "5", '{"scores": 5}', '{"scores": {"a": "b"}}', "[" * 100_000, "{}"])
def test_a_line_that_is_no_result_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "kept.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"kept.jsonl:1: no kept result"):
        read_kept(tmp_path / "kept.jsonl")


def test_a_figure_that_cannot_be_drawn_leaves_the_old_report(
    tiny: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers, page and figures are of one evaluation."""
    out, summary = tiny
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(summary: Any, folder: Path) -> dict[str, str]:
        (folder / "surrogate-learning.png").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figures, "draw", full)
    with pytest.raises(OSError, match="No space left"):
        evaluation.write_report(summary | {"command": "another"}, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_tables_name_is_no_markup(tiny: tuple[Path, dict[str, Any]]) -> None:
    _, summary = tiny
    table = summary["tables"][0] | {"name": "<img src=x> | `a` [b](c) *d*"}
    page = report.markdown(summary | {"tables": [table]}, {})
    assert "## &#60;img src=x> &#124; `a` [b&#93;(c) &#42;d&#42;" in page
    assert "<img" not in page
