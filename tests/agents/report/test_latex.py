"""Tables for papers: booktabs, best in bold, and no word of a stranger is a command."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nb201env.agents.report import latex as module
from nb201env.agents.report.data import load
from nb201env.agents.report.document import Figure, Pair, Section
from nb201env.agents.report.grid import Cell, Grid
from nb201env.agents.report.latex import latex
from nb201env.agents.report.summary import Summary, summarise
from nb201env.agents.report.words import _LATEX, in_latex
from nb201env.output import plain

HOSTILE = (
    r"\input{/etc/passwd}", r"\write18{id}", r"\end{tabular}", "a & b", "50 %", "$x^2_3$", "#1", "~", "{",
    "}}",
    "^^5cinput", "[2em]", "*", " [a]", '"a', "``quoted''", "--", "<<>>", "?`", "a\\\\b", "naïve größe",
    "3×3 ± 1 − 2 … → ’", "日本 ✓ \u202e", "\x1b[31m", "|",
)  # fmt: skip


@pytest.fixture(scope="module")
def summary(bench_folder: Path) -> Summary:
    return summarise(load([bench_folder]))


# -- words -----------------------------------------------------------------------------------

_HARMLESS = "|".join([
    *(re.escape(text) for text in sorted(_LATEX.values(), key=len, reverse=True)),
    r"\\texttt\{U\+[0-9A-F]{4,6}\}", r"[-,']\{\}", r"\{[\[*]\}", r"[^\\{}$&#%_^~]",
])  # fmt: skip


@given(st.text())
def test_escaped_text_holds_no_active_sign_alone(text: str) -> None:
    found = in_latex(text)
    assert re.fullmatch(f"(?:{_HARMLESS})*", found)
    assert found.lstrip()[:1] not in ("[", "*")
    assert all(sign.isascii() or "À" <= sign <= "ÿ" for sign in found)


@given(st.text())
def test_nothing_of_a_text_is_lost(text: str) -> None:
    back = {value: key for key, value in _LATEX.items() if not value.startswith(r"\texttt")}
    read = ""
    for token in re.findall(_HARMLESS, in_latex(text)):
        named = re.fullmatch(r"\\texttt\{U\+([0-9A-F]+)\}", token)
        read += chr(int(named[1], 16)) if named else back.get(token, token.removesuffix("{}").strip("{}"))
    assert read == plain(text)


def test_words_as_they_are_set() -> None:
    assert in_latex("91.5 ± 0.2 %") == r"91.5 $\pm$ 0.2 \%"
    assert in_latex("CMA-ES, 3×3") == r"CMA-ES, 3$\times$3"
    assert in_latex(r"\input{x}") == r"\textbackslash{}input\{x\}"
    assert in_latex("[1, 2]") == "{[}1, 2]"
    assert in_latex("5 [1, 2]") == "5 [1, 2]"
    assert in_latex("größer") == "größer"
    assert in_latex("日") == r"\texttt{U+65E5}"
    assert in_latex("--") == "-{}-"


# -- tables ----------------------------------------------------------------------------------


def test_every_table_of_the_report_is_there(summary: Summary) -> None:
    text = latex(summary, "nb201 report runs")
    labels = re.findall(r"\\label\{(.*)\}", text)
    assert len(set(labels)) == len(labels)
    for name in ("all-all-environments", "environment-0-final-results", "environment-0-on-other-tables",
                 "environment-1-queries-to-reach-the-optimum",
                 "environment-1-probability-of-improvement"):  # fmt: skip
        assert f"tab:{name}" in labels
    for what in ("begin{table}", "end{table}", "caption{", "toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{what}") == len(labels)
    assert summary.bench.digest in text
    assert re.search(r"^regularized evolution & .* \$\\pm\$ .* \\\\$", text, re.MULTILINE)
    assert "nan" not in text


def shown(grid: Grid, summary: Summary, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text of a report that has this table alone."""
    pair = Pair(Figure("profile", "", ""), grid)
    sections = [Section("all", "All", (), (pair,)), Section("sources", "Sources", (), (grid,))]
    monkeypatch.setattr(module, "document", lambda *_: sections)
    return latex(summary, "x")


def test_what_is_best_is_bold(summary: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (("a", Cell("1.0 [0.5, 2.0]", 1.0, best=True)), ("b", Cell("9.0", 9.0)))
    text = shown(Grid("Title", ("agent", "regret"), rows), summary, monkeypatch)
    assert r"a & \textbf{1.0 [0.5, 2.0]} \\" in text
    assert r"b & 9.0 \\" in text
    assert r"\begin{tabular}{lr}" in text
    assert text.count(r"\begin{table}") == 1  # none of where the numbers come from


def test_a_matrix_of_many_agents_has_numbers_as_headings(
    summary: Summary, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [f"agent {number}" for number in range(7)]
    monkeypatch.setattr(type(summary.bench), "labels", property(lambda _: labels))
    rows = tuple((label, *(Cell(f"{50 + n} % [1, 99]") for n in range(7))) for label in labels)
    text = shown(Grid("Chance", ("better than", *labels), rows, matrix=True), summary, monkeypatch)
    assert "& 1 & 2 & 3 & 4 & 5 & 6 & 7 " in text
    assert "7  agent 6 & 50 & 51 & 52 & 53 & 54 & 55 & 56 " in text
    assert "Columns are numbered as the rows, and intervals left out." in text


def test_latex_sets_it(summary: Summary, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The report's own tables, and one of what strangers may write, with nothing but two packages."""
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("no pdflatex")
    (tmp_path / "tables.tex").write_text(latex(summary, r"nb201 report '\input{x}'"), encoding="utf-8")
    rows = tuple((text, Cell(text, best=True)) for text in HOSTILE)
    hostile = shown(
        Grid(HOSTILE[0], ("agent", "^^5cfoo % & $"), rows, "".join(HOSTILE)), summary, monkeypatch
    )
    (tmp_path / "hostile.tex").write_text(hostile, encoding="utf-8")
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}"
        r"\input{tables}\clearpage\input{hostile}\end{document}"
    )
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert not re.search(r"Missing character|\(/etc/passwd|multiply.defined|undefined", log)
