"""The landscape of the digits table: docs/digits.md and its figures.

The table is embedded, so there is nothing to run; `nb201 build` made it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.studies.pages import DOCS, Pages, with_part
from nb201env.arrays import BoolArray, FloatArray
from nb201env.classes import representatives
from nb201env.comparison import costs, kendall
from nb201env.envs.registration import OFFICIAL, TABLES
from nb201env.output import markdown_table
from nb201env.space import EDGES, SKIP, all_ops
from nb201env.table import Table
from nb201env.tables import embedded_file, open_table

PAGE = DOCS / "digits.md"
NAME = TABLES["NB201-digits-v0"]
YARDSTICKS = tuple(OFFICIAL.values())
LEARNT = 0.2
"""Accuracy above which an architecture of ten classes has learnt something; chance is 0.1."""
SHARES = {"all": 1.0, "the better half": 0.5, "the best tenth": 0.1}


def page() -> Pages:
    """The page."""
    return {PAGE: with_part(PAGE, "digits", page_part())}


def page_part() -> str:
    """The generated part of the page."""
    table = open_table(NAME)
    parts = (facts(table), seeds_part(table), tasks_part(table), epochs_part(table))
    return "\n\n".join(parts)


def facts(table: Table) -> str:
    """What the table is and who made it, from its manifest, and the spread of its accuracies."""
    manifest, provenance = table.manifest, table.manifest["provenance"]
    splits, skeleton, protocol = manifest["task"]["splits"], manifest["skeleton"], manifest["protocol"]
    measured = provenance["measured"]
    seconds, lost = measured["shard_seconds"], manifest["coverage"]["diverged"]
    final = class_means(table, "valid")
    quantiles = (100 * np.quantile(final, [0.05, 0.25, 0.5, 0.75, 0.95])).round(1)
    images = ", ".join(f"{split} {splits[split]['images']}" for split in ("train", "valid", "test"))
    rows = {
        "images": f"{images}, 8 × 8 pixels, grey",
        "network": f"width {skeleton['width']}, {skeleton['cells']} cells per stage",
        "multiply-accumulates": _thousands(costs(table, "macs")),
        "parameters": _thousands(costs(table, "params")),
        "training": f"`{protocol['name']}`: {protocol['epochs']} epochs, batch {protocol['batch']}, "
        f"learning rate {protocol['learning_rate']}",
        "trainings": f"{len(final):,} canonical classes, seeds {', '.join(map(str, table.seeds))}; every "
        "epoch's accuracy and loss on all three splits",
        "missing": f"{len(lost)} of {manifest['coverage']['of']:,} trainings, which diverged: "
        + "; ".join(f"`{run['architecture']}`, seed {run['seed']}" for run in lost),
        "command": f"`{provenance['command']}`",
        "machine": f"{', '.join(measured['processors'])}; PyTorch {provenance['software'][0]['torch']}",
        "duration": f"{seconds / 3600:.1f} core-hours, "
        f"{seconds / manifest['coverage']['trainings']:.2f} s a training",
        "file": f"{embedded_file(NAME).stat().st_size / 1e6:.1f} MB, id `{table.id}`",
        "validation accuracy": f"best {final.max():.2%}, quantiles 5, 25, 50, 75, 95: "
        f"{', '.join(map(str, quantiles))} %; {(final < LEARNT).sum()} classes below {LEARNT:.0%}",
    }  # fmt: skip
    return markdown_table(["", ""], rows.items())


def seeds_part(table: Table) -> str:
    """Kendall's tau between seeds, and between the two held-out splits."""
    runs = {split: class_runs(table, split) for split in ("valid", "test")}
    valid, test = (np.nanmean(of, axis=1) for of in runs.values())
    rows = [
        [name, *(f"{agreement(runs[split], share):.3f}" for split in ("valid", "test"))]
        for name, share in SHARES.items()
    ]
    return (
        "### Between seeds\n\n"
        "Kendall's τ between two seeds, mean over the pairs. Which classes are the better ones is decided by "
        "the third seed, so that the two compared have no part in it.\n\n"
        f"{markdown_table(['classes', 'valid', 'test'], rows, 'lr')}\n\n"
        f"The standard deviation between seeds, pooled over classes, is {seed_deviation(runs['valid']):.1f} "
        f"points; that of the classes' means {100 * valid.std():.1f}. Between the mean of the three seeds on "
        f"valid and on test, τ is {kendall(valid, test):.3f}."
    )


def tasks_part(table: Table) -> str:
    """Kendall's tau with the official tables and with the costs."""
    ours = class_means(table, "valid")
    theirs = {name: class_means(open_table(name), "valid") for name in YARDSTICKS}
    macs = costs(table, "macs")[representatives()]
    learnt = ours > LEARNT
    rows = []
    for name, score in {NAME: ours, YARDSTICKS[0]: theirs[YARDSTICKS[0]]}.items():
        others = [*theirs.values(), macs]
        cells = ("—" if name == other else _both(score, values, learnt)
                 for other, values in zip((*YARDSTICKS, ""), others, strict=True))  # fmt: skip
        rows.append([name, *cells])
    return (
        "### With the official tables\n\n"
        "Kendall's τ of the mean validation accuracy over canonical classes; in brackets without those below "
        f"{LEARNT:.0%} on digits.\n\n"
        f"{markdown_table(['', *YARDSTICKS, 'multiply-accumulates'], rows, 'lr')}\n\n{shortcut(table)}"
    )


def shortcut(table: Table) -> str:
    """What a skip connection from the cell's input to its output means here."""
    direct = all_ops()[:, EDGES.index((0, 3))] == SKIP
    ours, theirs = (t.accuracy(split="valid", epochs=t.epochs, run="mean")
                    for t in (table, open_table(YARDSTICKS[0])))  # fmt: skip
    return (
        "What decides on digits is whether ten short epochs get anything through fifteen cells: cells "
        f"with a skip connection from input to output reach {ours[direct].mean():.1%} on average, the others "
        f"{ours[~direct].mean():.1%}. Among the {direct.sum():,} that have one, τ with {YARDSTICKS[0]} is "
        f"{kendall(ours[direct], theirs[direct]):.2f}."
    )


def epochs_part(table: Table) -> str:
    """How early the ranking is there."""
    last = class_means(table, "valid")
    epochs = table.recorded_epochs("valid_accuracy")
    means = [class_means(table, "valid", epoch) for epoch in epochs]
    rows = [
        ["τ with the last", *(f"{kendall(mean, last):.2f}" for mean in means)],
        ["median accuracy (%)", *(f"{100 * np.median(mean):.1f}" for mean in means)],
    ]
    table_text = markdown_table(["epochs completed", *map(str, epochs)], rows, "lr")
    return f"### After fewer epochs\n\n{table_text}"


def agreement(runs: FloatArray, share: float) -> float:
    """Kendall's tau between two of three seeds among the best classes by the third; mean over the pairs.

    Args:
        runs: Accuracies, float64 [classes, 3]; classes that miss one (NaN) are left out.
        share: Of the classes, the best by the seed that is not compared.
    """
    runs = runs[~np.isnan(runs).any(axis=1)]
    taus = []
    for one, two in combinations(range(3), 2):
        third = runs[:, 3 - one - two]
        chosen = np.argsort(-third, kind="stable")[: round(share * len(runs))]
        taus.append(kendall(runs[chosen, one], runs[chosen, two]))
    return float(np.mean(taus))


def seed_deviation(runs: FloatArray) -> float:
    """Standard deviation between seeds in percentage points, pooled over classes [classes, seeds]."""
    return float(100 * np.sqrt(np.nanmean(np.nanvar(runs, axis=1, ddof=1))))


def class_runs(table: Table, split: str) -> FloatArray:
    """The accuracy of every class's runs at the end, float64 [5485, seeds]."""
    return table.runs(split=split, epochs=table.epochs)[representatives()]


def class_means(table: Table, split: str, epochs: int | None = None) -> FloatArray:
    """The mean accuracy of every class, float64 [5485]."""
    return table.accuracy(split=split, epochs=epochs or table.epochs, run="mean")[representatives()]


def figures(folder: Path) -> None:
    """Draw the page's figures into a folder."""
    from nb201env import plots

    table = open_table(NAME)
    official = open_table(YARDSTICKS[0])
    drawings: dict[str, tuple[Callable[..., object], Table | Sequence[Table]]] = {
        "histogram": (plots.histogram, table),
        "landscape": (plots.landscape, table),
        "seeds": (plots.seeds, table),
        "ops": (plots.ops, table),
        "ranks": (plots.ranks, (official, table, open_table(YARDSTICKS[1]))),
    }
    for name, (function, what) in drawings.items():
        function(what, folder / f"digits-{name}.png", split="valid")


def _both(a: FloatArray, b: FloatArray, part: BoolArray) -> str:
    return f"{kendall(a, b):.2f} ({kendall(a[part], b[part]):.2f})"


def _thousands(counts: FloatArray) -> str:
    return f"{counts.min() / 1e3:.0f} to {counts.max() / 1e3:.0f} thousand"
