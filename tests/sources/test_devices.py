"""HW-NAS-Bench's latency and energy as columns of a table."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Table, open_table
from nb201env.sources import hw
from nb201env.sources.errors import SourceError
from nb201env.space import SIZE, official_order

RNG = np.random.default_rng(0)
MILLISECONDS = RNG.uniform(1, 10, SIZE)
MILLIJOULES = RNG.uniform(1, 50, SIZE)


def content(kind: Callable[[Any], Any]) -> dict[str, Any]:
    metrics = {
        "edgegpu_latency": kind(MILLISECONDS),
        "edgegpu_energy": kind(MILLIJOULES),
        "eyeriss_arithmetic_intensity": kind(MILLISECONDS),
        "config": [],
    }
    return {"nasbench201": {"cifar10": metrics}, "fbnet": {"latency": 1.0}}


KINDS: dict[str, Callable[[Any], Any]] = {
    "floats": lambda values: values.tolist(),
    "numpy numbers": list,
    "array": lambda values: values,
    "single precision": lambda values: values.astype("f4"),
}


def write(tmp_path: Path, values: Any, protocol: int = 4) -> Path:
    path = tmp_path / "HW-NAS-Bench-v1_0.pickle"
    path.write_bytes(pickle.dumps(values, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_columns_stand_by_index_in_seconds_and_joules(tmp_path: Path, kind: str, protocol: int) -> None:
    columns = hw.read(write(tmp_path, content(KINDS[kind]), protocol), "cifar10")
    assert sorted(columns) == ["edgegpu_energy_joules", "edgegpu_latency_seconds"]
    order = official_order()
    tolerance = 1e-6 if kind == "single precision" else 0
    assert columns["edgegpu_latency_seconds"][order] == pytest.approx(MILLISECONDS / 1000, rel=tolerance)
    assert columns["edgegpu_energy_joules"][order] == pytest.approx(MILLIJOULES / 1000, rel=tolerance)


def test_a_table_keeps_its_numbers_and_gains_columns(tmp_path: Path) -> None:
    base = open_table("cifar10-valid-200")
    path = write(tmp_path, content(KINDS["floats"]))
    table = hw.add_devices(base, path, tmp_path / "t.safetensors", "with-devices")
    assert table.name == "with-devices"
    assert table.manifest["columns"]["edgegpu_energy_joules"]["unit"] == "J"
    assert table.manifest["columns"]["edgegpu_latency_seconds"]["unit"] == "s"
    assert table.manifest["provenance"]["table"] == base.id
    assert np.array_equal(
        table.runs(split="valid", epochs=200), base.runs(split="valid", epochs=200), equal_nan=True
    )
    assert table.values("edgegpu_latency_seconds").max() < 0.011
    assert table.verify() == []
    with pytest.raises(ValueError, match="already"):
        hw.add_devices(table, path, tmp_path / "u.safetensors", "twice")


def test_tables_of_few_architectures_gain_columns_too(
    tmp_path: Path, official_tables: dict[str, Table]
) -> None:
    base = official_tables["cifar10-12"]
    table = hw.add_devices(base, write(tmp_path, content(KINDS["floats"])), tmp_path / "t.safetensors", "x")
    assert np.array_equal(table.everything("test_loss"), base.everything("test_loss"), equal_nan=True)
    assert not np.isnan(table.values("edgegpu_latency_seconds")).any()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ([], "nasbench201"),
        ({}, "nasbench201"),
        ({"nasbench201": {}}, "cifar10"),
        ({"nasbench201": {"cifar10": {}}}, "nasbench201/cifar10"),
        ({"nasbench201": {"cifar10": {"x_latency": [1.0]}}}, "x_latency"),
        ({"nasbench201": {"cifar10": {"x_latency": "1"}}}, "x_latency"),
        ({"nasbench201": {"cifar10": {"x_latency": [-1.0] * SIZE}}}, "x_latency"),
        ({"nasbench201": {"cifar10": {"x_latency": ["1"] * SIZE}}}, "x_latency"),
        ({"nasbench201": {"cifar10": {"x_energy": [float("nan")] * SIZE}}}, "x_energy"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, values: Any, field: str) -> None:
    with pytest.raises(SourceError, match=field):
        hw.read(write(tmp_path, values), "cifar10")
