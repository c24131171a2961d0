"""Nothing is overwritten, nothing half-written counts, and nobody is in anybody's way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from typer.testing import CliRunner

from nb201env import cli
from nb201env.agents import make_agent
from nb201env.agents.report.data import load
from nb201env.agents.searches.plan import plan, unfinished
from nb201env.agents.searches.recorder import record
from nb201env.agents.searches.runner import Search, run_all
from nb201env.table import Table
from nb201env.trajectory import BadTrajectory, Writer, partial_name, publish, read, remove_orphans

ENV = "NB201-cifar10-v0"
runner = CliRunner()


def search(folder: Path, seed: int = 0, **changes: Any) -> Search:
    return Search(
        "random_search", ENV, seed, changes.pop("budget", {"budget_queries": 30}), folder, **changes
    )


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def trajectories(folder: Path) -> dict[str, bytes]:
    """All files but those of what was measured."""
    return {name: content for name, content in files(folder).items() if "cost" not in name}


def start(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nb201env.cli", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and what it wrote to stderr."""
    errors = process.communicate(timeout=120)[1]
    return process.returncode, errors


# -- the command -----------------------------------------------------------------------------


def test_search_lays_its_files_out_like_bench_and_keeps_what_is_there(tmp_path: Path) -> None:
    words = ["--agent", "random_search,regularized_evolution", "--seeds", "0-1", "--budget", "30"]
    for command in ("search", "bench"):
        assert runner.invoke(cli.build(), [command, *words, "--out", str(tmp_path / command)]).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "search").iterdir()) == [ENV]
    assert trajectories(tmp_path / "search") == trajectories(tmp_path / "bench")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "search").rglob("*.jsonl")}
    next(iter(before)).unlink()
    again = runner.invoke(cli.build(), ["search", *words, "--out", str(tmp_path / "search")])
    assert again.stdout.startswith("4 searches, 3 of them finished before\n")
    changed = [path for path, then in before.items() if path.stat().st_mtime_ns != then]
    assert changed == [next(iter(before))]


@pytest.mark.parametrize(
    "words",
    [
        ["--budget", "20"],
        ["--budget", "30s"],
        ["--env-kwargs", '{"repeats": "free"}'],
        ["--env-kwargs", '{"table": "cifar10-valid-200-surrogate"}'],
        ["--seeds", "7", "--budget", "20"],
        ["--agent-kwargs", '{"sample": 5}'],
    ],
)
def test_another_configuration_is_refused(words: list[str], tmp_path: Path) -> None:
    common = ["search", "--agent", "regularized_evolution", "--budget", "30", "--out", str(tmp_path)]
    assert runner.invoke(cli.build(), common).exit_code == 0
    before = files(tmp_path)
    result = runner.invoke(cli.build(), [*common, *words])
    assert isinstance(result.exception, ValueError)
    assert "is a search of another configuration" in str(result.exception)
    assert files(tmp_path) == before


def test_another_environment_has_a_folder_of_its_own(tmp_path: Path) -> None:
    for env in (ENV, "NB201-cifar100-v0"):
        words = ["search", "--agent", "random_search", "--env", env, "--budget", "5", "--out", str(tmp_path)]
        assert runner.invoke(cli.build(), words).exit_code == 0
    assert len(list(tmp_path.rglob("*.jsonl"))) == 2


def test_a_table_is_its_id_and_not_its_place(tested_table: Table, tmp_path: Path) -> None:
    here = tested_table.container.path
    there = tmp_path / "elsewhere" / "copy.safetensors"
    there.parent.mkdir()
    there.write_bytes(here.read_bytes())
    search(tmp_path, env_kwargs={"table": str(here)}).run()
    assert unfinished([search(tmp_path, env_kwargs={"table": str(there)})]) == []
    with pytest.raises(ValueError, match="another configuration: its table"):
        unfinished([search(tmp_path)])


def test_folders_of_earlier_releases_are_resumed(tmp_path: Path) -> None:
    """Their headers held Gymnasium's whole specification."""
    path = search(tmp_path).run()
    lines = path.read_text().splitlines(keepends=True)
    head = json.loads(lines[0])
    head["env"] |= {"entry_point": "nb201env.envs.single:NB201Env", "additional_wrappers": []}
    path.write_text(json.dumps(head) + "\n" + "".join(lines[1:]))
    assert unfinished([search(tmp_path)]) == []


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ('{"tabel": "x"}', "unknown argument 'tabel'; did you mean 'table'?"),
        ('{"table": 5}', "the table of an environment is the name or path of one; got 5"),
        ('{"budget_queries": 7}', "the budget is given twice, also as 'budget_queries'"),
        ('{"max_episode_steps": 1}', "unknown argument 'max_episode_steps'"),
        ('{"additional_wrappers": []}', "unknown argument 'additional_wrappers'"),
        ('{"disable_env_checker": true}', "unknown argument 'disable_env_checker'"),
        ('{"render_mode": "ansi"}', "unknown argument 'render_mode'"),
        ('{"id": "CartPole-v1"}', "unknown argument 'id'"),
        ('{"max_edits": NaN}', "--env-kwargs takes a JSON object"),
        ("[" * 100_000, "--env-kwargs takes a JSON object"),
        ('"text"', "--env-kwargs takes a JSON object"),
    ],
)
@pytest.mark.parametrize("command", ["search", "bench"])
def test_arguments_of_the_environment_are_its_options(
    kwargs: str, message: str, command: str, tmp_path: Path
) -> None:
    words = [command, "--agent", "random_search", "--env-kwargs", kwargs, "--out", str(tmp_path / "out")]
    result = runner.invoke(cli.build(), words)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert len(str(result.exception)) < 400
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "env", ["CartPole-v1", "os:NB201-cifar10-v0", "gymnasium:CartPole-v1", "nb201env:CartPole-v1"]
)
def test_other_environments_are_unknown(env: str, tmp_path: Path) -> None:
    result = runner.invoke(
        cli.build(), ["search", "--agent", "random_search", "--env", env, "--out", str(tmp_path)]
    )
    assert isinstance(result.exception, ValueError)
    assert "unknown environment" in str(result.exception)


def test_blanks_and_the_modules_name_do_no_harm(tmp_path: Path) -> None:
    words = [
        "search",
        "--agent",
        "random_search, regularized_evolution",
        "--env",
        f"nb201env:{ENV}",
        "--budget",
        "5",
    ]
    assert runner.invoke(cli.build(), [*words, "--out", str(tmp_path)]).exit_code == 0
    assert len(list((tmp_path / ENV).glob("*.jsonl"))) == 2


# -- at the same time ------------------------------------------------------------------------


def test_two_commands_in_one_folder_both_succeed(tmp_path: Path) -> None:
    words = ["bench", "--agent", "random_search,regularized_evolution", "--seeds", "0-2", "--budget", "1500"]
    alone = tmp_path / "alone"
    assert ended(start(*words, "--out", alone)) == (0, "")
    both = [start(*words, "--out", tmp_path / "both") for _ in range(2)]
    assert [ended(process) for process in both] == [(0, "")] * 2
    assert trajectories(tmp_path / "both") == trajectories(alone)


def test_a_search_that_finished_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    writer = Writer(search(tmp_path).path, search(tmp_path).header(), keep=True)
    other = search(tmp_path, budget={"budget_queries": 5}).run()
    before = other.read_bytes()
    with pytest.raises(
        FileExistsError, match=f"{other}: another search finished there meanwhile, and is kept"
    ):
        writer.close(complete=True)
    assert other.read_bytes() == before
    assert read(writer.partial).complete, "what was computed is not lost"


def test_the_same_search_twice_at_once_is_written_once(tmp_path: Path) -> None:
    path = search(tmp_path).run()
    partial = partial_name(path)
    partial.write_bytes(path.read_bytes())
    publish(partial, path)
    assert [file.suffix for file in tmp_path.iterdir() if "cost" not in file.name] == [".jsonl"]


def test_a_search_cut_short_and_a_link_to_nowhere_are_replaced(tmp_path: Path) -> None:
    whole = search(tmp_path).run().read_bytes()
    path = search(tmp_path).path
    path.write_bytes(whole[:-20])
    assert search(tmp_path).run().read_bytes() == whole
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert search(tmp_path).run().read_bytes() == whole
    path.write_text("my notes\n")
    with pytest.raises(BadTrajectory, match="line 1: not JSON"):
        search(tmp_path).run()
    assert path.read_text() == "my notes\n"


def test_a_killed_search_leaves_its_file_until_the_next_one_is_finished(tmp_path: Path) -> None:
    words = ["search", "--agent", "random_search", "--budget", "200000", "--out", tmp_path]
    with start(*words) as process:
        while process.poll() is None and not list(tmp_path.rglob("*.partial")):
            time.sleep(0.02)
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    (orphan,) = tmp_path.rglob("*.partial")
    assert not read(orphan).complete
    folder = tmp_path / ENV
    run_all([search(folder, seed=1)], 1, lambda *_: None)
    assert orphan.exists(), "its search is not finished"
    assert load([tmp_path]).unfinished == (f"{ENV}/{orphan.name}",)
    run_all([search(folder)], 1, lambda *_: None)
    assert not orphan.exists()


def test_a_living_search_keeps_its_file(tmp_path: Path) -> None:
    path = search(tmp_path).run()
    alive = Writer(path, search(tmp_path).header())
    for name in (f"{path.name}.partial", f"{path.name}.77-0123abcd.partial"):
        (tmp_path / name).write_text("left behind by an older release, and by a killed search\n")
    (tmp_path / "other.partial").write_text("not ours: there is no file 'other'\n")
    os.mkfifo(tmp_path / f"{path.name}.78-0123abcd.partial")
    remove_orphans(tmp_path)
    left = sorted(file.name for file in tmp_path.glob("*.partial"))
    assert left == sorted([alive.partial.name, "other.partial", f"{path.name}.78-0123abcd.partial"])
    alive.close(complete=True)
    assert read(path).queries == []


def test_what_lies_in_the_way_is_neither_followed_nor_replaced(tmp_path: Path) -> None:
    """The names of unfinished files cannot be foreseen, and a link with such a name is no way in."""
    mine = tmp_path / "mine"
    mine.write_text("mine")
    path = tmp_path / "out" / "x.jsonl"
    path.parent.mkdir()
    path.with_name("x.jsonl.partial").symlink_to(mine)
    env = gym.make(ENV, budget_queries=5)
    record(make_agent("random_search"), env, 0, path)
    assert mine.read_text() == "mine"
    assert len({partial_name(path) for _ in range(100)}) == 100


def test_what_a_search_cost_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = search(tmp_path).run()
    cost = path.with_name(f"{path.name}.cost.json")
    before = cost.read_bytes()

    def full(self: Path, *_: Any, **__: Any) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        record(make_agent("random_search"), gym.make(ENV, budget_queries=30), 0, path)
    assert cost.read_bytes() == before


def test_plans_of_many_searches_are_made_quickly(tmp_path: Path) -> None:
    """Orphans are looked for once in a folder, not once for every search."""
    searches = plan(["random_search"], [ENV], range(200), {"budget_queries": 1}, tmp_path)
    looked: list[Path] = []
    from nb201env.agents.searches import runner as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "remove_orphans", looked.append)
        assert run_all(searches, 1, lambda *_: None) == []
    assert looked == [tmp_path / ENV]
