"""Builds: the same numbers every time, whatever interrupts them, and clear words when it can't be."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import Architecture, DamagedTable, NotRecorded, Table, container, workers
from nb201env.classes import canonical_classes, representatives
from nb201env.space import SIZE
from nb201env.table import verify_file
from nb201env.training import load_network
from nb201env.training.builds import store as store_module
from nb201env.training.builds.build import BuildProgress, Way, build
from nb201env.training.builds.merge import merge
from nb201env.training.builds.plan import Folder, Plan
from nb201env.training.builds.shards import ForeignShard
from nb201env.training.images.tasks import load_task
from nb201env.training.loop import evaluate
from nb201env.training.recipe import Recipe, find_recipe
from nb201env.training.trainers import find_trainer

DATA = load_task("digits")
RECIPE = replace(find_recipe("smoke-2"), train_images=64)
DEAD, BEST = 0, Architecture.from_official_index(6111).index
ONLY = (DEAD, BEST, *representatives()[[9, 500, 3000, 5484]].tolist())


def small_plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "task": "digits", "data": DATA.digest, "recipe": RECIPE, "seeds": (3, 4),
        "trainer": "compiled", "shard": 2, "only": ONLY,
    }  # fmt: skip
    return Plan(**values | changes)


def built(path: Path, **changes: Any) -> Folder:
    folder = Folder.create(path, small_plan(**changes))
    build(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return built(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def table(undisturbed: Folder) -> Table:
    assert undisturbed.store.folder is not None
    return merge(undisturbed, undisturbed.store.folder / "table.safetensors", DATA)


# -- the table -------------------------------------------------------------------------------


def test_the_table_holds_what_was_trained(table: Table, undisturbed: Folder) -> None:
    assert (table.name, table.dataset, table.epochs, table.seeds) == ("digits-2", "digits", 2, (3, 4))
    assert verify_file(table.container.path) == []
    arrays, about = undisturbed.read(undisturbed.plan.units[0])
    index = undisturbed.plan.indices[1]
    assert table.values("test_accuracy", epochs=2)[index, 0] == arrays["test_correct"][1, 1] / 500
    assert table.values("valid_loss", epochs=1)[index, 0] == arrays["valid_loss"][1, 0]
    assert (arrays["measured_seconds"] > 0).all()
    assert about["about"]["processor"]
    assert table.manifest["coverage"] == {"trainings": 12, "of": 2 * 5485, "diverged": []}


def test_members_of_a_class_share_its_runs(table: Table) -> None:
    accuracy = table.accuracy(split="valid", epochs=2, run="mean")
    recorded = np.flatnonzero(~np.isnan(accuracy))
    assert set(canonical_classes()[recorded]) == set(canonical_classes()[list(ONLY)])
    for number in set(canonical_classes()[recorded].tolist()):
        assert len(set(accuracy[canonical_classes() == number].tolist())) == 1
    assert "share" in table.manifest["provenance"]["rows"]


def test_a_dead_cell_is_at_chance(table: Table) -> None:
    chance = np.bincount(DATA.splits["valid"].labels.numpy()).max() / 500
    assert table.query(DEAD, split="valid", epochs=2, run=3).accuracy <= chance


def test_the_clock_counts_arithmetic(table: Table) -> None:
    one, two = (table.values("train_seconds", epochs=e)[BEST, 0] for e in (1, 2))
    macs = table.values("macs")[BEST]
    assert one == pytest.approx(3 * 64 * macs / 1e9, rel=1e-6)
    assert two == pytest.approx(2 * one, rel=1e-6)
    assert table.values("macs")[DEAD] < macs


def test_an_environment_over_a_partial_table_says_what_it_cannot_do(table: Table) -> None:
    with pytest.raises(
        NotRecorded, match=r"no run 'sample' for 15,\d+ of 15,625 .* partial: finish its build"
    ):
        gym.make("NB201-v0", table=table)


def test_the_manifest_repeats_the_build(table: Table) -> None:
    provenance = table.manifest["provenance"]
    assert (
        "--task digits --recipe smoke-2 --set train_images=64 --set name=smoke-2 --seeds 3,4"
        in provenance["command"]
    )
    assert Recipe(**table.manifest["protocol"]) == RECIPE
    assert "measured" not in provenance


def test_measured_times_enter_the_manifest_when_asked(undisturbed: Folder, tmp_path: Path) -> None:
    table = merge(undisturbed, tmp_path / "t.safetensors", DATA, measured=True)
    assert table.manifest["provenance"]["measured"]["shard_seconds"] > 0


def test_every_string(tmp_path: Path) -> None:
    folder = built(tmp_path, every_string=True, only=(0, 1, 2), seeds=(1,))
    table = merge(folder, tmp_path / "t.safetensors", DATA)
    assert (~np.isnan(table.accuracy(split="test", epochs=2, run=1))).sum() == 3
    assert folder.plan.indices.tolist() == [0, 1, 2]


def test_a_whole_plan_covers_every_class() -> None:
    plan = small_plan(only=(), shard=100)
    assert (plan.indices == representatives()).all()
    assert sum(len(plan.architectures(unit)) for unit in plan.units) == 2 * 5485
    assert len(small_plan(only=(), every_string=True).indices) == SIZE


# -- determinism -----------------------------------------------------------------------------


@pytest.mark.parametrize("trainer", ["plain", "compiled"])
def test_the_same_command_twice(trainer: str, tmp_path: Path) -> None:
    ids = set()
    for name in ("one", "two"):
        folder = built(tmp_path / name, trainer=trainer, only=ONLY[:3], seeds=(1,))
        ids.add(merge(folder, tmp_path / f"{name}.safetensors", DATA).id)
    assert len(ids) == 1


def test_processes_do_not_change_the_numbers(undisturbed: Folder, table: Table, tmp_path: Path) -> None:
    folder = Folder.create(tmp_path, undisturbed.plan)
    seen: list[BuildProgress] = []
    build(folder, jobs=2, report=seen.append)
    assert merge(folder, tmp_path / "t.safetensors", DATA).id == table.id
    assert [p.done for p in seen] == list(range(7))
    assert seen[-1].trainings == 12
    assert seen[-1].per_hour > 0
    assert seen[-1].seconds_left == 0


BUILD = ["build", "--task", "digits", "--recipe", "smoke-2", "--seeds", "3,4"]
COMMAND = [
    sys.executable, "-c", "from nb201env.cli import main; main()", *BUILD, "--recipe", "digits-10",
    "--seeds", "3,4", "--shard", "1", "--only", ",".join(f"index:{index}" for index in ONLY), "--out",
]  # fmt: skip


def kill_and_resume(path: Path, kills: int, rng: np.random.Generator) -> list[int]:
    """Start the command, kill it after a random time, again and again; shards found each time."""
    found = []
    for _ in range(kills):
        process = subprocess.Popen(
            [*COMMAND, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_shards(path, process, len(list(path.glob("shards/*.safetensors"))) + 1)
        time.sleep(float(rng.random()))
        process.send_signal(signal.SIGKILL)
        process.wait()
        found.append(len(list(path.glob("shards/*.safetensors"))))
    subprocess.run([*COMMAND, str(path)], check=True, capture_output=True)
    return found


def wait_for_shards(path: Path, process: subprocess.Popen[bytes], count: int) -> None:
    while process.poll() is None and len(list(path.glob("shards/*.safetensors"))) < count:
        time.sleep(0.01)


def uninterrupted(path: Path) -> str:
    subprocess.run([*COMMAND, str(path)], check=True, capture_output=True)
    return merge(Folder.open(path), path / "t.safetensors", DATA).id


def test_killed_and_resumed(tmp_path: Path) -> None:
    found = kill_and_resume(tmp_path / "killed", 2, np.random.default_rng(0))
    assert 0 < found[0] < 12
    resumed = merge(Folder.open(tmp_path / "killed"), tmp_path / "t.safetensors", DATA)
    assert resumed.id == uninterrupted(tmp_path / "whole")


@pytest.mark.slow
def test_killed_twenty_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    whole = uninterrupted(tmp_path / "whole")
    for trial in range(4):
        kill_and_resume(tmp_path / f"killed-{trial}", 5, rng)
        table = merge(Folder.open(tmp_path / f"killed-{trial}"), tmp_path / "t.safetensors", DATA)
        assert table.id == whole


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    command = [*COMMAND, str(tmp_path), "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_shards(tmp_path, process, 1)
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
    workers = [int(pid) for pid in found.stdout.split()]
    process.kill()
    process.wait()
    assert len(workers) >= 2
    end = time.monotonic() + 60
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < end, "a worker outlived the killed command"
        time.sleep(0.05)


def test_a_time_limit_stops_between_shards_and_the_next_call_goes_on(tmp_path: Path, table: Table) -> None:
    folder = Folder.create(tmp_path, small_plan())
    assert build(folder, limit_seconds=0).done == 0
    first = build(folder, limit_seconds=1e-9 + 0.001)
    assert first.done < first.total == 6
    assert build(folder).done == 6
    assert build(folder).finished == 0
    assert merge(folder, tmp_path / "t.safetensors", DATA).id == table.id


# -- what can go wrong -----------------------------------------------------------------------


def test_a_damaged_shard_is_an_error_for_merge_and_work_for_build(tmp_path: Path, table: Table) -> None:
    folder = built(tmp_path)
    file = tmp_path / folder.plan.units[2].file
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedTable, match=file.name):
        merge(folder, tmp_path / "t.safetensors", DATA)
    assert folder.missing() == [folder.plan.units[2]]
    assert build(folder).finished == 1
    assert merge(folder, tmp_path / "t.safetensors", DATA).id == table.id


def test_a_shard_of_another_recipe(tmp_path: Path) -> None:
    folder = built(tmp_path / "one", only=ONLY[:2], seeds=(1,))
    built(tmp_path / "two", only=ONLY[:2], seeds=(1,), recipe=replace(RECIPE, epochs=1))
    unit = folder.plan.units[0]
    (tmp_path / "one" / unit.file).write_bytes((tmp_path / "two" / unit.file).read_bytes())
    for act in (lambda: build(folder), lambda: merge(folder, tmp_path / "t.safetensors", DATA)):
        with pytest.raises(ForeignShard, match=f"{unit.file} belongs to another build"):
            act()


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"seeds": (3, 5)}, "seeds"), ({"recipe": replace(RECIPE, epochs=3)}, "recipe"), ({"shard": 3}, "shard"),
     ({"data": "0" * 64}, "data"), ({"trainer": "plain"}, "trainer"), ({"only": ()}, "only")],
)  # fmt: skip
def test_a_folder_of_another_build(undisturbed: Folder, changes: dict[str, Any], said: str) -> None:
    assert undisturbed.store.folder is not None
    with pytest.raises(ForeignShard, match=f"another build: {said} .*another --out"):
        Folder.create(undisturbed.store.folder, small_plan(**changes))


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: Table) -> None:
    folder, real = Folder.create(tmp_path, small_plan()), container.write
    written: list[Any] = []

    def full(path: Any, *rest: Any) -> str:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        return real(path, *rest)

    monkeypatch.setattr(store_module, "write", full)
    with pytest.raises(OSError, match=r"No space left on device; all earlier shards are safe"):
        build(folder)
    monkeypatch.undo()
    assert len(list(folder.finished())) == 3
    build(folder)
    assert merge(folder, tmp_path / "t.safetensors", DATA).id == table.id


def test_a_worker_that_dies_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: Table
) -> None:
    """It names the shard and says that the others are safe, and they are."""
    folder, real = Folder.create(tmp_path, small_plan()), workers.local

    def second_dies(*arguments: Any, **settings: Any) -> Iterator[workers.Done[Any, Any]]:
        for done in real(*arguments, **settings):
            if done.place == 1:
                yield workers.Done(done.job, 1, error=workers.WorkerDied("its process died"))
            yield done

    monkeypatch.setattr(workers, "local", second_dies)
    with pytest.raises(workers.WorkerDied, match=r"3-00001.*its process died; all finished shards are safe"):
        build(folder)
    monkeypatch.undo()
    assert 1 <= len(list(folder.finished())) < 6
    build(folder)
    assert merge(folder, tmp_path / "t.safetensors", DATA).id == table.id


def test_nothing_built_yet(tmp_path: Path) -> None:
    folder = Folder.create(tmp_path / "a", small_plan())
    with pytest.raises(FileNotFoundError, match="no finished shard"):
        merge(folder, tmp_path / "t.safetensors", DATA)
    with pytest.raises(FileNotFoundError, match="not a build's folder"):
        Folder.open(tmp_path / "b")
    assert folder.store.folder is not None
    (folder.store.folder / "plan.json").write_text("{}")
    with pytest.raises(DamagedTable, match=r"plan\.json cannot be read"):
        Folder.open(folder.store.folder)


@pytest.mark.parametrize(
    "changes", [{"shard": 0}, {"seeds": ()}, {"seeds": (1, 1)}, {"seeds": (-1,)}, {"only": (SIZE,)}]
)
def test_impossible_plans(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        small_plan(**changes)


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match=r"unknown recipe 'official-13'.*official-12"):
        find_recipe("official-13")
    with pytest.raises(ValueError, match=r"unknown trainer 'gpu'.*plain"):
        find_trainer("gpu")


# -- weights ---------------------------------------------------------------------------------


@pytest.mark.parametrize("trainer", ["plain", "compiled"])
def test_weights_give_the_recorded_accuracy(trainer: str, tmp_path: Path) -> None:
    from nb201env.training.loop import Alone

    folder = Folder.create(tmp_path, small_plan(trainer=trainer, only=(BEST,), seeds=(1,)))
    build(folder, Way(weights=True))
    table = merge(folder, tmp_path / "t.safetensors", DATA)
    network = load_network(table, BEST, 1)
    for split in ("valid", "test"):
        correct, _ = evaluate(Alone(network), DATA, DATA.splits[split])
        assert int(correct) / 500 == table.query(BEST, split=split, epochs=2, run=1).accuracy
    with pytest.raises(NotRecorded, match="--weights"):
        load_network(table, BEST, 2)


def test_weights_of_another_build(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1)):
        recipe = replace(RECIPE, epochs=1 + (name == "one"))
        folder = Folder.create(tmp_path / name, small_plan(only=(BEST,), seeds=(seed,), recipe=recipe))
        build(folder, Way(weights=True))
    table = merge(folder, tmp_path / "two" / "t.safetensors", DATA)
    with pytest.raises(DamagedTable, match="another build"):
        load_network(table, BEST, 1, weights=tmp_path / "one" / "weights")
