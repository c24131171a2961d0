"""All files of a report."""

from __future__ import annotations

import re
from pathlib import Path

from nb201env.agents.report.csv_files import write_csv
from nb201env.agents.report.data import Bench
from nb201env.agents.report.figures import FILES, draw
from nb201env.agents.report.fronts.csv_files import FRONT_FILES
from nb201env.agents.report.json_file import json_text
from nb201env.agents.report.latex import latex
from nb201env.agents.report.markdown import markdown
from nb201env.agents.report.page import page
from nb201env.agents.report.summary import summarise
from nb201env.files import appearing_together

LATEX = "tables.tex"
_LAST = ("report.md", "report.html")
# What one report has and the next one may lack.
_SOMETIMES = re.compile(rf"{FILES.pattern}|{re.escape(LATEX)}|(?:{'|'.join(FRONT_FILES)})\.csv")


def write(bench: Bench, out: Path, command: str, *, figures: bool = True, tables: bool = False) -> list[Path]:
    """Write a report: all of its files or, if one cannot be written, none.

    Figures and tables of an earlier report in the folder that this one does not have are removed.

    Args:
        bench: The searches.
        out: The folder for all files; made if it is not there.
        command: The command that does it, for the report to name.
        figures: Whether to draw figures too.
        tables: Whether to write the tables for LaTeX too.

    Returns:
        The files, sorted by name.

    Raises:
        MissingExtra: If there shall be figures and matplotlib is not installed.
    """
    summary = summarise(bench)
    out.mkdir(parents=True, exist_ok=True)
    replaces = _SOMETIMES if all((out / name).is_file() for name in _LAST) else None
    with appearing_together(out, last=_LAST, replacing=replaces) as folder:
        drawn = draw(summary, folder) if figures else {}
        write_csv(summary, folder)
        texts = {
            "report.json": json_text(summary, command),
            "report.md": markdown(summary, command, drawn),
            "report.html": page(summary, command),
        } | ({LATEX: latex(summary, command)} if tables else {})
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        names = sorted(path.name for path in folder.iterdir())
    return [out / name for name in names]
