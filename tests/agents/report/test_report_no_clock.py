"""A table of accuracies alone: searches and reports on it want no other column, and say there is no clock."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import cli
from nb201env.space import SIZE
from nb201env.table import write_table

NO_CLOCK = "no clock: the table records no seconds"


@pytest.mark.parametrize("dataset", ["toy", "cifar10"])
@pytest.mark.filterwarnings("error:Data has no positive values")
def test_searches_on_accuracies_alone_can_be_reported(dataset: str, tmp_path: Path) -> None:
    """On a data set with sizes in closed form, and on one of which no cost is known at all."""
    manifest = {
        "name": "bare", "task": {"name": dataset, "dataset": dataset}, "schedule": {"epochs": 3}, "seeds": [],
        "columns": {"valid_accuracy": {"epochs": [3]}}, "provenance": {}, "licence": "MIT",
    }  # fmt: skip
    write_table(tmp_path / "bare.safetensors", manifest, {"valid_accuracy": np.linspace(0.1, 0.9, SIZE)})
    search = ["search", "--agent", "random_search", "--table", str(tmp_path / "bare.safetensors")]
    search += [
        "--env-kwargs",
        '{"run": "mean"}',
        "--budget",
        "8",
        "--seeds",
        "0-1",
        "--out",
        str(tmp_path / "s"),
    ]
    runner = CliRunner()
    result = runner.invoke(cli.build(), search)
    assert result.exit_code == 0, result.output
    assert f"budget 8 ({NO_CLOCK})" in result.output
    figures = [] if dataset == "toy" and pytest.importorskip("matplotlib") else ["--no-figures"]
    report = ["report", str(tmp_path / "s"), "--out", str(tmp_path / "r"), *figures]
    result = runner.invoke(cli.build(), [*report, "--table", str(tmp_path / "bare.safetensors")])
    assert result.exception is None
    assert f"Budget: 8 queries ({NO_CLOCK}) per search" in (tmp_path / "r" / "report.md").read_text()
    page = (tmp_path / "r" / "report.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    searched = data["tables"][data["panels"]["environment-0"]["space"]["tables"][0]]
    known = [] if dataset == "toy" else ["params", "macs", "cpu_latency_seconds"]
    assert [cost["key"] for cost in searched["costs"]] == known
    told = runner.invoke(cli.build(), ["table", "info", str(tmp_path / "bare.safetensors")])
    assert "clock: none, as the table records no seconds" in told.output
