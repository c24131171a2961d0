"""Rows of other programs: what they say is taken as they mean it, or refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Table, open_table
from nb201env.architecture import all_strings
from nb201env.sources.errors import SourceError
from nb201env.sources.export import to_csv, to_parquet
from nb201env.sources.rows import import_rows
from nb201env.sources.targets import Target, read_map, read_pairs
from nb201env.space import SIZE, official_index_of

BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


def rows(folder: Path, text: str, columns: dict[str, str] | None = None, **changes: Any) -> Table:
    """Import a text; accuracies in per cent under "acc", keys in the official order under "arch"."""
    (folder / "rows.csv").write_text(text)
    arguments: dict[str, Any] = {"key": "arch", "name": "mine", "dataset": "cifar10", "epochs": 200}
    arguments |= {"percent": True, "index": "official", "replace": True} | changes
    columns = {"acc": "valid_accuracy@200"} if columns is None else columns
    return import_rows(folder / "rows.csv", folder / "mine.safetensors", columns=columns, **arguments)


# -- which architecture --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frame_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded table as a data frame, as CSV."""
    pytest.importorskip("pandas")
    path = tmp_path_factory.mktemp("frame") / "frame.csv"
    open_table("cifar10-valid-200").to_pandas().to_csv(path)
    return path


@pytest.mark.parametrize("key", ["index", "official_index", "architecture"])
def test_a_data_frame_comes_back(frame_file: Path, tmp_path: Path, key: str) -> None:
    table = open_table("cifar10-valid-200")
    columns = {f"valid_accuracy_{seed}": f"valid_accuracy@200#{seed}" for seed in table.seeds}
    back = import_rows(frame_file, tmp_path / "t", key=key, columns=columns, name="back", dataset="cifar10",
                       epochs=200, percent=False)  # fmt: skip
    assert np.array_equal(
        back.runs(split="valid", epochs=200), table.runs(split="valid", epochs=200), equal_nan=True
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("order", ["official", "lexicographic"])
def test_bare_numbers_count_by_what_is_said(tmp_path: Path, order: str, ending: str) -> None:
    wanted = np.arange(SIZE) / SIZE
    numbers = official_index_of(np.arange(SIZE)) if order == "official" else np.arange(SIZE)
    if ending == "csv":
        lines = [f"{n},{x!r}" for n, x in zip(numbers.tolist(), wanted.tolist(), strict=True)]
        (tmp_path / "x.csv").write_text("\n".join(["n,acc", *lines]))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.table({"n": numbers, "acc": wanted}), tmp_path / "x.parquet")
    arguments: dict[str, Any] = {"key": "n", "columns": {"acc": "valid_accuracy@200"}, "name": "x",
                                 "dataset": "cifar10", "epochs": 200, "percent": False}  # fmt: skip
    table = import_rows(tmp_path / f"x.{ending}", tmp_path / "t", **arguments, index=order)
    assert table.accuracy(split="valid", epochs=200, run="mean").tolist() == wanted.tolist()
    with pytest.raises(SourceError, match=r"could be two architectures.*--index official or --index lex"):
        import_rows(tmp_path / f"x.{ending}", tmp_path / "t", **arguments)


@pytest.mark.parametrize("name", ["index", "n", "arch", "Official_Index"])
def test_a_name_that_does_not_tell_is_asked_about(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="could be two architectures"):
        rows(tmp_path, f"{name},acc\n6111,90\n", key=name, index=None)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("key", ["architecture", "official_index"])
def test_an_export_comes_back(tmp_path: Path, key: str, ending: str) -> None:
    table = open_table("cifar100-200")
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    (to_csv if ending == "csv" else to_parquet)(table, tmp_path / f"x.{ending}")
    columns = {name: name for name in [f"valid_accuracy@200#{seed}" for seed in table.seeds]}
    back = import_rows(tmp_path / f"x.{ending}", tmp_path / "t", key=key, columns=columns, name="back",
                       dataset="cifar100", epochs=200, percent=False)  # fmt: skip
    assert np.array_equal(
        back.runs(split="valid", epochs=200), table.runs(split="valid", epochs=200), equal_nan=True
    )


@pytest.mark.parametrize("text", ["official:6111", "index:11667", BEST, " 6111 ", f" {BEST} "])
def test_an_architecture_has_several_names(tmp_path: Path, text: str) -> None:
    assert rows(tmp_path, f"arch,acc\n{text},90\n").values("valid_accuracy", epochs=200)[11667] == 0.9


@pytest.mark.parametrize(
    "text",
    ["", "index:-1", "index:15625", "official:15625", "index:", "index:1.0", "lex:5", "1e3", "１", "6_1",
     "+5", "official:6_1", "x" * 2000, "0x10", "nan", "True"],
)  # fmt: skip
def test_what_names_no_architecture_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match="line 3"):
        rows(tmp_path, f"arch,acc\n0,90\n{text},90\n")


def test_two_rows_for_one_architecture_are_named(tmp_path: Path) -> None:
    names = all_strings()
    text = "arch,acc\n\n" + "".join(f"{name},50\n" for name in names) + "\n\nindex:7,50\n"
    with pytest.raises(SourceError) as caught:
        rows(tmp_path, text)
    assert f"line {3 + SIZE + 2}: two rows for architecture {names[7]} (the other: line 10)" in str(
        caught.value
    )


def test_two_rows_of_a_parquet_file_are_named_too(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    content = pyarrow.table({"arch": [*all_strings(), "index:7"], "acc": [0.5] * (SIZE + 1)})
    parquet.write_table(content, tmp_path / "x.parquet")
    with pytest.raises(SourceError, match=f"row {SIZE + 1}: two rows for .*the other: row 8"):
        import_rows(tmp_path / "x.parquet", tmp_path / "t", key="arch", columns={"acc": "valid_accuracy@200"},
                    name="x", dataset="cifar10", epochs=200, percent=False)  # fmt: skip


# -- which column --------------------------------------------------------------------------------

WRONG_TARGETS = {
    "valid_acc@200": "did you mean valid_accuracy",
    "vaild_accuracy@200": "did you mean valid_accuracy",
    "foo_accuracy@200": "no column 'foo_accuracy'",
    "accuracy@200": "no column 'accuracy'",
    "foo_loss@200": "no column 'foo_loss'",
    "top5_accuracy@200": "did you mean test_top5_accuracy",
    "row": "no column 'row'",
    "architecture": "no column 'architecture'",
    "held": "no column 'held'",
    "index": "no column 'index'",
    "param": "did you mean params",
    "_seconds": "reads like",
    "seconds": "no column 'seconds'",
    "valid_accuracy": "after how many epochs",
    "valid_accuracy@0": "epochs completed are 1 to the schedule's 200",
    "valid_accuracy@201": "epochs completed are 1 to the schedule's 200",
    "train_seconds@300": "epochs completed are 1 to the schedule's 200",
    "valid_accuracy@1_0": "reads like",
    "valid_accuracy@２": "reads like",
    "valid_accuracy@200#٣": "reads like",
    "valid_accuracy@-1": "reads like",
    "params@200": "the architecture's, not an epoch's",
    "my_joules@5": "the architecture's, not an epoch's",
    "ёмкость_seconds": "reads like",
}


@pytest.mark.parametrize("target", WRONG_TARGETS)
def test_wrong_targets_are_explained(tmp_path: Path, target: str) -> None:
    with pytest.raises(ValueError, match=WRONG_TARGETS[target]):
        rows(tmp_path, "arch,acc\n1,50\n", {"acc": target})


@pytest.mark.parametrize(
    ("target", "unit"),
    [("train_top5_accuracy@200", "fraction"), ("valtest_loss@1", "nats"), ("valid_seconds", "s"),
     ("params", "count"), ("macs", "count"), ("latency_seconds", "s"), ("edgegpu_energy_joules", "J"),
     ("edgegpu_latency_seconds", "s"), ("memory_bytes", "B"), ("kernel_count", "count"),
     ("train_seconds@200#777", "s")],
)  # fmt: skip
def test_known_columns_and_costs_with_a_unit_are_taken(tmp_path: Path, target: str, unit: str) -> None:
    table = rows(tmp_path, "arch,acc\n1,50\n", {"acc": target})
    (column,) = table.columns
    assert table.manifest["columns"][column]["unit"] == unit
    assert Target.parse(target).column == column


@pytest.mark.parametrize("epochs", [0, -5, 10**7])
def test_a_schedule_has_epochs(tmp_path: Path, epochs: int) -> None:
    with pytest.raises(ValueError, match="a schedule has 1 to 999,999 epochs"):
        rows(tmp_path, "arch,acc\n1,50\n", epochs=epochs)


def test_no_column_is_dropped_or_mixed_up(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="'a' is mapped twice, to train_accuracy@12 and to valid_accuracy@12"
    ):
        read_pairs(["a=train_accuracy@12", "a=valid_accuracy@12"])
    with pytest.raises(ValueError, match="'a' and 'b' are both mapped to the same target"):
        read_map([("a", "valid_accuracy@12#7"), ("b", "valid_accuracy@12#007")], 200)
    with pytest.raises(SourceError, match="acc: is the heading of 2 columns; rename"):
        rows(tmp_path, "arch,acc,acc\n1,50,60\n")
    with pytest.raises(SourceError, match="arch: is the heading of 2 columns"):
        rows(tmp_path, "arch,arch,acc\n1,2,60\n")
    with pytest.raises(ValueError, match="'arch' is the key"):
        rows(tmp_path, "arch,acc\n1,50\n", {"arch": "params"})
    with pytest.raises(ValueError, match="for every target, or for none"):
        rows(tmp_path, "arch,a,b\n1,5,6\n", {"a": "valid_seconds#1", "b": "valid_seconds@200#1"})
    assert read_pairs(["a=b=valid_accuracy@1"]) == {"a=b": "valid_accuracy@1"}


def test_a_column_that_is_not_there_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"ac: is not one of the columns arch, acc; did you mean acc\?"):
        rows(tmp_path, "arch,acc\n1,50\n", {"ac": "valid_accuracy@200"})
    for mark, name in {";": "semicolons", "\t": "tabs", "|": "bars"}.items():
        with pytest.raises(SourceError, match=f"the file has {name} between its cells: save it with commas"):
            rows(tmp_path, f"arch{mark}acc\n1{mark}50\n")


def test_a_number_out_of_range_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"line 4, acc \(valid_accuracy\): 101.0 is out of range"):
        rows(tmp_path, "arch,acc\n1,50\n\n2,101\n")


# -- which numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["valid_accuracy@200", "train_top5_accuracy@200"])
def test_accuracies_in_the_other_unit_are_refused(tmp_path: Path, target: str) -> None:
    columns = {"acc": target}
    with pytest.raises(SourceError, match="no accuracy is above 1 per cent; are they fractions"):
        rows(tmp_path, "arch,acc\n1,0.5\n2,0.9\n3,1\n", columns)
    with pytest.raises(SourceError, match=r"are they fractions\?"):
        rows(tmp_path, "arch,acc\n1,0.5\n2,1.5\n", columns, percent=False)
    for wrong in ("-0.5", "101", "inf", "-inf", "1e999"):
        with pytest.raises(SourceError, match="out of range"):
            rows(tmp_path, f"arch,acc\n1,50\n2,{wrong}\n", columns)
    assert rows(tmp_path, "arch,acc\n1,0.5\n2,90\n", columns).columns == (target.partition("@")[0],)


@pytest.mark.parametrize(
    "text", ["9_0", "９０", "٣", "0x1p3", "1e", "e5", "--5", "5 0", "1,5", "½", "in", "na"]
)
def test_what_is_no_plain_number_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match="line 3, acc: .* is no number"):
        rows(tmp_path, f'arch,acc\n1,50\n2,"{text}"\n')


@pytest.mark.parametrize("text", ["50", " 50 ", "5e1", "+50.0", "50.", "0.5E+2"])
def test_plain_numbers_are_read(tmp_path: Path, text: str) -> None:
    assert rows(tmp_path, f"arch,acc\nindex:1,{text}\n").values("valid_accuracy", epochs=200)[1] == 0.5


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("\n\n\n", "the file is empty"),
        ("arch,acc\n", "a heading but no row"),
        ("arch,acc\n\n\n", "a heading but no row"),
        ("arch,acc\n1,nan\n2,\n", "acc: holds no number"),
        ("arch,acc\n\n1,50\n\n2,x\n", "line 5, acc"),
        ("arch,acc\n\n1,50\n\n2\n", "line 5: 1 cells under 2 headings"),
        ('arch,acc\n"1",50\n"a\nb",50\n', "line 4, arch"),
    ],
)
def test_lines_are_counted_as_an_editor_does(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SourceError, match=problem):
        rows(tmp_path, text)
    assert not (tmp_path / "mine.safetensors").exists()


def test_accuracies_without_seconds_are_answered(tmp_path: Path) -> None:
    table = rows(tmp_path, "arch,acc\nindex:1,50\n")
    assert table.accuracy(split="valid", epochs=200, run="mean")[1] == 0.5


def test_another_table_is_not_replaced_unless_asked_for(tmp_path: Path) -> None:
    first = rows(tmp_path, "arch,acc\n1,50\n", replace=False)
    said: list[str] = []
    assert rows(tmp_path, "arch,acc\n1,50\n", replace=False, note=said.append).id == first.id
    assert "unchanged" in said[0]
    with pytest.raises(FileExistsError, match="is another table .*--replace"):
        rows(tmp_path, "arch,acc\n1,51\n", replace=False)
    assert rows(tmp_path, "arch,acc\n1,51\n").id != first.id
