"""PyPI's ``analog-nasbench``: a second full training of all architectures on CIFAR-10, and analog hardware.

AnalogNAS-Bench (Bessalah et al., 2025) trained each of the 15,625 architectures once more, for 200 epochs
on all 50,000 training images of CIFAR-10, and evaluated every network on the test images: as it is,
quantised, and on simulated analog hardware. The package holds one pickle, ``analognasbench/data.anb``: a
dictionary from NASLib's ``op_indices`` to an object of numbers in per cent. It is read by
`nb201env.sources.pickles`, so none of the package's code runs; none of its numbers are part of this project.

Every accuracy is a column ``test_…_accuracy``. Nothing is called ``valid``: the package has no validation
images, so no environment can search on this table (see `TRAPS` for what else to know).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.arrays import FloatArray
from nb201env.compat.orders import from_naslib
from nb201env.sources.errors import SourceError, show
from nb201env.sources.packages import DataFile, given, installed
from nb201env.sources.pickles.types import NUMBERS, Global, PickledObject, new_object
from nb201env.sources.pickles.unpickle import loads
from nb201env.space import SIZE
from nb201env.table import Table, write_table
from nb201env.tables import place

PACKAGE, VERSION = "analog-nasbench", "0.1.3"
MEMBER = "analognasbench/data.anb"
SHA256 = {"85f3435b877aa2d36268d55ce07f6ff6d73643d17a840f1941745da5eb80db32": VERSION}
"""The versions whose data file is known, by its sha256."""
TASK = "cifar10-analog-nasbench"
"""Not the official task ``cifar10``: the test images are augmented, and the training is another one."""
EPOCHS = 200

LARGEST = 1 << 25
MOST_ITEMS = 4_000_000  # 15,625 objects of 14 numbers and 8 pairs of numbers, a few opcodes each
_MODULE = "analognasbench.data"
_ALLOWED = NUMBERS | {
    Global(_MODULE, "Architecture"): new_object,
    Global(_MODULE, "DriftMeasurement"): new_object,
}

_ONCE = {
    "baseline_accuracy": ("test_accuracy", "as trained, in floating point"),
    "ptq_accuracy": ("test_ptq_accuracy", "quantised to 8 bits after training"),
    "qat_accuracy": ("test_qat_accuracy", "quantised to 8 bits, with training that knows it"),
    "noisy_accuracy": ("test_noisy_accuracy", "on simulated analog hardware, as trained"),
    "analog_accuracy": ("test_analog_accuracy", "on simulated analog hardware, after training that knows it"),
}
_DRIFTS = {"baseline": "noisy", "analog": "analog"}
_SECONDS = {60: "a minute", 3_600: "an hour", 86_400: "a day", 2_592_000: "30 days"}

TRAPS = (
    "there is no validation accuracy: all numbers are of the CIFAR-10 test images",
    "the test images were augmented like the training images (random crop and mirror), 25 passes averaged, "
    "so these are no accuracies on the test set as others use it",
    "settings were tuned on the test images: quantisation was calibrated on them, and the learning rate of "
    "the quantisation-aware training followed their accuracy",
    "one training per architecture; its seed is not recorded",
    "the package counts ops and edges in NASLib's order; here they are in the official one",
    "a spread of 0 also stands where the package states none",
    "the wheel holds no licence text",
)
"""What whoever uses the numbers must know; the authors' training_script.py shows it (IBM/analog-nas)."""


def import_package(
    path: Path,
    name: str,
    *,
    source: Path | None = None,
    replace: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Table:
    """Make a table of the package's numbers.

    Args:
        path: Where the table goes.
        name: Its name.
        source: The package's wheel, a folder that holds it, or its data file; None for the installed one.
        replace: Take the place of another table.
        note: Told what is worth a word.

    Raises:
        SourceError: If the file is damaged or not what it should be.
        OSError: If the package is not installed, or cannot be read; `FileExistsError` if there is another
            table at `path`.
    """
    data = installed(PACKAGE, VERSION, MEMBER, LARGEST) if source is None else given(source, MEMBER, LARGEST)
    columns, count = read(data)
    sha256 = hashlib.sha256(data.content).hexdigest()
    if sha256 not in SHA256:
        note(
            f"{data.where}: not the data of {PACKAGE} {VERSION} (its sha256 is {sha256[:12]}…); taken as it "
            "is, though what is said of that version may not hold for it"
        )
    if count < SIZE:
        note(f"{SIZE - count:,} of {SIZE:,} architectures are missing")
    about = manifest(name, SHA256.get(sha256) or data.version or "of unknown version", sha256, count)
    write = partial(write_table, manifest=about, columns=columns)
    return place(path, write, replace=replace, note=note)


def read(data: DataFile) -> tuple[dict[str, FloatArray], int]:
    """The columns by lexicographic index, in per cent, float64 [15625], NaN where an architecture is missing.

    Returns:
        The columns, and how many architectures there are.

    Raises:
        SourceError: If the file is damaged or not what it should be.
    """
    records = loads(data.content, file=data.where, allowed=_ALLOWED, most_items=MOST_ITEMS)
    if type(records) is not dict or not records:
        raise SourceError(
            data.where, "content", f"expected a dictionary of architectures, got {show(records)}"
        )
    columns = {column: np.full(SIZE, np.nan) for column in _specs()}
    for key, record in records.items():
        index = _index(data.where, key, record)
        for column, value in _numbers(data.where, key, record.attributes):
            columns[column][index] = value
    return columns, len(records)


def _index(where: str, key: Any, record: Any) -> int:
    try:
        index = from_naslib(key).index
    except (TypeError, ValueError) as error:
        raise SourceError(where, show(key), f"is no architecture ({error})") from None
    if type(record) is not PickledObject or record.attributes.get("architecture") != key:
        raise SourceError(where, str(key), f"expected an object of that architecture, got {show(record)}")
    return index


def _numbers(where: str, key: Any, attributes: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The columns' names and one architecture's numbers."""
    found = []
    for field, (column, _) in _ONCE.items():
        found.append((column, _percent(where, f"{key}/{field}", attributes.get(field))))
    for kind, condition in _DRIFTS.items():
        for seconds in _SECONDS:
            field, column = f"{key}/{kind}_drift_{seconds}", f"test_{condition}_drift_{seconds}s"
            drift = attributes.get(f"{kind}_drift_{seconds}")
            if type(drift) is not PickledObject:
                raise SourceError(where, field, f"expected a measurement, got {show(drift)}")
            for part, ending in (("value", "accuracy"), ("uncertainty", "spread")):
                value = _percent(where, f"{field}/{part}", drift.attributes.get(part))
                found.append((f"{column}_{ending}", value))
    return found


def _percent(where: str, field: str, value: Any) -> float:
    if type(value) not in (float, int) or not 0 <= value <= 100 or not math.isfinite(value):
        raise SourceError(where, field, f"expected a number in 0..100, got {show(value)}")
    return float(value)


def _specs() -> dict[str, dict[str, Any]]:
    """Of every column, what it holds."""
    texts = dict(_ONCE.values())
    spreads = {}
    for condition in _DRIFTS.values():
        for seconds, after in _SECONDS.items():
            column = f"test_{condition}_drift_{seconds}s"
            texts[f"{column}_accuracy"] = f"{texts[f'test_{condition}_accuracy']}; {after} after programming"
            spreads[f"{column}_spread"] = "standard deviation of that accuracy over 25 repetitions"
    return {
        column: {"unit": "fraction", "epochs": [EPOCHS], "scale": 100, "what": f"{text}, in per cent"}
        for column, text in (texts | spreads).items()
    }


def manifest(name: str, version: str, sha256: str, count: int) -> dict[str, Any]:
    """The manifest of the table."""
    return {
        "name": name,
        "space": "NAS-Bench-201",
        "task": {
            "name": TASK,
            "dataset": "cifar10",
            "splits": {
                "train": {"images": 50_000, "what": "all CIFAR-10 training images"},
                "test": {"images": 10_000, "what": "the CIFAR-10 test images, augmented (see traps)"},
            },
        },
        "schedule": {"epochs": EPOCHS, "what": f"cosine to 0 over {EPOCHS} epochs, per epoch"},
        "protocol": "SGD, Nesterov momentum 0.9, learning rate 0.1, weight decay 5e-4, batch 256; "
        "NASLib's network",
        "seeds": [],
        "columns": _specs(),
        "provenance": {
            "numbers": "AnalogNAS-Bench, Bessalah et al.",
            "package": f"{PACKAGE} {version}",
            "file": MEMBER,
            "file_sha256": sha256,
            "architectures": count,
            "traps": "; ".join(TRAPS),
        },
        "licence": "not stated in the package",
        "citation": ["A. Bessalah et al., AnalogNAS-Bench, arXiv:2506.18495, 2025"],
    }
