"""The agents learn: measured against random search, whose expectation is known exactly."""

from __future__ import annotations

from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest

from nb201env import Architecture, open_table
from nb201env.agents import make_agent
from nb201env.agents.contract import Env
from nb201env.agents.random_search import expected_best
from nb201env.agents.searches.recorder import Recorder, agent_seed
from nb201env.architecture import index_of

TABLE = "cifar10-valid-200"


def incumbent(agent: str, seed: int, queries: int) -> float:
    """The mean accuracy of what a search of that many queries chose."""
    best = (-1.0, "")

    def keep(query: dict[str, object]) -> None:
        nonlocal best
        best = max(best, (float(str(query["accuracy"])), str(query["architecture"])), key=lambda b: b[0])

    env = gym.make("NB201-cifar10-v0", budget_queries=queries)
    make_agent(agent).search(Recorder(env, seed, keep), agent_seed(seed))
    return mean_accuracy()[index_of(best[1])]


def mean_accuracy() -> list[float]:
    accuracy = open_table(TABLE).accuracy(split="valid", epochs=200, run="mean")
    return [float(a) for a in accuracy]


def test_random_search_agrees_with_its_closed_form() -> None:
    """A thousand searches of 30 queries: their mean lies within 4 standard errors."""
    table = open_table(TABLE)
    runs = table.runs(split="valid", epochs=200)
    mean = table.accuracy(split="valid", epochs=200, run="mean")
    rng = np.random.default_rng(0)
    for queries in (1, 7, 30):
        index = rng.integers(15_625, size=(20_000, queries))
        slot = rng.integers((~np.isnan(runs)).sum(axis=1)[index])
        winner = runs[index, slot].argmax(axis=1)
        found = mean[index[np.arange(len(index)), winner]]
        expected = float(expected_best(table, queries, epochs=200))
        assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(len(found))


def test_the_agent_itself_agrees_with_the_closed_form() -> None:
    found = np.array([incumbent("random_search", seed, 40) for seed in range(300)])
    expected = float(expected_best(open_table(TABLE), 40, epochs=200))
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(len(found))


def test_the_closed_form_at_its_ends() -> None:
    """One query: the plain mean. Very many: the architecture that has the best single run."""
    table = open_table(TABLE)
    runs = table.runs(split="valid", epochs=200)
    mean = table.accuracy(split="valid", epochs=200, run="mean")
    one, many = expected_best(table, [1, 10**9], epochs=200)
    np.testing.assert_allclose(one, mean.mean(), rtol=1e-12)
    np.testing.assert_allclose(many, mean[np.nanargmax(np.nanmax(runs, axis=1))], rtol=1e-9)


def test_evolution_beats_random_search() -> None:
    """At 300 queries on at least 8 of 10 seeds, and on average."""
    found = np.array([incumbent("regularized_evolution", seed, 300) for seed in range(10)])
    expected = float(expected_best(open_table(TABLE), 300, epochs=200))
    assert (found > expected).sum() >= 8
    assert found.mean() > expected


@pytest.mark.parametrize("agent", ["ppo", "a2c"])
def test_policy_gradients_find_an_easy_optimum(agent: str) -> None:
    """Within 600 queries the incumbent is among the best 1 %."""
    pytest.importorskip("stable_baselines3")
    threshold = np.quantile(mean_accuracy(), 0.99)
    assert incumbent(agent, 0, 600) > threshold


@pytest.mark.slow
def test_ppo_beats_random_search() -> None:
    """Within 20,000 steps (3,333 queries) on at least 8 of 10 seeds."""
    pytest.importorskip("stable_baselines3")
    queries = 20_000 // 6
    found = np.array([incumbent("ppo", seed, queries) for seed in range(10)])
    expected = float(expected_best(open_table(TABLE), queries, epochs=200))
    print(f"expected of random search {100 * expected:.3f} %; PPO {np.round(100 * found, 3)}")
    assert (found > expected).sum() >= 8


def test_evolution_keeps_the_young() -> None:
    """With a population of one, every query is a mutation of the one before."""
    seen: list[Architecture] = []
    env: Env = gym.make("NB201-cifar10-v0", budget_queries=50)
    agent = make_agent("regularized_evolution", population=1, sample=1)
    agent.search(Recorder(env, 0, lambda q: seen.append(Architecture.parse(q["architecture"]))), 0)
    assert len(seen) == 50
    assert all(after in before.neighbours() for before, after in pairwise(seen))
