"""``nb201 demo``: three agents search NB201-cifar10-v0; a table, and a report with their regret curves."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from nb201env.agents.commands.search import print_outcomes, run
from nb201env.agents.report.data import load_files
from nb201env.agents.report.write import write
from nb201env.agents.searches.runner import Search

ENV_ID = "NB201-cifar10-v0"
AGENTS = ("random_search", "regularized_evolution", "ppo")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for trajectories and report.")] = Path("runs"),
    queries: Annotated[int, typer.Option(min=1, help="Queries per search.")] = 1000,
    searches: Annotated[int, typer.Option(min=1, help="Searches per agent, with seeds 0, 1, …")] = 10,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
) -> None:
    """Compare random search, regularized evolution and PPO on the real CIFAR-10 numbers."""
    started = time.monotonic()
    folder = out / "demo"
    plan = [
        Search(agent, ENV_ID, seed, {"budget_queries": queries}, folder)
        for agent in AGENTS
        for seed in range(searches)
    ]
    typer.echo(f"{len(plan)} searches of {queries:,} queries each on {ENV_ID}")
    found = run(plan, min(jobs, len(plan)))
    title = f"{ENV_ID}: mean ± standard deviation of {searches} searches of {queries:,} queries"
    print_outcomes(found, title)
    pages = out / "demo-report"
    write(load_files([search.path for search in plan]), pages, f"nb201 demo --queries {queries} "
          f"--searches {searches} --out {out}")  # fmt: skip
    typer.echo(
        f"regret curves: {pages / 'regret-0.png'}; all about these searches: {pages / 'report.html'}; "
        f"trajectories: {folder}{os.sep} (check one with: nb201 replay {plan[-1].path})\n"
        f"{time.monotonic() - started:.0f} seconds"
    )
