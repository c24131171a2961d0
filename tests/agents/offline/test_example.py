"""examples/offline_cql.py: a policy learned from a data set alone is worth what it should be."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("offline_cql", ROOT / "examples" / "offline_cql.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["offline_cql"] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


def learned(example: ModuleType, name: str, **args: Any) -> dict[str, float]:
    found: dict[str, float] = example.main(example.Args(dataset=f"nb201/cifar10/{name}-v0", **args))
    return found


def test_cloning_an_expert_is_as_good_as_the_expert(four: Path, example: ModuleType) -> None:
    found = learned(example, "expert", algorithm="bc", updates=500)
    assert abs(found["policy"] - found["data"]) < 0.01


@pytest.mark.parametrize("name", ["medium", "replay"])
def test_cql_is_far_better_than_chance(four: Path, example: ModuleType, name: str) -> None:
    assert learned(example, name, algorithm="cql", updates=800, evaluations=50)["normalised"] > 0.5
