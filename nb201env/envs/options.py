"""The keyword arguments of the environments, checked once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

RENDER_MODES = ("ansi", "rgb_array")


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit on what an architecture may cost, as part of the reward.

    Attributes:
        on: "params" or "macs" (counts), or "latency_seconds".
        max: The limit, in the unit of `on`.
        how: "hard" (above the limit the reward is 0) or "weighted" (the accuracy times
            ``(cost / max) ** exponent``, MnasNet's soft constraint, Tan et al. 2019, eq. 2).
        exponent: For "weighted"; MnasNet's value is -0.07.
    """

    on: str
    max: float
    how: str = "hard"
    exponent: float = -0.07

    def __post_init__(self) -> None:
        _one_of("limit['on']", self.on, ("params", "macs", "latency_seconds"))
        _one_of("limit['how']", self.how, ("hard", "weighted"))
        if not self.max > 0:
            raise ValueError(f"limit['max'] must be above 0; got {self.max!r}")


class EnvOptions(TypedDict, total=False):
    """The keyword arguments of the environments as editors and type checkers see them; see `Options`."""

    actions: Literal["build", "pick", "edit"]
    observations: Literal["ops", "onehot"]
    run: str | int
    epochs: int | None
    reward: Literal["accuracy", "regret"]
    limit: Limit | Mapping[str, Any] | None
    budget_queries: int | None
    budget_seconds: float | None
    overshoot: Literal["allow", "drop"]
    repeats: Literal["pay", "free"]
    max_edits: int


@dataclass(frozen=True, slots=True)
class Options:
    """What an environment was asked for; the fields are documented in `NB201Env`.

    Raises:
        ValueError: If a value is not one of those allowed.
        TypeError: If a number is not a number.
    """

    actions: str = "build"
    observations: str = "ops"
    run: str | int = "sample"
    epochs: int | None = None
    reward: str = "accuracy"
    limit: Limit | None = None
    budget_queries: int | None = None
    budget_seconds: float | None = None
    overshoot: Literal["allow", "drop"] = "allow"
    repeats: Literal["pay", "free"] = "pay"
    max_edits: int = 20

    def __post_init__(self) -> None:
        _one_of("actions", self.actions, ("build", "pick", "edit"))
        _one_of("observations", self.observations, ("ops", "onehot"))
        _one_of("reward", self.reward, ("accuracy", "regret"))
        _one_of("overshoot", self.overshoot, ("allow", "drop"))
        _one_of("repeats", self.repeats, ("pay", "free"))
        if isinstance(self.run, bool) or not isinstance(self.run, str | int):
            raise TypeError(f"run must be 'sample', 'mean' or a seed; got {self.run!r}")
        if isinstance(self.run, str):
            _one_of("run", self.run, ("sample", "mean"))
        for name in ("budget_queries", "budget_seconds", "max_edits", "epochs"):
            _positive(name, getattr(self, name))
        if self.limit is not None and self.reward != "accuracy":
            raise ValueError("limit goes with reward='accuracy'; leave one of the two out")

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Options:
        """Options from keyword arguments, with a hint for a misspelt name."""
        names = [field.name for field in fields(cls)]
        for name in arguments:
            if name not in names:
                close = difflib.get_close_matches(name, [*names, "table", "render_mode"], n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
                raise TypeError(f"unknown argument {name!r}; {hint}")
        limit = arguments.get("limit")
        if limit is not None and not isinstance(limit, Limit):
            try:
                limit = Limit(**limit)
            except TypeError as error:
                raise TypeError(
                    f"limit must look like {{'on': 'params', 'max': 500000, 'how': 'hard'}}; got {limit!r}"
                ) from error
        return cls(**{**arguments, "limit": limit})


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")


def _positive(name: str, value: float | None) -> None:
    if value is not None and (isinstance(value, bool) or not value > 0):
        raise ValueError(f"{name} must be above 0 (or None); got {value!r}")
