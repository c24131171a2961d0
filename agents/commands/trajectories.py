"""``nb201 trajectories``: data sets for offline reinforcement learning from searches, in Minari's format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nb201env.agents.commands.search import ENVS, OwnTable, TableFiles, read_envs
from nb201env.commands.common import Group, Json
from nb201env.envs.registration import OWN, WITH_TABLE
from nb201env.output import command_line, print_grid, print_json, progress_bar
from nb201env.tables import open_table

if TYPE_CHECKING:
    from nb201env.agents.offline.episodes import Collection
    from nb201env.agents.offline.store import Place, Written

app = Group("Data sets for offline reinforcement learning, in Minari's format: of searches, and of policies.")

Actions = Annotated[str | None, typer.Option(help="build or pick; by default the environment's own.")]
Observations = Annotated[str | None, typer.Option(help="ops or onehot; by default the environment's own.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace a data set that is there.")]


@app.command("to-minari")
def to_minari(
    folders: Annotated[list[Path], typer.Argument(help="Folders with trajectories.")],
    out: Annotated[
        str,
        typer.Option(help="Name in Minari's store (nb201/cifar10/mine-v0) or path (./data/mine-v0)."),
    ],
    env: Annotated[str | None, typer.Option(help="Take the searches of this environment only.")] = None,
    actions: Actions = None,
    observations: Observations = None,
    table: TableFiles = [],  # noqa: B006 (typer's own copy)
    partial: Annotated[
        bool, typer.Option("--partial", help="Take what unfinished searches have asked, too.")
    ] = False,
    replace: Replace = False,
    json: Json = False,
) -> None:
    """Make a Minari data set of recorded searches: each query is an episode, asked again and compared.

    Example: nb201 trajectories to-minari runs/NB201-cifar10-v0 --out nb201/cifar10/mine-v0
    """
    from nb201env.agents.offline import convert, store

    _check_ways(actions, observations)
    chosen = None if env is None else _one_env(env)
    where = store.place(out)
    store.check_free(where, replace)
    found = convert.load(folders, env=chosen, partial=partial)
    made = convert.collect(found, actions=actions, observations=observations, tables=table)
    _show(_write_all({where: made}, replace), as_json=json)


@app.command()
def datasets(
    out: Annotated[
        str,
        typer.Option(help="Namespace in Minari's store (nb201/cifar10) or folder (./data) for the four."),
    ],
    env: Annotated[
        str | None,
        typer.Option(help=f"The environment; by default {ENVS[0]}, or {OWN} with --table."),
    ] = None,
    table: OwnTable = None,
    episodes: Annotated[
        int, typer.Option(help="Episodes of each set; as many queries train the policy.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all four.")] = 0,
    actions: Actions = None,
    observations: Observations = None,
    replace: Replace = False,
    json: Json = False,
) -> None:
    """Make the four data sets of an environment (random, medium, expert, replay) by training one policy.

    Example: nb201 trajectories datasets --env NB201-cifar10-v0 --out nb201/cifar10
    """
    from nb201env.agents.offline import sets, store

    _check_ways(actions, observations)
    chosen = _one_env(env or (ENVS[0] if table is None else OWN))
    opened = open_table(table or _default_table(chosen))
    places = {name: store.place(out, f"{name}-v0") for name in sets.SETS}
    for where in places.values():
        store.check_free(where, replace)
    given = {"actions": actions, "observations": observations}
    options = {name: value for name, value in given.items() if value is not None}
    made = sets.four_sets(chosen, opened, episodes, seed, options)
    _show(_write_all({places[name]: one for name, one in made.items()}, replace), as_json=json)


def _one_env(text: str) -> str:
    names = read_envs([text])
    if len(names) > 1:
        raise ValueError(f"--env names one environment here; got {text!r}")
    return names[0]


def _default_table(env_id: str) -> str:
    table = WITH_TABLE.get(env_id)
    if table is None:
        raise ValueError(f"{env_id} is for a table of your own; name it with --table")
    return table


def _check_ways(actions: str | None, observations: str | None) -> None:
    """Refuse what no episode of one query has: editing, and unknown words."""
    for option, given, known in (
        ("--actions", actions, ("build", "pick")), ("--observations", observations, ("ops", "onehot")),
    ):  # fmt: skip
        if given is not None and given not in known:
            raise ValueError(f"{option} is {' or '.join(known)}; got {given!r}")


def _write_all(made: dict[Place, Collection], replace: bool) -> list[Written]:
    from nb201env.agents.offline.store import write

    written: list[Written] = []
    with progress_bar("data sets", "written") as update:
        for where, collection in made.items():
            update(len(written), len(made), where.name)
            written.append(write(collection, where, replace=replace, command=command_line()))
    return written


def _show(written: Sequence[Written], *, as_json: bool) -> None:
    """Print what was written, and how it is loaded from a store that Minari does not look in by itself."""
    if as_json:
        print_json([
            {"name": one.place.name, "path": one.place.folder, "episodes": one.episodes, "steps": one.steps,
             "mean_reward": one.mean, "best_reward": one.best}
            for one in written
        ])  # fmt: skip
        return
    rows = [
        [one.place.name, f"{one.episodes:,}", f"{one.steps:,}", f"{one.mean:.4f}", f"{one.best:.4f}"]
        for one in written
    ]
    print_grid(["data set", "episodes", "steps", "mean reward", "best reward"], rows)
    store = written[0].place
    typer.echo(f"in {store.store}" + ("" if store.ours else f" (MINARI_DATASETS_PATH={store.store})"))
