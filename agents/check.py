"""`check_agent`: whether an agent keeps the contract, as `check_env` does for environments.

What it checks, each in searches of a few queries, is listed in `CHECKED`.

Use::

    from nb201env.agents import check_agent

    check_agent(MyAgent())      # raises AgentError, one sentence, at the first thing wrong
"""

from __future__ import annotations

import pickle
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from nb201env.agents.contract import Agent, AgentError, Env, check_signature
from nb201env.agents.guard import Guarded, name_of
from nb201env.agents.loading import words
from nb201env.agents.registry import AGENTS
from nb201env.agents.searches.recorder import Recorder, agent_seed, record, replay
from nb201env.agents.searches.runner import Search
from nb201env.envs.answers import answers, keeps_time
from nb201env.envs.single import NB201Env
from nb201env.extras import MissingExtra
from nb201env.trajectory import read

CHECKED = (
    "it has a method search(env, seed)",
    "it returns only when the search is over, and soon after it is (budgets in queries, and in simulated "
    "seconds where the table records them)",
    "it resets without a seed and with no option but 'epochs', and never steps without a reset",
    "it reads no more of the environment than a search may: spaces, masks, recorded epochs; not the table",
    "it plays with every way to act that it supports: where cells are built and where they are picked",
    "the same seed gives the same trajectory, byte for byte; another seed gives another one",
    "it neither draws from nor seeds the global random generators of random, numpy and torch",
    "its trajectory replays",
)
"""What an agent keeps that passes `check_agent`."""


def check_agent(
    agent: Agent,
    *,
    env_id: str = "NB201-cifar10-v0",
    actions: tuple[str, ...] = ("build", "pick"),
    queries: int = 30,
    seconds: float | None = None,
    **env_kwargs: Any,
) -> None:
    """Check that an agent keeps the contract; see the module for what is checked.

    Args:
        agent: The agent; it searches several times, as it does in a benchmark.
        env_id: The environment that it is checked on.
        actions: The ways to act that it supports.
        queries: The budget of the searches that are limited in queries.
        seconds: The budget of those that are limited in simulated seconds; None is what `queries` queries
            cost on average. A table without recorded seconds is searched with the other budget alone.
        **env_kwargs: Further arguments of the environment.

    Raises:
        AgentError: If it does not.
    """
    check_signature(agent)
    budgets: list[dict[str, Any]] = [{"budget_queries": queries}]
    env = gym.make(env_id, **(env_kwargs | {"actions": actions[0]} | budgets[0]))
    if seconds is None:
        seconds = queries * mean_seconds(env.unwrapped)  # type: ignore[arg-type]
    if seconds > 0:
        budgets.append({"budget_seconds": seconds})
    for way in actions:
        for budget in budgets:
            env = gym.make(env_id, **(env_kwargs | {"actions": way} | budget))
            _check_repeats(agent, env, way)


def mean_seconds(env: NB201Env) -> float:
    """What a query costs on average, in simulated seconds; 0 where the table records none."""
    if not keeps_time(env.table):
        return 0.0
    return float(np.nanmean(answers(env.table, env.options).seconds))


def check_start(agent: Agent, env: Env, seed: int, *, queries: int = 10, seconds: float = 1.0) -> None:
    """Check what the first queries of a search show of the contract: points 1, 3, 4, 6 and 7 of `CHECKED`.

    Twice the same search is begun, and left after some queries or seconds. So it costs no more for an
    agent with a large budget, unless it does much before it asks for anything.

    Args:
        agent: The agent.
        env: The environment of the search that is to come, with its budget.
        seed: Its seed.
        queries: How many queries of it are looked at.
        seconds: The next query after this time is the last one.

    Raises:
        AgentError: If the agent does not keep the contract.
    """
    check_signature(agent)
    asked: list[list[Any]] = []
    for noise in (1, 2):
        with _Surroundings(noise, name_of(agent)):
            asked.append(_begin(agent, env, seed, queries, seconds))
    if not asked[0]:
        raise AgentError(f"{name_of(agent)} asked for nothing: act until the search is over")
    for number, (one, other) in enumerate(zip(*asked, strict=False), 1):
        if one != other:
            raise AgentError(_two_trajectories(agent, "", number))


def try_out(searches: Iterable[Search]) -> None:
    """Check the contract of every agent that is none of ours, in the first queries of one search of its.

    Raises:
        AgentError: If one does not keep it; see `check_start`.
    """
    tried = set()
    for search in searches:
        if search.agent not in AGENTS and (key := (search.agent, search.env_id)) not in tried:
            tried.add(key)
            agent, env = search.make()
            check_start(agent, env, search.seed)
            env.close()


class _Enough(BaseException):
    """Leaves a search that has been looked at for long enough; no agent takes it for a failure of its own."""


def _begin(agent: Agent, env: Env, seed: int, queries: int, seconds: float) -> list[Any]:
    """The first queries of a search."""
    asked, end = list[Any](), time.monotonic() + seconds

    def note(query: Any) -> None:
        asked.append(query)
        if len(asked) == queries or time.monotonic() > end:
            raise _Enough

    guarded = Guarded(agent)
    try:
        with _explaining(agent, ""):
            guarded.search(Recorder(env, seed, note), agent_seed(seed))
    except _Enough:
        return asked
    _check_over(guarded, "")
    return asked


def _two_trajectories(agent: Agent, where: str, number: int) -> str:
    return (
        f"{name_of(agent)} gives two trajectories with one seed{where} (they part at query {number}): "
        "draw every random number from np.random.default_rng(seed) or a torch.Generator, and keep no "
        "state between searches"
    )


def _check_repeats(agent: Agent, env: Env, way: str) -> None:
    """Search with seeds 0, 0 and 1, the second time among other global random states."""
    where = f" with actions={way!r}"
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("first", "again", "other")]
        for path, seed, noise in zip(paths, (0, 0, 1), (1, 2, 1), strict=True):
            with _Surroundings(noise, name_of(agent)):
                _search(agent, env, seed, path, where)
        first, again, other = (read(path) for path in paths)
        if not first.queries:
            raise AgentError(f"{name_of(agent)} asked for nothing{where}: act until the search is over")
        if paths[0].read_bytes() != paths[1].read_bytes():
            number = next(
                (n for n, (a, b) in enumerate(zip(first.queries, again.queries, strict=False), 1) if a != b),
                min(len(first.queries), len(again.queries)) + 1,
            )
            raise AgentError(_two_trajectories(agent, where, number))
        if [q["architecture"] for q in first.queries] == [q["architecture"] for q in other.queries]:
            raise AgentError(
                f"{name_of(agent)} asks for the same architectures whatever the seed{where}: use the seed "
                "that search(env, seed) is given"
            )
        differences = replay(first, env.unwrapped.table)  # type: ignore[attr-defined]
        if differences:
            raise AgentError(f"{name_of(agent)}'s trajectory does not replay{where}: {differences[0]}")


def _search(agent: Agent, env: Env, seed: int, path: Path, where: str) -> None:
    guarded = Guarded(agent)
    with _explaining(agent, where):
        record(guarded, env, seed, path)
    _check_over(guarded, where)


@contextmanager
def _explaining(agent: Agent, where: str) -> Iterator[None]:
    """Make an `AgentError` of whatever an agent raises."""
    try:
        yield
    except (AgentError, MissingExtra):
        raise
    except (Exception, SystemExit) as error:
        raise AgentError(f"{name_of(agent)} failed{where}: {words(error)}") from error


def _check_over(guarded: Guarded, where: str) -> None:
    if not any(watch.over for watch in guarded.watches):
        raise AgentError(
            f"{name_of(guarded.agent)}.search returned before the search was over{where}: go on until "
            "info['search_over'] is true"
        )


class _Surroundings:
    """Global random states set to something, looked at afterwards, and put back.

    Some libraries draw when they are imported (XGBoost does), which is no agent's doing: where modules were
    imported meanwhile, nothing is said; the next search shows whether the agent draws as well.
    """

    def __init__(self, noise: int, name: str) -> None:
        self._noise = noise
        self._name = name

    def __enter__(self) -> None:
        self._before = _global_states()
        random.seed(self._noise)
        np.random.seed(self._noise)  # noqa: NPY002
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(self._noise)
        self._modules = len(sys.modules)
        self._noisy = {name: pickle.dumps(state) for name, state in _global_states().items()}

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        after = {name: pickle.dumps(state) for name, state in _global_states().items()}
        random.setstate(self._before["random"])
        np.random.set_state(self._before["numpy.random"])  # noqa: NPY002
        if "torch" in self._before:
            sys.modules["torch"].set_rng_state(sys.modules["torch"].from_numpy(self._before["torch"]))
        changed = [name for name in self._noisy if self._noisy[name] != after[name]]
        if changed and kind is None and len(sys.modules) == self._modules:
            raise AgentError(
                f"{self._name} uses the global random generator of {changed[0]}, so that its results depend "
                "on what else runs: draw from np.random.default_rng(seed) or a torch.Generator"
            )


def _global_states() -> dict[str, Any]:
    states: dict[str, Any] = {"random": random.getstate(), "numpy.random": np.random.get_state()}  # noqa: NPY002
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state().numpy()
    return states
