"""The sub-commands ``nb201 search`` and ``nb201 replay``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import TextColumn

from nb201env import trajectory
from nb201env.agents.registry import AGENTS, display_name
from nb201env.agents.searches.outcome import Outcome, outcome, spread_text
from nb201env.agents.searches.recorder import replay as replay_trajectory
from nb201env.agents.searches.runner import Failure, Search, run_all
from nb201env.commands.common import Jobs, Json, Seeds
from nb201env.envs.registration import SURROGATES, TABLES
from nb201env.output import print_grid, print_json, progress_bars
from nb201env.reading import format_budget, parse_budget, parse_seeds, read_names, read_object

Agents = Annotated[
    list[str], typer.Option("--agent", help=f"Agents, repeated or with commas: {', '.join(AGENTS)}.")
]
Envs = Annotated[
    list[str], typer.Option("--env", help=f"Environments, repeated or with commas: {', '.join(TABLES)}, …")
]

ENVS = ["NB201-cifar10-v0"]


def search(
    agent: Agents,
    env: Envs = ENVS,
    budget: Annotated[str, typer.Option(help="Queries (500) or simulated seconds (12000s).")] = "500",
    seeds: Seeds = "0",
    out: Annotated[
        Path,
        typer.Option(help="Folder for the trajectories; one folder per environment if there are several."),
    ] = Path("runs"),
    agent_kwargs: Annotated[str, typer.Option(help="Hyper-parameters of the agent, JSON.")] = "{}",
    env_kwargs: Annotated[str, typer.Option(help="Further arguments of the environment, JSON.")] = "{}",
    jobs: Jobs = 1,
    json: Json = False,
) -> None:
    """Run searches, write a trajectory for each, and print what they found.

    Example: nb201 search --agent random_search,ppo --seeds 0-4 --budget 300
    """
    envs, rules = read_envs(env), parse_budget(budget)
    searches = [
        Search(
            name, where, seed, rules, out / where if len(envs) > 1 else out,
            read_object(agent_kwargs, "--agent-kwargs"), read_object(env_kwargs, "--env-kwargs"),
        )
        for where in envs for name in read_agents(agent) for seed in parse_seeds(seeds)
    ]  # fmt: skip
    for first in {(search.agent, search.env_id): search for search in reversed(searches)}.values():
        first.header()  # a mistake in what was asked for shows before anything runs
    failures = execute(searches, jobs)
    show(searches, failures, as_json=json)
    if not json and len(failures) < len(searches):
        typer.echo(f"trajectories: {out}{os.sep}")
    finish(failures)


def replay(
    files: Annotated[list[Path], typer.Argument(help="Trajectory files.")], json: Json = False
) -> None:
    """Replay trajectories against their tables and report every difference; exit code 1 if there is one.

    Example: nb201 replay runs/ppo-0.jsonl
    """
    found = []
    for file in files:
        loaded = trajectory.read(file)
        problems = replay_trajectory(loaded)
        if not loaded.complete:
            problems.append("the file has no end: its search was cut short")
        found.append({"file": str(file), "queries": len(loaded.queries), "problems": problems})
        if not json:
            for problem in problems or [f"{len(loaded.queries)} queries, no difference"]:
                typer.echo(f"{file}: {problem}")
    if json:
        print_json(found)
    if any(one["problems"] for one in found):
        raise typer.Exit(1)


def read_agents(texts: Iterable[str]) -> list[str]:
    """The agents that ``--agent`` names."""
    return read_names(texts, "agent", AGENTS)


def read_envs(texts: Iterable[str]) -> list[str]:
    """The environments that ``--env`` names."""
    return read_names(texts, "environment", TABLES | SURROGATES)


def execute(searches: Sequence[Search], jobs: int, address: str | None = None) -> list[Failure]:
    """Run searches with a progress bar per agent and environment; see `runner.run_all`."""
    several = len({search.env_id for search in searches}) > 1
    with progress_bars(TextColumn("{task.fields[asked]} queries")) as progress:
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


def show(searches: Sequence[Search], failures: Sequence[Failure], *, as_json: bool) -> None:
    """Print what the searches found that did not fail: a table per environment, or JSON."""
    failed = {failure.search.path for failure in failures}
    rows: list[dict[str, Any]] = []
    for env in dict.fromkeys(search.env_id for search in searches):
        mine = [search for search in searches if search.env_id == env and search.path not in failed]
        found = outcomes_by_agent(mine)
        if as_json:
            rows += [{"env": env} | row for row in as_rows(found)]
        elif found:
            print_outcomes(found, f"{env}, budget {format_budget(mine[0].budget)}")
    if as_json:
        print_json(rows)


def outcomes_by_agent(searches: Sequence[Search]) -> dict[str, list[Outcome]]:
    """What finished searches found, by agent."""
    found: dict[str, list[Outcome]] = {}
    for search in searches:
        found.setdefault(search.agent, []).append(outcome(trajectory.read(search.path)))
    return found


def run(searches: Sequence[Search], jobs: int) -> dict[str, list[Outcome]]:
    """Run searches, all of which must finish; what they found, by agent."""
    finish(execute(searches, jobs))
    return outcomes_by_agent(searches)


def as_rows(found: dict[str, list[Outcome]]) -> list[dict[str, Any]]:
    """One row per search; accuracy and regret as fractions, time in GPU hours."""
    return [
        {
            "agent": name,
            "seed": one.seed,
            "queries": one.queries,
            "gpu_hours": one.gpu_hours,
            "accuracy": one.accuracy,
            "regret": one.regret,
            "architecture": str(one.architecture),
        }
        for name, results in found.items()
        for one in results
    ]


def print_outcomes(found: dict[str, list[Outcome]], title: str) -> None:
    """Print a table with one row per agent: means over its searches, and the best cell of all."""
    rows, winners = [], []
    for name, results in found.items():
        best = min(results, key=lambda result: result.regret)
        rows.append(
            (
                display_name(name),
                f"{np.mean([r.queries for r in results]):,.0f}",
                f"{np.mean([r.gpu_hours for r in results]):,.0f}",
                spread_text([r.accuracy for r in results]),
                spread_text([r.regret for r in results]),
            )
        )
        winners.append((f"  {display_name(name)}", f"{100 * best.accuracy:.2f} %", best.architecture))
    headings = "agent", "queries", "simulated\nGPU hours", "best validation\naccuracy (%)", "regret\n(points)"
    print_grid(headings, rows, title)
    print_grid(("", "", ""), winners, "best architecture found by")
