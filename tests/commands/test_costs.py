"""``nb201 table`` and costs of one's own: added in one command, limited by, drawn, with their units."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import cost, open_table
from nb201env.cli import build, main
from nb201env.comparison import costs, in_words, readable
from nb201env.space import SIZE

ASK = ["--split", "valid", "--epochs", "10"]
ENERGY = np.random.default_rng(0).uniform(0.01, 0.05, SIZE).round(6)
SCORE = np.random.default_rng(1).normal(size=SIZE).round(6)
MS = np.where(np.arange(SIZE) % 5, ENERGY * 100, np.nan)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digits with an energy, a proxy and a latency in ms, as a user adds them."""
    folder = tmp_path_factory.mktemp("own")
    lines = [f"index:{i},{ENERGY[i]},{SCORE[i]},{MS[i]}" for i in range(SIZE)]
    (folder / "e.csv").write_text("\n".join(["arch,joules,zc,ms", *lines]))
    made = run("add-columns", folder / "e.csv", "--table", "digits-10", "--name", "own", "--out", folder,
               "--key", "arch", "--column", "joules=board_energy_joules", "--column", "ms=phone", "--unit-of",
               "phone=ms", "--column", "zc=synflow", "--unit-of", "synflow=score", "--json")  # fmt: skip
    assert {"board_energy_joules", "synflow", "phone"} <= {*json.loads(made)["tables"][0]["columns"]}
    return str(folder / "own.safetensors")


def run(*arguments: Any) -> str:
    result = CliRunner().invoke(build(), ["table", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def best(table: str, *arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("best", table, *ASK, "--json", *arguments))
    return found


def mistake(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> str:
    """Exit code 2 and one line, which is returned."""
    monkeypatch.setattr(sys, "argv", ["nb201", "table", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    captured = capsys.readouterr()
    assert (caught.value.code, captured.out, captured.err.count("\n")) == (2, "", 1)
    return captured.err


# -- the best within limits ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "within"),
    [
        (["--max", "board_energy_joules=0.02"], ENERGY <= 0.02),
        (["--min", "synflow=1.5"], SCORE >= 1.5),
        (["--max", "synflow=-1.5"], SCORE <= -1.5),
        (["--max", "phone=2.5"], np.nan_to_num(MS, nan=9) <= 2.5),
        (["--max", "phone=2.5", "--max", "phone=2", "--min", "synflow=0"],
         (np.nan_to_num(MS, nan=9) <= 2) & (SCORE >= 0)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_the_best_keeps_within_every_limit(own: str, limits: list[str], within: Any) -> None:
    accuracy = np.where(within, open_table(own).accuracy(split="valid", epochs=10, run="mean"), -1)
    found = best(own, *limits, "--top", 3)
    assert [entry["accuracy"] for entry in found["best"]] == np.sort(accuracy)[::-1][:3].tolist()
    assert all(within[entry["index"]] for entry in found["best"])
    assert found["limits"] == [" ".join(pair) for pair in zip(limits[::2], limits[1::2], strict=True)]


def test_costs_are_shown_with_the_tables_units(own: str) -> None:
    shown = run("best", own, *ASK, "--max", "phone=2.5", "--min", "synflow=-9")
    assert "phone (ms)" in shown
    assert "synflow (score)" in shown
    found = best(own, "--max", "phone=2.5")
    assert found["units"] == {"phone": "ms", "params": "count", "macs": "count"}
    entry = found["best"][0]
    assert entry["costs"]["phone"] == MS[entry["index"]]
    assert entry["costs"]["params"] == costs(open_table(own), "params")[entry["index"]]
    assert "board_energy_joules (J)" in run("info", own)
    assert json.loads(run("info", own, "--json"))["costs"]["phone"] == "ms"


def test_params_are_counts_with_max_and_millions_with_max_params() -> None:
    ask = ["best", "cifar10-valid-200", "--split", "valid", "--epochs", "200", "--json"]
    counted, millions = (
        json.loads(run(*ask, *limit))["best"]
        for limit in (["--max", "params=400000"], ["--max-params", "0.4"])
    )
    assert counted == millions
    assert counted[0]["costs"]["params"] <= 400_000
    assert counted[0]["costs"]["params"] == cost.params(counted[0]["index"], "cifar10")


@pytest.mark.parametrize("number", ["500000", "2000", "1e9"])
@pytest.mark.parametrize("kind", ["params", "macs"])
def test_a_count_for_millions_is_noticed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str, number: str
) -> None:
    """A limit a thousand times above the largest network excludes nothing: a count was meant."""
    table = "digits-10"
    number = str(float(number) * (1000 if kind == "macs" else 1))
    said = mistake(capsys, monkeypatch, "best", table, *ASK, f"--max-{kind}", number)
    assert f"--max-{kind} is a number of millions" in said
    assert f"the count is --max {kind}=" in said


WRONG: list[tuple[list[str], str]] = [
    (["--max", "params"], "--max reads like params=500000, a cost and a number in its unit; got 'params'"),
    (["--max", "params="], "--max reads like"),
    (["--max", "=5"], "--max reads like"),
    (
        ["--min", "params=abc"],
        "--min reads like params=500000, a cost and a number in its unit; got 'params=abc'",
    ),
    (["--max", "params=nan"], "--max reads like"),
    (["--max", "params=inf"], "--max reads like"),
    (["--max", "params=1e999"], "--max reads like"),
    (["--max", "params=5_0"], "--max reads like"),
    (["--max", "parms=5"], "own does not record 'parms'; it has the costs "),
    (["--max", "parms=5"], "did you mean 'params'?"),
    (["--max", "zzz=5"], "`nb201 table add-columns` adds more"),
    (
        ["--max", "train_seconds=5"],
        "records 'train_seconds' by epoch, so it is no cost of an architecture; such are",
    ),
    (["--max", "valid_accuracy=0.5"], "records 'valid_accuracy' by epoch, so it is no cost"),
    (
        ["--max", "board_energy_joules=0.001"],
        "no architecture is within --max board_energy_joules=0.001: the least is 0.01",
    ),
    (["--max", "board_energy_joules=0.001"], "(J)"),
    (
        ["--min", "synflow=99"],
        f"no architecture is within --min synflow=99: the most is {SCORE.max():.8g} (score)",
    ),
    (["--max", "phone=1.1", "--min", "phone=4.9"], "no architecture is within all limits together: "),
    (["--max-params", "0.000001"], "no architecture is within --max-params 1e-06: the least is"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=str)
def test_what_no_limit_is_said(
    own: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    assert words in mistake(capsys, monkeypatch, "best", own, *ASK, *arguments)


def test_a_table_of_costs_alone_has_no_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "e.csv").write_text("arch,j\nindex:1,3\n")
    run("import-rows", tmp_path / "e.csv", "--name", "e", "--out", tmp_path, "--key", "arch",
        "--column", "j=e", "--unit-of", "e=J/image", "--dataset", "cifar10", "--epochs", 1,
        "--unit", "percent")  # fmt: skip
    path = tmp_path / "e.safetensors"
    assert "e (J/image)" in run("info", path)
    said = mistake(capsys, monkeypatch, "best", path, "--split", "valid", "--epochs", 1, "--max", "e=4")
    assert "does not record 'valid_accuracy'" in said


# -- axes ----------------------------------------------------------------------------------------


def test_any_column_is_an_axis(own: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pairs = [("synflow", "phone"), ("valid_accuracy", "train_seconds"), ("board_energy_joules", None)]
    for number, (x, y) in enumerate(pairs):
        out = tmp_path / f"{number}.png"
        found = json.loads(run("plot", own, "--split", "valid", "--x", x, *(["--y", y] if y else []),
                               "--out", out, "--json"))  # fmt: skip
        assert out.stat().st_size > 10_000
        assert ("front" in found) == (y is None), "there is a front of low cost and high accuracy alone"
        assert found["architectures"] == (np.sum(~np.isnan(MS)) if y == "phone" else SIZE)
        assert -1 < found["kendall"] < 1
    assert found["units"] == {"board_energy_joules": "J", "accuracy": "fraction"}
    table = open_table(own)
    front = found["front"]
    assert max(point["accuracy"] for point in front) == table.optimum(split="valid", epochs=10)[1]
    assert {point["board_energy_joules"] for point in front} <= set(ENERGY)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--x", "parms"], "does not record 'parms'; it has the costs"),
        (["--y", "parms"], "did you mean 'params'?"),
        (["--y", "valtest_accuracy"], "does not record 'valtest_accuracy'"),
        (["--kind", "ops", "--x", "params"], "--x and --y are for landscape; ops has axes of its own"),
    ],
    ids=str,
)
def test_what_is_no_axis_is_said(
    own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], words: str,
) -> None:  # fmt: skip
    pytest.importorskip("matplotlib")
    out = tmp_path / "x.png"
    assert words in mistake(capsys, monkeypatch, "plot", own, "--split", "valid", "--out", out, *arguments)
    assert not out.exists()


@pytest.mark.parametrize(
    ("values", "unit", "shown", "word"),
    [
        ([2e6, np.nan], "count", 2.0, "millions"), ([2e3], "count", 2.0, "thousands"),
        ([2.0], "count", 2.0, ""), ([0.004], "s", 4.0, "ms"), ([4.0], "s", 4.0, "s"),
        ([0.02], "J", 20.0, "mJ"), ([0.5], "fraction", 50.0, "%"), ([0.5], "ms", 0.5, "ms"),
        ([-3.0], "score", -3.0, "score"), ([np.nan], "s", np.nan, "ms"),
    ],
)  # fmt: skip
def test_numbers_are_shown_in_a_size_that_people_read(
    values: list[float], unit: str, shown: float, word: str
) -> None:
    found, unit = readable(np.array(values), unit)
    assert found[0] == pytest.approx(shown, nan_ok=True)
    assert unit == word


def test_names_are_shown_in_words() -> None:
    names = [
        "pixel3_latency_seconds",
        "cpu_latency_seconds",
        "eyeriss_energy_joules",
        "latency_seconds",
        "train_seconds",
        "a_joules",
    ]
    words = ["pixel3 latency", "CPU latency", "eyeriss energy", "latency", "train seconds", "a joules"]
    assert list(map(in_words, names)) == words
