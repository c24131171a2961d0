"""Surrogate tables: a surrogate's predictions for the whole space, computed once.

A surrogate table has the interface and the file format of a table, so that every environment runs
on it, at a table's speed and without XGBoost. It is never taken for one: its name ends in
"-surrogate", its manifest says kind "surrogate" and names the model, and its seeds are 0, 1, 2, …:
imagined runs drawn from the noise model, whose mean is the prediction.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from nb201env import cost
from nb201env.arrays import Array, FloatArray
from nb201env.container import Container
from nb201env.files import appearing
from nb201env.official import DATASETS
from nb201env.space import SIZE, all_ops
from nb201env.surrogate.model import Surrogate
from nb201env.table import Table, write_table

SCALE = 60_000
"""Accuracies are stored as whole 60,000ths: finer than one validation image, and small."""
_MISSING = 65_535
RUNS = 3
"""Imagined runs per architecture, as many as the official tables have at most; 1 without a noise model."""


class SurrogateTable(Table):
    """The table over a fitted surrogate, in memory; `save` writes it for others to open.

    Has all that `nb201env.table.Table` has: name, id, seeds, columns, accuracy, runs, seconds, query …

    Args:
        surrogate: The surrogate.
        name: The table's name; "<training table>-surrogate" by default.
        runs: How many imagined runs each architecture gets; if None 3, or without a noise model 1: the
            prediction itself.
        seed: For drawing them.
        provenance: More entries for the manifest's "provenance", such as the command that made it.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        name: str | None = None,
        runs: int | None = None,
        seed: int = 0,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        table = materialise(surrogate, _file_of(self), name, runs, seed, provenance)
        super().__init__(table.container)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self.container.path.read_bytes())

    def save(self, path: str | os.PathLike[str]) -> Table:
        """Write the table to a file, atomically, and open that."""
        with appearing(path) as new:
            shutil.copyfile(self.container.path, new)
        return Table.open(path)


def _file_of(table: SurrogateTable) -> Path:
    """Where a table in memory has its bytes; the folder goes with the table."""
    folder = Path(tempfile.mkdtemp(prefix="nb201-surrogate-"))
    weakref.finalize(table, shutil.rmtree, folder, ignore_errors=True)
    return folder / "table.safetensors"


def _unpickled(kind: type[SurrogateTable], content: bytes) -> SurrogateTable:
    table = object.__new__(kind)
    path = _file_of(table)
    path.write_bytes(content)
    Table.__init__(table, Container(path))
    return table


def materialise(
    surrogate: Surrogate,
    path: str | os.PathLike[str],
    name: str | None = None,
    runs: int | None = None,
    seed: int = 0,
    provenance: dict[str, Any] | None = None,
) -> Table:
    """Write a surrogate's predictions for the whole space to a table file; see `SurrogateTable`.

    Raises:
        ValueError: If `runs` is below 1, `name` does not end in "-surrogate", or a prediction is no number.
    """
    name = name or f"{surrogate.manifest['table']['name']}-surrogate"
    if not name.endswith("-surrogate"):
        raise ValueError(f"the name of a surrogate's table ends in '-surrogate'; got {name!r}")
    if runs is None:
        runs = 1 if surrogate.noise is None else RUNS
    if runs < 1:
        raise ValueError(f"runs must be at least 1; got {runs}")
    columns, specs = _columns(surrogate, runs, seed)
    manifest = _manifest(surrogate, name, runs, seed, specs)
    manifest["provenance"] |= provenance or {}
    return write_table(path, manifest, columns)


def _columns(surrogate: Surrogate, runs: int, seed: int) -> tuple[dict[str, Array], dict[str, Any]]:
    epochs, accuracy = list(surrogate.epochs), f"{surrogate.split}_accuracy"
    # Not every scale ends at 0 and 1, and what is stored as whole numbers must not wrap.
    means = np.clip(_numbers(surrogate.means(), accuracy), 0.0, 1.0)
    columns = {accuracy: _whole(surrogate.runs(runs, seed), means)}
    specs: dict[str, Any] = {
        accuracy: {
            "unit": "fraction", "epochs": epochs, "scale": SCALE, "missing": _MISSING,
            "what": f"predicted accuracy{' plus imagined noise' if surrogate.noise else ''}, in whole parts "
            "of scale",
        }
    }  # fmt: skip
    for cost_name, regressor in surrogate.costs.items():
        seconds = _numbers(regressor.predict(all_ops()), cost_name)
        per_epoch = cost_name != "latency_seconds"
        if cost_name == "train_seconds":
            seconds = (seconds[:, None] * surrogate.time_shares)[:, None, :].repeat(runs, axis=1)
        elif per_epoch:
            seconds = seconds[:, None, None].repeat(runs, axis=1).repeat(len(epochs), axis=2)
        columns[cost_name] = seconds.astype(np.float32)
        specs[cost_name] = {"unit": "s", "what": "predicted"} | ({"epochs": epochs} if per_epoch else {})
    dataset = surrogate.manifest["task"]["dataset"]
    if dataset in DATASETS:
        columns["params"] = cost.params(np.arange(SIZE), dataset).astype(np.int32)
        specs["params"] = {"unit": "count", "what": "trainable parameters, closed form"}
    return {name: _squeezed(column) for name, column in columns.items()}, specs


def _numbers(values: FloatArray, what: str) -> FloatArray:
    if not (np.abs(values) <= np.finfo(np.float32).max).all():
        raise ValueError(f"this surrogate predicts {what} that are no numbers; fit another one")
    return values


def _squeezed(column: Array) -> Array:
    """Without the axes that say nothing: one epoch; and times that are the same for all runs."""
    if column.ndim == 3 and column.shape[2] == 1:
        column = column[:, :, 0]
        if column.dtype.kind == "f":
            column = column[:, 0]
    return column


def _whole(runs: FloatArray, means: FloatArray) -> Array:
    """Runs in whole 60,000ths, whose sum over runs is exactly runs x the rounded mean.

    So the mean over runs, which is what run="mean" gives, is the prediction, and architectures of
    one canonical class keep equal predictions whatever their noise.
    """
    center = np.round(means * SCALE).astype(np.int64)
    deviation = np.round((runs - means[:, None, :]) * SCALE).astype(np.int64)
    deviation[:, -1] -= deviation.sum(axis=1)
    counts = center[:, None, :] + deviation
    # At the ends of the scale a run would leave it; there the runs fall back to the prediction.
    outside = ((counts < 0) | (counts > SCALE)).any(axis=1, keepdims=True)
    return np.where(outside, center[:, None, :], counts).astype(np.uint16)


def _manifest(surrogate: Surrogate, name: str, runs: int, seed: int, specs: dict[str, Any]) -> dict[str, Any]:
    fitted = surrogate.manifest
    return {
        "name": name,
        "kind": "surrogate",
        "space": "NAS-Bench-201",
        "task": fitted["task"],
        "schedule": fitted["schedule"],
        "seeds": list(range(runs)),
        "columns": specs,
        "provenance": {
            "numbers": "predictions of a surrogate; no network was trained for them",
            "training_table": fitted["table"],
            "training_architectures": surrogate.architectures.tolist(),
            "encoding": fitted["settings"]["encoding"],
            "settings": fitted["settings"],
            "random_state": fitted["random_state"],
            "versions": fitted["versions"],
            "held_out_scores": fitted["held_out_scores"],
            "seeds": _seeds(surrogate, seed),
        }
        | {f"training_{key}": fitted[key] for key in ("source",) if key in fitted}
        | {key: fitted[key] for key in ("cross_validation",) if key in fitted},
        "licence": fitted["licence"],
        "citation": fitted["citation"],
    }


def _seeds(surrogate: Surrogate, seed: int) -> str:
    """What the table's runs are."""
    if surrogate.noise is not None:
        return f"imagined runs drawn from the noise model with seed {seed}, centred on the prediction"
    several = surrogate.manifest.get("run_several_times", 0)
    return f"the prediction itself: no noise was learnt, as {several} architectures were run more than once"
