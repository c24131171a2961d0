"""The agents by name; each is imported only when it is used."""

from __future__ import annotations

import importlib
from typing import Any

from nb201env.agents.contract import Agent
from nb201env.reading import check_name

AGENTS: dict[str, str] = {
    "random_search": "nb201env.agents.random_search:RandomSearch",
    "regularized_evolution": "nb201env.agents.regularized_evolution:RegularizedEvolution",
    "local_search": "nb201env.agents.local_search:LocalSearch",
    "predictor_evolution": "nb201env.agents.predictor_evolution:PredictorEvolution",
    "cma_es": "nb201env.agents.cma_es:CMAES",
    "tpe": "nb201env.agents.tpe:TPE",
    "reinforce": "nb201env.agents.reinforce:Reinforce",
    "bohb": "nb201env.agents.bohb:BOHB",
    "vector_ppo": "nb201env.agents.rl.ppo:PPO",
    "ppo": "nb201env.agents.rl.sb3:PPO",
    "a2c": "nb201env.agents.rl.sb3:A2C",
    "dqn": "nb201env.agents.rl.sb3:DQN",
    "maskable_ppo": "nb201env.agents.rl.sb3:MaskablePPO",
    "rsps": "nb201env.agents.weight_sharing.rsps:RSPS",
    "darts_v1": "nb201env.agents.weight_sharing.darts:DARTSV1",
    "darts_v2": "nb201env.agents.weight_sharing.darts:DARTSV2",
    "gdas": "nb201env.agents.weight_sharing.gdas:GDAS",
    "setn": "nb201env.agents.weight_sharing.setn:SETN",
    "enas": "nb201env.agents.weight_sharing.enas:ENAS",
}

_ACRONYMS = {
    "cma_es": "CMA-ES",
    "tpe": "TPE",
    "reinforce": "REINFORCE",
    "bohb": "BOHB",
    "vector_ppo": "vector PPO",
    "ppo": "PPO",
    "a2c": "A2C",
    "dqn": "DQN",
    "maskable_ppo": "MaskablePPO",
    "rsps": "RSPS",
    "darts_v1": "DARTS-V1",
    "darts_v2": "DARTS-V2",
    "gdas": "GDAS",
    "setn": "SETN",
    "enas": "ENAS",
}


def display_name(name: str) -> str:
    """An agent's name as people write it: "regularized evolution", "PPO"."""
    return _ACRONYMS.get(name, name.replace("_", " "))


def make_agent(name: str, *, preset: str = "", **hyperparameters: Any) -> Agent:
    """An agent by name.

    Args:
        name: A key of `AGENTS`.
        preset: A key of the agent's `PRESETS`, other hyper-parameters than its defaults.
        **hyperparameters: Its attributes; the rest keep the preset's values or their defaults.

    Raises:
        ValueError: If there is no such agent, or it has no such preset or attribute.
    """
    check_name(name, "agent", AGENTS)
    module, _, cls = AGENTS[name].partition(":")
    agent_class = getattr(importlib.import_module(module), cls)
    presets = getattr(agent_class, "PRESETS", {})
    if preset and preset not in presets:
        raise ValueError(f"agent {name!r} has no preset {preset!r}; it has {', '.join(presets) or 'none'}")
    try:
        agent: Agent = agent_class(**presets.get(preset, {}) | hyperparameters)
    except TypeError as error:
        raise ValueError(f"agent {name!r}: {error}") from error
    return agent
