"""``nb201 bench``: many agents on many environments, resumable; the trajectories of a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nb201env.agents import trajectory
from nb201env.agents.cli import execute, finish, json_object, outcomes_by_agent, print_outcomes
from nb201env.agents.protocols import PROTOCOLS, find_sources, official_sources
from nb201env.agents.protocols import searches as protocol_searches
from nb201env.agents.registry import AGENTS
from nb201env.agents.runner import Search, format_budget, parse_budget, parse_seeds
from nb201env.tables import home

IDENTITY = ("agent", "hyperparameters", "seed", "env", "table")
"""What a trajectory's header must agree in for a search not to be run again."""


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


def plan(
    agents: Sequence[str],
    envs: Sequence[str],
    seeds: Sequence[int],
    budget: Mapping[str, Any],
    out: Path,
    agent_kwargs: Mapping[str, dict[str, Any]] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
) -> list[Search]:
    """The searches of a benchmark, environment by environment.

    Raises:
        ValueError: If something is named twice, or hyper-parameters are given for no agent of it.
    """
    for what, names in (("an agent", agents), ("an environment", envs), ("a seed", seeds)):
        if len(set(names)) < len(names):
            raise ValueError(f"{what} is named twice: {', '.join(map(str, names))}")
    agent_kwargs = agent_kwargs or {}
    for agent, settings in agent_kwargs.items():
        if agent not in agents or not isinstance(settings, dict):
            raise ValueError(
                f'--agent-kwargs holds hyper-parameters by agent, such as {{"{agents[0]}": {{…}}}}; '
                f"got {agent!r}: {json.dumps(settings)}"
            )
    return [
        Search(agent, env, seed, dict(budget), out / env, agent_kwargs.get(agent, {}), dict(env_kwargs or {}))
        for env in envs for agent in agents for seed in seeds
    ]  # fmt: skip


def plan_protocol(
    protocol: str,
    agents: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    agent_kwargs: Mapping[str, dict[str, Any]] | None = None,
) -> list[Search]:
    """The searches of a paper's protocol, on every data set of it whose 12-epoch table is at hand.

    Raises:
        ValueError: As `plan`; also if there is no such protocol.
        FileNotFoundError: If no such table is at hand.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {protocol!r}; the protocols are {', '.join(PROTOCOLS)}")
    sources = find_sources()
    at_hand = [dataset for dataset in PROTOCOLS[protocol].seconds if dataset in sources.search]
    if not at_hand:
        raise FileNotFoundError(
            f"protocol {protocol} searches tables of 12-epoch trainings, such as "
            f"{official_sources().search['cifar10']}, and {home()} has none: import the official files "
            "(nb201 table import)"
        )
    searches = []
    for dataset in at_hand:
        first = protocol_searches(protocol, agents[0], seeds[:1], sources, out, dataset=dataset)[0]
        arguments = first.budget, out, agent_kwargs, first.env_kwargs
        searches += plan(agents, [first.env_id], seeds, *arguments)
    return searches


def unfinished(searches: Sequence[Search]) -> list[Search]:
    """The searches whose finished trajectories are not there yet.

    A trajectory that was cut short is of a search that has to run again.

    Raises:
        ValueError: If a folder holds a trajectory of another configuration, or a file that is none;
            also whatever is wrong with the agents or environments themselves.
    """
    heads: dict[tuple[str, Path], dict[str, Any]] = {}
    todo = []
    for search in searches:
        key = search.agent, search.folder
        if key not in heads:
            heads[key] = search.header()
        if not (search.path.is_file() and _finished(search.path, heads[key] | {"seed": search.seed})):
            todo.append(search)
    planned = {search.path for search in searches}
    for (_, folder), head in heads.items():
        for path in sorted(folder.glob("*.jsonl")):
            if path not in planned:
                _compare(path, trajectory.read_header(path), head, ("env", "table"))
    return todo


def _finished(path: Path, expected: Mapping[str, Any]) -> bool:
    found = trajectory.read(path)
    _compare(path, found.header, expected, IDENTITY)
    return found.complete


def _compare(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any], keys: Sequence[str]) -> None:
    for key in keys:
        if found.get(key) != expected[key]:
            here, wanted = (json.dumps(_essence(head.get(key))) for head in (found, expected))
            raise ValueError(
                f"{path} is a search of another configuration: its {key} is {here}, this benchmark's is "
                f"{wanted}; choose another --out, or delete it"
            )


def _essence(value: Any) -> Any:
    """Of an environment's long specification, the id and the arguments."""
    if isinstance(value, dict) and "kwargs" in value:
        return {"id": value.get("id")} | value["kwargs"]
    return value
