"""``nb201 demo``: three agents search NB201-cifar10-v0; a table, and a report with their regret curves."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from nb201env.agents.commands.search import as_rows, execute, finish, outcomes_by_agent, print_outcomes
from nb201env.agents.report.data import load_files
from nb201env.agents.report.write import write
from nb201env.agents.searches.plan import unfinished
from nb201env.agents.searches.runner import Search
from nb201env.commands.common import CORES, Jobs, Json, Seeds
from nb201env.extras import require
from nb201env.output import print_json, resumable
from nb201env.reading import format_budget, parse_budget, parse_seeds

ENV_ID = "NB201-cifar10-v0"
AGENTS = ("random_search", "regularized_evolution", "ppo")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for trajectories and report.")] = Path("runs"),
    budget: Annotated[str, typer.Option(help="Queries (500) or simulated seconds (12000s).")] = "1000",
    seeds: Seeds = "0-9",
    jobs: Jobs = CORES,
    json: Json = False,
) -> None:
    """Compare random search, regularized evolution and PPO on the real CIFAR-10 numbers.

    Finished searches are kept; another budget needs another --out.

    Example: nb201 demo --budget 300 --seeds 0-4
    """
    started = time.monotonic()
    require("stable_baselines3", "agents")
    require("matplotlib", "plots")
    folder, numbers, rules = out / "demo", parse_seeds(seeds), parse_budget(budget)
    plan = [Search(agent, ENV_ID, seed, rules, folder) for agent in AGENTS for seed in numbers]
    budget = format_budget(rules)
    if not json:
        typer.echo(f"{len(plan)} searches on {ENV_ID}, budget {budget}")
    with resumable():
        failures = execute(unfinished(plan), min(jobs, len(plan)))
    failed = [failure.search for failure in failures]
    finished = [search for search in plan if search not in failed]
    if not finished:
        finish(failures)
    found = outcomes_by_agent(finished)
    if json:
        print_json([{"env": ENV_ID} | row for row in as_rows(found)])
    else:
        title = f"{ENV_ID}, budget {budget}: mean ± standard deviation of {len(numbers)} searches"
        print_outcomes(found, title)
    pages = out / "demo-report"
    command = shlex.join(["nb201", "demo", "--budget", budget, "--seeds", seeds, "--out", str(out)])
    write(load_files([search.path for search in finished]), pages, command)
    if not json:
        typer.echo(_where(pages, folder, finished[-1]) + f"\n{time.monotonic() - started:.0f} seconds")
    finish(failures)


def _where(pages: Path, folder: Path, last: Search) -> str:
    return (
        f"regret curves: {pages / 'regret-0.png'}; all about these searches: {pages / 'report.html'}; "
        f"trajectories: {folder}{os.sep} (check one with: nb201 replay {last.path})"
    )
