"""Speed of the surrogate: fitting and predicting the whole space, and stepping on its table.

Run with ``python -m benchmarks.speed.surrogate``. The seconds depend on the machine; the stepping
speed is a ratio of two environments measured in turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import gymnasium as gym
import numpy as np
from gymnasium.utils.performance import benchmark_step

import nb201env
from nb201env.output import print_grid
from nb201env.space import all_ops
from nb201env.surrogate.fidelity.protocol import random_draw
from nb201env.surrogate.model import fit_surrogate
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.surrogate.tables import SurrogateTable

SIZE = 1563
GOAL_SECONDS = 5.0
IDS = ("NB201-cifar10-surrogate-v0", "NB201-cifar10-v0")


def fit_and_predict(turns: int, threads: int) -> list[tuple[float, float]]:
    """Seconds, and CPU seconds of all threads, to fit on 1,563 architectures and predict all 15,625.

    The second does not grow when the machine has other things to do.
    """
    truth = nb201env.open_table("cifar10-valid-200").accuracy(split="valid", epochs=200, run="mean")
    seconds = []
    for turn in range(turns):
        train, _ = random_draw(truth, SIZE, turn)
        start, cpu = time.perf_counter(), time.process_time()
        model = SurrogateRegressor(random_state=turn, n_jobs=threads)
        model.fit(all_ops()[train], truth[train]).predict_all()
        seconds.append((time.perf_counter() - start, time.process_time() - cpu))
    return seconds


def whole_table(threads: int) -> float:
    """Seconds to fit everything (noise and times too) and compute the surrogate's table."""
    table = nb201env.open_table("cifar10-valid-200")
    train = np.random.default_rng(0).permutation(len(all_ops()))[:SIZE]
    start = time.perf_counter()
    SurrogateTable(fit_surrogate(table, train, split="valid", epochs=200, n_jobs=threads))
    return time.perf_counter() - start


def stepping(turns: int, seconds: int) -> tuple[float, float]:
    """Steps per second on the surrogate's table and on the table, medians of turns."""
    envs = [gym.make(env_id) for env_id in IDS]
    rates = [[benchmark_step(env, target_duration=seconds, seed=0) for env in envs] for _ in range(turns)]
    surrogate, table = (statistics.median(column) for column in zip(*rates, strict=True))
    return surrogate, table


def _both(seconds: tuple[float, float]) -> str:
    return f"{seconds[0]:.2f} s ({seconds[1]:.2f} s of CPU)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="per environment and turn")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    first, *others = fit_and_predict(arguments.turns + 1, arguments.threads)
    surrogate, table = stepping(arguments.turns, arguments.seconds)
    goal, again = f"<= {GOAL_SECONDS:g} s", sorted(others)[len(others) // 2]
    rows = [
        ("fit + predict the whole space, features computed too", _both(first), goal),
        ("fit + predict the whole space, again (median)", _both(again), goal),
        ("fit everything + compute its table", f"{whole_table(arguments.threads):.2f} s", ""),
        ("steps/s, surrogate over table", f"{surrogate:,.0f} / {table:,.0f} = {surrogate / table:.2f}", "1"),
    ]
    print_grid(("measure", "value", "goal"), rows, f"surrogate, N = {SIZE}, {arguments.threads} threads")


if __name__ == "__main__":
    main()
