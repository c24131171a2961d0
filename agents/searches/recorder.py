"""The recorder: runs one search and writes its trajectory; and replays one to check it."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

import nb201env  # noqa: F401  (registers the ids)
from nb201env.agents.contract import Agent, Env
from nb201env.architecture import Architecture
from nb201env.envs.single import NB201Env
from nb201env.envs.vector import NB201VectorEnv, vectorized
from nb201env.trajectory import Cost, Trajectory, Writer, write_cost

if TYPE_CHECKING:
    _VectorWrapper = gym.vector.VectorWrapper[Any, Any, Any]
else:  # takes no parameters before Gymnasium 1.4
    _VectorWrapper = gym.vector.VectorWrapper

OnQuery = Callable[[dict[str, Any]], None]
RECORDED = ("architecture", "run", "accuracy", "seconds", "clock")
_LIBRARIES = ("nb201env", "gymnasium", "numpy", "stable-baselines3", "sb3-contrib", "torch", "statsmodels",
              "cma", "optuna", "scipy", "scikit-learn", "xgboost")  # fmt: skip


class Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Hands an environment to an agent for one search and reports every answered query.

    The search is seeded here: a seed that the agent (or its library) passes to the first reset
    is ignored, and a later one is refused, because it would start the clock afresh.

    Args:
        env: The environment, with a budget.
        seed: The search's seed.
        on_query: Called with each answered query.
    """

    def __init__(self, env: Env, seed: int, on_query: OnQuery) -> None:
        super().__init__(env)
        options = env.unwrapped.options  # type: ignore[attr-defined]
        if options.budget_queries is None and options.budget_seconds is None:
            raise ValueError("a search needs an end: set budget_queries or budget_seconds")
        self._seed = seed
        self._started = False
        self._extra: dict[str, int] = {}
        self._on_query = on_query

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset without starting a new search."""
        if self._started and (seed is not None or not set(options or {}) <= {"epochs"}):
            raise ValueError(
                "during a search an agent calls reset() without seed and without options but 'epochs'"
            )
        epochs = (options or {}).get("epochs")
        self._extra = {} if epochs is None else {"epochs": epochs}
        observation, info = self.env.reset(
            seed=None if self._started else self._seed, options=self._extra or None
        )
        self._started = True
        self._report(info, 0.0)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and report the query if one was answered."""
        result = self.env.step(action)
        self._report(result[4], float(result[1]))
        return result

    def vectorized(self, num_envs: int) -> VectorRecorder:
        """The search's native vector environment, recorded; see `nb201env.agents.contract.vectorized`."""
        if self._started:
            raise ValueError("vectorize an environment before its first reset")
        self._started = True
        env: NB201Env = self.env.unwrapped  # type: ignore[assignment]
        return VectorRecorder(vectorized(env, num_envs), self._seed, self._on_query)

    def action_masks(self) -> Any:
        """The environment's masks, where MaskablePPO looks for them."""
        return self.env.unwrapped.action_masks()  # type: ignore[attr-defined]

    def _report(self, info: dict[str, Any], reward: float) -> None:
        if info["architecture"]:
            self._on_query({key: info[key] for key in RECORDED} | {"reward": reward} | self._extra)


class VectorRecorder(_VectorWrapper):
    """What `Recorder` is, around the vector environment whose copies share one search.

    Args:
        env: The vector environment; it builds or picks.
        seed: The search's seed.
        on_query: Called with each answered query, in the order of the copies.
    """

    def __init__(self, env: NB201VectorEnv, seed: int, on_query: OnQuery) -> None:
        if env.options.actions == "edit":
            raise ValueError("a vectorized search builds or picks; actions='edit' is for one environment")
        super().__init__(env)
        self._seed = seed
        self._started = False
        self._on_query = on_query

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset without starting a new search."""
        if options or (self._started and seed is not None):
            raise ValueError("during a search an agent calls reset() without seed and options")
        result = self.env.reset(seed=None if self._started else self._seed)
        self._started = True
        return result

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step, and report the queries that were answered."""
        result = self.env.step(actions)
        rewards, final = result[1], result[4].get("final_info", {"architecture": ()})
        for copy, architecture in enumerate(final["architecture"]):
            if architecture:
                query = {key: final[key][copy] for key in RECORDED}
                query |= {key: float(query[key]) for key in ("accuracy", "seconds", "clock")}
                self._on_query(query | {"reward": float(rewards[copy])})
        return result


def record(
    agent: Agent,
    env: Env,
    seed: int,
    path: Any,
    *,
    name: str = "",
    command: str = "",
    on_query: OnQuery | None = None,
) -> None:
    """Run one search and write its trajectory, and beside it what the agent itself cost.

    Args:
        agent: Who searches.
        env: Where, with a budget.
        seed: Seeds the environment and, derived from it, the agent.
        path: The trajectory file.
        name: The agent's name in the header; its class's if empty.
        command: The command that does the same again, for the header.
        on_query: Also called with each answered query, for a progress bar, say.
    """
    writer = Writer(path, header(agent, env, seed, name or type(agent).__name__, command))
    complete = False
    wall, cpu = time.perf_counter(), time.process_time()

    def both(query: dict[str, Any]) -> None:
        writer.query(query)
        if on_query is not None:
            on_query(query)

    try:
        agent.search(Recorder(env, seed, both), agent_seed(seed))
        write_cost(path, Cost(time.perf_counter() - wall, time.process_time() - cpu))
        complete = True
    finally:
        writer.close(complete=complete)


def agent_seed(seed: int) -> int:
    """The agent's own seed, unrelated to the numbers that the environment draws from `seed`."""
    return int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])


def header(agent: Agent, env: Env, seed: int, name: str, command: str) -> dict[str, Any]:
    """A trajectory's first line."""
    if env.spec is None:
        raise ValueError("make the environment with gym.make, so that it can be made again")
    table = env.unwrapped.table  # type: ignore[attr-defined]
    spec = json.loads(env.spec.to_json())
    spec["kwargs"].pop("dataset", None)  # the id says it
    parameters: dict[str, Any] = asdict(agent) if is_dataclass(agent) and not isinstance(agent, type) else {}
    return {
        "agent": name,
        "hyperparameters": parameters,
        "seed": seed,
        "env": spec,
        "table": {"name": table.name, "id": table.id},
        "versions": {"python": platform.python_version()} | _versions(),
        "command": command,
    }


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def replay(trajectory: Trajectory) -> list[str]:
    """Ask the same queries again and list every difference; an empty list means none.

    The environment is made from the header and seeded alike, and asked for the recorded
    architectures in order. So this checks not only that the table holds these numbers, but also
    that these runs were the ones drawn, that the clock was kept and that the budget was obeyed.
    """
    env = _replay_env(trajectory.header)
    table = env.unwrapped.table  # type: ignore[attr-defined]
    recorded = trajectory.header["table"]
    if table.id != recorded["id"]:
        return [f"the table {recorded['name']} has id {table.id}; recorded was {recorded['id']}"]
    differences: list[str] = []
    over = env.reset(seed=trajectory.header["seed"])[1]["search_over"]
    for number, query in enumerate(trajectory.queries, start=1):
        if over:
            return [*differences, f"query {number}: the budget was already spent"]
        env.reset(options={"epochs": query["epochs"]} if "epochs" in query else None)
        info = env.step(np.array(Architecture.parse(query["architecture"]).ops))[4]
        over = info["search_over"]
        for key in RECORDED:
            if info[key] != query[key]:
                differences.append(f"query {number}: {key} is {info[key]!r}; recorded was {query[key]!r}")
    return differences


def _replay_env(head: dict[str, Any]) -> Env:
    """The recorded environment, but picking: a query is the same however its cell was chosen."""
    spec = EnvSpec.from_json(json.dumps(head["env"]))
    spec.kwargs = dict(spec.kwargs) | {"actions": "pick", "observations": "ops"}
    return gym.make(spec)
