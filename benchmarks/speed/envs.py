"""Speed of the environments and tables, each beside a peer measured in the same run.

Run with ``make bench``. Machines differ and are noisy, so every figure is a ratio of two things
measured in turns; what is printed is the median over the turns. Only the absolute steps per second
and the time to open a table depend on the machine.
"""

from __future__ import annotations

import argparse
import copy
import os
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.performance import benchmark_step, benchmark_vector_step

import nb201env
from benchmarks.checkout import ROOT
from nb201env.output import print_grid
from nb201env.table import Table
from nb201env.tables import find

ID, ID_SEVERAL = "NB201-cifar10-v0", "NB201-cifar10-mo-v0"
COPIES = 4096
REFERENCE = Path(os.environ.get("NB201_REFERENCE", ROOT.parent / "shared" / "reference"))

Row = tuple[str, str, str, str, str]


class Empty(gym.Env[Any, Any]):
    """The same spaces and episode length, and a step that does nothing but return fresh values."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.MultiDiscrete([6] * 6)
        self.action_space = gym.spaces.Discrete(5)
        self._observation = np.full(6, 5)
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return self._observation.copy(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        return self._observation.copy(), 0.0, self._steps == 6, False, {}


def in_turns(
    ours: Callable[[], float], theirs: Callable[[], float], turns: int
) -> tuple[float, float, float]:
    """Medians of two rates measured in turns, and of their ratio."""
    pairs = [(ours(), theirs()) for _ in range(turns)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    return a, b, statistics.median(x / y for x, y in pairs)


def seconds_per_call(call: Callable[[], Any], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def single(turns: int) -> Row:
    """`gymnasium.utils.performance.benchmark_step`, default wrappers, random actions."""
    gym.register("Empty-v0", entry_point="benchmarks.speed.envs:Empty")
    ours, empty = gym.make(ID), gym.make("Empty-v0")
    a, b, ratio = in_turns(lambda: benchmark_step(ours, 1, 0), lambda: benchmark_step(empty, 1, 0), turns)
    return (
        "single environment, steps/s over an empty step",
        f"{a:,.0f}",
        f"{b:,.0f}",
        f"{ratio:.2f}",
        ">= 0.7",
    )


def vector(turns: int) -> list[Row]:
    """`benchmark_vector_step` at 4,096 copies, over SyncVectorEnv's best number of copies."""
    native = gym.make_vec(ID, num_envs=COPIES)

    def sync(copies: int) -> Any:
        return gym.make_vec(
            ID, num_envs=copies, vectorization_mode="sync", vector_kwargs={"autoreset_mode": "SameStep"}
        )

    rates = {n: benchmark_vector_step(sync(n), 1, 0) for n in (1, 8, 64, 512)}
    best = sync(max(rates, key=lambda n: rates[n]))
    a, b, ratio = in_turns(
        lambda: benchmark_vector_step(native, 1, 0), lambda: benchmark_vector_step(best, 1, 0), turns
    )
    steps = fixed_actions(native, turns)
    return [
        (f"native vector, {COPIES:,} copies, random actions, steps/s over SyncVectorEnv ({best.num_envs})",
         f"{a:,.0f}", f"{b:,.0f}", f"{ratio:,.0f}", ">= 200"),
        ("the same without drawing the actions, steps/s", f"{steps:,.0f}", "", "", ">= 20,000,000"),
    ]  # fmt: skip


def several(turns: int) -> Row:
    """The native vector form with two objectives, over MO-Gymnasium's vector environment at its best."""
    from mo_gymnasium.wrappers.vector import MOSyncVectorEnv

    native = gym.make_vec(ID_SEVERAL, num_envs=COPIES)
    rates, peers = {}, {n: MOSyncVectorEnv([lambda: gym.make(ID_SEVERAL)] * n) for n in (1, 8, 64, 512)}
    for n, peer in peers.items():
        rates[n] = benchmark_vector_step(peer, 1, 0)
    best = peers[max(rates, key=lambda n: rates[n])]
    a, b, ratio = in_turns(
        lambda: benchmark_vector_step(native, 1, 0), lambda: benchmark_vector_step(best, 1, 0), turns
    )
    title = f"native vector, two objectives, {COPIES:,} copies, steps/s over MOSyncVectorEnv ({best.num_envs})"
    return title, f"{a:,.0f}", f"{b:,.0f}", f"{ratio:,.0f}", ">= 150"


def fixed_actions(env: Any, turns: int) -> float:
    env.reset(seed=0)
    actions = [env.action_space.sample() for _ in range(6)]

    def six() -> None:
        for action in actions:
            env.step(action)

    return max(6 * COPIES / seconds_per_call(six, 50) for _ in range(3 * turns))


def copying(turns: int) -> list[Row]:
    """What tree search does between two steps, and what a pickle weighs, beside Gymnasium's CartPole."""
    ours, peer = gym.make(ID), gym.make("CartPole-v1")
    for env in (ours, peer):
        env.reset(seed=0)
        env.step(1)

    def state(env: Any) -> None:
        env.set_state(env.get_state())

    def pickled(env: Any) -> Any:
        return pickle.loads(pickle.dumps(env))

    rows = []
    for name, goal, one, other, call, theirs in (
        ("deep copy", "<= 20 us", ours.unwrapped, peer.unwrapped, copy.deepcopy, copy.deepcopy),
        ("deep copy with gym.make's wrappers", "", ours, peer, copy.deepcopy, copy.deepcopy),
        ("get_state and set_state", "", ours.unwrapped, peer.unwrapped, state, copy.deepcopy),
        ("pickle and back", "", ours.unwrapped, peer.unwrapped, pickled, pickled),
    ):
        a, b, ratio = in_turns(
            lambda call=call, env=one: seconds_per_call(lambda: call(env), 300),  # type: ignore[misc]
            lambda call=theirs, env=other: seconds_per_call(lambda: call(env), 300),  # type: ignore[misc]
            turns,
        )
        title = f"{name}, time over CartPole's {'deep copy' if theirs is copy.deepcopy else name}"
        rows.append((title, f"{1e6 * a:,.1f} us", f"{1e6 * b:,.1f} us", f"{ratio:.2f}", goal))
    sizes = [len(pickle.dumps(env.unwrapped)) for env in (ours, peer)]
    size = (f"{sizes[0]:,} bytes", f"{sizes[1]:,} bytes", f"{sizes[0] / sizes[1]:.2f}", "<= 2,000 bytes")
    return [*rows, ("pickle, size over CartPole's", *size)]


def stable_baselines3(turns: int) -> list[Row]:
    """The adapter over DummyVecEnv: stepping alone, and within PPO's `learn`, on one thread.

    PPO with one hidden layer and one epoch over the data of each rollout. Its own work, which is the
    same on both sides, takes about a quarter of the time with DummyVecEnv: the second ratio cannot
    exceed 4 by much, however fast the environment.
    """
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecMonitor

    from nb201env.agents.rl.vec_env import NB201VecEnv

    copies = 1024
    actions = np.random.default_rng(0).integers(5, size=(60, copies))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def stepping(env: Any) -> float:
        env.reset()
        return copies * len(actions) / seconds_per_call(lambda: [env.step(a) for a in actions], 1)

    def learning(env: Any) -> float:
        network = {"net_arch": [64]}
        model = PPO("MlpPolicy", env, n_steps=12, batch_size=4096, n_epochs=1, policy_kwargs=network,
                    seed=0, device="cpu")  # fmt: skip
        return len(actions) * copies / seconds_per_call(lambda: model.learn(len(actions) * copies), 1)

    rows = []
    for name, rate, goal in (("stepping", stepping, ""), ("PPO (1 epoch)", learning, ">= 4")):
        a, b, ratio = in_turns(
            lambda rate=rate: rate(VecMonitor(NB201VecEnv(ID, copies))),  # type: ignore[misc]
            lambda rate=rate: rate(make_vec_env(ID, copies)),  # type: ignore[misc]
            turns,
        )
        title = f"SB3 {name}, {copies:,} environments, frames/s over DummyVecEnv"
        rows.append((title, f"{a:,.0f}", f"{b:,.0f}", f"{ratio:.1f}", goal))
    torch.set_num_threads(threads)
    return rows


def query(turns: int) -> list[Row]:
    """One query against the calls of nats_bench 1.8, which has its file in memory by then."""
    sample = REFERENCE / "nats-tss-sample"
    if not sample.exists():
        return [("one table query over nats_bench", "", f"skipped: no {sample}", "", ">= 100")]
    from nats_bench import create

    api = create(str(sample), "tss", fast_mode=True, verbose=False)
    table = nb201env.open_table("cifar10-valid-200")
    index = nb201env.Architecture.from_official_index(0).index

    def ours() -> float:
        return 1 / seconds_per_call(lambda: table.query(index, split="valid", epochs=200, run=777), 20_000)

    def info() -> float:
        return 1 / seconds_per_call(
            lambda: api.get_more_info(0, "cifar10-valid", hp="200", is_random=777), 200
        )

    def simulate() -> float:
        return 1 / seconds_per_call(lambda: api.simulate_train_eval(0, "cifar10", hp="200"), 10)

    rows = []
    for name, theirs in (("get_more_info", info), ("simulate_train_eval", simulate)):
        a, b, ratio = in_turns(ours, theirs, turns)
        rows.append((f"one table query, queries/s over nats_bench's {name}", f"{a:,.0f}", f"{b:,.0f}",
                     f"{ratio:,.0f}", ">= 100"))  # fmt: skip
    return rows


def opening(turns: int) -> Row:
    """Open a table file and read one checked number from it."""
    path = find("cifar10-valid-200")

    def once() -> None:
        Table.open(path).values("valid_accuracy", epochs=200)

    seconds = statistics.median(seconds_per_call(once, 10) for _ in range(turns))
    return ("open a table and check its first column", f"{1000 * seconds:.1f} ms", "", "", "<= 10 ms")


def importing(turns: int) -> Row:
    """A fresh process that imports the package, over one that imports gymnasium."""

    def process(module: str) -> float:
        command = [sys.executable, "-c", f"import {module}"]
        return seconds_per_call(lambda: subprocess.run(command, check=True), 3)

    a, b, ratio = in_turns(lambda: process("nb201env"), lambda: process("gymnasium"), turns)
    return ("import nb201env, time over import gymnasium", f"{1000 * a:.0f} ms", f"{1000 * b:.0f} ms",
            f"{ratio:.2f}", "<= 1.3")  # fmt: skip


def main() -> None:
    """Measure everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="how often each pair is measured")
    turns = parser.parse_args().turns
    rows = [
        single(turns),
        *vector(turns),
        several(turns),
        *copying(turns),
        *stable_baselines3(turns),
        *query(turns),
        opening(turns),
        importing(turns),
    ]
    print_grid(("measure", "ours", "peer", "ratio", "goal"), rows, "environments and tables")


if __name__ == "__main__":
    main()
