"""`ResultsCount` as the official API has it: one training, read from a table.

Units are the official ones: accuracies in per cent, times in seconds, parameters and
multiply-accumulates in millions, epochs counted from 0.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nb201env import cost
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.missing import not_recorded
from nb201env.official import DATASETS, TASKS
from nb201env.table import NotRecorded, Table, mean_over_runs, ranges

Metrics = dict[str, Any]


class ResultsCount:
    """One training of one architecture.

    Args:
        table: The table of its task and schedule.
        architecture: Which one.
        seed: Which run; None for the mean over runs, where a table holds nothing else.
    """

    net_state_dict = None

    def __init__(self, table: Table, architecture: Architecture, seed: int | None) -> None:
        self._table, self._architecture = table, architecture
        self._run = None if seed is None else table.seeds.index(seed)
        self.name = str(table.manifest["task"]["name"])
        self.epochs = table.epochs
        self.seed = "mean" if seed is None else f"{seed:04d}"
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
        own = self._table.manifest.get("skeleton", {})  # of a table that was built here
        return {
            "channel": own.get("width", 16),
            "num_cells": own.get("cells", 5),
            "arch_str": str(self._architecture),
            "class_num": DATASETS[self._table.dataset].classes,
        }

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
        """Seconds of each training epoch; None if not recorded.

        Where a table holds totals after some epochs, they are spread evenly over the epochs between.
        """
        held = self._by_epoch("train_seconds")
        return OrderedDict(held if self._accumulates() else spread(held)) or None

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

        What of it was not recorded is None.

        Raises:
            NotRecorded: If nothing of it was.
        """
        return self._metrics("train", iepoch)

    def get_eval(self, name: str, iepoch: int | None = None) -> Metrics:
        """The same on one evaluation set after one epoch (None: the last).

        Raises:
            NotRecorded: If the accuracy was not recorded.
        """
        name = "x-valid" if name == "valid" else name
        if name not in self._splits:
            has = f"{self._table.name} has no set {name!r}; it has {', '.join(self.eval_names)}"
            split = TASKS[self.name].sets.get(name, "no")
            raise not_recorded(has, self._table.manifest, f"{split}_accuracy")
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

    def __repr__(self) -> str:
        return (
            f"ResultsCount({self.name}, arch={self._architecture}, FLOP={self.flop:.2f}M, "
            f"Param={self.params:.3f}MB, seed={self.seed}, sets: {', '.join(self.eval_names)})"
        )

    # -- inside ------------------------------------------------------------------------------

    def _metrics(self, split: str, iepoch: int | None) -> Metrics:
        iepoch = self.epochs - 1 if iepoch is None else iepoch
        if not 0 <= iepoch < self.epochs:
            raise ValueError(f"iepoch={iepoch} is not in 0..{self.epochs - 1}; epochs count from 0 here")
        last, total = self._seconds(split, iepoch)
        loss = self._by_epoch(f"{split}_loss").get(iepoch)
        accuracy = self._by_epoch(f"{split}_accuracy").get(iepoch)
        if accuracy is None and (split != "train" or loss is total is None):
            column = f"{split}_accuracy"
            raise NotRecorded(self.why_not(column, iepoch))
        return {"iepoch": iepoch, "loss": loss, "accuracy": accuracy, "cur_time": last, "all_time": total}

    def why_not(self, column: str, iepoch: int | None) -> str:
        """Why there is no number of a column after an epoch."""
        table, iepoch = self._table, self.epochs - 1 if iepoch is None else iepoch
        if column not in table.columns:
            return str(not_recorded(f"{table.name} does not record {column!r}", table.manifest, column))
        recorded = [epoch - 1 for epoch in table.recorded_epochs(column)]
        if recorded and iepoch not in recorded:
            held = f"recorded: {ranges(recorded)} (counted from 0)"
            text = f"{table.name} does not record {column!r} at iepoch={iepoch}; {held}"
            return str(not_recorded(text, table.manifest))
        if self._run is not None and not table.record(self._architecture, column).ndim:
            return f"{table.name} records only the mean over runs of {column!r}; say is_random=False"
        lacks = f"{table.name} lacks {column!r} of architecture {self._architecture}, seed {self.seed}"
        return str(not_recorded(lacks, table.manifest))

    def _seconds(self, split: str, iepoch: int) -> tuple[float | None, float | None]:
        """Seconds of one epoch, and of all up to it; None where not recorded."""
        held = self._by_epoch(f"{split}_seconds")
        if split == "train" and not self._accumulates():
            total, before = held.get(iepoch), held.get(iepoch - 1) if iepoch else 0.0
            return None if total is None or before is None else total - before, total
        if all(epoch in held for epoch in range(iepoch + 1)):
            return held[iepoch], sum(held[epoch] for epoch in range(iepoch + 1))
        return held.get(iepoch), None

    def _accumulates(self) -> bool:
        """Whether ``train_seconds`` are of each epoch, rather than totals after some."""
        return bool(self._table.manifest["columns"].get("train_seconds", {}).get("accumulates"))

    def _of_run(self, column: str) -> FloatArray:
        """A column's part for this run, [] or [epochs].

        NaN for an accuracy or a loss that is recorded as the mean over runs only: it is no run's.
        """
        values = self._table.record(self._architecture, column)
        if not values.ndim:
            mean = self._run is not None and column.endswith(("_accuracy", "_loss"))
            return np.full((), np.nan) if mean else values
        if self._run is None:
            return mean_over_runs(np.atleast_2d(values.T)).reshape(values.shape[1:])
        return np.asarray(values[self._run])

    def _by_epoch(self, column: str) -> dict[int, float]:
        """A column of this run by epoch, counted from 0, in official units."""
        if column not in self._table.columns:
            return {}
        values = self._of_run(column)
        spec = self._table.manifest["columns"][column]
        if column.endswith("_accuracy"):
            values = percent(values, spec)
        epochs = [epoch - 1 for epoch in spec.get("epochs", ())]
        if not epochs:  # one number: of each pass, or the whole training's seconds
            epochs = [self.epochs - 1] if column == "train_seconds" else list(range(self.epochs))
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
        value = float(self._of_run(column)) if column in self._table.columns else np.nan
        if value != value:
            value = float(cost.CLOSED_FORMS[column](self._architecture.index, self._table.dataset))
        return value / 1e6


def percent(fractions: FloatArray, spec: dict[str, Any]) -> FloatArray:
    """Fractions to per cent; counts of images are divided once, so the nearest float comes out."""
    if "missing" in spec:
        return np.asarray(np.rint(fractions * spec["scale"]) * 100 / spec["scale"])
    return np.asarray(fractions * 100)


def spread(totals: Mapping[int, float]) -> dict[int, float]:
    """Seconds of each epoch from totals after some, counted from 0; evenly between two of them."""
    each: dict[int, float] = {}
    begin, before = 0, 0.0
    for epoch, total in sorted(totals.items()):
        each |= dict.fromkeys(range(begin, epoch + 1), (total - before) / (epoch + 1 - begin))
        begin, before = epoch + 1, total
    return each
