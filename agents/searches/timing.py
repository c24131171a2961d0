"""What an agent's decisions cost: processor seconds between an answer and the next question.

    timed = timed_search(Search("tpe", "NB201-cifar10-v0", 0, {"budget_queries": 30}, Path()))
    timed.decisions.mean()     # of one query, without the environment's own time

Processor time is that of the whole process, all threads together, so other programs on the machine hardly
matter; how fast the machine is does. The environment's resets and steps, and the recorder's, are left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium as gym
import numpy as np

from nb201env.agents.contract import Agent, Env
from nb201env.agents.searches.recorder import Recorder, agent_seed
from nb201env.agents.searches.runner import Search
from nb201env.arrays import FloatArray
from nb201env.trajectory import Trajectory

if TYPE_CHECKING:
    _VectorWrapper = gym.vector.VectorWrapper[Any, Any, Any]
else:  # takes no parameters before Gymnasium 1.4
    _VectorWrapper = gym.vector.VectorWrapper


class TimedSearch(NamedTuple):
    """A search and what its decisions cost.

    Attributes:
        trajectory: The search, of which no file was written.
        decisions: Processor seconds that the agent took for each query; float64 [queries]. Its preparations
            count for the first one, and what it learns from an answer for the next one.
    """

    trajectory: Trajectory
    decisions: FloatArray


def timed_search(search: Search) -> TimedSearch:
    """Run one search, which is the same as without timing it, and write no file.

    Raises:
        ValueError: As `Search.make`.
        MissingExtra: Likewise.
    """
    agent, env = search.make()
    asked: list[dict[str, Any]] = []
    timed, recorder = Timed(agent), Recorder(env, search.seed, asked.append)
    timed.search(recorder, agent_seed(search.seed))
    env.close()
    trajectory = Trajectory(search.path, search.header(), asked, complete=True, choice=recorder.choice)
    return TimedSearch(trajectory, np.array(timed.decisions))


class Timed:
    """An agent whose decisions are timed; it is an agent itself.

    Args:
        agent: The agent.

    Attributes:
        decisions: Processor seconds of each query's decision in the latest search. Queries that a vector
            environment answers in one step share the time of that step equally.
    """

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.decisions: list[float] = []

    def search(self, env: Env, seed: int) -> None:
        """Let the agent search, timed."""
        watch = _Stopwatch()
        self.decisions = watch.laps
        self.agent.search(_TimedEnv(env, watch), seed)


class _Stopwatch:
    """Processor time, but for what passes in `stopped`."""

    def __init__(self) -> None:
        self.laps: list[float] = []
        self._before = 0.0
        self._since = time.process_time()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self._before += time.process_time() - self._since
        try:
            yield
        finally:
            self._since = time.process_time()

    def lap(self, answers: int) -> None:
        """So many queries were answered in a step that has just been taken."""
        if answers:
            self.laps += [self._before / answers] * answers
            self._before = 0.0


class _TimedEnv(gym.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: Env, watch: _Stopwatch) -> None:
        super().__init__(env)
        self._watch = watch

    def reset(self, **given: Any) -> tuple[Any, dict[str, Any]]:
        with self._watch.stopped():
            return self.env.reset(**given)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        with self._watch.stopped():
            result = self.env.step(action)
            self._watch.lap(bool(result[4]["architecture"]))
        return result

    def action_masks(self) -> Any:
        """The environment's masks, where MaskablePPO looks for them."""
        with self._watch.stopped():
            return self.env.get_wrapper_attr("action_masks")()

    def vectorized(self, num_envs: int) -> _TimedVectorEnv:
        """See `nb201env.agents.contract.vectorized`."""
        with self._watch.stopped():
            copies = self.env.get_wrapper_attr("vectorized")(num_envs)
        return _TimedVectorEnv(copies, self._watch)


class _TimedVectorEnv(_VectorWrapper):
    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], watch: _Stopwatch) -> None:
        super().__init__(env)
        self._watch = watch

    def reset(self, **given: Any) -> tuple[Any, dict[str, Any]]:
        with self._watch.stopped():
            return self.env.reset(**given)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        with self._watch.stopped():
            result = self.env.step(actions)
            final = result[4].get("final_info", {"architecture": ()})
            self._watch.lap(sum(map(bool, final["architecture"])))
        return result
