"""The weight-sharing agents on digits: what they find, and what random search finds at equal cost.

    python -m benchmarks.studies weight_sharing run     searches, one trajectory each, and
                                                        docs/data/weight-sharing.json; resumes
    python -m benchmarks.studies weight_sharing page    the tables in docs/weight-sharing.md

The agents learn nothing from the environment's answers (a test holds them to it), so any
environment will do for the searches; ranks are looked up in the digits table afterwards. Costs
are CPU seconds of one thread, for the searches as for the trainings that random search would pay.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.studies import pages
from nb201env.agents.random_search import expected_best
from nb201env.agents.registry import display_name, make_agent
from nb201env.agents.searches.runner import Search
from nb201env.agents.weight_sharing.supernet import BATCH_STATISTICS
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.output import markdown_table
from nb201env.reading import parse_seeds
from nb201env.space import OPS, SKIP, sample
from nb201env.table import Table
from nb201env.tables import open_table
from nb201env.training.images.tasks import load_task
from nb201env.training.recipe import find_recipe
from nb201env.training.trainers import find_trainer
from nb201env.trajectory import read
from nb201env.trajectory_cost import read_cost

DATA, PAGE = pages.DATA / "weight-sharing.json", pages.DOCS / "weight-sharing.md"
EVALUATING = ("rsps", "setn", "enas")
"""Agents that evaluate candidates, and so feel which statistics the batch norms use."""
DESCENDING = ("darts_v1", "darts_v2", "gdas")
EPOCHS = (1, 2, 5, 10, 15, 20, 25, 30)
RECIPE, SAMPLE = "digits-10", 64

Row = dict[str, Any]


def searches(env_id: str, seeds: list[int], out: Path) -> list[Search]:
    """All searches, seed by seed; those that only descend are asked after every epoch."""
    plan = []
    for seed in seeds:
        for name in (*EVALUATING, *DESCENDING):
            for choice in BATCH_STATISTICS if name in EVALUATING else ("cells",):
                settings = {"preset": "digits", "batch_statistics": choice}
                if env_id != "NB201-digits-v0":
                    settings["task"] = "digits"
                epochs: int = make_agent(name, preset="digits").epochs  # type: ignore[attr-defined]
                budget = {"budget_queries": 1 if name in EVALUATING else epochs}
                plan.append(Search(name, env_id, seed, budget, out / choice, settings))
    return plan


def run_missing(env_id: str, seeds: list[int], out: Path) -> None:
    """Run what is not there yet."""
    for search in searches(env_id, seeds, out):
        if not search.path.exists():
            search.run()
            print(f"{search.path}: {read_cost(search.path).cpu_seconds:.0f} CPU seconds", flush=True)
    rate = out / "training.json"
    if not rate.exists():
        rate.write_text(json.dumps({"seconds_per_training": seconds_per_training()}))


def seconds_per_training() -> float:
    """CPU seconds of one training of the digits table: the mean over random architectures."""
    torch.set_num_threads(1)
    data, recipe, train = load_task("digits"), find_recipe(RECIPE), find_trainer("compiled")
    chosen = [Architecture.from_index(int(i)) for i in sample(np.random.default_rng(0), SAMPLE)]
    train(chosen[:1], data, replace(recipe, epochs=1), 777)  # compiles or loads the compiled code
    start = time.process_time()
    train(chosen, data, recipe, 777)
    return (time.process_time() - start) / SAMPLE


def collect(env_id: str, seeds: list[int], out: Path, table: Table | None) -> dict[str, Any]:
    """The results of all searches as plain values; without the table no ranks."""
    rows = []
    for search in searches(env_id, seeds, out):
        if search.path.exists():
            derived = [query["architecture"] for query in read(search.path).queries]
            rows.append(
                {
                    "agent": search.agent,
                    "batch_statistics": search.agent_kwargs["batch_statistics"],
                    "seed": search.seed,
                    "cpu_seconds": read_cost(search.path).cpu_seconds,
                    "architecture": derived[-1],
                    "skips": [skips(one) for one in derived],
                }
            )
    found = {"command": f"--env {env_id}", "rows": rows, **json.loads((out / "training.json").read_text())}
    return found | judged(rows, found["seconds_per_training"], table) if table else found


def skips(architecture: str) -> int:
    """Skip connections among the six ops."""
    return architecture.count(OPS[SKIP])


def judged(rows: list[Row], seconds_per_training: float, table: Table) -> dict[str, Any]:
    """The rows with ranks and accuracies, and what random search reaches at each row's cost."""
    mean = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    for row in rows:
        accuracy = float(mean[Architecture.parse(row["architecture"]).index])
        trainings = max(row["cpu_seconds"] / seconds_per_training, 1.0)
        rival = float(expected_best(table, trainings, epochs=table.epochs))
        row |= {"accuracy": accuracy, "rank": rank(mean, accuracy), "trainings": trainings,
                "random_accuracy": rival, "random_rank": rank(mean, rival)}  # fmt: skip
    return {"rows": rows, "table": table.name, "table_id": table.id, "optimum": float(mean.max())}


def rank(mean: FloatArray, accuracy: float) -> int:
    """1 + how many of the 15,625 are better; the members of a canonical class share theirs."""
    return 1 + int((mean > accuracy).sum())


def page() -> pages.Pages:
    """The page, with the tables from the committed numbers."""
    text = tables(pages.read_data(DATA))
    return {PAGE: pages.with_part(PAGE, "weight_sharing", text)}


def tables(found: dict[str, Any]) -> str:
    """Results and collapse."""
    rows: list[Row] = found["rows"]
    cases = list(dict.fromkeys((row["agent"], row["batch_statistics"]) for row in rows))
    groups = {case: [r for r in rows if (r["agent"], r["batch_statistics"]) == case] for case in cases}
    parts = [results(found, groups), collapse(groups), without_convolution(rows)]
    return "\n\n".join(parts)


def results(found: dict[str, Any], groups: dict[tuple[str, str], list[Row]]) -> str:
    """One row per agent and batch norms' choice."""
    if "table" not in found:
        return "The digits table was not there when these searches were collected: no ranks yet."
    head = (
        f"Table `{found['table']}`, id `{found['table_id'][:16]}…`; its best architecture has "
        f"{100 * found['optimum']:.2f} %. One training of it took {found['seconds_per_training']:.2f} CPU "
        f"seconds on one thread (the compiled trainer, mean of {SAMPLE} random architectures)."
    )
    headings = [
        "agent", "batch statistics", "seeds", "rank: median (all)", "accuracy (%)", "CPU s",
        "random search at equal cost: trainings", "its accuracy (%)", "that rank",
    ]  # fmt: skip
    lines = []
    for (agent, choice), group in groups.items():
        ranks = sorted(row["rank"] for row in group)
        column = {key: np.array([row[key] for row in group]) for key in
                  ("accuracy", "cpu_seconds", "trainings", "random_accuracy", "random_rank")}  # fmt: skip
        lines.append(
            [
                display_name(agent),
                choice if agent in EVALUATING else "any",
                f"{len(group)}",
                f"{np.median(ranks):,.0f} ({', '.join(f'{r:,}' for r in ranks)})",
                f"{100 * column['accuracy'].mean():.2f} ± {100 * column['accuracy'].std():.2f}",
                f"{column['cpu_seconds'].mean():.0f}",
                f"{column['trainings'].mean():.1f}",
                f"{100 * column['random_accuracy'].mean():.2f}",
                f"{np.median(column['random_rank']):,.0f}",
            ]
        )
    return f"{head}\n\n{markdown_table(headings, lines)}"


def collapse(groups: dict[tuple[str, str], list[Row]]) -> str:
    """Skip connections of the derived cell, epoch by epoch."""
    head = "Skip connections among the derived cell's six ops, mean over the seeds (a random cell has 1.2):"
    headings = ["agent, after epoch", *map(str, EPOCHS), "at the end, each seed"]
    lines = []
    for (agent, _), group in groups.items():
        if agent in DESCENDING:
            skips_by_epoch = np.array([row["skips"] for row in group])
            means = (f"{skips_by_epoch[:, epoch - 1].mean():.1f}" for epoch in EPOCHS)
            lines.append([display_name(agent), *means, ", ".join(map(str, skips_by_epoch[:, -1]))])
    return f"{head}\n\n{markdown_table(headings, lines)}"


def without_convolution(rows: list[Row]) -> str:
    """How many of each agent's derived cells hold only skips, pools and nothing."""
    counts = []
    for agent in dict.fromkeys(row["agent"] for row in rows):
        cells = [row["architecture"] for row in rows if row["agent"] == agent]
        counts.append(f"{display_name(agent)} {sum('conv' not in cell for cell in cells)} of {len(cells)}")
    return f"Derived cells without any convolution: {', '.join(counts)}."


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--env", default="NB201-digits-v0", help="whose table answers the searches")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--out", type=Path, default=Path("runs/weight-sharing"), help="for the trajectories")
    parser.add_argument("--table", default="digits-10", help="name or path of the table that ranks")
    parser.add_argument("--data", type=Path, default=DATA, help="the results of all searches")


def run(a: argparse.Namespace) -> None:
    """Run the searches that are missing, then collect the results of all."""
    out, seeds = a.out / a.env, parse_seeds(a.seeds)
    run_missing(a.env, seeds, out)
    try:
        table = open_table(a.table)
    except FileNotFoundError as error:
        print(error)
        table = None
    pages.write_data(a.data, collect(a.env, seeds, out, table))
