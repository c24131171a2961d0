"""All files of a report."""

from __future__ import annotations

from pathlib import Path

from nb201env.agents.report.csv_files import write_csv
from nb201env.agents.report.data import Bench
from nb201env.agents.report.figures import draw
from nb201env.agents.report.markdown import markdown
from nb201env.agents.report.page import page
from nb201env.agents.report.summary import summarise
from nb201env.files import appearing_together


def write(bench: Bench, out: Path, command: str, *, figures: bool = True) -> None:
    """Write a report: all of its files or, if one cannot be written, none.

    Args:
        bench: The searches.
        out: The folder for all files; made if it is not there.
        command: The command that does it, for the report to name.
        figures: Whether to draw figures too.

    Raises:
        MissingExtra: If there shall be figures and matplotlib is not installed.
    """
    summary = summarise(bench)
    out.mkdir(parents=True, exist_ok=True)
    with appearing_together(out, last=("report.md", "report.html")) as folder:
        drawn = draw(summary, folder) if figures else {}
        write_csv(summary, folder)
        (folder / "report.md").write_text(markdown(summary, command, drawn), encoding="utf-8")
        (folder / "report.html").write_text(page(summary, command), encoding="utf-8")
