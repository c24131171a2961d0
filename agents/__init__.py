"""Baseline agents, their recorder and their runner.

The contract, for every agent here and for your own: an agent is an object with a method
``search(env, seed)``. It acts through ``env.reset()`` and ``env.step()`` alone, without a seed and
with no option but "epochs", and returns when ``info["search_over"]`` is true.
`nb201env.agents.searches.recorder` wraps the environment and writes down every query; whatever is reported
is computed from that.
"""

from nb201env.agents.check import check_agent
from nb201env.agents.contract import Agent, AgentError, Query, query, recorded_epochs, vectorized
from nb201env.agents.registry import AGENTS, make_agent

__all__ = [
    "AGENTS",
    "Agent",
    "AgentError",
    "Query",
    "check_agent",
    "make_agent",
    "query",
    "recorded_epochs",
    "vectorized",
]
