"""Specifications of environments that survive JSON, whatever the arguments were given as."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from nb201env.envs.options import Limit
from nb201env.fronts.objectives import Objective
from nb201env.table import Table
from nb201env.tables import reference


class PlainSpec:
    """Gives an environment a `spec` whose arguments are plain, so that it can be written and read as JSON."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """What `gymnasium.make` made the environment from."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = copy.copy(spec)
        if self._spec is not None:
            self._spec.kwargs = plain(self._spec.kwargs)


def plain(value: Any) -> Any:
    """An argument of an environment as JSON can hold it.

    NumPy's numbers become Python's, paths texts, and an open table its path, or its name if it is embedded;
    everything else stays as it is.
    """
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Limit):
        return plain(asdict(value))
    if isinstance(value, Objective):
        return value.plain()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Table):
        return reference(value)
    return os.path.abspath(value) if isinstance(value, os.PathLike) else value
