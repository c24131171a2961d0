"""What an environment answers: accuracy, reward and cost of every architecture and run.

Computed once per table and options, shared by all environments of a process, and the same
arrays for the single and the vector environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nb201env.arrays import FloatArray, IntArray
from nb201env.comparison import costs, with_unit
from nb201env.envs.options import Limit, Options
from nb201env.fields import quoted
from nb201env.fronts.objectives import Objective, known_objectives, objective_costs, rewards
from nb201env.missing import not_recorded
from nb201env.space import SIZE
from nb201env.table import NotRecorded, Run, Table
from nb201env.verification import SIZES

LEAST_ERROR = 1e-4
"""Errors below 0.01 % count as that, so that reward="log_error" has an end: an accuracy of 1 gives 9.2."""


@dataclass(frozen=True, eq=False)
class Answers:
    """All answers, by lexicographic index and slot; the slots of a row are its recorded runs.

    Attributes:
        slots: How many runs each architecture has; int64 [15625].
        accuracy: Fractions; float64 [15625, S], rows filled from the left.
        reward: What the agent gets; float64 [15625, S], or [15625, S, m] with m objectives.
        seconds: What the query costs, in simulated seconds; float64 [15625, S].
        label: The run of each slot, "777" or "mean"; object [15625, S].
        optimum: The table's best mean accuracy.
    """

    slots: IntArray
    accuracy: FloatArray
    reward: FloatArray
    seconds: FloatArray
    label: npt.NDArray[np.object_]
    optimum: float

    @property
    def flat_reward(self) -> FloatArray:
        """`reward` by entry ``index * S + slot``; float64 [15625 * S], or [15625 * S, m]."""
        return self.reward.reshape(-1, *self.reward.shape[2:])

    @cached_property
    def lists(self) -> Lists:
        """The same as plain lists, from which Python takes one number faster than from arrays."""
        return Lists(
            self.accuracy.shape[1],
            self.slots.tolist(),
            self.accuracy.ravel().tolist(),
            self.flat_reward.tolist() if self.reward.ndim == 2 else self.flat_reward,
            self.seconds.ravel().tolist(),
            self.label.ravel().tolist(),
        )


class Lists(NamedTuple):
    """`Answers`, flattened: entry ``index * width + slot``."""

    width: int
    slots: list[int]
    accuracy: list[float]
    reward: list[float] | FloatArray
    seconds: list[float]
    label: list[str]


def answers(table: Table, options: Options, epochs: int | None = None) -> Answers:
    """Prepare the answers, once per table, options and epochs.

    Args:
        table: The table.
        options: What the environment was asked for.
        epochs: Epochs completed, of shorter trainings than the options'; theirs if None.

    Raises:
        NotRecorded: If the table lacks something that the options ask for.
        ValueError: If `epochs` are more than the options', no architecture is within their limit, or
            their budget can never be spent.
    """
    if "valid_accuracy" not in table.columns:
        raise NotRecorded(
            f"{table.name} records no 'valid_accuracy', which rewards are made of: its numbers can be looked "
            "up, but no search sees them"
        )
    if options.budget_seconds is not None and not keeps_time(table):
        raise NotRecorded(
            f"{table.name} records no 'train_seconds', so nothing can be counted against budget_seconds; "
            f"use budget_queries, or {_how_to_add_seconds(table)}"
        )
    whole = options.epochs or table.epochs
    if epochs is not None and not 1 <= epochs <= whole:
        raise ValueError(f"epochs must be in 1..{whole}, this environment's; got {quoted(epochs)}")
    how = options.reward, options.limit, options.objectives
    found = _answers(table, options.run, epochs or whole, whole, *how)
    if epochs in (None, whole):
        _check_budget(table, options, found)
    return found


def costs_in_info(table: Table, options: Options) -> FloatArray:
    """The costs that `info` shows of every architecture; float64 [costs, 15625].

    Raises:
        NotRecorded: If the table has no such cost.
    """
    return _costs_in_info(table, options.costs)


@lru_cache(maxsize=32)
def _costs_in_info(table: Table, names: tuple[str, ...]) -> FloatArray:
    return np.array([costs(table, name) for name in names]).reshape(len(names), SIZE)


def keeps_time(table: Table) -> bool:
    """Whether the table knows what queries cost; if not, the clock stands at 0."""
    return "train_seconds" in table.columns


def _how_to_add_seconds(table: Table) -> str:
    if table.kind == "surrogate":
        return "fit it again with seconds (nb201 surrogate fit --csv … --seconds COLUMN)"
    return "add a column train_seconds (nb201 table import-rows … --column seconds=train_seconds)"


def epochs_answered(table: Table, options: Options) -> tuple[int, ...]:
    """After which epochs, up to the options', the table knows accuracy and cost; ascending."""
    whole = options.epochs or table.epochs
    known = set(table.recorded_epochs("valid_accuracy"))
    for column in ("train_seconds", "valid_seconds"):
        # A column without epochs holds one value for all of them.
        if column in table.columns and table.recorded_epochs(column):
            known &= set(table.recorded_epochs(column))
    return tuple(sorted(epochs for epochs in known if epochs <= whole))


@lru_cache(maxsize=32)
def _answers(
    table: Table, run: str | int, epochs: int, whole: int, reward: str, limit: Limit | None,
    objectives: tuple[Objective, ...],
) -> Answers:  # fmt: skip
    if run == "sample":
        accuracy = table.runs(split="valid", epochs=epochs)
        seconds = table.run_seconds(epochs=epochs) if keeps_time(table) else np.zeros_like(accuracy)
        labels = [str(seed) for seed in table.seeds]
    else:
        one: Run = run if isinstance(run, int) else "mean"
        accuracy = table.accuracy(split="valid", epochs=epochs, run=one)[:, None]
        seconds = table.seconds(epochs=epochs, run=one)[:, None] if keeps_time(table) else 0 * accuracy
        labels = [str(run)]
    recorded = ~np.isnan(accuracy)
    _check_numbers(table, accuracy[recorded], seconds[recorded], epochs)
    if limit is not None:
        _check_limit(table, limit)
    slots = recorded.sum(axis=1)
    if not slots.all():
        partial = isinstance(run, str)  # "sample" and "mean" want no certain run, so there is none
        raise not_recorded(
            f"{table.name} has no run {run!r} for {int((slots == 0).sum()):,} of "
            f"{SIZE:,} architectures; its seeds are {list(table.seeds)}; "
            + ("it is partial: finish its build, query the table itself, or let a surrogate answer for the "
               "rest (nb201 surrogate fit)" if partial
               else "use run='sample' or 'mean'"),
            table.manifest,
        )  # fmt: skip
    optimum = table.optimum(split="valid", epochs=whole)[1]
    known = table.accuracy(split="valid", epochs=epochs, run="mean")
    order = np.argsort(~recorded, axis=1, kind="stable")
    accuracy = np.take_along_axis(accuracy, order, axis=1)
    return Answers(
        slots=slots,
        accuracy=accuracy,
        reward=_several(table, accuracy, objectives) if objectives
        else _limited(table, accuracy, limit) if limit else _SCALES[reward](accuracy, known, optimum),
        seconds=np.take_along_axis(seconds, order, axis=1),
        label=np.array(labels, dtype=object)[order],
        optimum=optimum,
    )  # fmt: skip


def _check_numbers(table: Table, accuracy: FloatArray, seconds: FloatArray, epochs: int) -> None:
    """Refuse what would make the clock or the rewards no numbers."""
    for what, wrong in (
        ("an infinite 'valid_accuracy'", ~np.isfinite(accuracy)),
        ("a 'valid_accuracy', but no training and validation seconds", ~np.isfinite(seconds)),
        ("negative seconds", seconds < 0),
    ):
        if wrong.any():
            raise NotRecorded(
                f"{table.name} records {what} for {int(wrong.sum()):,} runs of {epochs} epochs; see what "
                f"`nb201 table verify {table.container.path}` says of it"
            )


def _check_budget(table: Table, options: Options, found: Answers) -> None:
    """Refuse a budget that can never be spent: the search would not end."""
    if options.budget_queries is None and options.budget_seconds is None:
        return
    queries, seconds = np.inf, np.inf if np.nanmax(found.seconds) > 0 else 0.0
    if options.repeats == "free":  # each cell is paid for at most once after each number of epochs
        times = len(epochs_answered(table, options))
        queries, seconds = SIZE * times, float(np.nanmax(found.seconds, axis=1).sum()) * times
    budgets = (options.budget_queries, queries), (options.budget_seconds, seconds)
    asked = [(budget, most) for budget, most in budgets if budget is not None]
    if all(budget > most for budget, most in asked):
        raise ValueError(
            f"this budget can never be spent, so the search would not end: on {table.name}, with "
            f"repeats={options.repeats!r}, at most {queries:,} queries and {seconds:,.0f} seconds are paid"
        )


def _check_limit(table: Table, limit: Limit) -> None:
    """Refuse a limit under which every reward is 0, or some are no numbers."""
    price = costs(table, limit.on)
    known = price[~np.isnan(price)]
    if limit.how == "hard" and not (known <= limit.max).any():
        least = f"the least is {with_unit(table, limit.on, known.min())}" if len(known) else "none is known"
        raise ValueError(
            f"no architecture of {table.name} is within limit['max']={limit.max:,.8g} on {limit.on}: {least}"
            + (" (params and macs are counts, not millions)" if limit.on in SIZES else "")
        )
    if limit.how == "weighted":
        if unknown := SIZE - int((price > 0).sum()):
            raise NotRecorded(
                f"{table.name} has no {limit.on} above 0 of {unknown:,} of {SIZE:,} architectures, so their "
                "accuracy cannot be weighted; use how='hard', under which unknown ones get 0"
            )
        with np.errstate(all="ignore"):
            weight = (known / limit.max) ** limit.exponent
        if not np.isfinite(weight).all():
            raise ValueError(f"limit['exponent']={limit.exponent:g} makes rewards too large for a number")


def _rank(accuracy: FloatArray, known: FloatArray, _: float) -> FloatArray:
    """The share of architectures whose mean accuracy is lower; NaN stays NaN."""
    share = np.searchsorted(np.sort(known), accuracy, side="left") / len(known)
    return np.where(np.isnan(accuracy), np.nan, share)


_SCALES: dict[str, Callable[[FloatArray, FloatArray, float], FloatArray]] = {
    "accuracy": lambda accuracy, *_: accuracy,
    "log_error": lambda accuracy, *_: -np.log(np.maximum(1 - accuracy, LEAST_ERROR)),
    "rank": _rank,
    "regret": lambda accuracy, _, optimum: accuracy - optimum,
}
"""What the rewards are made of: accuracies, all mean accuracies after as many epochs, the table's best."""


def _limited(table: Table, accuracy: FloatArray, limit: Limit) -> FloatArray:
    price = costs(table, limit.on)
    if limit.how == "hard":  # what costs nobody knows how much is not within the limit
        return np.where((price <= limit.max)[:, None], accuracy, 0.0)
    return np.asarray(accuracy * ((price / limit.max) ** limit.exponent)[:, None])


def _several(table: Table, accuracy: FloatArray, objectives: tuple[Objective, ...]) -> FloatArray:
    known = known_objectives(table, objectives)
    return rewards(known, accuracy, objective_costs(table, known))
