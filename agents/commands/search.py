"""The sub-commands ``nb201 search`` and ``nb201 replay``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import TextColumn

from nb201env import trajectory
from nb201env.agents.check import try_out
from nb201env.agents.registry import AGENTS, HINT, display_name, names, offered, owner
from nb201env.agents.searches.front import answer_volume, front_landscape, gap, whole_queries
from nb201env.agents.searches.outcome import Outcome, outcome, spread_text
from nb201env.agents.searches.plan import plan, unfinished
from nb201env.agents.searches.recorder import ENV_IDS
from nb201env.agents.searches.recorder import replay as replay_trajectory
from nb201env.agents.searches.runner import Failure, Search, run_all
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.commands.common import Jobs, Json, Seeds
from nb201env.envs.answers import keeps_time
from nb201env.envs.registration import MULTI, OWN, OWN_MULTI, TABLES
from nb201env.extras import require
from nb201env.output import plain, print_error, print_grid, print_json, progress_bars, resumable
from nb201env.reading import (
    check_name,
    format_budget,
    format_seeds,
    parse_budget,
    parse_seeds,
    read_names,
    read_object,
)

ENVS = ["NB201-cifar10-v0"]
FRONT_ENV = "NB201-cifar10-mo-v0"

Agents = Annotated[
    list[str],
    typer.Option(
        "--agent",
        help=f"Agents, repeated or with commas: {', '.join(AGENTS)}, those of packages (nb201 agents), or "
        "module:Class for one of your own, such as mine:MyAgent.",
    ),
]
Unchecked = Annotated[
    bool,
    typer.Option("--unchecked", help="Do not try the contract of agents of your own in a few queries first."),
]
Envs = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        help=f"Environments, repeated or with commas: {', '.join(TABLES)}, …; by default {ENVS[0]}, or {OWN} "
        "with --table.",
    ),
]
OwnTable = Annotated[
    str | None, typer.Option("--table", help="A table of your own to search on, by name or path.")
]
TableFiles = Annotated[
    list[str], typer.Option("--table", help="Name or path of a table that answered; repeat for more.")
]


def search(
    agent: Agents,
    env: Envs = None,
    table: OwnTable = None,
    budget: Annotated[str, typer.Option(help="Queries (500) or simulated seconds (12000s).")] = "500",
    seeds: Seeds = "0",
    out: Annotated[Path, typer.Option(help="Folder for the trajectories, OUT/ENV/AGENT-SEED.jsonl.")] = Path(
        "runs"
    ),
    agent_kwargs: Annotated[str, typer.Option(help="Hyper-parameters of the agent, JSON.")] = "{}",
    env_kwargs: Annotated[str, typer.Option(help="Further arguments of the environment, JSON.")] = "{}",
    jobs: Jobs = 1,
    unchecked: Unchecked = False,
    json: Json = False,
) -> None:
    """Run searches, write a trajectory for each, and print what they found; finished ones are kept.

    Example: nb201 search --agent random_search,ppo --seeds 0-4 --budget 300
    """
    agents, numbers = read_agents(agent), parse_seeds(seeds)
    settings = read_object(agent_kwargs, "--agent-kwargs")
    envs, further = read_setting(env, table, env_kwargs)
    searches = plan(
        agents, envs, numbers, parse_budget(budget), out, dict.fromkeys(agents, settings), further
    )
    todo = unfinished(searches)
    if not unchecked:
        try_out(todo)
    if not json and len(todo) < len(searches):
        typer.echo(f"{len(searches)} searches, {len(searches) - len(todo)} of them finished before")
    with resumable():
        failures = execute(todo, jobs)
    show(searches, failures, as_json=json)
    if not json and len(failures) < len(searches):
        typer.echo(f"trajectories: {out}{os.sep}")
    finish(failures)


def replay(
    files: Annotated[list[Path], typer.Argument(help="Trajectory files.")],
    table: TableFiles = [],  # noqa: B006 (typer's own copy)
    json: Json = False,
) -> None:
    """Replay trajectories against their tables and report every difference; exit code 1 if there is one.

    A trajectory names its table by id: one of the embedded ones, of your own (in NB201_HOME), or of
    those that --table names.

    Example: nb201 replay runs/NB201-cifar10-v0/ppo-0.jsonl
    """
    found, unreadable = [], False
    for file in files:
        try:
            asked, problems = _replayed(file, table)
        except (ValueError, OSError, LookupError) as error:  # the other files' results are not lost
            print_error(error)
            unreadable = True
            continue
        found.append({"file": str(file), "queries": asked, "problems": problems})
        if not json:
            for problem in problems or [f"{asked} queries, no difference"]:
                typer.echo(f"{file}: {problem}")
    if json:
        print_json(found)
    if unreadable or any(one["problems"] for one in found):
        raise typer.Exit(2 if unreadable else 1)


def _replayed(file: Path, tables: Sequence[str]) -> tuple[int, list[str]]:
    """How many queries a trajectory has, and what is wrong with them."""
    if file.is_dir():
        raise ValueError(f"{file} is a folder; name trajectory files, such as those of {file / '*.jsonl'}")
    loaded = trajectory.read(file)
    problems = replay_trajectory(loaded, loaded.table(tables))
    if not loaded.complete:
        problems.append("the file has no end: its search was cut short")
    return len(loaded.queries), problems


def read_agents(texts: Iterable[str]) -> list[str]:
    """The agents that ``--agent`` names."""
    read, packages = read_names(texts, "agent", names(), HINT), offered()
    for name in read:
        for point in packages.get(name, []) if name in AGENTS else []:
            typer.echo(
                f"{name} is our agent; that of {plain(owner(point))} is {plain(point.value)}", err=True
            )
    return read


def read_setting(
    envs: Iterable[str] | None, table: str | None, env_kwargs: str
) -> tuple[list[str], dict[str, Any]]:
    """The environments to search, and their further arguments, among them a table of one's own."""
    further = read_object(env_kwargs, "--env-kwargs")
    if table is not None and "table" in further:
        raise ValueError("--table and --env-kwargs both name a table; leave one out")
    found = read_envs(envs or (ENVS if table is None else [OWN]))
    if any(name in MULTI or name == OWN_MULTI for name in found):
        require("moocore", "multi")  # before the searches, for what they found is shown as hypervolumes
    return found, further if table is None else further | {"table": table}


def read_envs(texts: Iterable[str]) -> list[str]:
    """The environments that ``--env`` names, with or without "nb201env:" before the id."""
    given = read_names(texts, "environment", ENV_IDS, telling=_telling)
    names = [name.removeprefix("nb201env:") for name in given]
    for name in names:
        check_name(name, "environment", ENV_IDS, telling=_telling)
    return names


def _telling(env_id: str) -> str:
    return env_id.removeprefix("NB201-").removesuffix("-v0")


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
    """Report searches that failed on stderr, and end the program with code 1 if there are any.

    Those of one agent on one environment that failed for the same reason share a line.
    """
    alike: dict[tuple[str, str, str], list[Search]] = {}
    for search, reason in failures:
        alike.setdefault((search.agent, search.env_id, reason), []).append(search)
    for (agent, env, reason), some in alike.items():
        seeds = [search.seed for search in some]
        line = (
            f"failed: {display_name(agent)} on {env}, {'seeds' if len(seeds) > 1 else 'seed'} "
            f"{format_seeds(seeds)}: {reason} (again: {some[0].command_with(seeds)})"
        )
        typer.echo(plain(" ".join(line.split())), err=True)
    if failures:
        count = "1 search" if len(failures) == 1 else f"{len(failures)} searches"
        typer.echo(f"{count} failed; the others are finished", err=True)
        raise typer.Exit(1)


LookUp = Callable[[str, str], FloatArray | None]
"""From a data set and a split to the accuracy of every architecture; `Sources.accuracy` is one."""


def show(
    searches: Sequence[Search],
    failures: Sequence[Failure],
    *,
    as_json: bool,
    looked_up: LookUp | None = None,
) -> None:
    """Print what the searches found that did not fail: a table per environment, or JSON.

    Args:
        searches: All of them.
        failures: Those that failed.
        as_json: Whether as JSON.
        looked_up: Where test accuracies come from that the searched table lacks.
    """
    failed = {failure.search.path for failure in failures}
    rows: list[dict[str, Any]] = []
    for env in dict.fromkeys(search.env_id for search in searches):
        mine = [search for search in searches if search.env_id == env and search.path not in failed]
        found = outcomes_by_agent(mine)
        test = looked_up(mine[0].table.dataset, "test") if looked_up and mine else None
        if as_json:
            rows += [{"env": env} | row for row in as_rows(found, test)]
        elif found:
            clock = "" if keeps_time(mine[0].table) else " (no clock: the table records no seconds)"
            print_outcomes(found, f"{env}, budget {format_budget(mine[0].budget)}{clock}", test)
    if as_json:
        print_json(rows)


def outcomes_by_agent(searches: Sequence[Search]) -> dict[str, list[Outcome]]:
    """What finished searches found, by agent."""
    found: dict[str, list[Outcome]] = {}
    for search in searches:
        found.setdefault(search.agent, []).append(outcome(trajectory.read(search.path), search.table))
    return found


def run(searches: Sequence[Search], jobs: int) -> dict[str, list[Outcome]]:
    """Run the searches that are not finished, all of which must finish; what all found, by agent."""
    finish(execute(unfinished(searches), jobs))
    return outcomes_by_agent(searches)


def as_rows(found: dict[str, list[Outcome]], test: FloatArray | None = None) -> list[dict[str, Any]]:
    """One row per search; accuracies, regret and shares of the true front as fractions, time in GPU hours.

    Args:
        found: What the searches found, by agent.
        test: Every architecture's test accuracy, where it is known: the rows then have that too.
    """
    return [
        {"agent": name, "seed": one.seed, "queries": one.queries, "gpu_hours": one.gpu_hours}
        | _result(one)
        | ({} if test is None else {"test_accuracy": float(test[one.chosen])})
        for name, results in found.items()
        for one in results
    ]


def _result(one: Outcome) -> dict[str, Any]:
    """What a search found."""
    if one.answer is None:
        return {"accuracy": one.accuracy, "regret": one.regret, "architecture": str(one.architecture)}
    answer = [str(Architecture.from_index(index)) for index in one.answer.tolist()]
    return _front_result(one) | {"architectures": answer}


def _front_result(one: Outcome) -> dict[str, float]:
    """Of what a search asked for, its shares of the true front's hypervolume and points; and its answer's."""
    landscape, asked = front_landscape(one), whole_queries(one)
    return {
        "hypervolume": 1 - float(gap(landscape.volumes(asked))[-1]),
        "share_of_front": float(landscape.shares(asked)[-1]),
        "answer_hypervolume": answer_volume(one, landscape),
    }


def print_outcomes(found: dict[str, list[Outcome]], title: str, test: FloatArray | None = None) -> None:
    """Print a table with one row per agent: means over its searches, and the best cell of all.

    With several objectives there is no best cell; `nb201 report` has the fronts.

    Args:
        found: What the searches found, by agent.
        title: Of the table.
        test: Every architecture's test accuracy, where it is known and there is one objective.
    """
    several = any(one.answer is not None for results in found.values() for one in results)
    headings = "agent", "queries", "simulated\nGPU hours", *(_FRONT_HEADINGS if several else _HEADINGS)
    headings += () if test is None else ("test\naccuracy (%)",)
    rows, winners = [], []
    for name, results in found.items():
        if several:
            shares = map(_front_result, results)
            columns = [*zip(*(share.values() for share in shares), strict=True)]
        else:
            columns = [*zip(*((one.accuracy, one.regret) for one in results), strict=True)]
            columns += [] if test is None else [tuple(test[[one.chosen for one in results]].tolist())]
            best = min(results, key=lambda result: result.regret)
            winners.append((f"  {display_name(name)}", f"{100 * best.accuracy:.2f} %", best.architecture))
        rows.append(
            (
                display_name(name),
                f"{np.mean([r.queries for r in results]):,.0f}",
                f"{np.mean([r.gpu_hours for r in results]):,.0f}",
                *map(spread_text, columns),
            )
        )
    print_grid(headings, rows, title)
    if winners:
        print_grid(("", "", ""), winners, "best architecture found by")


_HEADINGS = "best validation\naccuracy (%)", "regret\n(points)"
_FRONT_HEADINGS = "hypervolume\n(% of the front's)", "share of\nthe front (%)", "answer's\nhypervolume (%)"
