"""A report of many searches: seconds, memory, and the size of its page.

    python -m benchmarks.speed.report [--searches 10000] [--queries 50] [--runs FOLDER]

The searches are run first, or those that lie in FOLDER are taken. Then come `nb201 report` without figures,
with them, and with a replay of every trajectory, each in a process of its own. Seconds depend on the machine;
so beside them stands a ratio to a floor measured in the same run: reading every line as JSON and no more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from nb201env.agents.searches.plan import plan, unfinished
from nb201env.agents.searches.runner import run_all
from nb201env.output import print_grid

AGENTS = ("random_search", "regularized_evolution")
ENVS = ("NB201-cifar10-v0", "NB201-cifar100-v0")
GOAL_SECONDS, GOAL_MEGABYTES, GOAL_PAGE = 30.0, 400.0, 6.0
REPORTS = {
    "without figures": ["--no-figures"],
    "with figures": [],
    "with a replay": ["--no-figures", "--replay"],
}

# On Linux the memory of whoever starts a process counts as the most that it held: a small one starts it.
_STARTER = """
import json, os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet), 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""


class Cost(NamedTuple):
    """What a process took.

    Attributes:
        seconds: By the clock on the wall.
        cpu_seconds: Of the processor, which other programs disturb less.
        megabytes: The most memory that it held.
    """

    seconds: float
    cpu_seconds: float
    megabytes: float


def run_searches(folder: Path, searches: int, queries: int) -> None:
    """Run the searches that are not there yet: as many for each agent on each environment."""
    seeds = range(searches // (len(AGENTS) * len(ENVS)))
    planned = plan(AGENTS, ENVS, seeds, {"budget_queries": queries}, folder)
    if failures := run_all(unfinished(planned), 1, lambda *_: None):
        raise RuntimeError(failures[0].reason)


def floor(folder: Path) -> tuple[int, float]:
    """How many trajectories there are, and the CPU seconds of reading each of their lines as JSON."""
    files = sorted(folder.rglob("*.jsonl"))
    start = time.process_time()
    for file in files:
        for line in file.read_bytes().splitlines():
            json.loads(line)
    return len(files), time.process_time() - start


def measured(command: Sequence[str]) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: If it fails.
    """
    start = time.perf_counter()
    told = subprocess.run(
        [sys.executable, "-S", "-c", _STARTER, *command], stdout=subprocess.PIPE, check=True
    )
    code, cpu_seconds, most = json.loads(told.stdout)
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with code {code}")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    return Cost(time.perf_counter() - start, cpu_seconds, most * unit / 1e6)


def rows(folder: Path, out: Path) -> list[tuple[str, str, str, str, str]]:
    """One per report: CPU seconds, over the floor, memory, and the page's size."""
    count, least = floor(folder)
    found = [(f"{count:,} trajectories as JSON", f"{least:.1f}", "1", "", "")]
    for name, options in REPORTS.items():
        command = [sys.executable, "-m", "nb201env.cli", "report", str(folder), "--out", str(out), *options]
        cost = measured(command)
        page = (out / "report.html").stat().st_size / 1e6
        cpu = f"{cost.cpu_seconds:.1f}"
        found.append((name, cpu, f"{cost.cpu_seconds / least:.1f}", f"{cost.megabytes:.0f}", f"{page:.2f}"))
    goals = f"<= {GOAL_SECONDS:g}", "", f"<= {GOAL_MEGABYTES:g}", f"< {GOAL_PAGE:g}"
    return [*found, ("goal, of 10,000", *goals)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--searches", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--runs", type=Path, help="a folder of finished trajectories")
    given = parser.parse_args(arguments)
    with TemporaryDirectory() as temporary:
        folder = given.runs or Path(temporary) / "runs"
        if given.runs is None:
            run_searches(folder, given.searches, given.queries)
        headings = "report", "CPU seconds", "over JSON", "MB of memory", "MB of page"
        print_grid(headings, rows(folder, Path(temporary) / "report"))


if __name__ == "__main__":
    main()
