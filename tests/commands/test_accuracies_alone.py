"""What a table of accuracies alone answers, and what it says of what it lacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nb201env.space import SIZE
from nb201env.table import write_table
from tests.commands.test_table import as_json, mistake, table


def test_a_table_of_accuracies_alone_answers_accuracies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but what asks for another column misses it; the messages say what there is instead."""
    manifest = {
        "name": "bare", "task": {"name": "toy", "dataset": "toy"}, "schedule": {"epochs": 3}, "seeds": [],
        "columns": {"valid_accuracy": {"epochs": [3]}}, "provenance": {}, "licence": "MIT",
    }  # fmt: skip
    path, picture = tmp_path / "bare.safetensors", tmp_path / "a.png"
    write_table(path, manifest, {"valid_accuracy": np.linspace(0.1, 0.9, SIZE)})
    ask = ["--split", "valid", "--epochs", "3"]
    found = table("query", path, "index:15624", *ask, "--run", "mean")
    assert found.splitlines()[-1] == "valid accuracy 90.00 %, no seconds recorded"
    answer = as_json("query", path, "index:0", *ask, "--run", "mean")
    assert (answer["accuracy"], answer["seconds"]) == (0.1, None)
    assert "90.00" in table("best", path, *ask, "--top", "1")
    draw = ["plot", path, "--split", "valid", "--out"]
    said = mistake(capsys, monkeypatch, *draw, picture)
    assert "name another cost with --x, or draw --kind histogram, ops or ranks" in said
    said = mistake(capsys, monkeypatch, *draw, tmp_path / "a", "--kind", "ops")
    assert "a picture's name says its format; end it in .png, .pdf or .svg" in said
    table(*draw, picture, "--kind", "ops")
    assert picture.exists()
