"""Pages of the space: of the three official tables, and of tables with gaps and strangers' names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Table, open_table
from nb201env.envs.registration import OFFICIAL
from nb201env.pages.explorer import explorer
from nb201env.space import SIZE
from nb201env.table import write_table
from tests.browser import opened

HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def official() -> list[Table]:
    """The three embedded official tables."""
    return [open_table(name) for name in OFFICIAL.values()]


@pytest.fixture(scope="session")
def space_file(official: list[Table], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The explorer of the official tables."""
    path = tmp_path_factory.mktemp("space") / "space.html"
    path.write_text(explorer(official), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def odd_table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A stranger's table: every third architecture has no run, and its names would be markup.

    Its columns: one that is negative, one with zeros and a few values, one beyond single precision.
    """
    accuracy = np.linspace(0.1, 0.9, SIZE)
    accuracy[::3] = np.nan
    columns = {
        "valid_accuracy": np.stack([accuracy / 3, accuracy], axis=1)[:, None],
        "test_accuracy": accuracy[:, None, None] / 2, HOSTILE: -np.arange(1.0, SIZE + 1),
        "few": np.arange(SIZE) % 3.0, "huge": np.where(np.arange(SIZE) % 2, 1e300, 5.0),
    }  # fmt: skip
    manifest = {
        "name": "x" * 200, "task": {"name": "toy", "dataset": "toy"}, "schedule": {"epochs": 3}, "seeds": [1],
        "columns": {
            "valid_accuracy": {"epochs": [1, 3]}, "test_accuracy": {"epochs": [1]},
            HOSTILE: {"unit": HOSTILE}, "few": {}, "huge": {},
        },
        "provenance": {}, "licence": HOSTILE, "citation": [HOSTILE],
    }  # fmt: skip
    return write_table(tmp_path_factory.mktemp("odd") / "odd.safetensors", manifest, columns)


@pytest.fixture(scope="session")
def bare_table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A table of accuracies alone, of a data set without closed forms: it knows no cost."""
    manifest = {
        "name": "bare", "task": {"name": "toy", "dataset": "toy"}, "schedule": {"epochs": 3}, "seeds": [],
        "columns": {"valid_accuracy": {"epochs": [3]}}, "provenance": {}, "licence": "MIT",
    }  # fmt: skip
    columns = {"valid_accuracy": np.linspace(0.1, 0.9, SIZE)}
    return write_table(tmp_path_factory.mktemp("bare") / "bare.safetensors", manifest, columns)


@pytest.fixture
def page(browser: Any, space_file: Path) -> Iterator[Any]:
    """The open page; whatever it complains about or asks for fails the test."""
    yield from opened(browser, space_file)
