"""One architecture's official results, checked field by field, as arrays.

The official files hold one dictionary per architecture: schedule -> data set and seed -> sixteen
fields. `read` turns it into a `Record` of float64 arrays, or says which field is wrong.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cache, reduce
from operator import add, itemgetter
from typing import Any

import numpy as np

from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.official import SCHEDULES, TASKS
from nb201env.sources.errors import SourceError, show
from nb201env.space import SIZE, official_order

MOST_EPOCHS = 200
SIZE_SPACE = ("01", "90")
"""Schedules of NATS-Bench's size space, whose files are otherwise alike."""
ONLY_TSS = "only the topology space (NATS-tss) is read"
NOISE = 1e-6
"""How far above 100 per cent the rounding noise of official percentages may reach."""


@dataclass(slots=True)
class Run:
    """One training.

    Attributes:
        series: Column name to numbers: [epochs] with the epochs they were recorded at, or a
            single number. Accuracies in per cent, seconds per epoch (not accumulated).
        epochs: Column name to epochs completed, for the columns that have them.
    """

    series: dict[str, FloatArray] = field(default_factory=dict)
    epochs: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """All trainings of one architecture: ``runs[task, schedule][seed]``."""

    index: int
    runs: dict[tuple[str, int], dict[int, Run]]


class _Fields:
    """A dictionary from a file, whose fields are read by name and type."""

    def __init__(self, file: str, where: str, values: Any) -> None:
        self.file, self.where = file, where
        if type(values) is not dict:
            raise self.error("", f"expected a dictionary, got {show(values)}")
        self.values: dict[Any, Any] = values

    def error(self, name: Any, problem: str) -> SourceError:
        path = "/".join(filter(None, [self.where, str(name)]))
        return SourceError(self.file, path or "content", problem)

    def get(self, name: Any, *kinds: type) -> Any:
        if name not in self.values:
            raise self.error(name, "is missing")
        value = self.values[name]
        if type(value) not in kinds:
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise self.error(name, f"expected {wanted}, got {show(value)}")
        return value

    def inside(self, name: Any) -> _Fields:
        path = "/".join(map(str, name)) if type(name) is tuple else str(name)
        return _Fields(self.file, f"{self.where}/{path}" if self.where else path, self.values.get(name))


_KEYS = {*SCHEDULES, *SIZE_SPACE}


def is_architecture(values: dict[Any, Any]) -> bool:
    """Whether a dictionary holds one architecture's results by schedule."""
    if not values or not values.keys() <= _KEYS:
        return False
    return all(type(value) is dict and "all_results" in value for value in values.values())


def read(values: Any, *, file: str | os.PathLike[str], official_index: int | None = None) -> Record:
    """One architecture's results.

    Args:
        values: What the file holds for this architecture.
        file: For messages.
        official_index: The index the file stands for; None to take the one it states.

    Raises:
        SourceError: If a field is missing, of the wrong type, or impossible.
    """
    top = _Fields(os.fspath(file), "", values)
    if not top.values:
        raise top.error("", "holds no results")
    runs: dict[tuple[str, int], dict[int, Run]] = {}
    for key in top.values:
        if key in SIZE_SPACE:
            raise top.error(show(key), f"is a schedule of the size space (NATS-sss); {ONLY_TSS}")
        if key not in SCHEDULES:
            raise top.error(show(key), f"is no schedule; known: {', '.join(SCHEDULES)}")
        results = top.inside(key)
        official_index = _check_architecture(results, official_index)
        for task, seeds in _seeds(results).items():
            held = runs.setdefault((task, SCHEDULES[key]), {})
            for seed in seeds:
                held[seed] = _run(results, task, seed, SCHEDULES[key])
    assert official_index is not None
    return Record(int(official_order()[official_index]), runs)


def _check_architecture(results: _Fields, expected: int | None) -> int:
    index: int = results.get("arch_index", int)
    if not 0 <= index < SIZE or (expected is not None and index != expected):
        raise results.error("arch_index", f"is {index}, expected {expected}")
    text = results.get("arch_str", str)
    if text != str(Architecture.from_official_index(index)):
        raise results.error("arch_str", f"{show(text)} is not architecture {index}")
    return index


def _seeds(results: _Fields) -> dict[str, list[int]]:
    by_task = results.inside("dataset_seed")
    for task in by_task.values:
        if task not in TASKS:
            raise by_task.error(show(task), f"is no task; known: {', '.join(TASKS)}")
        seeds = by_task.get(task, list)
        if not seeds or not all(type(seed) is int and 0 <= seed < 2**31 for seed in seeds):
            raise by_task.error(task, "expected a list of seeds")
        if len(set(seeds)) != len(seeds) or len(seeds) > 64:
            raise by_task.error(task, "lists a seed twice, or more than 64 seeds")
    return by_task.values


def _run(results: _Fields, task: str, seed: int, epochs: int) -> Run:
    fields = results.inside("all_results").inside((task, seed))
    if fields.get("epochs", int) != epochs:
        raise fields.error("epochs", f"is {fields.values['epochs']}, expected {epochs}")
    if "seed" in fields.values and _number(fields.values["seed"]) != seed:
        raise fields.error("seed", f"is {show(fields.values['seed'])}, expected {seed}")
    run = Run()
    for column, name, most in _TRAINING:
        count = _by_epoch(run, fields, name, column, tuple(range(epochs)), most)
        if len(fields.values.get(name) or ()) != count:
            raise fields.error(name, f"has epochs outside 0..{epochs - 1}")
        if column == "train_seconds" and count not in (0, epochs):
            raise fields.error(name, f"has {count} of {epochs} epochs, so they cannot be added up")
    _evaluations(run, fields, task, epochs)
    _costs(run, fields)
    return run


_TRAINING: tuple[tuple[str, str, float], ...] = (
    ("train_accuracy", "train_acc1es", 100.0),
    ("train_top5_accuracy", "train_acc5es", 100.0),
    ("train_loss", "train_losses", np.inf),
    ("train_seconds", "train_times", 1e9),
)
_EVALUATION: tuple[tuple[str, str, float], ...] = (
    ("accuracy", "eval_acc1es", 100.0),
    ("loss", "eval_losses", np.inf),
    ("seconds", "eval_times", 1e9),
)


def _evaluations(run: Run, fields: _Fields, task: str, epochs: int) -> None:
    sets = fields.get("eval_names", list)
    read = {key: 0 for _, key, _ in _EVALUATION}
    if len(sets) > len(TASKS[task].sets):
        raise fields.error("eval_names", f"lists {len(sets)} sets")
    for name in sets:
        if type(name) is not str or name not in TASKS[task].sets:
            known = ", ".join(TASKS[task].sets)
            raise fields.error("eval_names", f"{show(name)} is no set of {task}; known: {known}")
        for metric, key, most in _EVALUATION:
            column = f"{TASKS[task].sets[name]}_{metric}"
            read[key] += _by_epoch(run, fields, key, column, _set_keys(name, epochs), most)
    for key, count in read.items():
        held = fields.values.get(key) or {}
        if len(held) != count:
            known_keys = {text for name in sets for text in _set_keys(name, epochs)}
            unknown = next((text for text in held if text not in known_keys), None)
            raise fields.error(f"{key}/{show(unknown)}", "is no set and epoch of this training")


@cache
def _set_keys(name: str, epochs: int) -> tuple[str, ...]:
    return tuple(f"{name}@{epoch}" for epoch in range(epochs))


@cache
def _getter(keys: tuple[Any, ...]) -> itemgetter[Any]:
    return itemgetter(*keys)


def _by_epoch(run: Run, fields: _Fields, name: str, column: str, keys: tuple[Any, ...], most: float) -> int:
    """Read a dictionary from epochs (or "set@epoch") to numbers, as far as it was recorded.

    Returns:
        How many numbers there were.
    """
    if fields.values.get(name) is None:
        return 0
    held = fields.get(name, dict)
    recorded: tuple[int, ...] = _ALL[: len(keys)]
    try:
        numbers: Any = _getter(keys)(held)
    except KeyError:
        recorded = tuple(e for e, key in enumerate(keys, start=1) if key in held)
        numbers = [held[keys[e - 1]] for e in recorded]
        if not numbers:
            return 0
    if not set(map(type, numbers)) <= {float, int}:
        wrong = next(number for number in numbers if type(number) not in (float, int))
        raise fields.error(name, f"expected numbers, got {show(wrong)}")
    array = _array(numbers, fields, name)
    if most != np.inf and not (array.min() >= 0 and array.max() <= most + NOISE):
        if name == "eval_times" and bool(np.isnan(array).all()):
            return len(numbers)  # passes that were not timed, as our own export has them
        worst = array[~((array >= 0) & (array <= most + NOISE))][0]
        raise fields.error(name, f"{worst} is out of range 0..{most:g}")
    run.series[column], run.epochs[column] = array, recorded
    return len(numbers)


_ALL = tuple(range(1, MOST_EPOCHS + 1))


def _costs(run: Run, fields: _Fields) -> None:
    for column, name in (("params", "params"), ("macs", "flop")):
        number = fields.get(name, float, int)
        if not 0 <= number < 1e6:
            raise fields.error(name, f"{number} million is out of range")
        run.series[column] = np.array(number * 1e6)
    latency = fields.values.get("latency")
    if latency is None or latency == []:
        return
    latency = fields.get("latency", list)
    if len(latency) > 1000 or not all(type(x) in (float, int) and abs(x) < 1e6 for x in latency):
        raise fields.error("latency", "expected a list of seconds")
    # Added up one after the other, as the official API did: Python's own sum rounds otherwise since 3.12.
    seconds = reduce(add, latency) / len(latency)
    if seconds > 0:  # the official API, too, takes anything else for "not measured"
        run.series["latency_seconds"] = np.array(seconds)


def _array(numbers: Any, fields: _Fields, name: str) -> FloatArray:
    try:
        return np.array(numbers, dtype=np.float64)
    except OverflowError:
        raise fields.error(name, "holds a number too large for a float") from None


def _number(value: Any) -> int | None:
    if type(value) is int:
        return value
    return int(value) if type(value) is str and re.fullmatch(r"[0-9]{1,9}", value) else None
