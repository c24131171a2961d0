"""``nb201 bench``: many agents on many environments, resumable; the trajectories of a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nb201env.agents.commands.search import execute, finish, json_object, outcomes_by_agent, print_outcomes
from nb201env.agents.papers.protocols import plan_protocol
from nb201env.agents.registry import AGENTS
from nb201env.agents.searches.plan import plan, unfinished
from nb201env.agents.searches.runner import format_budget, parse_budget, parse_seeds


def bench(
    agents: Annotated[str, typer.Option(help=f"Agents, separated by commas: {', '.join(AGENTS)}.")],
    envs: Annotated[str | None, typer.Option(help="Environment ids, separated by commas.")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds of the searches: 4, 0-9 or 0,3,7-9.")] = "0-9",
    budget: Annotated[str | None, typer.Option(help="Queries (500) or simulated seconds (12000s).")] = None,
    protocol: Annotated[
        str | None, typer.Option(help="A paper's: nb201 or nats; sets environments and budgets.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the trajectories, OUT/ENV/AGENT-SEED.jsonl.")] = Path(
        "runs/bench"
    ),
    agent_kwargs: Annotated[str, typer.Option(help='Hyper-parameters by agent, JSON: {"ppo": {…}}.')] = "{}",
    env_kwargs: Annotated[str, typer.Option(help="Further arguments of all environments, JSON.")] = "{}",
    jobs: Annotated[int, typer.Option(min=1, help="Searches at a time; the results do not change.")] = 1,
    engine: Annotated[str, typer.Option(help="local (this machine's processes) or ray.")] = "local",
    address: Annotated[str, typer.Option(help="Of the cluster: local, auto, ray://host:10001.")] = "local",
) -> None:
    """Run every agent on every environment with every seed; run it again to go on after a stop."""
    if engine not in ("local", "ray"):
        raise ValueError(f"unknown engine {engine!r}; the engines are local, ray")
    settings, further = json_object(agent_kwargs, "--agent-kwargs"), json_object(env_kwargs, "--env-kwargs")
    if protocol is None:
        ids = (envs or "NB201-cifar10-v0").split(",")
        rules = parse_budget(budget or "500")
        searches = plan(agents.split(","), ids, parse_seeds(seeds), rules, out, settings, further)
    elif envs or budget or further:
        raise ValueError("--protocol sets environments and budgets: leave out --envs, --budget, --env-kwargs")
    else:
        searches = plan_protocol(protocol, agents.split(","), parse_seeds(seeds), out, settings)
    todo = unfinished(searches)
    typer.echo(f"{len(searches)} searches, {len(searches) - len(todo)} of them finished before")
    failures = execute(todo, jobs, address if engine == "ray" else None)
    failed = {failure.search.path for failure in failures}
    for env in dict.fromkeys(search.env_id for search in searches):
        mine = [search for search in searches if search.env_id == env and search.path not in failed]
        if mine:
            print_outcomes(outcomes_by_agent(mine), f"{env}, budget {format_budget(mine[0].budget)}")
    finish(failures)
    typer.echo(f"write the report with: nb201 report {out}")
