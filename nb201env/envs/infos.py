"""What `info` says: its keys, and what stands in it where no query was answered."""

from __future__ import annotations

from typing import Any

Info = dict[str, Any]

NO_ACCURACY = -1.0
"""Stands in `info` for the accuracy where no query was answered."""

NO_COST = 0.0
"""Stands in `info` for a cost where no query was answered."""

NO_QUERY: Info = {
    "architecture": "",
    "run": "",
    "accuracy": NO_ACCURACY,
    "seconds": 0.0,
    "clock": 0.0,
    "queries": 0,
    "search_over": False,
}
INFO_KEYS = tuple(NO_QUERY)
"""The keys of `info`, in order; after them come the costs that were asked for."""

OTHERS_KEYS = (
    "final_obs", "final_info", "final_observation", "terminal_observation", "TimeLimit.truncated", "episode",
    "action_mask",
)  # fmt: skip
"""Keys that vector environments and well-known wrappers add."""


def may_be_key(name: str) -> bool:
    """Whether a cost may stand in `info` under its name; Gymnasium's masks begin with "_"."""
    return bool(name) and name not in (*INFO_KEYS, *OTHERS_KEYS) and not name.startswith("_")
