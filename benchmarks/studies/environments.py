"""The pages of the environments, with what baseline agents reach, and the list of tables.

``run`` runs the baseline searches that are missing (minutes). An environment's page is its class docstring,
its table's facts, and what the baselines reach.
"""

from __future__ import annotations

import argparse
import inspect
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies.pages import DATA, DOCS, Pages, part, read_data, with_part, write_data
from nb201env.agents import AGENTS
from nb201env.agents.commands.search import as_rows, read_agents, read_envs
from nb201env.agents.commands.search import run as run_searches
from nb201env.agents.random_search import expected_best
from nb201env.agents.registry import SEVERAL, display_name
from nb201env.agents.searches.outcome import spread_text
from nb201env.agents.searches.runner import Search
from nb201env.arrays import FloatArray
from nb201env.envs.multi import NB201MOEnv
from nb201env.envs.registration import MULTI, NAMED, OWN_MULTI, SURROGATES, TABLES
from nb201env.envs.single import NB201Env
from nb201env.fronts.front import true_front
from nb201env.output import markdown_table
from nb201env.table import Table
from nb201env.tables import open_table

BASELINES = DATA / "baselines.json"
QUERIES, SEARCHES = 500, 10
COMPARED = [name for name, where in AGENTS.items() if "weight_sharing" not in where and name not in SEVERAL]
"""The agents that need nothing but the environment; the others train on a task's images, or search for a
front."""
SHOWN = "NB201-cifar10-mo-v0"
"""The id with several objectives that has a page; those of the other data sets are like it."""
PREDICTED = (
    "**This id answers with predictions of a [surrogate](../surrogate.md), not with results of trainings:** "
    "where the page below speaks of trainings and runs, they are imagined."
)


def page() -> Pages:
    """One page per environment, and the list of tables."""
    folder, tables = DOCS / "environments", DOCS / "tables.md"
    named = {folder / f"{env_id}.md": environment_page(env_id, table) for env_id, table in NAMED.items()}
    return named | {
        folder / f"{SHOWN}.md": several_page(SHOWN, MULTI[SHOWN]),
        tables: with_part(tables, "environments", tables_part()),
    }


def environment_page(env_id: str, table_name: str) -> str:
    """The page of one environment."""
    table = open_table(table_name)
    best, _ = table.optimum(split="valid", epochs=table.epochs)
    accuracy = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    splits = table.manifest["task"]["splits"]
    doc = inspect.getdoc(NB201Env) or ""
    summary, _, rest = doc.partition("\n")
    if env_id in SURROGATES:
        summary += f"\n\n{PREDICTED}"
    facts = {
        "make it": f'`gym.make("{env_id}")`; many at once: `gym.make_vec("{env_id}", num_envs=1024)`',
        "table": f"`{table.name}`, id `{table.id[:16]}…` (see [tables](../tables.md))",
        "trained on": f"{splits['train']['what']} ({splits['train']['images']:,})",
        "validated on": f"{splits['valid']['what']} ({splits['valid']['images']:,})",
        "schedule": f"{table.epochs} epochs; {table.manifest['schedule']['what']}",
        "validation accuracy": accuracy_facts(accuracy),
        "the optimum": f"`{best}`",
    }
    paragraphs = [
        f"# {env_id}", summary, markdown_table(["", ""], facts.items()), rest.strip(),
        "## Baselines", baselines_part(env_id, table),
    ]  # fmt: skip
    return part("environments", "\n\n".join(paragraphs)) + "\n"


def several_page(env_id: str, table_name: str) -> str:
    """The page of an environment with several objectives, with the true front of the default ones."""
    table = open_table(table_name)
    front = true_front(table)
    summary, _, rest = (inspect.getdoc(NB201MOEnv) or "").partition("\n")
    summary = summary.replace("`NB201Env`", "[The environment](NB201-cifar10-v0.md)")
    facts = {
        "make it": f'`gym.make("{env_id}")`; many at once: `gym.make_vec("{env_id}", num_envs=1024)`',
        "likewise": ", ".join(f"`{other}`" for other in (*MULTI, OWN_MULTI) if other != env_id),
        "table": f"`{table.name}`, id `{table.id[:16]}…` (see [tables](../tables.md))",
    }
    rows = [
        [f"{100 * accuracy:.2f}", f"{params:,.0f}", f"`{architecture}`"]
        for (accuracy, params), architecture in zip(front.values.tolist(), front.architectures, strict=True)
    ]
    paragraphs = [
        f"# {env_id}", summary, markdown_table(["", ""], facts.items()), rest.strip(),
        "## The true front", f"By means over runs; the command: `nb201 table front {table.name}`.",
        markdown_table(["accuracy (%)", "params", "architecture"], rows, "rrl"),
    ]  # fmt: skip
    return part("environments", "\n\n".join(paragraphs)) + "\n"


def accuracy_facts(accuracy: FloatArray) -> str:
    """Optimum, median and mean of the seed-mean accuracy, in per cent."""
    facts = (("optimum", accuracy.max()), ("median", np.median(accuracy)), ("mean", accuracy.mean()))
    return ", ".join(f"{name} {100 * value:.2f} %" for name, value in facts) + " (of the mean over seeds)"


def baselines_part(env_id: str, table: Table) -> str:
    """What the baseline agents reach, from the committed results."""
    if env_id in SURROGATES:
        return (
            "The rewards are predictions, not results of trainings. How searches on them compare with "
            "searches on the table is measured in [the fidelity report](../fidelity.md)."
        )
    results = read_data(BASELINES)
    expected = float(expected_best(table, QUERIES, epochs=table.epochs))
    optimum = table.optimum(split="valid", epochs=table.epochs)[1]
    head = (
        f"Mean ± standard deviation of {SEARCHES} searches (seeds 0 to {SEARCHES - 1}) of {QUERIES} queries. "
        "Accuracy is the mean over seeds of the architecture that the search chose; regret is the "
        "optimum minus it, in percentage points."
    )
    headings = ["agent", "validation accuracy (%)", "regret", "simulated GPU hours"]
    lines = [
        [
            "random search, expected (closed form)",
            f"{100 * expected:.2f}",
            f"{100 * (optimum - expected):.2f}",
            "",
        ]
    ]
    shown = [agent for agent in COMPARED if agent in results[env_id]]
    for agent in shown:
        rows = results[env_id][agent]["rows"]
        accuracy, regret = (spread_text([row[key] for row in rows]) for key in ("accuracy", "regret"))
        hours = np.mean([row["gpu_hours"] for row in rows])
        lines.append(
            [
                display_name(agent),
                accuracy,
                regret,
                f"{hours:,.{0 if hours >= 10 else 2}f}",
            ]
        )
    return f"{head}\n\n{markdown_table(headings, lines)}\n\nThe command: `{command(env_id, shown)}`."


def command(env_id: str, names: list[str]) -> str:
    """What runs the baselines of one environment."""
    agents = " ".join(f"--agent {name}" for name in names)
    return f"nb201 search {agents} --env {env_id} --seeds 0-{SEARCHES - 1} --budget {QUERIES}"


def tables_part() -> str:
    """The embedded tables, from their manifests."""
    headings = [
        "table",
        "trained on",
        "valid",
        "runs",
        "optimum (%)",
        "seconds per query, mean",
        "id (sha256)",
    ]
    rows = []
    for name in NAMED.values():
        table = open_table(name)
        splits = table.manifest["task"]["splits"]
        runs = int((~np.isnan(table.runs(split="valid", epochs=table.epochs))).sum())
        best, optimum = table.optimum(split="valid", epochs=table.epochs)
        seconds = table.seconds(epochs=table.epochs, run="mean").mean()
        rows.append(
            [
                f"`{name}`", f"{splits['train']['images']:,} images", f"{splits['valid']['images']:,} images",
                f"{runs:,}", f"{100 * optimum:.2f} (official index {best.official_index})", f"{seconds:,.0f}",
                f"`{table.id}`",
            ]
        )  # fmt: skip
    return markdown_table(headings, rows)


def run_baselines(path: Path, names: list[str], env_ids: list[str], jobs: int = 2) -> None:
    """Run the baseline searches that the file does not hold with the present settings.

    The file is written after every agent and environment: rows, table and hyper-parameters by
    environment and agent.
    """
    results: dict[str, Any] = read_data(path) if path.exists() else {}
    for env_id in env_ids:
        for agent in names:
            held = results.setdefault(env_id, {})
            about = baseline_settings(agent, env_id)
            if {key: held.get(agent, {}).get(key) for key in about} == about:
                continue
            with tempfile.TemporaryDirectory() as folder:
                searches = [baseline(agent, env_id, seed, folder) for seed in range(SEARCHES)]
                rows = as_rows(run_searches(searches, jobs))
            held[agent] = about | {"rows": rows}
            write_data(path, results)
            print(env_id, agent, flush=True)


def baseline(agent: str, env_id: str, seed: int, folder: str = "") -> Search:
    """One search of the environments' pages."""
    return Search(agent, env_id, seed, {"budget_queries": QUERIES}, Path(folder))


def baseline_settings(agent: str, env_id: str) -> dict[str, Any]:
    """What a baseline's rows depend on."""
    header = baseline(agent, env_id, 0).header()
    return {"table": header["table"]["id"], "hyperparameters": header["hyperparameters"]}


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--agent", action="append", help="whose; repeated or with commas; default: all")
    parser.add_argument("--env", action="append", help="where; repeated or with commas; default: all")
    parser.add_argument("--out", type=Path, default=BASELINES, help="the results; resumed if there")


def run(a: argparse.Namespace) -> None:
    """Run the baseline searches that are missing."""
    run_baselines(a.out, read_agents(a.agent or COMPARED), read_envs(a.env or TABLES))
