"""The whole evaluation: measure, summarise, write the report."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nb201env.reading import format_seeds
from nb201env.surrogate.fidelity import baselines, figures, protocol, report
from nb201env.surrogate.fidelity.searches import leave_one_out, read_searches, trajectory_fidelity
from nb201env.surrogate.fidelity.transfer import SIZES as TRANSFER_SIZES
from nb201env.surrogate.fidelity.transfer import transfer
from nb201env.table import Table
from nb201env.tables import open_table

PACKAGES = ("nb201env", "xgboost", "scikit-learn", "numpy", "scipy")
# The baselines' linear algebra is small; more threads only wait for each other.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class SearchPlan:
    """Which searches to compare.

    Attributes:
        surrogate: Name or path of the surrogate's table; its training table is the other side.
        agents: The agents, as ``nb201 search`` knows them.
        seeds: Seeds of the searches of each.
        queries: The budget of each.
    """

    surrogate: str
    agents: tuple[str, ...] = ("random_search", "regularized_evolution", "ppo", "a2c")
    seeds: tuple[int, ...] = tuple(range(20))
    queries: int = 200


@dataclass(frozen=True)
class Plan:
    """What an evaluation measures.

    Attributes:
        tables: Names or paths of the tables.
        split: The split whose accuracy is predicted.
        epochs: Epochs completed.
        out: The folder of the report; what was measured is kept there too, and not measured again.
        sizes: Training sizes.
        splits: Random splits.
        models: Of `baselines.NAMES`; the surrogate is measured on all tables, the others on the first.
        transfer_splits: Random splits for the transfer between tables; 0 leaves it out.
        searches: The searches to compare; None leaves them out.
    """

    tables: tuple[str, ...]
    split: str
    epochs: int
    out: Path
    sizes: tuple[int, ...] = protocol.SIZES
    splits: int = protocol.SPLITS
    models: tuple[str, ...] = baselines.NAMES
    transfer_splits: int = 3
    searches: SearchPlan | None = None
    command: str = field(default="nb201 surrogate evaluate")


def evaluate(plan: Plan, say: Say = lambda text: None) -> dict[str, Any]:
    """Measure what is missing, and write fidelity.json, fidelity.md and the figures.

    Args:
        plan: What to measure.
        say: Called with a line on what is being done.

    Returns:
        The summary that fidelity.json holds.
    """
    tables = [open_table(name) for name in plan.tables]
    plan.out.mkdir(parents=True, exist_ok=True)
    summary: dict[str, Any] = {
        "command": plan.command,
        "versions": {package: version(package) for package in PACKAGES},
        "tables": [_table(table, plan, number == 0, say) for number, table in enumerate(tables)],
    }
    if plan.transfer_splits and len(tables) > 1:
        summary["transfer"] = report.rounded(_kept_transfer(tables, plan, say))
    if plan.searches:
        summary["searches"] = report.rounded(_searches(plan.searches, plan.out, say))
    write_report(summary, plan.out)
    return summary


def write_report(summary: Mapping[str, Any], folder: Path) -> None:
    """Write a summary and all that follows from it: fidelity.json, fidelity.md, the figures."""
    text = json.dumps(summary, indent=1) + "\n"
    (folder / "fidelity.json").write_text(text, encoding="utf-8")
    page = report.markdown(summary, figures.draw(summary, folder))
    (folder / "fidelity.md").write_text(page, encoding="utf-8")


def _table(table: Table, plan: Plan, with_baselines: bool, say: Say) -> dict[str, Any]:
    models = plan.models if with_baselines else tuple(m for m in plan.models if m == baselines.SURROGATE)
    results = protocol.run_jobs(
        table,
        protocol.jobs(table, models, plan.sizes, plan.splits),
        plan.out / "measured.jsonl",
        split=plan.split,
        epochs=plan.epochs,
        progress=lambda job: say(f"{table.name}: {job.model}, N = {job.size}, split {job.split}"),
    )
    ceilings = protocol.ceilings(table, split=plan.split, epochs=plan.epochs)
    return report.summarise_table(table, plan.split, plan.epochs, results, ceilings)


def _kept_transfer(tables: Sequence[Table], plan: Plan, say: Say) -> list[dict[str, Any]]:
    key = {
        "tables": [table.id for table in tables], "splits": plan.transfer_splits,
        "sizes": list(TRANSFER_SIZES), "split": plan.split, "epochs": plan.epochs,
    }  # fmt: skip
    path = plan.out / "transfer.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] == key:
            return list(kept["rows"])
    say("transfer between tables")
    rows = transfer(tables, split=plan.split, epochs=plan.epochs, splits=plan.transfer_splits)
    path.write_text(json.dumps({"key": key, "rows": rows}), encoding="utf-8")
    return rows


def _searches(plan: SearchPlan, out: Path, say: Say) -> dict[str, Any]:
    surrogate = open_table(plan.surrogate)
    table = open_table(training_table(surrogate))
    folders = {
        table.name: out / "searches" / table.id[:12],
        surrogate.name: out / "searches" / surrogate.id[:12],
    }
    commands = []
    for one, name in ((table, table.name), (surrogate, plan.surrogate)):
        for agent in plan.agents:
            command = search_command(agent, one, name, plan)
            commands.append(shlex.join(command))
            if not _all_there(folders[one.name], agent, plan.seeds):
                say(commands[-1])
                run_search(command, folders[one.name])
    on_table = read_searches(folders[table.name], table)
    on_surrogate = read_searches(folders[surrogate.name], surrogate)
    return {
        "surrogate": {"name": surrogate.name, "id": surrogate.id},
        "table": {"name": table.name, "id": table.id},
        "commands": commands,
        "trajectory_fidelity": trajectory_fidelity(table, surrogate, on_table, on_surrogate, plan.queries),
        "leave_one_out": leave_one_out(table, on_table),
    }


def training_table(surrogate: Table) -> str:
    """The name of the table that a surrogate's table was trained on.

    Raises:
        ValueError: If the table is none of a surrogate, or the training table is another one now.
    """
    if surrogate.manifest.get("kind") != "surrogate":
        raise ValueError(
            f"{surrogate.name} is not a surrogate's table; nb201 surrogate fit --table-out writes one"
        )
    trained: dict[str, str] = surrogate.manifest["provenance"]["training_table"]
    if open_table(trained["name"]).id != trained["id"]:
        raise ValueError(f"{surrogate.name} was trained on another {trained['name']}; fit it again")
    return trained["name"]


def search_command(agent: str, table: Table, name: str, plan: SearchPlan) -> list[str]:
    """The ``nb201 search`` command of one agent's searches on one table."""
    return [
        "nb201", "search", "--agent", agent, "--env", f"NB201-{table.dataset}-v0",
        "--env-kwargs", json.dumps({"table": name}), "--budget", str(plan.queries),
        "--seeds", format_seeds(plan.seeds),
    ]  # fmt: skip


def run_search(command: Sequence[str], folder: Path) -> None:
    """Run an ``nb201`` command in a process of its own, its trajectories into a folder.

    A process, because agents may import this package but not the other way round.

    Raises:
        RuntimeError: If it fails; the message is the end of what it wrote.
    """
    program = "import sys; from nb201env.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, *command[1:], "--out", str(folder)],
        capture_output=True, text=True, env=os.environ | ENVIRONMENT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)} failed: {done.stderr.strip()[-500:]}")


def _all_there(folder: Path, agent: str, seeds: Sequence[int]) -> bool:
    return all((folder / f"{agent}-{seed}.jsonl").exists() for seed in seeds)
