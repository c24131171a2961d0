"""The recorder: runs one search and writes its trajectory; and replays one to check it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

import nb201env  # noqa: F401  (registers the ids)
from nb201env.agents.contract import Agent, AgentError, Env
from nb201env.agents.searches.heading import OPTIONS, header, where, wrappers
from nb201env.agents.searches.writing import Writer
from nb201env.architecture import Architecture
from nb201env.envs.answers import answers
from nb201env.envs.multi import vectorized
from nb201env.envs.options import Options
from nb201env.envs.registration import OWN, OWN_MULTI, WITH_TABLE
from nb201env.envs.single import NB201Env
from nb201env.envs.states import State
from nb201env.envs.vector import NB201VectorEnv
from nb201env.fields import Fields, shown
from nb201env.space import all_ops
from nb201env.table import Table
from nb201env.trajectory import BadTrajectory, Trajectory
from nb201env.trajectory_cost import Cost, write_cost

if TYPE_CHECKING:
    _VectorWrapper = gym.vector.VectorWrapper[Any, Any, Any]
else:  # takes no parameters before Gymnasium 1.4
    _VectorWrapper = gym.vector.VectorWrapper

OnQuery = Callable[[dict[str, Any]], None]
RECORDED = ("architecture", "run", "accuracy", "seconds", "clock")


class Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Hands an environment to an agent for one search and reports every answered query.

    The search is seeded here: a seed that the agent (or its library) passes to the first reset
    is ignored, and a later one is refused, because it would start the clock afresh.

    Args:
        env: The environment, with a budget.
        seed: The search's seed.
        on_query: Called with each answered query.

    Attributes:
        choice: What the agent has chosen since the last answer; empty if nothing.
    """

    def __init__(self, env: Env, seed: int, on_query: OnQuery) -> None:
        if not isinstance(env.unwrapped, NB201Env):
            got = where(type(env.unwrapped))
            raise ValueError(f"searches are recorded in environments of nb201env; got {got}")
        super().__init__(env)
        self._over = False
        self._queries, self._clock = 0, 0.0
        self._vector: VectorRecorder | None = None
        options = env.unwrapped.options
        if options.budget_queries is None and options.budget_seconds is None:
            raise ValueError("a search needs an end: set budget_queries or budget_seconds")
        self._seed = seed
        self._started = False
        self._extra: dict[str, int] = {}
        self._on_query = on_query
        self._asked: set[str] = set()
        self.choice = ""

    @property
    def over(self) -> bool:
        """Whether the search's budget is spent."""
        return self._over if self._vector is None else self._vector.over

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
        self._report(result[4], result[1])
        return result

    def choose(self, architecture: Architecture) -> None:
        """Take note of the agent's choice; see `nb201env.agents.contract.choose`."""
        if str(architecture) not in self._asked:
            raise AgentError(
                f"the agent chooses {architecture}, which it has not asked for; ask for it first"
            )
        self.choice = str(architecture)

    def get_state(self) -> State:
        """Where the episode stands; see `NB201Env.get_state`."""
        state: State = self.env.get_wrapper_attr("get_state")()
        return state

    def set_state(self, state: State, *, episode_only: bool = False) -> None:
        """Put back an episode of this search, never the search.

        Raises:
            ValueError: Unless `episode_only`.
        """
        if not episode_only:
            raise ValueError(
                "during a search an agent puts back episodes alone: set_state(state, episode_only=True)"
            )
        self.env.get_wrapper_attr("set_state")(state, episode_only=True)
        env: NB201Env = self.env.unwrapped  # type: ignore[assignment]
        epochs = state.search.epochs
        self._extra = {} if epochs == (env.options.epochs or env.table.epochs) else {"epochs": epochs}

    def vectorized(self, num_envs: int) -> VectorRecorder:
        """The search's native vector environment, recorded; see `nb201env.agents.contract.vectorized`."""
        if self._started:
            raise ValueError("vectorize an environment before its first reset")
        if ignored := [where(type(one)) for one in wrappers(self.env)]:
            raise ValueError(
                f"a vectorized search would pass by the environment's wrapper {ignored[-1]}: search "
                "without it, or with one environment"
            )
        self._started = True
        env: NB201Env = self.env.unwrapped  # type: ignore[assignment]
        self._vector = VectorRecorder(vectorized(env, num_envs), self._seed, self._on_query)
        return self._vector

    def action_masks(self) -> Any:
        """The environment's masks, where MaskablePPO looks for them."""
        return self.env.unwrapped.action_masks()  # type: ignore[attr-defined]

    def _report(self, info: dict[str, Any], reward: Any) -> None:
        try:
            self._over = info["search_over"]
            query = {key: info[key] for key in RECORDED} if info["architecture"] else {}
            if query:
                self._check_order(info)
        except KeyError as hidden:
            raise ValueError(
                f"a wrapper of the environment hides info[{hidden}], which a recorder needs"
            ) from None
        if query:
            chosen = {"incumbent": self.choice} if self.choice else {}
            self._on_query(query | {"reward": _plain(reward)} | self._extra | chosen)
            self._asked.add(query["architecture"])
            self.choice = ""

    def _check_order(self, info: dict[str, Any]) -> None:
        """Refuse what would not replay: queries that a wrapper asked unseen, a search that it began anew."""
        paid, clock = info["queries"] - self._queries, self._clock + info["seconds"]
        if paid not in (0, 1) or info["clock"] != clock:
            around = ", ".join(where(type(one)) for one in wrappers(self.env)) or "something else"
            raise ValueError(
                f"this search would not replay: before query {info['queries']} (the recorder's "
                f"{self._queries + 1}) {around} asked for architectures or began the search anew; a wrapper "
                "may change observations, actions and rewards only"
            )
        self._queries, self._clock = info["queries"], info["clock"]


class VectorRecorder(_VectorWrapper):
    """What `Recorder` is, around the vector environment whose copies share one search.

    Args:
        env: The vector environment; it builds or picks.
        seed: The search's seed.
        on_query: Called with each answered query, in the order of the copies.

    Attributes:
        over: Whether the search's budget is spent.
    """

    def __init__(self, env: NB201VectorEnv, seed: int, on_query: OnQuery) -> None:
        if env.options.actions == "edit":
            raise ValueError("a vectorized search builds or picks; actions='edit' is for one environment")
        super().__init__(env)
        self.over = False
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
        self.over = bool(np.any(result[4]["search_over"]))
        for copy, architecture in enumerate(final["architecture"]):
            if architecture:
                query = {key: final[key][copy] for key in RECORDED}
                query |= {key: float(query[key]) for key in ("accuracy", "seconds", "clock")}
                self._on_query(query | {"reward": _plain(rewards[copy])})
        return result


def _plain(reward: Any) -> float | list[float]:
    """A reward as JSON has it."""
    return reward.tolist() if isinstance(reward, np.ndarray) and reward.ndim else float(reward)


def record(
    agent: Agent,
    env: Env,
    seed: int,
    path: str | os.PathLike[str],
    *,
    name: str = "",
    command: str = "",
    given: Mapping[str, Any] | None = None,
    on_query: OnQuery | None = None,
    keep: bool = False,
) -> None:
    """Run one search and write its trajectory, and beside it what the agent itself cost.

    Args:
        agent: Who searches.
        env: Where, with a budget.
        seed: Seeds the environment and, derived from it, the agent.
        path: The trajectory file. One that is there is replaced when the search has ended.
        name: The agent's name in the header; its class's if empty.
        command: The command that does the same again, for the header.
        given: What the agent's constructor was given, for the header; needed where the agent does not keep
            it in attributes of the same names.
        on_query: Also called with each answered query, for a progress bar, say.
        keep: Do not replace a finished trajectory of another search; see `writing.publish`.

    Raises:
        ValueError: If the environment is none of ours, has no budget, or was not made by its id; or if a
            wrapper around it does what the trajectory would not show.
        FileExistsError: If `path` is to be kept.
    """

    def both(query: dict[str, Any]) -> None:
        writer.query(query)
        if on_query is not None:
            on_query(query)

    recorder = Recorder(env, seed, both)
    writer = Writer(path, header(agent, env, seed, name or type(agent).__name__, command, given),
                    keep=keep)  # fmt: skip
    complete = stopped = False
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        agent.search(recorder, agent_seed(seed))
        cost = Cost(time.perf_counter() - wall, time.process_time() - cpu)
        complete, stopped = True, not recorder.over
    finally:
        writer.close(complete=complete, stopped=stopped, choice=recorder.choice)
    write_cost(path, cost)


def agent_seed(seed: int) -> int:
    """The agent's own seed, unrelated to the numbers that the environment draws from `seed`."""
    return int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])


# -- replaying -------------------------------------------------------------------------------

ENV_IDS = (*WITH_TABLE, OWN, OWN_MULTI)
"""The environments that a trajectory may be of."""

_ALWAYS: dict[str, Any] = {
    "entry_point": "nb201env.envs.single:NB201Env",
    "vector_entry_point": "nb201env.envs.vector:NB201VectorEnv",
    "reward_threshold": None,
    "nondeterministic": False,
    "max_episode_steps": None,
    "order_enforce": True,
    "disable_env_checker": False,
    "additional_wrappers": [],
}
"""What headers of earlier releases say besides id and arguments; they could say nothing else."""


_AS_REPLAYED = {"actions": "pick", "observations": "ops", "reward": "accuracy", "limit": None, "costs": (),
                "objectives": ()}  # fmt: skip
"""A query is the same however its cell was chosen, shown and rewarded, and whatever `info` said of costs."""


def replay(trajectory: Trajectory, table: Table | None = None) -> list[str]:
    """Ask the same queries again and list every difference; an empty list means none.

    The environment is made from the header's id and options and seeded alike, and asked for the recorded
    architectures in order. So this checks not only that the table holds these numbers, but also
    that these runs were the ones drawn, that the clock was kept, and that the budget was obeyed and used up.
    A header names nothing else: no code, and of files only a table, by its id.

    Args:
        trajectory: The search.
        table: The table that answered it; the one of its id among those at hand if None.

    Raises:
        BadTrajectory: If the header asks for something else than an environment of this package.
        ValueError: If the table is another one.
        FileNotFoundError: If no table at hand has the id.
    """
    env_id, options = environment_of(trajectory)
    table = trajectory.table() if table is None else table
    trajectory.check_table(table)
    registered = gym.spec(env_id).kwargs
    env = NB201Env(**registered | options | _AS_REPLAYED | {"table": table})
    differences: list[str] = []
    info = env.reset(seed=trajectory.header["seed"])[1]
    actions = all_ops()[trajectory.index]
    for number, (query, action) in enumerate(zip(trajectory.queries, actions, strict=True), start=1):
        if info["search_over"]:
            return [*differences, f"query {number}: the budget was already spent"]
        try:
            env.reset(options={"epochs": query["epochs"]} if "epochs" in query else None)
        except (ValueError, LookupError) as error:
            return [*differences, f"query {number}: {error}"]
        info = env.step(action)[4]
        for key in RECORDED:
            if info[key] != query[key]:
                differences.append(f"query {number}: {key} is {info[key]!r}; recorded was {query[key]!r}")
    if trajectory.complete and not (trajectory.stopped or info["search_over"] or _may_drop(env, info)):
        asked = len(trajectory.queries)
        differences.append(f"the search ended after {asked} queries, its budget was not spent")
    return differences


def environment_of(trajectory: Trajectory) -> tuple[str, dict[str, Any]]:
    """The id and the options of the environment that was searched; the table is named by its id alone.

    Raises:
        BadTrajectory: If the header names anything that is not one of these.
    """
    env = Fields(trajectory.header["env"], f"{trajectory.path}, line 1: env", BadTrajectory)
    for name, value in env.value.items():
        if name not in ("id", "kwargs") and not (name in _ALWAYS and value == _ALWAYS[name]):
            why = f"a replay takes the id and options of an environment, not {shown(value)}"
            raise env.refuse(shown(name), why)
    env_id, given = env.text("id"), env.object("kwargs")
    if env_id not in ENV_IDS:
        raise env.refuse("id", f"unknown environment {shown(env_id)}; there are {', '.join(ENV_IDS)}")
    options = {name: value for name, value in given.value.items() if name not in ("table", "render_mode")}
    if strange := [name for name in options if name not in OPTIONS]:
        raise given.refuse(shown(strange[0]), "no option of an environment")
    try:
        Options.of(options)
    except (TypeError, ValueError) as error:
        raise BadTrajectory(f"{given.where}: {error}") from None
    return env_id, options


def _may_drop(env: NB201Env, info: dict[str, Any]) -> bool:
    """Whether the next query may cost more than is left, so that it ends the search unanswered."""
    limit = env.options.budget_seconds
    if limit is None or env.options.overshoot != "drop":
        return False
    return bool(info["clock"] + answers(env.table, env.options).seconds.max() > limit)
