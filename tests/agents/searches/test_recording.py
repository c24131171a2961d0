"""One seed, one file; every file replays; a changed file does not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nb201env import Architecture
from nb201env.agents import AGENTS, make_agent
from nb201env.agents.contract import Agent, Env, query, vectorized
from nb201env.agents.registry import EITHER, SEVERAL
from nb201env.agents.searches.recorder import Recorder, record, replay
from nb201env.agents.searches.runner import Search, run_all
from nb201env.agents.searches.writing import Writer
from nb201env.envs.options import Limit
from nb201env.envs.single import NB201Env
from nb201env.space import sample
from nb201env.tables import open_table
from nb201env.trajectory import BadTrajectory, Trajectory, read

LIGHT = ("random_search", "regularized_evolution", "reinforce", "local_search")
FREE = ("best_proxy", "proxy_ranks", "warm_evolution")
NO_EXTRA = (*LIGHT, *FREE, "scalarized_evolution", "pareto_local_search")
NEEDS = {"cma_es": "cma", "tpe": "optuna", "predictor_evolution": "xgboost", "nsga2": "pymoo"}
FRONT = {"where": "NB201-cifar10-mo-v0"}
# Those that train a supernet have tests of their own (test_weight_sharing.py).
SUPERNETS = [name for name, where in AGENTS.items() if "weight_sharing" in where]
CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in AGENTS if name not in (*SUPERNETS, *SEVERAL)),
    *((name, FRONT | way) for name in (*EITHER, *SEVERAL) for way in ({}, {"actions": "pick"})),
    *((name, {"actions": "edit", "max_edits": 5}) for name in ("ppo", "a2c", "dqn", "maskable_ppo")),
    *((name, {"actions": "pick"}) for name in (*LIGHT, "cma_es", "tpe", "ppo")),
    ("random_search", {"repeats": "free", "table": "cifar10-valid-200-surrogate", "run": "mean"}),
    ("regularized_evolution", {"reward": "regret", "repeats": "free"}),
]


def left_behind(path: Path) -> Path:
    """The one file of a search that was to become `path`."""
    (partial,) = path.parent.glob(f"{path.name}.*.partial")
    return partial


def recorded(name: str, folder: Path, seed: int = 0, where: str = "NB201-cifar10-v0", **kwargs: Any) -> Path:
    if name not in NO_EXTRA:
        pytest.importorskip(NEEDS.get(name, "sb3_contrib"))
    env = gym.make(where, **{"budget_queries": 60} | kwargs)
    path = folder / f"{name}-{seed}.jsonl"
    record(make_agent(name), env, seed, path, name=name)
    return path


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_same_seed_same_file_and_it_replays(name: str, kwargs: dict[str, Any], tmp_path: Path) -> None:
    first, second = (recorded(name, tmp_path / str(n), **kwargs) for n in range(2))
    assert first.read_bytes() == second.read_bytes()
    other = recorded(name, tmp_path, seed=1, **kwargs)
    trajectory = read(first)
    assert read(other).queries != trajectory.queries
    assert trajectory.complete
    assert len(trajectory.queries) >= 60
    assert replay(trajectory) == []


def test_a_seconds_budget_is_recorded_and_replayed(tmp_path: Path) -> None:
    for overshoot in ("allow", "drop"):
        path = recorded(
            "random_search", tmp_path, budget_queries=None, budget_seconds=40_000.0, overshoot=overshoot
        )
        trajectory = read(path)
        assert replay(trajectory) == []
        assert (trajectory.clock[-1] >= 40_000) == (overshoot == "allow")


@pytest.mark.parametrize("key", ["accuracy", "seconds", "clock", "run", "architecture"])
def test_any_changed_value_is_reported(key: str, tmp_path: Path) -> None:
    trajectory = read(recorded("random_search", tmp_path))
    values = [q[key] for q in trajectory.queries]
    other = next(i for i, value in enumerate(values) if value != values[30])
    queries = [dict(q) for q in trajectory.queries]
    queries[30][key] = values[other]
    differences = replay(replace(trajectory, queries=queries))
    assert differences
    assert all(d.startswith("query 31: ") for d in differences[:1])


def test_cheating_is_reported(tmp_path: Path) -> None:
    trajectory = read(recorded("random_search", tmp_path))
    header, queries = trajectory.header, trajectory.queries

    def problems(header: dict[str, Any] = header, queries: list[Any] = queries) -> list[str]:
        return replay(Trajectory(Path(), header, queries, True))

    assert problems() == []
    assert problems(header | {"seed": 1})
    assert problems(queries=queries[::-1])
    assert problems(queries=queries[1:])
    assert problems(queries=[*queries, queries[0]]) == ["query 61: the budget was already spent"]
    foreign = replace(trajectory, header=header | {"table": {"name": "cifar10-valid-200", "id": "0" * 64}})
    with pytest.raises(FileNotFoundError, match="000000000000"):
        replay(foreign)
    with pytest.raises(
        ValueError, match="searched the table cifar10-valid-200 with id 000000000000; the one"
    ):
        replay(foreign, open_table("cifar10-valid-200"))


def test_a_killed_search_leaves_what_it_asked(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from nb201env.agents.searches.runner import Search\n"
        "n = 0\n"
        "def on_query(_):\n"
        "    global n; n += 1\n"
        "    if n == 777: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Search('random_search', 'NB201-cifar10-v0', 3, {'budget_queries': 2000}, "
        "Path(sys.argv[1])).run(on_query)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    partial = read(left_behind(tmp_path / "random_search-3.jsonl"))
    assert not partial.complete
    assert not (tmp_path / "random_search-3.jsonl").exists()
    whole = read(Search("random_search", "NB201-cifar10-v0", 3, {"budget_queries": 2000}, tmp_path).run())
    assert partial.queries == whole.queries[:777]
    assert replay(partial) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, 6000))
def test_a_file_cut_anywhere_reads_as_partial_or_not_at_all(cut: int, tmp_path: Path) -> None:
    path = recorded("random_search", tmp_path, budget_queries=15)
    whole = read(path)
    content = path.read_bytes()
    path.write_bytes(content[: min(cut, len(content) - 1)])
    try:
        part = read(path)
    except BadTrajectory:
        return
    assert not part.complete
    assert part.queries == whole.queries[: len(part.queries)]


HEADER = {
    "format": "nb201-trajectory", "version": 1, "agent": "x", "seed": 0,
    "env": {"id": "NB201-cifar10-v0", "kwargs": {}}, "table": {"name": "t", "id": "0" * 64},
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "its first line is no header"),
        ("{}\n", "its first line is no header"),
        ("hello\n", "line 1: not JSON"),
        ("[1]\n", "line 1: should be an object, not a list of 1"),
        ('{"format": "nb201-trajectory", "version": 9}\n', "version 9; this program reads 1"),
        (json.dumps(HEADER) + '\n{"run": "777"}\n', "line 2: not a query: architecture is missing"),
    ],
)
def test_files_that_are_no_trajectories(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(content)
    with pytest.raises(BadTrajectory, match=message):
        read(tmp_path / "x")


# -- how a search ends -----------------------------------------------------------------------


def asking(count: int) -> Any:
    """What an agent does that asks for so many architectures at most."""

    def act(env: Env, seed: int) -> None:
        for index in range(count):
            if query(env, Architecture.from_index(index)).over:
                return

    return act


def last_line(path: Path) -> Any:
    return json.loads(path.read_text().splitlines()[-1])


def test_an_agent_that_stops_early_is_finished_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x"
    record(Custom(asking(3)), gym.make("NB201-cifar10-v0", budget_queries=9), 0, path)
    assert last_line(path) == {"end": "agent stopped"}
    trajectory = read(path)
    assert trajectory.complete
    assert trajectory.stopped
    assert replay(trajectory) == []


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize("budget", [{"budget_queries": 9}, {"budget_seconds": 9_000.0}])
@pytest.mark.parametrize("overshoot", ["allow", "drop"])
def test_an_agent_that_spends_its_budget_ends_the_search(
    vector: bool, budget: dict[str, Any], overshoot: str, tmp_path: Path
) -> None:
    def several(env: Env, seed: int) -> None:
        cells = vectorized(env, 4)
        cells.reset()
        while not cells.step(np.full((4, 6), 3))[4]["search_over"].any():
            pass

    env = gym.make("NB201-cifar10-v0", actions="pick", overshoot=overshoot, **budget)
    record(Custom(several if vector else asking(99)), env, 0, tmp_path / "x")
    assert last_line(tmp_path / "x") == {"end": "search over"}
    assert replay(read(tmp_path / "x")) == []


@pytest.mark.parametrize(
    "kwargs",
    [
        {"budget_queries": 20},
        {"budget_seconds": 40_000.0, "budget_queries": None},
        {"budget_seconds": 40_000.0, "budget_queries": None, "overshoot": "drop"},
        {"budget_queries": 20, "repeats": "free"},
    ],
)
def test_a_search_cut_short_with_its_last_line_kept_is_reported(
    kwargs: dict[str, Any], tmp_path: Path
) -> None:
    trajectory = read(recorded("random_search", tmp_path, **kwargs))
    assert replay(trajectory) == []
    cut = replace(trajectory, queries=trajectory.queries[:2])
    assert replay(cut) == ["the search ended after 2 queries, its budget was not spent"]
    none = replace(trajectory, queries=[])
    assert replay(none) == ["the search ended after 0 queries, its budget was not spent"]
    assert replay(replace(cut, complete=False)) == [], "that it has no end is said elsewhere"


def test_epochs_that_the_table_lacks_are_a_difference(tmp_path: Path) -> None:
    trajectory = read(recorded("random_search", tmp_path))
    for epochs in (12, 201, 10**30):
        queries = [trajectory.queries[0], trajectory.queries[1] | {"epochs": epochs}]
        (difference,) = replay(replace(trajectory, queries=queries))
        assert difference.startswith("query 2: ")


# -- the recorder ----------------------------------------------------------------------------


class Custom:
    """An agent from a function, as a user would write one."""

    def __init__(self, act: Any) -> None:
        self.act = act

    def search(self, env: Env, seed: int) -> None:
        self.act(env, seed)


def test_agents_cannot_turn_the_clock_back() -> None:
    env = Recorder(gym.make("NB201-cifar10-v0", budget_queries=5), 0, lambda _: None)
    env.reset(seed=99)
    query(env, Architecture((3,) * 6))
    for arguments in ({"seed": 0}, {"options": {"architecture": 3}}):
        with pytest.raises(ValueError, match=r"an agent calls reset\(\) without seed"):
            env.reset(**arguments)
    assert env.reset()[1]["queries"] == 1


def test_the_searchs_seed_counts_not_the_agents(tmp_path: Path) -> None:
    files = []
    for seed_of_agent in (None, 5):

        def act(env: Env, _: int, seed: int | None = seed_of_agent) -> None:
            env.reset(seed=seed)
            rng = np.random.default_rng(0)
            while not query(env, Architecture.from_index(int(sample(rng)))).over:
                pass

        path = tmp_path / str(seed_of_agent)
        record(Custom(act), gym.make("NB201-cifar10-v0", budget_queries=9), 7, path)
        files.append(path.read_bytes())
    assert files[0] == files[1]


def test_an_agent_that_fails_keeps_its_queries(tmp_path: Path) -> None:
    def act(env: Env, _: int) -> None:
        query(env, Architecture((1,) * 6))
        raise RuntimeError("my agent broke")

    with pytest.raises(RuntimeError, match="my agent broke"):
        record(Custom(act), gym.make("NB201-cifar10-v0", budget_queries=9), 0, tmp_path / "x")
    assert len(read(left_behind(tmp_path / "x")).queries) == 1


def test_a_search_that_never_asked_leaves_nothing(tmp_path: Path) -> None:
    def act(env: Env, _: int) -> None:
        raise RuntimeError("my agent broke")

    cases: list[tuple[Agent, Any]] = [(Custom(act), {"budget_queries": 9}), (make_agent("random_search"), {})]
    for agent, kwargs in cases:
        with pytest.raises((RuntimeError, ValueError)):
            record(agent, gym.make("NB201-cifar10-v0", **kwargs), 0, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_search_needs_an_end() -> None:
    with pytest.raises(ValueError, match="set budget_queries or budget_seconds"):
        Recorder(gym.make("NB201-cifar10-v0"), 0, lambda _: None)


def test_an_environment_that_cannot_be_made_again_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"make the environment with gym\.make"):
        record(Custom(lambda env, seed: None), NB201Env(budget_queries=3), 0, tmp_path / "x")


# -- the runner ------------------------------------------------------------------------------


def test_processes_do_not_change_the_files(tmp_path: Path) -> None:
    budget = {"budget_queries": 50}
    counted: dict[int, dict[str, int]] = {1: {}, 2: {}}
    for jobs in (1, 2):
        plan = [Search(name, "NB201-cifar10-v0", seed, budget, tmp_path / str(jobs))
                for name in LIGHT for seed in (0, 1)]  # fmt: skip

        def tick(search: Search, count: int, jobs: int = jobs) -> None:
            counted[jobs][search.path.name] = counted[jobs].get(search.path.name, 0) + count

        run_all(plan, jobs, tick)
    for one in plan:
        assert one.path.read_bytes() == (tmp_path / "1" / one.path.name).read_bytes()
    assert counted[1] == counted[2] == {one.path.name: 50 for one in plan}


def test_the_command_in_the_header_writes_the_same_file(tmp_path: Path) -> None:
    search = Search(
        "regularized_evolution", "NB201-cifar100-v0", 4, {"budget_queries": 30}, tmp_path / "a",
        {"population": 5}, {"actions": "pick"},
    )  # fmt: skip
    path = search.run()
    command = read(path).header["command"]
    assert command == (
        "nb201 search --agent regularized_evolution --env NB201-cifar100-v0 --seeds 4 --budget 30 "
        '--agent-kwargs \'{"population": 5}\' --env-kwargs \'{"actions": "pick"}\''
    )
    import shlex

    words = [sys.executable, "-m", "nb201env.cli", *shlex.split(command)[1:], "--out", str(tmp_path / "b")]
    subprocess.run(words, check=True, capture_output=True)
    assert (tmp_path / "b" / "NB201-cifar100-v0" / path.name).read_bytes() == path.read_bytes()


def test_headers_say_where_the_numbers_are_from(tmp_path: Path) -> None:
    header = json.loads(recorded("regularized_evolution", tmp_path).read_text().splitlines()[0])
    assert header["hyperparameters"] == {"population": 10, "sample": 3, "edges": "official"}
    assert header["env"]["kwargs"] == {"table": "cifar10-valid-200", "budget_queries": 60}
    assert len(header["table"]["id"]) == 64
    assert {"python", "numpy", "gymnasium", "nb201env"} <= set(header["versions"])


def test_headers_hold_what_json_can(tmp_path: Path) -> None:
    """An environment's options and an agent's hyper-parameters, of any types that stand for JSON's."""

    @dataclass
    class Eager:
        temperature: float = float("inf")
        sizes: tuple[int, ...] = (1, 2)
        rate: Any = None

        def search(self, env: Env, seed: int) -> None:
            asking(9)(env, seed)

    table = open_table("cifar10-valid-200")
    limit = Limit("params", 1e6)
    env = gym.make("NB201-cifar10-v0", table=table, limit=limit, budget_queries=np.int64(3))
    record(Eager(rate=np.float64(0.5)), env, 0, tmp_path / "x")
    header = read(tmp_path / "x").header
    assert header["hyperparameters"] == {"temperature": "inf", "sizes": [1, 2], "rate": 0.5}
    assert header["env"] == {
        "id": "NB201-cifar10-v0",
        "kwargs": {"table": "cifar10-valid-200", "limit": asdict(limit), "budget_queries": 3},
    }
    assert replay(read(tmp_path / "x")) == []


def test_a_line_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    header = {key: value for key, value in HEADER.items() if key not in ("format", "version")}
    writer = Writer(tmp_path / "x", header)
    with pytest.raises(ValueError, match="at most 1,048,576 are read"):
        writer.query({"architecture": "x" * 2_000_000})
    with pytest.raises(ValueError, match="not JSON compliant"):
        writer.query({"accuracy": float("nan")})
    writer.close(complete=False)
