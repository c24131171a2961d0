"""Which searches a benchmark is made of, and which of them are still to run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nb201env import trajectory
from nb201env.agents.searches.runner import Search

IDENTITY = ("agent", "source", "hyperparameters", "seed", "env", "table")
"""What a trajectory's header must agree in for a search not to be run again."""


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
        ValueError: If hyper-parameters are given for no agent of it.
    """
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
        if not (search.path.exists() and _finished(search.path, heads[key] | {"seed": search.seed})):
            todo.append(search)
    planned = {search.path for search in searches}
    for (_, folder), head in heads.items():
        for path in sorted(folder.glob("*.jsonl")):
            if path not in planned:
                compare(path, trajectory.read_header(path), head, ("env", "table"))
    return todo


def _finished(path: Path, expected: Mapping[str, Any]) -> bool:
    found = trajectory.read(path)
    compare(path, found.header, expected, IDENTITY)
    return found.complete


def compare(
    path: Path, found: Mapping[str, Any], expected: Mapping[str, Any], keys: Sequence[str],
    mend: str = "choose another --out, or delete it",
) -> None:  # fmt: skip
    """Refuse a trajectory's header if it does not agree with what is expected.

    Args:
        path: The trajectory.
        found: Its header.
        expected: The other header.
        keys: In what they have to agree, of `IDENTITY`.
        mend: What to do, for the message.

    Raises:
        ValueError: If they do not.
    """
    for key in keys:
        if _identity(found, key) != _identity(expected, key):
            here, wanted = _shown(found, expected, key)
            raise ValueError(
                f"{path} is a search of another configuration: its {key} is {here}, this one's is "
                f"{wanted}; {mend}"
            )


def _identity(head: Mapping[str, Any], key: str) -> Any:
    """What two searches have in common that are the same; a table is its id, whatever led to it."""
    if key == "table":
        return head["table"]["id"]
    if key == "env":
        kwargs = {name: value for name, value in head["env"]["kwargs"].items() if name != "table"}
        return {"id": head["env"]["id"], "kwargs": kwargs}
    return head.get(key, {})


def _shown(found: Mapping[str, Any], expected: Mapping[str, Any], key: str) -> Iterator[str]:
    """What two headers say of something, in JSON.

    Of an environment, the id and the arguments side by side; of an agent's source, what differs.
    """
    one, other = (head.get(key, {}) for head in (found, expected))
    for mine, theirs in ((one, other), (other, one)):
        if key == "source":
            mine = {name: text[:16] for name, text in mine.items() if text != theirs.get(name)}
        yield json.dumps({"id": mine["id"]} | mine["kwargs"] if key == "env" else mine)
