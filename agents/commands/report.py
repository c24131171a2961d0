"""The sub-command ``nb201 report``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nb201env.agents.report.data import load
from nb201env.agents.report.write import LATEX, write
from nb201env.commands.common import Json
from nb201env.extras import require
from nb201env.output import plain, print_json, progress_bar


def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders with trajectories.")],
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("report"),
    replay: Annotated[bool, typer.Option("--replay", help="Replay every trajectory first.")] = False,
    table: Annotated[
        list[str] | None,
        typer.Option(
            help="A table that answered some searches, or to look up in what they chose; repeat for more."
        ),
    ] = None,
    figures: Annotated[
        bool,
        typer.Option(
            "--figures/--no-figures",
            help="Draw figures too: PNG for screens, SVG and PDF for papers (needs the extra plots).",
        ),
    ] = True,
    latex: Annotated[
        bool, typer.Option("--latex", help="Write tables.tex too: all tables with booktabs, for a paper.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare agents: one HTML page, Markdown, CSV, JSON and figures, from trajectories alone.

    Example: nb201 report runs/bench --out runs/report --replay
    """
    if figures:
        require("matplotlib", "plots")
    words = ["nb201", "report", *map(str, folders), "--out", str(out)]
    words += [word for path in table or [] for word in ("--table", path)]
    words += ["--replay"] * replay + ["--no-figures"] * (not figures) + ["--latex"] * latex
    with progress_bar("reading", "trajectories") as progress:
        bench = load(folders, check=replay, tables=table or (), progress=progress)
    files = write(bench, out, shlex.join(words), figures=figures, tables=latex)
    pages = [out / name for name in ("report.html", "report.md")]
    if json:
        print_json({"out": str(out), "pages": pages, "files": files, "unfinished": list(bench.unfinished)})
        return
    for page in [*pages, *[out / LATEX] * latex]:
        typer.echo(page)
    if bench.unfinished:
        typer.echo(f"left out, because cut short: {plain(', '.join(bench.unfinished))}", err=True)
