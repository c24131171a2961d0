"""``nb201 fidelity``: searches on a surrogate's table beside searches on the table it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nb201env.agents.check import try_out
from nb201env.agents.commands.search import Agents, read_agents
from nb201env.commands.common import Json, Seeds
from nb201env.extras import require
from nb201env.output import command_line, print_json, resumable
from nb201env.reading import parse_seeds
from nb201env.surrogate import check_extra

AGENTS = ["random_search", "regularized_evolution", "ppo", "a2c"]


def fidelity(
    table: Annotated[str, typer.Option(help="Name or path of a surrogate's table.")],
    agent: Agents = AGENTS,
    seeds: Seeds = "0-19",
    queries: Annotated[int, typer.Option(min=1, help="Queries of each search.")] = 200,
    out: Annotated[
        Path, typer.Option(help="Folder of the report, such as one of `nb201 surrogate evaluate`.")
    ] = Path("runs/surrogate"),
    json: Json = False,
) -> None:
    """Run agents on a surrogate's table and on its training table, and report how alike they go.

    Finished searches are kept in the folder and not run again, so a comparison can be stopped and
    started. It becomes a part of the folder's report.

    Example: nb201 fidelity --table cifar10-valid-200-surrogate --agent random_search,ppo --seeds 0-4
    """
    check_extra()
    require("matplotlib", "plots")
    from nb201env.agents.searches.fidelity import SearchPlan, compare
    from nb201env.surrogate.fidelity.evaluate import add_searches

    plan = SearchPlan(table, tuple(read_agents(agent)), tuple(parse_seeds(seeds)), queries)
    with resumable():
        compared = compare(plan, out, say=lambda text: typer.echo(text, err=True), check=try_out)
    add_searches({"command": command_line()} | compared, out)
    if json:
        print_json(compared)
        return
    for name, found in compared["trajectory_fidelity"]["agents"].items():
        typer.echo(
            f"{name:24} {found['inside']:4.0%} of the queries inside the band  p {found['p_value']:.2f}"
        )
    typer.echo(f"report: {out / 'fidelity.md'}")
