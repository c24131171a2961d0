"""``nb201 bench``: many agents on many environments, resumable; the trajectories of a report."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nb201env.agents.check import try_out
from nb201env.agents.commands.search import (
    Agents,
    Envs,
    OwnTable,
    Unchecked,
    execute,
    finish,
    read_agents,
    read_setting,
    show,
)
from nb201env.agents.papers.protocols import Sources, find_protocol, find_sources, plan_protocol
from nb201env.agents.searches.plan import plan, unfinished
from nb201env.commands.common import Address, Engine, Jobs, Json, cluster_address
from nb201env.output import resumable
from nb201env.reading import parse_budget, parse_seeds, read_object


def bench(
    agent: Agents,
    env: Envs = None,
    table: OwnTable = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds: 4, 0-9 or 0,3,7-9. Left out: 0-9, and 0-29 of k30.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Queries (500) or simulated seconds (12000s).")] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="A paper's, nb201 or nats, or k30, 30 queries; sets environments and budgets."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the trajectories, OUT/ENV/AGENT-SEED.jsonl.")] = Path(
        "runs/bench"
    ),
    agent_kwargs: Annotated[str, typer.Option(help='Hyper-parameters by agent, JSON: {"ppo": {…}}.')] = "{}",
    env_kwargs: Annotated[str, typer.Option(help="Further arguments of all environments, JSON.")] = "{}",
    jobs: Jobs = 1,
    engine: Engine = "local",
    address: Address = "local",
    unchecked: Unchecked = False,
    json: Json = False,
) -> None:
    """Run every agent on every environment with every seed; run it again to resume after a stop.

    Example: nb201 bench --agent random_search,ppo --seeds 0-9 --budget 300
    """
    cluster = cluster_address(engine, address)
    settings = read_object(agent_kwargs, "--agent-kwargs")
    envs, further = read_setting(env, table, env_kwargs)
    agents, followed = read_agents(agent), None if protocol is None else find_protocol(protocol)
    numbers = parse_seeds(seeds or (followed.seeds if followed else "0-9"))
    if followed is None:
        rules = parse_budget(budget or "500")
        searches = plan(agents, envs, numbers, rules, out, settings, further)
    elif env or budget or further:
        raise ValueError(
            "--protocol sets environments and budgets: leave out --env, --table, --budget, --env-kwargs"
        )
    else:
        searches = plan_protocol(followed, agents, numbers, out, settings)
    todo = unfinished(searches)
    if not unchecked:
        try_out(todo)
    if not json:
        typer.echo(f"{len(searches)} searches, {len(searches) - len(todo)} of them finished before")
    with resumable():
        failures = execute(todo, jobs, cluster)
    sources = find_sources() if followed else Sources({})
    show(searches, failures, as_json=json, looked_up=sources.accuracy)
    finish(failures)
    if not json:
        tables = [str(further["table"])] if "table" in further else [*sources.test.values()]
        words = ["nb201", "report", str(out), *(word for one in tables for word in ("--table", one))]
        typer.echo(f"write the report with: {shlex.join(words)}")
