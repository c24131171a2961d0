"""Trajectories to episodes: every query is asked again, and compared with its record."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym

from nb201env.agents.offline.episodes import WAYS, Collection, Episode, ask, make, spec_of, table_entry
from nb201env.agents.offline.policies import mean_rewards
from nb201env.agents.searches.heading import OPTIONS
from nb201env.agents.searches.recorder import RECORDED, environment_of
from nb201env.envs.options import Options
from nb201env.envs.single import NB201Env
from nb201env.fields import shown
from nb201env.space import all_ops
from nb201env.trajectory import BadTrajectory, Trajectory, read

BUDGETS = ("budget_queries", "budget_seconds")


def load(folders: Sequence[Path], *, env: str | None = None, partial: bool = False) -> list[Trajectory]:
    """Read the trajectories in folders and below.

    Args:
        folders: Where they are.
        env: The id of the environment to take them of; all of them if None.
        partial: Take what unfinished searches have asked, too.

    Raises:
        ValueError: If there is none, one is damaged, asked nothing, is there twice, or is unfinished.
        OSError: If there is no such folder.
    """
    patterns = ("*.jsonl", "*.jsonl*.partial")
    files = [file for folder in folders for pattern in patterns for file in _files(folder, pattern)]
    read_all = [read(file) for file in dict.fromkeys(files)]
    found = [one for one in read_all if env is None or one.header["env"]["id"] == env]
    where = ", ".join(map(str, folders))
    if not found:
        raise ValueError(f"no search (*.jsonl) {'' if env is None else f'of {env} '}in {where}")
    if not partial and (cut := [one for one in found if not one.complete]):
        raise BadTrajectory(
            f"{cut[0].path}: its search is not finished ({len(cut)} of {len(found)}); run it to its end, or "
            "take what it has asked with --partial"
        )
    found = [one for one in found if one.queries]
    if not found:
        raise ValueError(f"the searches in {where} have asked nothing")
    _check_twice(found)
    return found


def _files(folder: Path, pattern: str) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; name the --out of `nb201 search` or `nb201 bench`")
    return sorted(folder.rglob(pattern), key=lambda path: path.relative_to(folder).as_posix())


def _check_twice(found: Sequence[Trajectory]) -> None:
    seen: dict[str, Path] = {}
    for one in found:
        head = [one.header[key] for key in ("agent", "source", "hyperparameters", "seed", "env")]
        key = json.dumps([*head, one.header["table"]["id"]], sort_keys=True)
        if key in seen:
            raise BadTrajectory(f"{one.path} is the search of {seen[key]} again; leave one of the two out")
        seen[key] = one.path


def collect(
    found: Sequence[Trajectory],
    *,
    actions: str | None = None,
    observations: str | None = None,
    tables: Sequence[str | os.PathLike[str]] = (),
) -> Collection:
    """Searches of one environment as a data set, an episode for each query.

    Args:
        found: The trajectories, of one environment with one budget and one table.
        actions: "build" or "pick"; the searches' own if None.
        observations: "ops" or "onehot"; the searches' own if None.
        tables: Names or paths of tables that may have answered.

    Returns:
        The collection. Its episodes are made while they are read, and raise `BadTrajectory` at the first
        query that is answered otherwise than was recorded.

    Raises:
        BadTrajectory: If the searches do not go together, or one cannot be made into episodes.
        FileNotFoundError: If the table is not at hand.
    """
    env_id, own = _setting(found)
    rewarded = own.get("actions", "build") in WAYS  # else rewards were gains over the cell before
    if actions is None and not rewarded:
        raise BadTrajectory(
            f"{found[0].path}: searched with actions='edit', whose steps a trajectory does not tell; choose "
            "--actions build or --actions pick"
        )
    chosen = {"actions": actions, "observations": observations}
    options = own | {name: value for name, value in chosen.items() if value is not None}
    table = found[0].table(tables)
    env = make(env_id, table, options)
    plain = make(env_id, table, {name: value for name, value in options.items() if name not in BUDGETS})
    rewards = mean_rewards(env)
    agents = list(dict.fromkeys(str(one.header["agent"]) for one in found))
    asked = sum(len(one.queries) for one in found)
    return Collection(
        spec_of(env), spec_of(plain), _episodes(found, env, rewarded), ", ".join(agents),
        f"{asked:,} queries of {len(found)} recorded searches ({', '.join(agents)}) on the table "
        f"{table.name}, each an episode.",
        (float(rewards.mean()), float(rewards.max())),
        {"table": table_entry(table), "searches": [_entry(one) for one in found]},
    )  # fmt: skip


def _setting(found: Sequence[Trajectory]) -> tuple[str, dict[str, Any]]:
    """The id and the options that all of them share."""
    settings: list[tuple[str, Options, str]] = []
    for one in found:
        env_id, options = environment_of(one)
        if wrapped := one.header.get("wrappers"):
            raise BadTrajectory(
                f"{one.path}: its environment was wrapped ({shown(wrapped[0])}), so its rewards are those of "
                "no environment that could be made again; search without it"
            )
        registered = gym.spec(env_id).kwargs
        own = {name: value for name, value in registered.items() if name in OPTIONS}
        settings.append((env_id, Options.of(own | options), one.header["table"]["id"]))
        kinds = ("environment", "argument of the environment", "table")
        for what, here, there in zip(kinds, settings[-1], settings[0], strict=True):
            if here != there:
                raise BadTrajectory(
                    f"{one.path}: another {what} than in {found[0].path}; a data set is of one environment "
                    "with one budget and one table: name folders of one, or choose with --env"
                )
    return environment_of(found[0])


def _episodes(found: Sequence[Trajectory], env: NB201Env, rewarded: bool) -> Iterator[Episode]:
    keys = (*RECORDED, "reward") if rewarded else RECORDED
    for one in found:
        yield from replayed(one.queries, one.index, env, one.header["seed"], keys, str(one.path))


def replayed(
    queries: Sequence[dict[str, Any]],
    index: Any,
    env: NB201Env,
    seed: int,
    keys: Sequence[str] = (*RECORDED, "reward"),
    where: str = "the search",
) -> Iterator[Episode]:
    """The queries of one search, asked again in order; an episode for each.

    Args:
        queries: As they were recorded.
        index: Their architectures' lexicographic indices; int64 [queries].
        env: Where to ask.
        seed: The search's.
        keys: What must be the same again.
        where: What stands before the message of an error.

    Raises:
        BadTrajectory: If an answer differs from its record.
    """
    for number, (query, cell) in enumerate(zip(queries, index, strict=True), start=1):
        try:
            begin = seed if number == 1 else None
            episode = ask(env, all_ops()[cell], seed=begin, epochs=query.get("epochs"))
        except (ValueError, LookupError) as error:
            raise BadTrajectory(f"{where}: query {number}: {error}") from None
        for key in keys:
            recorded = query.get(key, 0.0) if key == "reward" else query[key]
            if (now := episode.last[key]) != recorded:
                raise BadTrajectory(
                    f"{where}: does not replay: query {number}: {key} is {now!r}; recorded was "
                    f"{shown(recorded)}"
                )
        yield episode


def _entry(one: Trajectory) -> dict[str, Any]:
    """What the metadata say of a search; its bytes are known by their digest."""
    return {
        "agent": one.header["agent"],
        "seed": one.header["seed"],
        "queries": len(one.queries),
        "complete": one.complete,
        "sha256": hashlib.sha256(one.path.read_bytes()).hexdigest(),
    }
