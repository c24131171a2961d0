"""A table as a blackbox of Syne Tune, for its simulated backend.

    from nb201env.compat import syne_tune_blackbox

    blackbox = syne_tune_blackbox("cifar10-valid-200", run="sample")
    backend = UserBlackboxBackend(blackbox, elapsed_time_attr="metric_elapsed_time")    # Syne Tune's

Names are those of Syne Tune's own ``nasbench201``: the configuration space has ``hp_x0`` .. ``hp_x5``, the
resource is ``hp_epoch``, and the metrics are ``metric_valid_error`` and ``metric_elapsed_time``.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from nb201env.arrays import FloatArray
from nb201env.extras import require
from nb201env.notation import SYNE_TUNE_OPS
from nb201env.space import NUM_EDGES, OPS, SIZE, all_ops
from nb201env.table import NotRecorded, Run, Table
from nb201env.tables import open_table

if TYPE_CHECKING:
    from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular

EDGES = tuple(f"hp_x{edge}" for edge in range(NUM_EDGES))
EPOCH, ERROR, ELAPSED = "hp_epoch", "metric_valid_error", "metric_elapsed_time"


def syne_tune_blackbox(
    table: Table | str | os.PathLike[str], *, run: Run | Literal["sample"], costs: Sequence[str] = ()
) -> BlackboxTabular:
    """A table as a ``BlackboxTabular`` of Syne Tune.

    Its metrics are ``metric_valid_error``, 1 - the validation accuracy, and ``metric_elapsed_time``, what a
    query of that many epochs costs on the clock: the seconds of training so far and of one validation pass,
    where recorded. Its resource ``hp_epoch`` takes the epochs at which the table records both; in the
    embedded official tables that is the last one alone, so that a scheduler has nothing to stop early.

    Args:
        table: A table, its name or its path.
        run: "sample": one of the architecture's recorded runs answers, each equally often, as Syne Tune draws
            a seed for a trial; "mean": their mean; or a run's seed.
        costs: Further metrics: costs of the table, each as ``metric_`` and its name, in the table's unit.

    Returns:
        A blackbox of all 15,625 architectures, in lexicographic order; float64.

    Raises:
        MissingExtra: If Syne Tune, or what its blackboxes need, is not installed.
        NotRecorded: If the table has no such run or cost, no seconds, or not all architectures.
    """
    opened = table if isinstance(table, Table) else open_table(table)
    epochs = _epochs(opened)
    error, seconds = (
        np.stack(parts, axis=2) for parts in zip(*(_of(opened, at, run) for at in epochs), strict=True)
    )
    metrics = _same_runs(opened, 1 - error, seconds) if run == "sample" else [1 - error, seconds]
    shape = metrics[0].shape
    metrics += [np.broadcast_to(_cost(opened, name)[:, None, None], shape) for name in costs]
    _check(opened, metrics, run)
    names = [ERROR, ELAPSED, *(f"metric_{name}" for name in costs)]
    return _blackbox(opened, epochs, np.stack(metrics, axis=3), names)


def _epochs(table: Table) -> list[int]:
    """The epochs at which both metrics are recorded."""
    both = set(table.recorded_epochs("valid_accuracy"))
    timed = table.recorded_epochs("train_seconds")
    if timed:
        both &= {*timed}
    if not both:
        raise NotRecorded(f"{table.name} records no epoch with both a 'valid_accuracy' and 'train_seconds'")
    return sorted(both)


def _of(table: Table, epochs: int, run: Run | Literal["sample"]) -> tuple[FloatArray, FloatArray]:
    """Accuracy and seconds [15625, runs]; of one run or the mean, one column."""
    if run == "sample":
        return table.runs(split="valid", epochs=epochs), table.run_seconds(epochs=epochs)
    accuracy = table.accuracy(split="valid", epochs=epochs, run=run)
    return accuracy[:, None], table.seconds(epochs=epochs, run=run)[:, None]


def _same_runs(table: Table, *metrics: FloatArray) -> list[FloatArray]:
    """As many columns for every architecture, in which each of its recorded runs stands equally often.

    Syne Tune draws a column for a trial. Where architectures have 2 or 3 runs, there are 6 columns.
    """
    held = np.all([~np.isnan(values).any(axis=2) for values in metrics], axis=0)  # [architectures, runs]
    counts = held.sum(axis=1)
    if not counts.all():
        raise NotRecorded(f"{table.name} has no complete run of {(counts == 0).sum():,} architectures")
    columns = math.lcm(*np.unique(counts).tolist())
    first = np.argsort(~held, axis=1, kind="stable")  # recorded runs before the others
    which = first[np.arange(SIZE)[:, None], np.arange(columns) % counts[:, None]]
    return [np.take_along_axis(values, which[:, :, None], axis=1) for values in metrics]


def _cost(table: Table, name: str) -> FloatArray:
    values = table.values(name)
    return values if values.ndim == 1 else np.asarray(np.nanmean(values, axis=1))


def _check(table: Table, metrics: list[FloatArray], run: Run | Literal["sample"]) -> None:
    lost = sum(np.isnan(values).any(axis=(1, 2)) for values in metrics)
    if np.any(lost):
        has = f"{table.name} lacks numbers of run {run!r} of {np.count_nonzero(lost):,} architectures"
        raise NotRecorded(f"{has}, and a blackbox needs all; run='sample' or 'mean' takes those there are")


def _blackbox(table: Table, epochs: list[int], metrics: FloatArray, names: list[str]) -> BlackboxTabular:
    tabular = require("syne_tune.blackbox_repository.blackbox_tabular", "syne-tune")
    space = require("syne_tune.config_space", "syne-tune")
    pandas = require("pandas", "plots")
    with warnings.catch_warnings():  # it calls pandas in a way that pandas 3 deprecates
        warnings.simplefilter("ignore", DeprecationWarning)
        found: BlackboxTabular = tabular.BlackboxTabular(
            hyperparameters=pandas.DataFrame(np.array(OPS)[all_ops()], columns=[*EDGES]),
            configuration_space={edge: space.choice([*SYNE_TUNE_OPS]) for edge in EDGES},
            fidelity_space={EPOCH: space.randint(1, table.epochs)},
            objectives_evaluations=metrics,
            fidelity_values=np.array(epochs),
            objectives_names=names,
        )
    return found
