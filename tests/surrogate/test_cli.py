"""`nb201 surrogate`: what it writes and prints, and how it answers mistakes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import cli as main_cli
from nb201env import extras, surrogate
from nb201env.architecture import Architecture
from nb201env.space import SIZE
from nb201env.surrogate.cli import app
from nb201env.surrogate.storage import load
from nb201env.table import Table, write_table
from nb201env.tables import find, open_table

runner = CliRunner()
FIT = ["fit", "--table", "cifar10-valid-200", "--split", "valid", "--epochs", "200"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    folder = tmp_path_factory.mktemp("cli")
    model, table = folder / "model.safetensors", folder / "mine-surrogate.safetensors"
    result = runner.invoke(app, [*FIT, "--size", "40", "--out", str(model), "--table-out", str(table)])
    assert result.exit_code == 0, result.output
    return model, table, result.output


def test_fit_writes_a_model_and_its_table(fitted: tuple[Path, Path, str]) -> None:
    model, table, output = fitted
    surrogate, predicted = load(model), Table.open(table)
    assert len(surrogate.architectures) == 40
    assert predicted.name == "mine-surrogate"
    assert predicted.manifest["provenance"]["training_architectures"] == surrogate.architectures.tolist()
    assert predicted.manifest["provenance"]["command"].startswith("nb201")
    assert f"kendall tau          {surrogate.manifest['held_out_scores']['kendall_tau']:.4f}" in output
    assert "trained on 40 architectures of cifar10-valid-200" in output


def test_fit_takes_a_file_of_architectures(tmp_path: Path) -> None:
    (tmp_path / "architectures.txt").write_text("\n".join(f"index:{i}" for i in range(0, SIZE, 600)))
    arguments = [
        "--architectures",
        str(tmp_path / "architectures.txt"),
        "--out",
        str(tmp_path / "m"),
        "--seed",
        "3",
    ]
    assert runner.invoke(app, [*FIT, *arguments]).exit_code == 0
    surrogate = load(tmp_path / "m")
    np.testing.assert_array_equal(surrogate.architectures, np.arange(0, SIZE, 600))
    assert surrogate.accuracy.random_state == 3


def test_predict_prints_per_cent(fitted: tuple[Path, Path, str]) -> None:
    text = str(Architecture.from_index(9375))
    result = runner.invoke(app, ["predict", str(fitted[0]), "index:9375", text])
    assert result.exit_code == 0
    first, second = result.output.splitlines()
    accuracy = 100 * load(fitted[0]).predict(np.array([9375]))[0][0]
    assert f"{accuracy:.2f} %" in first
    assert "(predicted)" in first
    assert first == second


def test_predict_writes_the_whole_space(fitted: tuple[Path, Path, str], tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    assert runner.invoke(app, ["predict", str(fitted[0]), "--out", str(path)]).exit_code == 0
    lines = path.read_text().splitlines()
    assert lines[0] == "index,architecture,accuracy,deviation"
    assert len(lines) == SIZE + 1
    index, text, accuracy, _ = lines[43].split(",")
    assert (int(index), Architecture.parse(text).index) == (42, 42)
    assert 0 < float(accuracy) < 1


def test_evaluate_writes_a_report(tmp_path: Path) -> None:
    arguments = ["evaluate", "--table", "cifar10-valid-200", "--split", "valid", "--epochs", "200"]
    arguments += ["--out", str(tmp_path), "--sizes", "30", "--draws", "1", "--model", "surrogate,ridge"]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "N =    30  Kendall tau 0." in result.output
    assert (tmp_path / "fidelity.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*FIT, "--out", "m"], "say either --size .* or --architectures"),
        ([*FIT, "--out", "m", "--size", "20000"], "so --size is 2 to 15,625; got 20,000"),
        ([*FIT, "--out", "m", "--size", "20", "--encoding", "x"], "unknown encoding 'x'"),
        ([*FIT, "--out", "m", "--architectures", "none.txt"], "none.txt"),
        ([*FIT[:2], "nowhere", *FIT[3:], "--out", "m", "--size", "20"], "no table 'nowhere'"),
        ([*FIT[:4], "test", *FIT[5:], "--out", "m", "--size", "20"], "does not record 'test_accuracy'"),
        ([*FIT[:6], "12", "--out", "m", "--size", "20"], "at epochs=12; recorded: 200"),
        (["predict", "none.safetensors", "index:3"], "none.safetensors"),
        (["evaluate", "--table", "cifar10-valid-200", *FIT[3:], "--model", "svm"], "unknown model 'svm'"),
        (["evaluate", "--table", "cifar10-valid-200", *FIT[3:], "--sizes", "a,b"], "--sizes takes whole"),
    ],
)  # fmt: skip
def test_mistakes_are_named(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, arguments)
    assert result.exit_code != 0
    assert result.exception is not None
    with pytest.raises(type(result.exception), match=message):
        raise result.exception
    assert not list(tmp_path.glob("m"))


def test_files_that_are_there_are_not_replaced_unasked(
    fitted: tuple[Path, Path, str], tmp_path: Path
) -> None:
    """Neither the model nor the table; asked before anything is fitted."""
    model, table, _ = fitted
    before = model.read_bytes(), table.read_bytes()
    for out, table_out in ((model, tmp_path / "t-surrogate"), (tmp_path / "m", table)):
        arguments = [*FIT, "--size", "30", "--out", str(out), "--table-out", str(table_out)]
        result = runner.invoke(app, arguments)
        assert isinstance(result.exception, FileExistsError)
        assert "is there already; name another --" in str(result.exception)
    assert (model.read_bytes(), table.read_bytes()) == before
    assert list(tmp_path.iterdir()) == []
    copy = tmp_path / "copy"
    copy.write_bytes(before[0])
    assert runner.invoke(app, [*FIT, "--size", "30", "--out", str(copy), "--replace"]).exit_code == 0
    assert len(load(copy).architectures) == 30


def test_no_table_takes_an_embedded_ones_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NB201_HOME", str(tmp_path))
    place = tmp_path / "cifar10-valid-200-surrogate.safetensors"
    arguments = [*FIT, "--size", "30", "--out", str(tmp_path / "m"), "--table-out", str(place), "--replace"]
    assert "would mean the embedded table" in str(runner.invoke(app, arguments).exception)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_saved_is_not_fitted(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    shutil.copy(find("cifar100-200"), path)
    arguments = [
        *FIT,
        "--size",
        "30",
        "--out",
        str(tmp_path / "m"),
        "--encoding",
        f"transfer:{path}:valid:200",
    ]
    assert "cannot be saved: it reads the table" in str(runner.invoke(app, arguments).exception)


def test_all_of_a_table_of_means_is_learnt(tmp_path: Path) -> None:
    """Up to the last architecture that it records; one more is refused."""
    means = open_table("cifar10-valid-200").accuracy(split="valid", epochs=200, run="mean").copy()
    means[40:] = np.nan
    manifest = {
        "name": "means", "task": {"name": "toy", "dataset": "toy"}, "schedule": {"epochs": 200}, "seeds": [],
        "columns": {"valid_accuracy": {"epochs": [200]}}, "provenance": {}, "licence": "MIT",
    }  # fmt: skip
    write_table(tmp_path / "means.safetensors", manifest, {"valid_accuracy": means})
    arguments = [
        "fit",
        "--table",
        str(tmp_path / "means.safetensors"),
        *FIT[3:],
        "--out",
        str(tmp_path / "m"),
    ]
    result = runner.invoke(app, [*arguments, "--size", "40", "--folds", "2"])
    assert result.exit_code == 0, result.output
    assert "trained on 40 architectures of means" in result.output
    assert "cross-validated in 2 folds" in result.output
    assert "no noise: 0 architectures were run more than once" in result.output
    assert "no clock: it learnt from no seconds" in result.output
    result = runner.invoke(app, [*arguments, "--size", "41", "--replace"])
    assert "means records 40 architectures, so --size is 2 to 40; got 41" in str(result.exception)


# -- evaluations of one's own ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A file of 40 evaluations of two runs, and the command that fits on it."""
    path = tmp_path_factory.mktemp("own") / "mine.csv"
    runs = open_table("cifar10-valid-200").runs(split="valid", epochs=200)
    rows = [f"index:{i},{100 * runs[i, 0]:.3f},{100 * runs[i, 2]:.3f},{i + 1}" for i in range(3, SIZE, 400)]
    path.write_text("\n".join(["arch,acc,again,s", *rows]))
    return path, ["fit", "--csv", str(path), "--key", "arch", "--value", "acc"]


@pytest.fixture(scope="module")
def own_model(own: tuple[Path, list[str]]) -> tuple[Path, str]:
    model = own[0].with_name("model")
    result = runner.invoke(app, [*own[1], "--folds", "3", "--out", str(model)])
    assert result.exit_code == 0, result.output
    return model, result.output


def test_fit_says_how_good_it_is_and_how_surely(own_model: tuple[Path, str]) -> None:
    model, output = own_model
    found = load(model).manifest["cross_validation"]
    assert "trained on 40 architectures of mine" in output
    assert "40 rows of mine.csv, accuracies in percent; data set mine, epochs 1 (not stated" in output
    tau, spread = found["scores"]["kendall_tau"], found["spread"]["kendall_tau"]
    assert f"Kendall's tau        {tau:.3f} ± {spread:.3f}" in output
    assert f"mean error, points   {100 * found['scores']['mae']:.3f}" in output
    assert "Spearman's rho" in output
    assert "R2" in output
    assert f"in 80 % interval, %  {100 * found['scores']['coverage_80']:.1f}" in output
    low, high = found["kendall_tau_95"]["low"], found["kendall_tau_95"]["high"]
    assert f"Kendall's tau is {low:.2f}..{high:.2f} (95 %); that is few to judge by" in output


def test_the_table_of_a_model_is_one_command(own_model: tuple[Path, str], tmp_path: Path) -> None:
    out = tmp_path / "x.safetensors"
    result = runner.invoke(app, ["table", str(own_model[0]), "--out", str(out)])
    assert result.exit_code == 0, result.output
    table = Table.open(out)
    assert (table.name, table.seeds, table.dataset) == ("mine-surrogate", (0,), "mine")
    assert f"table mine-surrogate {table.id[:12]}" in result.output
    assert "no clock" in result.output
    env = gym.make("NB201-v0", table=str(out), budget_queries=100)
    env.reset(seed=0)
    there = runner.invoke(app, ["table", str(own_model[0]), "--out", str(out)])
    assert isinstance(there.exception, FileExistsError)
    again = ["table", str(own_model[0]), "--out", str(out), "--replace", "--runs", "2", "--json",
             "--name", "other-surrogate"]  # fmt: skip
    found = json.loads(runner.invoke(app, again).output)
    assert (found["name"], found["seeds"], found["clock"], found["noise"]) == (
        "other-surrogate", [0, 1], False, False,
    )  # fmt: skip


def test_runs_and_seconds_give_noise_and_a_clock(own: tuple[Path, list[str]], tmp_path: Path) -> None:
    further = ["--value", "again", "--seconds", "s", "--dataset", "cifar10", "--epochs", "200"]
    path = tmp_path / "t-surrogate.safetensors"
    further += ["--folds", "0", "--out", str(tmp_path / "m"), "--table-out", str(path), "--json"]
    found = json.loads(runner.invoke(app, [*own[1], *further]).output)
    assert (found["noise"], found["clock"], found["run_several_times"]) == (True, True, 16)
    assert found["cross_validation"] is None
    table = Table.open(path)
    assert (table.name, table.dataset) == ("t-surrogate", "cifar10")
    assert (table.epochs, table.seeds) == (200, (0, 1, 2))
    gym.make("NB201-cifar10-v0", table=str(path), budget_seconds=1e4)


def test_the_model_is_called_like_the_file(
    own: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert runner.invoke(app, [*own[1], "--folds", "0"]).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine-surrogate-model.safetensors"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "valid"], "say what to learn from: --table"),
        (["--table", "x", "--csv", "y"], "say what to learn from: --table"),
        (["--csv", "y", "--value", "acc"], "--csv needs --key, too"),
        (["--csv", "y", "--key", "arch"], "--csv needs --value, too"),
        (["--csv", "y", "--key", "arch", "--value", "a", "--size", "30"], "--size does not go with --csv"),
        (["--table", "x", "--valid-seconds", "s"], "--valid-seconds does not go with --table"),
        (["--table", "x", "--epochs", "3"], "--table needs --split, too"),
        (["--table", "x", "--split", "valid"], "--table needs --epochs, too"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, ["fit", *arguments])
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_a_table_names_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a table is called may lead anywhere; a model is not written there unasked."""
    monkeypatch.chdir(tmp_path)
    manifest = {
        "name": "../outside", "task": {"name": "t", "dataset": "t"}, "schedule": {"epochs": 1}, "seeds": [],
        "columns": {"valid_accuracy": {"epochs": [1]}}, "provenance": {}, "licence": "MIT",
    }  # fmt: skip
    write_table(tmp_path / "t.safetensors", manifest, {"valid_accuracy": np.linspace(0, 1, SIZE)})
    arguments = ["fit", "--table", "t.safetensors", "--split", "valid", "--epochs", "1", "--size", "20"]
    assert "a table's name is a file name" in str(runner.invoke(app, arguments).exception)


def test_a_folder_that_is_not_there_is_said_before_the_work(
    own: tuple[Path, list[str]], tmp_path: Path
) -> None:
    for option in ("--out", "--table-out"):
        place = tmp_path / "nowhere" / "m"
        others = {"--out": str(tmp_path / "m"), option: str(place)}
        result = runner.invoke(app, [*own[1], *(word for pair in others.items() for word in pair)])
        assert f"{place}: there is no such folder; make it, or name another {option}" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_predictions(
    fitted: tuple[Path, Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "all.csv"
    path.write_text("old")

    def full(self: Path, text: str, **_: Any) -> int:
        with open(self, "w") as file:
            file.write(text[:1000])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        result = runner.invoke(app, ["predict", str(fitted[0]), "--out", str(path)])
    assert "No space left" in str(result.exception)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model")
    result = runner.invoke(app, ["predict", str(tmp_path / "model"), "index:1"])
    assert isinstance(result.exception, OSError)
    assert "not a file" in str(result.exception)


def test_predict_asks_for_architectures(fitted: tuple[Path, Path, str]) -> None:
    result = runner.invoke(app, ["predict", str(fitted[0])])
    assert "name architectures to predict" in str(result.exception)
    result = runner.invoke(app, ["predict", str(fitted[0]), "index:15625"])
    assert "0..15624" in str(result.exception)


def test_numbers_that_decide_have_no_default() -> None:
    for left_out in ("--table", "--split", "--epochs"):
        where = FIT.index(left_out)
        result = runner.invoke(app, [*FIT[:where], *FIT[where + 2 :], "--out", "m", "--size", "20"])
        assert result.exit_code == 2
        assert left_out in result.output


def test_the_program_answers_a_mistake_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nb201", "surrogate", "predict", "nothing.safetensors", "index:1"])
    with pytest.raises(SystemExit) as stopped:
        main_cli.main()
    assert stopped.value.code == 2
    assert "nothing.safetensors" in capsys.readouterr().err


def test_a_missing_extra_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    result = runner.invoke(app, ["predict", "model", "index:1"])
    assert isinstance(result.exception, extras.MissingExtra)
    assert "pip install 'nb201env[surrogate]'" in str(result.exception)
    for name in ("SurrogateRegressor", "default_model"):
        with pytest.raises(extras.MissingExtra, match="this needs xgboost, which is not installed"):
            getattr(surrogate, name)()


def test_importing_the_commands_loads_nothing_heavy() -> None:
    heavy = ("xgboost", "sklearn", "scipy", "matplotlib", "pandas", "torch")
    code = f"import sys, nb201env.surrogate.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nb201env_does_not_know_the_surrogate() -> None:
    code = (
        "import sys, gymnasium as gym, nb201env\n"
        "gym.make('NB201-cifar10-surrogate-v0').reset(seed=0)\n"
        "print([m for m in sys.modules if m.startswith(('nb201env.surrogate', 'xgboost', 'sklearn'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_offers_its_names() -> None:
    for name in surrogate.__all__:
        assert getattr(surrogate, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Surogate'"):
        _ = surrogate.Surogate
