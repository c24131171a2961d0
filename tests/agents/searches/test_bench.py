"""`nb201 bench`: resumable, indifferent to where it runs, and robust against what agents do."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import cli
from nb201env.agents.searches.plan import plan, unfinished
from nb201env.agents.searches.runner import Search, run_all
from nb201env.reading import format_seeds, parse_seeds
from nb201env.tables import embedded_file
from nb201env.trajectory import BadTrajectory, read

LIGHT = ["random_search", "regularized_evolution"]
ENVS = ["NB201-cifar10-v0", "NB201-cifar100-v0"]
BUDGET = {"budget_queries": 30}
runner = CliRunner()


def small(out: Path, **changes: Any) -> list[Search]:
    arguments: dict[str, Any] = {"agents": LIGHT, "envs": ENVS, "seeds": [0, 1], "budget": BUDGET}
    return plan(**(arguments | changes), out=out)


def finished(out: Path, **changes: Any) -> list[Search]:
    searches = small(out, **changes)
    assert run_all(searches, 1, lambda *_: None) == []
    return searches


def nb201(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nb201env.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def contents(folder: Path, pattern: str = "*.jsonl") -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob(pattern) if p.is_file()}


# -- resuming --------------------------------------------------------------------------------


def test_only_what_is_missing_runs(tmp_path: Path) -> None:
    searches = small(tmp_path)
    assert unfinished(searches) == searches
    run_all(searches[:3], 1, lambda *_: None)
    assert unfinished(searches) == searches[3:]
    run_all(searches[3:], 1, lambda *_: None)
    assert unfinished(searches) == []


def test_a_search_that_was_cut_short_runs_again(tmp_path: Path) -> None:
    searches = finished(tmp_path)
    whole = searches[2].path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in (b"".join(lines[:20]), b"".join(lines)[:-3]):
        searches[2].path.write_bytes(cut)
        todo = unfinished(searches)
        assert todo == [searches[2]]
        run_all(todo, 1, lambda *_: None)
        assert searches[2].path.read_bytes() == whole


def test_a_benchmark_grows(tmp_path: Path) -> None:
    finished(tmp_path, agents=LIGHT[:1], seeds=[0])
    more = small(tmp_path)
    assert len(unfinished(more)) == len(more) - len(ENVS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": {"budget_queries": 31}}, 'its env is {"id": "NB201-cifar10-v0".* "budget_queries": 30}'),
        ({"budget": {"budget_seconds": 9e4}}, "another configuration"),
        ({"env_kwargs": {"repeats": "free"}}, 'this one\'s is .*"repeats": "free"'),
        ({"agent_kwargs": {LIGHT[1]: {"sample": 4}}}, 'its hyperparameters is .*"sample": 3'),
        ({"seeds": [7], "budget": {"budget_queries": 31}}, "random_search-0.jsonl is a search of another"),
    ],
)
def test_another_configuration_is_an_error(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    searches = finished(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=message):
        unfinished(small(tmp_path, **changes))
    assert contents(tmp_path) == before
    assert unfinished(searches) == []


def test_a_trajectory_of_another_table_is_an_error(tmp_path: Path) -> None:
    searches = finished(tmp_path)
    path = searches[0].path
    lines = path.read_text().splitlines(keepends=True)
    head = json.loads(lines[0])
    head["table"]["id"] = "0" * 64
    path.write_text("".join([json.dumps(head) + "\n", *lines[1:]]))
    with pytest.raises(ValueError, match='its table is {.*"id": "0000'):
        unfinished(searches)


def test_a_file_that_is_no_trajectory_is_not_overwritten(tmp_path: Path) -> None:
    searches = small(tmp_path)
    searches[0].path.parent.mkdir(parents=True)
    searches[0].path.write_text("my notes\n")
    with pytest.raises(BadTrajectory, match="random_search-0.jsonl, line 1: not JSON"):
        unfinished(searches)


def test_killed_and_resumed_it_gives_the_same_report(tmp_path: Path) -> None:
    """Killed again and again, at random moments; the report's bytes are those of an undisturbed one."""
    words = ["bench", "--agent", ",".join(LIGHT), "--env", ",".join(ENVS), "--seeds", "0-3",
             "--budget", "3000", "--jobs", "2", "--out"]  # fmt: skip
    assert nb201(*words, tmp_path / "whole" / "runs").returncode == 0
    rng, kills, killed = np.random.default_rng(0), 0, tmp_path / "killed" / "runs"
    for _ in range(60):
        with subprocess.Popen(
            [sys.executable, "-m", "nb201env.cli", *words, str(killed)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            have = len(list(killed.rglob("*.jsonl")))
            while process.poll() is None and len(list(killed.rglob("*.jsonl"))) <= have:
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 0.15))
            process.kill()
        kills += process.returncode == -signal.SIGKILL
        if kills >= 3 and any(killed.rglob("*.partial")):
            break
    assert kills >= 3
    resumed = nb201(*words, killed)
    assert resumed.returncode == 0, resumed.stderr
    assert " 0 of them finished before" not in resumed.stdout
    assert contents(killed) == contents(tmp_path / "whole" / "runs")
    for name in ("whole", "killed"):
        command = [sys.executable, "-m", "nb201env.cli", "report", "runs", "--no-figures", "--out", "report"]
        subprocess.run(command, cwd=tmp_path / name, check=True, capture_output=True)
    reports = [contents(tmp_path / name / "report", "*") for name in ("whole", "killed")]
    assert reports[0] == reports[1]
    assert "report.html" in reports[0]


# -- where it runs ---------------------------------------------------------------------------


@pytest.mark.slow
def test_ray_gives_the_same_trajectories(tmp_path: Path) -> None:
    """In a process of its own, because Ray leaves threads and warnings behind."""
    pytest.importorskip("ray")
    words = [
        "bench",
        "--agent",
        ",".join(LIGHT),
        "--env",
        ",".join(ENVS),
        "--seeds",
        "0-1",
        "--budget",
        "30",
    ]
    result = nb201(*words, "--engine", "ray", "--jobs", 2, "--out", tmp_path / "ray")
    assert result.returncode == 0, result.stderr
    finished(tmp_path / "here")
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")
    words = ["bench", "--agent", LIGHT[0], "--env-kwargs", '{"actions": "edit"}', "--seeds", "0"]
    failing = nb201(*words, "--engine", "ray", "--out", tmp_path / "failing")
    assert failing.returncode == 1
    assert "ValueError: this agent chooses whole architectures" in failing.stderr


# -- what can go wrong -----------------------------------------------------------------------


class Deadly(Search):
    """A search that ends its process."""

    def run(self, on_query: Any = None) -> Path:
        os._exit(9)


class Broken(Search):
    """A search whose agent has a mistake."""

    def run(self, on_query: Any = None) -> Path:
        raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(("kind", "reason"), [(Broken, "ZeroDivisionError: division by zero"),
                                              (Deadly, "its process died")])  # fmt: skip
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failed_search_does_not_lose_the_others(
    kind: type[Search], reason: str, jobs: int, tmp_path: Path
) -> None:
    if kind is Deadly and jobs == 1:
        pytest.skip("one job runs in this process")
    searches = small(tmp_path)
    bad = kind("random_search", ENVS[0], 99, BUDGET, tmp_path)
    failures = run_all([*searches[:3], bad, *searches[3:]], jobs, lambda *_: None)
    assert [(failure.search, failure.reason.startswith(reason)) for failure in failures] == [(bad, True)]
    assert unfinished(searches) == []


def test_failures_are_reported_at_the_end_and_in_the_exit_code(tmp_path: Path) -> None:
    """With actions="edit" random search cannot choose architectures; with "pick" it can."""
    words = ["bench", "--agent", "random_search", "--seeds", "0-1", "--budget", "20", "--out"]
    result = runner.invoke(cli.build(), [*words, str(tmp_path), "--env-kwargs", '{"actions": "edit"}'])
    assert result.exit_code == 1
    assert result.stderr.count("it needs actions='build' or 'pick'") == 1, "equal failures share a line"
    assert "failed: random search on NB201-cifar10-v0, seeds 0-1: ValueError: this agent" in result.stderr
    assert "2 searches failed; the others are finished" in result.stderr
    assert "(again: nb201 search --agent random_search --env NB201-cifar10-v0 --seeds 0-1 " in result.stderr
    assert list(tmp_path.rglob("*.jsonl")) == []


def test_bench_prints_outcomes_and_what_comes_next(tmp_path: Path) -> None:
    words = ["bench", "--agent", ",".join(LIGHT), "--env", ",".join(ENVS), "--seeds", "0-1",
             "--budget", "20", "--out", str(tmp_path)]  # fmt: skip
    first, second = (runner.invoke(cli.build(), words) for _ in range(2))
    assert first.exit_code == second.exit_code == 0
    assert "8 searches, 0 of them finished before" in first.stdout
    assert "8 searches, 8 of them finished before" in second.stdout
    assert first.stdout.splitlines()[1:] == second.stdout.splitlines()[1:]
    for words_ in ("NB201-cifar100-v0, budget 20", "regularized evolution", f"nb201 report {tmp_path}"):
        assert words_ in first.stdout
    assert read(tmp_path / ENVS[1] / "random_search-1.jsonl").header["seed"] == 1


def test_a_table_of_ones_own_is_one_option(tmp_path: Path) -> None:
    """It is searched in NB201-v0, and the report is told where it lies."""
    own = str(shutil.copy(embedded_file("digits-10"), tmp_path / "own.safetensors"))
    words = ["bench", "--agent", "random_search", "--table", own, "--seeds", "0", "--budget", "5"]
    result = runner.invoke(cli.build(), [*words, "--out", str(tmp_path / "runs")])
    assert result.exit_code == 0, result.output
    head = read(tmp_path / "runs" / "NB201-v0" / "random_search-0.jsonl").header
    assert (head["env"]["id"], head["env"]["kwargs"]["table"]) == ("NB201-v0", own)
    assert f"nb201 report {tmp_path / 'runs'} --table {own}" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--agent", "sgd"], "unknown agent 'sgd'"),
        (["--agent", "random_search,random_search"], "agent 'random_search' is named twice"),
        (
            ["--agent", "random_search", "--env", "NB201-mnist-v0"],
            "unknown environment 'NB201-mnist-v0'; the environments are NB201-cifar10-v0, ",
        ),
        (["--agent", "random_search", "--env", "cifar10"], "did you mean 'NB201-cifar10-v0'"),
        (["--agent", "random_search", "--env", "nb201env:NB201-digit-mo-v0"], "mean 'NB201-digits-mo-v0'"),
        (["--agent", "random_search", "--seeds", "0,0"], "a seed is named twice"),
        (
            ["--agent", "random_search", "--table", "digits-10", "--env-kwargs", '{"table": "digits-10"}'],
            "--table and --env-kwargs both name a table",
        ),
        (["--agent", "random_search", "--table", "nowhere"], "no table .nowhere.: the names are"),
        (
            ["--agent", "random_search", "--table", "digits-10", "--env", "NB201-cifar10-v0"],
            "this id is for tables of cifar10; 'digits-10' is of digits",
        ),
        (["--agent", "random_search", "--engine", "slurm"], "the engines are local, ray"),
        (["--agent", "random_search", "--agent-kwargs", '{"ppo": {}}'], "hyper-parameters by agent"),
        (
            ["--agent", "random_search", "--agent-kwargs", '{"random_search": 3}'],
            "hyper-parameters by agent",
        ),
        (["--agent", "random_search", "--agent-kwargs", '{"random_search": {"a": 1}}'], "has no|unexpected"),
    ],
)
def test_mistakes_show_before_anything_runs(words: list[str], message: str, tmp_path: Path) -> None:
    result = runner.invoke(cli.build(), ["bench", *words, "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, ValueError | OSError | gymnasium.error.Error)
    assert re.search(message, str(result.exception))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["4", "0-9", "0,3,7-9", "0-1"])
def test_seeds_round_trip(text: str) -> None:
    assert format_seeds(parse_seeds(text)) == text
