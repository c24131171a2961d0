"""What holds for every command: help with an example, architectures, errors, and what a terminal shows."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nb201env import cli
from nb201env.extras import MissingExtra
from nb201env.output import print_grid, progress_bar, resumable
from nb201env.reading import check_name, read_architectures, read_names
from nb201env.table import ranges

runner = CliRunner()
NAMES = {"random_search": 1, "regularized_evolution": 2}


def leaves(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands that do something, by the words that call them."""
    command = command or typer.main.get_command(cli.build())
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    for name in command.list_commands(None):
        yield from leaves(command.get_command(None, name), (*path, name))


COMMANDS = dict(leaves())


def options(command: Any) -> set[str]:
    return {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_ends_in_an_example_of_real_options(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    words = shlex.split(command.example)
    assert tuple(words[1 : 1 + len(path)]) == path
    assert {word for word in words if word.startswith("--")} <= options(command)
    command.make_context("nb201", words[1 + len(path) :]).close()
    result = runner.invoke(cli.build(), [*path, "--help"], env={"COLUMNS": "80"})
    assert f" Example: {command.example}\n" in result.stdout
    assert result.stdout.count("Example:") == 1


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_options_are_called_alike(path: tuple[str, ...]) -> None:
    found = options(COMMANDS[path])
    assert "--json" in found
    for old in ("--agents", "--envs", "--models", "--to", "--workers", "--indices", "--splits"):
        assert old not in found
    # It was an output's name once; now it is a file to learn from, there alone.
    assert ("--csv" in found) == (path == ("surrogate", "fit"))
    assert all(word == "--no-figures" for word in found if word.startswith("--no-"))


TAKING = [
    ["table", "query", "cifar100-200", "{}", "--split", "valid", "--epochs", "200", "--run", "mean"],
    ["table", "plot", "cifar100-200", "--kind", "curves", "--split", "valid", "--out", "x.png",
     "--architecture", "{}"],
    ["latency", "{}", "--task", "digits"],
    ["build", "--task", "digits", "--recipe", "smoke-2", "--seeds", "0", "--out", "x", "--only", "{}"],
    ["surrogate", "predict", "model", "{}"],
    ["tell", "x.jsonl", "{}"],
    ["surrogate", "fit", "--table", "cifar100-200", "--split", "valid", "--epochs", "200", "--out", "x",
     "--architectures", "{}.txt"],
]  # fmt: skip


@pytest.mark.parametrize("words", TAKING, ids=lambda words: " ".join(words[:2]))
def test_a_bare_number_is_never_taken_for_an_architecture(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("6111.txt").write_text("6111\n")
    result = runner.invoke(cli.build(), [word.format("6111") for word in words])
    assert result.exit_code != 0
    assert "6111 could be two architectures: write official:6111" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["6111.txt"]


def test_the_list_of_commands_that_take_architectures_is_complete() -> None:
    taking = {
        path for path, command in COMMANDS.items()
        for parameter in command.params
        if "architecture" in parameter.name or "official:" in (parameter.help or "")
    }  # fmt: skip
    listed = {path for path in COMMANDS for words in TAKING if tuple(words[: len(path)]) == path}
    assert taking == listed


def test_architectures_and_names_are_repeated_or_with_commas() -> None:
    best = read_architectures(["official:6111"])[0]
    assert read_architectures([f"official:6111,index:{best.index}", str(best)]) == [best] * 3
    assert read_names(["random_search,regularized_evolution"], "agent", NAMES) == list(NAMES)
    assert read_names(["random_search", "regularized_evolution"], "agent", NAMES) == list(NAMES)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["ranom_search"], "unknown agent 'ranom_search'; did you mean 'random_search'"),
        (["sgd"], "unknown agent 'sgd'; the agents are random_search, regularized_evolution"),
        (["random_search", "random_search"], "agent 'random_search' is named twice"),
        ([","], "name at least one agent"),
    ],
)
def test_wrong_names(texts: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_names(texts, "agent", NAMES)


def test_epochs_with_gaps_are_not_called_a_range() -> None:
    assert ranges([1, 3, 6, 12]) == "1, 3, 6, 12"
    assert ranges(range(1, 13)) == "1..12"
    assert [ranges(some) for some in ([], [200], [1, 2])] == ["", "200", "1, 2"]


# -- the program -----------------------------------------------------------------------------


def ended(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[Any, str]:
    """The exit code and stderr of a program whose command ``raising`` raises an error."""

    def raising() -> None:
        raise error

    point = SimpleNamespace(name="raising", load=lambda: raising)
    monkeypatch.setattr(cli, "entry_points", lambda group: [point])
    monkeypatch.setattr(sys, "argv", ["nb201", "raising", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (MissingExtra("pip install 'nb201env[plots]'"), 2, "error: pip install 'nb201env[plots]'"),
        (ValueError("[/foo]\nis [red]no[/red] table"), 2, "error: [/foo] is [red]no[/red] table"),
        (KeyError("no column 'a'"), 2, "error: no column 'a'"),
        (KeyboardInterrupt(), 130, "stopped"),
        (ZeroDivisionError("by [0]"), 1,
         "error: unexpected ZeroDivisionError: by [0]; run it with --traceback for the rest"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_of_plain_text(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ended(error, monkeypatch, capsys) == (code, f"{line}\n")


def test_a_traceback_on_request(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = ended(ZeroDivisionError("x"), monkeypatch, capsys, "--traceback")
    assert (code, sys.argv) == (1, ["nb201", "raising"])
    assert "Traceback (most recent call last)" in shown
    assert shown.endswith("error: unexpected ZeroDivisionError: x\n")


def test_ctrl_c_in_what_can_be_resumed_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exception, match="run the same command again") as caught, resumable():
        raise KeyboardInterrupt
    line = "stopped; run the same command again to resume\n"
    assert ended(caught.value, monkeypatch, capsys) == (130, line)


def test_wrong_options_and_the_version() -> None:
    def nb201(*words: str) -> Any:
        command = [sys.executable, "-m", "nb201env.cli", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    wrong = nb201("search", "--agnet", "ppo")
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
    assert wrong.stderr.startswith("error: No such option: --agnet")
    assert wrong.stderr.endswith("; see nb201 search --help\n")
    assert nb201("--version").stdout.startswith("nb201env 0.")


@pytest.mark.parametrize(
    ("words", "module", "extra"),
    [
        (["report", "nowhere"], "matplotlib", "plots"),
        (["search", "--agent", "ppo"], "stable_baselines3", "agents"),
        (["bench", "--agent", "ppo"], "stable_baselines3", "agents"),
        (["demo"], "stable_baselines3", "agents"),
        (["bench", "--agent", "random_search", "--engine", "ray"], "ray", "ray"),
        (["table", "plot", "cifar100-200", "--split", "valid", "--out", "x.png"], "matplotlib", "plots"),
    ],
)
def test_a_missing_extra_shows_before_anything_runs(
    words: list[str], module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    result = runner.invoke(cli.build(), words)
    assert isinstance(result.exception, MissingExtra)
    assert str(result.exception).endswith(f"pip install 'nb201env[{extra}]'")
    assert not list(tmp_path.iterdir())


# -- what is printed -------------------------------------------------------------------------


def test_grids_neither_fold_nor_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    long = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|[red]|"
    print_grid(["name", "n\nqueries"], [[long, 5], ["b", "1,000"]], "title")
    assert capsys.readouterr().out.splitlines() == [
        "title", f"{'name':{len(long)}}        n", f"{'':{len(long)}}  queries", f"{long}        5",
        f"{'b':{len(long)}}    1,000",
    ]  # fmt: skip


def test_bars_are_silent_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("importing") as progress:
        progress(3, 10, "a note")
    assert capsys.readouterr() == ("", "")


def test_search_takes_several_environments_and_writes_a_folder_for_each(tmp_path: Path) -> None:
    words = ["search", "--agent", "random_search,regularized_evolution", "--budget", "20", "--json"]
    words += ["--env", "NB201-cifar10-v0", "--env", "NB201-cifar100-v0", "--out", str(tmp_path)]
    result = runner.invoke(cli.build(), words)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = json.loads(result.stdout)
    assert len({(row["env"], row["agent"]) for row in rows}) == len(rows) == 4
    assert len(list(tmp_path.glob("NB201-*/*.jsonl"))) == 4
    files = [str(path) for path in sorted(tmp_path.rglob("*.jsonl"))]
    replayed = json.loads(runner.invoke(cli.build(), ["replay", *files, "--json"]).stdout)
    assert [one["problems"] for one in replayed] == [[]] * 4


def test_an_unknown_name_is_answered() -> None:
    with pytest.raises(ValueError, match="unknown engine 'slurm'; the engines are local, ray"):
        check_name("slurm", "engine", ("local", "ray"))
