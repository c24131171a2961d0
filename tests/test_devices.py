"""Costs on devices: embedded beside the tables, known to every table of the networks that were measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

import nb201env
from nb201env.classes import canonical_classes, representatives
from nb201env.cli import build
from nb201env.comparison import cost_names, costs, unit_of
from nb201env.container import Container, DamagedTable
from nb201env.devices import devices, file_of, of_dataset, read, write
from nb201env.missing import NotRecorded
from nb201env.space import CONV1X1, CONV3X3, NONE, POOL, SIZE, SKIP
from nb201env.tables import embedded, open_table
from tests.epoch_table import write_epoch_table

NAME = "cpu_latency_seconds"
TABLE = "cifar10-valid-200"
FILES = sorted(file_of("cifar10", "cpu").parent.glob("*.safetensors"))
KEYS = {"what", "device", "machine", "software", "task", "network", "batch", "repeats", "rounds", "reference",
        "date", "kendall_between_rounds"}  # fmt: skip
MEASURED = dict.fromkeys(KEYS, "made up")


def cell(*ops: int) -> int:
    """The index of the architecture of six ops."""
    return nb201env.Architecture(ops).index


# -- what is embedded ------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_embedded_file_is_whole_small_and_says_where_it_comes_from(path: Path) -> None:
    opened, device = Container(path), read(path)
    assert not any(map(opened.damage, opened.manifest["arrays"]))
    assert path.stat().st_size < 50_000
    assert opened.array("values").shape == (5485,)
    assert {*device.measured} == KEYS
    assert device.licence == "MIT"
    assert device.measured["machine"] in device.where
    assert (device.values > device.spread).all()
    assert np.array_equal(device.values, device.values[representatives()][canonical_classes()])


def test_the_latency_is_one_that_such_networks_have() -> None:
    """What computes more of the same takes longer, by what its spread leaves open; nothing is the fastest."""
    latency = of_dataset("cifar10")[NAME]
    assert canonical_classes()[latency.values.argmin()] == canonical_classes()[cell(*[NONE] * 6)]
    for op in (CONV1X1, CONV3X3, POOL):
        one, three, six = (latency.values[cell(*ops)] for ops in (
            (NONE, NONE, NONE, op, NONE, NONE), (op, NONE, op, NONE, NONE, op), (op,) * 6
        ))  # fmt: skip
        assert latency.values.min() < one < three < six
    assert np.median(latency.spread / latency.values) < 0.05
    chains = [latency.values[cell(op, NONE, op, NONE, NONE, op)] for op in (SKIP, CONV1X1, CONV3X3)]
    assert chains == sorted(chains)


def test_no_table_changed() -> None:
    """It is in none, and is no table itself."""
    assert all(NAME not in open_table(name).columns for name in embedded())
    with pytest.raises(NotRecorded):
        open_table(TABLE).values(NAME)


# -- whose cost it is ------------------------------------------------------------------------


@pytest.mark.parametrize("name", embedded())
def test_it_is_a_cost_of_cifar10_alone(name: str) -> None:
    table = open_table(name)
    known = table.dataset == "cifar10"
    assert (NAME in cost_names(table)) == (NAME in devices(table)) == known
    if known:
        assert np.array_equal(costs(table, NAME), of_dataset("cifar10")[NAME].values)
        assert unit_of(table, NAME) == "s"
    else:
        with pytest.raises(NotRecorded, match=f"does not record '{NAME}'"):
            costs(table, NAME)


def test_a_table_of_other_networks_does_not_have_it(tmp_path: Path) -> None:
    table = write_epoch_table(tmp_path / "curves.safetensors")
    assert "skeleton" not in table.manifest
    assert NAME in cost_names(table)
    table.manifest["skeleton"] = {"width": 4}
    assert NAME not in cost_names(table)


def test_a_tables_own_column_comes_first(tmp_path: Path) -> None:
    rows = "\n".join(f"index:{index},{index + 1}" for index in range(SIZE))
    (tmp_path / "own.csv").write_text(f"arch,s\n{rows}\n")
    run("table", "add-columns", tmp_path / "own.csv", "--table", TABLE, "--name", "own", "--out", tmp_path,
        "--key", "arch", "--column", f"s={NAME}")  # fmt: skip
    table = open_table(tmp_path / "own.safetensors")
    assert np.array_equal(costs(table, NAME), np.arange(1.0, SIZE + 1))
    assert devices(table) == {}
    assert cost_names(table).count(NAME) == 1


def test_who_gets_it_may_write_on_it() -> None:
    costs(open_table(TABLE), NAME)[:] = 0
    assert costs(open_table(TABLE), NAME).min() > 0
    with pytest.raises(ValueError, match="read-only"):
        of_dataset("cifar10")[NAME].values[0] = 0


# -- files -----------------------------------------------------------------------------------


def made(path: Path, change: Callable[[np.ndarray[Any, Any]], None] = lambda values: None) -> Path:
    values = np.random.default_rng(0).uniform(1, 2, len(representatives())).astype(np.float32)
    of_architectures = values[canonical_classes()].astype(np.float64)
    change(of_architectures)
    write(path, NAME, of_architectures, of_architectures / 16, MEASURED, "MIT")
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    device = read(made(tmp_path / "one.safetensors"))
    assert (device.name, device.measured, device.licence) == (NAME, MEASURED, "MIT")
    assert np.array_equal(device.spread, device.values / 16)
    assert made(tmp_path / "two.safetensors").read_bytes() == (tmp_path / "one.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [(slice(None), np.nan, "every class needs a number above 0"), (slice(None), 0.0, "a number above 0"),
     (-1, 7.0, "members of a canonical class have one number each"), (-1, np.nan, "members of")],
)  # fmt: skip
def test_what_is_no_cost_of_classes_is_not_written(
    place: Any, value: float, message: str, tmp_path: Path
) -> None:
    shared = np.flatnonzero(np.bincount(canonical_classes())[canonical_classes()] > 1)

    def change(values: np.ndarray[Any, Any]) -> None:
        values[shared[place] if place == -1 else place] = value

    with pytest.raises(ValueError, match=message):
        made(tmp_path / "one.safetensors", change)
    assert not any(tmp_path.iterdir())


def test_another_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedTable, match="holds no cost on a device"):
        read(open_table(TABLE).container.path)
    path = made(tmp_path / "one.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DamagedTable, match="sha256"):
        read(path)


# -- where costs are asked for ---------------------------------------------------------------


def run(*words: Any) -> str:
    result = CliRunner().invoke(build(), [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def test_info_says_what_the_machine_was() -> None:
    about = dict(of_dataset("cifar10")[NAME].measured)
    assert f"{about['machine']}, batch 1, {about['software']}, {about['date']}" in run("table", "info", TABLE)
    assert json.loads(run("table", "info", TABLE, "--json"))["devices"] == {NAME: about}
    assert json.loads(run("table", "info", "cifar100-200", "--json"))["devices"] == {}
    assert NAME not in run("table", "info", "digits-10")


def test_the_best_within_a_latency() -> None:
    table, limit = open_table(TABLE), 0.003
    words = ["--split", "valid", "--epochs", "200", "--max", f"{NAME}={limit}", "--json"]
    best = json.loads(run("table", "best", TABLE, *words))["best"][0]
    accuracy = table.accuracy(split="valid", epochs=200, run="mean")
    allowed = np.where(costs(table, NAME) <= limit, accuracy, np.nan)
    assert best["accuracy"] == pytest.approx(np.nanmax(allowed))
    assert best["costs"][NAME] <= limit


def test_limits_and_costs_of_an_environment() -> None:
    price = costs(open_table(TABLE), NAME)
    slow, fast = int(price.argmax()), cell(CONV3X3, NONE, NONE, SKIP, NONE, NONE)
    limit = float(price[fast])
    options: dict[str, Any] = {"actions": "pick", "limit": {"on": NAME, "max": limit}, "costs": [NAME]}
    env = gym.make("NB201-cifar10-v0", **options)
    for index in (slow, fast):
        env.reset(seed=0)
        _, reward, *_, info = env.step(np.array(nb201env.Architecture.from_index(index).ops))
        assert info[NAME] == price[index]
        assert (float(reward) > 0) == (price[index] <= limit)


def test_an_objective_and_its_front() -> None:
    env: Any = gym.make("NB201-cifar10-mo-v0", objectives=["accuracy", NAME], run="mean", actions="pick")
    front = env.unwrapped.true_front()
    accuracy = open_table(TABLE).accuracy(split="valid", epochs=200, run="mean")
    price = costs(open_table(TABLE), NAME)
    for index in front.index:
        better = (accuracy >= accuracy[index]) & (price <= price[index])
        assert ((accuracy[better] == accuracy[index]) & (price[better] == price[index])).all()
    env.reset(seed=0)
    _, reward, *_ = env.step(np.array(nb201env.Architecture.from_index(int(front.index[0])).ops))
    assert reward[1] == pytest.approx(-price[front.index[0]] / price.max())
    with pytest.raises(NotRecorded, match=f"no objective '{NAME}'"):
        gym.make("NB201-cifar100-mo-v0", objectives=["accuracy", NAME])


def test_a_plot_has_it_as_an_axis(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ["--split", "valid", "--x", NAME, "--out", tmp_path / "a.png", "--json"]
    drawn = json.loads(run("table", "plot", TABLE, *words))
    assert (tmp_path / "a.png").exists()
    assert len(drawn["front"]) > 1
