"""Ask and tell: the search of another program is the search that it would have been through Gymnasium."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import cli
from nb201env.agents.offline.convert import collect, load
from nb201env.agents.searches import asking
from nb201env.agents.searches.recorder import replay
from nb201env.agents.searches.runner import Search
from nb201env.architecture import Architecture, all_strings
from nb201env.fronts.front import nondominated
from nb201env.table import Table
from nb201env.trajectory import read
from tests.agents.searches import outside
from tests.agents.searches.outside import ENV, lines

runner = CliRunner()
DRAWN = [all_strings()[index] for index in np.random.default_rng(0).integers(15_625, size=40).tolist()]


def begun(path: Path, queries: int = 12, **kwargs: Any) -> Path:
    asking.begin(path, ENV, {"budget_queries": queries}, **kwargs)
    return path


# -- the same search -------------------------------------------------------------------------


def test_a_scripted_searcher_by_commands_and_in_python(tmp_path: Path) -> None:
    """Its first queries as a program in any language asks them, the others in Python."""
    state = tmp_path / "mine-3.jsonl"
    first = outside.nb201("ask", state, "--budget", "40", "--seed", "3", "--name", "mine", "--json")
    space = json.loads(first.stdout)["space"]
    commands, python = outside.tell_by_command(state), outside.tell_in_python(state)
    searcher = outside.local_search(space, seed=1)
    assert outside.drive(searcher, lambda number: commands if number < 6 or number > 37 else python) == 40
    again = outside.local_search(asking.SPACE, seed=1)
    assert lines(state) == outside.through_gym(again, tmp_path / "gym.jsonl", 3, budget_queries=40)
    last = json.loads(outside.nb201("ask", state, "--json").stdout)
    assert (last["over"], last["left"], last["name"], last["seed"]) == (True, {"queries": 0}, "mine", 3)
    assert last["incumbents"][0]["accuracy"] == max(one["accuracy"] for one in last["queries"]) > 0.85


SETTINGS: list[tuple[str, dict[str, Any]]] = [
    (ENV, {"budget_queries": 7}),
    (ENV, {"budget_seconds": 20_000.0}),
    (ENV, {"budget_seconds": 20_000.0, "overshoot": "drop"}),
    (ENV, {"budget_queries": 7, "repeats": "free"}),
    (ENV, {"budget_queries": 7, "run": "mean", "reward": "regret", "actions": "pick"}),
    (ENV, {"budget_queries": 7, "limit": {"on": "params", "max": 400_000}, "costs": ["params"]}),
    ("NB201-cifar100-onehot-v0", {"budget_queries": 7}),
    ("NB201-cifar10-mo-v0", {"budget_queries": 7}),
    ("NB201-digits-mo-v0", {"budget_queries": 7, "objectives": ["accuracy", "macs"]}),
]


@pytest.mark.parametrize(("env_id", "kwargs"), SETTINGS, ids=lambda value: str(value)[:60])
def test_every_setting_gives_the_lines_that_gymnasium_gives(
    env_id: str, kwargs: dict[str, Any], tmp_path: Path
) -> None:
    state = tmp_path / "mine.jsonl"
    further = {key: value for key, value in kwargs.items() if not key.startswith("budget")}
    budget = {key: value for key, value in kwargs.items() if key.startswith("budget")}
    asked = [DRAWN[0], *DRAWN]  # one of them twice
    asking.begin(state, env_id, budget, seed=5, env_kwargs=further)
    for part in (asked[:1], asked[1:4], asked[4:]):
        asking.tell(state, part)
    expected = outside.through_gym(outside.one_by_one(asked), tmp_path / "gym.jsonl", 5, env_id, **kwargs)
    assert lines(state) == expected
    assert replay(read(state)) == []


def test_shorter_trainings(tmp_path: Path) -> None:
    state, env_id = tmp_path / "mine.jsonl", "NB201-digits-v0"
    asking.begin(state, env_id, {"budget_queries": 4})
    assert asking.ask(state)["epochs"] == list(range(1, 11))
    for architecture, epochs in zip(DRAWN[:4], (2, None, 10, 5), strict=True):
        asking.tell(state, [architecture], epochs=epochs)
    expected = outside.through_gym(
        outside.one_by_one(DRAWN),
        tmp_path / "gym.jsonl",
        0,
        env_id,
        epochs=(2, None, 10, 5),
        budget_queries=4,
    )
    assert lines(state) == expected
    before = state.read_bytes()
    with pytest.raises(ValueError, match="epochs must be in 1..200"):
        asking.tell(begun(tmp_path / "other.jsonl"), DRAWN[:1], epochs=201)
    assert state.read_bytes() == before


def test_a_table_of_ones_own_is_named_in_every_call(tested_table: Table, tmp_path: Path) -> None:
    state, file = tmp_path / "mine.jsonl", str(tested_table.container.path)
    words = ["ask", str(state), "--budget", "2", "--table", file]
    assert runner.invoke(cli.build(), words).exit_code == 0
    alone = runner.invoke(cli.build(), ["tell", str(state), "index:4711"])
    assert f"id {tested_table.id[:12]}" in str(alone.exception)
    given = runner.invoke(cli.build(), ["tell", str(state), "index:4711", "--table", file, "--json"])
    answer = json.loads(given.stdout)["answers"][0]
    one = tested_table.query(answer["architecture"], split="valid", epochs=200, run=int(answer["run"]))
    assert (answer["accuracy"], answer["seconds"]) == (one.accuracy, one.seconds)
    assert "test" not in given.stdout, "the table records test accuracy, which no search sees"


def test_the_front_of_several_objectives(tmp_path: Path) -> None:
    state = tmp_path / "mine.jsonl"
    asking.begin(state, "NB201-cifar10-mo-v0", {"budget_queries": 30})
    asking.tell(state, DRAWN[:30])
    found = asking.ask(state)
    rewards = np.array([one["reward"] for one in found["queries"]])
    assert [one["query"] - 1 for one in found["incumbents"]] == np.flatnonzero(nondominated(rewards)).tolist()
    shown = runner.invoke(cli.build(), ["ask", str(state)]).stdout
    assert "none better in all objectives" in shown


# -- the two calls ---------------------------------------------------------------------------


def test_what_ask_and_tell_say(tmp_path: Path) -> None:
    state = begun(tmp_path / "mine.jsonl", 3)
    found = asking.ask(state)
    assert found["env"] == {"id": ENV, "kwargs": {"table": "cifar10-valid-200", "budget_queries": 3}}
    assert (found["queries"], found["incumbents"], found["left"]) == ([], [], {"queries": 3})
    told = asking.tell(state, DRAWN[:2])
    assert [one["query"] for one in told["answers"]] == [1, 2]
    assert [one["architecture"] for one in told["answers"]] == DRAWN[:2]
    assert set(told["answers"][0]) == {
        "query", "architecture", "run", "accuracy", "seconds", "clock", "reward",
    }  # fmt: skip
    assert told["spent"] == {"queries": 2, "seconds": told["answers"][1]["clock"]}
    assert (told["left"], told["over"]) == ({"queries": 1}, False)
    before = state.read_bytes()
    assert asking.ask(state)["queries"] == told["answers"]
    assert state.read_bytes() == before, "asking costs nothing"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jsonl"]


def test_an_architecture_is_written_as_space_says() -> None:
    ops = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "none"]
    architecture = Architecture.parse(outside.written(asking.SPACE, ops))
    assert list(architecture.names) == ops


def test_the_budget_ends_the_search(tmp_path: Path) -> None:
    state = begun(tmp_path / "mine.jsonl", 3)
    result = runner.invoke(cli.build(), ["tell", str(state), *DRAWN[:5], "--json"])
    found = json.loads(result.stdout)
    assert (result.exit_code, len(found["answers"]), found["over"]) == (1, 3, True)
    before = state.read_bytes()
    assert before.endswith(b'{"end": "search over"}\n')
    for _ in range(2):
        assert asking.tell(state, DRAWN[:1])["answers"] == []
    assert asking.stop(state)["over"]
    assert state.read_bytes() == before


def test_a_search_that_is_stopped_is_finished(tmp_path: Path) -> None:
    state = begun(tmp_path / "mine.jsonl", 3)
    with pytest.raises(ValueError, match="asked nothing yet"):
        asking.stop(state)
    asking.tell(state, DRAWN[:1])
    assert runner.invoke(cli.build(), ["tell", str(state), "--stop"]).exit_code == 0
    assert read(state).stopped
    assert replay(read(state)) == []
    assert asking.tell(state, DRAWN[:1])["answers"] == []
    assert asking.ask(state)["left"] == {"queries": 0}


def test_a_shell_s_loop_ends_with_the_budget(tmp_path: Path) -> None:
    """Random search in one line of a shell."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    begun(tmp_path / "loop.jsonl", 3)
    loop = 'while "$0" -m nb201env.cli tell loop.jsonl "index:$((RANDOM % 15625))"; do :; done'
    done = subprocess.run(
        [bash, "-c", loop, sys.executable], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.count("0 of 3 queries left; it is over") == 2
    assert len(read(tmp_path / "loop.jsonl").queries) == 3


def test_the_commands_print_for_people(tmp_path: Path) -> None:
    state = str(tmp_path / "mine.jsonl")
    first = runner.invoke(cli.build(), ["ask", state, "--budget", "90000s"]).stdout
    assert first.startswith(f"{ENV}, seed 0: 90,000 of 90,000 simulated seconds left\n")
    assert "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|, each op one of none, skip_connect" in first
    told = runner.invoke(cli.build(), ["tell", state, *DRAWN[:12]]).stdout
    best = asking.ask(state)["incumbents"][0]
    assert (
        f"best so far, query {best['query']}: {100 * best['accuracy']:.2f} %  {best['architecture']}" in told
    )
    assert "the last 10 answers" in runner.invoke(cli.build(), ["ask", state]).stdout


def test_other_commands_take_the_file(tmp_path: Path) -> None:
    folder = tmp_path / ENV
    for seed in (0, 1):
        asking.tell(begun(folder / f"mine-{seed}.jsonl", 12, seed=seed, name="mine"), DRAWN)
        Search("random_search", ENV, seed, {"budget_queries": 12}, folder).run()
    words = ["report", str(tmp_path), "--out", str(tmp_path / "report"), "--replay", "--no-figures"]
    result = runner.invoke(cli.build(), words)
    assert result.exit_code == 0, result.exception
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| mine |" in text
    other = begun(folder / "other-0.jsonl", 12, name="other")
    unfinished = runner.invoke(cli.build(), [*words[:-2], "--no-figures"])
    assert "other-0.jsonl: cut short; its search has not ended" in str(unfinished.exception)
    other.unlink()
    pytest.importorskip("minari")
    assert len([*collect(load([folder])).episodes]) == 48


# -- beginning -------------------------------------------------------------------------------


def test_beginning_twice_is_beginning_once(tmp_path: Path) -> None:
    state = tmp_path / "new" / "mine.jsonl"
    words = [
        "ask",
        str(state),
        "--budget",
        "5",
        "--env",
        "NB201-cifar100-v0",
        "--seed",
        "4",
        "--name",
        "mine",
    ]
    assert runner.invoke(cli.build(), words).exit_code == 0
    asking.tell(state, DRAWN[:2])
    before = state.read_bytes()
    assert "3 of 5 queries left" in runner.invoke(cli.build(), words).stdout
    for option, value in (("--budget", "50"), ("--seed", "5"), ("--name", "other"), ("--env", ENV)):
        place = words.index(option) + 1
        refused = runner.invoke(cli.build(), [*words[:place], value, *words[place + 1 :]])
        assert "is a search of another configuration" in str(refused.exception), option
        assert "name another file" in str(refused.exception)
    assert state.read_bytes() == before


MISTAKES: list[tuple[list[str], str]] = [
    (["ask", "x.jsonl"], "x.jsonl: there is no such search; begin it: nb201 ask x.jsonl --budget 30"),
    (["tell", "no/x.jsonl", "index:1"], "no/x.jsonl: there is no such search; begin it"),
    (["ask", "x.jsonl", "--seed", "3"], "--seed is for beginning a search; give --budget, too, or leave it"),
    (["ask", "x.jsonl", "--budget", "5", "--seed", "0-2"], "one environment and one seed"),
    (["ask", "x.jsonl", "--budget", "5", "--env", "x"], "unknown environment 'x'"),
    (["ask", "x.jsonl", "--budget", "0"], "a budget is a number of queries"),
    (["ask", "x.jsonl", "--budget", "5", "--name", "random_search"], "not as an agent that nb201 agents"),
    (["ask", "x.jsonl", "--budget", "5", "--name", "a b"], "in up to 60 letters"),
    (["ask", "x.jsonl", "--budget", "5", "--env-kwargs", '{"actions": "edit"}'], "no whole architecture"),
    (["ask", "x.jsonl", "--budget", "5", "--env-kwargs", '{"x": 1}'], "unexpected keyword argument 'x'"),
    (["ask", "x.json", "--budget", "5"], "name a file that ends in .jsonl"),
    (["tell", "good.jsonl"], "name the architectures that are chosen, or --stop"),
    (["tell", "good.jsonl", "index:1", "--stop"], "one of the two"),
    (["tell", "good.jsonl", "index:1", "6111"], "could be two architectures"),
    (["tell", "good.jsonl", "index:1", "--epochs", "12"], "epochs"),
    (["tell", "ours.jsonl", "index:1"], "no search that nb201 ask has begun; it is one of 'random_search'"),
    (["ask", "text.jsonl"], "text.jsonl, line 1: not JSON"),
    (["ask", "text.jsonl", "--budget", "5"], "text.jsonl, line 1: not JSON"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=str)
def test_mistakes_are_one_sentence_and_cost_nothing(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begun(Path("good.jsonl"))
    Search("random_search", ENV, 0, {"budget_queries": 3}, tmp_path).run().rename("ours.jsonl")
    Path("text.jsonl").write_text("some text\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = runner.invoke(cli.build(), words)
    assert isinstance(result.exception, ValueError | LookupError | FileNotFoundError)
    assert message in str(result.exception)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
