"""The package as a user meets it: light to import, one-line errors, a command line that helps."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nb201env import cli
from nb201env.extras import MissingExtra, require

HEAVY = ("torch", "pandas", "matplotlib", "stable_baselines3", "xgboost", "sklearn", "scipy", "typer", "rich")
runner = CliRunner()


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_importing_loads_nothing_heavy() -> None:
    """Neither the package, nor making and stepping an environment."""
    code = (
        "import sys, gymnasium; before = set(sys.modules); import nb201env\n"
        "env = gymnasium.make('NB201-cifar10-v0'); env.reset(seed=0); env.step(0)\n"
        f"print([m for m in {HEAVY} if m in sys.modules and m not in before])"
    )
    assert python(code) == "[]"


def test_tables_are_built_and_read_without_gymnasium() -> None:
    """GPU machines often lack it; ids are registered only where it is there."""
    code = (
        "import sys; sys.modules['gymnasium'] = None\n"  # importing it fails
        "import nb201env, nb201env.cli, nb201env.training.gpu.trainer\n"
        "print(nb201env.open_table('cifar10-valid-200').optimum(split='valid', epochs=200)[0].official_index)"
    )
    assert python(code) == "6111"


def test_the_command_line_starts_light() -> None:
    loaded = f"print([m for m in {HEAVY[:7]} if m in sys.modules])"
    code = f"import sys; from nb201env.cli import build; build()(['--help'], standalone_mode=False); {loaded}"
    assert python(code).endswith("\n[]")


def test_a_missing_extra_is_one_line_that_names_the_install() -> None:
    with pytest.raises(MissingExtra, match=r"^this needs no_such_module, which is not installed: "
                       r"pip install 'nb201env\[plots\]'$"):  # fmt: skip
        require("no_such_module.sub", "plots")


def test_help_lists_the_commands() -> None:
    result = runner.invoke(cli.build(), ["--help"])
    assert result.exit_code == 0
    for command in ("bench", "demo", "replay", "report", "search"):
        assert command in result.output


def broken_and_whole(**_: str) -> EntryPoints:
    """Entry points of a package that cannot be imported, beside the table commands."""
    return EntryPoints(
        EntryPoint(name, where, cli.GROUP)
        for name, where in (("lost", "no_such_package.cli:app"), ("table", "nb201env.commands.table:app"))
    )


def test_a_command_that_cannot_be_loaded_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "entry_points", broken_and_whole)
    assert (
        "Cannot be loaded: No module named 'no_such_package'" in runner.invoke(cli.build(), ["--help"]).output
    )
    assert runner.invoke(cli.build(), ["table", "list"]).exit_code == 0
    for words in (["lost"], ["lost", "--help"], ["lost", "sub", "--option", "3"]):
        assert str(runner.invoke(cli.build(), words).exception) == (
            "the command 'lost' cannot be loaded from 'no_such_package.cli:app': "
            "No module named 'no_such_package'"
        )


def test_a_command_is_loaded_when_it_is_called() -> None:
    code = "import sys; from nb201env.cli import build; build()(['table', 'list'], standalone_mode=False)\n"
    shown = python(
        code + "print([m for m in sys.modules if m.startswith(('nb201env.agents', 'nb201env.training'))])"
    )
    assert shown.endswith("[]")


def nb201(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nb201env.cli", *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", "--agent", "sgd"], "error: unknown agent 'sgd'; the agents are random_search"),
        (["search", "--agent", "random_search", "--budget", "ten"], "error: a budget is a number of queries"),
        (["search", "--agent", "random_search", "--seeds", "x"], "error: seeds look like"),
        (
            ["search", "--agent", "random_search", "--agent-kwargs", "[]"],
            "error: --agent-kwargs takes a JSON",
        ),
        (
            ["search", "--agent", "random_search", "--agent-kwargs", '{"a": 1}'],
            "error: agent 'random_search'",
        ),
        (["search", "--agent", "random_search", "--env-kwargs", '{"run": 5}'], "has no run 5"),
        (["search", "--agent", "random_search", "--env", "NB201-mnist-v0"], "NB201-mnist"),
        (["replay", "nowhere.jsonl"], "nowhere.jsonl"),
        (["search"], "Missing option '--agent'"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_mistakes_end_in_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    if words[0] == "search" and len(words) > 1:
        words = [*words, "--out", str(tmp_path)]
    result = nb201(*words)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_search_and_replay(tmp_path: Path) -> None:
    words = ["search", "--agent", "random_search", "--agent", "regularized_evolution", "--budget", "40",
             "--seeds", "0-1", "--out", str(tmp_path)]  # fmt: skip
    result = runner.invoke(cli.build(), words)
    assert result.exit_code == 0
    assert "regularized evolution" in result.output
    rows = json.loads(runner.invoke(cli.build(), [*words, "--json"]).stdout)
    assert [(row["agent"], row["seed"], row["queries"]) for row in rows] == [
        ("random_search", 0, 40), ("random_search", 1, 40),
        ("regularized_evolution", 0, 40), ("regularized_evolution", 1, 40),
    ]  # fmt: skip
    assert all(0 <= row["regret"] < 0.05 < row["accuracy"] < 0.9161 for row in rows)
    files = sorted(map(str, tmp_path.glob("NB201-cifar10-v0/*.jsonl")))
    assert len(files) == 4
    result = runner.invoke(cli.build(), ["replay", *files])
    assert result.exit_code == 0
    assert result.output.count("40 queries, no difference") == 4


def test_replay_reports_a_forged_file(tmp_path: Path) -> None:
    runner.invoke(
        cli.build(), ["search", "--agent", "random_search", "--budget", "5", "--out", str(tmp_path)]
    )
    path = tmp_path / "NB201-cifar10-v0" / "random_search-0.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    query = json.loads(lines[2])
    lines[2] = json.dumps(query | {"accuracy": 0.99}) + "\n"
    path.write_text("".join(lines[:-1]))
    result = runner.invoke(cli.build(), ["replay", str(path)])
    assert result.exit_code == 1
    assert "query 2: accuracy is" in result.output
    assert "recorded was 0.99" in result.output
    assert "its search was cut short" in result.output


def test_the_demo_as_json_is_json_alone(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    pytest.importorskip("matplotlib")
    words = ["demo", "--budget", "10", "--seeds", "3", "--jobs", "1", "--out", str(tmp_path), "--json"]
    result = runner.invoke(cli.build(), words)
    rows = json.loads(result.stdout)
    assert [(row["agent"], row["seed"], row["queries"]) for row in rows] == [
        ("random_search", 3, 10), ("regularized_evolution", 3, 10), ("ppo", 3, 10),
    ]  # fmt: skip
    assert (tmp_path / "demo-report" / "report.html").is_file()


def test_the_demo_prints_and_draws(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    pytest.importorskip("matplotlib")
    out = tmp_path / "my runs"
    result = runner.invoke(
        cli.build(), ["demo", "--budget", "30", "--seeds", "0-1", "--jobs", "1", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    for words in (
        "random search",
        "regularized evolution",
        "PPO",
        "best architecture found by",
        "report.html",
    ):
        assert words in result.output
    report = out / "demo-report"
    assert (report / "regret-0.png").read_bytes().startswith(b"\x89PNG")
    assert len((report / "searches.csv").read_text().splitlines()) == 1 + 3 * 2
    assert "PPO" in (report / "report.html").read_text()
    assert f"`nb201 demo --budget 30 --seeds 0-1 --out '{out}'`" in (report / "report.md").read_text()
