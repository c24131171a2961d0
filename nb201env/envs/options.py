"""The keyword arguments of the environments, checked once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

from nb201env.envs.infos import may_be_key
from nb201env.fields import finite_number, quoted
from nb201env.fronts.objectives import ACCURACY, Given, Objective, read_objectives
from nb201env.space import whole_number
from nb201env.verification import named_unit

RENDER_MODES = ("ansi", "rgb_array")
ONE_REWARD = (
    "objectives are for the ids with -mo before -v0, such as NB201-cifar10-mo-v0; this one has one reward"
)
REWARDS = ("accuracy", "log_error", "rank", "regret")


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit on what an architecture may cost, as part of the reward.

    Attributes:
        on: A cost of the table: "params" or "macs" (counts), "latency_seconds", "pixel3_energy_joules", …
            (`nb201env.comparison.cost_names`).
        max: The limit, in the unit of `on`; above 0, but for costs that may be negative, such as a proxy's
            score.
        how: "hard" (above the limit the reward is 0) or "weighted" (the accuracy times
            ``(cost / max) ** exponent``, MnasNet's soft constraint, Tan et al. 2019, eq. 2).
        exponent: For "weighted"; MnasNet's value is -0.07.

    Raises:
        ValueError: If a value is not one of those allowed.
    """

    on: str
    max: float
    how: str = "hard"
    exponent: float = -0.07

    def __post_init__(self) -> None:
        if not isinstance(self.on, str) or not self.on:
            raise ValueError(
                f"limit['on'] must be the name of a cost, such as 'params'; got {quoted(self.on)}"
            )
        _one_of("limit['how']", self.how, ("hard", "weighted"))
        above = 0 if self.how == "weighted" or named_unit(self.on) else None
        _store(self, "max", finite_number("limit['max']", self.max, above))
        _store(self, "exponent", finite_number("limit['exponent']", self.exponent))


class EnvOptions(TypedDict, total=False):
    """The keyword arguments of the environments as editors and type checkers see them; see `Options`."""

    actions: Literal["build", "pick", "edit"]
    observations: Literal["ops", "onehot"]
    run: str | int
    epochs: int | None
    reward: Literal["accuracy", "log_error", "rank", "regret"]
    limit: Limit | Mapping[str, Any] | None
    costs: Sequence[str]
    objectives: Given
    budget_queries: int | None
    budget_seconds: float | None
    overshoot: Literal["allow", "drop"]
    repeats: Literal["pay", "free"]
    max_edits: int


@dataclass(frozen=True, slots=True)
class Options:
    """What an environment was asked for; the fields are documented in `NB201Env`.

    Numbers may be of NumPy's types and are stored as Python's; True is no number, and 2.0 no whole one.

    Raises:
        ValueError: If a value is not one of those allowed.
        TypeError: If `run` is neither a text nor a whole number.
    """

    actions: str = "build"
    observations: str = "ops"
    run: str | int = "sample"
    epochs: int | None = None
    reward: str = "accuracy"
    limit: Limit | None = None
    costs: tuple[str, ...] = ()
    objectives: tuple[Objective, ...] = ()
    budget_queries: int | None = None
    budget_seconds: float | None = None
    overshoot: Literal["allow", "drop"] = "allow"
    repeats: Literal["pay", "free"] = "pay"
    max_edits: int = 20

    def __post_init__(self) -> None:
        _one_of("actions", self.actions, ("build", "pick", "edit"))
        _one_of("observations", self.observations, ("ops", "onehot"))
        _one_of("reward", self.reward, REWARDS)
        _one_of("overshoot", self.overshoot, ("allow", "drop"))
        _one_of("repeats", self.repeats, ("pay", "free"))
        _store(self, "costs", _cost_names(self.costs))
        if isinstance(self.run, str):
            _one_of("run", self.run, ("sample", "mean"))
        else:
            seed = whole_number(self.run)
            if seed is None:
                raise TypeError(f"run must be 'sample', 'mean' or a seed; got {quoted(self.run)}")
            _store(self, "run", seed)
        for name in ("budget_queries", "epochs"):
            if getattr(self, name) is not None:
                _store(self, name, _count(name, getattr(self, name), " (or None)"))
        _store(self, "max_edits", _count("max_edits", self.max_edits))
        if self.budget_seconds is not None:
            seconds = finite_number("budget_seconds", self.budget_seconds, 0, " (or None)")
            _store(self, "budget_seconds", seconds)
        if self.limit is not None and self.reward != "accuracy":
            raise ValueError("limit goes with reward='accuracy'; leave one of the two out")
        if given_none(self.objectives):
            _store(self, "objectives", ())
        else:
            self._read_objectives()

    def _read_objectives(self) -> None:
        """Check them; their costs are shown in `info` too."""
        if self.reward != "accuracy" or self.limit is not None:
            raise ValueError("objectives say what is rewarded: leave out reward and limit")
        objectives = read_objectives(self.objectives)
        _store(self, "objectives", objectives)
        named = [one.name for one in objectives if one.name != ACCURACY]
        _store(self, "costs", _cost_names([*self.costs, *(name for name in named if name not in self.costs)]))

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Options:
        """Options from keyword arguments, with a hint for a misspelt name."""
        names = [field.name for field in fields(cls)]
        for name in arguments:
            if name not in names:
                known = [*names, "table", "dataset", "render_mode"]
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
                # Python's own words, because Gymnasium and others look for them.
                raise TypeError(f"got an unexpected keyword argument {name!r}; {hint}")
        limit = arguments.get("limit")
        if limit is not None and not isinstance(limit, Limit):
            try:
                limit = Limit(**limit)
            except TypeError as error:
                like = "{'on': 'params', 'max': 500000, 'how': 'hard'}"
                raise TypeError(f"limit must look like {like}; got {quoted(limit)}") from error
        return cls(**{**arguments, "limit": limit})


def one_reward(arguments: Mapping[str, Any]) -> Options:
    """`Options.of` for environments whose reward is one number: they take no objectives."""
    if not given_none(arguments.get("objectives")):
        raise ValueError(ONE_REWARD)
    return Options.of(arguments)


def given_none(objectives: Any) -> bool:
    """Whether an environment's `objectives` are none at all."""
    return objectives is None or (isinstance(objectives, list | tuple) and not objectives)


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {quoted(value)}")


def _cost_names(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"costs must be a list of names of costs, such as ['params']; got {quoted(names)}")
    if wrong := [name for name in names if not may_be_key(name)]:
        raise ValueError(f"costs: {quoted(wrong[0])} cannot be shown, info has that key already")
    if len(set(names)) < len(names):
        raise ValueError(f"costs: a name stands twice; got {quoted(names)}")
    return tuple(map(str, names))


def _count(name: str, value: Any, otherwise: str = "") -> int:
    number = whole_number(value)
    if number is None or number < 1:
        raise ValueError(f"{name} must be above 0{otherwise}, a whole number; got {quoted(value)}")
    return number


def _store(options: Any, name: str, value: Any) -> None:
    object.__setattr__(options, name, value)  # of a frozen dataclass, while it is being made
