"""What a surrogate learns from: architectures with the accuracies of their runs, of a table or one's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nb201env.architecture import Architecture, ArchitectureLike, index_of
from nb201env.arrays import Array, FloatArray, IntArray
from nb201env.container import digest
from nb201env.space import SIZE
from nb201env.table import Table, mean_over_runs
from nb201env.tables import check_own_name

COSTS = ("train_seconds", "valid_seconds", "latency_seconds")
"""What is learnt beside the accuracy, each where it is known."""
CLOCK = COSTS[:2]
FEWEST = 20
"""Architectures that evaluations of one's own must have at least."""
SPLITS = ("train", "valid", "test")
_MOST_NUMBERS = 1 << 24  # of architectures x most runs of one: 128 MB
_UNSTATED = "not stated with the evaluations; counted as one epoch"

Note = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Evaluations:
    """Architectures, their runs, and what they are runs of.

    Attributes:
        architectures: Lexicographic indices, rising; int64 [n].
        runs: Accuracies, fractions; float64 [n, runs, epochs], NaN where there is no further run.
        costs: Some of `COSTS`, by architecture, NaN where not known; float64 [n].
        time_shares: The share of "train_seconds" that has passed at each of `epochs`; float64 [epochs].
        split: The split of the accuracies.
        epochs: The epochs (completed) after which they were measured, rising.
        about: Whose they are: the manifest's "table" (name and id), "task", "schedule", "licence",
            "citation", and "source" where they come from a file.
    """

    architectures: IntArray
    runs: FloatArray
    costs: dict[str, FloatArray]
    time_shares: FloatArray
    split: str
    epochs: tuple[int, ...]
    about: dict[str, Any]

    @property
    def means(self) -> FloatArray:
        """The mean over runs, float64 [n, epochs]."""
        return np.stack([mean_over_runs(self.runs[:, :, at]) for at in range(len(self.epochs))], axis=1)

    @property
    def several(self) -> int:
        """How many architectures were run more than once."""
        return int(((~np.isnan(self.runs[:, :, -1])).sum(axis=1) > 1).sum())

    @property
    def name(self) -> str:
        """What they are called."""
        return str(self.about["table"]["name"])


# -- of a table --------------------------------------------------------------------------------


def of_table(table: Table, architectures: npt.ArrayLike, split: str, epochs: Sequence[int]) -> Evaluations:
    """What a table holds of some architectures; a table of means counts as one of single runs.

    Raises:
        ValueError: If there are fewer than two architectures, or one is named twice, is no index or has
            no run; or seconds of the table cannot be.
        NotRecorded: If the table lacks the split or an epoch.
    """
    train, at = _checked(architectures), tuple(sorted(set(epochs)))
    runs = np.stack([table_runs(table, split, epoch)[train] for epoch in at], axis=-1)
    missing = train[np.asarray(np.isnan(runs).all(axis=1)).any(axis=1)]
    if len(missing):
        raise ValueError(
            f"{table.name} has no run of {len(missing)} of the training architectures, such as index "
            f"{missing[0]}; leave them out"
        )
    about = {
        "table": {"name": table.name, "id": table.id},
        "task": table.manifest["task"],
        "schedule": table.manifest["schedule"],
        "licence": table.manifest["licence"],
        "citation": table.manifest.get("citation", []),
    }
    costs, shares = _table_costs(table, train, at[-1]), np.ones(len(at))
    if "train_seconds" in costs and len(at) > 1:
        # The median over the architectures: the share hardly depends on the architecture.
        seconds = [_mean_run(table.values("train_seconds", epochs=epoch)[train]) for epoch in at]
        shares = np.array([np.nanmedian(s / seconds[-1]) for s in seconds])
    return Evaluations(train, runs, costs, shares, split, at, about)


def table_runs(table: Table, split: str, epochs: int) -> FloatArray:
    """A table's accuracies, float64 [15625, runs]; means over runs stand as one run."""
    values = table.values(f"{split}_accuracy", epochs=epochs)
    return values[:, None] if values.ndim == 1 else values


def _table_costs(table: Table, train: IntArray, epochs: int) -> dict[str, FloatArray]:
    costs = {}
    for name in COSTS:
        if name in table.columns:
            at = table.recorded_epochs(name)
            values = _mean_run(table.values(name, epochs=epochs if at else None)[train])
            if (values <= 0).any() or np.isinf(values).any():
                raise ValueError(
                    f"{table.name} records {name!r} that are not above 0 or not finite, such as of index "
                    f"{train[(values <= 0) | np.isinf(values)][0]}; leave such architectures out"
                )
            if not np.isnan(values).all():  # what no training architecture has cannot be learnt
                costs[name] = values
    return costs


def _mean_run(values: FloatArray) -> FloatArray:
    return values if values.ndim == 1 else mean_over_runs(values)


def _checked(architectures: npt.ArrayLike) -> IntArray:
    index = np.asarray(architectures)
    train = np.unique(index).astype(np.int64)
    if index.ndim != 1 or not np.issubdtype(index.dtype, np.integer) or len(train) < 2:
        raise ValueError("training architectures are at least two lexicographic indices, an int array [n]")
    if len(train) < len(index):
        raise ValueError(f"{len(index) - len(train)} training architectures are named twice; name each once")
    if train[0] < 0 or train[-1] >= SIZE:
        raise ValueError(f"a lexicographic index is in 0..{SIZE - 1}; got {train[0]}..{train[-1]}")
    return train


# -- of one's own ------------------------------------------------------------------------------


def gather(
    architectures: Iterable[ArchitectureLike],
    accuracy: npt.ArrayLike,
    *,
    name: str,
    dataset: str | None = None,
    split: str = "valid",
    epochs: int | None = None,
    seconds: Mapping[str, npt.ArrayLike] | None = None,
    source: Mapping[str, Any] | None = None,
    note: Note = lambda text: None,
) -> Evaluations:
    """Evaluations of one's own, checked; several rows of one architecture are several runs of it.

    Rows without a number are left out. Where all rows of every repeated architecture are equal, they are
    copies (as in the log of a search that asked a table twice) and count once.

    Args:
        architectures: One per row: `Architecture`, lexicographic index, official string or op numbers.
        accuracy: Fractions, float [rows], or [rows, runs] for several runs in a row; NaN where missing.
        name: What they are called.
        dataset: The data set that they are of; `name` if None.
        split: The split of the accuracies.
        epochs: After how many epochs they were measured; None if that is not known.
        seconds: Some of "train_seconds" and "valid_seconds" of each row's run, float [rows], above 0.
        source: Where they come from, for the manifest.
        note: Told what was left out.

    Raises:
        ValueError: If a row is not what it should be, or fewer than 20 architectures are left.
    """
    for one in (name, f"{name}-surrogate"):
        check_own_name(one)
    if split not in SPLITS:
        raise ValueError(f"split is one of {', '.join(SPLITS)}; got {split!r}")
    if epochs is not None and not 1 <= epochs <= 10**6:
        raise ValueError(f"epochs are completed ones, from 1 to 1,000,000; got {epochs}")
    index = np.array([index_of(one) for one in architectures], dtype=np.int64)
    values = _accuracies(accuracy, len(index))
    costs = {key: _seconds(key, given, len(index)) for key, given in (seconds or {}).items()}
    some = np.asarray(~np.isnan(values).all(axis=1))
    index, values, costs = _without(some, index, values, costs, "{} without a number left out", note)
    order = np.argsort(index, kind="stable")
    index, values, costs = index[order], values[order], {key: held[order] for key, held in costs.items()}
    index, values, costs = _without(
        ~_copies(index, values), index, values, costs, "{} not counted, equal to another one", note
    )
    found, row = np.unique(index, return_inverse=True)
    if len(found) < FEWEST:
        raise ValueError(
            f"{name}: {len(found)} distinct architectures with an accuracy; a surrogate needs {FEWEST}"
        )
    runs = _side_by_side(row, values)
    means = {key: _mean_of(row, held) for key, held in costs.items() if not np.isnan(held).all()}
    task = {"name": dataset or name, "dataset": dataset or name, "splits": {}}
    schedule = {"epochs": epochs or 1, "what": "as stated with the evaluations" if epochs else _UNSTATED}
    numbers: dict[str, Array] = {"architectures": found, "runs": runs, **means}
    told: dict[str, Any] = {key: _sha(held) for key, held in numbers.items()}
    told |= {"task": task, "epochs": schedule["epochs"], "split": split}
    about = {
        "table": {"name": name, "id": digest(told)},
        "task": task,
        "schedule": schedule,
        "licence": "as the evaluations'",
        "citation": [],
    } | ({"source": dict(source)} if source else {})
    return Evaluations(found, runs[:, :, None], means, np.ones(1), split, (epochs or 1,), about)


def _accuracies(accuracy: npt.ArrayLike, rows: int) -> FloatArray:
    values = np.asarray(accuracy, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[0] != rows or not values.shape[1]:
        raise ValueError(
            f"accuracies are an array [rows] or [rows, runs] for {rows:,} rows; got shape {values.shape}"
        )
    wrong = ~np.isnan(values) & ~((values >= 0) & (values <= 1))
    if wrong.any():
        at = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise ValueError(
            f"row {at}: accuracies are fractions in 0..1; got {values[at][wrong[at]][0]:g}; per cent?"
        )
    return values


def _seconds(name: str, given: npt.ArrayLike, rows: int) -> FloatArray:
    if name not in CLOCK:
        raise ValueError(f"seconds are {' and '.join(CLOCK)}; got {name!r}")
    values = np.asarray(given, dtype=np.float64)
    if values.shape != (rows,):
        raise ValueError(f"{name} are an array [rows] for {rows:,} rows; got shape {values.shape}")
    wrong = np.flatnonzero(~np.isnan(values) & ~((values > 0) & (values < np.inf)))
    if len(wrong):
        raise ValueError(f"row {wrong[0]}: {name} are finite numbers above 0; got {values[wrong[0]]:g}")
    return values


def _without(
    keep: npt.NDArray[np.bool_],
    index: IntArray,
    values: FloatArray,
    costs: dict[str, FloatArray],
    what: str,
    note: Note,
) -> tuple[IntArray, FloatArray, dict[str, FloatArray]]:
    """The rows to keep, with a word about the others."""
    if keep.all():
        return index, values, costs
    gone = int((~keep).sum())
    which = Architecture.from_index(int(index[~keep][0]))
    note(what.format("1 row" if gone == 1 else f"{gone:,} rows") + f" (the first is of {which})")
    return index[keep], values[keep], {key: held[keep] for key, held in costs.items()}


def _copies(index: IntArray, values: FloatArray) -> npt.NDArray[np.bool_]:
    """Of rows in the order of `index`: which repeat the one before; none unless all repeated ones do."""
    again = np.zeros(len(index), dtype=np.bool_)
    again[1:] = index[1:] == index[:-1]
    before, here = values[np.flatnonzero(again) - 1], values[again]
    alike = (before == here) | (np.isnan(before) & np.isnan(here))
    return again if bool(alike.all()) else np.zeros_like(again)


def _side_by_side(row: IntArray, values: FloatArray) -> FloatArray:
    """All numbers of each architecture in a row of their own; float64 [architectures, most runs of one]."""
    known = ~np.isnan(values)
    of = np.repeat(row, known.sum(axis=1))
    count = np.bincount(of)
    if len(count) * int(count.max()) > _MOST_NUMBERS:
        raise ValueError(
            f"one architecture has {count.max():,} runs; a surrogate learns nothing from so many"
        )
    place = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    runs = np.full((len(count), int(count.max())), np.nan)
    runs[of, place] = values[known]
    return runs


def _mean_of(row: IntArray, values: FloatArray) -> FloatArray:
    known = ~np.isnan(values)
    count = np.bincount(row, known)
    total = np.bincount(row, np.where(known, values, 0.0))
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))


def _sha(values: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()).hexdigest()
