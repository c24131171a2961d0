"""What the RL agents log to TensorBoard on request; docs/agents.md lists every key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nb201env.extras import check, require
from nb201env.wrappers import Shaping


def search_values(shaping: Shaping, queries: int, clock: float) -> dict[str, float]:
    """How the search stands, for any agent that learns from shaped rewards."""
    return {
        "search/best_reward": shaping.best,
        "search/architectures": len(shaping.asked),
        "search/queries": int(queries),
        "search/clock_seconds": float(clock),
    }


def check_folder(tensorboard: str | None) -> None:
    """Raise MissingExtra if event files are asked for and TensorBoard is not installed."""
    if tensorboard is not None:
        check("tensorboard", "tensorboard")


class Logbook:
    """Writes event files of one search; without a folder it writes nothing.

    Args:
        writer: A ``SummaryWriter``, or None.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._queries = 0

    @classmethod
    def open(cls, folder: str | None, seed: int) -> Logbook:
        """A logbook in a sub-folder of its own, named after the agent's seed.

        Raises:
            MissingExtra: If a folder is given and TensorBoard is not installed.
        """
        if folder is None:
            return cls(None)
        require("tensorboard", "tensorboard")
        tensorboard = require("torch.utils.tensorboard", "agents")
        return cls(tensorboard.SummaryWriter(str(Path(folder) / str(seed))))

    def search(self, shaping: Shaping, queries: int, clock: float) -> None:
        """Log how the search stands; later values stand at this number of queries."""
        self._queries = int(queries)
        self.write(search_values(shaping, queries, clock))

    def write(self, values: Mapping[str, float]) -> None:
        """Log values by key."""
        if self._writer is not None:
            for key, value in values.items():
                self._writer.add_scalar(key, value, self._queries)

    def close(self) -> None:
        """Finish the event file."""
        if self._writer is not None:
            self._writer.close()
