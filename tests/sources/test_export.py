"""What is exported opens elsewhere and answers the same numbers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from nb201env import NotRecorded, Table, open_table
from nb201env.extras import MissingExtra
from nb201env.official import TASKS
from nb201env.sources.errors import SourceError
from nb201env.sources.export import to_csv, to_nats, to_parquet
from nb201env.sources.importer import import_official
from nb201env.sources.rows import import_rows
from nb201env.space import SIZE
from tests.official_data import INDICES
from tests.sources.test_layouts import same_numbers


def test_the_official_api_opens_the_export_and_answers_the_same(
    official_folder: Path, official_tables: dict[str, Table], tmp_path: Path
) -> None:
    nats_bench = pytest.importorskip("nats_bench")
    assert to_nats(official_tables.values(), tmp_path, indices=INDICES, workers=1) == len(INDICES)
    ours, original = (
        nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)
        for folder in (tmp_path, official_folder)
    )
    for index in INDICES:
        for dataset in TASKS:
            for hp in ("12", "200"):
                a, b = (api.get_cost_info(index, dataset, hp) for api in (ours, original))
                assert a == pytest.approx(b, rel=1e-12)
                for iepoch in (None, 0, 7, int(hp) - 1):
                    a, b = (api.get_more_info(index, dataset, iepoch, hp, False) for api in (ours, original))
                    assert a.pop("comment", None) == b.pop("comment", None)
                    assert a == pytest.approx(b, rel=1e-12, abs=2e-6)


def test_the_export_imports_back(official_tables: dict[str, Table], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    written = to_nats(
        official_tables.values(), tmp_path / "out", workers=2, indices=[*range(80), *INDICES[2:]],
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert written == len(INDICES)
    assert seen[-1] == (84, 84)
    assert same_numbers(import_official(tmp_path / "out", tmp_path / "back", workers=1), official_tables)


def test_tables_that_lack_what_the_layout_needs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotRecorded, match="train_accuracy, train_loss"):
        to_nats([open_table("cifar100-200")], tmp_path)
    assert not list(tmp_path.iterdir())


def test_of_two_tables_none_is_dropped(official_tables: dict[str, Table], tmp_path: Path) -> None:
    table = official_tables["cifar100-200"]
    with pytest.raises(ValueError, match="two tables of cifar100 with 200 epochs"):
        to_nats([table, table], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_come_back(official_tables: dict[str, Table], tmp_path: Path, ending: str) -> None:
    table = official_tables["cifar100-200"]
    path = tmp_path / f"x.{ending}"
    if ending == "csv":
        to_csv(table, path)
    else:
        pytest.importorskip("pyarrow")
        to_parquet(table, path)
    names = [f"{split}_accuracy@200#{seed}" for split in ("train", "valid", "test") for seed in table.seeds]
    names += ["train_seconds@200", "valid_seconds", "latency_seconds"]
    for key in ("architecture", "official_index"):
        back = import_rows(
            path, tmp_path / f"by-{key}.safetensors", key=key, columns={name: name for name in names},
            name="back", dataset="cifar100", epochs=200, percent=False,
        )  # fmt: skip
        for split in ("train", "valid", "test"):
            assert np.array_equal(
                back.runs(split=split, epochs=200), table.runs(split=split, epochs=200), equal_nan=True
            )
        assert np.array_equal(
            back.seconds(epochs=200, run="mean"), table.seconds(epochs=200, run="mean"), equal_nan=True
        )
        assert back.verify() == []


def test_csv_is_in_official_order_with_gaps_for_missing_runs(
    official_tables: dict[str, Table], tmp_path: Path
) -> None:
    to_csv(official_tables["cifar10-valid-12"], tmp_path / "x.csv", epochs=5)
    with open(tmp_path / "x.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["official_index"]) for row in rows] == list(range(SIZE))
    assert rows[11]["valid_accuracy@5#111"]
    assert rows[1]["valid_accuracy@5#111"] == ""
    assert "valid_accuracy@12#111" not in rows[0]


def test_parquet_keeps_the_table_id(official_tables: dict[str, Table], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = official_tables["cifar10-12"]
    to_parquet(table, tmp_path / "x.parquet")
    found = parquet.read_table(tmp_path / "x.parquet")
    assert found.schema.metadata[b"nb201_table_id"].decode() == table.id
    assert found.num_rows == SIZE
    assert found["test_accuracy@12#111"].null_count == SIZE - len(INDICES)


def test_a_missing_extra_is_named(
    official_tables: dict[str, Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'nb201env\[parquet\]'"):
        to_parquet(official_tables["cifar10-12"], tmp_path / "x.parquet")


# -- rows ----------------------------------------------------------------------------------------

BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


def rows(tmp_path: Path, text: str, columns: dict[str, str], **changes: object) -> Table:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    arguments: dict[str, object] = {
        "key": "arch",
        "name": "mine",
        "dataset": "cifar10",
        "epochs": 200,
        "percent": True,
        "index": "official",
    }
    return import_rows(path, tmp_path / "rows.safetensors", columns=columns, **(arguments | changes))  # type: ignore[arg-type]


def test_a_column_without_a_seed_is_a_mean(tmp_path: Path) -> None:
    table = rows(
        tmp_path,
        f"arch,acc,sec\n{BEST},94.37,100\n",
        {"acc": "test_accuracy@200", "sec": "train_seconds@200"},
    )
    accuracy, seconds = table.query(BEST, split="test", epochs=200, run="mean")
    assert accuracy == pytest.approx(0.9437)
    assert seconds == 100.0
    assert table.seeds == ()
    with pytest.raises(NotRecorded, match="only the mean over runs of 'test'"):
        table.query(BEST, split="test", epochs=200, run=777)
    with pytest.raises(NotRecorded, match="none"):
        table.query(0, split="test", epochs=200, run="mean")


def test_runs_and_epochs_get_their_axes(tmp_path: Path) -> None:
    text = "arch,a,b,c\n6111,10,20,30\n9930,11,,31\n"
    columns = {"a": "valid_accuracy@12#5", "b": "valid_accuracy@12#6", "c": "valid_accuracy@200#5"}
    table = rows(tmp_path, text, columns)
    assert table.seeds == (5, 6)
    assert table.recorded_epochs("valid_accuracy") == (12, 200)
    values = table.everything("valid_accuracy")
    assert values[11667].tolist()[0] == [0.1, 0.3]
    assert values[11667, 1, 0] == 0.2
    assert np.isnan(values[11667, 1, 1])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("arch,other\n1,2\n", "acc: is not one of the columns arch, other"),
        ("arch,acc,acc\n1,2,3\n", "acc: is the heading of 2 columns"),
        ("arch,acc\n1,2,3\n", "line 2: 3 cells under 2 headings"),
        ("arch,acc\n1,2\n\n1,3\n", "line 4: two rows for architecture .* .the other: line 2"),
        ("arch,acc\n15625,2\n", "line 2, arch"),
        ("arch,acc\n-1,2\n", "line 2, arch"),
        ("arch,acc\n1.5,2\n", "line 2, arch"),
        ("arch,acc\n|x~0|,2\n", "line 2, arch"),
        ("arch,acc\n1,ninety\n", "line 2, acc: 'ninety' is no number"),
        ("arch,acc\n1,101\n", "out of range 0..100; are they per cent"),
        ("arch,acc\n1,-1\n2,50\n", "-1.0 is out of range"),
        ("arch,acc\n1,inf\n", "out of range"),
        ('arch,acc\n"1,2\n', "line 2"),
        ("arch,acc\n" + "1" * 70_000 + ",2\n", "line 2"),
        ("arch,acc\n" + "1,2\n" * 17_000, "line 3: two rows"),
        ("arch,acc\n\x00,2\n", "line 2"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SourceError, match=problem) as caught:
        rows(tmp_path, text, {"acc": "valid_accuracy@200"})
    assert caught.value.file.endswith("rows.csv")


def test_an_infinite_cost_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"t \(train_seconds\): inf is out of range"):
        rows(tmp_path, "arch,t\n1,2\n2,inf\n", {"t": "train_seconds"})


def test_files_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"arch,acc\n\xff\xfe,1\n")
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    for name in ("x.csv", "x.parquet"):
        if name.endswith("parquet"):
            pytest.importorskip("pyarrow")
        with pytest.raises(SourceError, match=name):
            import_rows(
                tmp_path / name, tmp_path / "t", key="arch", columns={"acc": "valid_accuracy@200"},
                name="x", dataset="cifar10", epochs=200, percent=True,
            )  # fmt: skip


def test_parquet_columns_must_be_numbers(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"arch": [1], "acc": ["x"]}), tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="acc: expected numbers, got string"):
        import_rows(tmp_path / "x.parquet", tmp_path / "t", key="arch", columns={"acc": "valid_accuracy@200"},
                    name="x", dataset="cifar10", epochs=200, percent=True)  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({}, "empty"),
        ({"a": "valid_accuracy"}, "after how many epochs"),
        ({"a": "valid accuracy@200"}, "reads like"),
        ({"a": "valid_accuracy@200", "b": "valid_accuracy@200"}, "the same target"),
        ({"a": "valid_accuracy@200", "b": "valid_accuracy@200#7"}, "every target a seed"),
        ({"a": "valid_accuracy@12", "b": "valid_accuracy@200"}, "every target a seed"),
    ],
)
def test_wrong_column_maps_are_explained(tmp_path: Path, columns: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        rows(tmp_path, "arch,a,b\n1,2,3\n", columns)
