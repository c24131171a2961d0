"""Ask and tell: a search whose searcher is another program, in any language, or a language model.

The searcher holds nothing of ours. It has a *state file* and two calls: `ask` says where the search stands,
all that a searcher may know, and costs nothing; `tell` hands over the architectures that it has chosen, the
environment answers for them, and the queries are paid for.

In the ask-and-tell of optimisers the optimiser is asked for a point and told its value. Here the optimiser is
outside and the environment is ours, so these calls are the other side of that loop: what an optimiser's own
``ask`` proposes goes into `tell`, and what `tell` answers goes into the optimiser's own ``tell``. The
opposite, an agent of ours that proposes what someone else trains, is left out on purpose: with no table
behind the answers there is no budget to keep and nothing to replay.

The state file is the search's trajectory (`nb201env.trajectory`), line by line the one that the same searcher
would have written through Gymnasium, so ``nb201 replay`` and ``nb201 report`` take it like any other. A call
reads it, asks all of it again and compares, so whatever does not follow from the header is refused: changed
answers, another order, queries beyond the budget. Which run answers follows from the seed and the number of
the query. An answer is in the file, and on the disk, before it is shown; one call at a time changes the file.

What no file can prevent: whoever may write to it can copy it, or cut its last lines off, and go on otherwise
with what was learned; that is another search, and looks like one. And whoever has the table can look into it.
A searcher that is not to be trusted gets the two calls alone, from a process that keeps the file, as in
``examples/mcp_server.py``.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from nb201env.agents.contract import query
from nb201env.agents.registry import names
from nb201env.agents.searches.heading import header
from nb201env.agents.searches.plan import IDENTITY, compare
from nb201env.agents.searches.recorder import Recorder, environment_of, replay
from nb201env.agents.searches.runner import check_arguments
from nb201env.agents.searches.writing import extend, first_line
from nb201env.agents.source import ENTRIES
from nb201env.architecture import Architecture, ArchitectureLike
from nb201env.envs.single import NB201Env
from nb201env.files import AtWork, alone, appearing
from nb201env.fronts.front import nondominated
from nb201env.reading import Budget
from nb201env.space import EDGES, OPS
from nb201env.trajectory import OVER, STOPPED, BadTrajectory, read, read_header

Paths = Sequence[str | Path]

OUTSIDE = "outside, through nb201 tell"
"""What a header's source calls a searcher of which the program knows nothing."""

SPACE: dict[str, Any] = {
    "ops": list(OPS),
    "edges": [list(edge) for edge in EDGES],
    "architecture": "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|",
}
"""How an architecture is written: an op for each edge (from node, to node), in the order of the edges."""

PATIENCE = 10.0
"""For so many seconds a call waits for another one's end."""


def begin(
    path: str | Path,
    env_id: str,
    budget: Budget,
    *,
    seed: int = 0,
    name: str = "outside",
    env_kwargs: Mapping[str, Any] | None = None,
) -> None:
    """Begin a search: write the header of its state file. One that is there and says the same is kept.

    Args:
        path: The state file, ``….jsonl``.
        env_id: A registered id.
        budget: {"budget_queries": n} or {"budget_seconds": s}.
        seed: The search's seed, from which it follows which runs answer.
        name: What the searcher is called in reports.
        env_kwargs: Further arguments of the environment: options, and the name or path of a table.

    Raises:
        ValueError: If the environment cannot be made so or edits cells, the name is one of an agent here, or
            `path` holds another search.
        AtWork: If another call is at work.
    """
    path = Path(path)
    if path.suffix != ".jsonl":
        raise ValueError(f"{path}: name a file that ends in .jsonl, as trajectories do, for the state")
    head = _header(env_id, budget, seed, name, dict(env_kwargs or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        if path.exists():
            compare(path, read_header(path), head, IDENTITY, "name another file")
            return
        with appearing(path) as partial:
            partial.write_text(first_line(head, path), encoding="utf-8")


def ask(path: str | Path, tables: Paths = ()) -> dict[str, Any]:
    """Where a search stands; this costs nothing and changes nothing.

    Args:
        path: The state file.
        tables: Names or paths of tables that may have answered; see `nb201env.tables.open_by_id`.

    Returns:
        As JSON has it: "env" (id and arguments), "table", "seed", "name"; "epochs", what `tell` may ask for;
        "space", see `SPACE`; "budget", "spent" and "left", in queries and simulated seconds; "over", whether
        the search is; "queries", all answers in order; and "incumbents", the best of them by accuracy or,
        with several objectives, those whose rewards no other ones dominate. Each answer has its number
        ("query"), "architecture" (official string), "run", "accuracy" (validation, a fraction), "seconds"
        and "clock" (simulated), "reward", and "epochs" where fewer than all were asked for.

    Raises:
        BadTrajectory: If the file is none, or does not replay.
        ValueError: If it is of a search that `begin` has not begun.
        FileNotFoundError: If there is no such file, or its table is not at hand.
    """
    search = _Search(_there(path), tables)
    head = search.trajectory.header
    return {
        "env": head["env"], "table": head["table"]["name"], "seed": head["seed"], "name": head["agent"],
        "epochs": list(search.env.recorded_epochs), "space": SPACE, **search.standing(),
        "queries": search.numbered(range(len(search.queries))),
    }  # fmt: skip


def tell(
    path: str | Path,
    architectures: Iterable[ArchitectureLike],
    *,
    epochs: int | None = None,
    tables: Paths = (),
) -> dict[str, Any]:
    """Hand over what the searcher has chosen; each is a query, which is answered and paid for, in order.

    Once the budget is spent nothing is answered any more, and the search's end is written.

    Args:
        path: The state file.
        architectures: The architectures. All are read before any is asked for.
        epochs: Train them for so many epochs only, one of those that `ask` lists; None is all.
        tables: See `ask`.

    Returns:
        As JSON has it: "answers", fewer than the architectures where the budget did not cover them; and
        "budget", "spent", "left", "over" and "incumbents" as from `ask`.

    Raises:
        ValueError: If one is no architecture or the epochs are none; nothing was asked then. Else as `ask`.
        AtWork: If another call is at work.
    """
    wanted = [Architecture.of(one) for one in architectures]
    path = _there(path)
    with _alone(path):
        search = _Search(path, tables)
        before = len(search.queries)
        for architecture in wanted:
            if not search.over:
                query(search.recorder, architecture, epochs=epochs)
        search.write(before, OVER if search.over else "")
        return {"answers": search.numbered(range(before, len(search.queries))), **search.standing()}


def stop(path: str | Path, tables: Paths = ()) -> dict[str, Any]:
    """End a search before its budget is spent, so that it counts as finished; what `tell` returns.

    Raises:
        ValueError: If it has asked nothing. Else as `tell`.
    """
    path = _there(path)
    with _alone(path):
        search = _Search(path, tables)
        if not search.queries:
            raise ValueError(f"{path}: this search has asked nothing yet; remove the file instead")
        search.write(len(search.queries), OVER if search.over else STOPPED)
        search.ended = True
        return {"answers": [], **search.standing()}


def _header(env_id: str, budget: Budget, seed: int, name: str, env_kwargs: dict[str, Any]) -> dict[str, Any]:
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_.-]{0,59}", name) or name in names():
        raise ValueError(
            f"name the searcher in up to 60 letters, digits, '_', '-' and '.', and not as an agent that "
            f"nb201 agents lists; got {name!r}"
        )
    check_arguments(env_kwargs, budget)
    env = gym.make(env_id, **env_kwargs, **budget)
    if env.unwrapped.options.actions == "edit":  # type: ignore[attr-defined]
        raise ValueError("actions='edit' chooses no whole architecture, as tell does; leave it out")
    source = dict.fromkeys(ENTRIES, "") | {"class": OUTSIDE}
    head = header(_Outside(), env, seed, name, "") | {"source": source}
    env.close()
    return dict(json.loads(json.dumps(head)))


def _there(path: str | Path) -> Path:
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"{path}: there is no such search; begin it: nb201 ask {path} --budget 30 (begin() in Python)"
        )
    return Path(path)


class _Outside:
    """Stands for a searcher that is no object here."""

    def search(self, env: Any, seed: int) -> None:
        """No search runs here."""
        raise NotImplementedError


class _Search:
    """A search as far as its file goes: everything asked again, and compared.

    Attributes:
        trajectory: What the file holds.
        recorder: Around the environment, which stands where the file ends.
        queries: All answers, those of the file and then new ones.
        ended: Whether the file has its end.
    """

    def __init__(self, path: Path, tables: Paths) -> None:
        self.trajectory = read(path)
        head = self.trajectory.header
        if head["source"].get("class") != OUTSIDE:
            raise ValueError(f"{path}: no search that nb201 ask has begun; it is one of {head['agent']!r}")
        table = self.trajectory.table(tables)
        self._refuse(replay(self.trajectory, table))
        env_id, options = environment_of(self.trajectory)
        env = gym.make(env_id, **options | {"table": table})
        self.env: NB201Env = env.unwrapped  # type: ignore[assignment]
        self.queries: list[dict[str, Any]] = []
        self.ended = self.trajectory.complete
        self.recorder = Recorder(env, head["seed"], self.queries.append)
        for one in self.trajectory.queries:
            query(self.recorder, Architecture.of(one["architecture"]), epochs=one.get("epochs"))
        pairs = zip(self.trajectory.queries, self.queries, strict=True)
        self._refuse(
            f"query {number}: it is {json.dumps(asked)}; recorded was {json.dumps(told)}"
            for number, (told, asked) in enumerate(pairs, start=1)
            if told != asked
        )

    def _refuse(self, differences: Iterable[str]) -> None:
        for first in differences:
            raise BadTrajectory(
                f"{self.trajectory.path}: something else has changed this search, it does not replay: {first}"
            )

    @property
    def over(self) -> bool:
        """Whether nothing is answered any more."""
        return self.ended or self.recorder.over

    def numbered(self, places: Iterable[int]) -> list[dict[str, Any]]:
        """Some of the answers, with their numbers from 1 on."""
        return [{"query": place + 1, **self.queries[place]} for place in places]

    def standing(self) -> dict[str, Any]:
        """What is spent, what is left, and the best so far."""
        at, options = self.recorder.get_state().search, self.env.options
        spent = {"queries": at.queries, "seconds": at.clock}
        limits = {"queries": options.budget_queries, "seconds": options.budget_seconds}
        budget = {unit: most for unit, most in limits.items() if most is not None}
        left = {unit: 0 if self.over else max(most - spent[unit], 0) for unit, most in budget.items()}
        return {"budget": budget, "spent": spent, "left": left, "over": self.over,
                "incumbents": self.numbered(self._best())}  # fmt: skip

    def _best(self) -> list[int]:
        """The places of the incumbents, as reports judge a search by them."""
        if not self.queries:
            return []
        if not self.env.options.objectives:
            return [int(np.argmax([one["accuracy"] for one in self.queries]))]
        end = self.env.options.epochs or self.env.table.epochs
        whole = [place for place, one in enumerate(self.queries) if one.get("epochs", end) == end]
        rewards = np.array([self.queries[place]["reward"] for place in whole])
        return np.array(whole)[nondominated(rewards)].tolist() if whole else []

    def write(self, before: int, end: str) -> None:
        """Write the answers from a place on and, if there is one and it is not there yet, the end."""
        lines = self.queries[before:] + ([{"end": end}] if end and not self.ended else [])
        if lines:
            extend(self.trajectory.path, lines)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Do the block while no other call changes the file."""
    deadline = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(alone(path.with_name(f".{path.name}.lock"), f"telling {path}"))
                break
            except AtWork:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield
