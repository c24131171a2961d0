"""Ask and tell: what else happens to a state file. Edits, cuts, kills, many at once, files of strangers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nb201env import cli
from nb201env.agents.searches import asking, writing
from nb201env.agents.searches.recorder import replay
from nb201env.files import AtWork, alone
from nb201env.trajectory import BadTrajectory, read
from tests.agents.searches import outside
from tests.agents.searches.outside import lines
from tests.agents.searches.test_asking import DRAWN, begun, runner
from tests.agents.searches.test_strangers import BEFORE, HOSTILE

Lines = list[dict[str, Any]]


def told(path: Path, count: int = 5, queries: int = 8, **kwargs: Any) -> Path:
    begun(path, queries, **kwargs)
    if count:
        asking.tell(path, DRAWN[:count])
    return path


def rewritten(path: Path, change: Callable[[Lines], Any]) -> None:
    """Do with a state file what an editor can."""
    values = [json.loads(line) for line in path.read_text().splitlines()]
    change(values)
    path.write_text("".join(json.dumps(value) + "\n" for value in values))


# -- edits -----------------------------------------------------------------------------------


def setting(line: int, **entries: Any) -> Callable[[Lines], Any]:
    return lambda values: values[line].update(entries)


def longer(values: Lines) -> None:
    """Queries beyond the budget, of which the table and the clock are right."""
    values += [dict(values[-1]) for _ in range(4)]
    for before, after in pairwise(values[5:]):
        after["clock"] = before["clock"] + after["seconds"]


EDITS: dict[str, Callable[[Lines], Any]] = {
    "a better accuracy": setting(2, accuracy=0.95),
    "a better reward": setting(2, reward=0.95),
    "another run": setting(2, run="1"),
    "another architecture": setting(2, architecture=DRAWN[9]),
    "a cheaper query": setting(5, seconds=1.0),
    "an earlier clock": setting(1, clock=1.0),
    "epochs that nothing records": setting(2, epochs=3),
    "a query less": lambda values: values.pop(3),
    "the first query less": lambda values: values.pop(1),
    "another order": lambda values: values.insert(1, values.pop(2)),
    "a query twice": lambda values: values.insert(2, dict(values[2])),
    "a query more": lambda values: values.append(values[-1] | {"clock": values[-1]["clock"] + 1.0}),
    "queries beyond the budget": longer,
    "an end too early": lambda values: values.append({"end": "search over"}),
    "another seed": setting(0, seed=1),
    "another table's name and id": setting(0, table={"name": "cifar10-valid-200", "id": "0" * 64}),
    "a smaller budget": lambda values: values[0]["env"]["kwargs"].update(budget_queries=4),
    "no budget": lambda values: values[0]["env"]["kwargs"].pop("budget_queries"),
    "other draws": lambda values: values[0]["env"]["kwargs"].update(run="mean"),
    "another reward": lambda values: values[0]["env"]["kwargs"].update(reward="regret"),
    "another environment": lambda values: values[0]["env"].update(id="NB201-cifar100-v0"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_state_is_refused(edit: str, tmp_path: Path) -> None:
    state = told(tmp_path / "mine.jsonl")
    rewritten(state, EDITS[edit])
    before = state.read_bytes()
    for words in (["ask", str(state)], ["tell", str(state), DRAWN[0]], ["tell", str(state), "--stop"]):
        refused = runner.invoke(cli.build(), words)
        assert isinstance(refused.exception, ValueError | FileNotFoundError), refused.output
        assert "\n" not in str(refused.exception)
        assert len(str(refused.exception)) < 700
    assert state.read_bytes() == before


def test_a_larger_budget_is_another_search(tmp_path: Path) -> None:
    """Its header and every report say so, and whoever names the budget of the search is told."""
    state = told(tmp_path / "mine.jsonl")
    rewritten(state, lambda values: values[0]["env"]["kwargs"].update(budget_queries=800))
    assert asking.ask(state)["budget"] == {"queries": 800}
    with pytest.raises(ValueError, match="is a search of another configuration: its env"):
        begun(state, 8)


def test_lines_cut_off_are_asked_again_with_the_same_answers(tmp_path: Path) -> None:
    """No file can show that it was longer; asking the same again teaches nothing."""
    state = told(tmp_path / "mine.jsonl")
    whole = state.read_bytes()
    rewritten(state, lambda values: values.__delitem__(slice(3, None)))
    asking.tell(state, DRAWN[2:5])
    assert state.read_bytes() == whole


def test_the_same_architecture_later_is_paid_for_again(tmp_path: Path) -> None:
    answers = asking.tell(begun(tmp_path / "mine.jsonl"), DRAWN[:1] * 12)["answers"]
    assert len({one["run"] for one in answers}) > 1, "each query draws its run"
    assert [one["query"] for one in answers] == list(range(1, 13))
    assert answers[-1]["clock"] == pytest.approx(sum(one["seconds"] for one in answers))


# -- cuts and kills --------------------------------------------------------------------------


def test_a_last_line_cut_anywhere_is_a_query_that_was_not_answered(tmp_path: Path) -> None:
    state = told(tmp_path / "mine.jsonl", 2)
    before = state.read_bytes()
    asking.tell(state, DRAWN[2:3])
    after = state.read_bytes()
    for size in range(len(before), len(after), 7):
        state.write_bytes(after[:size])
        assert len(asking.ask(state)["queries"]) == 2
        assert state.stat().st_size == size, "asking changes nothing"
        asking.tell(state, DRAWN[2:3])
        assert state.read_bytes() == after


def test_an_end_that_was_cut_off_comes_with_the_next_call(tmp_path: Path) -> None:
    state = told(tmp_path / "mine.jsonl", 8)
    whole = state.read_bytes()
    for size in (len(whole) - 5, len(whole) - len(b'{"end": "search over"}\n')):
        state.write_bytes(whole[:size])
        assert asking.ask(state)["over"]
        assert asking.tell(state, DRAWN[:1])["answers"] == []
        assert state.read_bytes() == whole


def test_what_cannot_be_written_is_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = told(tmp_path / "mine.jsonl", 2)
    before = state.read_bytes()

    def full(*_: Any) -> None:
        raise OSError("no space left on the device")

    with monkeypatch.context() as patched:
        patched.setattr(asking, "extend", full)
        with pytest.raises(OSError, match="no space left"):
            asking.tell(state, DRAWN[2:3])
    assert state.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jsonl"], "no lock is left behind"
    assert asking.tell(state, DRAWN[2:3])["answers"][0]["query"] == 3


TELLING = """
import sys
from pathlib import Path
from nb201env.agents.searches import asking
state = Path(sys.argv[1])
print("ready", flush=True)
while not (found := asking.tell(state, sys.argv[2:3 + len(asking.ask(state)["queries"])][-1:]))["over"]:
    print(found["answers"][0]["query"], flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_searcher_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was shown is in the file; the whole is the search that nothing has interrupted."""
    state = begun(tmp_path / "mine.jsonl", 40)
    for moment in (0.05, 0.13, 0.2):
        process = subprocess.Popen(
            [sys.executable, "-c", TELLING, state, *DRAWN], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        shown = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        assert len(asking.ask(state)["queries"]) >= int(shown[-1] if shown else 0)
    asking.tell(state, DRAWN[len(asking.ask(state)["queries"]) :])
    expected = outside.through_gym(outside.one_by_one(DRAWN), tmp_path / "gym.jsonl", 0, budget_queries=40)
    assert lines(state) == expected


# -- many at once ----------------------------------------------------------------------------


def test_several_processes_share_one_budget(tmp_path: Path) -> None:
    state = begun(tmp_path / "mine.jsonl", 12)
    code = (
        "import sys, json; from nb201env.agents.searches import asking\n"
        "for one in sys.argv[2:]: print(json.dumps(asking.tell(sys.argv[1], [one])['answers']))"
    )
    parts = [DRAWN[:6], DRAWN[6:12], DRAWN[12:18]]
    running = [
        subprocess.Popen([sys.executable, "-c", code, state, *part], stdout=subprocess.PIPE, text=True)
        for part in parts
    ]
    answers = [one for process in running for line in process.communicate()[0].splitlines()
               for one in json.loads(line)]  # fmt: skip
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sorted(one["query"] for one in answers) == list(range(1, 13)), "each is answered once"
    assert replay(read(state)) == []
    held = asking.ask(state)["queries"]
    assert sorted(answers, key=lambda one: int(one["query"])) == held
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jsonl"]


def test_a_call_that_waits_too_long_says_for_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = told(tmp_path / "mine.jsonl")
    monkeypatch.setattr(asking, "PATIENCE", 0.1)
    with alone(tmp_path / ".mine.jsonl.lock", "telling"):
        with pytest.raises(AtWork, match=r"another command is telling .*mine.jsonl"):
            asking.tell(state, DRAWN[:1])
        assert len(asking.ask(state)["queries"]) == 5, "whoever only asks need not wait"


# -- strangers -------------------------------------------------------------------------------


@pytest.mark.parametrize(("message", "changes"), HOSTILE)
def test_a_state_from_a_stranger_names_no_code(
    message: str, changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = told(tmp_path / "mine.jsonl", 2)
    rewritten(state, setting(0, env=BEFORE | changes))
    for call in (asking.ask, lambda path: asking.tell(path, DRAWN[:1])):
        with pytest.raises(BadTrajectory, match=r"mine.jsonl, line 1: env") as caught:
            call(state)
        assert message in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jsonl"], "nothing ran"


def test_growing_a_file_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": 2}\n{"cut')
    writing.extend(path, [{"c": 3}, {"d": 4}])
    assert path.read_bytes() == b'{"a": 1}\n{"b": 2}\n{"c": 3}\n{"d": 4}\n'
    with pytest.raises(ValueError, match=r"x.jsonl: a line of .* are read"):
        writing.extend(path, [{"e": "x" * 2_000_000}])
    with pytest.raises(ValueError, match="Out of range float"):
        writing.extend(path, [{"e": float("nan")}])
    assert path.read_bytes().endswith(b'{"d": 4}\n')
