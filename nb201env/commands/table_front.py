"""``nb201 table front``: the true Pareto front of what a table holds."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer

from nb201env.commands.common import Group, Json
from nb201env.comparison import readable
from nb201env.extras import MissingExtra
from nb201env.fronts.front import Points, points
from nb201env.fronts.objectives import DEFAULT
from nb201env.fronts.quality import hypervolume
from nb201env.output import names, plain, print_grid, print_json
from nb201env.reading import read_run
from nb201env.tables import open_table

ANY = "accuracy or a cost that `table info` lists; NAME:min or NAME:max says the direction; repeat for more."


def add_to(app: Group) -> None:
    """Declare the commands of this module in a group."""
    app.command("front")(front)


def front(
    table: Annotated[str, typer.Argument(help="A table's name or path.")],
    objective: Annotated[list[str] | None, typer.Option(help=ANY)] = None,
    run: Annotated[str, typer.Option(help="Whose accuracy: a seed, or mean.")] = "mean",
    per: Annotated[
        str, typer.Option(help="What a point is: an architecture, or a class of those that compute the same.")
    ] = "architecture",
    json: Json = False,
) -> None:
    """The true Pareto front: the architectures that no other one beats in every objective.

    By validation accuracy at the end of the schedule; accuracy and params unless objectives are named. With
    the extra multi also the front's hypervolume, above the worst value of each objective, as a share of what
    one architecture with the best of each would have.

    Example: nb201 table front cifar10-valid-200 --objective accuracy --objective latency_seconds
    """
    opened = open_table(table)
    everything = points(opened, objective or DEFAULT, run=read_run(run), per=per)  # type: ignore[arg-type]
    found = everything.front()
    volume, lacking = _hypervolume(everything, found)
    if json:
        asked = {"table": opened.name, "table_id": opened.id, "run": run, "per": per}
        print_json(asked | _as_json(everything, found) | {"hypervolume": volume})
        return
    _print(everything, found)
    if volume is None:
        typer.echo(f"no hypervolume: {lacking}", err=True)
    else:
        print(f"hypervolume: {100 * volume:.2f} %")


def _hypervolume(everything: Points, found: Points) -> tuple[float | None, str]:
    """The front's, and why there is none."""
    scaled = everything.scaled(found.rewards)
    try:
        return hypervolume(scaled, np.zeros(scaled.shape[1])), ""
    except MissingExtra as error:
        return None, str(error)


def _as_json(everything: Points, found: Points) -> dict[str, Any]:
    called = [one.name for one in found.objectives]
    return {
        "objectives": [
            {"name": one.name, "direction": one.direction, "unit": one.unit} for one in found.objectives
        ],
        "points": len(everything.index),
        "reference": dict(zip(called, everything.worst_values, strict=True)),
        "front": [
            names(architecture) | {"values": dict(zip(called, values, strict=True))}
            for architecture, values in zip(found.architectures, found.values, strict=True)
        ],
    }


def _print(everything: Points, found: Points) -> None:
    """The grid, and below it the reference point as a row of the same columns."""
    shown, headings = [], []
    for one, column, worst in zip(found.objectives, found.values.T, everything.worst_values, strict=True):
        numbers, unit = readable(np.append(column, worst), one.unit)
        shown.append([f"{number:,.{2 if one.unit == 'fraction' else 4}f}" for number in numbers])
        headings.append(f"{plain(one.words)}, {one.direction}" + (f"\n({plain(unit)})" if unit else ""))
    labels = [str(architecture) for architecture in found.architectures] + ["(the worst: reference point)"]
    print_grid([*headings, "architecture"], zip(*shown, labels, strict=True))
    print(f"{len(found.index):,} of {len(everything.index):,} points are on the front")
