"""The NATS layout says what the table says, or nothing: times, gaps, folders, exports that are stopped."""

from __future__ import annotations

import bz2
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, NotRecorded, Table, cost, open_table
from nb201env.arrays import FloatArray
from nb201env.classes import canonical_classes, representatives
from nb201env.compat import create
from nb201env.files import AtWork, alone
from nb201env.official import describe
from nb201env.sources.export import META, to_csv, to_nats, to_parquet
from nb201env.sources.importer import import_official
from nb201env.space import SIZE
from nb201env.table import write_table
from tests.official_data import INDICES

Write = Callable[..., Table]
EPOCHS = list(range(1, 13))
CURVE = np.broadcast_to(np.linspace(0.1, 0.9, 12), (SIZE, 1, 12)).copy()
PLACE = Architecture.from_official_index(0).index
SECONDS = np.cumsum(np.random.default_rng(0).uniform(50, 150, 12))
"""The seconds of training up to each epoch."""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a table of cifar10-valid, 12 epochs, one run; columns and their descriptions can be changed."""

    def own(
        columns: dict[str, FloatArray | None] | None = None, specs: dict[str, Any] | None = None,
        **about: Any,
    ) -> Table:  # fmt: skip
        arrays = {f"{s}_{m}": CURVE for s in ("train", "valid", "test") for m in ("accuracy", "loss")}
        arrays = {name: a for name, a in (arrays | (columns or {})).items() if a is not None}
        manifest = describe("cifar10-valid", 12) | {"seeds": [777], "provenance": {}} | about
        manifest["columns"] = {name: {"epochs": EPOCHS} for name in arrays} | (specs or {})
        return write_table(tmp_path / "own.safetensors", manifest, arrays)

    return own


def totals(at: list[int]) -> FloatArray:
    """Seconds of training up to some epochs, of every architecture."""
    return np.broadcast_to(SECONDS[np.array(at) - 1], (SIZE, 1, len(at))).copy()


def official(folder: Path) -> Any:
    return pytest.importorskip("nats_bench").create(str(folder), "tss", fast_mode=True, verbose=False)


# -- seconds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [EPOCHS, [12], [4, 6, 12], [1, 12]], ids=str)
def test_totals_are_told_as_the_seconds_of_each_epoch(write: Write, tmp_path: Path, at: list[int]) -> None:
    table = write({"train_seconds": totals(at)}, {"train_seconds": {"epochs": at}})
    to_nats([table], tmp_path / "out", indices=[0], workers=1)
    theirs, ours = official(tmp_path / "out"), create([table])
    for epochs in at:
        asked = (0, "cifar10-valid", epochs - 1, "12", 777)
        expected = float(table.seconds(epochs=epochs, run=777)[PLACE])
        assert theirs.get_more_info(*asked)["train-all-time"] == pytest.approx(expected, rel=1e-12)
        assert ours.get_more_info(*asked)["train-all-time"] == expected
    costs = theirs.get_cost_info(0, "cifar10-valid", "12")
    assert costs["T-train@total"] == pytest.approx(SECONDS[-1], rel=1e-12)
    assert costs["T-train@epoch"] == pytest.approx(SECONDS[-1] / 12, rel=1e-12)
    back = import_official(tmp_path / "out", tmp_path / "back", workers=1)[0]
    assert back.seconds(epochs=12, run=777)[PLACE] == pytest.approx(SECONDS[-1], rel=1e-12)


def test_one_total_without_an_epoch_is_the_whole_trainings(write: Write, tmp_path: Path) -> None:
    table = write({"train_seconds": np.full(SIZE, 1200.0)}, {"train_seconds": {}})
    to_nats([table], tmp_path / "out", indices=[0], workers=1)
    info = official(tmp_path / "out").get_more_info(0, "cifar10-valid", None, "12", 777)
    assert info["train-all-time"] == pytest.approx(1200, rel=1e-12)
    assert create([table]).get_more_info(0, "cifar10-valid", None, "12", 777)["train-all-time"] == 1200


def test_seconds_of_each_epoch_stay_what_they_are(write: Write, tmp_path: Path) -> None:
    each = np.diff(np.concatenate([[0.0], SECONDS]))
    table = write(
        {"train_seconds": np.broadcast_to(each, (SIZE, 1, 12)).copy()},
        {"train_seconds": {"epochs": EPOCHS, "accumulates": True}},
    )
    to_nats([table], tmp_path / "out", indices=[0], workers=1)
    for iepoch in (0, 5, 11):
        found = official(tmp_path / "out").get_more_info(0, "cifar10-valid", iepoch, "12", 777)
        assert found["train-all-time"] == pytest.approx(SECONDS[iepoch], rel=1e-12)


@pytest.mark.parametrize(
    ("array", "spec"),
    [(np.full(SIZE, 7.0), {}), (np.full((SIZE, 1, 1), 7.0), {"epochs": [12]}),
     (np.full((SIZE, 1, 12), 7.0), {"epochs": EPOCHS})],
    ids=["one number", "after the last epoch", "after each epoch"],
)  # fmt: skip
def test_the_official_clock_counts_one_validation_pass(
    write: Write, tmp_path: Path, array: FloatArray, spec: dict[str, Any]
) -> None:
    """And the test set, of which no pass was timed, keeps its accuracy."""
    table = write({"train_seconds": totals(EPOCHS), "valid_seconds": array}, {"valid_seconds": spec})
    to_nats([table], tmp_path / "out", indices=[0], workers=1)
    expected = float(table.seconds(epochs=12, run=777)[PLACE])
    assert expected == SECONDS[-1] + 7
    info = official(tmp_path / "out").get_more_info(0, "cifar10-valid", None, "12", 777)
    assert info["train-all-time"] + info["valid-per-time"] == pytest.approx(expected, rel=1e-12)
    assert info["test-accuracy"] == pytest.approx(90)
    assert np.isnan(info["test-all-time"])
    accuracy, _, seconds, clock = create([table]).simulate_train_eval(0, "cifar10", None, "12")
    assert (accuracy, seconds, clock) == pytest.approx((90, expected, expected))


def test_a_built_tables_clock_is_the_exports(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from nb201env.training.builds import merge
    from nb201env.training.builds.plan import Plan
    from nb201env.training.data import SPLITS
    from nb201env.training.images.tasks import find_task
    from nb201env.training.network import Skeleton
    from nb201env.training.recipe import PRESETS

    rows = representatives()
    costs = np.stack([cost.macs(rows, "cifar10"), cost.params(rows, "cifar10")], axis=1)
    shape = (len(costs), 1, 12)
    raw: dict[str, Any] = {f"{split}_correct": np.full(shape, 500, np.int32) for split in SPLITS}
    raw |= {f"{split}_loss": np.ones(shape, np.float32) for split in SPLITS}
    facts = merge.Facts(
        Plan("cifar10-valid", "0" * 64, PRESETS["official-12"], (7,)), find_task("cifar10-valid"), (7,),
        {"train": 25_000, "valid": 25_000, "test": 10_000}, False, Skeleton(),
        {"mean": [0.0] * 3, "std": [1.0] * 3}, costs, raw, [{"torch": "2", "device": "cpu"}], len(costs),
    )  # fmt: skip
    table = write_table(
        tmp_path / "built.safetensors", merge.manifest(facts), merge.columns(facts), canonical_classes()
    )
    indices = [0, 284, 6111]
    to_nats([table], tmp_path / "out", indices=indices, workers=1)
    api = official(tmp_path / "out")
    for index in indices:
        place = Architecture.from_official_index(index).index
        for epochs in (1, 7, 12):
            seconds = float(table.seconds(epochs=epochs, run=7)[place])
            info = api.get_more_info(index, "cifar10-valid", epochs - 1, "12", 7)
            assert info["train-all-time"] + info["valid-per-time"] == pytest.approx(seconds, rel=1e-6)
            assert info["test-accuracy"] == pytest.approx(5)
    back = import_official(tmp_path / "out", tmp_path / "back", workers=1)[0]
    assert back.seconds(epochs=12, run=7)[PLACE] == pytest.approx(table.seconds(epochs=12, run=7)[PLACE])
    assert "test_seconds" not in back.columns, "what was not timed is not made up"


# -- what has no place -----------------------------------------------------------------------


def without(value: FloatArray, at: tuple[Any, ...]) -> FloatArray:
    changed = value.copy()
    changed[at] = np.nan
    return changed


FALLING = without(totals(EPOCHS), (slice(0),))
FALLING[:, :, 5] = 1.0


@pytest.mark.parametrize(
    ("columns", "specs", "about", "words"),
    [
        ({"edgegpu_energy": np.ones(SIZE)}, {"edgegpu_energy": {}}, {}, "no place for edgegpu_energy of"),
        ({"valtest_accuracy": CURVE}, {}, {}, "no place for valtest_accuracy"),
        ({"valid_top5_accuracy": CURVE}, {}, {}, "no place for valid_top5_accuracy"),
        ({"valid_loss": None}, {}, {}, "does not record valid_loss"),
        ({"test_loss": None}, {}, {}, "does not record test_loss, which .* with test_accuracy"),
        ({"train_accuracy": None, "train_loss": None}, {}, {}, "record train_accuracy, train_loss"),
        ({"test_accuracy": CURVE[:, 0, 0]}, {"test_accuracy": {"epochs": [12]}}, {},
         "only the mean over runs of test_accuracy"),
        ({"valid_accuracy": CURVE[:, :, :3]}, {"valid_accuracy": {"epochs": [1, 2, 3]}}, {},
         "valid_accuracy after epoch 12"),
        ({"train_loss": CURVE[:, :, :3]}, {"train_loss": {"epochs": [1, 2, 3]}}, {},
         "train_loss after epoch 12"),
        ({"train_seconds": totals([3, 6])}, {"train_seconds": {"epochs": [3, 6]}}, {},
         "train_seconds of epoch 12"),
        ({"train_seconds": totals([3, 12])}, {"train_seconds": {"epochs": [3, 12], "accumulates": True}}, {},
         "train_seconds of epoch 1,"),
        ({"train_seconds": FALLING}, {}, {}, "are totals, but fall"),
        ({"valid_seconds": totals([3, 12])}, {"valid_seconds": {"epochs": [3, 12]}}, {}, "needs all or one"),
        ({}, {}, {"kind": "surrogate"}, "predicted by a surrogate"),
        ({}, {}, {"schedule": {"epochs": 50}}, "no official task and schedule"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_faithfully_is_named(
    write: Write, tmp_path: Path, columns: dict[str, Any], specs: dict[str, Any], about: dict[str, Any],
    words: str,
) -> None:  # fmt: skip
    table = write(columns, specs, **about)
    with pytest.raises((NotRecorded, ValueError), match=words):
        to_nats([table], tmp_path / "out", indices=[0], workers=1)
    assert not (tmp_path / "out").exists()


def test_a_run_without_its_training_is_named_and_a_lost_loss_is_nan(write: Write, tmp_path: Path) -> None:
    table = write({"train_accuracy": without(CURVE, (PLACE, 0, 11))})
    with pytest.raises(NotRecorded, match="seed 0777 of architecture 0 .* lacks its last train"):
        to_nats([table], tmp_path / "out", indices=[0], workers=1)
    table = write({name: without(CURVE, (PLACE, 0, 11)) for name in ("train_loss", "valid_loss")})
    to_nats([table], tmp_path / "more", indices=[0], workers=1)
    info = official(tmp_path / "more").get_more_info(0, "cifar10-valid", None, "12", 777)
    assert (info["train-accuracy"], info["valid-accuracy"]) == pytest.approx((90, 90))
    assert np.isnan([info["train-loss"], info["valid-loss"]]).all()
    assert info["test-loss"] == pytest.approx(0.9)


def test_what_one_run_lacks_does_not_hide_the_others_numbers(write: Write, tmp_path: Path) -> None:
    """The official code reads all runs of an architecture to answer one."""
    two = {name: np.repeat(CURVE, 2, axis=1) for name in ("train_loss", "valid_accuracy", "valid_loss")}
    two |= {f"test_{m}": without(np.repeat(CURVE, 2, axis=1), (PLACE, 1)) for m in ("accuracy", "loss")}
    two["train_accuracy"] = without(np.repeat(CURVE, 2, axis=1), (PLACE, 0, 5))
    seconds = np.broadcast_to(SECONDS, (SIZE, 2, 12))
    two |= {"train_seconds": without(seconds, (PLACE, 1)), "valid_seconds": without(seconds, (PLACE, 0))}
    table = write(two, seeds=[777, 888])
    to_nats([table], tmp_path / "out", indices=[0], workers=1)
    api = official(tmp_path / "out")
    one, other = (api.get_more_info(0, "cifar10-valid", None, "12", seed) for seed in (777, 888))
    assert one["test-accuracy"] == pytest.approx(90)
    assert one["train-all-time"] == pytest.approx(SECONDS[-1])
    assert other["valid-all-time"] == pytest.approx(SECONDS.sum())
    assert np.isnan([other["test-accuracy"], other["train-all-time"], one["valid-all-time"]]).all()
    early = api.get_more_info(0, "cifar10-valid", 5, "12", 888)
    assert early["train-accuracy"] == pytest.approx(100 * CURVE[0, 0, 5])


@pytest.mark.parametrize("index", [-1, SIZE, 2.5, True, "0"])
def test_an_index_outside_the_space_is_refused(write: Write, tmp_path: Path, index: Any) -> None:
    with pytest.raises(ValueError, match="an official index is in 0..15624"):
        to_nats([write()], tmp_path / "out", indices=[index], workers=1)
    assert not (tmp_path / "out").exists()


# -- folders ---------------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_mixed_with_what_is_there(official_tables: dict[str, Table], tmp_path: Path) -> None:
    out = tmp_path / "out"
    one, other = official_tables["cifar100-200"], official_tables["cifar10-200"]
    assert to_nats([one], out, indices=INDICES[:2], workers=1) == 2
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(before) == ["000000.pickle.pbz2", "000011.pickle.pbz2", META]
    for table in (one, other):
        with pytest.raises(FileExistsError, match="is not empty .*000000.*into a folder of its own"):
            to_nats([table], out, indices=INDICES, workers=1)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileExistsError):
        to_nats([one], tmp_path / "file", indices=INDICES, workers=1)


def test_of_two_exports_into_one_folder_the_second_says_so(
    official_tables: dict[str, Table], tmp_path: Path
) -> None:
    with alone(tmp_path / ".lock", "exporting there"), pytest.raises(AtWork, match="exporting into"):
        to_nats([official_tables["cifar100-200"]], tmp_path, indices=INDICES, workers=1)
    assert names(tmp_path) == []


def test_a_stopped_export_has_no_meta_file_and_goes_on(
    official_tables: dict[str, Table], tmp_path: Path
) -> None:
    tables = [official_tables["cifar100-200"], official_tables["cifar100-12"]]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to_nats(tables, tmp_path, indices=[*INDICES, *range(100)], workers=1, progress=stop)
    assert META not in names(tmp_path)
    first = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.pbz2")}
    assert first
    (tmp_path / ".000011.pickle.pbz2.1-aa.partial").write_bytes(b"half")
    with pytest.raises(FileExistsError, match="an unfinished export of other tables"):
        to_nats(tables[:1], tmp_path, indices=INDICES, workers=1)
    assert to_nats(tables[::-1], tmp_path, indices=INDICES, workers=1) == len(INDICES)
    assert names(tmp_path) == [*(f"{index:06d}.pickle.pbz2" for index in INDICES), META]
    assert first.items() <= {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}.items()
    assert official(tmp_path).get_more_info(11, "cifar100", None, "200", 777)["valid-accuracy"]


def test_no_architecture_no_export(official_tables: dict[str, Table], tmp_path: Path) -> None:
    with pytest.raises(NotRecorded, match="no run of any of these"):
        to_nats([official_tables["cifar100-200"]], tmp_path, indices=[5], workers=1)
    assert META not in names(tmp_path)
    with pytest.raises(ValueError, match="at least one table"):
        to_nats([], tmp_path / "none")


CHILD = """
import sys
from nb201env import open_table
from nb201env.sources.export import to_nats
if __name__ == "__main__":
    to_nats([open_table(sys.argv[1])], sys.argv[2], workers=2)
"""


def test_the_workers_of_a_killed_export_end_with_it(write: Write, tmp_path: Path) -> None:
    table, out = write(), tmp_path / "out"
    (tmp_path / "child.py").write_text(CHILD)
    command = [sys.executable, str(tmp_path / "child.py"), str(table.container.path), str(out)]
    export = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 60
        while not list(out.glob("0*.pbz2")):
            assert time.monotonic() < deadline
            assert export.poll() is None
            time.sleep(0.02)
    finally:
        export.send_signal(signal.SIGKILL)
        export.wait()
    time.sleep(0.5)
    held = names(out)
    time.sleep(0.5)
    assert names(out) == held
    assert len(held) < SIZE
    assert META not in held
    whole = [path for path in out.glob("0*.pbz2") if pickle.loads(bz2.decompress(path.read_bytes()))]
    indices = [int(path.name[:6]) for path in whole]
    assert to_nats([table], out, indices=indices, workers=1) == len(indices)
    assert names(out) == [path.name for path in sorted(whole)] + [META]


# -- rows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_of_an_epoch_that_was_not_recorded_are_no_file(
    official_tables: dict[str, Table], tmp_path: Path, ending: str
) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    save = to_csv if ending == "csv" else to_parquet
    table = official_tables["cifar10-valid-12"]
    for epochs in (0, 13, -1):
        with pytest.raises(NotRecorded, match=rf"nothing at epochs={epochs} .*valid_accuracy: 1\.\.12"):
            save(table, tmp_path / f"x.{ending}", epochs=epochs)
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere"):
        save(table, tmp_path / "nowhere" / f"x.{ending}")
    assert names(tmp_path) == []


def test_the_index_columns_say_which_index_they_are(tmp_path: Path) -> None:
    to_csv(open_table("cifar100-200"), tmp_path / "x.csv")
    heading, first = (tmp_path / "x.csv").read_text().splitlines()[:2]
    assert heading.split(",")[:2] == ["architecture", "official_index"]
    assert first.split(",")[:2] == [str(Architecture.from_official_index(0)), "0"]
