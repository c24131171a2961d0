"""What decisions cost: the agent's own time, for the right query, and the search stays the same."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import Architecture
from nb201env.agents.contract import Env, query, vectorized
from nb201env.agents.searches.runner import Search
from nb201env.agents.searches.timing import Timed, timed_search
from nb201env.trajectory import read

ENV = "NB201-cifar10-v0"
BURNT = 0.05


def burn(seconds: float = BURNT) -> None:
    """Use so much processor time, whatever else runs on the machine."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@dataclass(frozen=True)
class Thinks:
    """Asks for one architecture after the other, and thinks before some of them."""

    before: tuple[int, ...]

    def search(self, env: Env, seed: int) -> None:
        number, over = 0, False
        while not over:
            if number in self.before:
                burn()
            over = query(env, Architecture.from_index(number)).over
            number += 1


def decisions(agent: Any, env: Env) -> list[float]:
    """What the decisions of a search cost."""
    timed = Timed(agent)
    timed.search(env, 0)
    return timed.decisions


@pytest.mark.parametrize(
    "agent", ["random_search", "mcts", "vector_ppo", "maskable_ppo", "dqn", "predictor_evolution"]
)
def test_a_timed_search_is_the_recorded_one(agent: str, tmp_path: Path) -> None:
    pytest.importorskip("sb3_contrib")
    search = Search(agent, ENV, 3, {"budget_queries": 40}, tmp_path)
    timed = timed_search(search)
    assert not any(tmp_path.iterdir())
    written = read(search.run())
    assert timed.trajectory.queries == written.queries
    assert timed.trajectory.choice == written.choice
    assert timed.trajectory.header.items() <= written.header.items()
    assert timed.trajectory.complete
    assert timed.decisions.shape == (40,)
    assert (timed.decisions >= 0).all()
    assert timed.decisions.sum() > 0


def test_thinking_counts_for_the_query_that_it_led_to() -> None:
    found = np.array(decisions(Thinks((0, 4)), gym.make(ENV, budget_queries=8)))
    assert len(found) == 8
    assert (found >= BURNT).tolist() == [number in (0, 4) for number in range(8)]


def test_what_is_learnt_after_the_last_answer_leads_to_nothing() -> None:
    class ThinksAtTheEnd(Thinks):
        def search(self, env: Env, seed: int) -> None:
            super().search(env, seed)
            burn()

    found = decisions(ThinksAtTheEnd(()), gym.make(ENV, budget_queries=3))
    assert len(found) == 3
    assert sum(found) < BURNT


def test_the_environments_time_is_left_out() -> None:
    class Slow(gym.Wrapper[Any, Any, Any, Any]):
        def reset(self, **given: Any) -> Any:
            burn()
            return super().reset(**given)

        def step(self, action: Any) -> Any:
            burn()
            return super().step(action)

    found = decisions(Thinks(()), Slow(gym.make(ENV, budget_queries=2)))
    assert sum(found) < BURNT


def test_queries_of_one_vector_step_share_its_time() -> None:
    class Vector:
        def search(self, env: Env, seed: int) -> None:
            copies = vectorized(env, 4)
            copies.reset()
            for step in range(12):
                burn(BURNT * (step == 7))
                copies.step(np.full(4, 3))

    class Vectorizable(gym.Wrapper[Any, Any, Any, Any]):
        def vectorized(self, num_envs: int) -> Any:
            return vectorized(self.unwrapped, num_envs)

    found = decisions(Vector(), Vectorizable(gym.make(ENV, budget_queries=8)))
    assert len(found) == 8
    assert len(set(found[:4])) == len(set(found[4:])) == 1
    assert found[0] < BURNT / 4 <= found[4]
