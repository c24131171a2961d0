"""What architectures cost on one CPU thread, beside the official GPU latency and multiply-accumulates.

    nb201 latency --all --out latencies.csv                                  measures; half an hour, resumable
    python -m benchmarks.studies latency run --journal latencies.csv.journal embeds what was measured
    python -m benchmarks.studies latency page                                writes docs/latency.md

The embedded file is written from the journal alone, so the same journal gives the same bytes. The page needs
no journal: its numbers are those of the embedded files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies.pages import DOCS, Pages, with_part
from nb201env import cost, pictures
from nb201env.architecture import Architecture
from nb201env.arrays import BoolArray, FloatArray, IntArray
from nb201env.classes import representatives
from nb201env.comparison import costs, kendall, pareto, spearman
from nb201env.devices import Device, file_of, of_dataset, read, write
from nb201env.envs.registration import OFFICIAL
from nb201env.output import markdown_table
from nb201env.space import CONV1X1, CONV3X3, OPS, POOL, SIZE, SKIP, all_ops
from nb201env.tables import open_table
from nb201env.training.images.tasks import find_task
from nb201env.training.latencies import REFERENCE, summarised
from nb201env.training.latency_journal import Journal, read_journal
from nb201env.training.network import live_ops

PAGE, TABLE, NAME = DOCS / "latency.md", "cifar10-valid-200", "cpu_latency_seconds"
WHAT = "seconds of one forward pass for evaluation in float32, median over rounds"
COUNTED = (CONV3X3, CONV1X1, POOL, SKIP)
CELLS = 15


# -- embedding -------------------------------------------------------------------------------


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--journal", type=Path, required=True, help="what `nb201 latency --all` left")
    parser.add_argument("--out", type=Path, help="the file; where the package has it, if left out")


def run(a: argparse.Namespace) -> None:
    """Embed a journal's latencies.

    Raises:
        ValueError: If the journal is none, or lacks classes.
    """
    journal = read_journal(a.journal)
    setting = journal.setting
    wanted = setting.rounds * len(representatives())
    if len(journal.done) != wanted:
        raise ValueError(
            f"{a.journal} holds {len(journal.done):,} of {wanted:,} measurements; run its `nb201 latency "
            "--all` again, which goes on"
        )
    found = summarised(journal.done)
    about = asdict(setting)
    network = about.pop("skeleton")
    measured = {"what": WHAT, "network": network, **about, "reference": REFERENCE, "date": journal.began,
                "kendall_between_rounds": round(between_rounds(journal), 4)}  # fmt: skip
    kind = setting.column.partition("_")[0]
    path = a.out or file_of(find_task(setting.task).dataset, kind)
    write(path, setting.column, found.seconds, found.spread, measured, "MIT")
    device = read(path)
    print(f"{path}: {device.name}, {device.where}")


def between_rounds(journal: Journal) -> float:
    """Kendall's tau of the latencies of one round and another, in reference passes; the mean over pairs."""
    ratios = np.empty((journal.setting.rounds, len(representatives())))
    for one in journal.done:
        ratios[one.round, one.cls] = one.seconds / one.reference
    found = [kendall(a, b) for a, b in combinations(ratios, 2)]
    return float(np.mean(found)) if found else 1.0


# -- numbers ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Yardstick:
    """A cost by lexicographic index, float64 [15625], and how the page calls it."""

    words: str
    values: FloatArray


@cache
def device() -> Device:
    """The embedded column."""
    return of_dataset("cifar10")[NAME]


@cache
def live() -> IntArray:
    """The ops of every architecture that reach its output, "none" elsewhere; int64 [15625, 6]."""
    return np.array([live_ops(Architecture.from_index(index)) for index in range(SIZE)])


@cache
def whole() -> BoolArray:
    """Architectures of which every op reaches the output; bool [15625]."""
    return np.asarray((live() == all_ops()).all(axis=1))


@cache
def yardsticks() -> tuple[Yardstick, ...]:
    """What the CPU's latency is compared with."""
    table = open_table(TABLE)
    reaching = [Architecture(tuple(ops)).index for ops in live().tolist()]
    return (
        *(
            Yardstick(f"GPU latency, {open_table(name).dataset}", costs(open_table(name), "latency_seconds"))
            for name in OFFICIAL.values()
        ),
        Yardstick("MACs", costs(table, "macs")),
        Yardstick("MACs of what reaches the output", cost.macs(reaching, "cifar10").astype(np.float64)),
        Yardstick("parameters", costs(table, "params")),
    )


def accuracy() -> FloatArray:
    """Mean validation accuracy over the official runs; float64 [15625]."""
    return open_table(TABLE).accuracy(split="valid", epochs=200, run="mean")


def per_op(values: FloatArray) -> tuple[FloatArray, float]:
    """Least squares of a cost on how often each op stands in a cell, over `whole` architectures.

    Returns:
        The constant and a coefficient for each of `COUNTED`, and the share of the variance that they explain.
    """
    counts = [np.ones(SIZE), *((all_ops() == op).sum(axis=1) for op in COUNTED)]
    inputs, wanted = np.column_stack(counts)[whole()], values[whole()]
    found = np.linalg.lstsq(inputs, wanted, rcond=None)[0]
    return found, float(1 - (wanted - inputs @ found).var() / wanted.var())


def excess(front: IntArray) -> FloatArray:
    """The CPU latency of architectures over that of the fastest one that is at least as accurate."""
    seconds, right = device().values, accuracy()
    return np.array([seconds[one] / seconds[right >= right[one]].min() for one in front])


# -- the page --------------------------------------------------------------------------------


def page() -> Pages:
    """The page."""
    parts = [_measured(), _agreement(), _ops(), _examples(), _fronts()]
    return {PAGE: with_part(PAGE, "latency", "\n\n".join(parts))}


def _measured() -> str:
    found, about = device(), device().measured
    relative = 100 * found.spread[representatives()] / found.values[representatives()]
    milliseconds = 1e3 * found.values[representatives()]
    rows = [
        ["machine", f"{about['machine']}; {about['software']}"],
        ["day", about["date"]],
        ["what", f"{about['what']}; {_images(about['batch'])} of 32 × 32 pixels"],
        ["passes", f"the median of {about['repeats']} in each of {about['rounds']} rounds, two to warm up"],
        ["classes", f"{len(milliseconds):,}, {milliseconds.min():.2f} to {milliseconds.max():.2f} ms, "
                    f"median {np.median(milliseconds):.2f} ms"],
        ["two rounds", f"agree by Kendall's tau {about['kendall_between_rounds']:.2f}"],
        ["half the range over rounds", f"median {np.median(relative):.1f} % of the latency, "
                                       f"of 95 % of the classes below {np.percentile(relative, 95):.1f} %"],
    ]  # fmt: skip
    return "## What was measured\n\n" + markdown_table(["", ""], rows, "ll")


def _images(count: int) -> str:
    return "one image" if count == 1 else f"{count} images"


def _agreement() -> str:
    seconds, chosen = device().values, whole()
    both = np.ones(SIZE, dtype=np.bool_), chosen
    rows = [
        [one.words, *(f"{measure(seconds[which], one.values[which]):.2f}"
                      for which in both for measure in (kendall, spearman))]
        for one in yardsticks()
    ]  # fmt: skip
    gpus = yardsticks()[: len(OFFICIAL)]
    among = [kendall(a.values, b.values) for i, a in enumerate(gpus) for b in gpus[:i]]
    headings = ["CPU latency against", "tau", "rho", "tau, all ops used", "rho, all ops used"]
    return (
        "## Ranks\n\n"
        f"Kendall's tau and Spearman's rho over all {SIZE:,} architectures, and over the {chosen.sum():,} of "
        "which every op reaches the output: there nothing depends on whether dead ops are computed.\n\n"
        f"{markdown_table(headings, rows, 'lr')}\n\n"
        f"The three GPU columns agree with each other by tau {min(among):.2f} to {max(among):.2f}."
    )


def _ops() -> str:
    cpu, explained = per_op(device().values)
    gpu, explained_gpu = per_op(yardsticks()[0].values)
    macs, _ = per_op(yardsticks()[len(OFFICIAL)].values)
    rows = [
        [f"`{OPS[op]}`", f"{1e3 * cpu[place]:.2f}", f"{1e3 * gpu[place]:.2f}",
         f"{abs(macs[place]) / 1e6:.1f}"]
        for place, op in enumerate(COUNTED, start=1)
    ]  # fmt: skip
    headings = ["one more of the op in a cell", "CPU (ms)", "GPU (ms)", "MACs (millions)"]
    return (
        "## What an op costs\n\n"
        f"Least squares over the {whole().sum():,} architectures of which every op reaches the output, "
        f"{CELLS} cells each: this explains {100 * explained:.0f} % of the variance on the CPU and "
        f"{100 * explained_gpu:.0f} % of that on the GPU.\n\n{markdown_table(headings, rows, 'lr')}"
    )


def _examples() -> str:
    seconds, macs = device().values, yardsticks()[len(OFFICIAL)].values
    rows = [[f"`{Architecture.from_index(index)}`", f"{1e3 * seconds[index]:.2f}", f"{macs[index] / 1e6:.1f}",
             f"{1e3 * yardsticks()[0].values[index]:.1f}", f"{100 * accuracy()[index]:.2f}"]
            for index in disagreements(seconds, macs)]  # fmt: skip
    headings = ["architecture", "CPU (ms)", "MACs (millions)", "GPU (ms)", "accuracy (%)"]
    return (
        "## Where they disagree most\n\n"
        "By the difference of ranks between CPU latency and MACs, of architectures of which every op reaches "
        "the output: three that are slow for their MACs, and three that are fast.\n\n"
        f"{markdown_table(headings, rows, 'lr')}"
    )


def disagreements(a: FloatArray, b: FloatArray, count: int = 3) -> list[int]:
    """The `whole` architectures whose rank by `a` is most above that by `b`, and most below.

    Of equal `a`, as members of a class have it, the first stands for all.
    """
    chosen = np.flatnonzero(whole())
    first = chosen[np.unique(a[chosen], return_index=True)[1]]
    order = first[np.argsort(_ranks(a[first]) - _ranks(b[first]), kind="stable")]
    return [*order[::-1][:count].tolist(), *order[:count].tolist()]


def _ranks(values: FloatArray) -> FloatArray:
    """Mean ranks from 0."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[inverse])


def _fronts() -> str:
    rows = []
    mine = pareto(device().values, accuracy())
    for words, front in fronts():
        lost = excess(front)
        counts = len(front), len(np.intersect1d(front, mine))
        rows.append([words, *map(str, counts), f"{np.mean(lost):.2f}", f"{lost.max():.2f}",
                     str((lost > 1.05).sum())])  # fmt: skip
    headings = ["accuracy against", "architectures", "of the first", "mean excess", "greatest", "over 1.05"]
    return (
        "## Fronts\n\n"
        "The architectures that none beats in both accuracy (mean validation accuracy on CIFAR-10) and a "
        "cost; how many of them are also on the first front; and their excess: the CPU latency of an "
        "architecture over that of the fastest one that is at least as accurate.\n\n"
        f"{markdown_table(headings, rows, 'lr')}"
    )


def fronts() -> Iterator[tuple[str, IntArray]]:
    """The fronts of accuracy against every cost, as indices in rising order of the cost."""
    yield "CPU latency", pareto(device().values, accuracy())
    for one in yardsticks():
        yield one.words, pareto(one.values, accuracy())


# -- the figure ------------------------------------------------------------------------------


def figures(folder: Path) -> None:
    """Draw the page's figure into a folder."""
    pyplot = pictures.pyplot()
    figure, ((left, right),) = pictures.new(pyplot, 11, 4.6, columns=2)
    milliseconds, macs = 1e3 * device().values, yardsticks()[len(OFFICIAL)].values / 1e6
    pools = (live() == POOL).sum(axis=1)
    for count, colour in enumerate((pictures.BLUE, pictures.MUTED, pictures.ORANGE, pictures.RED)):
        these = np.flatnonzero(pools == count if count < 3 else pools >= 3)
        label = f"{count} poolings" if count != 1 else "1 pooling"
        left.scatter(macs[these], milliseconds[these], s=3, color=colour, alpha=0.5, linewidths=0,
                     label=label if count < 3 else "3 or more", rasterized=True)  # fmt: skip
    left.set(xlabel="MACs (millions)", ylabel="CPU latency (ms)")
    pictures.finish(left, "What poolings cost, MACs do not show")
    _draw_fronts(right, milliseconds)
    # The left panel's dots are small, the right one's marks are not: so one legend under each.
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4, markerscale=3, **KEY)
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, **KEY)
    pictures.save(figure, folder / "latency.png", pyplot)


KEY = {"frameon": False, "labelcolor": pictures.INK, "columnspacing": 1.2, "handletextpad": 0.3}


def _draw_fronts(axes: Any, milliseconds: FloatArray) -> None:
    right, low = 100 * accuracy(), 80.0
    axes.scatter(milliseconds, right, s=3, color=pictures.MUTED, alpha=0.25, linewidths=0, rasterized=True)
    shown: Sequence[tuple[str, str, str]] = (
        ("CPU latency", pictures.BLUE, "o"), ("MACs", pictures.ORANGE, "s"),
        ("GPU latency, cifar10", pictures.PURPLE, "^"),
    )  # fmt: skip
    found = dict(fronts())
    for words, colour, marker in shown:
        at = milliseconds[found[words]], right[found[words]]
        axes.plot(*at, marker, color=colour, ms=5, mfc="none", label=f"front by {words}")
    axes.set(xlabel="CPU latency (ms)", ylabel="validation accuracy, mean over runs (%)", ylim=(low, 92.5))
    pictures.finish(axes, "Fronts by three costs, at their CPU latency")
