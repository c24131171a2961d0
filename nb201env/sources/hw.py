"""HW-NAS-Bench: latency and energy of every architecture on several devices.

``HW-NAS-Bench-v1_0.pickle`` (Li et al., ICLR 2021) holds, for each data set, one list of 15,625
numbers per device and metric, by official index, in milliseconds and millijoules. A device's
numbers belong to an architecture, not to a training, so they are added as columns to a table of
the same data set: ``<device>_latency_seconds`` and ``<device>_energy_joules``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.arrays import FloatArray
from nb201env.sources.errors import SourceError, show
from nb201env.sources.extend import extend
from nb201env.sources.opening import open_source
from nb201env.sources.pickles.types import PickledArray
from nb201env.sources.pickles.unpickle import loads
from nb201env.space import SIZE, official_index_of
from nb201env.table import Table

LARGEST = 1 << 26
MOST_ITEMS = 8_000_000  # three data sets, ten metrics, 15,625 numpy numbers of eight opcodes each
_METRICS = {"latency": "latency_seconds", "energy": "energy_joules"}
CITATION = "C. Li et al., HW-NAS-Bench, ICLR 2021"


def read(source: str | os.PathLike[str], dataset: str) -> dict[str, FloatArray]:
    """The device columns of one data set, by lexicographic index; seconds and joules, float64 [15625].

    Metrics that are neither a latency nor an energy are left out.

    Raises:
        SourceError: If the file is damaged or not what it should be.
    """
    path = Path(source)
    return _columns(path, dataset, _content(path))


def _content(path: Path) -> bytes:
    with open_source(path) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise SourceError(path, "size", f"more than {LARGEST:,} bytes; too large for HW-NAS-Bench")
    return content


def _columns(path: Path, dataset: str, content: bytes) -> dict[str, FloatArray]:
    values = loads(content, file=os.fspath(path), most_items=MOST_ITEMS)
    for field in ("nasbench201", dataset):
        if type(values) is not dict or type(values.get(field)) is not dict:
            raise SourceError(path, field, "is missing; is it HW-NAS-Bench-v1_0.pickle?")
        values = values[field]
    order = official_index_of(np.arange(SIZE))
    columns = {}
    for metric, numbers in values.items():
        device, _, kind = str(metric).rpartition("_")
        if device and kind in _METRICS:
            where = f"nasbench201/{dataset}/{metric}"
            columns[f"{device}_{_METRICS[kind]}"] = _numbers(path, where, numbers)[order] / 1000
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
    table: Table,
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    name: str,
    *,
    replace: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Table:
    """Write a copy of a table with the device columns of its data set.

    Args:
        table: The table to extend.
        source: ``HW-NAS-Bench-v1_0.pickle``.
        path: Where the new table goes.
        name: Its name.
        replace: Take the place of another table.
        note: Told what is worth a word.

    Raises:
        SourceError: If the file is damaged or not what it should be.
        OSError: If the file cannot be read; `FileExistsError` if there is another table at `path`.
        ValueError: If the table has such columns already.
    """
    content = _content(Path(source))
    columns = _columns(Path(source), table.dataset, content)
    specs = {
        column: {"unit": "J" if column.endswith("_joules") else "s", "what": "HW-NAS-Bench"}
        for column in columns
    }
    added = {
        "source": Path(source).name,
        "source_sha256": hashlib.sha256(content).hexdigest(),
        "citation": CITATION,
    }
    return extend(table, columns, specs, path, name, {"devices": added}, replace=replace, note=note)
