"""``nb201 table``: every command, its JSON, and what it says to wrong questions."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import Table, open_table
from nb201env.architecture import official_strings
from nb201env.cli import build, main
from nb201env.space import SIZE
from nb201env.table import write_table
from nb201env.tables import embedded
from tests.official_data import NAME, write_tar
from tests.test_table import small_columns, small_manifest

BEST = "official:6111"
ASK = ["--split", "valid", "--epochs", "200"]
DRAW = ["plot", "cifar100-200", "--out", "x.png", "--split", "valid"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NB201_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def table(*arguments: Any) -> str:
    """Run a command that must succeed; its output."""
    result = CliRunner().invoke(build(), ["table", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def as_json(*arguments: Any) -> Any:
    return json.loads(table(*arguments, "--json"))


def mistake(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> str:
    """Run the program with a mistake: exit code 2 and one line on stderr, which is returned."""
    monkeypatch.setattr(sys, "argv", ["nb201", "table", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_list_and_info(home: Path) -> None:
    names = [t["name"] for t in as_json("list")["tables"]]
    assert names == sorted(embedded())
    assert {"ImageNet16-120-200", "cifar10-valid-200", "cifar100-200"} <= set(names)
    assert "cifar10-valid-200" in table("list")
    info = as_json("info", "cifar100-200")
    assert info["id"] == open_table("cifar100-200").id
    assert "NATS-Bench" in info["manifest"]["licence"]
    shown = table("info", "cifar100-200")
    for word in ("licence", "citation", "provenance", "valid_accuracy", "777, 888, 999"):
        assert word in shown


def test_strangers_words_are_shown_as_words(home: Path) -> None:
    evil = "\x1b[2Jgone\u202e\n0 problems"
    words = {"licence": evil, "citation": [evil], "protocol": [1, {evil: evil}]}
    about = small_manifest(provenance={evil: evil, "list": [evil, 1, None]}, **words)
    home.mkdir()
    for spec in about["columns"].values():
        spec |= {"unit": "s", "what": evil} if spec["unit"] == "s" else {"what": evil}
    write_table(home / "t.safetensors", about, small_columns())
    for command in (("info", "t"), ("list",), ("verify", "t")):
        assert not set(table(*command)) & {"\x1b", "\u202e"}
    assert "\\x1b[2Jgone\\u202e\\n0 problems" in table("info", "t")


def test_query_and_best(home: Path) -> None:
    found = as_json("query", "cifar10-valid-200", BEST, *ASK, "--run", "mean")
    expected = open_table("cifar10-valid-200").query(
        found["architecture"], split="valid", epochs=200, run="mean"
    )
    assert (found["accuracy"], found["seconds"]) == expected
    assert (found["official_index"], found["index"]) == (6111, 11667)
    by_string = as_json("query", "cifar10-valid-200", found["architecture"], *ASK, "--run", 888)
    by_index = as_json("query", "cifar10-valid-200", "index:11667", *ASK, "--run", 888)
    assert by_string == by_index
    assert "91.61 %" in table("query", "cifar10-valid-200", BEST, *ASK, "--run", "mean")

    best = as_json("best", "cifar10-valid-200", *ASK, "--top", 3)["best"]
    assert best[0]["official_index"] == 6111
    assert best[0]["accuracy"] >= best[1]["accuracy"] >= best[2]["accuracy"]
    small = as_json("best", "cifar10-valid-200", *ASK, "--max-params", 0.3, "--max-macs", 40)["best"][0]
    assert small["params_millions"] <= 0.3
    assert small["macs_millions"] <= 40
    assert "91.61" in table("best", "cifar10-valid-200", *ASK)


def test_compare(home: Path) -> None:
    found = as_json("compare", "cifar10-valid-200", "cifar100-200", *ASK)
    assert found["architectures"] == SIZE
    assert 0.86 < found["kendall"] < 0.88
    assert found["regret_b"] > 0
    same = as_json("compare", "cifar100-200", "cifar100-200", *ASK)
    assert (same["kendall"], same["regret_a"], same["mean_difference"]) == (1.0, 0.0, 0.0)
    assert "Kendall's tau" in table("compare", "cifar10-valid-200", "cifar100-200", *ASK)


def test_verify_finds_a_flipped_byte(home: Path, tmp_path: Path) -> None:
    assert as_json("verify", "cifar100-200", "cifar10-valid-200")["ok"] is True
    data = bytearray(open_table("cifar100-200").container.path.read_bytes())
    data[-7] ^= 4
    (tmp_path / "bad.safetensors").write_bytes(data)
    result = CliRunner().invoke(build(), ["table", "verify", str(tmp_path / "bad.safetensors"), "--json"])
    assert result.exit_code == 1
    assert "sha256" in result.stdout
    result = CliRunner().invoke(build(), ["table", "verify", str(tmp_path / "bad.safetensors")])
    assert result.exit_code == 1


def test_import_and_export(
    home: Path, official_folder: Path, official_tables: dict[str, Table], tmp_path: Path
) -> None:
    tar = write_tar(official_folder, tmp_path / f"{NAME}-simple.tar")
    found = as_json("import", tar, "--jobs", 1)
    assert len(found["tables"]) == 8
    assert (home / "official-cifar100-200.safetensors").is_file()
    assert open_table("official-cifar100-200").manifest["provenance"]["architectures"] == 6
    assert len(open_table("cifar100-200").seeds) == 3, "the embedded table is still the one of this name"
    listed = [t["name"] for t in as_json("list")["tables"]]
    assert {"official-cifar100-200", "cifar100-200"} <= set(listed)
    assert "cifar100-200" in table("import", official_folder, "--jobs", 1, "--out", tmp_path / "other")

    renamed = tmp_path / "NAS-Bench-201-v1_0-e61699.pth"
    renamed.write_bytes(b"")
    assert CliRunner().invoke(build(), ["table", "import", str(renamed)]).exit_code == 1

    names = [t["name"] for t in found["tables"]]
    written = as_json("export", *names, "--out", tmp_path / "nats", "--jobs", 2)
    assert written["written"] == 6
    for ending in ("csv", "parquet"):
        assert "1 file" in table("export", "cifar100-200", "--out", tmp_path / f"x.{ending}")


def test_import_rows_and_devices(home: Path, tmp_path: Path) -> None:
    lines = [f"{text},{90 + i % 9}.5,{i}" for i, text in enumerate(official_strings())]
    (tmp_path / "x.csv").write_text("\n".join(["arch,acc,sec", *lines]))
    arguments = ["import-rows", tmp_path / "x.csv", "--name", "mine", "--key", "arch", "--column",
                 "acc=valid_accuracy@200", "--column", "sec=train_seconds@200", "--dataset", "cifar10",
                 "--epochs", 200, "--unit", "percent", "--task", "cifar10-valid"]  # fmt: skip
    assert as_json(*arguments)["tables"][0]["name"] == "mine"
    assert as_json("query", "mine", "official:8", *ASK, "--run", "mean")["accuracy"] == 0.985
    metrics = {"x_latency": np.linspace(1, 2, SIZE).tolist()}
    (tmp_path / "hw.pickle").write_bytes(pickle.dumps({"nasbench201": {"cifar10": metrics}}))
    arguments = ["import-devices", tmp_path / "hw.pickle", "--table", "mine", "--name", "mine-hw"]
    assert "x_latency_seconds" in as_json(*arguments)["tables"][0]["columns"]
    out = tmp_path / "x.png"
    drawn = as_json("plot", "mine-hw", "--out", out, "--split", "valid", "--cost", "x_latency_seconds")
    assert out.stat().st_size > 10_000
    assert drawn["front"]


@pytest.mark.parametrize("kind", ["landscape", "histogram", "seeds", "ops", "ranks", "curves"])
def test_plots_are_drawn_with_their_data(
    home: Path, official_tables: dict[str, Table], tmp_path: Path, kind: str
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / f"{kind}.png"
    if kind == "curves":
        curves = official_tables["cifar10-valid-200"].container.path
        arguments = [curves, "--architecture", BEST, "--architecture", "official:11"]
    elif kind == "ranks":
        arguments = ["cifar10-valid-200", "cifar100-200", "ImageNet16-120-200"]
    else:
        arguments = ["cifar10-valid-200"]
    data = as_json("plot", *arguments, "--out", out, "--kind", kind, "--split", "valid")
    assert out.read_bytes().startswith(b"\x89PNG")
    if kind == "landscape":
        accuracies = [point["accuracy"] for point in data["front"]]
        macs = [point["macs"] for point in data["front"]]
        assert accuracies == sorted(accuracies)
        assert macs == sorted(macs)
        assert max(accuracies) == open_table("cifar10-valid-200").optimum(split="valid", epochs=200)[1]
    if kind == "histogram":
        assert data["classes"] == 5485
        assert list(data["quantiles"].values()) == sorted(data["quantiles"].values())
        optimum = open_table("cifar10-valid-200").optimum(split="valid", epochs=200)[1]
        assert data["quantiles"]["100%"] == optimum
    if kind == "seeds":
        assert list(data["kendall"]) == ["777, 888", "777, 999", "888, 999"]
        assert all(0.8 < tau < 0.95 for tau in data["kendall"].values())
    if kind == "ops":
        assert data["effects"]["0->3"]["nor_conv_3x3"] > 0 > data["effects"]["0->3"]["none"]
    if kind == "ranks":
        assert 0.8 < data["kendall"]["ImageNet16-120-200"] < data["kendall"]["cifar100-200"] < 0.9
    if kind == "curves":
        assert len(data["epochs"]) == 200
        assert len(data["mean"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "nowhere"], "no table 'nowhere'"),
        (["query", "cifar100-200", "6111", *ASK, "--run", "mean"], "official:6111"),
        (["query", "cifar100-200", "official:15625", *ASK, "--run", "mean"], "15624"),
        (["query", "cifar100-200", "|x~0|", *ASK, "--run", "mean"], "node groups"),
        (["query", "cifar100-200", BEST, *ASK, "--run", "best"], "a seed or 'mean'"),
        (["query", "cifar100-200", BEST, *ASK, "--run", "5"], "its seeds are"),
        (["query", "cifar100-200", BEST, *ASK, "--split", "test", "--run", "mean"], "test_accuracy"),
        (["best", "cifar100-200", "--split", "valid", "--epochs", "12"], "recorded: 200"),
        (["import", "nowhere"], "no file or folder"),
        (["export", "cifar100-200", "--out", "x/y"], "NATS layout needs"),
        (["export", "cifar100-200", "cifar10-valid-200", "--out", "x.csv"], "holds one table"),
        ([*DRAW, "--kind", "pie"], "landscape, histogram"),
        ([*DRAW, "--kind", "ranks"], "at least two"),
        ([*DRAW, "--kind", "curves"], "--architecture"),
        ([*DRAW, "--cost", "size"], "'size'"),
        ([*DRAW, "--kind", "curves", "--architecture", BEST],
         "a curve needs more"),
        ([*DRAW, "cifar10-valid-200"], "draws one table"),
    ],
)  # fmt: skip
def test_mistakes_get_one_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    error = mistake(capsys, monkeypatch, *arguments)
    assert error.startswith("error: ")
    assert words in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.glob("x*"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--unit": "points"}, "percent or fraction"),
        ({"--name": "a/b"}, "file name"),
        ({"--column": "acc"}, "test_acc=test_accuracy@200"),
    ],
)
def test_mistakes_in_rows_get_one_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    changes: dict[str, str], words: str,
) -> None:  # fmt: skip
    options = {"--name": "x", "--key": "a", "--column": "acc=valid_accuracy@200", "--dataset": "cifar10",
               "--epochs": "200", "--unit": "percent"} | changes  # fmt: skip
    arguments = [part for pair in options.items() for part in pair]
    assert words in mistake(capsys, monkeypatch, "import-rows", tmp_path / "x.csv", *arguments)


def test_no_import_takes_the_name_of_an_embedded_table(
    home: Path, official_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    rows = ["import-rows", tmp_path / "x.csv", "--key", "a", "--column", "b=valid_accuracy@200", "--dataset",
            "cifar10", "--epochs", 200, "--unit", "percent"]  # fmt: skip
    devices = ["import-devices", tmp_path / "x.pickle", "--table", "cifar10-valid-200"]
    for arguments in (["import", official_folder, "--prefix", ""],
                      ["import", official_folder, "--prefix", "", "--replace", "--out", tmp_path],
                      [*rows, "--name", "cifar100-200"],
                      [*devices, "--name", "cifar10-valid-200"]):  # fmt: skip
        assert "name of an embedded table" in mistake(capsys, monkeypatch, *arguments)
    assert "a table's name is a file name" in mistake(
        capsys, monkeypatch, "import", official_folder, "--prefix", "a/b"
    )
    assert not home.exists()


def test_no_import_replaces_another_table_unless_asked_to(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def content(number: float) -> None:
        (tmp_path / "x.csv").write_text(f"arch,acc\nindex:7,{number}\n")
        metrics = {"x_latency": [number] * SIZE}
        (tmp_path / "x.pickle").write_bytes(pickle.dumps({"nasbench201": {"cifar10": metrics}}))

    rows = ["import-rows", tmp_path / "x.csv", "--name", "a", "--key", "arch", "--column",
            "acc=valid_accuracy@200", "--dataset", "cifar10", "--epochs", "200",
            "--unit", "percent"]  # fmt: skip
    devices = ["import-devices", tmp_path / "x.pickle", "--table", "cifar10-valid-200", "--name", "b"]
    for arguments, name in ((rows, "a"), (devices, "b")):
        content(10.0)
        first = as_json(*arguments)["tables"][0]["id"]
        again = CliRunner().invoke(build(), ["table", *map(str, arguments)])
        assert again.exit_code == 0
        assert f"{name}.safetensors: unchanged" in again.stderr
        content(20.0)
        assert "--replace" in mistake(capsys, monkeypatch, *arguments)
        assert open_table(name).id == first
        assert as_json(*arguments, "--replace")["tables"][0]["id"] != first


def test_an_import_of_a_part_says_so(home: Path, official_folder: Path) -> None:
    result = CliRunner().invoke(build(), ["table", "import", str(official_folder), "--jobs", "1"])
    assert result.exit_code == 0
    assert "15619 of 15625 architectures are missing (first: 000001)" in result.stderr


@pytest.mark.parametrize(("name", "words"), [("x.pth", "starts over"), ("set", "again to resume")])
def test_ctrl_c_promises_what_is_true(
    home: Path, official_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def stop(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nb201env.sources.importer.import_official", stop)
    (tmp_path / "x.pth").write_bytes(b"x")
    source = official_folder if name == "set" else tmp_path / name
    monkeypatch.setattr(sys, "argv", ["nb201", "table", "import", str(source)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    assert words in capsys.readouterr().err


def test_a_column_that_is_mapped_twice_is_refused(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text("arch,a\nindex:1,50\n")
    said = mistake(capsys, monkeypatch, "import-rows", tmp_path / "x.csv", "--name", "x", "--key", "arch",
                   "--column", "a=train_accuracy@12#7", "--column", "a=valid_accuracy@12#7",
                   "--dataset", "cifar10", "--epochs", 12, "--unit", "percent")  # fmt: skip
    assert "'a' is mapped twice" in said


def test_required_options_have_no_silent_default(home: Path) -> None:
    for arguments in (["query", "cifar100-200", BEST, "--split", "valid", "--epochs", "200"],
                      ["best", "cifar100-200", "--epochs", "200"],
                      ["compare", "cifar100-200", "cifar10-valid-200"],
                      ["plot", "cifar100-200", "--out", "x.png"]):  # fmt: skip
        result = CliRunner().invoke(build(), ["table", *arguments])
        assert result.exit_code == 2
        assert "Missing option" in result.output


def test_the_module_imports_nothing_heavy() -> None:
    import subprocess

    code = "import sys, nb201env.commands.table; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"pandas", "matplotlib", "pyarrow", "torch", "scipy", "nats_bench"} & set(loaded)


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, ".local/share/nb201"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/nb201"),
        ("darwin", {}, "Library/Application Support/nb201"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/nb201"),
        ("win32", {}, "AppData/Local/nb201"),
        ("linux", {"NB201_HOME": "/mine"}, "/mine"),
    ],
)
def test_tables_live_in_the_platforms_data_directory(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], expected: str
) -> None:
    from nb201env.tables import home

    for name in ("NB201_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert home() == Path.home() / expected


def test_an_environment_runs_on_an_imported_table(home: Path, tmp_path: Path) -> None:
    import gymnasium as gym

    lines = [f"{i},{i / SIZE},{i + 1}" for i in range(SIZE)]
    (tmp_path / "x.csv").write_text("\n".join(["row,acc,sec", *lines]))
    columns = ["--column", "acc=valid_accuracy@200#777", "--column", "sec=train_seconds@200"]
    task = ["--dataset", "cifar10", "--epochs", 200, "--unit", "fraction"]
    table("import-rows", tmp_path / "x.csv", "--name", "mine", "--key", "row", "--index", "official",
          *columns, *task)  # fmt: skip
    for name in ("mine", str(home / "mine.safetensors")):
        env = gym.make("NB201-cifar10-v0", table=name, actions="pick", run=777)
        env.reset(seed=0)
        _, reward, terminated, _, info = env.step(np.array([3, 3, 3, 1, 3, 2]))
        assert terminated
        assert reward == 6111 / SIZE
        assert info["seconds"] == 6112.0
