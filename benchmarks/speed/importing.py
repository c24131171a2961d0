"""Importing and reading official files, side by side with ``nats_bench`` 1.8, in one run.

    python -m benchmarks.speed.importing SAMPLE_FOLDER [--full FULL_FOLDER] [--tables TABLES]

SAMPLE_FOLDER holds a few real files of NATS-tss-v1_0-3ffb9-simple. With FULL_FOLDER (see
`benchmarks.speed.full_size_set`) the full-size import is timed too, and the rest is measured on its
tables; TABLES says where they go, or if they are there already, are. Prints one line per figure: the
figure, its goal, and whether it holds.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nats_bench
import numpy as np

from nb201env import Table
from nb201env.sources.importer import import_official
from nb201env.space import SIZE
from nb201env.tables import embedded_file, open_table


def line(what: str, figure: float, goal: str = "", holds: bool = True) -> None:
    verdict = f"   goal {goal:10s} {'holds' if holds else 'MISSED'}" if goal else ""
    print(f"{what:62s} {figure:12,.2f}{verdict}", flush=True)


def full_import(source: Path, out: Path) -> None:
    """Time and memory of a full-size import by two processes."""
    command = [sys.executable, "-m", "nb201env.cli", "table", "import", str(source), "--out", str(out)]
    before, start = os.times(), time.perf_counter()
    subprocess.run([*command, "--jobs", "2"], check=True)
    seconds, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    line("full-size import, wall seconds", seconds, "<= 240", seconds <= 240)
    line("full-size import, CPU seconds / 2 cores", cpu / 2, "<= 240", cpu / 2 <= 240)
    line("full-size import, largest process, GB resident", memory, "<= 1.5", memory <= 1.5)


def seconds_per_architecture_nats(sample: Path) -> float:
    """The official API reading all numbers of an architecture once, in fast mode (one file each)."""
    api = nats_bench.create(str(sample), "tss", fast_mode=True, verbose=False)
    indices = [int(path.name[:6]) for path in sample.glob("[0-9]*.pickle.pbz2")]
    start = time.perf_counter()
    for index in indices:
        api._prepare_info(index)
        for results in api.arch2infos_dict[index].values():
            for run in results.all_results.values():
                sum(run.train_acc1es.values()) + sum(run.train_losses.values())
                sum(run.eval_acc1es.values()) + sum(run.eval_losses.values())
    return (time.perf_counter() - start) / len(indices)


def read_everything(tables: list[Table]) -> tuple[float, int]:
    """Seconds for reading all columns of all tables once, checksums included; and the architectures."""
    start = time.perf_counter()
    for table in tables:
        fresh = Table.open(table.container.path)
        for column in fresh.columns:
            fresh.container.array(column).sum()
    architectures = int(tables[0].manifest["provenance"]["architectures"])
    return time.perf_counter() - start, architectures


def microseconds(ask: Callable[[int], object], indices: list[int], repeats: int = 7) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        for index in indices:
            ask(index)
        best = min(best, time.perf_counter() - start)
    return best / len(indices) * 1e6


def queries(tables: list[Table]) -> None:
    """One query on an imported table against one on the embedded table."""
    (mine,) = [table for table in tables if table.name == "official-cifar10-valid-200"]
    embedded = Table.open(embedded_file("cifar10-valid-200"))
    held = np.flatnonzero(~np.isnan(mine.values("valid_accuracy", epochs=200)[:, 0]))
    indices = np.random.default_rng(0).choice(held, 20_000).tolist()
    ours = microseconds(lambda i: mine.query(i, split="valid", epochs=200, run=777), indices)
    theirs = microseconds(lambda i: embedded.query(i, split="valid", epochs=200, run=777), indices)
    line("one query, imported table, microseconds", ours)
    line("one query, imported over embedded table, ratio of times", ours / theirs, "<= 2", ours / theirs <= 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sample", type=Path)
    parser.add_argument("--full", type=Path)
    parser.add_argument("--tables", type=Path)
    arguments = parser.parse_args()
    out = arguments.tables or Path(tempfile.mkdtemp())
    if arguments.full and not list(out.glob("*.safetensors")):
        full_import(arguments.full, out)
    elif not list(out.glob("*.safetensors")):
        import_official(arguments.sample, out, workers=1, prefix="official-")
    tables = [open_table(path) for path in sorted(out.glob("*.safetensors"))]
    official = seconds_per_architecture_nats(arguments.sample)
    seconds, architectures = read_everything(tables)
    megabytes = sum(table.container.path.stat().st_size for table in tables) / 1e6
    line("all tables together, MB", megabytes)
    line("nats_bench, everything once, seconds for 15,625 architectures", official * SIZE)
    line(f"our tables, everything once, seconds for {architectures:,} architectures", seconds)
    ratio = official * architectures / seconds
    whole = architectures == SIZE  # of a few files the opening of seven tables is all that is measured
    line("reading everything once, nats_bench over ours", ratio, ">= 100" * whole, ratio >= 100)
    queries(tables)


if __name__ == "__main__":
    main()
