"""The papers' query-based agents under the papers' protocols, beside the published rows.

    python -m benchmarks.studies published run                  500 searches each; four minutes or so
    python -m benchmarks.studies published run --seeds 0-49 --jobs 1 --out /tmp/published.json

REINFORCE is also run with other learning rates under `nb201`, to show where the one that it has there is
from.

It also measures how long the searches take, so it begins from the start every time. Needs the CSV of the
published CIFAR-10 numbers (NB201_REFERENCE); --csv names another.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.checkout import ROOT
from benchmarks.studies.pages import DATA, DOCS, Pages, read_data, with_part, write_data
from nb201env.agents.papers.protocols import (
    PROTOCOLS,
    Sources,
    reference_sources,
    run_protocol,
    spread,
)
from nb201env.agents.papers.published import SPLITS, published, unlike
from nb201env.agents.registry import display_name
from nb201env.agents.searches.outcome import Outcome
from nb201env.output import markdown_table
from nb201env.reading import parse_seeds
from nb201env.tables import open_table

CSV = Path(os.environ.get("NB201_REFERENCE", ROOT.parent / "shared" / "reference")) / "nb201_cifar10.csv"
RESULTS, PAGE = DATA / "published.json", DOCS / "published.md"
AGENTS = ("random_search", "regularized_evolution", "reinforce", "bohb")
RATES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.5)
"""Learning rates of REINFORCE: NATS-Bench's is the first, that of NAS-Bench-201's instructions the last."""
NOT_COMPARABLE = "not comparable \\*"
GOAL = 0.15
"""How far, in percentage points, our mean test accuracy may lie from the published one."""


def measure(protocol: str, seeds: list[int], jobs: int, sources: Sources) -> dict[str, Any]:
    """Run one protocol on CIFAR-10; all of it as plain values, accuracies as fractions."""
    rows: dict[str, Any] = {}
    for agent in AGENTS:
        started, cpu = time.perf_counter(), cpu_seconds()
        outcomes = run_protocol(protocol, agent, seeds, sources, jobs=jobs)
        rows[agent] = row(protocol, agent, outcomes, sources) | {
            "wall_seconds": round(time.perf_counter() - started, 1),
            "cpu_seconds": round(cpu_seconds() - cpu, 1),
        }
        alike = not unlike(protocol, agent, recorded_epochs(sources))
        print(line(protocol, agent, rows[agent], alike=alike), flush=True)
    return rows


def measure_rates(seeds: list[int], jobs: int, sources: Sources) -> dict[str, Any]:
    """REINFORCE under `nb201`, by learning rate."""
    rows: dict[str, Any] = {}
    for rate in RATES:
        settings = {"learning_rate": rate}
        outcomes = run_protocol("nb201", "reinforce", seeds, sources, agent_kwargs=settings, jobs=jobs)
        rows[str(rate)] = row("nb201", "reinforce", outcomes, sources)
        print(f"learning rate {rate}: largest difference {_largest(rows[str(rate)]):.2f}", flush=True)
    return rows


def row(protocol: str, agent: str, outcomes: list[Outcome], sources: Sources) -> dict[str, Any]:
    """One agent's accuracies (None where no table holds them) and the published ones."""
    theirs = published(protocol, agent)
    cells = {}
    for dataset in PROTOCOLS[protocol].looked_up("cifar10"):
        for split in SPLITS:
            cells[f"{dataset} {split}"] = {
                "ours": spread(outcomes, dataset, split, sources),
                "published": theirs.cells[dataset, split] if theirs else None,
            }
    return {
        "searches": len(outcomes),
        "queries": sum(o.queries for o in outcomes) / len(outcomes),
        "cells": cells,
    }


def recorded_epochs(sources: Sources) -> tuple[int, ...]:
    """The epochs after which the table that is searched knows accuracies."""
    return open_table(sources.search["cifar10"]).recorded_epochs("valid_accuracy")


def line(protocol: str, agent: str, result: dict[str, Any], *, alike: bool) -> str:
    """The test accuracy on CIFAR-10, ours beside theirs, and whether they are results of the same search."""
    cell = result["cells"]["cifar10 test"]
    ours, theirs = cell["ours"], cell["published"]
    difference = 100 * (ours[0] - theirs[0])
    verdict = f"{'within' if abs(difference) <= GOAL else 'NOT within'} {GOAL}" if alike else "not comparable"
    return (
        f"{protocol:6} {display_name(agent):22} {100 * ours[0]:.2f} ± {100 * ours[1]:.2f} %, published "
        f"{100 * theirs[0]:.2f} ± {100 * theirs[1]:.2f}: {difference:+.2f}, {verdict}; "
        f"{result['queries']:.0f} queries, {result['searches']} searches in {result['wall_seconds']:.0f} s "
        f"({result['cpu_seconds']:.0f} CPU s)"
    )


def cpu_seconds() -> float:
    """Processor time of this process and its finished children; unlike wall time, not shared with others."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def page() -> Pages:
    """The page, with the papers' rows and ours."""
    results = read_data(RESULTS)
    parts = [protocol_part(name, rows, results["epochs"]) for name, rows in results["protocols"].items()]
    parts.append(rates_part(results["learning_rates"]))
    parts.append(
        f"Searches of each agent, protocol and learning rate: seeds {results['seeds']}; "
        f"{results['cpu_seconds']} seconds of processor time in all, {results['wall_seconds']} seconds with "
        f"--jobs {results['jobs']} on two cores that others used too."
    )
    return {PAGE: with_part(PAGE, "published", "\n\n".join(parts))}


def protocol_part(name: str, results: dict[str, Any], epochs: list[int]) -> str:
    """One protocol: three rows per agent, ours, the published one and their difference.

    Where ours is not the search of the paper there is a note in place of a difference, and one where it has
    hyper-parameters that were chosen by the published row.
    """
    protocol = PROTOCOLS[name]
    columns = _columns(name)
    lines: list[list[str]] = []
    notes: list[str] = []
    for agent, result in results.items():
        theirs, why = published(name, agent), unlike(name, agent, epochs)
        cells = [result["cells"][column] for column in columns]
        shown, mark, queries = display_name(agent), theirs.mark if theirs else "", f"{result['queries']:.0f}"
        ours = [_spread(cell["ours"]) for cell in cells]
        fitted = ", ".join(f"{key} {value}" for key, value in protocol.settings(agent, {}).items())
        differences = [NOT_COMPARABLE if why else _difference(cell) for cell in cells]
        lines += [
            [shown + " \\*" * bool(why) + " †" * bool(fitted), queries, "ours", *ours, ""],
            ["", "", "published", *(_spread(cell["published"]) for cell in cells), mark],
            ["", "", "difference", *differences, ""],
        ]
        if why:
            notes.append(f"\\* {shown}: {why}.")
        if fitted:
            notes.append(f"† {shown}: {fitted}, chosen because it agrees with this row; see below.")
    table = markdown_table(["agent", "queries", "whose", *columns, "mark"], lines)
    title = f"### `{name}`: {protocol.paper}, {protocol.seconds['cifar10']:,.0f} s on CIFAR-10"
    return "\n\n".join([title, table, *notes])


def rates_part(results: dict[str, Any]) -> str:
    """REINFORCE by learning rate: in each column how far its mean lies from the published one."""
    columns = [name for name, cell in next(iter(results.values()))["cells"].items() if cell["ours"]]
    mine = PROTOCOLS["nb201"].hyperparameters["reinforce"]["learning_rate"]
    lines = [
        [f"**{rate}**" if float(rate) == mine else rate, _spread(result["cells"]["cifar10 test"]["ours"]),
         *(_difference(result["cells"][column]) for column in columns), f"{_largest(result):.2f}"]
        for rate, result in results.items()
    ]  # fmt: skip
    return "### REINFORCE under `nb201`, by learning rate\n\n" + markdown_table(
        ["learning rate", "cifar10 test", *(f"{column}, difference" for column in columns), "largest"], lines
    )


def _columns(protocol: str) -> list[str]:
    return [f"{dataset} {split}" for dataset in PROTOCOLS[protocol].looked_up("cifar10") for split in SPLITS]


def _largest(result: dict[str, Any]) -> float:
    """How far at most a mean lies from the published one, in percentage points."""
    cells = [cell for cell in result["cells"].values() if cell["ours"]]
    return max(100.0 * abs(float(cell["ours"][0]) - float(cell["published"][0])) for cell in cells)


def _spread(cell: list[float] | None) -> str:
    return f"{100 * cell[0]:.2f} ± {100 * cell[1]:.2f}" if cell else "not available"


def _difference(cell: dict[str, list[float] | None]) -> str:
    ours, theirs = cell["ours"], cell["published"]
    return f"{round(100 * (ours[0] - theirs[0]), 2) + 0.0:+.2f}" if ours and theirs else ""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--csv", type=Path, default=CSV)
    parser.add_argument("--seeds", default="0-499")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--protocol", action="append", choices=sorted(PROTOCOLS))
    parser.add_argument("--out", type=Path, default=RESULTS, help="the results, written at the end")


def run(a: argparse.Namespace) -> None:
    """Run the protocols, print how far from the papers ours lie, and write the results."""
    if not a.csv.is_file():
        print(f"skipped: no {a.csv}; set NB201_REFERENCE to the folder of nb201_cifar10.csv")
        return
    started, cpu = time.perf_counter(), cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        sources = reference_sources(a.csv, folder)
        seeds = parse_seeds(a.seeds)
        found = {p: measure(p, seeds, a.jobs, sources) for p in a.protocol or PROTOCOLS}
        rates = measure_rates(seeds, a.jobs, sources)
        epochs = recorded_epochs(sources)
    wall, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    print(f"{wall:.0f} seconds with {a.jobs} processes, {cpu:.0f} CPU seconds")
    result = {"seeds": a.seeds, "jobs": a.jobs, "wall_seconds": round(wall),
              "cpu_seconds": round(cpu), "epochs": epochs, "protocols": found,
              "learning_rates": rates}  # fmt: skip
    write_data(a.out, result)
