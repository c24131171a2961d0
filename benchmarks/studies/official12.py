"""How our ``official-12`` compares with the official numbers.

Trains architectures that span the official accuracy range on the official CIFAR-10 half and
compares the final validation accuracy with a reference file, a CSV with the columns ``index``
(official index) and ``cifar10_valid_acc_12`` (per cent). Resumable, like every build; a line and a
report follow every finished shard, so a kill loses the shard in flight alone. The report is made of
the build's folder alone, so it can be made again without the images.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import representatives
from nb201env.comparison import kendall
from nb201env.cost import macs
from nb201env.output import markdown_table
from nb201env.space import SIZE, official_index_of, official_order
from nb201env.training.builds.build import BuildProgress, Way, build
from nb201env.training.builds.plan import Folder, Plan
from nb201env.training.gpu.graphs import IN_FLIGHT
from nb201env.training.images.tasks import load_task
from nb201env.training.recipe import find_recipe

COLUMN = "cifar10_valid_acc_12"
TASK = "cifar10-valid"
VALID_IMAGES = 25_000
"""The half of CIFAR-10's training images that `TASK` validates on."""


def read_reference(path: Path) -> FloatArray:
    """Official validation accuracy after 12 epochs, fractions by lexicographic index; [15625].

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a CSV.
    """
    accuracy = np.full(SIZE, np.nan)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            try:
                accuracy[official_order()[int(row["index"])]] = float(row[COLUMN]) / 100
            except (KeyError, ValueError, IndexError) as error:
                raise ValueError(f"{path}: needs the columns index and {COLUMN} ({error})") from error
    return accuracy


def choose(reference: FloatArray, count: int) -> list[int]:
    """Indices that span the range of accuracies, the cheapest class near each of `count` levels.

    Around each of `count` equally spaced ranks the cheapest of the 2 % nearest is taken, so that
    a CPU can train them.
    """
    firsts = representatives()
    ranked = firsts[np.argsort(reference[firsts], kind="stable")]
    ranked = ranked[~np.isnan(reference[ranked])]
    price = macs(ranked, "cifar10")
    half = max(len(ranked) // 100, 1)
    chosen: list[int] = []
    for centre in np.linspace(half, len(ranked) - 1 - half, count).astype(int):
        window = np.arange(centre - half, centre + half + 1)
        window = window[~np.isin(ranked[window], chosen)]
        chosen.append(int(ranked[window[np.argmin(price[window])]]))
    return chosen


@dataclass(frozen=True)
class Comparison:
    """Our accuracies beside the official ones, in rising order of the latter.

    Attributes:
        indices: Lexicographic indices; [architectures], as all of these.
        ours, official: Final validation accuracies, fractions.
        seconds: Measured seconds of our trainings, evaluation not included.
    """

    indices: IntArray
    ours: FloatArray
    official: FloatArray
    seconds: FloatArray

    @property
    def tau(self) -> float:
        """Kendall's rank correlation."""
        return kendall(self.ours, self.official)

    @property
    def difference(self) -> float:
        """Mean of ours minus official, a fraction."""
        return float((self.ours - self.official).mean())


def compare(folder: Folder, official: FloatArray, images: int = VALID_IMAGES) -> Comparison:
    """What a build has so far beside the official accuracies.

    Args:
        folder: A build of `TASK` with one seed.
        official: See `read_reference`.
        images: How many validation images the build counts.
    """
    plan = folder.plan
    rows: list[tuple[int, float, float]] = []
    for unit, arrays, _ in folder.finished():
        indices = plan.indices[plan.rows(unit)].tolist()
        accuracy = (arrays["valid_correct"][:, -1] / images).tolist()
        rows += zip(indices, accuracy, arrays["measured_seconds"].sum(axis=1).tolist(), strict=True)
    rows.sort(key=lambda row: float(official[row[0]]))
    indices, ours, seconds = (np.array(column) for column in zip(*rows, strict=True)) if rows else [_NONE] * 3
    return Comparison(indices.astype(np.int64), ours, official[indices.astype(np.int64)], seconds)


_NONE = np.empty(0)


def report(folder: Folder, found: Comparison) -> str:
    """A page of Markdown; with fewer than two architectures there is nothing to correlate yet."""
    plan = folder.plan
    machines = sorted({machine_of(about["about"]) for _, _, about in folder.finished()})
    shard = "" if plan.shard == shard_for(plan.trainer, len(plan.only)) else f" --shard {plan.shard}"
    lines = [
        f"# {plan.recipe.name} against the official numbers",
        "",
        f"`python -m benchmarks.studies official12 run --count {len(plan.only)} --recipe {plan.recipe.name} "
        f"--trainer {plan.trainer}{shard} --reference REFERENCE.csv --data CIFAR10 --out THIS_FOLDER`",
        "",
        f"{len(found.ours)} of {len(plan.only)} architectures, task {plan.task}, seed {plan.seeds[0]}, "
        f"images {plan.data[:12]}…, on {', '.join(machines)}. Validation accuracy after the last epoch.",
    ]
    if len(found.ours) > 1:
        lines += [
            "",
            f"Kendall's tau {found.tau:.3f}; mean of ours minus official "
            f"{100 * found.difference:+.2f} points.",
        ]
    return "\n".join([*lines, "", _table(found)]) + "\n"


def _table(found: Comparison) -> str:
    headings = [
        "official index", "architecture", "M MACs", "seconds", "ours (%)", "official (%)", "difference",
    ]  # fmt: skip
    price = macs(found.indices, "cifar10") / 1e6
    columns = (found.indices.tolist(), price, found.seconds, 100 * found.ours, 100 * found.official)
    rows = [
        [
            str(official_index_of(index)), f"`{Architecture.from_index(index)}`", f"{million:.1f}",
            f"{seconds:,.0f}", f"{ours:.2f}", f"{official:.2f}", f"{ours - official:+.2f}",
        ]
        for index, million, seconds, ours, official in zip(*columns, strict=True)
    ]  # fmt: skip
    return markdown_table(headings, rows, "rlr")


def machine_of(about: dict[str, Any]) -> str:
    """The name of what trained a shard: the GPU, or without one the processor."""
    return str(about.get("gpu", about["processor"]))


def shard_for(trainer: str, count: int) -> int:
    """Architectures per shard if nothing is said, of `count` in all.

    As many as a trainer takes at once, but so few that a shard takes minutes on one GPU: it is what
    a kill loses.
    """
    return {"graphs": IN_FLIGHT, "stacked": max(min(count, 32), 1)}.get(trainer, 1)


def validate(
    reference: Path, source: Path, out: Path, count: int, recipe: str, jobs: int, device: str,
    limit_seconds: float | None = None, trainer: str = "plain", shard: int | None = None,
    report: Callable[[BuildProgress], None] = lambda _: None,
) -> Comparison:  # fmt: skip
    """Train what is missing and compare; see the module's docstring.

    Args:
        reference: The official numbers, see `read_reference`.
        source: CIFAR-10: its files' folder, or an .npz.
        out: The build's folder; gone on with if it is there.
        count: Architectures.
        recipe: A preset's name.
        jobs: Processes.
        device: Where to train.
        limit_seconds: Start no shard after this time.
        trainer: A key of `nb201env.training.trainers.TRAINERS`.
        shard: Architectures per shard; by default what `shard_for` says.
        report: Called after every shard, when the report is written.
    """
    official = read_reference(reference)
    data = load_task(TASK, source)
    only = tuple(choose(official, count))
    shard = shard or shard_for(trainer, count)
    plan = Plan(TASK, data.digest, find_recipe(recipe), (777,), trainer, shard=shard, only=only)
    folder, images = Folder.create(out, plan), len(data.splits["valid"].labels)

    def after(progress: BuildProgress) -> None:
        write_report(folder, official, images)
        report(progress)

    build(folder, Way(device), source=source, jobs=jobs, limit_seconds=limit_seconds, report=after)
    return write_report(folder, official, images)


def write_report(folder: Folder, official: FloatArray, images: int = VALID_IMAGES) -> Comparison:
    """Compare what is built so far, see `compare`, and write ``report.md`` into the folder."""
    found = compare(folder, official, images)
    folder.store.write_text("report.md", report(folder, found))
    return found


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--reference", type=Path, required=True, help=f"CSV with index and {COLUMN}")
    parser.add_argument(
        "--data", type=Path, help="CIFAR-10: original files or an .npz; without it only the report is written"
    )
    parser.add_argument("--out", type=Path, required=True, help="the build's folder; resumed if there")
    parser.add_argument("--count", type=int, default=8, help="architectures")
    parser.add_argument("--recipe", default="official-12")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit-seconds", type=float)
    parser.add_argument("--trainer", default="plain", help="plain, or on a GPU graphs or stacked")
    parser.add_argument(
        "--shard", type=int, help=f"architectures at once; {IN_FLIGHT} if graphs, 32 if stacked, else 1"
    )


def run(a: argparse.Namespace) -> None:
    """Train what is missing, if there are images, and print the report."""
    if a.data is None:
        write_report(Folder.open(a.out), read_reference(a.reference))
    else:
        validate(
            a.reference, a.data, a.out, a.count, a.recipe, a.jobs, a.device, a.limit_seconds, a.trainer,
            a.shard, report=_say,
        )  # fmt: skip
    print((a.out / "report.md").read_text())


def _say(progress: BuildProgress) -> None:
    print(
        f"{progress.done} of {progress.total} shards; here {progress.trainings} architectures in "
        f"{progress.seconds:.0f} s", file=sys.stderr, flush=True,
    )  # fmt: skip
