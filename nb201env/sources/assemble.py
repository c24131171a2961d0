"""From parts to tables: one table per task and schedule, each column in its smallest exact type.

* Accuracies become counts of correct images where they all are (official percentages are such
  counts divided, with rounding noise of up to 2e-7 per cent); counts have no noise, so ties stay ties.
* Losses and seconds stay the official 64-bit numbers.
* An axis along which nothing changes is dropped: the official seconds are the same for all epochs
  and runs (NATS-Bench overwrote the measured ones), so one number per architecture is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.arrays import Array, BoolArray, FloatArray, IntArray
from nb201env.container import Container
from nb201env.official import describe
from nb201env.space import SIZE
from nb201env.table import Table, write_table
from nb201env.tables import SUFFIX, place

WHOLE = 1e-6
"""How far, in per cent, an accuracy may be from a whole count of images to be stored as one."""

_COSTS = {"params": ("count", "trainable parameters"), "macs": ("count", "multiply-accumulates per image")}


def build(
    parts: Sequence[Path],
    folder: Path,
    provenance: dict[str, Any],
    prefix: str,
    count: int,
    *,
    replace: bool,
    note: Callable[[str], None],
) -> list[Table]:
    """Write one table per task and schedule found in the parts.

    Args:
        parts: Part files.
        folder: Where to write.
        provenance: For the manifests.
        prefix: Put before the tables' names.
        count: How many architectures were read.
        replace: Take the place of other tables of these names.
        note: Told about tables that were there already.

    Raises:
        OSError: If the parts do not hold what was read: `count` architectures, each once.
        FileExistsError: If there is another table of one of the names, and `replace` is False.
    """
    _check_count(parts, count)
    found: dict[str, _Found] = {}
    for path in parts:
        for name, spec in Container(path).manifest["tables"].items():
            held = found.setdefault(name, _Found(spec["task"], spec["schedule"]))
            held.seeds.update(spec["seeds"])
            for column, epochs in spec["columns"].items():
                held.columns.setdefault(column, set()).update(epochs)
    tables = []
    for name in sorted(found):
        path = folder / f"{prefix}{name}{SUFFIX}"
        write = partial(_build_one, name, found[name], parts, provenance, prefix)
        tables.append(place(path, write, replace=replace, note=note))
    return tables


def _check_count(parts: Sequence[Path], count: int) -> None:
    index = np.concatenate([Container(path).array("index") for path in parts])
    distinct = len(np.unique(index))
    if len(index) != count or distinct != count:
        raise OSError(
            f"{parts[0].parent}: its parts hold {distinct} architectures, but {count} were read; did another "
            "program change it? import again"
        )


@dataclass(slots=True)
class _Found:
    """What the parts hold of one table: its seeds, and its columns' epochs."""

    task: str
    schedule: int
    seeds: set[int] = field(default_factory=set)
    columns: dict[str, set[int]] = field(default_factory=dict)


def _build_one(
    name: str, found: _Found, parts: Sequence[Path], provenance: dict[str, Any], prefix: str, path: Path
) -> Table:
    manifest = describe(found.task, found.schedule)
    row, rows = _rows(name, parts)
    gathered = _gather(name, found, parts, row, rows)
    held = gathered.pop("held") == 1
    arrays: dict[str, Array] = {}
    specs: dict[str, Any] = {}
    for column in sorted(gathered):
        images = manifest["task"]["splits"].get(column.partition("_")[0], {}).get("images")
        values = gathered.pop(column)
        if values.ndim == 2:
            values = _drop_runs(values, held)
        arrays[column], specs[column] = encode(column, values, sorted(found.columns[column]), images)
    manifest |= {
        "name": prefix + name,
        "seeds": sorted(found.seeds),
        "columns": specs,
        "provenance": provenance | {"architectures": rows if row is None else rows - 1},
    }
    return write_table(path, manifest, arrays, row)


def _rows(name: str, parts: Iterable[Path]) -> tuple[IntArray | None, int]:
    """Which row holds each architecture [15625], and how many rows there are.

    A source of all architectures gets one row each, by index (None). Otherwise those it lacks
    share one last row, which stays empty.
    """
    held = np.zeros(SIZE, dtype=bool)
    for path in parts:
        part = Container(path)
        if name in part.manifest["tables"]:
            held[part.array("index")[part.array(f"{name}/held").any(axis=1)]] = True
    if held.all():
        return None, SIZE
    return np.where(held, np.cumsum(held) - 1, held.sum()), int(held.sum()) + 1


def _gather(
    name: str, found: _Found, parts: Iterable[Path], row: IntArray | None, count: int
) -> dict[str, FloatArray]:
    """All columns of one table: float64 [rows, runs] or [rows, runs, epochs]."""
    seeds = sorted(found.seeds)
    gathered = {"held": np.zeros((count, len(seeds)))}
    for path in parts:
        part = Container(path)
        spec = part.manifest["tables"].get(name)
        if spec is None:
            continue
        held = part.array(f"{name}/held").any(axis=1)
        index = part.array("index")[held]
        rows = index if row is None else row[index]
        runs = np.searchsorted(seeds, spec["seeds"])
        gathered["held"][np.ix_(rows, runs)] = part.array(f"{name}/held")[held]
        for column, recorded in spec["columns"].items():
            epochs = sorted(found.columns[column])
            array = part.array(f"{name}/{column}")[held]
            target = _target(gathered, column, (count, len(seeds), len(epochs)), array.ndim)
            if target.ndim == 2:
                target[np.ix_(rows, runs)] = array
            else:
                at = np.searchsorted(epochs, recorded)
                target[np.ix_(rows, runs, at)] = array if array.ndim == 3 else array[:, :, None]
    return gathered


def _target(
    gathered: dict[str, FloatArray], column: str, shape: tuple[int, int, int], ndim: int
) -> FloatArray:
    """The array to fill; it gets an epoch axis as soon as one part has it."""
    target = gathered.get(column)
    if target is None:
        target = np.full(shape[:ndim], np.nan)
    elif target.ndim < ndim:
        target = np.repeat(target[:, :, None], shape[2], axis=2)
    gathered[column] = target
    return target


def encode(
    column: str, values: FloatArray, epochs: Sequence[int], images: int | None
) -> tuple[Array, dict[str, Any]]:
    """A column's array and its description in the manifest.

    Args:
        column: Its name.
        values: float64 [rows], [rows, runs] or [rows, runs, epochs], NaN where missing; accuracies in
            per cent, seconds per epoch (without the epoch axis if they are the same for all).
        epochs: Epochs completed at which the column was recorded; none for costs.
        images: The number of images of the column's split, if known.
    """
    if column.endswith("_accuracy"):
        return _encode_accuracy("top-5" if "_top5_" in column else "top-1", values, epochs, images)
    if column in _COSTS:
        return _encode_cost(column, values)
    if column == "latency_seconds":
        what = "official latency of a batch of 256 images on a GPU"
        return values, {"unit": "s", "what": what}
    if column.endswith("_seconds"):
        return _encode_seconds(column, values, list(epochs))
    return values, {"unit": "nats", "epochs": list(epochs), "what": "mean cross-entropy"}


def _encode_accuracy(
    kind: str, values: FloatArray, epochs: Sequence[int], images: int | None
) -> tuple[Array, dict[str, Any]]:
    if images:
        counts = np.round(values * (images / 100))
        if not bool((np.abs(values - counts * (100 / images)) > WHOLE).any()):
            width = np.uint16 if images < 65535 else np.uint32
            missing = int(np.iinfo(width).max)
            array = np.where(np.isnan(counts), missing, counts).astype(width)
            spec = {"unit": "fraction", "epochs": list(epochs), "scale": images, "missing": missing}
            many = "" if kind == "top-1" else f" ({kind})"
            return array, spec | {"what": f"correct images{many}; divided by scale"}
    what = f"{kind} accuracy in per cent" if images else "accuracy in per cent"
    return values, {"unit": "fraction", "epochs": list(epochs), "scale": 100, "what": what}


def _encode_cost(column: str, values: FloatArray) -> tuple[Array, dict[str, Any]]:
    unit, what = _COSTS[column]
    whole = np.round(values)
    spec = {"unit": unit, "what": what}
    if bool((np.abs(values - whole) > 0.01).any()):
        return values, spec
    return np.where(np.isnan(whole), -1, whole).astype(np.int32), spec | {"missing": -1}


def _encode_seconds(column: str, values: FloatArray, epochs: list[int]) -> tuple[Array, dict[str, Any]]:
    constant = values.ndim < 3
    if column == "train_seconds":
        what = "training time of one epoch" if constant else "training time of each epoch"
        spec = {"unit": "s", "epochs": epochs, "accumulates": True}
        return values, spec | {"what": f"{what}; a query adds up the epochs completed"}
    what = f"one pass over the {column.removesuffix('_seconds')} split"
    if constant:
        return values, {"unit": "s", "what": what}
    return values, {"unit": "s", "epochs": epochs, "what": f"{what} after each epoch"}


def _drop_runs(values: FloatArray, held: BoolArray) -> FloatArray:
    """Without the run axis if all runs of every architecture agree; [rows, runs] to [rows].

    A run that lacks the number while another run of the architecture has it is no agreement.
    """
    missing = np.isnan(values)
    low = np.where(missing, np.inf, values).min(axis=1)
    high = np.where(missing, -np.inf, values).max(axis=1)
    some_lack_it = (missing & held).any(axis=1) & ~missing.all(axis=1)
    if bool((low < high).any()) or bool(some_lack_it.any()):
        return values
    return np.where(np.isinf(low), np.nan, low)
