"""The sub-command ``nb201 report``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nb201env.agents.report.csv_files import write_csv
from nb201env.agents.report.data import Bench, load
from nb201env.agents.report.figures import draw
from nb201env.agents.report.markdown import markdown
from nb201env.agents.report.page import page
from nb201env.agents.report.summary import summarise


def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders with trajectories.")],
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("report"),
    replay: Annotated[bool, typer.Option("--replay", help="Replay every trajectory first.")] = False,
    figures: Annotated[bool, typer.Option(help="Also draw figures (needs the extra plots).")] = True,
) -> None:
    """Compare agents: Markdown, CSV, figures and one HTML page, from trajectories alone."""
    words = ["nb201", "report", *map(str, folders), "--out", str(out)]
    command = shlex.join(words + ["--replay"] * replay + ["--no-figures"] * (not figures))
    bench = load(folders, check=replay)
    write(bench, out, command, figures=figures)
    for name in ("report.html", "report.md"):
        typer.echo(out / name)
    if bench.unfinished:
        typer.echo(f"left out, because cut short: {', '.join(bench.unfinished)}", err=True)


def write(bench: Bench, out: Path, command: str, *, figures: bool = True) -> None:
    """Write a report.

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
    drawn = draw(summary, out) if figures else {}
    write_csv(summary, out)
    (out / "report.md").write_text(markdown(summary, command, drawn), encoding="utf-8")
    (out / "report.html").write_text(page(summary, command), encoding="utf-8")
