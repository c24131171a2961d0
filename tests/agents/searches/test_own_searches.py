"""Agents of one's own in searches, benchmarks, protocols and reports, as ours are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from typer.testing import CliRunner, Result

from nb201env import cli
from nb201env.agents import AgentError
from nb201env.agents.check import try_out
from nb201env.agents.commands import demo
from nb201env.agents.papers.protocols import Protocol, Sources, run_protocol
from nb201env.agents.report.data import load
from nb201env.agents.searches import runner
from nb201env.agents.searches.fidelity import SearchPlan, compare
from nb201env.agents.searches.heading import as_json, hyperparameters
from nb201env.agents.searches.runner import Search
from nb201env.extras import MissingExtra
from nb201env.trajectory import read
from tests.agents.own import MINE, unchanged_imports, write_modules, write_package

ENV = "NB201-cifar10-v0"
WALKS = "mine:MyAgent"
FORGETS = (
    MINE
    + """

class Forgetful(MyAgent):
    def search(self, env, seed):
        query(env, Architecture((3,) * 6))


class Late(MyAgent):
    def search(self, env, seed):
        for index in range(15):
            query(env, Architecture.from_index(index))
        raise RuntimeError("out of\\nideas")


class Exits(MyAgent):
    def search(self, env, seed):
        for index in range(15):
            query(env, Architecture.from_index(index))
        raise SystemExit(3)
"""
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with mine.py in it."""
    monkeypatch.chdir(write_modules(tmp_path, forgets=FORGETS))
    with unchanged_imports(tmp_path):
        yield tmp_path


def nb201(*words: str) -> Result:
    return CliRunner().invoke(cli.build(), words)


def trajectories(out: str) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in Path(out).rglob("*.jsonl")}


# -- the command line ------------------------------------------------------------------------


def test_own_agents_beside_ours_wherever_they_run(folder: Path) -> None:
    """As the console script does it, without the current folder on Python's path; in worker processes too."""
    words = ["--agent", f"{WALKS},mine:Plain,random_search", "--seeds", "0-1", "--budget", "15", "--out"]
    settings = json.dumps({"mine:Plain": {"preset": "large"}})
    program = [sys.executable, "-P", "-m", "nb201env.cli", "bench", *words, "two", "--jobs", "2"]
    program += ["--agent-kwargs", settings]
    result = subprocess.run(program, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert nb201("bench", *words, "one", "--agent-kwargs", settings).exit_code == 0
    assert trajectories("one") == trajectories("two")
    assert sorted(trajectories("one")) == [
        f"{ENV}/{name}-{seed}.jsonl"
        for name in ("mine.MyAgent", "mine.Plain", "random_search")
        for seed in (0, 1)
    ]  # fmt: skip
    head = read(f"one/{ENV}/mine.Plain-1.jsonl").header
    assert (head["agent"], head["hyperparameters"]["size"]) == ("mine:Plain", 100)
    assert head["command"].startswith("nb201 search --agent mine:Plain --env")
    (setting,) = load([Path("one")], check=True).settings
    assert [entry.label for entry in setting.entries] == ["random search", "MyAgent", "Plain"]


def test_what_has_no_form_in_json_is_called_by_its_name_or_its_class() -> None:
    class Holds:
        def __init__(self, walk: Any = None) -> None:
            self.walk = walk

    for value, name in (
        ((one for one in range(3)), "builtins:generator"),
        (gym.make, "gymnasium.envs.registration:make"),
    ):
        assert as_json(hyperparameters(Holds(value), {}))["walk"] == name  # type: ignore[arg-type]


def test_the_recorded_command_writes_the_same_file(folder: Path) -> None:
    assert nb201("bench", "--agent", WALKS, "--seeds", "3", "--budget", "10", "--out", "a").exit_code == 0
    words = read(f"a/{ENV}/mine.MyAgent-3.jsonl").header["command"].split()
    assert nb201(*words[1:], "--out", "b").exit_code == 0
    assert trajectories("a") == trajectories("b")


def test_an_agent_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = write_package(tmp_path / "site", "my_method = MyAgent\nrandom_search = MyAgent")
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(tmp_path)
    with unchanged_imports(tmp_path):
        result = nb201("search", "--agent", "my_method,random_search", "--budget", "5", "--out", "o")
        assert result.exit_code == 0
        assert "random_search is our agent; that of mymethods 1.2 is mymethods:MyAgent\n" in result.stderr
        assert read(f"o/{ENV}/my_method-0.jsonl").header["source"]["version"] == "1.2"
        assert read(f"o/{ENV}/random_search-0.jsonl").header["source"] == {}
        listed = json.loads(nb201("agents", "--json").stdout)
        named = {one["class"]: one["from"] for one in listed if one["from"] != "nb201env"}
        assert named == {"mymethods:MyAgent": "mymethods 1.2 (not used: ours has this name)"}
        assert [one["agent"] for one in listed][-2:] == ["my_method", "random_search"]
        assert "my_method" in nb201("agents").stdout


@pytest.mark.parametrize("command", ["search", "bench"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--agent", "mine:Nobody"], "has no class 'Nobody'"),
        (["--agent", "nowhere:MyAgent"], "there is no module 'nowhere'"),
        (["--agent", f"random_search,{WALKS}", "--agent-kwargs", "KWARGS"], "no hyper-parameter 'a'"),
        (["--agent", f"{WALKS},{WALKS}"], "agent 'mine:MyAgent' is named twice"),
        (["--agent", "random_search,forgets:Forgetful"], "search returned before the search was over"),
    ],
)  # fmt: skip
def test_what_is_wrong_shows_before_anything_runs(
    words: list[str], message: str, command: str, folder: Path
) -> None:
    kwargs = '{"a": 1}' if command == "search" else json.dumps({WALKS: {"a": 1}})
    result = nb201(command, *(word.replace("KWARGS", kwargs) for word in words), "--out", "o")
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert not Path("o").exists()


def test_unchecked_it_runs_all_the_same(folder: Path) -> None:
    words = ["bench", "--agent", "forgets:Forgetful", "--seeds", "0", "--out", "o"]
    assert isinstance(nb201(*words).exception, AgentError)
    assert nb201(*words, "--unchecked").exit_code == 0
    assert read(f"o/{ENV}/forgets.Forgetful-0.jsonl").stopped


def test_only_what_still_runs_is_tried(folder: Path) -> None:
    """A finished benchmark is not held up by an agent that does much before it asks."""
    words = ["bench", "--agent", "forgets:Forgetful", "--seeds", "0", "--out", "o"]
    assert nb201(*words, "--unchecked").exit_code == 0
    assert nb201(*words).exit_code == 0


# -- resuming --------------------------------------------------------------------------------


def test_another_version_is_another_configuration(folder: Path) -> None:
    words = ["search", "--agent", WALKS, "--budget", "5", "--out", "o"]
    assert nb201(*words).exit_code == 0
    before = trajectories("o")
    del sys.modules["mine"]
    write_modules(
        folder, mine=MINE.replace("Random search", "Uniform search").replace("over = False", "over=0")
    )
    changed = nb201(*words)
    assert "mine.MyAgent-0.jsonl is a search of another configuration: its source is" in str(
        changed.exception
    )
    assert "choose another --out, or delete it" in str(changed.exception)
    assert "class" not in str(changed.exception), "only what differs is said"
    del sys.modules["mine"]
    write_modules(folder, mine=MINE.replace("Random search", "Uniform search  # so to speak"))
    assert nb201(*words).stdout.startswith("1 searches, 1 of them finished before")
    assert trajectories("o") == before


def test_a_report_tells_two_versions_apart(folder: Path) -> None:
    assert nb201("search", "--agent", WALKS, "--budget", "5", "--out", "a").exit_code == 0
    del sys.modules["mine"]
    write_modules(folder, mine=MINE.replace("15_625", "9"))
    assert nb201("search", "--agent", WALKS, "--budget", "5", "--out", "b").exit_code == 0
    labels = [entry.label for entry in load([Path("a"), Path("b")]).settings[0].entries]
    assert all(label.startswith('MyAgent (its code "') for label in labels)
    assert len(set(labels)) == 2


# -- protocols, fidelity, Ray ----------------------------------------------------------------


def test_under_a_protocol(folder: Path) -> None:
    rules = Protocol("short", "ours", {"cifar10": 20_000.0}, "drop", transfers=False)
    sources = Sources(search={"cifar10": "cifar10-valid-200"})
    found = run_protocol(rules, WALKS, [0], sources, agent_kwargs={"skip": 9})
    assert found[0].header["agent"] == WALKS
    assert 0 < found[0].clock[-1] <= 20_000


def test_fidelity_tries_every_agent_before_it_runs_one(folder: Path) -> None:
    pytest.importorskip("xgboost")
    agents = ("random_search", "forgets:Forgetful")
    with pytest.raises(AgentError, match="returned before the search was over"):
        compare(SearchPlan("cifar10-valid-200-surrogate", agents, (0,), 12), folder / "o", check=try_out)
    assert list(folder.rglob("*.jsonl")) == []


def test_a_host_of_a_cluster_looks_where_the_command_was_given(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(WALKS, ENV, 0, {"budget_queries": 3}, Path("o"))
    monkeypatch.chdir(tmp_path_factory.mktemp("host"))
    files = runner._run_apart(str(folder), search)
    assert "mine.MyAgent-0.jsonl" in files
    del sys.modules["mine"]
    sys.path.remove(str(folder))
    monkeypatch.setattr("platform.node", lambda: "host-2")
    reason = runner._run_apart("/home/me", search)
    assert str(reason).startswith(
        "on host-2, which has no folder /home/me: ValueError: agent 'mine:MyAgent': there is"
    )
    assert "\n" not in str(reason)


# -- failures --------------------------------------------------------------------------------


def test_equal_failures_share_a_line(folder: Path) -> None:
    agents = "forgets:Late,random_search,forgets:Exits"
    result = nb201("bench", "--agent", agents, "--budget", "20", "--seeds", "0-3,7", "--out", "o")
    assert result.exit_code == 1
    first, second, last = result.stderr.splitlines()
    assert second.startswith(f"failed: Exits on {ENV}, seeds 0-3,7: SystemExit: 3 (again: ")
    assert first.startswith(
        f"failed: Late on {ENV}, seeds 0-3,7: RuntimeError: out of ideas (again: nb201 search "
    )
    assert last == "10 searches failed; the others are finished"
    assert "random search" in result.stdout
    assert len(trajectories("o")) == 5


@pytest.mark.parametrize("missing", ["cma", "optuna"])
def test_a_missing_extra_shows_before_anything_runs(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    name = {"cma": "cma_es", "optuna": "tpe"}[missing]
    for command in ("search", "bench"):
        words = [command, "--agent", f"random_search,{name}", "--budget", "5", "--out", str(tmp_path / "o")]
        result = nb201(*words)
        assert isinstance(result.exception, MissingExtra)
        assert str(result.exception).startswith(
            f"agent '{name}': this needs {missing}, which is not installed: pip"
        )
    assert not (tmp_path / "o").exists()


def test_the_demo_shows_what_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(demo, "require", lambda *_: None)  # none of these agents needs an extra
    reported: list[Any] = []
    monkeypatch.setattr(demo, "write", lambda bench, *_: reported.extend(bench.searches))
    monkeypatch.setattr(demo, "AGENTS", ("random_search", "forgets:Late"))
    result = nb201("demo", "--budget", "20", "--seeds", "0-1", "--jobs", "1", "--out", str(tmp_path))
    assert result.exit_code == 1
    assert "random search       20" in result.stdout
    assert result.stderr.splitlines()[-2].startswith(
        "failed: Late on NB201-cifar10-v0, seeds 0-1: RuntimeError: out"
    )
    assert [(one.header["agent"], one.seed) for one in reported] == [
        ("random_search", 0),
        ("random_search", 1),
    ]
    monkeypatch.setattr(demo, "AGENTS", ("forgets:Late",))
    nothing = nb201("demo", "--budget", "20", "--seeds", "0-1", "--jobs", "1", "--out", str(tmp_path / "b"))
    assert nothing.exit_code == 1
    assert "failed: Late on" in nothing.stderr


# -- nb201 check-agent -----------------------------------------------------------------------


def test_check_agent_says_what_it_checked(folder: Path) -> None:
    result = nb201("check-agent", "mine:Plain", "--agent-kwargs", '{"size": 5}')
    assert result.exit_code == 0
    assert result.stdout.startswith(
        f"mine:Plain keeps the contract: searches of 30 queries on {ENV}, actions build, pick"
    )
    assert "  1. it has a method search(env, seed)\n" in result.stdout
    assert "  8. its trajectory replays\n" in result.stdout
    words = ["--env", "NB201-digits-v0", "--env-kwargs", '{"actions": "build"}', "--queries", "5", "--json"]
    found = json.loads(nb201("check-agent", WALKS, *words).stdout)
    assert (found["env"], found["actions"], found["queries"]) == ("NB201-digits-v0", ["build"], 5)
    assert found["source"]["class"] == WALKS
    assert found["hyperparameters"] == {"skip": 0}
    assert len(found["checked"]) == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["forgets:Forgetful"], "returned before the search was over with actions='build'"),
        (["mine:Nobody"], "has no class 'Nobody'"),
        (["nobody"], "unknown agent 'nobody'"),
        ([WALKS, "--env", "NB201-x"], "unknown environment 'NB201-x'"),
        ([WALKS, "--env-kwargs", '{"actoins": 1}'], "did you mean 'actions'"),
        ([WALKS, "--env-kwargs", '{"budget_queries": 1}'], "the budget is given twice"),
        ([WALKS, "--env-kwargs", '{"actions": "fly"}'], "actions"),
        ([WALKS, "--agent-kwargs", "[]"], "--agent-kwargs takes a JSON object"),
    ],
)
def test_check_agent_refuses_with_one_sentence(words: list[str], message: str, folder: Path) -> None:
    result = nb201("check-agent", *words)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.slow
def test_on_ray(folder: Path) -> None:
    """In a process of its own, because Ray leaves threads and warnings behind."""
    pytest.importorskip("ray")
    words = ["bench", "--agent", WALKS, "--seeds", "0-1", "--budget", "5", "--out"]
    program = [sys.executable, "-P", "-m", "nb201env.cli", *words, "ray", "--engine", "ray", "--jobs", "2"]
    environment: dict[str, Any] = {**os.environ}
    result = subprocess.run(program, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    assert nb201(*words, "here").exit_code == 0
    assert trajectories("ray") == trajectories("here")
