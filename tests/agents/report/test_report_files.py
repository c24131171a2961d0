"""The files of a report: all of one report, none of an earlier one; and what Markdown shows of them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nb201env import cli
from nb201env.agents.report import markdown as module
from nb201env.agents.report.data import load
from nb201env.agents.report.document import Figure, Section
from nb201env.agents.report.grid import Cell, Grid
from nb201env.agents.report.markdown import markdown
from nb201env.agents.report.summary import Summary, summarise
from tests.agents.conftest import ENVS

CSV = {"searches", "agents", "elsewhere", "reach", "curves", "profiles", "improvement", "overall", "chosen"}
ALWAYS = {"report.html", "report.md", "report.json"} | {f"{name}.csv" for name in CSV}


def report(out: Path, folder: Path, *options: str) -> str:
    result = CliRunner().invoke(cli.build(), ["report", str(folder), "--out", str(out), *options])
    if result.exception:
        raise result.exception
    return result.output


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()}


def pictures(*stems: str) -> set[str]:
    return {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg", "pdf")}


@pytest.fixture(scope="module")
def whole(bench_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A report of two environments with all there is, and what the command said."""
    pytest.importorskip("matplotlib")
    out = tmp_path_factory.mktemp("whole")
    return out, json.loads(report(out, bench_folder, "--latex", "--json"))


@pytest.fixture
def earlier(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy of that report, beside files of somebody else."""
    out = tmp_path / "out"
    out.mkdir()
    for path in whole[0].iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    for name in ("regret.png", "regret-1.png.txt", "my regret-1.png", "notes.tex", "regret-x.pdf"):
        (out / name).write_text("somebody else's")
    (out / "space-9.png").mkdir()
    return out


OTHERS = {"regret.png", "regret-1.png.txt", "my regret-1.png", "notes.tex", "regret-x.pdf", "space-9.png"}


def test_all_files_and_the_command_lists_them(whole: tuple[Path, dict[str, Any]]) -> None:
    out, said = whole
    each = [f"{name}-{number}" for name in ("regret", "profiles", "space") for number in (0, 1)]
    expected = ALWAYS | {"tables.tex"} | pictures(*each, "overall", "ranks")
    assert names(out) == expected
    assert said["files"] == sorted(str(path) for path in out.iterdir())
    assert said["pages"] == [str(out / "report.html"), str(out / "report.md")]
    assert r"\toprule" in (out / "tables.tex").read_text()
    assert "--latex" in (out / "report.md").read_text()


def test_markdown_shows_figures_that_are_there(whole: tuple[Path, dict[str, Any]]) -> None:
    out, _ = whole
    shown = re.findall(r"!\[.+\]\((\S+)\)", (out / "report.md").read_text())
    assert len(set(shown)) == len(shown)
    assert set(shown) == {name for name in names(out) if name.endswith(".png")}


# -- an earlier report -----------------------------------------------------------------------


def test_what_a_new_report_lacks_does_not_stay(earlier: Path, bench_folder: Path) -> None:
    report(earlier, bench_folder / ENVS[0])
    assert names(earlier) == ALWAYS | pictures("regret-0", "profiles-0", "space-0") | OTHERS
    report(earlier, bench_folder, "--no-figures")
    assert names(earlier) == ALWAYS | OTHERS


@pytest.mark.parametrize("broken", ["report.md", "report.html", "agents.csv"])
def test_until_the_new_report_is_whole_the_old_figures_stay(
    broken: str, earlier: Path, bench_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = names(earlier)
    replace = os.replace

    def breaks(old: Path, new: Path) -> None:
        if Path(new).name == broken:
            raise OSError(5, "Input/output error")
        replace(old, new)

    monkeypatch.setattr(os, "replace", breaks)
    with pytest.raises(OSError, match="Input/output error"):
        report(earlier, bench_folder / ENVS[0], "--no-figures")
    assert names(earlier) == before


def test_where_no_report_was_nothing_is_removed(bench_folder: Path, tmp_path: Path) -> None:
    for name in ("regret-7.png", "overall.pdf", "tables.tex"):
        (tmp_path / name).write_text("somebody else's")
    report(tmp_path, bench_folder, "--no-figures")
    assert names(tmp_path) == ALWAYS | {"regret-7.png", "overall.pdf", "tables.tex"}


# -- Markdown --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def summary(bench_folder: Path) -> Summary:
    return summarise(load([bench_folder]))


def test_best_is_bold_warnings_are_quotes_and_the_space_is_a_picture(
    summary: Summary, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (("a|b", Cell("1.0 [0.5, 2.0]", 1.0, best=True)), ("c", Cell("9.0", 9.0)))
    parts = (Grid("Title", ("agent", "regret"), rows), Figure("space", "", "", "space-0", "the space"))
    section = Section("all", "All", ("One is better.",), parts, ("Few | searches.", "Other"))
    monkeypatch.setattr(module, "document", lambda *_: [section])
    text = markdown(summary, "x", {"space-0": "space-0.png"})
    assert "\n\nOne is better.\n\n> **Note:** Few &#124; searches.\n\n> **Note:** Other\n\n" in text
    assert "| a&#124;b | **1.0 [0.5, 2.0]** |\n| c | 9.0 |" in text
    assert "![the space](space-0.png)" in text
    assert "space-0" not in markdown(summary, "x", {})
