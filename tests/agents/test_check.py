"""`check_agent` passes every registered agent and finds what is wrong with broken ones."""

from __future__ import annotations

import importlib
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import Architecture
from nb201env.agents import AGENTS, AgentError, check_agent, make_agent
from nb201env.agents.contract import Env, query, vectorized
from nb201env.agents.registry import EITHER, SEVERAL, display_name
from nb201env.agents.searches.recorder import record
from nb201env.space import SIZE

FRONT_ENV = "NB201-cifar10-mo-v0"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "dqn": {"actions": ("build",)},
    **{name: {"env_id": FRONT_ENV} for name in SEVERAL},
}
"""What a registered agent does not support, and what it needs."""


@pytest.mark.parametrize("name", [name for name in AGENTS if "weight_sharing" not in AGENTS[name]])
def test_every_registered_agent_passes(name: str) -> None:
    if AGENTS[name].startswith("nb201env.agents.rl.sb3:"):
        pytest.importorskip("sb3_contrib")
    check_agent(make_agent(name), **ARGUMENTS.get(name, {}))


@pytest.mark.parametrize("name", EITHER)
def test_those_that_take_both_kinds_of_rewards_pass_on_several_objectives(name: str) -> None:
    check_agent(make_agent(name), env_id=FRONT_ENV)


@pytest.mark.parametrize("name", SEVERAL)
def test_agents_of_fronts_pass_with_three_objectives_and_where_more_is_better(name: str) -> None:
    objectives = ["accuracy", "params:max", "latency_seconds"]
    check_agent(make_agent(name), env_id=FRONT_ENV, objectives=objectives, queries=25)


def test_agents_of_shorter_trainings_pass(epoch_table: str) -> None:
    pytest.importorskip("statsmodels")
    check_agent(make_agent("bohb"), table=epoch_table, seconds=500.0)


@pytest.mark.parametrize("name", ["ppo", "a2c", "dqn", "maskable_ppo"])
def test_agents_that_edit_pass(name: str) -> None:
    pytest.importorskip("sb3_contrib")
    check_agent(make_agent(name), actions=("edit",), max_edits=5)


def walk(env: Env, seed: int) -> None:
    """A search that is all right: uniformly random architectures."""
    rng = np.random.default_rng(seed)
    while not query(env, Architecture.from_index(int(rng.integers(SIZE)))).over:
        pass


def agent(search: Callable[..., None], **attributes: Any) -> Any:
    """An object whose class is called Mine, with this search."""
    return type("Mine", (), {"search": staticmethod(search)} | attributes)()


def test_the_simplest_agent_passes() -> None:
    check_agent(agent(walk))


# -- one broken agent for each thing that is checked -----------------------------------------


def no_search() -> Any:
    return type("Mine", (), {})()


def one_argument() -> Any:
    return agent(lambda env: None)


def returns_early() -> Any:
    def search(env: Env, seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(3):
            query(env, Architecture.from_index(int(rng.integers(SIZE))))

    return agent(search)


def never_acts() -> Any:
    return agent(lambda env, seed: None)


def goes_on() -> Any:
    def search(env: Env, seed: int) -> None:
        walk(env, seed)
        while True:
            query(env, Architecture.from_index(0))

    return agent(search)


def seeds_the_environment() -> Any:
    def search(env: Env, seed: int) -> None:
        query(env, Architecture.from_index(seed % SIZE))
        env.reset(seed=seed)
        walk(env, seed)

    return agent(search)


def resets_with_options() -> Any:
    def search(env: Env, seed: int) -> None:
        env.reset(options={"architecture": 3})

    return agent(search)


def steps_on() -> Any:
    def search(env: Env, seed: int) -> None:
        env.reset()
        for op in itertools.cycle(range(5)):
            action = op if env.action_space.shape == () else np.full(6, op)
            if env.step(action)[4]["search_over"]:
                return

    return agent(search)


def never_resets() -> Any:
    return agent(lambda env, seed: env.step(0))


def reads_the_table() -> Any:
    def search(env: Env, seed: int) -> None:
        best = env.unwrapped.table.optimum(split="valid", epochs=200)[0]  # type: ignore[attr-defined]
        query(env, best)
        walk(env, seed)

    return agent(search)


def reads_the_table_inside() -> Any:
    def search(env: Env, seed: int) -> None:
        env.env.unwrapped.table  # type: ignore[attr-defined]  # noqa: B018
        walk(env, seed)

    return agent(search)


def reads_the_vectors_table() -> Any:
    def search(env: Env, seed: int) -> None:
        vectorized(env, 2).unwrapped.table  # type: ignore[attr-defined]  # noqa: B018

    return agent(search)


def shortens_the_vectors_trainings() -> Any:
    def search(env: Env, seed: int) -> None:
        vectorized(env, 2).reset(options={"epochs": 200})

    return agent(search)


def only_builds() -> Any:
    def search(env: Env, seed: int) -> None:
        rng = np.random.default_rng(seed)
        over = False
        while not over:
            env.reset()
            for _ in range(6):
                *_, terminated, truncated, info = env.step(int(rng.integers(5)))
                if terminated or truncated:
                    break
            over = info["search_over"]

    return agent(search)


def keeps_a_generator() -> Any:
    rng = np.random.default_rng(0)
    return agent(lambda env, seed: walk(env, int(rng.integers(2**31))))


def counts_its_searches() -> Any:
    number = itertools.count()
    return agent(lambda env, seed: walk(env, next(number)))


def ignores_the_seed() -> Any:
    return agent(lambda env, seed: walk(env, 7))


def draws_from_numpy() -> Any:
    def search(env: Env, seed: int) -> None:
        np.random.rand()  # noqa: NPY002
        walk(env, seed)

    return agent(search)


def draws_from_random() -> Any:
    def search(env: Env, seed: int) -> None:
        random.random()
        walk(env, seed)

    return agent(search)


def seeds_numpy() -> Any:
    def search(env: Env, seed: int) -> None:
        np.random.seed(seed % 2**32)  # noqa: NPY002
        walk(env, seed)

    return agent(search)


def draws_from_torch() -> Any:
    torch = pytest.importorskip("torch")

    def search(env: Env, seed: int) -> None:
        torch.rand(1)
        walk(env, seed)

    return agent(search)


def breaks() -> Any:
    def search(env: Env, seed: int) -> None:
        query(env, Architecture.from_index(1))
        raise RuntimeError("out of ideas")

    return agent(search)


BROKEN: list[tuple[Callable[[], Any], str]] = [
    (no_search, r"Mine has no method search\(env, seed\); give it one"),
    (one_argument, r"Mine.search must take two arguments, search\(env, seed\); it is search\(env\)"),
    (returns_early, "returned before the search was over with actions='build': go on until"),
    (never_acts, "returned before the search was over"),
    (goes_on, "goes on after the search is over: return when"),
    (seeds_the_environment, r"calls reset\(\) with a seed, which would change the search"),
    (resets_with_options, r"calls reset\(\) with the options \['architecture'\]"),
    (steps_on, r"steps without a reset: call reset\(\) first, and again whenever"),
    (never_resets, "steps without a reset"),
    (reads_the_table, "reads the environment's 'table', which is not for agents"),
    (reads_the_table_inside, "reads the environment's 'env', which is not for agents"),
    (reads_the_vectors_table, "reads the environment's 'table', which is not for agents"),
    (shortens_the_vectors_trainings, r"an agent calls reset\(\) without seed and options"),
    (only_builds, "failed with actions='pick': ValueError: the action must be 6 integers"),
    (keeps_a_generator, r"two trajectories with one seed with actions='build' \(they part at query 1\)"),
    (counts_its_searches, "keep no state between searches"),
    (ignores_the_seed, "asks for the same architectures whatever the seed"),
    (draws_from_numpy, "uses the global random generator of numpy.random"),
    (draws_from_random, "uses the global random generator of random,"),
    (seeds_numpy, "uses the global random generator of numpy.random"),
    (draws_from_torch, "uses the global random generator of torch"),
    (breaks, "failed with actions='build': RuntimeError: out of ideas"),
]


@pytest.mark.parametrize(("broken", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_broken_agents_are_told_what_is_wrong(broken: Callable[[], Any], message: str) -> None:
    with pytest.raises(AgentError, match=message) as caught:
        check_agent(broken())
    assert "\n" not in str(caught.value), "one sentence"
    assert str(caught.value).startswith("Mine")


def test_a_budget_in_seconds_is_checked_too() -> None:
    """An agent that only counts queries never notices the other budget."""

    def search(env: Env, seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(30):
            query(env, Architecture.from_index(int(rng.integers(SIZE))))

    with pytest.raises(AgentError, match="returned before the search was over"):
        check_agent(agent(search), seconds=200_000.0)


def test_the_global_generators_are_left_as_they_were() -> None:
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = random.Random(5).random(), np.random.RandomState(5).rand()
    check_agent(agent(walk))
    with pytest.raises(AgentError):
        check_agent(draws_from_numpy())
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002


def test_what_a_library_draws_when_it_is_imported_is_not_the_agents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_drawing_library.py").write_text("import random\nrandom.random()\n")
    monkeypatch.syspath_prepend(tmp_path)

    def search(env: Env, seed: int) -> None:
        importlib.import_module("a_drawing_library")
        walk(env, seed)

    check_agent(agent(search))


def test_probing_for_attributes_is_allowed() -> None:
    """``hasattr`` asks, and is answered no."""

    def search(env: Env, seed: int) -> None:
        assert not hasattr(env.unwrapped, "table")
        assert hasattr(env, "recorded_epochs")
        assert isinstance(env, gym.Env)
        walk(env, seed)

    check_agent(agent(search))


def test_unknown_agents_and_hyperparameters() -> None:
    with pytest.raises(ValueError, match="unknown agent 'sgd'; the agents are random_search"):
        make_agent("sgd")
    with pytest.raises(ValueError, match="agent 'random_search': .*'speed'"):
        make_agent("random_search", speed=3)
    with pytest.raises(ValueError, match="population and sample must be at least 1"):
        make_agent("regularized_evolution", population=0)
    with pytest.raises(ValueError, match="it needs actions='build' or 'pick'"):
        record(make_agent("random_search"), gym.make("NB201-cifar10-v0", actions="edit", budget_queries=3),
               0, "/dev/null")  # fmt: skip
    assert display_name("maskable_ppo") == "MaskablePPO"
