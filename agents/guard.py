"""What stands between an agent and its environment while `check_agent` looks at it."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from nb201env.agents.contract import Agent, AgentError, Env, choose, get_state, set_state
from nb201env.architecture import Architecture
from nb201env.envs.states import State

IDLE = 1000
"""Steps and resets after the search is over before an agent counts as one that does not notice."""


class Forbidden(AgentError, AttributeError):
    """Raised as an `AttributeError` too, so that ``hasattr`` may still ask."""


class Guarded:
    """The agent with a guard between it and the environment."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.watches: list[_Watch] = []

    def search(self, env: Env, seed: int) -> None:
        """Let the agent search, guarded."""
        self.agent.search(_Guard(env, self), seed)

    def watch(self) -> _Watch:
        """A new watch over the agent."""
        self.watches.append(_Watch(name_of(self.agent)))
        return self.watches[-1]


class _Watch:
    """Follows one agent's resets and steps."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.over = False
        self._idle = 0
        self._resets = 0

    def reset(self, seed: Any, options: dict[str, Any] | None) -> None:
        """An agent is about to reset."""
        self._resets += 1
        others = sorted(set(options or {}) - {"epochs"})
        # Libraries seed their first reset; the recorder puts the search's seed in its place.
        if others or (seed is not None and self._resets > 1):
            given = f"the options {others}" if others else "a seed"
            raise AgentError(
                f"{self.name} calls reset() with {given}, which would change the search: call reset() alone, "
                "or with options={'epochs': …}"
            )

    def note(self, over: bool) -> None:
        """An agent has been told whether the search is over."""
        self._idle += self.over
        self.over = over
        if self._idle > IDLE:
            raise AgentError(
                f"{self.name} goes on after the search is over: return when info['search_over'] is true"
            )

    def refuse(self, attribute: str) -> None:
        """An agent reads an attribute that is not for agents."""
        raise Forbidden(
            f"{self.name} reads the environment's {attribute!r}, which is not for agents: use what reset() "
            "and step() return, the spaces, action_masks(), recorded_epochs, get_state(), set_state() and "
            "choose()"
        )


class _Guard(gym.Env[Any, Any]):
    """An environment that can do what a search may, and nothing else."""

    def __init__(self, env: Env, agent: Guarded) -> None:
        self.__env, self.__agent, self.__watch = env, agent, agent.watch()
        self.__playing = False
        self.action_space, self.observation_space = env.action_space, env.observation_space
        self.metadata, self.render_mode, self.spec = env.metadata, env.render_mode, env.spec

    @property
    def reward_space(self) -> Any:
        return self.__env.get_wrapper_attr("reward_space")

    @property
    def reward_dim(self) -> Any:
        return self.__env.get_wrapper_attr("reward_dim")

    @property
    def recorded_epochs(self) -> Any:
        return self.__env.get_wrapper_attr("recorded_epochs")

    def action_masks(self) -> Any:
        return self.__env.get_wrapper_attr("action_masks")()

    def get_state(self) -> State:
        return get_state(self.__env)

    def set_state(self, state: State, *, episode_only: bool = False) -> None:
        if not episode_only:
            raise AgentError(
                f"{self.__watch.name} puts back a search: within one an agent puts back episodes alone, with "
                "set_state(state, episode_only=True)"
            )
        set_state(self.__env, state)
        self.__playing = state.steps >= 0

    def choose(self, architecture: Architecture) -> None:
        choose(self.__env, architecture)

    def vectorized(self, num_envs: int) -> gym.vector.VectorEnv[Any, Any, Any]:
        return _VectorGuard(self.__env.get_wrapper_attr("vectorized")(num_envs), self.__agent.watch())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.__watch.reset(seed, options)
        observation, info = self.__env.reset(options=options)
        self.__watch.note(info["search_over"])
        self.__playing = True
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        if not self.__playing:
            raise AgentError(
                f"{self.__watch.name} steps without a reset: call reset() first, and again whenever an "
                "episode has terminated or was truncated"
            )
        result = self.__env.step(action)
        self.__playing = not (result[2] or result[3])
        self.__watch.note(result[4]["search_over"])
        return result

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            self.__watch.refuse(name)
        raise AttributeError(name)


class _VectorGuard(gym.vector.VectorEnv[Any, Any, Any]):
    """The same for the vector environment of a search."""

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], watch: _Watch) -> None:
        self.__env, self.__watch = env, watch
        self.num_envs, self.metadata = env.num_envs, env.metadata
        self.action_space, self.observation_space = env.action_space, env.observation_space
        self.single_action_space = env.single_action_space
        self.single_observation_space = env.single_observation_space
        for name in ("reward_space", "reward_dim"):  # with several objectives
            if hasattr(env, name):
                setattr(self, name, getattr(env, name))

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.__watch.reset(seed, options)
        observation, infos = self.__env.reset(options=options)
        self.__watch.note(bool(infos["search_over"].all()))
        return observation, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        result = self.__env.step(actions)
        self.__watch.note(bool(result[4]["search_over"].all()))
        return result

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            self.__watch.refuse(name)
        raise AttributeError(name)


def name_of(agent: Agent) -> str:
    """How an agent is called in messages."""
    return type(agent).__name__
