"""HW-NAS-Bench: latency and energy of every architecture on several devices.

``HW-NAS-Bench-v1_0.pickle`` (Li et al., ICLR 2021) holds, for each data set, one list of 15,625
numbers per device and metric, by official index, in milliseconds and millijoules. A device's
numbers belong to an architecture, not to a training, so they are added as columns to a table of
the same data set: ``<device>_latency_seconds`` and ``<device>_energy_joules``.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.arrays import Array, FloatArray
from nb201env.sources.errors import SourceError, show
from nb201env.sources.pickles.types import PickledArray
from nb201env.sources.pickles.unpickle import loads
from nb201env.space import SIZE, official_index_of
from nb201env.table import Table, write_table

LARGEST = 1 << 28
MOST_ITEMS = 8_000_000  # three data sets, ten metrics, 15,625 numpy numbers of eight opcodes each
_UNITS = {"latency": ("latency_seconds", "s"), "energy": ("energy_joules", "J")}
CITATION = "C. Li et al., HW-NAS-Bench, ICLR 2021"


def read(source: str | os.PathLike[str], dataset: str) -> dict[str, FloatArray]:
    """The device columns of one data set, by lexicographic index; seconds and joules, float64 [15625].

    Metrics that are neither a latency nor an energy are left out.

    Raises:
        SourceError: If the file is damaged or not what it should be.
    """
    path = Path(source)
    if path.stat().st_size > LARGEST:
        raise SourceError(path, "size", "too large for HW-NAS-Bench")
    values = loads(path.read_bytes(), file=os.fspath(path), most_items=MOST_ITEMS)
    for field in ("nasbench201", dataset):
        if type(values) is not dict or type(values.get(field)) is not dict:
            raise SourceError(path, field, "is missing; is it HW-NAS-Bench-v1_0.pickle?")
        values = values[field]
    order = official_index_of(np.arange(SIZE))
    columns = {}
    for metric, numbers in values.items():
        device, _, kind = str(metric).rpartition("_")
        if device and kind in _UNITS:
            where = f"nasbench201/{dataset}/{metric}"
            columns[f"{device}_{_UNITS[kind][0]}"] = _numbers(path, where, numbers)[order] / 1000
    if not columns:
        raise SourceError(path, f"nasbench201/{dataset}", "no metrics like edgegpu_latency")
    return columns


def _numbers(path: Path, where: str, numbers: Any) -> FloatArray:
    if type(numbers) is PickledArray and numbers.value is not None:
        values = np.asarray(numbers.value, dtype=np.float64)
    elif type(numbers) is list and set(map(type, numbers)) <= {float, int}:
        values = np.array(numbers, dtype=np.float64)
    else:
        raise SourceError(path, where, f"expected a list of numbers, got {show(numbers)}")
    if values.shape != (SIZE,):
        raise SourceError(path, where, f"expected {SIZE} numbers, got {values.shape}")
    if not bool((np.isfinite(values) & (values >= 0)).all()):
        raise SourceError(path, where, "holds numbers that are negative or not finite")
    return values


def add_devices(
    table: Table, source: str | os.PathLike[str], path: str | os.PathLike[str], name: str
) -> Table:
    """Write a copy of a table with the device columns of its data set.

    Args:
        table: The table to extend.
        source: ``HW-NAS-Bench-v1_0.pickle``.
        path: Where the new table goes.
        name: Its name.

    Raises:
        SourceError: If the file is damaged or not what it should be.
        ValueError: If the table has such columns already.
    """
    columns = read(source, table.dataset)
    both = sorted(set(columns) & set(table.columns))
    if both:
        raise ValueError(f"{table.name} has the columns {', '.join(both)} already")
    row = table.container.array("row").astype(np.int64) if "row" in table.container else None
    arrays: dict[str, Array] = {column: table.container.array(column) for column in table.columns}
    specs = dict(table.manifest["columns"])
    for column, values in columns.items():
        unit = column.rpartition("_")[2][:1].replace("j", "J")
        arrays[column] = values
        specs[column] = {"unit": unit, "what": "HW-NAS-Bench"}
    if row is not None:
        arrays = {
            column: array[row] if column in table.columns else array for column, array in arrays.items()
        }
    content = Path(source).read_bytes()
    added = {
        "source": Path(source).name,
        "source_sha256": hashlib.sha256(content).hexdigest(),
        "citation": CITATION,
    }
    manifest = {key: value for key, value in table.manifest.items() if key not in ("arrays", "schema")}
    manifest |= {
        "name": name,
        "columns": specs,
        "provenance": table.manifest["provenance"] | {"table": table.id, "devices": added},
    }
    return write_table(path, manifest, arrays)
