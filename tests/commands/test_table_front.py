"""``nb201 table front``: what it prints, and what it says to wrong questions."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import cli, open_table
from nb201env.fronts.front import points
from nb201env.fronts.quality import hypervolume
from tests.commands.test_table import as_json, mistake, table

NAME = "cifar10-valid-200"


def test_it_prints_the_front_with_units_and_the_reference_point() -> None:
    lines = table("front", NAME, "--objective", "latency_seconds", "--objective", "accuracy").splitlines()
    front = points(open_table(NAME), ["latency_seconds", "accuracy"]).front()
    headings = [" ".join(line.split()) for line in lines[:2]]
    assert headings == ["latency, min accuracy, max architecture", "(ms) (%)"]
    rows = [line.split() for line in lines[2:27]]
    assert [row[2] for row in rows] == [*map(str, front.architectures)]
    assert [row[1] for row in rows] == [f"{100 * value:.2f}" for value in front.values[:, 1]]
    assert [row[0] for row in rows] == [f"{1000 * value:.4f}" for value in front.values[:, 0]]
    assert lines[27].endswith("(the worst: reference point)")
    assert lines[28] == "25 of 15,625 points are on the front"


@pytest.mark.parametrize("words", [[], ["--run", "777"], ["--per", "class"]], ids=str)
def test_json_says_the_same_in_units_of_the_table(words: list[str]) -> None:
    pytest.importorskip("moocore", reason="needs moocore, of the extra multi")
    said = as_json("front", NAME, *words)
    how = {"run": 777} if "777" in words else {"per": "class"} if "class" in words else {}
    everything = points(open_table(NAME), **how)
    front = everything.front()
    assert [point["index"] for point in said["front"]] == front.index.tolist()
    values = [[point["values"][name] for name in ("accuracy", "params")] for point in said["front"]]
    np.testing.assert_array_equal(values, front.values)
    assert said["points"] == len(everything.index)
    accuracy, params = everything.values.T
    assert said["reference"] == {"accuracy": accuracy.min(), "params": params.max()}
    assert said["objectives"][1] == {"name": "params", "direction": "min", "unit": "count"}
    scaled = everything.scaled(front.rewards)
    assert said["hypervolume"] == pytest.approx(hypervolume(scaled, np.zeros(2)))


def test_without_moocore_there_is_no_hypervolume(monkeypatch: pytest.MonkeyPatch) -> None:
    from nb201env.fronts import quality

    quality._moocore.cache_clear()
    monkeypatch.setitem(sys.modules, "moocore", None)
    result = CliRunner().invoke(cli.build(), ["table", "front", "digits-10"])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "4 of 15,625 points are on the front"
    assert result.stderr.startswith("no hypervolume: this needs moocore, which is not installed: pip install")
    assert as_json("front", "digits-10")["hypervolume"] is None


def test_mistakes_get_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for words, message in (
        (["cifar"], "no table 'cifar': the names are"),
        ([NAME, "--objective", "accuracy"], "objectives: 2 to 8 of them; got ['accuracy']"),
        ([NAME, "--objective", "accuracy", "--objective", "parms"], "did you mean 'params'?"),
        ([NAME, "--per", "cell"], "per must be 'architecture' or 'class'; got 'cell'"),
        ([NAME, "--run", "best"], "--run is a seed or 'mean'; got 'best'"),
        ([NAME, "--run", "3"], "has no run 3; its seeds are [777, 888, 999]"),
    ):
        said = mistake(capsys, monkeypatch, "front", *words)
        assert said.startswith("error: ")
        assert message in said
        assert said.count("\n") == 1
