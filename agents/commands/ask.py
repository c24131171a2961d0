"""The sub-commands ``nb201 ask`` and ``nb201 tell``: searches whose searcher is another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nb201env.agents.commands.search import ENVS, read_envs
from nb201env.agents.searches import asking
from nb201env.commands.common import Json
from nb201env.envs.registration import OWN
from nb201env.output import percent, print_grid, print_json
from nb201env.reading import parse_budget, parse_seeds, read_architectures, read_object

State = Annotated[Path, typer.Argument(help="The search's state, its trajectory: a file ….jsonl.")]
Table = Annotated[
    str | None,
    typer.Option(
        "--table", help="A table of your own, by name or path; in every call, unless in NB201_HOME."
    ),
]
SHOWN = 10
"""So many answers are shown to people."""


def ask(
    state: State,
    budget: Annotated[
        str | None,
        typer.Option(help="Begin a search with so many queries (30) or simulated seconds (12000s)."),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(help=f"With --budget: its environment, {ENVS[0]} or {OWN} with --table if left out."),
    ] = None,
    seed: Annotated[str | None, typer.Option(help="With --budget: the search's seed, 0 if left out.")] = None,
    name: Annotated[
        str | None, typer.Option(help="With --budget: what reports call the searcher, outside if left out.")
    ] = None,
    env_kwargs: Annotated[
        str | None, typer.Option(help="With --budget: further arguments of the environment, JSON.")
    ] = None,
    table: Table = None,
    json: Json = False,
) -> None:
    """Print where a search of another program stands, which costs nothing; with --budget, begin it first.

    Example: nb201 ask runs/mine-0.jsonl --env NB201-cifar10-v0 --budget 30 --name mine
    """
    if budget is not None:
        _begin(state, budget, env, seed, name, env_kwargs, table)
    elif given := [
        option
        for option, value in (("env", env), ("seed", seed), ("name", name), ("env-kwargs", env_kwargs))
        if value is not None
    ]:
        raise ValueError(f"--{given[0]} is for beginning a search; give --budget, too, or leave it out")
    found = asking.ask(state, _tables(table))
    if json:
        print_json(found)
        return
    _show_standing(found, f"{found['env']['id']}, seed {found['seed']}")
    title = f"the last {SHOWN} answers" if len(found["queries"]) > SHOWN else ""
    _show_answers(found["queries"][-SHOWN:], title)
    if not found["over"]:
        ops = ", ".join(asking.SPACE["ops"])
        typer.echo(f"an architecture: {asking.SPACE['architecture']}, each op one of {ops}")


def tell(
    state: State,
    architectures: Annotated[
        list[str] | None,
        typer.Argument(
            help="What the searcher has chosen: official strings, or in other forms (docs/notation.md)."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs completed, of those that ask lists; all if left out.")
    ] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="End the search before its budget is spent, with no architecture.")
    ] = False,
    table: Table = None,
    json: Json = False,
) -> None:
    """Hand over architectures that another program has chosen, and print what the environment answers.

    Each is a query, and is paid for. Exit code 1 says that the budget did not cover all of them.

    Example: nb201 tell runs/mine-0.jsonl index:4711
    """
    wanted = read_architectures(architectures or [])
    if stop == bool(wanted):
        raise ValueError(
            "name the architectures that are chosen, or --stop to end the search, one of the two"
        )
    if stop:
        found = asking.stop(state, _tables(table))
    else:
        found = asking.tell(state, wanted, epochs=epochs, tables=_tables(table))
    if json:
        print_json(found)
    else:
        _show_answers(found["answers"])
        _show_standing(found, "the search")
    if len(found["answers"]) < len(wanted):
        raise typer.Exit(1)


def _begin(
    state: Path, budget: str, env: str | None, seed: str | None, name: str | None, env_kwargs: str | None,
    table: str | None,
) -> None:  # fmt: skip
    envs = read_envs([env or (ENVS[0] if table is None else OWN)])
    seeds = parse_seeds(seed or "0")
    if len(envs) > 1 or len(seeds) > 1:
        raise ValueError("one search has one environment and one seed; give each search a file of its own")
    further = read_object(env_kwargs or "{}", "--env-kwargs") | ({} if table is None else {"table": table})
    asking.begin(
        state, envs[0], parse_budget(budget), seed=seeds[0], name=name or "outside", env_kwargs=further
    )


def _tables(table: str | None) -> list[str]:
    return [] if table is None else [table]


def _show_standing(found: dict[str, Any], what: str) -> None:
    for unit, most in found["budget"].items():
        words = "queries" if unit == "queries" else "simulated seconds"
        over = "; it is over, nothing is answered any more" if found["over"] else ""
        typer.echo(f"{what}: {found['left'][unit]:,.0f} of {most:,.0f} {words} left{over}")
    best = found["incumbents"]
    if len(best) == 1:
        one = best[0]
        typer.echo(f"best so far, query {one['query']}: {percent(one['accuracy'])} %  {one['architecture']}")
    else:
        part = f", {SHOWN} of {len(best)}" if len(best) > SHOWN else ""
        _show_answers(best[:SHOWN], f"best so far, none better in all objectives{part}")


def _show_answers(answers: list[dict[str, Any]], title: str = "") -> None:
    """Print answers, with all rewards where there are several."""
    if not answers:
        return
    several = any(isinstance(one["reward"], list) for one in answers)
    shorter = any("epochs" in one for one in answers)
    headings = ["query", "validation\naccuracy (%)", "run", "architecture"]
    headings[2:2] = ["rewards"] * several + ["epochs"] * shorter
    print_grid(headings, [_row(one, several, shorter) for one in answers], title)


def _row(one: dict[str, Any], several: bool, shorter: bool) -> list[str]:
    row = [str(one["query"]), percent(one["accuracy"])]
    row += [" ".join(f"{reward:.4f}" for reward in one["reward"])] if several else []
    row += [str(one.get("epochs", "all"))] if shorter else []
    return [*row, one["run"], one["architecture"]]
