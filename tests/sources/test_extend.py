"""Columns of one's own for a table: a copy that has the old numbers and the new ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import NotRecorded, Table, open_table
from nb201env.comparison import cost_names, costs, unit_of
from nb201env.envs.single import NB201Env
from nb201env.sources.errors import SourceError
from nb201env.sources.extend import add_columns
from nb201env.sources.rows import import_rows
from nb201env.sources.targets import read_units
from nb201env.space import SIZE
from nb201env.table import verify_file


def add(
    folder: Path, text: str, columns: dict[str, str], base: str | Table = "digits-10", **more: Any
) -> Table:
    (folder / "e.csv").write_text(text)
    arguments: dict[str, Any] = {"key": "arch", "columns": columns} | more
    table = open_table(base) if isinstance(base, str) else base
    return add_columns(table, folder / "e.csv", folder / f"{arguments.pop('name', 'new')}.safetensors", "new",
                       **arguments)  # fmt: skip


def rows(source: Path, columns: dict[str, str], epochs: int, **more: Any) -> Table:
    return import_rows(source, source.with_suffix(".safetensors"), key="arch", name="rows", dataset="cifar10",
                       columns=columns, epochs=epochs, percent=False, **more)  # fmt: skip


def test_a_table_gains_columns_and_loses_nothing(tmp_path: Path) -> None:
    base = open_table("digits-10")
    said: list[str] = []
    text = "arch,e,zc\nindex:4711,3,-0.5\nindex:0,4,\n"
    columns = {"e": "board_energy_joules", "zc": "synflow"}
    table = add(tmp_path, text, columns, units={"synflow": "score"}, note=said.append)
    for column in base.columns:
        assert np.array_equal(table.everything(column), base.everything(column), equal_nan=True)
    assert costs(table, "board_energy_joules")[[4711, 0]].tolist() == [3.0, 4.0]
    assert unit_of(table, "board_energy_joules") == "J"
    assert (costs(table, "synflow")[4711], unit_of(table, "synflow")) == (-0.5, "score")
    assert np.isnan(costs(table, "synflow")).sum() == SIZE - 1
    assert set(cost_names(table)) - set(cost_names(base)) == {"board_energy_joules", "synflow"}
    assert table.verify() == []
    assert said == ["15,623 of 15,625 architectures have no board_energy_joules",
                    "15,624 of 15,625 architectures have no synflow"]  # fmt: skip


def test_the_new_table_is_another_one_that_names_both_sources(tmp_path: Path) -> None:
    base = open_table("digits-10")
    once = add(tmp_path, "arch,e\nindex:4711,3\n", {"e": "a_joules"}, name="once")
    twice = add(tmp_path, "arch,e\nindex:4711,3\n", {"e": "b_joules"}, base=once, name="twice")
    assert len({base.id, once.id, twice.id}) == 3
    provenance = twice.manifest["provenance"]
    assert provenance["table"] == once.id
    assert [added["columns"] for added in provenance["added"]] == [{"e": "a_joules"}, {"e": "b_joules"}]
    assert all(len(added["source_sha256"]) == 64 for added in provenance["added"])
    assert provenance | base.manifest["provenance"] == provenance


def test_a_search_can_be_limited_by_what_was_added(tmp_path: Path) -> None:
    lines = "".join(f"index:{index},{index + 1}\n" for index in range(SIZE))
    table = add(tmp_path, f"arch,ms\n{lines}", {"ms": "board"}, units={"board": "ms"})
    env = NB201Env(table, actions="pick", run="mean", limit={"on": "board", "max": 10}, costs=["board"])
    for index, rewarded in ((9, True), (10, False)):
        env.reset(seed=0)
        _, reward, *_, info = env.step([index // 5**place % 5 for place in (5, 4, 3, 2, 1, 0)])
        assert (info["board"], float(reward) > 0) == (index + 1, rewarded)


def test_a_clock_and_an_accuracy_can_be_added_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("arch,acc\n" + "".join(f"index:{i},0.5\n" for i in range(SIZE)))
    bare = rows(tmp_path / "a.csv", {"acc": "valid_accuracy@12"}, 12)
    text = "arch,s,acc\n" + "".join(f"index:{i},7,60\n" for i in range(SIZE))
    table = add(tmp_path, text, {"s": "train_seconds@12", "acc": "test_accuracy@12"}, base=bare, percent=True)
    assert table.query(3, split="test", epochs=12, run="mean") == (0.6, 7.0)
    assert NB201Env(table, run="mean", budget_seconds=70).options.budget_seconds == 70


REFUSED: list[tuple[dict[str, str], dict[str, Any], str]] = [
    ({"e": "params"}, {}, "digits-10 has the columns params already; choose other names"),
    ({"e": "x_joules#7"}, {}, "one number per architecture; leave out the #SEED"),
    (
        {"e": "valtest_accuracy@10"},
        {},
        "say whether the file's accuracies are --unit percent or --unit fraction",
    ),
    ({"e": "synflow"}, {}, "no column 'synflow'; .* or its unit is told: --unit-of synflow=UNIT"),
    ({"e": "synflow"}, {"units": {"synflov": "score"}}, "no column 'synflow'"),
    (
        {"e": "x_joules"},
        {"units": {"synflov": "score"}},
        "a unit is told of 'synflov', which no column is mapped to",
    ),
    ({"e": "x_joules"}, {"units": {"x_joules": "mJ"}}, "the name 'x_joules' says that its unit is J, not mJ"),
    (
        {"e": "test_acc"},
        {"units": {"test_acc": "x"}},
        "did you mean test_accuracy.*begins with none of train_",
    ),
    ({"e": "vaild_accuracy"}, {"units": {"vaild_accuracy": "x"}}, "did you mean valid_accuracy"),
    ({"e": "row"}, {"units": {"row": "x"}}, "no column 'row'"),
    ({"e": "official_index"}, {"units": {"official_index": "x"}}, "no column 'official_index'"),
    ({"e": "valid_loss@11"}, {}, "epochs completed are 1 to the schedule's 10"),
    ({"lost": "x_joules"}, {}, "lost: is not one of the columns"),
    ({}, {}, "the column map is empty"),
]


@pytest.mark.parametrize(("columns", "more", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_added_is_said(
    tmp_path: Path, columns: dict[str, str], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        add(tmp_path, "arch,e\nindex:4711,3\n", columns, **more)
    assert not list(tmp_path.glob("*.safetensors"))


NEVER_NEGATIVE = ["x_seconds", "x_joules", "x_bytes", "x_count", "valid_seconds", "macs", "valid_loss@200"]


@pytest.mark.parametrize("target", NEVER_NEGATIVE)
def test_what_is_counted_or_timed_is_never_negative(tmp_path: Path, target: str) -> None:
    with pytest.raises(SourceError, match=r"-0.5 is out of range \(a column in .* has none below 0\)"):
        add(tmp_path, "arch,e\nindex:4711,-0.5\n", {"e": target}, base="cifar10-valid-200")


@pytest.mark.parametrize("number", ["inf", "-inf", "1e999"])
def test_a_score_is_finite(tmp_path: Path, number: str) -> None:
    with pytest.raises(SourceError, match="inf is out of range"):
        add(tmp_path, f"arch,e\nindex:4711,{number}\n", {"e": "zen"}, units={"zen": "score"})


def test_a_score_may_be_negative_wherever_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "z.csv").write_text("arch,z\nindex:1,-3\nindex:2,nan\n")
    table = rows(tmp_path / "z.csv", {"z": "grasp"}, 1, units={"grasp": "score"})
    assert table.values("grasp")[1] == -3
    assert verify_file(tmp_path / "z.safetensors") == []
    with pytest.raises(NotRecorded, match="valid_accuracy"):
        NB201Env(table)


@pytest.mark.parametrize("text", ["", "=", "a=", "=b", "a", "a=" + "x" * 21, "a=\x1b"])
def test_what_tells_no_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--unit-of reads like energy=mJ"):
        read_units([text])


def test_a_column_has_one_unit() -> None:
    assert read_units(["a=ms", " a = ms ", "b=J/inference"]) == {"a": "ms", "b": "J/inference"}
    with pytest.raises(ValueError, match="two units of 'a', ms and s"):
        read_units(["a=ms", "a=s"])
