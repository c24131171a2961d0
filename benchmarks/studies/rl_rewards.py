"""What stable-baselines3's PPO learns from each reward, with the library's own hyper-parameters.

    python -m benchmarks.studies rl_rewards run                      resumes where it stopped
    python -m benchmarks.studies rl_rewards run --env NB201-digits-v0 --reward log_error --seeds 0-2

Each run learns for 12,288 steps, which are 2,048 cells, and is judged by the table's mean accuracy of three
cells: the one whose answer was best (what a search would hand over), the best one that was asked for at
all, and the one that the learnt policy builds when it takes its most likely actions.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.studies.pages import DATA, DOCS, Pages, read_data, with_part, write_data
from nb201env.agents.rl.sb3 import quiet_surroundings
from nb201env.architecture import index_of
from nb201env.envs.registration import TABLES
from nb201env.output import markdown_table
from nb201env.reading import parse_seeds
from nb201env.tables import open_table
from nb201env.wrappers import ShapedReward

RESULTS, PAGE = DATA / "rl-rewards.json", DOCS / "tutorials" / "rl.md"
STEPS = 12_288
REWARDS: dict[str, str] = {
    "accuracy": '`reward="accuracy"`, the default',
    "rank": '`reward="rank"`',
    "log_error": '`reward="log_error"`',
    "shaped": "accuracy in `ShapedReward`",
}


class Asked(gym.Wrapper[Any, Any, Any, Any]):
    """Remembers what was asked for: accuracies and indices."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.queries: list[tuple[float, int]] = []

    def step(self, action: Any) -> Any:
        """Step, and remember an answered query."""
        result = self.env.step(action)
        if result[4]["architecture"]:
            self.queries.append((result[4]["accuracy"], index_of(result[4]["architecture"])))
        return result


def measure(reward: str, env_id: str, seed: int, steps: int = STEPS) -> dict[str, float]:
    """One training; regrets in points, and how many different cells were asked for."""
    from stable_baselines3 import PPO

    asked = Asked(gym.make(env_id, reward="accuracy" if reward == "shaped" else reward))
    env = ShapedReward(asked) if reward == "shaped" else asked
    with quiet_surroundings():
        model = PPO("MlpPolicy", env, seed=seed, device="cpu").learn(steps)
        cell = greedy(model, env_id)
    table = open_table(TABLES[env_id])
    mean = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    indices = [index for _, index in asked.queries]
    found = {
        "answered best": max(asked.queries)[1],
        "asked best": indices[int(mean[indices].argmax())],
        "greedy": cell,
    }
    regrets = {name: round(100 * float(mean.max() - mean[index]), 4) for name, index in found.items()}
    return regrets | {"different": len(set(indices))}


def greedy(model: Any, env_id: str) -> int:
    """The cell that a policy builds by its most likely actions; its index."""
    env = gym.make(env_id)
    observation, info = env.reset(seed=0)
    while not info["architecture"]:
        action = model.predict(observation, deterministic=True)[0]
        observation, *_, info = env.step(action)
    return index_of(info["architecture"])


def options(parser: argparse.ArgumentParser) -> None:
    """What a run may be told."""
    parser.add_argument("--env", nargs="*", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--reward", nargs="*", choices=list(REWARDS), default=list(REWARDS))
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--out", type=Path, default=RESULTS)


def run(chosen: argparse.Namespace) -> None:
    """Measure what the file does not hold yet, writing it after every training."""
    results: dict[str, Any] = read_data(chosen.out) if chosen.out.exists() else {}
    for env_id in chosen.env:
        for reward in chosen.reward:
            held = results.setdefault(env_id, {}).setdefault(reward, {})
            for seed in parse_seeds(chosen.seeds):
                if str(seed) not in held:
                    held[str(seed)] = measure(reward, env_id, seed)
                    write_data(chosen.out, results)
                    print(env_id, reward, seed, held[str(seed)], flush=True)


def page() -> Pages:
    """The table of the tutorial."""
    rows = []
    for env_id, rewards in read_data(RESULTS).items():
        for reward, seeds in rewards.items():
            held = list(seeds.values())
            best, cell = (np.array([one[name] for one in held]) for name in ("answered best", "greedy"))
            rows.append([
                env_id, REWARDS[reward], f"{np.median(best):.2f}", f"{(best <= 0.1).sum()} of {len(best)}",
                f"{np.median(cell):.2f}", f"{(cell <= 0.3).sum()} of {len(cell)}",
            ])  # fmt: skip
    head = ["environment", "learnt from", "found", "at most 0.1", "policy", "at most 0.3"]
    return {PAGE: with_part(PAGE, "rl_rewards", markdown_table(head, rows))}
