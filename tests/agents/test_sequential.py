"""Local search, CMA-ES and TPE: their rules, on landscapes whose optimum is known."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env.agents import make_agent
from nb201env.agents.contract import Proposals
from nb201env.agents.searches.recorder import record
from nb201env.architecture import Architecture
from nb201env.extras import MissingExtra
from nb201env.space import SIZE, all_ops, neighbours

OURS = ("local_search", "cma_es", "tpe")
TARGET = Architecture((3, 3, 2, 1, 3, 2))


def drive(proposals: Proposals, rewards: np.ndarray[Any, Any], queries: int) -> list[int]:
    """The indices that a search asks for, when these are the rewards."""
    asked = [next(proposals).index]
    while len(asked) < queries:
        asked.append(proposals.send(float(rewards[asked[-1]])).index)
    return asked


def searched(
    name: str, rewards: np.ndarray[Any, Any], queries: int, seed: int = 0, **kwargs: Any
) -> list[int]:
    if name != "local_search":
        pytest.importorskip({"cma_es": "cma", "tpe": "optuna"}[name])
    agent: Any = make_agent(name, **kwargs)
    return drive(agent.proposals(np.random.default_rng(seed)), rewards, queries)


@pytest.fixture(scope="module")
def hill() -> np.ndarray[Any, Any]:
    """How many edges agree with the target: every local optimum is the global one; float [15625]."""
    return np.asarray((all_ops() == TARGET.ops).mean(axis=1))


@pytest.fixture(scope="module")
def noise() -> np.ndarray[Any, Any]:
    """Independent random rewards, a landscape of many local optima; float [15625]."""
    return np.asarray(np.random.default_rng(0).random(SIZE))


@pytest.mark.parametrize(
    ("name", "queries", "kwargs"),
    [
        ("local_search", 1 + 6 * 24, {}),
        ("local_search", 1 + 6 * 24, {"move": "first"}),
        ("cma_es", 1000, {}),
        ("cma_es", 1000, {"population": 30}),
        ("tpe", 150, {}),
        ("tpe", 150, {"multivariate": False, "startup": 20}),
    ],
)
def test_a_hill_is_climbed(
    name: str, queries: int, kwargs: dict[str, Any], hill: np.ndarray[Any, Any]
) -> None:
    for seed in range(1 if name == "tpe" else 3):
        assert TARGET.index in searched(name, hill, queries, seed, **kwargs)


@pytest.mark.parametrize("name", OURS)
def test_no_architecture_is_asked_twice(name: str, hill: np.ndarray[Any, Any]) -> None:
    """Not even long after the optimum was found, where a search would dwell."""
    asked = searched(name, hill, 100 if name == "tpe" else 1500)
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize(("name", "queries"), [("local_search", 400), ("cma_es", 1500), ("tpe", 100)])
def test_unless_wanted(name: str, queries: int, hill: np.ndarray[Any, Any]) -> None:
    asked = searched(name, hill, queries, ask_again=True)
    assert len(set(asked)) < len(asked)


def test_local_search_goes_on_when_it_knows_the_whole_space(hill: np.ndarray[Any, Any]) -> None:
    asked = searched("local_search", hill, SIZE + 100)
    assert len(set(asked[:SIZE])) == SIZE
    assert len(set(asked[SIZE:])) == 100


def test_local_search_ends_in_local_optima(noise: np.ndarray[Any, Any]) -> None:
    """Each climb, replayed from what was asked, asks all neighbours and ends where none is better."""
    asked = searched("local_search", noise, 3000, ask_again=True)
    position, climbs = 0, 0
    while position + 1000 < len(asked):
        current = asked[position]
        position += 1
        while True:
            around = asked[position : position + 24]
            assert sorted(around) == sorted(neighbours(current).tolist())
            position += 24
            best = max(around, key=lambda index: noise[index])
            if noise[best] <= noise[current]:
                break
            current = best
            assert asked[position] == current  # with ask_again it is asked at its arrival, too
            position += 1
        climbs += 1
    assert climbs > 5


def test_first_improvement_moves_at_once(noise: np.ndarray[Any, Any]) -> None:
    asked = searched("local_search", noise, 500, move="first", ask_again=True)
    current = asked[0]
    for index in asked[1:]:
        if index in neighbours(current):
            if noise[index] > noise[current]:
                current = index
        elif index != current:  # a new start: nothing around the last one is better
            assert (noise[neighbours(current)] <= noise[current]).all()
            current = index


def test_the_strategy_follows_the_best_generation() -> None:
    """CMA-ES starts at zero logits, so the first generation is uniform over the space."""
    pytest.importorskip("cma")
    first = [searched("cma_es", np.zeros(SIZE), 14, seed) for seed in range(200)]
    counts = np.stack([(all_ops()[np.ravel(first)] == op).mean(axis=0) for op in range(5)])
    np.testing.assert_allclose(counts, 0.2, atol=0.04)


@pytest.mark.parametrize("name", ["cma_es", "tpe"])
def test_neither_files_nor_output_nor_global_randomness(
    name: str, hill: np.ndarray[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = np.random.get_state()  # noqa: NPY002
    searched(name, hill, 60)
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("name", "module"), [("cma_es", "cma"), ("tpe", "optuna")])
def test_a_missing_extra_is_named(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"this needs {module}, .*pip install 'nb201env\[agents\]'"):
        make_agent(name).search(gym.make("NB201-cifar10-v0", budget_queries=3), 0)


@pytest.mark.parametrize("name", OURS)
def test_editing_environments_are_refused(name: str, tmp_path: Path) -> None:
    env = gym.make("NB201-cifar10-v0", actions="edit", budget_queries=3)
    with pytest.raises(ValueError, match="it needs actions='build' or 'pick'"):
        record(make_agent(name), env, 0, tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("local_search", {"move": "down"}, "move must be 'best' or 'first'; got 'down'"),
        ("cma_es", {"sigma": 0.0}, "sigma must be above 0"),
        ("cma_es", {"population": 1}, "population at least 2"),
        ("cma_es", {"patience": 0}, "patience at least 1"),
        ("tpe", {"startup": 0}, "startup, candidates and patience must be at least 1"),
    ],
)
def test_hyperparameters_are_checked(name: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_agent(name, **kwargs)
