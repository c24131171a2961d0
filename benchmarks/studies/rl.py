"""How many different architectures the RL agents ask for until one is as good as the best.

    python -m benchmarks.studies rl run                       resumes where it stopped; docs/data/rl.json
    python -m benchmarks.studies rl run --agent ppo --seeds 0-4 --out /tmp/rl.json
    python -m benchmarks.studies rl run --regret NB201-digits-v0 --agent ppo --settings '{"sharpness": 20}'

An architecture is good when its mean validation accuracy over the table's runs lies within 0.3
points of the best's. Each query is answered by one run. A search ends there, or without it after
2,000 queries (a failure); asking again for the same architecture is a query, but no new one.

With ``--regret`` it prints the regret of the best architecture asked after 100, 200 and 400 queries, for
trying other settings on any environment.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies.pages import DATA, DOCS, Pages, read_data, with_part, write_data
from benchmarks.studies.queries import asked_until
from nb201env.agents import make_agent
from nb201env.agents.commands.search import read_agents
from nb201env.agents.registry import display_name
from nb201env.arrays import FloatArray
from nb201env.envs.registration import OFFICIAL, TABLES
from nb201env.output import markdown_table
from nb201env.reading import parse_seeds
from nb201env.tables import open_table

RESULTS, PAGE = DATA / "rl.json", DOCS / "agents.md"
AGENTS = ("ppo", "vector_ppo", "a2c", "dqn")  # MaskablePPO is PPO here: building masks nothing
WITHIN, QUERIES = 0.003, 2000
STOPS = (100, 200, 400)


def measure(agent: str, env_id: str, seed: int) -> dict[str, int | None]:
    """One search: different architectures asked up to the first good one (None: failed), and queries."""
    table = open_table(TABLES[env_id])
    mean = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    good = mean >= mean.max() - WITHIN
    asked = asked_until(make_agent(agent), env_id, seed, QUERIES, lambda index: bool(good[index]))
    return {"unique": len(set(asked)) if good[asked].any() else None, "queries": len(asked)}


def run_missing(path: Path, agents: list[str], seeds: list[int]) -> dict[str, Any]:
    """Measure what the file does not hold yet, writing it after every search."""
    results: dict[str, Any] = read_data(path) if path.exists() else {}
    for agent in agents:
        settings = json.loads(json.dumps(asdict(make_agent(agent))))  # type: ignore[call-overload]
        if results.get(agent, {}).get("hyperparameters") != settings:
            results[agent] = {"hyperparameters": settings, "searches": {}}
        for env_id in OFFICIAL:
            held = results[agent]["searches"].setdefault(env_id, {})
            for seed in seeds:
                if str(seed) not in held:
                    held[str(seed)] = measure(agent, env_id, seed)
                    write_data(path, results)
            print(line(agent, env_id, held), flush=True)
    return results


def regrets(agent: str, settings: dict[str, Any], env_id: str, seeds: list[int]) -> FloatArray:
    """Optimum minus the best mean accuracy asked for after each of `STOPS` queries; [seeds, stops]."""
    table = open_table(TABLES[env_id])
    mean = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    found = []
    for seed in seeds:
        asked = asked_until(make_agent(agent, **settings), env_id, seed, STOPS[-1], lambda _: False)
        found.append(mean.max() - np.maximum.accumulate(mean[asked])[np.array(STOPS) - 1])
    return np.array(found)


def summary(searches: dict[str, dict[str, int | None]]) -> tuple[float, int, int, int]:
    """Mean and most of the different architectures asked, failures, and searches."""
    unique = [one["unique"] for one in searches.values() if one["unique"] is not None]
    return float(np.mean(unique)), max(unique), len(searches) - len(unique), len(searches)


def line(agent: str, env_id: str, searches: dict[str, Any]) -> str:
    mean, most, failed, count = summary(searches)
    return f"{display_name(agent):12} {env_id:24} mean {mean:5.0f}  most {most:5}  failed {failed} of {count}"


def page() -> Pages:
    """The page of the agents, with what the RL agents need."""
    rows = []
    for agent, results in read_data(RESULTS).items():
        for env_id, searches in results["searches"].items():
            mean, most, failed, count = summary(searches)
            rows.append([display_name(agent), env_id, f"{mean:.0f}", str(most), f"{failed} of {count}"])
    text = markdown_table(["agent", "environment", "mean", "most", "failed"], rows)
    return {PAGE: with_part(PAGE, "rl", text)}


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--agent", action="append", help="repeated or with commas; default: all four")
    parser.add_argument("--seeds", default="0-19")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the results; resumed if there")
    parser.add_argument("--regret", metavar="ENV", help="print regrets there instead")
    parser.add_argument("--settings", type=json.loads, default={}, help="hyper-parameters for --regret, JSON")


def run(a: argparse.Namespace) -> None:
    """Measure what is missing, or print regrets."""
    agents, seeds = read_agents(a.agent or AGENTS), parse_seeds(a.seeds)
    if not a.regret:
        run_missing(a.out, agents, seeds)
        return
    for agent in agents:
        found = 100 * regrets(agent, a.settings, a.regret, seeds)
        errors = found.std(axis=0, ddof=1) / np.sqrt(len(found))
        for stop, mean, error in zip(STOPS, found.mean(axis=0), errors, strict=True):
            print(f"{display_name(agent)}: {mean:.2f} ± {error:.2f} points after {stop} queries")
