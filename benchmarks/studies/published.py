"""The papers' query-based agents under the papers' protocols, beside the published rows.

    python -m benchmarks.studies.published                      500 searches each; two minutes or so
    python -m benchmarks.studies.published --seeds 0-49 --jobs 1
    python -m benchmarks.studies.published --write              also docs/data/published.json

Needs the CSV of the published CIFAR-10 numbers (NB201_REFERENCE); --csv names another.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.checkout import ROOT
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
from nb201env.reading import parse_seeds

CSV = Path(os.environ.get("NB201_REFERENCE", ROOT.parent / "shared" / "reference")) / "nb201_cifar10.csv"
RESULTS = ROOT / "docs" / "data" / "published.json"
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--csv", type=Path, default=CSV)
    parser.add_argument("--seeds", default="0-499")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--protocol", action="append", choices=sorted(PROTOCOLS))
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    options = parser.parse_args()
    if not options.csv.is_file():
        print(f"skipped: no {options.csv}; set NB201_REFERENCE to the folder of nb201_cifar10.csv")
        return
    started, cpu = time.perf_counter(), cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        sources = reference_sources(options.csv, folder)
        seeds = parse_seeds(options.seeds)
        found = {p: measure(p, seeds, options.jobs, sources) for p in options.protocol or PROTOCOLS}
    wall, cpu = time.perf_counter() - started, cpu_seconds() - cpu
    print(f"{wall:.0f} seconds with {options.jobs} processes, {cpu:.0f} CPU seconds")
    if options.write:
        result = {"seeds": options.seeds, "jobs": options.jobs, "wall_seconds": round(wall),
                  "cpu_seconds": round(cpu), "protocols": found}  # fmt: skip
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
