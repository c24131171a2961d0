"""The whole evaluation: measure, summarise, write the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nb201env.fields import Fields
from nb201env.files import appearing, appearing_together
from nb201env.surrogate.fidelity import baselines, figures, protocol, report
from nb201env.surrogate.fidelity.transfer import SIZES as TRANSFER_SIZES
from nb201env.surrogate.fidelity.transfer import check_sources, transfer
from nb201env.table import Table
from nb201env.tables import open_table

PACKAGES = ("nb201env", "xgboost", "scikit-learn", "numpy", "scipy")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What an evaluation measures.

    Attributes:
        tables: Names or paths of the tables.
        split: The split whose accuracy is predicted.
        epochs: Epochs completed.
        out: The folder of the report; what was measured is kept there too, and not measured again.
        sizes: Training sizes.
        draws: Random draws.
        models: Of `baselines.NAMES`; the surrogate is measured on all tables, the others on the first.
        transfer_draws: Random draws for the transfer between tables; 0 leaves it out.
        command: What the report names as its writer.
    """

    tables: tuple[str, ...]
    split: str
    epochs: int
    out: Path
    sizes: tuple[int, ...] = protocol.SIZES
    draws: int = protocol.DRAWS
    models: tuple[str, ...] = baselines.NAMES
    transfer_draws: int = 3
    command: str = "nb201 surrogate evaluate"


def evaluate(plan: Plan, say: Say = lambda text: None) -> dict[str, Any]:
    """Measure what is missing, and write fidelity.json, fidelity.md and the figures.

    Searches that were compared before (see `add_searches`) stay in the report.

    Args:
        plan: What to measure.
        say: Called with a line on what is being done.

    Returns:
        The summary that fidelity.json holds.

    Raises:
        ValueError: If transfer is to be measured between tables that do not go by a name.
    """
    tables = [open_table(name) for name in plan.tables]
    if plan.transfer_draws and len(tables) > 1:
        check_sources(tables)
    plan.out.mkdir(parents=True, exist_ok=True)
    summary: dict[str, Any] = {
        "command": plan.command,
        "versions": _versions(),
        "tables": [_table(table, plan, number == 0, say) for number, table in enumerate(tables)],
    }
    if plan.transfer_draws and len(tables) > 1:
        summary["transfer"] = report.rounded(_kept_transfer(tables, plan, say))
    if before := _read(plan.out).get("searches"):
        summary["searches"] = before
    write_report(summary, plan.out)
    return summary


def add_searches(searches: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Put a comparison of searches into the report of a folder, or begin a report with it.

    Args:
        searches: What `nb201env.agents.searches.fidelity.compare` returns, and the "command" that compared.
        folder: The folder of the report; it is made if it is not there.

    Returns:
        The summary that fidelity.json holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = _read(folder) or {"versions": _versions(), "tables": []}
    summary["searches"] = report.rounded(searches)
    try:
        write_report(summary, folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{folder / 'fidelity.json'}: not as `nb201 surrogate evaluate` writes it; remove it, or "
            "write to another folder with --out"
        ) from error
    return summary


def _read(folder: Path) -> dict[str, Any]:
    path = folder / "fidelity.json"
    return Fields.parse(path.read_text(encoding="utf-8"), str(path)).value if path.exists() else {}


def _versions() -> dict[str, str]:
    return {package: version(package) for package in PACKAGES}


def write_report(summary: Mapping[str, Any], folder: Path) -> None:
    """Write a summary and all that follows from it: fidelity.json, fidelity.md, the figures."""
    with appearing_together(folder, last=("fidelity.json", "fidelity.md")) as new:
        (new / "fidelity.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        page = report.markdown(summary, figures.draw(summary, new))
        (new / "fidelity.md").write_text(page, encoding="utf-8")


def _table(table: Table, plan: Plan, with_baselines: bool, say: Say) -> dict[str, Any]:
    models = plan.models if with_baselines else tuple(m for m in plan.models if m == baselines.SURROGATE)
    jobs = [*protocol.jobs(table, models, plan.sizes, plan.draws)]
    if baselines.SURROGATE in models:
        jobs += protocol.one_run_jobs(table, plan.sizes, plan.draws, split=plan.split, epochs=plan.epochs)
    results = protocol.run_jobs(
        table,
        jobs,
        plan.out / f"measured-{plan.split}-{plan.epochs}.jsonl",
        split=plan.split,
        epochs=plan.epochs,
        progress=lambda job: say(
            f"{table.name}: {job.model}, N = {job.size}, draw {job.draw}, run {job.run}"
        ),
    )
    ceilings = protocol.ceilings(table, split=plan.split, epochs=plan.epochs)
    return report.summarise_table(table, plan.split, plan.epochs, results, ceilings)


def _kept_transfer(tables: Sequence[Table], plan: Plan, say: Say) -> list[dict[str, Any]]:
    key = {
        "tables": [table.id for table in tables], "draws": plan.transfer_draws,
        "sizes": list(TRANSFER_SIZES), "split": plan.split, "epochs": plan.epochs, "spread": True,
    }  # fmt: skip
    path = plan.out / "transfer.json"
    if path.exists():
        kept = Fields.parse(path.read_text(encoding="utf-8"), str(path))
        if kept.value.get("key") == key:
            return [row.value for row in kept.objects("rows")]
    say("transfer between tables")
    rows = transfer(tables, split=plan.split, epochs=plan.epochs, draws=plan.transfer_draws)
    with appearing(path) as new:
        new.write_text(json.dumps({"key": key, "rows": report.rounded(rows)}), encoding="utf-8")
    return rows
