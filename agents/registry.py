"""The agents by name; each is imported only when it is used.

A name is one of `AGENTS`; one that an installed package offers in the entry-point group ``nb201.agents``; or
``module:Class``, a class of one's own, whose module may lie in the current folder.
"""

from __future__ import annotations

import difflib
import inspect
import os
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nb201env.agents import loading
from nb201env.agents.contract import Agent, check_signature
from nb201env.extras import MissingExtra
from nb201env.reading import check_name

AGENTS: dict[str, str] = {
    "random_search": "nb201env.agents.random_search:RandomSearch",
    "regularized_evolution": "nb201env.agents.regularized_evolution:RegularizedEvolution",
    "local_search": "nb201env.agents.local_search:LocalSearch",
    "mcts": "nb201env.agents.mcts:MCTS",
    "predictor_evolution": "nb201env.agents.predictor_evolution:PredictorEvolution",
    "cma_es": "nb201env.agents.cma_es:CMAES",
    "tpe": "nb201env.agents.tpe:TPE",
    "best_proxy": "nb201env.agents.training_free.best_proxy:BestProxy",
    "proxy_ranks": "nb201env.agents.training_free.proxy_ranks:ProxyRanks",
    "warm_evolution": "nb201env.agents.training_free.warm_evolution:WarmEvolution",
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
    "nsga2": "nb201env.agents.fronts.nsga2:NSGA2",
    "scalarized_evolution": "nb201env.agents.fronts.scalarized_evolution:ScalarizedEvolution",
    "pareto_local_search": "nb201env.agents.fronts.pareto_local_search:ParetoLocalSearch",
    "ehvi": "nb201env.agents.fronts.ehvi:EHVI",
    "weighted_ppo": "nb201env.agents.fronts.weighted_ppo:WeightedPPO",
}

SEVERAL = ("nsga2", "scalarized_evolution", "pareto_local_search", "ehvi", "weighted_ppo")
"""Those of `AGENTS` that search for a front: their rewards are of several objectives."""
EITHER = ("random_search",)
"""Those that take both kinds of rewards. All others take one number."""

_ACRONYMS = {
    "nsga2": "NSGA-II",
    "ehvi": "EHVI",
    "weighted_ppo": "weighted PPO",
    "pareto_local_search": "Pareto local search",
    "cma_es": "CMA-ES",
    "mcts": "MCTS",
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


GROUP = "nb201.agents"
"""The entry points in which a package offers agents."""

HINT = f"one of your own is {loading.EXAMPLE}"


def names() -> list[str]:
    """All names there are: of our agents, and of those that installed packages offer."""
    return [*AGENTS, *sorted(name for name in offered() if name not in AGENTS)]


def offered() -> Mapping[str, list[EntryPoint]]:
    """What installed packages offer, by name; nothing of it is loaded.

    A name that is not made of letters, digits, "_" and "-" could be no part of a file's name; it is left out.
    """
    return _offered(tuple(sys.path))


@lru_cache(maxsize=4)  # looking through all installed packages takes longer than a short search
def _offered(_: tuple[str, ...]) -> Mapping[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if re.fullmatch("[A-Za-z0-9_-]+", point.name):
            found.setdefault(point.name, []).append(point)
    return found


def owner(point: EntryPoint) -> str:
    """The distribution that an entry point is of, such as "mypackage 1.2"."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


def display_name(name: str) -> str:
    """An agent's name as people write it: "regularized evolution", "PPO", "MyAgent" for mine:MyAgent."""
    if loading.is_own(name):
        return name.partition(":")[2]
    return _ACRONYMS.get(name, name.replace("_", " "))


def file_name(name: str) -> str:
    """An agent's name as the start of a file's: "mine.MyAgent" for mine:MyAgent, which no other agent has."""
    return name.replace(":", ".")


def make_agent(name: str, /, *, preset: str = "", **hyperparameters: Any) -> Agent:
    """An agent by name.

    Args:
        name: One of `names`, or ``module:Class``. For the latter the current folder is put in front of
            `sys.path`, unless the module is loaded already. Where a package offers a name of ours, ours
            counts.
        preset: A key of the agent's `PRESETS`, other hyper-parameters than its defaults.
        **hyperparameters: What its constructor takes; the rest keep the preset's values or their defaults.

    Raises:
        ValueError: If there is no such agent, importing it fails, it has no such preset or hyper-parameter,
            or its constructor refuses them.
        MissingExtra: If it needs a package that is not installed.
        AgentError: If it has no method ``search(env, seed)``.
    """
    agent_class = find_class(name)
    settings = settings_of(name, preset=preset, **hyperparameters)
    try:
        agent: Agent = agent_class(**settings)
    except MissingExtra as error:
        raise MissingExtra(f"agent {name!r}: {error}") from error
    except ValueError as error:
        raise ValueError(f"agent {name!r}: {error}") from error
    except Exception as error:
        raise ValueError(f"agent {name!r}: its constructor raised {loading.words(error)}") from error
    check_signature(agent)
    return agent


def check_objectives(name: str, objectives: int) -> None:
    """Check that an agent of ours takes the rewards of an environment.

    Args:
        name: The agent's.
        objectives: How many there are.

    Raises:
        ValueError: If it does not.
    """
    if name in EITHER or name not in AGENTS or (name in SEVERAL) == (objectives > 1):
        return
    if objectives > 1:
        raise ValueError(
            f"agent {name!r} takes one reward, and this environment gives {objectives}: choose one of "
            f"{', '.join((*EITHER, *SEVERAL))}, or an id without -mo"
        )
    raise ValueError(
        f"agent {name!r} searches for a front of several objectives: choose an environment with -mo before "
        "-v0, such as NB201-cifar10-mo-v0"
    )


def settings_of(name: str, /, *, preset: str = "", **hyperparameters: Any) -> dict[str, Any]:
    """What `make_agent` gives to the agent's constructor, checked against what that takes.

    Raises:
        ValueError: If there is no such preset or hyper-parameter, or one that has no default is not given.
    """
    agent_class = find_class(name)
    presets = getattr(agent_class, "PRESETS", {})
    if preset and preset not in presets:
        raise ValueError(f"agent {name!r} has no preset {preset!r}; it has {', '.join(presets) or 'none'}")
    settings = {**presets.get(preset, {}), **hyperparameters}
    _check_settings(name, agent_class, settings)
    return settings


def find_class(name: str) -> type[Any]:
    """The class of an agent; see `make_agent`."""
    if name in AGENTS:
        return loading.load_class(AGENTS[name], name)
    if ":" in name:
        if loading.parse(name)[0] not in sys.modules:
            loading.look_in(os.getcwd())
        return loading.load_class(name, name)
    check_name(name, "agent", names(), HINT)
    point, *others = offered()[name]
    if others:
        owners = " and ".join(map(owner, (point, *others)))
        raise ValueError(f"agent {name!r} is offered by {owners}; name the one you mean as module:Class")
    return loading.load_class(f"{point.module}:{point.attr}", name)


def _check_settings(name: str, agent_class: type[Any], settings: Mapping[str, Any]) -> None:
    """Check hyper-parameters against what the constructor takes."""
    try:
        parameters = inspect.signature(agent_class).parameters.values()
    except (TypeError, ValueError):  # of a compiled class
        return
    known = [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    anything = any(one.kind is one.VAR_KEYWORD for one in parameters)
    for unknown in [] if anything else [key for key in settings if key not in known]:
        close = difflib.get_close_matches(unknown, known, n=1)
        mend = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known) or 'none'}"
        raise ValueError(f"agent {name!r}: it has no hyper-parameter {unknown!r}; {mend}")
    fixed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    for one in parameters:
        if one.default is one.empty and one.kind not in fixed and one.name not in settings:
            raise ValueError(
                f"agent {name!r}: the hyper-parameter {one.name!r} of its constructor has no default; give "
                f"it one, or a value: --agent-kwargs, or make_agent({name!r}, {one.name}=…) in Python"
            )
