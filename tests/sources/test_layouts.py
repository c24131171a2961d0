"""Every layout gives the same tables, and every number in them is the file's."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, NotRecorded, Table
from nb201env.official import TASKS
from nb201env.sources import importer, nats
from nb201env.sources.errors import SourceError
from nb201env.sources.importer import import_official
from tests.official_data import (
    INDICES,
    NAME,
    architecture_results,
    seeds_of,
    whole,
    write_folder,
    write_pickle,
    write_tar,
)

TABLES = [f"{task}-{epochs}" for task in TASKS for epochs in (12, 200)]


def by_index(index: int) -> Architecture:
    return Architecture.from_official_index(index)


def test_one_table_per_task_and_schedule(official_tables: dict[str, Table]) -> None:
    assert sorted(official_tables) == sorted(TABLES)
    assert official_tables["cifar10-valid-12"].seeds == (111, 777)
    assert official_tables["cifar100-200"].seeds == (777, 888, 999)
    assert official_tables["cifar100-200"].manifest["provenance"]["architectures"] == len(INDICES)
    for table in official_tables.values():
        assert table.verify() == []


@pytest.mark.parametrize("name", TABLES)
def test_every_number_is_the_files(official_tables: dict[str, Table], name: str) -> None:
    table = official_tables[name]
    task = str(table.manifest["task"]["name"])
    checked = 0
    for index in INDICES:
        held = architecture_results(index)[str(table.epochs)]
        for seed in seeds_of(index, table.epochs)[task]:
            checked += check_run(table, by_index(index), seed, held["all_results"][task, seed])
    assert checked >= len(INDICES) * table.epochs * 4


def check_run(table: Table, architecture: Architecture, seed: int, run: dict[str, Any]) -> int:
    """Compare one run's numbers at every epoch through the public queries."""
    task = TASKS[run["name"]]
    checked = 0
    wanted: dict[str, dict[int, float]] = {
        "train_accuracy": run["train_acc1es"],
        "train_loss": run["train_losses"],
    }
    for name, split in task.sets.items():
        for metric, key in (("accuracy", "eval_acc1es"), ("loss", "eval_losses")):
            pairs = ((text.split("@"), number) for text, number in run[key].items())
            wanted[f"{split}_{metric}"] = {int(epoch): x for (held, epoch), x in pairs if held == name}
    at = table.seeds.index(seed)
    for column, numbers in wanted.items():
        for epoch, number in numbers.items():
            found = table.values(column, epochs=epoch + 1)[architecture.index, at]
            if column.endswith("accuracy"):
                assert abs(100 * found - number) < 2e-6
            else:
                assert found == number
            checked += 1
    total = table.seconds(epochs=table.epochs, run=seed)[architecture.index]
    passes = run["eval_times"].get("x-valid@0", 0.0)
    assert total == pytest.approx(sum(run["train_times"].values()) + passes, rel=1e-12)
    assert table.values("latency_seconds")[architecture.index] == run["latency"][0]
    assert round(table.values("params")[architecture.index]) == round(run["params"] * 1e6)
    assert round(table.values("macs")[architecture.index]) == round(run["flop"] * 1e6)
    return checked


def test_what_was_not_recorded_is_an_error(official_tables: dict[str, Table]) -> None:
    table = official_tables["cifar100-200"]
    best = by_index(6111)
    assert table.recorded_epochs("valid_accuracy") == (200,)
    assert len(table.recorded_epochs("valtest_accuracy")) == 200
    for split in ("valid", "test"):
        with pytest.raises(NotRecorded, match="epochs=12; recorded: 200"):
            table.query(best, split=split, epochs=12, run="mean")
    with pytest.raises(NotRecorded, match=r"\[777, 888\]"):
        table.query(by_index(11), split="valid", epochs=200, run=999)
    with pytest.raises(NotRecorded, match="none"):
        table.query(by_index(5), split="valid", epochs=200, run="mean")
    with pytest.raises(NotRecorded, match="valid_accuracy"):
        official_tables["cifar10-12"].query(best, split="valid", epochs=12, run=111)
    assert np.isnan(table.accuracy(split="valid", epochs=200, run=999)[by_index(11).index])


def arrays(table: Table) -> dict[str, Any]:
    return {name: table.container.array(name).tobytes() for name in table.manifest["arrays"]}


def same_numbers(tables: list[Table], expected: dict[str, Table]) -> bool:
    return {t.name: arrays(t) for t in tables} == {name: arrays(t) for name, t in expected.items()}


def test_the_tar_gives_the_same(
    official_folder: Path, official_tables: dict[str, Table], tmp_path: Path
) -> None:
    tar = write_tar(official_folder, tmp_path / "set.tar")
    assert same_numbers(import_official(tar, tmp_path / "out", workers=1), official_tables)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_the_single_file_gives_the_same(
    official_tables: dict[str, Table], tmp_path: Path, protocol: int
) -> None:
    path = tmp_path / f"{NAME}.pickle.pbz2"
    write_pickle(path, whole(), protocol)
    tables = import_official(path, tmp_path / "out")
    assert same_numbers(tables, official_tables)
    assert tables[0].manifest["provenance"]["md5_agrees_with_name"] is False


@pytest.mark.parametrize("zipped", [False, True])
def test_pth_files_give_the_same_without_torch(
    official_tables: dict[str, Table], tmp_path: Path, zipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="torch writes the test's .pth file")
    path = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
    torch.save(whole(legacy=True), path, _use_new_zipfile_serialization=zipped)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert same_numbers(import_official(path, tmp_path / "out"), official_tables)


def test_weights_are_passed_over(official_tables: dict[str, Table], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch makes the test's weights")
    values = architecture_results(11)
    for held in values.values():
        for run in held["all_results"].values():
            run["net_state_dict"] = torch.nn.BatchNorm2d(4).state_dict()
    folder = write_folder(tmp_path / "full", ())
    write_pickle(folder / "000011.pickle.pbz2", values)
    (table, *_) = import_official(folder, tmp_path / "out", workers=1)
    column = table.everything("test_accuracy")[by_index(11).index]
    assert (
        column.tolist()
        == official_tables[table.name].everything("test_accuracy")[by_index(11).index].tolist()
    )


@pytest.mark.parametrize("zipped", [False, True])
def test_weights_in_pth_files_are_passed_over(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch", reason="torch makes the test's weights")
    values = whole(legacy=True)
    run = values["arch2infos"][11]["full"]["all_results"]["cifar10", 777]
    run["net_state_dict"] = torch.nn.Linear(3, 2).state_dict()
    torch.save(values, tmp_path / "weights.pth", _use_new_zipfile_serialization=zipped)
    assert len(import_official(tmp_path / "weights.pth", tmp_path / "out")) == 8


def test_times_that_were_really_measured_keep_their_axes(tmp_path: Path) -> None:
    values = architecture_results(11)
    rng = np.random.default_rng(0)
    for held in values.values():
        for run in held["all_results"].values():
            for key in ("train_times", "eval_times"):
                run[key] = {k: float(rng.uniform(1, 2)) for k in run[key]}
    folder = write_folder(tmp_path / "set", ())
    write_pickle(folder / "000011.pickle.pbz2", values)
    tables = {t.name: t for t in import_official(folder, tmp_path / "out", workers=1)}
    table = tables["cifar100-200"]
    run = values["200"]["all_results"]["cifar100", 888]
    for epochs in (1, 2, 100, 200):
        found = table.values("train_seconds", epochs=epochs)[by_index(11).index, 1]
        assert found == pytest.approx(sum(run["train_times"][e] for e in range(epochs)), rel=1e-12)
        passed = table.values("valid_seconds", epochs=epochs)[by_index(11).index, 1]
        assert passed == run["eval_times"][f"x-valid@{epochs - 1}"]
    assert table.everything("train_seconds").shape == (15625, 2, 200)


def test_a_pass_timed_once_is_not_taken_for_all_epochs(tmp_path: Path) -> None:
    values = architecture_results(11)
    for run in values["200"]["all_results"].values():
        run["eval_times"] = {key: x for key, x in run["eval_times"].items() if key.endswith("@199")}
    folder = write_folder(tmp_path / "set", ())
    write_pickle(folder / "000011.pickle.pbz2", values)
    tables = {t.name: t for t in import_official(folder, tmp_path / "out", workers=1)}
    table = tables["cifar10-valid-200"]
    assert table.recorded_epochs("valid_seconds") == (200,)
    with pytest.raises(NotRecorded, match="epochs=12; recorded: 200"):
        table.seconds(epochs=12, run=777)
    assert tables["cifar10-valid-12"].recorded_epochs("valid_seconds") == ()


def test_missing_times_and_latency_stay_missing(tmp_path: Path) -> None:
    values = architecture_results(11)
    for held in values.values():
        for run in held["all_results"].values():
            run |= {"train_times": None, "eval_times": {}, "latency": None}
    folder = write_folder(tmp_path / "set", ())
    write_pickle(folder / "000011.pickle.pbz2", values)
    for table in import_official(folder, tmp_path / "out", workers=1):
        assert not [column for column in table.columns if "seconds" in column]
        with pytest.raises(NotRecorded, match="train_seconds"):
            table.seconds(epochs=table.epochs, run="mean")


def test_latencies_are_added_one_after_the_other_whatever_python_sums(tmp_path: Path) -> None:
    """As the official API did under Python 3.11; since 3.12 `sum` gives 1.0 for these."""
    values = architecture_results(11, (12,))
    values["12"]["all_results"]["cifar10", 111]["latency"] = [0.1] * 10
    folder = write_folder(tmp_path / "set", ())
    write_pickle(folder / "000011.pickle.pbz2", values)
    tables = {t.name: t for t in import_official(folder, tmp_path / "out", workers=1)}
    assert tables["cifar10-12"].values("latency_seconds")[by_index(11).index] == 0.9999999999999999 / 10


def test_top_5_accuracies_are_called_so(official_tables: dict[str, Table], tmp_path: Path) -> None:
    assert "top-5" in official_tables["cifar10-12"].manifest["columns"]["train_top5_accuracy"]["what"]
    assert "top-5" not in official_tables["cifar10-12"].manifest["columns"]["train_accuracy"]["what"]
    values = architecture_results(11, (12,))
    values["12"]["all_results"]["cifar10", 111]["train_acc5es"][3] = 12.3456789
    folder = write_folder(tmp_path / "set", ())
    write_pickle(folder / "000011.pickle.pbz2", values)
    tables = {t.name: t for t in import_official(folder, tmp_path / "out", workers=1)}
    assert (
        tables["cifar10-12"].manifest["columns"]["train_top5_accuracy"]["what"]
        == "top-5 accuracy in per cent"
    )


def test_accuracies_that_are_no_counts_stay_as_they_are(tmp_path: Path) -> None:
    values = architecture_results(11)
    values["12"]["all_results"]["cifar10", 111]["eval_acc1es"]["ori-test@3"] = 12.3456789
    folder = write_folder(tmp_path / "set", ())
    write_pickle(folder / "000011.pickle.pbz2", values)
    tables = {t.name: t for t in import_official(folder, tmp_path / "out", workers=1)}
    found = tables["cifar10-12"].values("test_accuracy", epochs=4)[by_index(11).index, 0]
    assert found == 12.3456789 / 100


def test_processes_and_one_process_write_the_same_bytes(
    official_folder: Path, official_tables: dict[str, Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "PART_SIZE", 2)
    seen: list[tuple[int, int]] = []
    tables = import_official(
        official_folder, tmp_path, workers=2, progress=lambda done, total: seen.append((done, total))
    )
    assert {table.name: table.id for table in tables} == {t.name: t.id for t in official_tables.values()}
    assert seen[0] == (0, 6)
    assert seen[-1] == (6, 6)
    assert not list(tmp_path.glob(".import-*"))


def test_the_ids_depend_neither_on_the_source_nor_on_its_name(
    official_folder: Path, official_tables: dict[str, Table], tmp_path: Path
) -> None:
    """Folder, link, renamed copy, tar, single file, and a prefix: the same numbers, so the same ids."""
    link = tmp_path / "link"
    link.symlink_to(official_folder, target_is_directory=True)
    renamed = Path(shutil.copytree(official_folder, tmp_path / "renamed"))
    tar = write_tar(official_folder, tmp_path / "any.tar")
    single = tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
    write_pickle(single, whole())
    expected = {name: table.id for name, table in official_tables.items()}
    assert len(set(expected.values())) == len(TABLES)
    for number, source in enumerate((link, renamed, tar, single)):
        tables = import_official(source, tmp_path / f"out-{number}", prefix="p-", workers=1)
        assert {table.name.removeprefix("p-"): table.id for table in tables} == expected, source


def test_noise_around_100_per_cent_is_a_full_count(tmp_path: Path) -> None:
    values = architecture_results(11)
    run = values["200"]["all_results"]["cifar10-valid", 777]
    run["train_acc1es"] |= {199: 100 + 2e-8, 198: 100 - 2e-8}
    run["latency"] = [-1.0]
    folder = write_folder(tmp_path / "set", ())
    write_pickle(folder / "000011.pickle.pbz2", values)
    tables = {t.name: t for t in import_official(folder, tmp_path / "out", workers=1)}
    table = tables["cifar10-valid-200"]
    assert table.record(by_index(11), "train_accuracy")[0, -2:].tolist() == [1.0, 1.0]
    assert np.isnan(table.values("latency_seconds")[by_index(11).index]).tolist() == [True, False]
    assert tables["cifar10-200"].values("latency_seconds").ndim == 1
    assert table.verify() == []


def test_a_prefix_keeps_sets_apart(official_folder: Path, tmp_path: Path) -> None:
    tables = import_official(official_folder, tmp_path, prefix="v1.0-", workers=1)
    assert {table.name for table in tables} == {f"v1.0-{name}" for name in TABLES}
    assert all(table.container.path.stem == table.name for table in tables)


@pytest.mark.parametrize(
    ("name", "content"),
    [("set.zip", b"PK"), ("numbers.txt", b"1"), ("x.tar", b""), ("x.pth", b""), ("x.pickle.pbz2", b"")],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=name):
        import_official(tmp_path / name, tmp_path / "out")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        import_official(tmp_path / "gone", tmp_path)
    with pytest.raises(SourceError, match="no files like"):
        import_official(tmp_path, tmp_path / "out")
    write_pickle(tmp_path / "meta.pickle.pbz2", {"meta_archs": ["x"]})
    with pytest.raises(SourceError, match="meta_archs"):
        nats.check_meta(tmp_path / "meta.pickle.pbz2")


def test_an_architecture_under_another_index_is_found(tmp_path: Path) -> None:
    values = whole()
    infos = values["arch2infos"]
    infos[0], infos[11] = infos[11], infos[0]
    write_pickle(tmp_path / "x.pickle.pbz2", values)
    with pytest.raises(SourceError, match="another one's index"):
        import_official(tmp_path / "x.pickle.pbz2", tmp_path / "out")
    infos[5] = infos[0]
    (tmp_path / "y.pickle.pbz2").write_bytes(
        __import__("bz2").compress(pickle.dumps(values | {"arch2infos": infos}))
    )
    with pytest.raises(SourceError):
        import_official(tmp_path / "y.pickle.pbz2", tmp_path / "out")


def test_a_files_md5_is_compared_with_its_name(tmp_path: Path) -> None:
    ending = hashlib.md5(b"content").hexdigest()[-6:]
    expectations = {
        f"NAS-Bench-201-v1_1-{ending}.pth": True,
        "NAS-Bench-201-v1_0-000000.pth": False,
        f"{NAME}.pickle.pbz2": False,
        "mine.pth": None,
    }
    for name, expected in expectations.items():
        (tmp_path / name).write_bytes(b"content")
        assert importer._agrees_with_name(tmp_path / name) is expected
