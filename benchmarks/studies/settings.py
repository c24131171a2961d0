"""How the predictor's settings were chosen: on CIFAR-100, and on CIFAR-100 without its best architectures.

    python -m benchmarks.studies settings run --jobs 2     runs what is missing and writes the data
    python -m benchmarks.studies settings page             writes the table into docs/query-efficiency.md

One data set has one best architecture, and how long a search needs for it is as much luck as skill. Without
the best 1 to 19 another one is the best that is left. Neither CIFAR-10 nor ImageNet16-120, on which the
settings are judged, had a say.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.studies.pages import DATA, DOCS, Pages, read_data, with_part, write_data
from benchmarks.studies.queries import BEFORE, statistics
from nb201env.agents.predictor_evolution import PredictorEvolution
from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import canonical_classes, representatives
from nb201env.output import markdown_table
from nb201env.tables import open_table
from nb201env.workers import in_order, local

FILE, PAGE = DATA / "settings.json", DOCS / "query-efficiency.md"
TABLE = "cifar100-200"
REMOVED, SEEDS, CAP = range(20), range(5), 400
SETTINGS: dict[str, dict[str, Any]] = {
    "as it was": BEFORE,
    "floor 1": BEFORE | {"floor": 1.0},
    "floor 1, exploration 2": BEFORE | {"floor": 1.0, "exploration": 2.0},
    "floor 1, exploration 3": BEFORE | {"floor": 1.0, "exploration": 3.0},
    "floor 1, exploration 1, proxies": {"exploration": 1.0},
    "floor 1, exploration 2, proxies": {},
    "floor 1, exploration 3, proxies": {"exploration": 3.0},
    "floor 2, exploration 2, proxies": {"floor": 2.0},
    "floor 1, exploration 2, proxies, 3 random ones first": {"startup": 3},
}
"""What was tried."""


class Space(NamedTuple):
    """The classes' first members in a table.

    Attributes:
        runs: Validation accuracies, NaN where there is no run; float64 [5485, runs].
        order: Classes from the best mean to the worst; int64 [5485].
    """

    runs: FloatArray
    order: IntArray


@dataclass(frozen=True)
class Without(PredictorEvolution):
    """The predictor in a space that lacks some classes.

    Attributes:
        removed: Their numbers.
    """

    removed: tuple[int, ...] = ()

    def _next(self, mean: FloatArray, deviation: FloatArray, times: IntArray) -> int:
        lacking = np.zeros_like(times)
        lacking[list(self.removed)] = 1
        return super()._next(mean, deviation, times + lacking)


@cache
def space() -> Space:
    """CIFAR-100's."""
    table = open_table(TABLE)
    runs = table.runs(split="valid", epochs=table.epochs)[representatives()]
    return Space(runs, np.argsort(-np.nanmean(runs, axis=1), kind="stable"))


def measure(settings: dict[str, Any], removed: int, seed: int) -> int | None:
    """How many queries a search needs for the best class but for so many; None if more than `CAP`.

    It asks for first members, of which a run drawn at random answers.
    """
    lacking = space().order[:removed].tolist()
    agent, rng = Without(**settings, removed=tuple(lacking)), np.random.default_rng([seed, removed])
    search = agent.proposals(rng)
    asked, architecture = 0, next(search)
    while asked < CAP:
        chosen = int(canonical_classes()[architecture.index])
        if chosen in lacking:  # among the random ones that come first
            search, asked = agent.proposals(rng), 0
            architecture = next(search)
            continue
        asked += 1
        if chosen == space().order[removed]:
            return asked
        runs = space().runs[chosen]
        architecture = search.send(float(rng.choice(runs[~np.isnan(runs)])))
    return None


def searches(settings: dict[str, Any], jobs: int) -> list[list[int | None]]:
    """What `measure` says of every seed, a row for each number of removed classes."""
    return in_order(local(partial(_row, settings), REMOVED, jobs))


def _row(settings: dict[str, Any], removed: int) -> list[int | None]:
    return [measure(settings, removed, seed) for seed in SEEDS]


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--out", type=Path, default=FILE, help="the results; resumed if there")
    parser.add_argument("--jobs", type=int, default=1, help="processes; the results do not depend on it")


def run(a: argparse.Namespace) -> None:
    """Run what is missing."""
    results = read_data(a.out) if a.out.exists() else {}
    for label, settings in SETTINGS.items():
        about = asdict(PredictorEvolution(**settings))
        if results.get(label, {}).get("hyperparameters") != about:
            results[label] = {"hyperparameters": about, "queries": searches(settings, a.jobs)}
            write_data(a.out, {name: results[name] for name in SETTINGS if name in results})
            print(label, statistics([*chain(*results[label]["queries"])], CAP), flush=True)


def page() -> Pages:
    """The page of query efficiency, with what was tried."""
    rows = []
    for label, found in read_data(FILE).items():
        whole, *without = found["queries"]
        cells = [statistics(counts, CAP) for counts in (whole, [*chain(*without)])]
        rows.append([label, *(f"{c['mean']:.1f} ± {c['error']:.1f} / {c['max']:.0f}" for c in cells)])
    headings = ["setting", "CIFAR-100", f"without its best 1 to {REMOVED[-1]}"]
    return {PAGE: with_part(PAGE, "settings", markdown_table(headings, rows, "lr"))}
