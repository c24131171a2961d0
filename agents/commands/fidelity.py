"""``nb201 fidelity``: searches on a surrogate's table beside searches on the table it stands for."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from nb201env.extras import require
from nb201env.reading import parse_seeds
from nb201env.surrogate import check_extra


def fidelity(
    table: Annotated[str, typer.Option(help="Name or path of a surrogate's table.")],
    agents: Annotated[
        str, typer.Option(help="Agents, separated by commas.")
    ] = "random_search,regularized_evolution,ppo,a2c",
    seeds: Annotated[str, typer.Option(help="Seeds of the searches: 4, 0-9 or 0,3,7-9.")] = "0-19",
    queries: Annotated[int, typer.Option(min=1, help="Queries of each search.")] = 200,
    out: Annotated[
        Path, typer.Option(help="Folder of the report, such as one of `nb201 surrogate evaluate`.")
    ] = Path("runs/surrogate"),
) -> None:
    """Run agents on a surrogate's table and on its training table, and report how alike they go.

    Finished searches are kept in the folder and not run again, so a comparison can be stopped and
    started. It becomes a part of the folder's report.
    """
    check_extra()
    require("matplotlib", "plots")
    from nb201env.agents.searches.fidelity import SearchPlan, compare
    from nb201env.surrogate.fidelity.evaluate import add_searches

    plan = SearchPlan(table, tuple(agents.split(",")), tuple(parse_seeds(seeds)), queries)
    compared = compare(plan, out, say=lambda text: typer.echo(text, err=True))
    command = shlex.join(["nb201", *sys.argv[1:]])
    add_searches({"command": command} | compared, out)
    for agent, found in compared["trajectory_fidelity"]["agents"].items():
        typer.echo(
            f"{agent:24} {found['inside']:4.0%} of the queries inside the band  p {found['p_value']:.2f}"
        )
    typer.echo(f"report: {out / 'fidelity.md'}")
