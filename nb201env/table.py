"""A table: the results of training one search space on one task with one schedule.

A table file holds a manifest and a few *columns*. A column is named ``<split>_<metric>``
("valid_accuracy", "train_loss", "train_seconds") or after a property of the architecture
("latency_seconds", "params"). Its axes are [row], [row, run] or [row, run, epoch], where a row
is an architecture by lexicographic index, or a class of architectures that share their runs. It
lists the epochs that were recorded, counted as epochs completed (1 .. the schedule's length).

Two rules hold everywhere: what was not recorded is an error (`NotRecorded`), never another
split's, seed's or epoch's value; and no argument that changes a number has a default.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from nb201env.architecture import Architecture, ArchitectureLike, all_strings, index_of
from nb201env.arrays import Array, FloatArray, IntArray
from nb201env.container import Container, DamagedTable, Unchanging, write
from nb201env.extras import require
from nb201env.manifest import ROW, SCHEMA, Column, read_manifest
from nb201env.missing import NotRecorded as NotRecorded
from nb201env.missing import not_recorded
from nb201env.space import SIZE, official_index_of
from nb201env.verification import problems, runs_without

if TYPE_CHECKING:
    from pandas import DataFrame

Run = int | Literal["mean"]
"""A seed, or "mean" for the mean over the recorded runs."""


class Result(NamedTuple):
    """The answer to one query.

    Attributes:
        accuracy: A fraction in [0, 1].
        seconds: What the query costs on the clock, in simulated seconds; NaN where the table records no
            seconds.
    """

    accuracy: float
    seconds: float


class Table(Unchanging):
    """An open table; see the module's docstring. Use `Table.open`.

    Attributes:
        id: The sha256 of its numbers and what they are numbers of, see `nb201env.manifest.id_of`.
        name: Short name, such as "cifar10-valid-200".
        kind: "measured", or "surrogate" for predictions.
        manifest: Everything about the table's origin, as plain JSON values.
        seeds: The seeds of the runs, the labels of the run axis.
        dataset: The data set: "cifar10", "cifar100", "ImageNet16-120", …
        epochs: The schedule's length: how many epochs the learning rate was annealed over.
        columns: The names of the recorded columns.
    """

    def __init__(self, container: Container) -> None:
        self.container = container
        self.manifest = container.manifest
        about = read_manifest(container.manifest, str(container.path))
        self.id, self.name, self.kind, self.seeds = about.id, about.name, about.kind, about.seeds
        self.dataset, self.epochs, self.columns = about.dataset, about.epochs, tuple(about.columns)
        self._specs = about.columns
        self._columns: dict[tuple[Any, ...], FloatArray] = {}
        self._answers: dict[tuple[Any, ...], tuple[list[float], list[float]]] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Table:
        """Open a table file: milliseconds, nothing copied.

        Raises:
            FileNotFoundError: If there is no such file.
            DamagedTable: If it is not a table, or its header or length is not what was written.
        """
        return cls(Container(path))

    # -- what it is --------------------------------------------------------------------------

    def recorded_epochs(self, column: str) -> tuple[int, ...]:
        """The epochs (epochs completed) at which a column was recorded."""
        return self._spec(column).epochs

    # -- bulk queries ------------------------------------------------------------------------

    def values(self, column: str, *, epochs: int | None = None) -> FloatArray:
        """A whole column by lexicographic index, NaN where a run is missing.

        Args:
            column: One of `columns`.
            epochs: Epochs completed; required for columns that were recorded at epochs.

        Returns:
            float64 [15625], or [15625, runs] for columns with a run axis; read-only.

        Raises:
            NotRecorded: If the table has no such column, or not at that epoch.
        """
        key = (column, epochs)
        if key not in self._columns:
            self._columns[key] = self._load(column, epochs)
        return self._columns[key]

    def everything(self, column: str) -> FloatArray:
        """A whole column as it was recorded, by lexicographic index, NaN where missing.

        Unlike `values` it covers all epochs, and is not kept in memory. Columns that accumulate
        over epochs (``train_seconds``) come as the seconds of each epoch, without the epoch axis
        where all epochs took equally long.

        Returns:
            float64 [15625], [15625, runs] or [15625, runs, epochs].
        """
        spec = self._spec(column)
        values = _decode(self.container.array(column), spec)
        return values if self._row is None else np.asarray(values[self._row])

    def record(self, architecture: ArchitectureLike, column: str) -> FloatArray:
        """One architecture's part of `everything`, without reading the others'.

        Returns:
            float64 [], [runs] or [runs, epochs].
        """
        row = index_of(architecture)
        spec = self._spec(column)
        if self._row is not None:
            row = int(self._row[row])
        return np.asarray(_decode(self.container.array(column)[row : row + 1], spec)[0])

    def accuracy(self, *, split: str, epochs: int, run: Run) -> FloatArray:
        """The accuracy of every architecture, a fraction in [0, 1]; float64 [15625].

        NaN where that run, or with run="mean" every run, is missing.

        Args:
            split: "train", "valid" or "test".
            epochs: Epochs completed.
            run: A seed, or "mean" over the recorded runs.

        Raises:
            NotRecorded: If the table has no such column, epoch or run, or means over runs only.
        """
        values = self.values(f"{split}_accuracy", epochs=epochs)
        if values.ndim == 1 and run != "mean":
            raise self._only_means(split)
        return self._one_run(values, run)

    def runs(self, *, split: str, epochs: int) -> FloatArray:
        """The accuracy of every run; float64 [15625, runs], NaN where a run is missing.

        Raises:
            NotRecorded: Also if the table holds means over runs only.
        """
        values = self.values(f"{split}_accuracy", epochs=epochs)
        if values.ndim == 1:
            raise self._only_means(split)
        return values

    def _only_means(self, split: str) -> NotRecorded:
        return NotRecorded(f"{self.name} holds only the mean over runs of {split!r}; use run='mean'")

    def run_seconds(self, *, epochs: int) -> FloatArray:
        """What a query costs on the clock, in simulated seconds; float64 [15625, runs].

        The training time up to that epoch plus, where it was recorded, one validation pass.
        """
        total = self._per_run(self.values("train_seconds", epochs=epochs))
        if "valid_seconds" in self.columns:
            total = total + self._per_run(self.values("valid_seconds", epochs=epochs))
        return total

    def seconds(self, *, epochs: int, run: Run) -> FloatArray:
        """`run_seconds` of one run, or their mean; float64 [15625]."""
        return self._one_run(self.run_seconds(epochs=epochs), run)

    def optimum(self, *, split: str, epochs: int) -> tuple[Architecture, float]:
        """The best architecture by mean accuracy over runs, and that mean."""
        accuracy = self.accuracy(split=split, epochs=epochs, run="mean")
        index = int(np.nanargmax(accuracy))
        return Architecture.from_index(index), float(accuracy[index])

    # -- one query ---------------------------------------------------------------------------

    def query(self, architecture: ArchitectureLike, *, split: str, epochs: int, run: Run) -> Result:
        """One architecture's accuracy, and its cost on the clock.

        Args:
            architecture: An `Architecture`, index, official string or six op numbers.
            split: "train", "valid" or "test".
            epochs: Epochs completed.
            run: A seed, or "mean" over the recorded runs.

        Raises:
            NotRecorded: If the table does not hold this accuracy.
        """
        try:
            accuracies, seconds = self._answers[split, epochs, run]
        except KeyError:
            accuracies = self.accuracy(split=split, epochs=epochs, run=run).tolist()
            seconds = self._seconds_or_nan(epochs, run).tolist()
            self._answers[split, epochs, run] = accuracies, seconds
        index = index_of(architecture)
        accuracy = accuracies[index]
        if accuracy != accuracy:
            raise not_recorded(
                f"{self.name} has no run {run!r} of {Architecture.from_index(index)}; "
                f"its recorded seeds are {self._held(index, split, epochs) or 'none'}",
                self.manifest,
            )
        return Result(accuracy, seconds[index])

    def _seconds_or_nan(self, epochs: int, run: Run) -> FloatArray:
        try:
            return self.seconds(epochs=epochs, run=run)
        except NotRecorded:
            return np.full(SIZE, np.nan)

    # -- checking and exporting --------------------------------------------------------------

    def verify(self) -> list[str]:
        """Read every byte again and report what is wrong; an empty list means nothing is.

        Beside damage that is what `nb201env.verification.problems` lists, and runs with an accuracy but
        without seconds.
        """
        damage = [self.container.damage(name) for name in self.manifest["arrays"]]
        if any(damage):
            return [problem for problem in damage if problem]
        found: list[str] = []
        for column in self.columns:
            found += problems(column, self.everything(column), self.recorded_epochs(column))
        if {"valid_accuracy", "train_seconds"} <= {*self.columns}:
            found += self._clock_problems()
        return [f"{self.name}: {problem}" for problem in found]

    def _clock_problems(self) -> Iterator[str]:
        both = {*self.recorded_epochs("valid_accuracy")} & {*self.recorded_epochs("train_seconds")}
        for epochs in sorted(both):
            seconds = self.values("train_seconds", epochs=epochs)
            lost = runs_without(seconds, self.values("valid_accuracy", epochs=epochs))
            if lost:
                yield f"{lost:,} runs have a 'valid_accuracy' at epoch {epochs} but no 'train_seconds'"

    def to_pandas(self) -> DataFrame:
        """All final values, one row per architecture, one column per column and run.

        Raises:
            MissingExtra: If pandas is not installed; the message names the install.
        """
        pandas = require("pandas", "plots")
        data: dict[str, Any] = {
            "architecture": all_strings(),
            "official_index": official_index_of(np.arange(SIZE)),
        }
        for column in self.columns:
            epochs = self.recorded_epochs(column)
            values = self.values(column, epochs=epochs[-1] if epochs else None)
            if values.ndim == 1:
                data[column] = values
            else:
                data |= {f"{column}_{seed}": values[:, i] for i, seed in enumerate(self.seeds)}
        frame: DataFrame = pandas.DataFrame(data)
        frame.index.name = "index"
        return frame

    def __repr__(self) -> str:
        return f"<Table {self.name} {self.id[:12]}>"

    # -- inside ------------------------------------------------------------------------------

    def _held(self, index: int, split: str, epochs: int) -> list[int]:
        values = self.values(f"{split}_accuracy", epochs=epochs)[index]
        if values.ndim == 0:
            return []
        return [seed for seed, value in zip(self.seeds, values, strict=True) if not np.isnan(value)]

    def _spec(self, column: str) -> Column:
        if column not in self._specs:
            has = f"{self.name} does not record {column!r}; it has {', '.join(self._specs)}"
            raise not_recorded(has, self.manifest, column)
        return self._specs[column]

    @cached_property
    def _row(self) -> Array | None:
        """The row of every architecture, where rows are classes."""
        if ROW not in self.container:
            return None
        row = self.container.array(ROW)
        if int(row.max()) >= max(spec.shape[0] for spec in self._specs.values()):
            raise DamagedTable(f"{self.container.path}: an architecture's row is none of the columns'")
        return row

    def _load(self, column: str, epochs: int | None) -> FloatArray:
        spec = self._spec(column)
        raw = self.container.array(column)
        if spec.epochs and epochs not in spec.epochs:
            has = (
                f"{self.name} does not record {column!r} at epochs={epochs}; recorded: {ranges(spec.epochs)}"
            )
            raise not_recorded(has, self.manifest)
        if raw.ndim == 3 and epochs is not None:
            at = spec.epochs.index(epochs)
            raw = raw[:, :, : at + 1] if spec.accumulates else raw[:, :, at]
        values = _decode(raw, spec)
        if spec.accumulates:
            values = values.sum(axis=2) if values.ndim == 3 else values * float(epochs or 0)
        if self._row is not None:
            values = values[self._row]
        values.flags.writeable = False
        return values

    def _per_run(self, values: FloatArray) -> FloatArray:
        if values.ndim == 2:
            return values
        return np.broadcast_to(values[:, None], (SIZE, max(len(self.seeds), 1)))

    def _one_run(self, values: FloatArray, run: Run) -> FloatArray:
        if run != "mean" and run not in self.seeds:
            has = f"{self.name} has no run {run!r}; its seeds are {list(self.seeds)}, or 'mean'"
            raise not_recorded(has, self.manifest)
        if values.ndim == 1:
            return values
        if run == "mean":
            return mean_over_runs(values)
        return values[:, self.seeds.index(run)]


def mean_over_runs(values: FloatArray) -> FloatArray:
    """The mean over the recorded runs of every row [rows, runs]; NaN where there is none."""
    count = (~np.isnan(values)).sum(axis=1)
    return np.asarray(np.divide(np.nansum(values, axis=1), np.where(count, count, np.nan)))


def _decode(raw: Array, spec: Column) -> FloatArray:
    """Stored numbers to float64, NaN where missing."""
    values = raw.astype(np.float64)
    if spec.missing is not None:
        values[raw == spec.missing] = np.nan
    if spec.scale is not None:
        values /= spec.scale
    return values


def write_table(
    path: str | os.PathLike[str],
    manifest: Mapping[str, Any],
    columns: Mapping[str, Array],
    row: IntArray | None = None,
) -> Table:
    """Write a table file and open it.

    Args:
        path: Where to write, atomically.
        manifest: All of the manifest but "schema" and "arrays"; "columns" describes each column
            (unit, and where they apply: epochs, scale, missing).
        columns: Each column's array: [rows], [rows, runs] or [rows, runs, epochs].
        row: For tables whose rows are classes: the row of every architecture [15625].

    Raises:
        ValueError: If a column's shape does not fit the manifest, or the manifest is none (see
            `nb201env.manifest`).
    """
    rows = SIZE if row is None else int(np.max(row)) + 1
    for name, array in columns.items():
        spec = manifest["columns"].get(name)
        if spec is None:
            raise ValueError(f"column {name!r} is not described in manifest['columns']")
        expected = (rows, len(manifest["seeds"]), len(spec.get("epochs", ())))[: array.ndim]
        if array.shape != expected:
            raise ValueError(f"column {name!r} has shape {array.shape}; expected {expected}")
    arrays = dict(columns)
    if row is not None:
        arrays[ROW] = row.astype(np.uint16)
    where = os.fspath(path)
    write(path, dict(manifest) | {"schema": SCHEMA}, arrays, lambda whole: read_manifest(whole, where))
    return Table.open(path)


def verify_file(path: str | os.PathLike[str]) -> list[str]:
    """What is wrong with a table file, opened afresh; an empty list means nothing is."""
    try:
        return Table.open(path).verify()
    except (DamagedTable, OSError) as error:
        return [str(error)]


def ranges(epochs: Sequence[int]) -> str:
    """Epochs as text: "1..200" if none is left out between the first and the last, else all of them."""
    whole = len(epochs) > 2 and list(epochs) == list(range(epochs[0], epochs[-1] + 1))
    return f"{epochs[0]}..{epochs[-1]}" if whole else ", ".join(map(str, epochs))
