"""Builds in shared or object storage: the same files, the same table."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

from nb201env.cli import build as program
from nb201env.container import DamagedTable, write
from nb201env.training import load_network
from nb201env.training.builds.build import Way, build, train_unit
from nb201env.training.builds.build import store as keep
from nb201env.training.builds.merge import merge
from nb201env.training.builds.plan import Folder
from nb201env.training.builds.shards import ForeignShard
from nb201env.training.builds.store import Store
from tests.training.builds.test_build import BUILD, DATA, small_plan


@pytest.fixture
def address() -> Iterator[str]:
    """A new place in fsspec's own memory."""
    place = f"memory://{uuid.uuid4()}/digits"
    yield place
    fsspec.filesystem("memory").rm(place.rpartition("/")[0], recursive=True)


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, address: str) -> Store:
    Store(address).write_text("made", "")  # so that there is something to remove afterwards
    return Store(tmp_path / "new" if request.param == "folder" else address)


def test_text_comes_back(store: Store) -> None:
    assert not store.has("a/plan.json")
    with pytest.raises(FileNotFoundError):
        store.read_text("a/plan.json")
    store.write_text("a/plan.json", "one")
    store.write_text("a/plan.json", "two")
    assert store.has("a/plan.json")
    assert store.read_text("a/plan.json") == "two"
    assert not store.has("a")


def test_arrays_come_back(store: Store) -> None:
    arrays = {"x": np.arange(5, dtype=np.float32), "y": np.arange(6, dtype=np.int32).reshape(2, 3)}
    store.write("shards/1.safetensors", {"plan": "p"}, arrays)
    found = store.read("shards/1.safetensors")
    assert found.manifest["plan"] == "p"
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.array(name), array)
    with pytest.raises(FileNotFoundError):
        store.read("shards/2.safetensors")


def test_a_failed_write_leaves_nothing(store: Store) -> None:
    with pytest.raises(ValueError, match="has type"):
        store.write("shards/1.safetensors", {}, {"x": np.array(["text"])})
    assert not store.has("shards/1.safetensors")


def test_damage_is_named_by_its_address(address: str, tmp_path: Path) -> None:
    write(tmp_path / "whole", {}, {"x": np.zeros(3)})
    with fsspec.open(f"{address}/cut.safetensors", "wb") as file:
        file.write((tmp_path / "whole").read_bytes()[:-3])
    with pytest.raises(DamagedTable, match=f"{address}/cut.safetensors: .* bytes instead of"):
        Store(address).read("cut.safetensors")


@pytest.mark.parametrize("bad", ["nowhere://x", "s4://bucket/x"])
def test_an_address_that_nobody_knows(bad: str) -> None:
    with pytest.raises(ValueError, match=f"cannot reach {bad}"):
        Store(bad)


@pytest.mark.parametrize(
    "bad",
    [
        "simplecache::s3://bucket/x", "simplecache::memory://x", "memory://x::y", "filecache::/tmp/x",
        "zip://x::/tmp/a.zip", "reference://x", "python://x", "http://host/x", "https://host/x", "ftp://h/x",
        "sftp://host/x", "ssh://host/x", "github://a:b@c/x", "git://x", "dask://x", "async_wrapper://x",
        "generic://x", "dir://x", "cached://x", "jupyter://x", "S3://bucket/x", "://x", "file://relative",
        "s3:bucket/x", "memory:/x", "file:x", "s3://", "memory://", "memory:///", "a::b",
    ],
)  # fmt: skip
def test_only_folders_and_object_stores_hold_builds(bad: str, tmp_path: Path) -> None:
    """Not what fsspec chains or runs, nor what shows half a file, nor what was meant to be something else."""
    for reach in (lambda: Store(bad), lambda: Folder.create(bad, small_plan()), lambda: Folder.open(bad)):
        with pytest.raises(ValueError, match="cannot reach") as error:
            reach()
        assert bad in str(error.value)


@pytest.mark.parametrize("bad", ["", "/", "//", "file:///"])
def test_what_is_no_folder_of_its_own(bad: str) -> None:
    with pytest.raises(ValueError, match=r"no folder for a build|cannot reach"):
        Store(bad)


def test_a_file_url_is_the_folder(tmp_path: Path) -> None:
    Store(f"file://{tmp_path}/new/").write_text("a", "text")
    assert (tmp_path / "new" / "a").read_text() == "text"


def test_an_object_that_is_too_large_is_not_fetched(address: str) -> None:
    Store(address).write_text("plan.json", "x" * 4_000_001)
    with pytest.raises(ValueError, match="4,000,001 bytes, which nothing of its kind has"):
        Store(address).read_text("plan.json")


def test_a_stores_own_kind_of_error_is_a_sentence(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(address)
    store.write_text("plan.json", "x")

    class Throttled(Exception):
        pass

    def fail(*_: object) -> None:
        raise Throttled("slow down")

    monkeypatch.setattr(store._remote, "info", fail)
    with pytest.raises(OSError, match=f"{address}: Throttled: slow down"):
        store.read_text("plan.json")


def test_a_build_in_memory_is_the_build_in_a_folder(address: str, tmp_path: Path) -> None:
    """Stopped and resumed in between, with weights."""
    local, remote = Folder.create(tmp_path / "local", small_plan()), Folder.create(address, small_plan())
    build(local)
    for unit in remote.plan.units[:2]:
        keep(remote, unit, train_unit(remote.plan, unit, DATA, Way(weights=True)))
    rest = build(Folder.open(address), Way(weights=True))
    assert (rest.finished, rest.done) == (rest.total - 2, rest.total)
    one = merge(local, tmp_path / "one.safetensors", DATA)
    two = merge(Folder.open(address), tmp_path / "two.safetensors", DATA)
    assert one.id == two.id
    index = int(remote.plan.indices[0])
    network = load_network(two, index, remote.plan.seeds[0], weights=f"{address}/weights")
    assert network.architecture.index == index


def test_machines_can_share_a_build(address: str, tmp_path: Path) -> None:
    """Three shares in any order: each trains only its own shards, together they are the whole."""
    for k, trained in ((3, 2), (1, 2), (2, 2)):
        assert build(Folder.create(address, small_plan()), share=(k, 3)).finished == trained
    whole = Folder.create(tmp_path / "local", small_plan())
    build(whole)
    ids = {merge(f, tmp_path / "t.safetensors", DATA).id for f in (whole, Folder.open(address))}
    assert len(ids) == 1


@pytest.mark.parametrize("bad", ["2", "0/2", "3/2", "a/b", "1/0", "²/5"])
def test_a_share_that_is_none(bad: str, tmp_path: Path) -> None:
    command = [*BUILD, "--out", str(tmp_path), "--only", "index:0", "--share", bad]
    with pytest.raises(ValueError, match="--share looks like 2/5"):
        program()(command, standalone_mode=False)


def test_shards_in_memory_are_checked(address: str) -> None:
    folder = Folder.create(address, small_plan())
    build(folder)
    unit = folder.plan.units[0]
    memory = fsspec.filesystem("memory")
    content = bytearray(memory.cat_file(f"{address}/{unit.file}"))
    content[-5] ^= 1
    memory.pipe_file(f"{address}/{unit.file}", bytes(content))
    assert folder.missing() == [unit]
    with pytest.raises(ForeignShard, match="seeds"):
        Folder.create(address, small_plan(seeds=(5,)))
