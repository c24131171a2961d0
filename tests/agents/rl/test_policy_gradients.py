"""The RL agents: that they learn, what they log, and PPO against the library's."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import open_table
from nb201env.agents import make_agent
from nb201env.agents.searches.recorder import Recorder, agent_seed, record
from tests.conftest import ROOT

RL = ("ppo", "vector_ppo", "maskable_ppo", "a2c", "dqn")


# -- the agents ------------------------------------------------------------------------------


def rewards_of(name: str, queries: int, **settings: Any) -> list[float]:
    pytest.importorskip("sb3_contrib")
    found: list[float] = []
    env = gym.make("NB201-cifar100-v0", budget_queries=queries)
    make_agent(name, **settings).search(Recorder(env, 0, lambda q: found.append(q["reward"])), agent_seed(0))
    return found


@pytest.mark.parametrize("name", ["ppo", "vector_ppo"])
def test_ppo_learns(name: str) -> None:
    """Of its first 40 queries, which are random, few are among the best 10 %; of 160 to 240 half."""
    found = np.array(rewards_of(name, 240))
    good = np.quantile(open_table("cifar100-200").accuracy(split="valid", epochs=200, run="mean"), 0.9)
    early, late = (found[:40] > good).mean(), (found[160:] > good).mean()
    assert late > 0.5
    assert late > early + 0.3


def test_ppo_asks_for_the_budget_even_if_its_copies_do_not_divide_it() -> None:
    for budget in (1, 7, 8, 21):
        assert len(rewards_of("vector_ppo", budget)) == budget


def test_the_single_file_network_is_the_librarys() -> None:
    """Same shapes, orthogonal weights, gains of sqrt(2) and 0.01, biases of zero."""
    torch = pytest.importorskip("torch")
    from nb201env.agents.rl.ppo import encode, network

    before = torch.get_rng_state()
    made: Any = network(64, 5, 0.01, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state()), "the global generator is left alone"
    hidden, out = made[0].weight.detach(), made[2].weight.detach()
    torch.testing.assert_close(hidden.T @ hidden, 2 * torch.eye(36), atol=1e-5, rtol=0)
    torch.testing.assert_close(out @ out.T, 1e-4 * torch.eye(5), atol=1e-8, rtol=0)
    assert not made[0].bias.any()
    assert not made[2].bias.any()
    cells = torch.tensor([[3, 0, 5, 5, 5, 5]])
    expected = np.zeros(36)
    expected[[3, 6, 17, 23, 29, 35]] = 1
    np.testing.assert_array_equal(encode(cells)[0], expected)


def test_the_first_policy_is_uniform() -> None:
    """The last layer starts near zero: all operations are equally likely."""
    torch = pytest.importorskip("torch")
    from nb201env.agents.rl.ppo import encode, network

    policy = network(64, 5, 0.01, torch.Generator().manual_seed(1))
    with torch.no_grad():
        chance = policy(encode(torch.randint(6, (50, 6)))).softmax(-1)
    assert (chance - 0.2).abs().max() < 0.01


@pytest.mark.parametrize("name", RL)
def test_the_global_generators_are_left_alone(name: str) -> None:
    torch = pytest.importorskip("torch")
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    expected = random.Random(3).random(), np.random.RandomState(3).rand()
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    rewards_of(name, 20)
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


# -- TensorBoard -----------------------------------------------------------------------------


def logged(folder: Path) -> dict[str, list[Any]]:
    """The values of every key in the event files below a folder."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    files = list(folder.rglob("events.*"))
    assert len(files) == 1
    events = accumulator.EventAccumulator(str(files[0]))
    events.Reload()
    return {key: events.Scalars(key) for key in events.Tags()["scalars"]}


@pytest.mark.parametrize("name", RL)
@pytest.mark.filterwarnings("ignore")  # TensorBoard's own
def test_every_key_is_documented(name: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    pytest.importorskip("sb3_contrib")
    settings: dict[str, Any] = {"tensorboard": str(tmp_path / "board")}
    if name == "dqn":
        settings["learning_starts"] = 20
    env = gym.make("NB201-cifar10-v0", budget_queries=60)
    record(make_agent(name, **settings), env, 0, tmp_path / "with")
    keys = logged(tmp_path / "board")
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    undocumented = [key for key in keys if f"`{key}`" not in page]
    assert not undocumented
    assert {"search/best_reward", "search/architectures", "search/queries", "search/clock_seconds"} <= set(
        keys
    )
    last = {key: values[-1].value for key, values in keys.items()}
    queries = [json.loads(text) for text in (tmp_path / "with").read_text().splitlines()[1:-1]]
    at = queries[int(last["search/queries"]) - 1]
    assert last["search/clock_seconds"] == pytest.approx(at["clock"])
    so_far = queries[: int(last["search/queries"])]
    assert last["search/best_reward"] == pytest.approx(max(q["reward"] for q in so_far))
    assert last["search/architectures"] == len({q["architecture"] for q in so_far})


@pytest.mark.filterwarnings("ignore")
def test_logging_changes_no_query(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    for name in ("ppo", "vector_ppo"):
        lines = []
        for folder in (None, str(tmp_path / name)):
            env = gym.make("NB201-cifar10-v0", budget_queries=50)
            record(make_agent(name, tensorboard=folder), env, 0, tmp_path / "x")
            lines.append((tmp_path / "x").read_text().splitlines()[1:])
        assert lines[0] == lines[1]


# -- the goal --------------------------------------------------------------------------------


@pytest.mark.slow
def test_ppo_reaches_the_goal() -> None:
    """Within 400 different architectures to within 0.3 points of the best: 20 seeds, no failure."""
    from benchmarks.studies.rl import measure
    from nb201env.envs.registration import OFFICIAL

    for env_id in OFFICIAL:
        unique = [measure("ppo", env_id, seed)["unique"] for seed in range(20)]
        assert None not in unique, env_id
        assert np.mean([one for one in unique if one is not None]) <= 400


def test_measurements_resume_and_restart_with_other_settings(tmp_path: Path, monkeypatch: Any) -> None:
    from benchmarks.studies import rl

    calls: list[tuple[str, str, int]] = []

    def fake(agent: str, env_id: str, seed: int) -> dict[str, int | None]:
        calls.append((agent, env_id, seed))
        return {"unique": 10 * seed + 1, "queries": 5}

    monkeypatch.setattr(rl, "measure", fake)
    path = tmp_path / "rl.json"
    rl.run_missing(path, ["ppo"], [0, 1])
    assert len(calls) == 6
    rl.run_missing(path, ["ppo"], [0, 1, 2])
    assert [seed for *_, seed in calls[6:]] == [2, 2, 2]
    results = json.loads(path.read_text())
    results["ppo"]["hyperparameters"]["learning_rate"] = 1.0
    path.write_text(json.dumps(results))
    rl.run_missing(path, ["ppo"], [0])
    assert len(calls) == 12, "results of other hyper-parameters do not count"
    assert rl.summary({"0": {"unique": 4, "queries": 9}, "1": {"unique": None, "queries": 9}}) == (
        4,
        4,
        1,
        2,
    )


def test_a_measurement_stops_at_the_first_good_architecture() -> None:
    pytest.importorskip("sb3_contrib")
    from benchmarks.studies.rl import measure

    found = measure("ppo", "NB201-cifar10-v0", 0)
    assert found["unique"] is not None
    assert found["queries"] is not None
    assert 1 <= found["unique"] <= found["queries"] < 2000


def test_regrets_are_those_of_the_recorded_search(tmp_path: Path) -> None:
    from benchmarks.studies.rl import STOPS, regrets
    from nb201env import open_table
    from nb201env.agents.searches.runner import Search
    from nb201env.trajectory import read

    found = regrets("random_search", {}, "NB201-digits-v0", [3])
    search = Search("random_search", "NB201-digits-v0", 3, {"budget_queries": STOPS[-1]}, tmp_path)
    asked = read(search.run()).index
    mean = open_table("digits-10").accuracy(split="valid", epochs=10, run="mean")
    assert found.tolist() == [[mean.max() - mean[asked[:stop]].max() for stop in STOPS]]
