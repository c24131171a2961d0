"""What architectures cost on devices, measured once and embedded: columns that stand beside the tables.

A table's id names its own numbers, so such a column is in no table. It is a cost of every table
(`nb201env.comparison.costs`) of the data set whose networks were measured, unless the table describes other
networks, or has a column of that name itself.

Each file here is a `nb201env.container` with two float32 arrays over canonical classes, the values and their
spread, and a manifest that says what was measured where, when and how. ``python -m benchmarks.studies latency
run`` writes them, of the journal of ``nb201 latency --all``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from nb201env import container
from nb201env.arrays import FloatArray
from nb201env.classes import canonical_classes, representatives
from nb201env.official import DATASETS
from nb201env.table import Table

FORMAT, VERSION = "nb201-device", 1
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, eq=False)
class Device:
    """A cost of all architectures on a device.

    Attributes:
        name: The column's: "cpu_latency_seconds".
        values: By lexicographic index; members of a canonical class have one number; float64 [15625].
        spread: How far each is to be trusted, in the same unit: half the range over the rounds of the
            measurement; float64 [15625].
        measured: What was measured, and how: plain entries with the keys "what", "device", "machine",
            "software", "task", "network", "batch", "repeats", "rounds", "reference" (the architecture that
            was measured in between), "date" and "kendall_between_rounds".
        licence: Under which the numbers may be used.
    """

    name: str
    values: FloatArray
    spread: FloatArray
    measured: Mapping[str, Any]
    licence: str

    @property
    def where(self) -> str:
        """The machine, the batch, the software and the day, in one line."""
        about = self.measured
        return f"{about['machine']}, batch {about['batch']}, {about['software']}, {about['date']}"


def devices(table: Table) -> dict[str, Device]:
    """The embedded device costs that hold for a table's networks, by name.

    Those of a data set hold where networks are the official ones, and where the table has no column of that
    name itself.
    """
    if table.dataset not in DATASETS or "skeleton" in table.manifest:
        return {}
    return {name: device for name, device in of_dataset(table.dataset).items() if name not in table.columns}


def of_dataset(dataset: str) -> Mapping[str, Device]:
    """The embedded device costs of a data set's official networks, by name; often none."""
    return _opened(dataset) if dataset in DATASETS else {}


@cache
def _opened(dataset: str) -> Mapping[str, Device]:
    found = [read(path) for path in sorted(_HERE.glob(f"{dataset}-*.safetensors"))]
    return MappingProxyType({device.name: device for device in found})


def file_of(dataset: str, device: str) -> Path:
    """Where a data set's costs on a kind of device are embedded: "cpu" or "gpu"."""
    return _HERE / f"{dataset}-{device}.safetensors"


def write(
    path: str | os.PathLike[str], name: str, values: FloatArray, spread: FloatArray,
    measured: Mapping[str, Any], licence: str,
) -> None:  # fmt: skip
    """Write a cost on a device into a file of its own.

    Args:
        path: The file.
        name: The column's; it says the unit.
        values: By lexicographic index, equal within a canonical class; float64 [15625].
        spread: Likewise.
        measured: See `Device`.
        licence: Under which the numbers may be used.

    Raises:
        ValueError: If members of a class have different numbers, or one is no number above 0.
    """
    for numbers in (values, spread):
        if not np.array_equal(numbers, numbers[representatives()][canonical_classes()], equal_nan=True):
            raise ValueError(f"{name}: members of a canonical class have one number each")
    if not (np.isfinite(values) & (values > 0) & (spread >= 0)).all():
        raise ValueError(f"{name}: every class needs a number above 0, and a spread")
    manifest = {
        "format": FORMAT, "version": VERSION, "name": name, "measured": dict(measured), "licence": licence,
    }  # fmt: skip
    both = {"values": values, "spread": spread}
    arrays = {key: numbers[representatives()].astype(np.float32) for key, numbers in both.items()}
    container.write(path, manifest, arrays)


def read(path: str | os.PathLike[str]) -> Device:
    """Read a file that `write` has written.

    Raises:
        DamagedTable: If it is another file, or its bytes are not those that were written.
        FileNotFoundError: If there is none.
    """
    opened = container.Container(path)
    about = opened.manifest
    if (about.get("format"), about.get("version")) != (FORMAT, VERSION):
        raise container.DamagedTable(f"{path}: holds no cost on a device that this release reads")
    values, spread = (
        opened.array(name)[canonical_classes()].astype(np.float64) for name in ("values", "spread")
    )
    values.flags.writeable = spread.flags.writeable = False
    return Device(about["name"], values, spread, MappingProxyType(about["measured"]), about["licence"])
