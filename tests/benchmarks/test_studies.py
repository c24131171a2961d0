"""The studies as one kind of thing: all are listed, their pages are current, and docs/ holds no code."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from benchmarks.checkout import ROOT, environment
from benchmarks.studies import __main__ as studies
from benchmarks.studies import pages
from tests.test_docs import MINUTES

PAGES = [study for study in studies.NAMES if hasattr(studies.study(study), "page")]


@cache
def written(name: str) -> pages.Pages:
    """What a study writes into docs/."""
    found: pages.Pages = studies.study(name).page()
    return found


def test_every_study_is_listed_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    studies.main([])
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    files = {path.stem for path in (ROOT / "benchmarks" / "studies").glob("*.py")}
    assert set(lines) == set(studies.NAMES) == files - {"__init__", "__main__", "pages"}
    assert all(line.endswith(".") and len(line) < 110 for line in lines.values())


@pytest.mark.parametrize("name", studies.NAMES)
def test_a_study_runs_or_writes_a_page(name: str) -> None:
    module = studies.study(name)
    assert hasattr(module, "run") == hasattr(module, "options")
    assert hasattr(module, "run") or hasattr(module, "page")
    if hasattr(module, "options"):
        module.options(argparse.ArgumentParser())


@pytest.mark.parametrize("name", PAGES)
def test_its_pages_are_current(name: str) -> None:
    """Written anew from the committed data, they have the same bytes, and a part that names the study."""
    for path, text in written(name).items():
        assert path.read_text(encoding="utf-8") == text, (
            f"{path} is not current: run python -m benchmarks.studies {name} page"
        )
        assert name in pages.writers(text) or path.suffix == ".ipynb"  # which is made of a page as it is


def test_every_marker_names_a_study_that_writes_its_page() -> None:
    """And no study writes two parts of one page, or stands on a page that it does not write."""
    for path in (ROOT / "docs").rglob("*.md"):
        text = path.read_text(encoding="utf-8").replace(MINUTES, "")
        found = pages.writers(text)
        assert text.count("<!--") == 2 * len(found) == 2 * text.count(pages.END)
        assert set(Counter(found).values()) <= {1}
        for name in found:
            assert path in written(name)
    assert {path.suffix for path in (ROOT / "docs").rglob("*")} & {".py", ".sh"} == set()
    assert {*(ROOT / "docs").rglob("*.ipynb")} == {*written("notebooks")}, (
        "made of pages, no code of their own"
    )


def test_a_part_is_put_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# One\n\n{pages.part('one', 'old')}\n\nText.\n\n{pages.part('two', 'kept')}\n\nEnd.\n")
    text = pages.with_part(page, "one", "new\n")
    assert text == page.read_text().replace("old", "new")
    assert pages.writers(text) == ["one", "two"]
    with pytest.raises(ValueError, match=r"page.md: no part between <!-- written by: .* three page -->"):
        pages.with_part(page, "three", "new")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing", "run"], "invalid choice: 'nothing'"),
        (["digits"], "the following arguments are required: what"),
        (["digits", "run"], "the study digits has no run"),
        (["environments", "run", "--agent", "reinforced"], "did you mean 'reinforce'?"),
        (["official12", "page"], "the study official12 has no page"),
        (["rl", "run", "--wrong"], "unrecognized arguments: --wrong"),
    ],
)
def test_mistakes_are_named(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        studies.main(words)
    assert message in capsys.readouterr().err


def test_a_study_is_imported_without_the_others() -> None:
    """As on a leased machine, where most libraries are not installed."""
    program = (
        "import sys; from benchmarks.studies.__main__ import study\n"
        "study('official12'); study('small_space')\n"
        "heavy = ('nb201env.agents', 'nb201env.surrogate', 'sklearn', 'matplotlib')\n"
        "print(*(name for name in sys.modules if name.startswith(heavy)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_agents_and_environments_are_named_as_nb201_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], list[str]]] = []
    module = studies.study("environments")
    monkeypatch.setattr(module, "run_baselines", lambda _, agents, envs: calls.append((agents, envs)))
    named = ["--agent", "random_search,bohb", "--agent", "tpe", "--env", "NB201-digits-v0"]
    studies.main(["environments", "run", *named])
    studies.main(["environments", "run"])
    assert calls[0] == (["random_search", "bohb", "tpe"], ["NB201-digits-v0"])
    assert calls[1] == (module.COMPARED, list(module.TABLES))
