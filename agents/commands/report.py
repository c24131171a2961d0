"""The sub-command ``nb201 report``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nb201env.agents.report.data import load
from nb201env.agents.report.write import write


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
