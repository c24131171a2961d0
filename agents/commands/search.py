"""The sub-commands ``nb201 search`` and ``nb201 replay``."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from nb201env import trajectory
from nb201env.agents.registry import AGENTS, display_name
from nb201env.agents.searches import outcome as curves
from nb201env.agents.searches.recorder import replay as replay_trajectory
from nb201env.agents.searches.runner import Failure, Search, format_budget, parse_budget, parse_seeds, run_all


def search(
    agent: Annotated[list[str], typer.Option(help=f"An agent; repeat for several: {', '.join(AGENTS)}.")],
    env: Annotated[str, typer.Option(help="The environment's id.")] = "NB201-cifar10-v0",
    budget: Annotated[str, typer.Option(help="Queries (500) or simulated seconds (12000s).")] = "500",
    seeds: Annotated[str, typer.Option(help="Seeds of the searches: 4, 0-9 or 0,3,7-9.")] = "0",
    out: Annotated[Path, typer.Option(help="Folder for the trajectories.")] = Path("runs"),
    agent_kwargs: Annotated[str, typer.Option(help="Hyper-parameters of the agent, JSON.")] = "{}",
    env_kwargs: Annotated[str, typer.Option(help="Further arguments of the environment, JSON.")] = "{}",
    jobs: Annotated[int, typer.Option(min=1, help="Processes; the results do not depend on it.")] = 1,
    json_: Annotated[bool, typer.Option("--json", help="Print the outcomes as JSON.")] = False,
) -> None:
    """Run searches, write a trajectory for each, and print what they found."""
    searches = [
        Search(
            name, env, seed, parse_budget(budget), out,
            json_object(agent_kwargs, "--agent-kwargs"), json_object(env_kwargs, "--env-kwargs"),
        )
        for name in agent for seed in parse_seeds(seeds)
    ]  # fmt: skip
    for first in {search.agent: search for search in reversed(searches)}.values():
        first.header()  # a mistake in what was asked for shows before anything runs
    failures = execute(searches, jobs)
    failed = {failure.search.path for failure in failures}
    found = outcomes_by_agent([search for search in searches if search.path not in failed])
    if json_:
        typer.echo(json.dumps(as_rows(found), indent=1))
    elif found:
        print_outcomes(found, f"{env}, budget {format_budget(parse_budget(budget))}")
        typer.echo(f"trajectories: {out}{os.sep}")
    finish(failures)


def replay(
    files: Annotated[list[Path], typer.Argument(help="Trajectory files.")],
) -> None:
    """Replay trajectories against their tables and report every difference."""
    failed = False
    for file in files:
        loaded = trajectory.read(file)
        problems = replay_trajectory(loaded)
        if not loaded.complete:
            problems.append("the file has no end: its search was cut short")
        failed |= bool(problems)
        for problem in problems:
            typer.echo(f"{file}: {problem}")
        if not problems:
            typer.echo(f"{file}: {len(loaded.queries)} queries, no difference")
    if failed:
        raise typer.Exit(1)


def json_object(text: str, option: str) -> dict[str, Any]:
    """Read an option that holds a JSON object.

    Raises:
        ValueError: If it is not one.
    """
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"{option} takes a JSON object, such as '{{\"population\": 20}}'; got {text!r}")
    return value


def execute(searches: Sequence[Search], jobs: int, address: str | None = None) -> list[Failure]:
    """Run searches with a progress bar per agent and environment; see `runner.run_all`."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[asked]} queries"),
               TimeElapsedColumn())  # fmt: skip
    several = len({search.env_id for search in searches}) > 1
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars = {}
        for key in dict.fromkeys((search.agent, search.env_id) for search in searches):
            budgets = [s.budget.get("budget_queries", 0) for s in searches if (s.agent, s.env_id) == key]
            label = f"{display_name(key[0]):24}" + (f" {key[1]}" if several else "")
            bars[key] = progress.add_task(label, total=sum(budgets) or None, asked=0)

        def tick(search: Search, count: int) -> None:
            bar = bars[search.agent, search.env_id]
            asked = progress.tasks[bar].completed + count
            progress.update(bar, completed=asked, asked=f"{asked:,.0f}")

        return run_all(searches, jobs, tick, address)


def finish(failures: Sequence[Failure]) -> None:
    """Report searches that failed on stderr, and end the program with code 1 if there are any."""
    for failure in failures:
        typer.echo(f"failed: {failure.search.command}: {failure.reason}", err=True)
    if failures:
        typer.echo(f"{len(failures)} searches failed; the others are finished", err=True)
        raise typer.Exit(1)


def outcomes_by_agent(searches: Sequence[Search]) -> dict[str, list[trajectory.Trajectory]]:
    """The trajectories of finished searches by agent."""
    found: dict[str, list[trajectory.Trajectory]] = {}
    for search in searches:
        found.setdefault(search.agent, []).append(trajectory.read(search.path))
    return found


def run(searches: Sequence[Search], jobs: int) -> dict[str, list[trajectory.Trajectory]]:
    """Run searches, all of which must finish; trajectories by agent."""
    finish(execute(searches, jobs))
    return outcomes_by_agent(searches)


def as_rows(found: dict[str, list[trajectory.Trajectory]]) -> list[dict[str, Any]]:
    """One row per search; accuracy and regret as fractions, time in GPU hours."""
    rows = []
    for name, runs in found.items():
        for one in runs:
            result = curves.outcome(one)
            rows.append(
                {
                    "agent": name,
                    "seed": one.header["seed"],
                    "queries": result.queries,
                    "gpu_hours": result.gpu_hours,
                    "accuracy": result.accuracy,
                    "regret": result.regret,
                    "architecture": str(result.architecture),
                }
            )
    return rows


def print_outcomes(found: dict[str, list[trajectory.Trajectory]], title: str) -> None:
    """Print a table with one row per agent: means over its searches, and the best cell of all."""
    table = RichTable(title=title, title_justify="left", title_style="bold")
    table.add_column("agent", no_wrap=True)
    for heading in ("queries", "simulated\nGPU hours", "best validation\naccuracy (%)", "regret\n(points)"):
        table.add_column(heading, justify="right", no_wrap=True)
    winners = []
    for name, runs in found.items():
        results = [curves.outcome(one) for one in runs]
        best = min(results, key=lambda result: result.regret)
        table.add_row(
            display_name(name),
            f"{np.mean([r.queries for r in results]):,.0f}",
            f"{np.mean([r.gpu_hours for r in results]):,.0f}",
            curves.spread_text([r.accuracy for r in results]),
            curves.spread_text([r.regret for r in results]),
        )
        winners.append(f"  {display_name(name):22}  {100 * best.accuracy:.2f} %  {best.architecture}")
    Console().print(table)
    typer.echo("\n".join(["best architecture found by", *winners]))
