"""Agents of one reward and agents of several: the wrong environment is refused with one sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nb201env import cli
from nb201env.agents import AGENTS
from nb201env.agents.registry import EITHER, SEVERAL, check_objectives, display_name
from nb201env.agents.searches.runner import Search

ONE, TWO = "NB201-cifar10-v0", "NB201-cifar10-mo-v0"
OF_ONE = sorted({*AGENTS} - {*SEVERAL, *EITHER})
NOT_SEVERAL = (
    "agent '{}' takes one reward, and this environment gives {}: choose one of random_search, nsga2, "
    "scalarized_evolution, pareto_local_search, ehvi, weighted_ppo, or an id without -mo"
)
NOT_ONE = (
    "agent '{}' searches for a front of several objectives: choose an environment with -mo before -v0, such "
    "as NB201-cifar10-mo-v0"
)


@pytest.mark.parametrize("name", OF_ONE)
def test_agents_of_one_reward(name: str) -> None:
    check_objectives(name, 1)
    for objectives in (2, 3):
        with pytest.raises(ValueError, match=f"^{re.escape(NOT_SEVERAL.format(name, objectives))}$"):
            check_objectives(name, objectives)


@pytest.mark.parametrize("name", SEVERAL)
def test_agents_of_several(name: str) -> None:
    check_objectives(name, 2)
    with pytest.raises(ValueError, match=f"^{re.escape(NOT_ONE.format(name))}$"):
        check_objectives(name, 1)


@pytest.mark.parametrize("name", [*EITHER, "mine:MyAgent"])
def test_both_and_agents_of_ones_own(name: str) -> None:
    check_objectives(name, 1)
    check_objectives(name, 4)


@pytest.mark.parametrize(("name", "env_id"), [("local_search", TWO), ("pareto_local_search", ONE)])
def test_a_search_says_so_before_it_begins(name: str, env_id: str, tmp_path: Path) -> None:
    search = Search(name, env_id, 0, {"budget_queries": 5}, tmp_path)
    message = (NOT_SEVERAL.format(name, 2) if env_id == TWO else NOT_ONE.format(name)).partition(":")[0]
    for begin in (search.header, search.run):
        with pytest.raises(ValueError, match=message):
            begin()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["search", "bench"])
@pytest.mark.parametrize(
    ("name", "env_id", "message"),
    [
        ("ppo", TWO, NOT_SEVERAL.format("ppo", 2)),
        ("regularized_evolution", TWO, NOT_SEVERAL.format("regularized_evolution", 2)),
        ("pareto_local_search", ONE, NOT_ONE.format("pareto_local_search")),
        ("weighted_ppo", ONE, NOT_ONE.format("weighted_ppo")),
    ],
)
def test_the_command_line_says_so(command: str, name: str, env_id: str, message: str, tmp_path: Path) -> None:
    words = [command, "--agent", name, "--env", env_id, "--budget", "5", "--out", str(tmp_path / "runs")]
    result = CliRunner().invoke(cli.build(), [*words, "--seeds", "0"])
    assert result.exit_code != 0
    assert message in str(result.exception) + result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_search_for_a_front_from_the_command_line(tmp_path: Path) -> None:
    words = ["search", "--agent", "pareto_local_search,scalarized_evolution,random_search", "--env", TWO]
    result = CliRunner().invoke(
        cli.build(), [*words, "--budget", "30", "--seeds", "0-1", "--out", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    files = sorted((tmp_path / TWO).glob("*.jsonl"))
    assert len(files) == 6
    header = json.loads(files[0].read_text().splitlines()[0])
    assert header["env"]["id"] == TWO
    assert header["hyperparameters"] == {"start": 20, "move": "one"}


def test_names_for_people() -> None:
    assert [*map(display_name, SEVERAL)] == [
        "NSGA-II", "scalarized evolution", "Pareto local search", "EHVI", "weighted PPO",
    ]  # fmt: skip
