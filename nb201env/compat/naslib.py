"""What NASLib's NAS-Bench-201 search space queries, answered from a table.

    from nb201env.compat import naslib_api

    api = naslib_api("cifar10-valid-200", split="valid", run=777)
    graph.query(Metric.VAL_ACCURACY, "cifar10", dataset_api=api)       # NASLib's; per cent

NASLib's own data is a dictionary of 15,625 dictionaries, read from a pickle that its users download. Here an
architecture's numbers are read when they are asked for. Units are NASLib's: accuracies in per cent,
parameters and multiply-accumulates in millions, seconds of training per epoch, epochs counted from 0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, overload

import numpy as np

from nb201env.architecture import all_strings, index_of
from nb201env.arrays import FloatArray
from nb201env.compat.runs import percent
from nb201env.cost import CLOSED_FORMS
from nb201env.missing import not_recorded
from nb201env.space import SIZE
from nb201env.table import NotRecorded, Run, Table, mean_over_runs, ranges
from nb201env.tables import open_table

NAMES = {"cifar10": "cifar10-valid", "cifar100": "cifar100", "ImageNet16-120": "ImageNet16-120"}
"""NASLib's key of each data set that it asks for."""


def naslib_api(
    table: Table | str | os.PathLike[str], *, split: str, run: Run, strict: bool = True
) -> dict[str, Mapping[str, Mapping[str, Any]]]:
    """The `dataset_api` that NASLib's ``NasBench201SearchSpace.query`` and its optimizers take.

    NASLib reads its validation metrics and its test metrics from the same place, so ``split`` is what both
    mean: "valid" for a search, "test" for a report.

    Args:
        table: A table of CIFAR-10, CIFAR-100 or ImageNet16-120, its name or its path.
        split: "valid" or "test": whose accuracies, losses and seconds NASLib gets.
        run: A seed (NASLib's own data are of seed 777), or "mean" over the recorded runs.
        strict: Raise `NotRecorded` where NASLib asks for what the table does not record; False answers NaN,
            which NASLib's ``Trainer`` needs on tables without training accuracies.

    Raises:
        NotRecorded: If the table has no such split or run; later also where a number is asked for that it
            lacks.
        ValueError: If NASLib does not know the table's data set.
    """
    opened = table if isinstance(table, Table) else open_table(table)
    if opened.dataset not in NAMES:
        known = ", ".join(NAMES)
        raise ValueError(f"NASLib asks for {known}, and {opened.name} is a table of {opened.dataset}")
    opened.accuracy(split=split, epochs=opened.epochs, run=run)  # whether there is such a split and run
    return {"nb201_data": _Architectures(_Source(opened, split, run, strict))}


class _Source:
    """One run (or their mean) of a table, in NASLib's units."""

    def __init__(self, table: Table, split: str, run: Run, strict: bool) -> None:
        self.table, self.split, self.run, self.strict = table, split, run, strict

    def curve(self, index: int, column: str) -> Curve:
        """A column of an architecture by epoch, counted from 0.

        Raises:
            NotRecorded: If the table has no such column, unless not strict.
        """
        table = self.table
        if column not in table.columns and not self.strict:
            return Curve(self, index, column, {})
        values, spec = table.record(index, column), table.manifest["columns"][column]
        if column.endswith("_accuracy"):
            values = percent(values, spec)  # counts of images, so before any mean
        values = self._of_run(values)
        epochs = [epoch - 1 for epoch in spec.get("epochs", ())] or range(table.epochs)
        numbers = np.broadcast_to(values, len(epochs)).tolist()
        held = {at: number for at, number in zip(epochs, numbers, strict=True) if number == number}
        return Curve(self, index, column, held)

    def costs(self, index: int) -> dict[str, float]:
        """NASLib's ``cost_info``, in millions and seconds; what was not recorded is left out, or NaN."""
        found = {"flops": self._millions(index, "macs"), "params": self._millions(index, "params")}
        found["latency"] = self._number(index, "latency_seconds")
        found["train_time"] = self._number(index, "train_seconds") / self.table.epochs
        return {name: value for name, value in found.items() if value == value or not self.strict}

    def _number(self, index: int, column: str) -> float:
        """What a column holds at the schedule's end; NaN if it is not recorded."""
        at = self.table.epochs if column == "train_seconds" else None
        try:
            values = self.table.values(column, epochs=at)
        except NotRecorded:
            return np.nan
        return float(self._of_run(values[index]))

    def _millions(self, index: int, column: str) -> float:
        value = self._number(index, column)
        return (value if value == value else float(CLOSED_FORMS[column](index, self.table.dataset))) / 1e6

    def _of_run(self, values: FloatArray) -> FloatArray:
        """This run's part of [runs] or [runs, epochs]; of a number, itself."""
        if not values.ndim:
            return values
        if self.run == "mean":
            return mean_over_runs(np.atleast_2d(values.T)).reshape(values.shape[1:])
        return np.asarray(values[self.table.seeds.index(self.run)])

    def lacks(self, index: int, column: str, at: int) -> NotRecorded:
        """The error for a number of a column that there is not after an epoch."""
        table = self.table
        epochs = table.recorded_epochs(column)
        if epochs and at + 1 not in epochs:
            recorded = f"NASLib's epoch {at}; recorded: {ranges(epochs)}"
            text = f"{table.name} does not record {column!r} at epochs={at + 1} ({recorded})"
        else:
            text = f"{table.name} has no {column!r} of run {self.run!r} of {all_strings()[index]}"
        return not_recorded(text, table.manifest)


class Curve(Sequence[float]):
    """Numbers by epoch, counted from 0, of which some may not be recorded.

    ``curve[-1]`` is the schedule's end, ``curve[:50]`` the first 50 epochs.
    """

    def __init__(self, source: _Source, index: int, column: str, held: Mapping[int, float]) -> None:
        self._source, self._index, self._column, self._held = source, index, column, held

    def __len__(self) -> int:
        return self._source.table.epochs

    @overload
    def __getitem__(self, at: int) -> float: ...
    @overload
    def __getitem__(self, at: slice) -> list[float]: ...
    def __getitem__(self, at: int | slice) -> float | list[float]:
        """One epoch's number, or some.

        Raises:
            IndexError: If the schedule has no such epoch.
            NotRecorded: If it was not recorded.
        """
        epochs = range(len(self))
        return [self._one(epoch) for epoch in epochs[at]] if isinstance(at, slice) else self._one(epochs[at])

    def _one(self, epoch: int) -> float:
        if epoch not in self._held and self._source.strict:
            raise self._source.lacks(self._index, self._column, epoch)
        return self._held.get(epoch, np.nan)


class _Metrics(Mapping[str, Any]):
    """What NASLib finds for an architecture on a data set."""

    def __init__(self, source: _Source, index: int) -> None:
        self._source, self._index = source, index
        split = source.split
        self._columns = {
            "train_acc1es": "train_accuracy", "train_losses": "train_loss",
            "eval_acc1es": f"{split}_accuracy", "eval_losses": f"{split}_loss",
            "eval_times": f"{split}_seconds",
        }  # fmt: skip

    def __getitem__(self, key: str) -> Any:
        if key == "cost_info":
            costs = self._source.costs(self._index)
            return _Costs(costs, self._source.table)
        if key not in self._columns:
            raise NotRecorded(f"NASLib's data has {', '.join(self)}, and no {key!r}; costs are in Metric.HP")
        return self._source.curve(self._index, self._columns[key])

    def __iter__(self) -> Iterator[str]:
        yield from self._columns
        yield "cost_info"

    def __len__(self) -> int:
        return len(self._columns) + 1


class _Costs(dict[str, float]):
    """A dictionary that says what is missing of ``cost_info``."""

    def __init__(self, found: Mapping[str, float], table: Table) -> None:
        super().__init__(found)
        self._table = table

    def __missing__(self, key: str) -> float:
        column = {"latency": "latency_seconds", "train_time": "train_seconds"}.get(key, key)
        text = f"{self._table.name} does not record {column!r}; cost_info has {', '.join(self)}"
        raise not_recorded(text, self._table.manifest, column)


class _Datasets(Mapping[str, _Metrics]):
    """An architecture's metrics by NASLib's key of the data set: a table has one."""

    def __init__(self, source: _Source, index: int) -> None:
        self._source, self._index = source, index

    def __getitem__(self, key: str) -> _Metrics:
        if key not in self:
            name, has = self._source.table.name, next(iter(self))
            raise NotRecorded(f"NASLib asked for {key!r}, and {name} is a table of {has!r}: take another")
        return _Metrics(self._source, self._index)

    def __contains__(self, key: object) -> bool:
        return key in [*self]

    def __iter__(self) -> Iterator[str]:
        yield NAMES[self._source.table.dataset]

    def __len__(self) -> int:
        return 1


@cache
def _strings() -> frozenset[str]:
    return frozenset(all_strings())


class _Architectures(Mapping[str, _Datasets]):
    """All architectures by their official strings."""

    def __init__(self, source: _Source) -> None:
        self._source = source

    def __getitem__(self, text: str) -> _Datasets:
        return _Datasets(self._source, index_of(text))

    def __contains__(self, text: object) -> bool:
        return text in _strings()

    def __iter__(self) -> Iterator[str]:
        return iter(all_strings())

    def __len__(self) -> int:
        return SIZE
