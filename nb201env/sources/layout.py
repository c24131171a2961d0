"""What the NATS layout holds of a table, and whether it can hold all of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from nb201env.architecture import Architecture
from nb201env.compat.results import ArchResults
from nb201env.compat.runs import ResultsCount
from nb201env.missing import not_recorded
from nb201env.official import TASKS
from nb201env.table import NotRecorded, Table

_NEEDED = ("train_accuracy", "train_loss")
_COSTS = {"params", "macs", "latency_seconds", "train_top5_accuracy"}


def check(table: Table) -> str:
    """The table's official task.

    Raises:
        NotRecorded: If the table lacks what the layout cannot do without.
        ValueError: If it is of no official task or schedule, predicted, or has columns that the layout has
            no place for.
    """
    task = str(table.manifest["task"].get("name"))
    if task not in TASKS or table.epochs not in (12, 200):
        raise ValueError(
            f"{table.name} is of no official task and schedule, so the layout has no place for it"
        )
    if table.manifest.get("kind") == "surrogate":
        raise ValueError(f"{table.name} was predicted by a surrogate; the layout holds measured numbers only")
    needed = (*_NEEDED, "valid_accuracy", "valid_loss") if task == "cifar10-valid" else _NEEDED
    missing = [column for column in needed if column not in table.columns]
    if missing:
        lacks = f"{table.name} does not record {', '.join(missing)}, which the NATS layout needs"
        raise not_recorded(lacks, table.manifest)
    _check_columns(table, ("train", *TASKS[task].sets.values()))
    early = [column for column in needed if table.epochs not in table.recorded_epochs(column)]
    if early:
        raise NotRecorded(
            f"{table.name} does not record {', '.join(early)} after epoch {table.epochs}, "
            "which the NATS layout needs"
        )
    _check_seconds(table)
    return task


def _check_columns(table: Table, splits: tuple[str, ...]) -> None:
    """That every column has its place, that accuracies are of runs, and that none lacks its loss."""
    places = _COSTS | {f"{split}_{metric}" for split in splits for metric in ("accuracy", "loss", "seconds")}
    homeless = [column for column in table.columns if column not in places]
    if homeless:
        raise ValueError(
            f"the NATS layout has no place for {', '.join(homeless)} of {table.name}; "
            "export it as CSV or Parquet, which hold all columns"
        )
    for column in table.columns:
        if column.endswith(("_accuracy", "_loss")) and table.container.array(column).ndim < 2:
            raise NotRecorded(
                f"{table.name} records only the mean over runs of {column}; the NATS layout holds runs"
            )
    for split in splits:
        accuracy, loss = f"{split}_accuracy", f"{split}_loss"
        if accuracy in table.columns and loss not in table.columns and split != "train":
            raise NotRecorded(
                f"{table.name} does not record {loss}, which the NATS layout has with {accuracy}"
            )


def _check_seconds(table: Table) -> None:
    """That the seconds of every epoch can be told."""
    for column in table.columns:
        recorded = table.recorded_epochs(column)
        if (
            column.endswith("_seconds")
            and column != "train_seconds"
            and len(recorded) not in (0, 1, table.epochs)
        ):
            raise NotRecorded(
                f"{table.name} records {column} after some epochs; the NATS layout needs all or one"
            )
    if "train_seconds" not in table.columns:
        return
    recorded = table.recorded_epochs("train_seconds")
    each = bool(table.manifest["columns"]["train_seconds"].get("accumulates"))
    needed = range(1, table.epochs + 1) if each else [table.epochs]
    lacking = [epoch for epoch in needed if recorded and epoch not in recorded]
    if lacking:
        raise NotRecorded(
            f"{table.name} does not record train_seconds of epoch {lacking[0]}, which the NATS layout needs"
        )
    if each:
        return
    totals = table.everything("train_seconds")
    if totals.ndim == 3 and bool((np.diff(totals, axis=2) < 0).any()):
        raise ValueError(f"the train_seconds of {table.name} are totals, but fall from one epoch to the next")


def nats_record(index: int, tables: Mapping[str, dict[str, Table]]) -> OrderedDict[str, Any]:
    """What the official file of one architecture holds, by schedule ("12", "200").

    Raises:
        NotRecorded: If one of its runs lacks what the layout cannot do without.
    """
    values: OrderedDict[str, Any] = OrderedDict()
    for hp in sorted(tables):
        results = ArchResults(Architecture.from_official_index(index), tables[hp])
        if results.all_results:
            runs: dict[tuple[str, int], dict[str, Any]] = {}
            for task in results.get_dataset_names():
                runs |= {(task, seed): fields for seed, fields in _runs(index, results.query(task)).items()}
            values[hp] = results.state_dict() | {"all_results": runs}
    return values


def _runs(index: int, runs: Mapping[int, ResultsCount]) -> dict[int, dict[str, Any]]:
    """The sixteen fields of an architecture's trainings, such that ``nats_bench`` reads all that is there.

    To answer one run it reads the same number of all the others, so what one of them lacks is NaN.
    """
    fields = {seed: run.state_dict() for seed, run in runs.items()}
    for accuracies, losses in (("train_acc1es", "train_losses"), ("eval_acc1es", "eval_losses")):
        keys = {key: np.nan for held in fields.values() for key in held[accuracies]}
        for held in fields.values():
            held[losses] = keys | {key: loss for key, loss in held[losses].items() if key in keys}
            held[accuracies] = keys | held[accuracies]
    timed = any(held["train_times"] for held in fields.values())
    passes = any(held["eval_times"] for held in fields.values())
    for seed, run in runs.items():
        held, epochs = fields[seed], range(run.epochs)
        if epochs[-1] not in held["train_acc1es"]:
            raise NotRecorded(
                f"the run of seed {run.seed} of architecture {index} on {run.name} lacks its last "
                "train_accuracy, which the NATS layout needs"
            )
        if timed:  # then it wants the seconds of every epoch, and of every pass over every set
            held["train_times"] = OrderedDict.fromkeys(epochs, np.nan) | (held["train_times"] or {})
        if passes:
            held["eval_times"] = {
                f"{name}@{epoch}": seconds
                for name in run.eval_names
                for epoch, seconds in enumerate(_passes(held["eval_times"], name, run.epochs))
            }
    return fields


def _passes(held: Mapping[str, float], name: str, epochs: int) -> list[float]:
    """The seconds of the pass over a set after every epoch: as after the only one that was timed, or NaN."""
    times = [held.get(f"{name}@{epoch}", np.nan) for epoch in range(epochs)]
    known = [seconds for seconds in times if seconds == seconds]
    return known * epochs if len(known) == 1 else times
