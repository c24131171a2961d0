"""What `Table.verify` finds in tables whose bytes are those that were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env.space import SIZE
from nb201env.table import write_table
from tests.test_table import small_columns, small_manifest

WRONG: dict[str, tuple[str, Any]] = {
    "column 'test_accuracy' at epoch 3 exceeds 1": ("test_accuracy", 1.5),
    "column 'energy_joules' is negative": ("energy_joules", -1.0),
    "column 'valid_accuracy' at epoch 1 exceeds 1": ("valid_accuracy", 201),
    "column 'test_accuracy' at epoch 3 is infinite": ("test_accuracy", np.inf),
    "column 'train_seconds' at epoch 1 is infinite": ("train_seconds", np.inf),
    "1 runs have a 'valid_accuracy' at epoch 1 but no 'train_seconds'": (
        "train_seconds",
        np.nan,
    ),
}


@pytest.mark.parametrize("problem", WRONG)
def test_wrong_numbers_are_reported(problem: str, tmp_path: Path) -> None:
    columns = small_columns()
    assert write_table(tmp_path / "t", small_manifest(), columns).verify() == []
    name, value = WRONG[problem]
    columns[name].reshape(SIZE, -1)[3, 0] = value
    assert problem in " ".join(write_table(tmp_path / "t", small_manifest(), columns).verify())


def test_a_column_without_a_number_is_reported(tmp_path: Path) -> None:
    columns = small_columns()
    columns["valid_accuracy"][:] = 255
    problems = write_table(tmp_path / "t", small_manifest(), columns).verify()
    assert problems == ["toy-3: column 'valid_accuracy' holds no number"]
