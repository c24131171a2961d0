"""What a table's manifest may say, and that a table's id is its numbers."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import nb201env  # noqa: F401  (registers the ids)
from nb201env import DamagedTable, NotRecorded, Table
from nb201env.container import Container, write
from nb201env.space import SIZE
from nb201env.table import write_table
from tests.test_table import small_columns, small_manifest

# -- manifests that lie ----------------------------------------------------------------------

WRONG: list[Any] = [
    None, True, -1, 0, 3.5, 10**30, "", "x", "a\nb\x1b[31m", [], [1], [0], [2, 1], [7, 7], [1, 2, 3, 4],
    [None], [True], [7, 8, 9], {}, {"a": 1}, [[1]], [[[[]]]], float("1e300"),
]  # fmt: skip


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the entries of nested objects are, the objects themselves included."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*at, key)
            yield from paths(item, (*at, key))


def changed(manifest: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy with one entry changed, or without it if the value is ..."""
    copied = copy.deepcopy(manifest)
    place = copied
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copied


def ask_all(table: Table, path: Path) -> None:
    """Every question that a table answers, and an environment on it."""
    for column in table.columns:
        for epochs in (*table.recorded_epochs(column), None):
            table.values(column, epochs=epochs)
        table.everything(column)
        table.record(7, column)
    table.query(0, split="valid", epochs=3, run=7)
    table.query(0, split="test", epochs=3, run="mean")
    table.optimum(split="valid", epochs=3)
    table.verify()
    repr(table)
    env = gym.make("NB201-v0" if "NB201-v0" in gym.registry else "NB201-cifar10-v0", table=str(path))
    env.reset(seed=0)
    for _ in range(6):
        info = env.step(3)[4]
    assert 0 <= info["clock"] < float("inf")


FULL = small_manifest(
    schema=1, kind="measured", citation=["x"], protocol="y",
    task={"name": "toy", "dataset": "toy", "splits": {"valid": {"images": 200, "what": "z"}}},
    schedule={"epochs": 3, "what": "cosine"},
)  # fmt: skip


def test_no_manifest_gets_another_error_than_a_documented_one(tmp_path: Path) -> None:
    """Every entry missing, and replaced by a dozen wrong values; the hashes are right."""
    path, columns = tmp_path / "t.safetensors", small_columns()
    columns["valid_accuracy"][5:7] = 0  # without missing runs an environment works on it
    tried = refused = 0
    for place in paths(FULL):
        for value in (..., *WRONG):
            tried += 1
            try:
                write(path, changed(FULL, place, value), columns)
                ask_all(Table.open(path), path)
            except DamagedTable as error:
                refused += 1
                assert str(error).startswith(str(path))
                assert "\n" not in str(error)
                assert len(str(error)) < 300 + len(str(path)), error
            except NotRecorded:
                pass  # of a table that says less
    assert tried > 700
    assert refused > tried / 2


LIES: dict[str, tuple[dict[str, Any], str]] = {
    "four seeds, two runs": (
        {"seeds": [7, 8, 9, 10]},
        r"its shape is \[15625, 2\]; expected \[15625, 4, 1\]",
    ),
    "a seed twice": ({"seeds": [7, 7]}, "seeds: a seed stands twice"),
    "a seed below 0": ({"seeds": [-7, 8]}, "seeds: should be a list of whole numbers"),
    "a schedule of two epochs": ({"schedule": {"epochs": 2}}, r"epochs: should be .* in 1\.\.2"),
    "no schedule": ({"schedule": {}}, "epochs is missing"),
    "another schema": ({"schema": 2}, "not a table of schema 1, but 2"),
    "another kind": ({"kind": "measurred"}, 'not a table of schema 1, but of kind "measurred"'),
    "no columns": ({"columns": {}}, "columns: there is none"),
    "a name with an escape": ({"name": "a\x1b[2J"}, "name: should be a text that can be printed"),
    "a name without end": ({"name": "x" * 201}, "name: should have at most 200 characters, not 201"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_manifest_that_does_not_fit_its_arrays_is_refused(lie: str, tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    change, message = LIES[lie]
    write(path, FULL | change, small_columns())
    with pytest.raises(DamagedTable, match=message):
        Table.open(path)


def test_an_epoch_of_three_needs_its_axis(tmp_path: Path) -> None:
    """One accuracy for several epochs would be the last epoch's for all of them."""
    about, columns = copy.deepcopy(FULL), small_columns()
    columns["valid_accuracy"] = columns["valid_accuracy"][:, :, 2]
    write(tmp_path / "t", about, columns)
    with pytest.raises(DamagedTable, match="valid_accuracy: epochs: are several, but there is one number"):
        Table.open(tmp_path / "t")


def test_rows_of_classes_that_are_not_there_are_refused(tmp_path: Path) -> None:
    path, row = tmp_path / "t", np.arange(SIZE, dtype=np.uint16) // 5
    write(path, FULL, small_columns(SIZE // 5) | {"row": row + 1})
    with pytest.raises(DamagedTable, match="an architecture's row is none of the columns'"):
        Table.open(path).values("energy_joules")
    write(path, FULL, small_columns(SIZE // 5) | {"row": row[:-1]})
    with pytest.raises(DamagedTable, match="'row' should be 15625 unsigned whole numbers"):
        Table.open(path)


def test_what_could_not_be_opened_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"t\.safetensors: seeds: a seed stands twice"):
        write_table(tmp_path / "t.safetensors", FULL | {"seeds": [7, 7]}, small_columns())
    assert list(tmp_path.iterdir()) == []


def test_a_header_that_promises_much_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(DamagedTable, match="cut short"):
        Container(path)
    for shape in ([2**41], [-1], [1.0], [True], "x", None, [[1]]):
        specs = {"a": {"dtype": "U8", "shape": shape, "sha256": "0" * 64}}
        metadata = {"format": "nb201-table", "checksum": "", "manifest": json.dumps({"arrays": specs})}
        text = json.dumps({"__metadata__": metadata}).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(DamagedTable):
            Container(path)


# -- ids -------------------------------------------------------------------------------------


def test_names_places_and_texts_are_not_in_the_id(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t", FULL, small_columns())
    other = FULL | {
        "name": "another", "provenance": {"source": "renamed", "layout": "nats-tar"}, "licence": "CC0",
        "citation": "someone", "protocol": "as stated", "further": 1,
        "schedule": {"epochs": 3, "what": "said otherwise"},
        "task": {"name": "toy", "dataset": "toy", "splits": {"valid": {"images": 200}}},
    }  # fmt: skip
    renamed = write_table(tmp_path / "elsewhere", other, small_columns())
    assert renamed.id == table.id
    assert renamed.container.checksum != table.container.checksum  # the header keeps its own


CHANGES: dict[str, dict[str, Any]] = {
    "kind": {"kind": "surrogate"},
    "task": {"task": {"name": "toy-2", "dataset": "toy", "splits": {"valid": {"images": 200}}}},
    "data set": {"task": {"name": "toy", "dataset": "toy-2", "splits": {"valid": {"images": 200}}}},
    "images": {"task": {"name": "toy", "dataset": "toy", "splits": {"valid": {"images": 201}}}},
    "schedule": {"schedule": {"epochs": 4}},
    "seeds": {"seeds": [7, 9]},
    "scale": {"columns": FULL["columns"] | {"valid_accuracy": {"epochs": [1, 2, 3], "scale": 400}}},
    "unit": {"columns": FULL["columns"] | {"energy_joules": {"unit": "kJ"}}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_numbers_mean_is_in_the_id(change: str, tmp_path: Path) -> None:
    table = write_table(tmp_path / "t", FULL, small_columns())
    assert write_table(tmp_path / "u", FULL | CHANGES[change], small_columns()).id != table.id


def test_every_number_is_in_the_id(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t", FULL, small_columns())
    for name, column in small_columns().items():
        column.flat[17] += 1
        assert write_table(tmp_path / "u", FULL, small_columns() | {name: column}).id != table.id


def test_a_file_from_before_opens_with_the_same_id(tmp_path: Path) -> None:
    """What is the header's checksum was called "id" once."""
    path = tmp_path / "t"
    table = write_table(path, FULL, small_columns())
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    text = content[8 : 8 + length].rstrip().replace(b'"checksum":', b'"id":')
    text += b" " * (-len(text) % 8)
    old = tmp_path / "old"
    old.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    assert Table.open(old).id == table.id
    assert Table.open(old).verify() == []
