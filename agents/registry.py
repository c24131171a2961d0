"""The agents by name; each is imported only when it is used."""

from __future__ import annotations

import importlib
from typing import Any

from agents.contract import Agent

AGENTS: dict[str, str] = {
    "random_search": "agents.random_search:RandomSearch",
    "regularized_evolution": "agents.regularized_evolution:RegularizedEvolution",
    "reinforce": "agents.reinforce:Reinforce",
    "bohb": "agents.bohb:BOHB",
    "ppo": "agents.sb3:PPO",
    "a2c": "agents.sb3:A2C",
    "dqn": "agents.sb3:DQN",
    "maskable_ppo": "agents.sb3:MaskablePPO",
}

_ACRONYMS = {
    "reinforce": "REINFORCE",
    "bohb": "BOHB",
    "ppo": "PPO",
    "a2c": "A2C",
    "dqn": "DQN",
    "maskable_ppo": "MaskablePPO",
}


def display_name(name: str) -> str:
    """An agent's name as people write it: "regularized evolution", "PPO"."""
    return _ACRONYMS.get(name, name.replace("_", " "))


def make_agent(name: str, **hyperparameters: Any) -> Agent:
    """An agent by name.

    Args:
        name: A key of `AGENTS`.
        **hyperparameters: Its attributes; the rest keep their defaults.

    Raises:
        ValueError: If there is no such agent, or it has no such attribute.
    """
    if name not in AGENTS:
        raise ValueError(f"unknown agent {name!r}; the agents are {', '.join(AGENTS)}")
    module, _, cls = AGENTS[name].partition(":")
    try:
        agent: Agent = getattr(importlib.import_module(module), cls)(**hyperparameters)
    except TypeError as error:
        raise ValueError(f"agent {name!r}: {error}") from error
    return agent
