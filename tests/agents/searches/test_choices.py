"""What an agent chooses: its incumbent, where that is not the one with the best answer so far."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import pytest

from nb201env.agents.contract import AgentError, Env, choose, query
from nb201env.agents.searches.outcome import outcome
from nb201env.agents.searches.recorder import record, replay
from nb201env.architecture import Architecture
from nb201env.trajectory import BadTrajectory, read

ONES = [Architecture.from_index(index) for index in (15624, 7777, 312, 9000)]


class Chooses:
    """Asks for four architectures; after each answer it chooses what a function says, if anything."""

    def __init__(self, says: Callable[[int], int | None]) -> None:
        self.says = says

    def search(self, env: Env, seed: int) -> None:
        """Ask for all."""
        for number, one in enumerate(ONES):
            query(env, one)
            if (said := self.says(number)) is not None:
                choose(env, ONES[said])


def recorded(folder: Path, says: Callable[[int], int | None], budget: int = 4) -> Path:
    """The file of such a search."""
    path = folder / "search.jsonl"
    record(Chooses(says), gym.make("NB201-cifar10-v0", budget_queries=budget), 0, path, given={})
    return path


def best_so_far(path: Path) -> list[int]:
    """The incumbents of an agent that chooses nothing."""
    accuracy = read(path).accuracy.tolist()
    return [ONES[accuracy.index(max(accuracy[: n + 1]))].index for n in range(len(accuracy))]


def test_an_agent_that_chooses_nothing_has_the_best_answer_so_far(tmp_path: Path) -> None:
    path = recorded(tmp_path, lambda number: None)
    assert read(path).incumbents().tolist() == best_so_far(path)
    assert '"incumbent"' not in path.read_text()


def test_a_choice_is_the_incumbent_and_judged_as_such(tmp_path: Path) -> None:
    path = recorded(tmp_path, lambda number: 0)  # always the first
    trajectory = read(path)
    assert trajectory.incumbents().tolist() == [ONES[0].index] * 4
    found = outcome(trajectory)
    assert found.chosen == ONES[0].index
    assert found.accuracy == found.landscape.valid[ONES[0].index]
    assert replay(trajectory) == []


def test_a_choice_stands_until_the_next_answer(tmp_path: Path) -> None:
    path = recorded(tmp_path, lambda number: 0 if number == 2 else None)
    expected = best_so_far(path)
    expected[2] = ONES[0].index
    assert read(path).incumbents().tolist() == expected


def test_the_last_choice_stands_in_the_last_line(tmp_path: Path) -> None:
    path = recorded(tmp_path, lambda number: 1 if number == 3 else None)
    assert json.loads(path.read_text().splitlines()[-1])["incumbent"] == str(ONES[1])
    assert read(path).incumbents()[-1] == ONES[1].index


def test_only_what_was_asked_for_can_be_chosen(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="which it has not asked for"):
        recorded(tmp_path, lambda number: 3)


@pytest.mark.parametrize(("name", "why"), [
    (str(ONES[3]), "after query 1 it chose what it never asked for"),
    ("|nothing|", "line 3: .*incumbent"),
    (7, "line 3: .*incumbent"),
])  # fmt: skip
def test_a_file_that_claims_another_choice_is_refused(tmp_path: Path, name: object, why: str) -> None:
    path = recorded(tmp_path, lambda number: 0)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[2]["incumbent"] = name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(BadTrajectory, match=why):
        read(path).incumbents()


def test_outside_of_a_recorded_search_a_choice_is_for_nothing() -> None:
    env = gym.make("NB201-cifar10-v0")
    choose(env, ONES[0])
    env.close()
