"""Monte Carlo tree search: what it asks for, how its tree grows, and that it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env.agents import check_agent, make_agent
from nb201env.agents.contract import AgentError, get_state, set_state
from nb201env.agents.mcts import MCTS, Node
from nb201env.agents.random_search import RandomSearch
from nb201env.agents.searches.recorder import Recorder, agent_seed, record, replay
from nb201env.architecture import Architecture
from nb201env.space import SIZE
from nb201env.trajectory import read


def queries_of(agent: Any, seed: int, **kwargs: Any) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []
    env = gym.make("NB201-cifar10-v0", run="mean", **kwargs)
    agent.search(Recorder(env, seed, asked.append), agent_seed(seed))
    return asked


@pytest.mark.parametrize("backup", ["mean", "best"])
def test_it_keeps_the_contract(backup: str) -> None:
    check_agent(make_agent("mcts", backup=backup))


def test_building_from_states_asks_for_what_picking_asks_for() -> None:
    """Putting states back changes how an episode is reached, not what is asked."""
    built, picked = (queries_of(MCTS(), 3, budget_queries=300, actions=way) for way in ("build", "pick"))
    assert built == picked
    assert len({query["architecture"] for query in built}) == 300  # none twice


def test_it_asks_for_every_cell_and_begins_again() -> None:
    asked = queries_of(MCTS(), 0, budget_queries=SIZE + 5, actions="pick")
    assert len({query["architecture"] for query in asked[:SIZE]}) == SIZE


def test_it_finds_more_than_random_search() -> None:
    """After 300 queries of 10 seeds each."""
    best = {
        type(agent).__name__: np.mean(
            [max(q["accuracy"] for q in queries_of(agent, seed, budget_queries=300)) for seed in range(10)]
        )
        for agent in (MCTS(), RandomSearch())
    }
    assert best["MCTS"] > best["RandomSearch"] + 0.0004


def test_a_node_is_worth_what_was_found_below_it() -> None:
    for backup, worth in (("mean", 0.5), ("best", 0.75)):
        path = [Node(), Node((2,))]
        for reward in (0.25, 0.75, 0.5):
            MCTS(backup=backup)._climb(path, reward)
        assert [(node.visits, node.value) for node in path] == [(3, worth)] * 2


def test_uct_prefers_what_is_better_or_less_visited() -> None:
    root = Node(visits=100)
    root.children = {0: Node((0,), visits=50, value=0.8), 1: Node((1,), visits=50, value=0.9)}
    score = MCTS(exploration=0.1)._score(root)
    assert score(1) - score(0) == pytest.approx(0.1)
    root.children[0].visits = 1
    assert score(0) == pytest.approx(0.8 + 0.1 * np.sqrt(np.log(100)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"exploration": -1.0}, "at least 0"),
        ({"exploration": np.nan}, "at least"),
        ({"backup": "max"}, "backup"),
    ],
)
def test_hyperparameters(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MCTS(**settings)


def test_it_needs_whole_architectures() -> None:
    with pytest.raises(ValueError, match="needs actions='build' or 'pick'"):
        queries_of(MCTS(), 0, budget_queries=9, actions="edit")


# -- states within a recorded search ---------------------------------------------------------


class PutsBack:
    """Decides the first three edges once, and asks for five cells from there, two of them half trained."""

    def __init__(self, whole: bool = False) -> None:
        self.whole = whole

    def search(self, env: Any, seed: int) -> None:
        env.reset(options={"epochs": 6})
        half = get_state(env)
        env.reset()
        for op in (3, 1, seed % 5):
            env.step(op)
        stem = get_state(env)
        for tries in range(100):
            if self.whole:
                env.set_state(stem)
            set_state(env, half if tries % 2 else stem)
            for op in (4, tries % 5, 2, 2, 2, 2):
                *_, terminated, truncated, info = env.step(op)
                if terminated or truncated:
                    break
            if info["search_over"]:
                return


def test_a_recorded_search_replays_whatever_was_put_back(epoch_table: str, tmp_path: Path) -> None:
    env = gym.make("NB201-v0", table=epoch_table, budget_queries=5)
    record(PutsBack(), env, 0, tmp_path / "t.jsonl")
    trajectory = read(tmp_path / "t.jsonl")
    assert [query.get("epochs") for query in trajectory.queries] == [None, 6, None, 6, None]
    assert replay(trajectory, env.unwrapped.table) == []  # type: ignore[attr-defined]


def test_a_search_cannot_be_put_back(epoch_table: str) -> None:
    env = gym.make("NB201-v0", table=epoch_table, budget_queries=5)
    recorder = Recorder(env, 0, lambda query: None)
    recorder.reset()
    with pytest.raises(ValueError, match="an agent puts back episodes alone"):
        recorder.set_state(recorder.get_state())
    with pytest.raises(AgentError, match=r"PutsBack puts back a search: .*episode_only=True"):
        check_agent(PutsBack(whole=True), env_id="NB201-v0", table=epoch_table, actions=("build",))


def test_a_state_of_another_search_brings_no_budget() -> None:
    generous = gym.make("NB201-cifar10-v0", budget_queries=2)
    generous.reset(seed=0)
    for op in (3, 3, 3):
        generous.step(op)
    state = get_state(generous)
    env = gym.make("NB201-cifar10-v0", budget_queries=2)
    env.reset(seed=1)
    for _ in range(2):
        set_state(env, state)
        for op in (1, 1, 1):
            *_, info = env.step(op)
    assert info["search_over"]
    assert str(Architecture((3, 3, 3, 1, 1, 1))) == info["architecture"]
    set_state(env, state)
    assert env.step(1)[3]
