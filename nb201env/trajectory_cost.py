"""What a search cost on the machine that ran it: measured seconds, beside its trajectory.

They differ from run to run. So they stand in a file of their own, ``<path>.cost.json``, and a trajectory of
the same seed has the same bytes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from nb201env.fields import Fields
from nb201env.files import appearing, read_limited


class Cost(NamedTuple):
    """What one search cost on the machine that ran it, the environment's lookups included.

    Attributes:
        wall_seconds: By the clock on the wall.
        cpu_seconds: Of the processor, all threads together; other programs disturb it less.
    """

    wall_seconds: float
    cpu_seconds: float


def write_cost(path: str | os.PathLike[str], cost: Cost) -> None:
    """Write a search's cost beside its trajectory `path`."""
    rounded = {name: round(seconds, 3) for name, seconds in cost._asdict().items()}
    with appearing(_cost_file(path)) as partial:
        partial.write_text(json.dumps(rounded) + "\n", encoding="utf-8")


def read_cost(path: str | os.PathLike[str]) -> Cost:
    """The cost of the search whose trajectory is `path`.

    Raises:
        FileNotFoundError: If it was not recorded.
        ValueError: If the file holds something else.
    """
    file = _cost_file(path)
    found = Fields.parse(read_limited(file, 10_000), str(file))
    return Cost(*(found.number(name, least=0) for name in Cost._fields))


def _cost_file(path: str | os.PathLike[str]) -> Path:
    return Path(f"{os.fspath(path)}.cost.json")
