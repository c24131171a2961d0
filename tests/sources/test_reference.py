"""The CSV of official CIFAR-10 numbers: made of imported tables by one command, read by all who want it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.studies.official12 import read_reference
from benchmarks.studies.small_space import OFFICIAL_12, with_short
from nb201env import Architecture, NotRecorded, Table, cli
from nb201env.agents.papers.protocols import reference_sources
from nb201env.missing import PAGE
from nb201env.sources.reference import COLUMNS, write_reference
from tests.conftest import reference
from tests.official_data import INDICES, architecture_results

runner = CliRunner()


def nb201(*words: str) -> Any:
    return runner.invoke(cli.build(), ["table", "export-reference", *words])


@pytest.fixture(scope="module")
def written(official_tables: dict[str, Table], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV of six made-up architectures."""
    folder = next(iter(official_tables.values())).container.path.parent
    out = tmp_path_factory.mktemp("csv") / "nb201_cifar10.csv"
    result = nb201("--tables", str(folder), "--prefix", "", "--out", str(out), "--json")
    assert json.loads(result.stdout) == {"out": str(out), "architectures": len(INDICES)}
    assert "note: the tables hold all numbers of 6 of 15,625 architectures" in result.stderr
    return out


def expected(index: int) -> dict[str, float]:
    """What the official files say, computed by hand: means over runs."""
    runs = {hp: part["all_results"] for hp, part in architecture_results(index).items()}

    def mean(hp: str, task: str, key: str) -> float:
        mine = [run["eval_acc1es"][key] for (name, _), run in runs[hp].items() if name == task]
        return float(np.mean(mine))

    return {
        "cifar10_test_acc_200": mean("200", "cifar10", "ori-test@199"),
        "cifar10_valid_acc_12": mean("12", "cifar10-valid", "x-valid@11"),
        "cifar10_test_acc_12": mean("12", "cifar10", "ori-test@11"),
        "cifar10_train_seconds_12": float(sum(runs["12"]["cifar10-valid", 777]["train_times"].values())),
    }


def test_it_holds_the_means_of_the_official_files(written: Path) -> None:
    with open(written, newline="") as file:
        rows = {int(row["index"]): row for row in csv.DictReader(file)}
    assert tuple(rows) == INDICES
    for index, row in rows.items():
        assert row["arch"] == str(Architecture.from_official_index(index))
        for column, value in expected(index).items():
            assert float(row[column]) == pytest.approx(value, abs=1e-5)


def test_its_columns_are_the_published_ones(written: Path) -> None:
    heading = written.read_text().splitlines()[0]
    assert heading == reference("nb201_cifar10.csv").read_text().splitlines()[0]


def test_its_readers_take_it(written: Path, tmp_path: Path) -> None:
    official = read_reference(written)
    mine = Architecture.from_official_index(6111).index
    assert official[mine] == pytest.approx(expected(6111)["cifar10_valid_acc_12"] / 100)
    (row,) = with_short([{"index": mine}], written)
    for name, column in OFFICIAL_12.items():
        assert row[name] == pytest.approx(expected(6111)[column] / 100, abs=1e-6)
    sources = reference_sources(written, tmp_path)
    test = sources.accuracy("cifar10", "test")
    assert test is not None
    assert test[mine] == pytest.approx(expected(6111)["cifar10_test_acc_200"] / 100)


def test_what_is_missing_is_named_with_the_page(tmp_path: Path) -> None:
    error = nb201("--tables", str(tmp_path), "--out", str(tmp_path / "x.csv")).exception
    assert isinstance(error, FileNotFoundError)
    assert "no table official-cifar10-200, official-cifar10-valid-12, official-cifar10-12 in" in str(error)
    assert PAGE in str(error)


def test_nothing_is_made_up(official_tables: dict[str, Table], tmp_path: Path) -> None:
    tables = {name: official_tables[name] for name, _, _ in COLUMNS.values()}
    with pytest.raises(NotRecorded, match="does not record 'valid_accuracy'"):
        write_reference(tables | {"cifar10-valid-12": tables["cifar10-12"]}, tmp_path / "x.csv")
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_reference(tables, tmp_path / "no" / "x.csv")
    assert not list(tmp_path.iterdir())
