"""The papers' query-based agents under the papers' protocols, beside the published rows.

    python -m benchmarks.studies published run                  500 searches each; two minutes or so
    python -m benchmarks.studies published run --seeds 0-49 --jobs 1 --out /tmp/published.json

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
from nb201env.agents.papers.published import SPLITS, published
from nb201env.agents.registry import display_name
from nb201env.agents.searches.outcome import Outcome
from nb201env.output import markdown_table
from nb201env.reading import parse_seeds

CSV = Path(os.environ.get("NB201_REFERENCE", ROOT.parent / "shared" / "reference")) / "nb201_cifar10.csv"
RESULTS, PAGE = DATA / "published.json", DOCS / "published.md"
AGENTS = ("random_search", "regularized_evolution", "reinforce", "bohb")
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
        print(line(protocol, agent, rows[agent]), flush=True)
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


def line(protocol: str, agent: str, result: dict[str, Any]) -> str:
    """The test accuracy on CIFAR-10, ours beside theirs."""
    cell = result["cells"]["cifar10 test"]
    ours, theirs = cell["ours"], cell["published"]
    difference = 100 * (ours[0] - theirs[0])
    verdict = "within" if abs(difference) <= GOAL else "NOT within"
    return (
        f"{protocol:6} {display_name(agent):22} {100 * ours[0]:.2f} ± {100 * ours[1]:.2f} %, published "
        f"{100 * theirs[0]:.2f} ± {100 * theirs[1]:.2f}: {difference:+.2f}, {verdict} {GOAL}; "
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
    parts = [protocol_part(name, rows) for name, rows in results["protocols"].items()]
    parts.append(
        f"Searches of each agent and protocol: seeds {results['seeds']}. "
        f"{results['wall_seconds']} seconds in all with {results['jobs']} processes on two shared cores, "
        f"{results['cpu_seconds']} seconds of processor time."
    )
    return {PAGE: with_part(PAGE, "published", "\n\n".join(parts))}


def protocol_part(name: str, results: dict[str, Any]) -> str:
    """One protocol: three rows per agent, ours, the published one and their difference."""
    protocol = PROTOCOLS[name]
    columns = [f"{dataset} {split}" for dataset in protocol.looked_up("cifar10") for split in SPLITS]
    lines: list[list[str]] = []
    for agent, result in results.items():
        theirs = published(name, agent)
        cells = [result["cells"][column] for column in columns]
        mark = theirs.mark if theirs else ""
        queries = f"{result['queries']:.0f}"
        lines += [
            [display_name(agent), queries, "ours", *(_spread(cell["ours"]) for cell in cells), ""],
            ["", "", "published", *(_spread(cell["published"]) for cell in cells), mark],
            ["", "", "difference", *(_difference(cell) for cell in cells), ""],
        ]
    return (
        f"### `{name}`: {protocol.paper}, {protocol.seconds['cifar10']:,.0f} s on CIFAR-10\n\n"
        + markdown_table(["agent", "queries", "whose", *columns, "mark"], lines)
    )


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
    wall, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    print(f"{wall:.0f} seconds with {a.jobs} processes, {cpu:.0f} CPU seconds")
    result = {"seeds": a.seeds, "jobs": a.jobs, "wall_seconds": round(wall),
              "cpu_seconds": round(cpu), "protocols": found}  # fmt: skip
    write_data(a.out, result)
