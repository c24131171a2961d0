"""Surrogate tables: the interface of a table, honest labels, and environments over them."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from nb201env import cost
from nb201env.classes import canonical_classes, representatives
from nb201env.envs.registration import SURROGATES, TABLES
from nb201env.envs.single import NB201Env
from nb201env.space import SIZE
from nb201env.surrogate.model import Surrogate, fit_surrogate
from nb201env.surrogate.tables import SCALE, SurrogateTable, materialise
from nb201env.table import Table
from nb201env.tables import embedded, open_table
from tests.surrogate.conftest import SMALL

SURROGATE_ID = "NB201-cifar10-surrogate-v0"


@pytest.fixture(scope="module")
def predicted(small: Surrogate) -> SurrogateTable:
    return SurrogateTable(small)


def test_it_is_a_table(predicted: SurrogateTable) -> None:
    assert isinstance(predicted, Table)
    assert predicted.dataset == "cifar10"
    assert predicted.epochs == 200
    assert predicted.seeds == (0, 1, 2)
    assert set(predicted.columns) == {"valid_accuracy", "train_seconds", "latency_seconds", "params"}
    assert not predicted.verify()
    assert not np.isnan(predicted.runs(split="valid", epochs=200)).any()
    public = [name for name, _ in inspect.getmembers(Table) if not name.startswith("_")]
    assert all(hasattr(predicted, name) for name in public)


def test_a_pickle_holds_the_whole_table_and_a_copy_is_the_table(predicted: SurrogateTable) -> None:
    """It lies nowhere else: an environment over it can go to another process all the same."""
    env = NB201Env(predicted)
    env.reset(seed=0)
    assert copy.deepcopy(env).table is predicted
    other = pickle.loads(pickle.dumps(env))
    assert (type(other.table), other.table.id) == (SurrogateTable, predicted.id)
    assert other.table.container.path != predicted.container.path
    assert [env.step(op) for op in range(4)][-1][1:] == [other.step(op) for op in range(4)][-1][1:]
    table = pickle.loads(pickle.dumps(predicted))
    folder = table.container.path.parent
    del table
    gc.collect()
    assert not folder.exists()


def test_the_mean_over_runs_is_the_prediction(small: Surrogate, predicted: SurrogateTable) -> None:
    mean = predicted.accuracy(split="valid", epochs=200, run="mean")
    np.testing.assert_allclose(mean, small.predict(np.arange(SIZE))[0], atol=0.51 / SCALE)
    np.testing.assert_allclose(mean, mean[representatives()][canonical_classes()], atol=1e-12)


def test_imagined_runs_differ_by_the_noise(predicted: SurrogateTable, table: Table) -> None:
    imagined = predicted.runs(split="valid", epochs=200)
    real = table.runs(split="valid", epochs=200)
    spreads = [np.nanmedian(np.abs(runs[:, 0] - runs[:, 1])) for runs in (imagined, real)]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.4)
    assert ((imagined >= 0) & (imagined <= 1)).all()


def test_times_are_predicted_and_params_exact(predicted: SurrogateTable, table: Table) -> None:
    for column, epochs in (("train_seconds", 200), ("latency_seconds", None)):
        real, guess = table.values(column, epochs=epochs), predicted.values(column, epochs=epochs)
        assert np.corrcoef(real, guess)[0, 1] > 0.9
        assert np.median(np.abs(guess / real - 1)) < 0.1
    np.testing.assert_array_equal(predicted.values("params"), cost.params(np.arange(SIZE), "cifar10"))


def test_it_never_passes_for_a_table_of_trainings(predicted: SurrogateTable, small: Surrogate) -> None:
    manifest = predicted.manifest
    assert predicted.name == "cifar10-valid-200-surrogate"
    assert manifest["kind"] == "surrogate"
    assert "predict" in manifest["columns"]["valid_accuracy"]["what"]
    assert "no network was trained" in manifest["provenance"]["numbers"]
    assert manifest["provenance"]["training_architectures"] == small.architectures.tolist()
    assert set(predicted.seeds).isdisjoint(open_table("cifar10-valid-200").seeds)
    with pytest.raises(ValueError, match="ends in '-surrogate'"):
        SurrogateTable(small, name="cifar10-valid-200")
    for name in embedded():
        says = open_table(name).manifest.get("kind") == "surrogate"
        assert says == name.endswith("-surrogate")
    for env_id, name in (TABLES | SURROGATES).items():
        assert ("surrogate" in env_id) == name.endswith("-surrogate")


def test_saving_gives_a_table_file(predicted: SurrogateTable, small: Surrogate, tmp_path: Path) -> None:
    written = predicted.save(tmp_path / "mine-surrogate.safetensors")
    assert written.id == predicted.id
    again = materialise(small, tmp_path / "again-surrogate.safetensors")
    assert again.id == predicted.id
    other = materialise(small, tmp_path / "other-surrogate.safetensors", seed=1)
    assert other.id != predicted.id


def test_saving_that_breaks_off_leaves_what_was_there(
    predicted: SurrogateTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(_: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("disk full")

    path = tmp_path / "mine-surrogate.safetensors"
    path.write_bytes(b"before")
    monkeypatch.setattr("shutil.copyfile", half)
    with pytest.raises(OSError, match="disk full"):
        predicted.save(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_goes_with_the_table(small: Surrogate) -> None:
    table = SurrogateTable(small)
    folder = table.container.path.parent
    assert folder.is_dir()
    del table
    assert not folder.exists()


def test_at_least_one_run(small: Surrogate) -> None:
    assert SurrogateTable(small, runs=1).seeds == (0,)
    with pytest.raises(ValueError, match="at least 1"):
        SurrogateTable(small, runs=0)


def test_without_several_seeds_all_runs_are_the_prediction(curve_table: Table) -> None:
    surrogate = fit_surrogate(curve_table, range(0, 400, 10), split="valid", epochs=12, settings=SMALL)
    surrogate.noise = None
    runs = SurrogateTable(surrogate).runs(split="valid", epochs=12)
    assert (runs == runs[:, :1]).all()


@pytest.mark.parametrize(
    ("architectures", "message"),
    [
        ([1], "at least two"),
        ([0.5, 1.5], "at least two lexicographic indices"),
        ([3, 3, 4], "1 training architectures are named twice"),
        ([0, SIZE], "in 0..15624"),
        ([-1, 5], "in 0..15624"),
    ],
)
def test_bad_training_architectures_are_refused(
    table: Table, architectures: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_surrogate(table, np.array(architectures), split="valid", epochs=200)


# -- environments ------------------------------------------------------------------------------


@pytest.mark.parametrize("actions", ["build", "pick", "edit"])
@pytest.mark.parametrize("observations", ["ops", "onehot"])
def test_gymnasium_accepts_the_surrogate_environment(actions: str, observations: str) -> None:
    env = gym.make(SURROGATE_ID, actions=actions, observations=observations)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=True)


def test_stable_baselines3_accepts_the_surrogate_environment() -> None:
    check = pytest.importorskip("stable_baselines3.common.env_checker")
    check.check_env(gym.make(SURROGATE_ID).unwrapped)


@pytest.mark.parametrize("env_id", [SURROGATE_ID, "NB201-cifar10-v0"])
def test_an_environment_takes_a_path(predicted: SurrogateTable, tmp_path: Path, env_id: str) -> None:
    path = tmp_path / "mine-surrogate.safetensors"
    predicted.save(path)
    env = gym.make(env_id, table=str(path), actions="pick", run="mean")
    env.reset(seed=0)
    ops = np.array([3, 3, 3, 1, 3, 2])
    reward = env.step(ops)[1]
    assert reward == pytest.approx(
        predicted.query(ops.tolist(), split="valid", epochs=200, run="mean").accuracy
    )


def test_the_shipped_environment_steps_through_predictions() -> None:
    table = open_table(SURROGATES[SURROGATE_ID])
    env = gym.make(SURROGATE_ID, actions="pick")
    env.reset(seed=0)
    ops = [3, 3, 3, 1, 3, 2]
    runs = {round(float(env.step(np.array(ops))[1]), 9) for _ in range(30) if env.reset()}
    assert runs == {
        round(table.query(ops, split="valid", epochs=200, run=seed).accuracy, 9) for seed in table.seeds
    }


def test_the_vector_environment_runs_on_it() -> None:
    envs = gym.make_vec(SURROGATE_ID, num_envs=4)
    envs.reset(seed=0)
    for _ in range(6):
        _, reward, terminated, _, _ = envs.step(np.full(4, 3))
    assert terminated.all()
    assert (reward > 0.85).all()
    envs.close()


@pytest.mark.parametrize("shift", [-3.0, 3.0])
def test_predictions_beyond_0_and_1_do_not_wrap(table: Table, tmp_path: Path, shift: float) -> None:
    """A scale without ends may predict an accuracy of 3 or of -3; whole numbers would begin anew."""
    settings = {"n_members": 1, "n_estimators": 3, "target": "identity"}
    surrogate = fit_surrogate(table, range(40), split="valid", epochs=200, settings=settings)
    surrogate = replace(surrogate, noise=None, costs={})
    surrogate.accuracy.center_ += shift
    written = materialise(surrogate, tmp_path / "t-surrogate")
    assert set(written.runs(split="valid", epochs=200).ravel()) == {1.0 if shift > 0 else 0.0}


def test_predictions_that_are_no_numbers_make_no_table(table: Table, tmp_path: Path) -> None:
    settings = {"n_members": 1, "n_estimators": 3, "target": "identity"}
    surrogate = fit_surrogate(table, range(40), split="valid", epochs=200, settings=settings)
    surrogate.accuracy.center_ = float("nan")
    with pytest.raises(ValueError, match="predicts valid_accuracy that are no numbers"):
        materialise(surrogate, tmp_path / "t-surrogate")
    assert list(tmp_path.iterdir()) == []
