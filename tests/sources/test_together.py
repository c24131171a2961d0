"""Imports that meet, that go on, and that find something where they write: nothing is lost or mixed."""

from __future__ import annotations

import bz2
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Table
from nb201env.files import AtWork
from nb201env.sources import importer, parts
from nb201env.sources.assemble import build
from nb201env.sources.errors import SourceError
from nb201env.sources.importer import import_official
from nb201env.tables import check_own_name, embedded, place
from nb201env.workers import Done, WorkerDied
from tests.official_data import (
    INDICES,
    NAME,
    architecture_results,
    whole,
    write_folder,
    write_pickle,
    write_tar,
)
from tests.sources.test_layouts import by_index, same_numbers

LAYOUTS = ["folder", "tar", "file"]


def source_of(layout: str, folder: Path, place: Path) -> Path:
    if layout == "folder":
        return folder
    if layout == "tar":
        return write_tar(folder, place / "set.tar")
    write_pickle(place / f"{NAME}.pickle.pbz2", whole())
    return place / f"{NAME}.pickle.pbz2"


def once(action: Callable[[], Any]) -> Callable[[int, int], None]:
    """A progress function that does something when the first architectures are there."""
    todo = [action]

    def progress(done: int, total: int) -> None:
        if done and todo:
            todo.pop()()

    return progress


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer, "PART_SIZE", 2)
    monkeypatch.setattr(parts, "PART_SIZE", 2)


# -- at once -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_second_import_of_the_same_source_says_that_the_first_is_at_work(
    official_folder: Path, official_tables: dict[str, Table], tmp_path: Path, small_parts: None, layout: str
) -> None:
    source, said = source_of(layout, official_folder, tmp_path), []

    def again() -> None:
        with pytest.raises(AtWork, match="another command is importing") as caught:
            import_official(source, tmp_path / "out", workers=1)
        said.append(str(caught.value))

    tables = import_official(source, tmp_path / "out", workers=1, progress=once(again))
    assert said
    assert source.name in said[0]
    assert same_numbers(tables, official_tables), "the first is not disturbed"
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".safetensors"}


def test_two_sources_into_one_folder_both_succeed(
    official_folder: Path, official_tables: dict[str, Table], tmp_path: Path, small_parts: None
) -> None:
    tar, others = write_tar(official_folder, tmp_path / "set.tar"), []
    one = import_official(
        official_folder, tmp_path / "out", workers=1, prefix="a-",
        progress=once(lambda: others.extend(import_official(tar, tmp_path / "out", workers=1, prefix="b-"))),
    )  # fmt: skip
    for tables, prefix in ((one, "a-"), (others, "b-")):
        numbers = {table.name.removeprefix(prefix): table for table in tables}
        assert list(numbers) == sorted(official_tables)
        assert all(table.manifest["provenance"]["architectures"] == len(INDICES) for table in tables)


@pytest.mark.parametrize("layout", ["folder", "file"])
def test_what_was_read_is_compared_with_what_is_written(
    official_folder: Path, tmp_path: Path, small_parts: None, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program puts a part in the place of another: whole, but not what was read."""
    source = source_of(layout, official_folder, tmp_path)

    def disturbed(paths: list[Path], *arguments: Any, **more: Any) -> Any:
        shutil.copy(paths[0], paths[-1])
        return build(paths, *arguments, **more)

    monkeypatch.setattr(importer, "build", disturbed)
    with pytest.raises(OSError, match="parts hold 4 architectures, but 6 were read"):
        import_official(source, tmp_path / "out", workers=1)
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_a_table_is_read_back_before_it_counts(tmp_path: Path, official_tables: dict[str, Table]) -> None:
    table = official_tables["cifar10-12"]

    def write_badly(path: Path) -> None:
        data = bytearray(table.container.path.read_bytes())
        data[-9] ^= 1
        path.write_bytes(data)

    with pytest.raises(ValueError, match="not written as it was read"):
        place(tmp_path / "x.safetensors", write_badly)
    assert not list(tmp_path.iterdir())


# -- going on ------------------------------------------------------------------------------------


def of_length(values: dict[str, Any], size: int) -> bytes:
    """A file of exactly so many bytes: texts that nobody reads fill it up."""
    rng = np.random.default_rng(0)
    for turn in range(2_000):
        values["12"]["filler"] = rng.bytes(turn % 90).hex()
        data = bz2.compress(pickle.dumps(values, protocol=4))
        if len(data) == size:
            return data
    raise AssertionError("no length fits")


@pytest.mark.parametrize("layout", ["folder", "tar"])
def test_a_part_of_an_older_source_is_not_taken(
    official_folder: Path, tmp_path: Path, small_parts: None, layout: str
) -> None:
    """The changed file has the old one's size and time."""
    folder = shutil.copytree(official_folder, tmp_path / "set")
    file = folder / "000000.pickle.pbz2"
    values = architecture_results(0, (12,))
    values["12"]["filler"] = np.random.default_rng(1).bytes(60).hex()
    write_pickle(file, values)
    source = source_of(layout, folder, tmp_path)
    before, when = source.stat(), file.stat()

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_official(source, tmp_path / "out", workers=1, progress=once(stop))
    changed = architecture_results(0, (12,))
    changed["12"]["all_results"]["cifar10", 111]["train_losses"][3] = 0.125
    file.write_bytes(of_length(changed, when.st_size))
    os.utime(file, ns=(when.st_atime_ns, when.st_mtime_ns))
    source = source_of(layout, folder, tmp_path)
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.stat().st_size == before.st_size

    tables = {table.name: table for table in import_official(source, tmp_path / "out", workers=1)}
    assert tables["cifar10-12"].values("train_loss", epochs=4)[by_index(0).index].tolist() == [0.125]


@pytest.mark.parametrize("layout", ["tar", "file"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    official_folder: Path, tmp_path: Path, small_parts: None, layout: str
) -> None:
    source = source_of(layout, official_folder, tmp_path)
    later = source.stat().st_mtime_ns + 10**9
    with pytest.raises(SourceError, match="was changed while it was read"):
        import_official(source, tmp_path / "out", workers=1,
                        progress=once(lambda: os.utime(source, ns=(later, later))))  # fmt: skip
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_a_worker_that_dies_is_one_sentence(
    official_folder: Path, tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def local(work: Any, jobs: Any, count: int) -> Any:
        yield Done(jobs[0], 0, error=WorkerDied("its process died"))

    monkeypatch.setattr(importer, "local", local)
    with pytest.raises(WorkerDied, match="architectures 000000 to 000011: its process died; run the same"):
        import_official(official_folder, tmp_path / "out", workers=2)


# -- what is there already -----------------------------------------------------------------------


@pytest.fixture
def other_folder(tmp_path: Path) -> Path:
    """Another set: one architecture, with other numbers."""
    values = architecture_results(11, (12,))
    values["12"]["all_results"]["cifar10", 111]["train_losses"][3] = 0.125
    folder = write_folder(tmp_path / "other", ())
    write_pickle(folder / "000011.pickle.pbz2", values)
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_table_is_not_replaced_unless_asked_for(
    official_folder: Path, other_folder: Path, tmp_path: Path, layout: str
) -> None:
    source, out = source_of(layout, official_folder, tmp_path), tmp_path / "out"
    import_official(other_folder, out, workers=1)
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert len(before) == 4
    with pytest.raises(FileExistsError, match=r"-12\.safetensors is another table .*--replace"):
        import_official(source, out, workers=1)
    assert before.items() <= {path: path.read_bytes() for path in out.glob("*.safetensors")}.items()

    read: list[int] = []
    tables = import_official(
        source, out, workers=1, replace=True, progress=lambda done, total: read.append(done)
    )
    assert len(tables) == 8
    assert set(read) <= {len(INDICES)}, "what was read before is not read again"
    assert all(table.manifest["provenance"]["architectures"] == len(INDICES) for table in tables)
    assert not list(out.glob(".*"))


def test_the_same_table_stays_as_it_is(official_folder: Path, tmp_path: Path) -> None:
    first = {
        t.container.path: t.container.path.stat().st_ino for t in import_official(official_folder, tmp_path)
    }
    said: list[str] = []
    import_official(official_folder, tmp_path, workers=1, note=said.append)
    assert {path: path.stat().st_ino for path in first} == first
    assert sum("unchanged" in text for text in said) == len(first)


def test_a_damaged_table_of_the_same_id_is_not_called_unchanged(
    official_folder: Path, tmp_path: Path
) -> None:
    (table, *_) = import_official(official_folder, tmp_path, workers=1)
    path = table.container.path
    whole, damaged = path.read_bytes(), bytearray(path.read_bytes())
    damaged[-9] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(FileExistsError, match="no whole table .*--replace"):
        import_official(official_folder, tmp_path, workers=1)
    import_official(official_folder, tmp_path, workers=1, replace=True)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("name", [*embedded(), "", "a/b", ".hidden", "..", "a\nb", "\x1b[31m"])
def test_names_that_no_table_of_ones_own_may_have(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        check_own_name(name)


# -- what is missing -----------------------------------------------------------------------------


def notes(source: Path, tmp_path: Path) -> list[str]:
    said: list[str] = []
    import_official(source, tmp_path / "out", workers=1, note=said.append)
    return said


@pytest.mark.parametrize("layout", LAYOUTS)
def test_missing_architectures_are_counted_and_the_first_is_named(
    official_folder: Path, tmp_path: Path, layout: str
) -> None:
    (said,) = notes(source_of(layout, official_folder, tmp_path), tmp_path)
    assert "15619 of 15625 architectures are missing (first: 000001)" in said


@pytest.mark.parametrize(
    "name",
    ["000001.pickle.pbz2.part", "000001.pickle.pbz2.crdownload", "Unconfirmed 123.crdownload", "x.tmp",
     "000001.pickle", "000001.pickle.pbz2.partial", "000001.pickle.pbz2.PART"],
)  # fmt: skip
def test_what_a_download_left_behind_is_named(official_folder: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(official_folder, tmp_path / "set")
    (folder / name).write_bytes(b"")
    assert any(
        "1 file(s) of an unfinished download" in said and name in said for said in notes(folder, tmp_path)
    )


def test_a_folder_in_a_folder_is_named(official_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(official_folder, tmp_path / "outer" / "inner")
    with pytest.raises(SourceError, match=r"they are in .*/outer/inner; import that"):
        import_official(tmp_path / "outer", tmp_path / "out")


def test_one_architectures_file_is_called_that(official_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"one architecture's file; import its folder, {official_folder}"):
        import_official(official_folder / "000284.pickle.pbz2", tmp_path / "out")
    with pytest.raises(SourceError, match="the list of architectures; import its folder"):
        import_official(official_folder / "meta.pickle.pbz2", tmp_path / "out")


def size_space(index: int) -> dict[str, Any]:
    run = {"epochs": 90, "seed": 777}
    return {
        "90": {
            "arch_index": index,
            "arch_str": "64:64:64:64:64",
            "all_results": {("cifar10", 777): run},
            "dataset_seed": {"cifar10": [777]},
        }
    }


def test_the_size_space_is_called_that(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", ())
    write_pickle(folder / "000011.pickle.pbz2", size_space(11))
    write_pickle(tmp_path / "all.pickle.pbz2", {"meta_archs": [], "arch2infos": {11: size_space(11)}})
    write_pickle(tmp_path / "NATS-sss-v1_0-50262.pickle.pbz2", {})
    for source in (folder, tmp_path / "all.pickle.pbz2", tmp_path / "NATS-sss-v1_0-50262.pickle.pbz2"):
        with pytest.raises(SourceError, match="size space"):
            import_official(source, tmp_path / "out", workers=1)
    write_pickle(folder / "020000.pickle.pbz2", size_space(20000))
    with pytest.raises(SourceError, match="no architecture 20000; is it the size space"):
        import_official(folder, tmp_path / "out", workers=1)
