"""`ArchResults` and `ResultsCount` as the official API has them, read from our tables.

Units are the official ones: accuracies in per cent, times in seconds, parameters and
multiply-accumulates in millions, epochs counted from 0.
"""

from __future__ import annotations

import copy
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from nb201env import cost
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.official import DATASETS, TASKS
from nb201env.table import NotRecorded, Table, ranges

Metrics = dict[str, Any]


class ResultsCount:
    """One training of one architecture.

    Args:
        table: The table of its task and schedule.
        architecture: Which one.
        seed: Which run.
    """

    net_state_dict = None

    def __init__(self, table: Table, architecture: Architecture, seed: int) -> None:
        self._table, self._architecture, self._run = table, architecture, table.seeds.index(seed)
        self.name = str(table.manifest["task"]["name"])
        self.epochs = table.epochs
        self.seed = f"{seed:04d}"
        sets = TASKS[self.name].sets
        self._splits = {name: split for name, split in sets.items() if f"{split}_accuracy" in table.columns}
        self.eval_names = list(self._splits)

    @property
    def params(self) -> float:
        """Trainable parameters in millions."""
        return self._cost("params")

    @property
    def flop(self) -> float:
        """Multiply-accumulates in millions."""
        return self._cost("macs")

    @property
    def latency(self) -> list[float] | None:
        """Seconds for a batch of 256 images; None if not recorded."""
        if "latency_seconds" not in self._table.columns:
            return None
        value = float(self._of_run("latency_seconds"))
        return None if value != value else [value]

    @property
    def arch_config(self) -> dict[str, Any]:
        """The network's configuration."""
        classes = DATASETS[self._table.dataset].classes
        return {"channel": 16, "num_cells": 5, "arch_str": str(self._architecture), "class_num": classes}

    @property
    def train_acc1es(self) -> dict[int, float]:
        """Training accuracy by epoch."""
        return self._by_epoch("train_accuracy")

    @property
    def train_acc5es(self) -> dict[int, float] | None:
        """Top-5 training accuracy by epoch; None if not recorded."""
        return self._by_epoch("train_top5_accuracy") or None

    @property
    def train_losses(self) -> dict[int, float]:
        """Training loss by epoch."""
        return self._by_epoch("train_loss")

    @property
    def train_times(self) -> OrderedDict[int, float] | None:
        """Seconds of each training epoch; None if not recorded."""
        return OrderedDict(self._by_epoch("train_seconds")) or None

    @property
    def eval_acc1es(self) -> dict[str, float]:
        """Accuracy by "set@epoch"."""
        return self._by_set("accuracy")

    @property
    def eval_losses(self) -> dict[str, float]:
        """Loss by "set@epoch"."""
        return self._by_set("loss")

    @property
    def eval_times(self) -> dict[str, float]:
        """Seconds of each evaluation by "set@epoch"."""
        return self._by_set("seconds")

    def get_train(self, iepoch: int | None = None) -> Metrics:
        """Loss, accuracy and seconds of training in one epoch (None: the last).

        A loss or seconds that were not recorded are None.

        Raises:
            NotRecorded: If the accuracy was not recorded.
        """
        return self._metrics("train", iepoch)

    def get_eval(self, name: str, iepoch: int | None = None) -> Metrics:
        """The same on one evaluation set after one epoch (None: the last)."""
        name = "x-valid" if name == "valid" else name
        if name not in self._splits:
            raise NotRecorded(f"{self._table.name} has no set {name!r}; it has {', '.join(self.eval_names)}")
        return self._metrics(self._splits[name], iepoch)

    def get_times(self) -> dict[str, float | None]:
        """Seconds per epoch and in total, for training and for each evaluation set."""
        times: dict[str, float | None] = {}
        for name, split in {"train": "train", **self._splits}.items():
            _, total = self._seconds(split, self.epochs - 1)
            times[f"T-{name}@epoch"] = None if total is None else total / self.epochs
            times[f"T-{name}@total"] = total
        return times

    def get_latency(self) -> float:
        """Seconds for a batch of 256 images; -1 if not recorded, as the official API has it."""
        latency = self.latency
        return -1.0 if latency is None else latency[0]

    def get_total_epoch(self) -> int:
        """The schedule's length in epochs."""
        return self.epochs

    def get_eval_set(self) -> list[str]:
        """The names of the evaluation sets."""
        return list(self.eval_names)

    def get_net_param(self, clone: bool = False) -> None:
        """None: tables hold no weights."""
        return

    def get_config(self, str2structure: Callable[[str], Any] | None) -> dict[str, Any]:
        """The configuration from which the official code builds the network."""
        config = self.arch_config
        out = {"name": "infer.tiny", "C": config["channel"], "N": config["num_cells"]}
        if str2structure is None:
            out["arch_str"] = config["arch_str"]
        else:
            out["genotype"] = str2structure(config["arch_str"])
        return out | {"num_classes": config["class_num"]}

    def state_dict(self) -> dict[str, Any]:
        """The sixteen fields of the official files, as plain values."""
        names = ("name", "net_state_dict", "train_acc1es", "train_acc5es", "train_losses", "train_times",
                 "arch_config", "params", "flop", "seed", "epochs", "latency", "eval_names", "eval_acc1es",
                 "eval_times", "eval_losses")  # fmt: skip
        return {name: getattr(self, name) for name in names}

    # -- inside ------------------------------------------------------------------------------

    def _metrics(self, split: str, iepoch: int | None) -> Metrics:
        iepoch = self.epochs - 1 if iepoch is None else iepoch
        if not 0 <= iepoch < self.epochs:
            raise ValueError(f"iepoch={iepoch} is not in 0..{self.epochs - 1}; epochs count from 0 here")
        last, total = self._seconds(split, iepoch)
        return {
            "iepoch": iepoch,
            "loss": self._by_epoch(f"{split}_loss").get(iepoch),
            "accuracy": self._at(f"{split}_accuracy", iepoch),
            "cur_time": last,
            "all_time": total,
        }

    def _seconds(self, split: str, iepoch: int) -> tuple[float | None, float | None]:
        """Seconds of one epoch, and of all up to it; None where not recorded."""
        column = f"{split}_seconds"
        held = self._by_epoch(column)
        if split == "train" and held and not self._table.manifest["columns"][column].get("accumulates"):
            return None, held.get(iepoch)  # recorded as totals already
        times = [held[epoch] for epoch in range(iepoch + 1) if epoch in held]
        return (times[-1], sum(times)) if len(times) == iepoch + 1 else (None, None)

    def _at(self, column: str, iepoch: int) -> float:
        held = self._by_epoch(column)
        if iepoch not in held:
            known = column in self._table.columns
            recorded = [epoch - 1 for epoch in self._table.recorded_epochs(column)] if known else []
            raise NotRecorded(
                f"{self._table.name} does not record {column!r} at iepoch={iepoch}; "
                f"recorded: {ranges(recorded) or 'none'} (counted from 0)"
            )
        return held[iepoch]

    def _of_run(self, column: str) -> FloatArray:
        values = self._table.record(self._architecture, column)
        return values if values.ndim == 0 else np.asarray(values[self._run])

    def _by_epoch(self, column: str) -> dict[int, float]:
        """A column of this run by epoch, counted from 0, in official units."""
        if column not in self._table.columns:
            return {}
        values = self._of_run(column)
        spec = self._table.manifest["columns"][column]
        if column.endswith("_accuracy"):
            values = percent(values, spec)
        epochs = [epoch - 1 for epoch in spec.get("epochs", ())] or list(range(self.epochs))
        numbers = [float(values)] * len(epochs) if values.ndim == 0 else values.tolist()
        return {epoch: number for epoch, number in zip(epochs, numbers, strict=True) if number == number}

    def _by_set(self, metric: str) -> dict[str, float]:
        return {
            f"{name}@{epoch}": number
            for name, split in self._splits.items()
            for epoch, number in self._by_epoch(f"{split}_{metric}").items()
        }

    def _cost(self, column: str) -> float:
        """In millions; from the closed form, which equals the official files, if not recorded."""
        if column not in self._table.columns:
            return float(cost.CLOSED_FORMS[column](self._architecture.index, self._table.dataset)) / 1e6
        return float(self._of_run(column)) / 1e6


def percent(fractions: FloatArray, spec: dict[str, Any]) -> FloatArray:
    """Fractions to per cent; counts of images are divided once, so the nearest float comes out."""
    if "missing" in spec:
        return np.asarray(np.rint(fractions * spec["scale"]) * 100 / spec["scale"])
    return np.asarray(fractions * 100)


class ArchResults:
    """All trainings of one architecture with one schedule.

    Args:
        architecture: Which one.
        tables: Official data set key ("cifar10-valid", …) to the table that holds it.
        rng: Draws the run where one is to be drawn; by default Python's global generator.
    """

    clear_net_done = True

    def __init__(
        self, architecture: Architecture, tables: dict[str, Table], rng: random.Random | None = None
    ) -> None:
        self.arch_index, self.arch_str = architecture.official_index, str(architecture)
        self._draw = random if rng is None else rng
        self.all_results: dict[tuple[str, int], ResultsCount] = {}
        self.dataset_seed: dict[str, list[int]] = {}
        for dataset, table in tables.items():
            seeds = held_seeds(table, architecture)
            if seeds:
                self.dataset_seed[dataset] = seeds
            for seed in seeds:
                self.all_results[dataset, seed] = ResultsCount(table, architecture, seed)

    def get_dataset_names(self) -> list[str]:
        """The data sets there are results for."""
        return list(self.dataset_seed)

    def get_dataset_seeds(self, dataset: str) -> list[int]:
        """The seeds of the runs on a data set."""
        if dataset not in self.dataset_seed:
            raise NotRecorded(
                f"no run of architecture {self.arch_index} on {dataset!r}; "
                f"there are runs on {', '.join(self.dataset_seed) or 'none'}"
            )
        return list(self.dataset_seed[dataset])

    def query(self, dataset: str, seed: int | None = None) -> Any:
        """The run of one seed, or all by seed."""
        if seed is None:
            return {s: self.all_results[dataset, s] for s in self.get_dataset_seeds(dataset)}
        return self._runs(dataset, seed)[0]

    def get_metrics(
        self, dataset: str, setname: str, iepoch: int | None = None, is_random: bool | int = False
    ) -> Metrics:
        """Loss, accuracy and seconds on one set: of a drawn run, of a seed, or the mean."""
        seeds = self.get_dataset_seeds(dataset)
        if is_random is True:
            is_random = self._draw.choice(seeds)
        runs = self._runs(dataset, None if is_random is False else is_random)
        found = [
            run.get_train(iepoch) if setname == "train" else run.get_eval(setname, iepoch) for run in runs
        ]
        if len(found) == 1:
            return found[0]
        return {key: mean([metrics[key] for metrics in found]) for key in found[0]}

    def get_compute_costs(self, dataset: str) -> Metrics:
        """Millions of multiply-accumulates and parameters, latency and times, as means over runs."""
        seeds = self.get_dataset_seeds(dataset)
        runs = self._runs(dataset, None)
        latencies = [latency for run in runs if (latency := run.get_latency()) > 0]
        costs = {
            "flops": _consistent([run.flop for run in runs], seeds),
            "params": _consistent([run.params for run in runs], seeds),
            "latency": mean(latencies) if latencies else None,
        }
        times = [run.get_times() for run in runs]
        return costs | {key: mean([time[key] for time in times]) for key in times[0]}

    def get_latency(self, dataset: str) -> float:
        """Seconds for a batch of 256 images, mean over runs.

        Raises:
            NotRecorded: If it was not recorded.
        """
        latency = self.get_compute_costs(dataset)["latency"]
        if latency is None:
            raise NotRecorded(f"no latency of architecture {self.arch_index} on {dataset!r} was recorded")
        return float(latency)

    def get_total_epoch(self, dataset: str | None = None) -> int:
        """The schedule's length in epochs."""
        return next(iter(self.all_results.values())).epochs

    def get_net_param(self, dataset: str, seed: int | None = None) -> Any:
        """None for every run: tables hold no weights."""
        if seed is None:
            return dict.fromkeys(self.get_dataset_seeds(dataset))
        return self._runs(dataset, seed)[0].get_net_param()

    def arch_idx_str(self) -> str:
        """The index as in the official file names."""
        return f"{self.arch_index:06d}"

    def clear_params(self) -> None:
        """Nothing to do: tables hold no weights."""

    def state_dict(self) -> dict[str, Any]:
        """What the official files hold for this architecture and schedule."""
        return {
            "arch_index": self.arch_index,
            "arch_str": self.arch_str,
            "all_results": {key: run.state_dict() for key, run in self.all_results.items()},
            "dataset_seed": copy.deepcopy(self.dataset_seed),
            "clear_net_done": True,
        }

    def __repr__(self) -> str:
        return (
            f"ArchResults(arch-index={self.arch_index}, arch={self.arch_str}, {len(self.all_results)} runs)"
        )

    def _runs(self, dataset: str, seed: int | None) -> list[ResultsCount]:
        seeds = self.get_dataset_seeds(dataset)
        if seed is None:
            return [self.all_results[dataset, s] for s in seeds]
        if seed not in seeds:
            raise ValueError(
                f"no run of seed {seed!r} on {dataset!r}; architecture {self.arch_index} has {seeds}"
            )
        return [self.all_results[dataset, seed]]


def held_seeds(table: Table, architecture: Architecture) -> list[int]:
    """The seeds of an architecture's recorded runs."""
    for split in ("train", "valid", "test"):
        if f"{split}_accuracy" in table.columns:
            values = table.record(architecture, f"{split}_accuracy")
            values = values.reshape(len(table.seeds), -1)
            held = np.flatnonzero((~np.isnan(values)).any(axis=1))
            return [table.seeds[run] for run in held.tolist()]
    return []


def mean(values: list[Any]) -> Any:
    """The mean in the official order of addition; None if the first is."""
    return None if values[0] is None else sum(values) / len(values)


def _consistent(values: list[float], seeds: list[int]) -> float:
    """The mean; seed 888's value where runs disagree, which the official API (1.6) holds right."""
    if len({f"{value:.5f}" for value in values}) > 1 and 888 in seeds:
        return values[seeds.index(888)]
    return sum(values) / len(values)
