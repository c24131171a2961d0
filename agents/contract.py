"""What every agent here has in common: the protocol, and asking for one architecture."""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.envs.multi import vectorized as native
from nb201env.envs.states import State
from nb201env.space import NUM_OPS, SIZE

Env = gym.Env[Any, Any]


class Agent(Protocol):
    """A search method; hyper-parameters are its attributes, with defaults."""

    def search(self, env: Env, seed: int) -> None:
        """Act until ``info["search_over"]``.

        Args:
            env: An environment with a budget; use ``reset()`` and ``step(action)`` only, and in tree search
                `get_state` and `set_state` of this module.
            seed: For all of the agent's own randomness.
        """


class AgentError(ValueError):
    """An agent does not keep the contract; the message says how, and what to do."""


def check_signature(agent: object) -> None:
    """Check that something has a method ``search(env, seed)``, which acts when it is called.

    Raises:
        AgentError: If it has not.
    """
    name, search = type(agent).__name__, getattr(agent, "search", None)
    if not callable(search):
        raise AgentError(f"{name} has no method search(env, seed); give it one")
    try:
        signature = inspect.signature(search)
    except ValueError:  # of a compiled method
        return
    try:
        signature.bind(None, 0)
    except TypeError:
        raise AgentError(
            f"{name}.search must take two arguments, search(env, seed); it is search{signature}"
        ) from None
    if inspect.isgeneratorfunction(search) or inspect.iscoroutinefunction(search):
        kind = "is a generator" if inspect.isgeneratorfunction(search) else "is async"
        raise AgentError(
            f"{name}.search {kind}, so that calling it does nothing: let it act until the search is over "
            "(nb201env.agents.contract.follow asks for what a generator proposes)"
        )


Reward = float | FloatArray
"""What an environment gives for an architecture: one number or, with several objectives, float64 [m]."""


class Query(NamedTuple):
    """The outcome of asking for one architecture.

    Attributes:
        reward: What the environment gave for it; float64 [m] where it has several objectives.
        answered: False if the budget did not cover it.
        over: Whether the search is over.
    """

    reward: Any
    answered: bool
    over: bool


def query(env: Env, architecture: Architecture, *, epochs: int | None = None) -> Query:
    """Ask for one architecture, whether the environment builds or picks.

    Args:
        env: The environment.
        architecture: The architecture.
        epochs: Train it for so many epochs only, one of `recorded_epochs`; None is the whole training.

    Raises:
        ValueError: If the environment edits: there an agent cannot choose an architecture.
    """
    actions: list[Any] = [np.array(architecture.ops)] if picks(env) else list(architecture.ops)
    env.reset(options=None if epochs is None else {"epochs": epochs})
    for action in actions:
        _, reward, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            break
    one = reward if isinstance(reward, np.ndarray) and reward.ndim else float(reward)
    return Query(one, terminated, info["search_over"])


def picks(env: Env) -> bool:
    """Whether one action is a whole architecture; if not, it is built op by op.

    Raises:
        ValueError: If the environment edits: there an agent cannot choose an architecture.
    """
    if isinstance(env.action_space, spaces.MultiDiscrete):
        return True
    if env.action_space != spaces.Discrete(NUM_OPS):
        raise ValueError("this agent chooses whole architectures: it needs actions='build' or 'pick'")
    return False


Proposals = Generator[Architecture, float, None]
"""A search without its environment: it yields architectures and is sent their rewards, without end."""

SeveralProposals = Generator[Architecture, FloatArray, None]
"""The same with several objectives: it is sent float64 [m], more being better in each."""


def objectives_of(env: Env) -> int:
    """How many objectives an environment rewards; 1 where a reward is a number."""
    return int(env.get_wrapper_attr("reward_dim")) if env.has_wrapper_attr("reward_dim") else 1


def follow(env: Env, proposals: Proposals | SeveralProposals) -> None:
    """Ask for what a search proposes, until the budget is spent; it is sent the last answer too."""
    architecture = next(proposals)
    while True:
        reward, answered, over = query(env, architecture)
        if answered:
            architecture = proposals.send(reward)
        if over:
            proposals.close()
            return


def choose(env: Env, architecture: Architecture) -> None:
    """Say which architecture the search should answer with, were its budget spent now.

    An agent that says nothing answers with the one whose accuracy was the best so far, which was a lucky run
    more often than not. A choice stands until the next query is answered; outside of a recorded search it is
    for nothing.

    Args:
        env: The environment of the search.
        architecture: One that the search has asked for.

    Raises:
        AgentError: If the search has not asked for it.
    """
    if env.has_wrapper_attr("choose"):
        env.get_wrapper_attr("choose")(architecture)


def never_asked(known: dict[int, Any], rng: np.random.Generator) -> int:
    """The index of a random architecture that is not known yet; once all are, everything is forgotten.

    Args:
        known: The rewards of the architectures that were asked for, by index; emptied when it is full.
        rng: The source of randomness.
    """
    if len(known) == SIZE:
        known.clear()
    return int(rng.choice(np.setdiff1d(np.arange(SIZE), list(known))))


def recorded_epochs(env: Env) -> tuple[int, ...]:
    """The epochs after which the environment knows an architecture's accuracy, ascending.

    The last are the whole training; a table without learning curves has only these.
    """
    epochs: tuple[int, ...] = env.get_wrapper_attr("recorded_epochs")
    return epochs


def get_state(env: Env) -> State:
    """Where the episode stands, for `set_state`; an agent looks at nothing in it."""
    state: State = env.get_wrapper_attr("get_state")()
    return state


def set_state(env: Env, state: State) -> None:
    """Put back an episode of this search; what was asked meanwhile stays paid for.

    Raises:
        ValueError: If the state is of an environment with another table or other options.
    """
    env.get_wrapper_attr("set_state")(state, episode_only=True)


def vectorized(env: Env, num_envs: int) -> gym.vector.VectorEnv[Any, Any, Any]:
    """The native vector environment of a search, before its first reset.

    Its copies share the search: one clock, one budget. The queries of a step are asked, and
    recorded, in the order of the copies, as if one environment had been asked for them.
    ``info["search_over"]`` is an array, true for all at once.
    """
    if env.has_wrapper_attr("vectorized"):  # recorded, or guarded
        vector: gym.vector.VectorEnv[Any, Any, Any] = env.get_wrapper_attr("vectorized")(num_envs)
        return vector
    return native(env.unwrapped, num_envs)  # type: ignore[arg-type]
