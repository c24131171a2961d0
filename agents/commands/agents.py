"""``nb201 agents``, which lists them, and ``nb201 check-agent``, which checks that one keeps the contract."""

from __future__ import annotations

import time
from typing import Annotated, Any

import gymnasium as gym
import typer

from nb201env.agents import check, registry
from nb201env.agents.commands.search import ENVS, FRONT_ENV, read_envs
from nb201env.agents.contract import objectives_of
from nb201env.agents.searches.heading import as_json, hyperparameters
from nb201env.agents.searches.runner import check_arguments
from nb201env.agents.source import source_of
from nb201env.commands.common import Json
from nb201env.output import plain, print_grid, print_json
from nb201env.reading import read_object


def agents(json: Json = False) -> None:
    """List the agents: ours, and those of installed packages (entry points nb201.agents).

    Nothing is imported. One of your own needs no entry: it is named module:Class.

    Example: nb201 agents --json
    """
    rows = [{"agent": name, "class": where, "from": "nb201env"} for name, where in registry.AGENTS.items()]
    for name, points in registry.offered().items():
        for point in points:
            hidden = " (not used: ours has this name)" if name in registry.AGENTS else ""
            rows.append({"agent": name, "class": point.value, "from": registry.owner(point) + hidden})
    if json:
        print_json(rows)
    else:
        print_grid(("agent", "class", "from"), [tuple(row.values()) for row in rows])


def check_agent(
    agent: Annotated[str, typer.Argument(help="module:Class, such as mine:MyAgent, or an agent's name.")],
    agent_kwargs: Annotated[str, typer.Option(help="Hyper-parameters of the agent, JSON.")] = "{}",
    env: Annotated[
        str | None,
        typer.Option(help=f"The environment that it is checked on: {ENVS[0]}, or {FRONT_ENV} for a front."),
    ] = None,
    env_kwargs: Annotated[
        str,
        typer.Option(
            help='Further arguments of the environment, JSON; {"actions": "build"} if it plays no other way.'
        ),
    ] = "{}",
    queries: Annotated[int, typer.Option(min=1, help="Queries of each search.")] = 30,
    json: Json = False,
) -> None:
    """Check that an agent keeps the contract, in a few short searches; what is wrong is one sentence.

    Example: nb201 check-agent mine:MyAgent --agent-kwargs '{"population": 20}'
    """
    settings, further = read_object(agent_kwargs, "--agent-kwargs"), read_object(env_kwargs, "--env-kwargs")
    (env_id,) = read_envs([env or (FRONT_ENV if agent in registry.SEVERAL else ENVS[0])])
    check_arguments(further, {"budget_queries": queries})
    made = registry.make_agent(agent, **settings)
    registry.check_objectives(agent, objectives_of(gym.make(env_id, **further)))
    ways = (str(further.pop("actions")),) if "actions" in further else ("build", "pick")
    started = time.monotonic()
    check.check_agent(made, env_id=env_id, actions=ways, queries=queries, **further)
    found: dict[str, Any] = {
        "agent": agent,
        "source": source_of(type(made)),
        "hyperparameters": as_json(hyperparameters(made, registry.settings_of(agent, **settings))),
        "env": env_id,
        "actions": ways,
        "queries": queries,
        "checked": check.CHECKED,
    }
    if json:
        print_json(found)
        return
    typer.echo(
        f"{agent} keeps the contract: searches of {queries} queries on {env_id}, actions {', '.join(ways)}"
    )
    for number, what in enumerate(check.CHECKED, 1):
        typer.echo(f"  {number}. {what}")
    for name, value in found["source"].items():
        typer.echo(plain(f"{name}: {value or 'none'}"))
    typer.echo(f"{time.monotonic() - started:.1f} seconds")
