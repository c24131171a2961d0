"""How well `small-12` on 16-pixel images ranks what the official 200 epochs find.

    python -m benchmarks.studies small_space run                         prints the study's figures
    python -m benchmarks.studies small_space run --build builds/small-space-stacked
                                                                         takes it from a build first
    python -m benchmarks.studies small_space run --build builds/small-space-batch64-stacked --json other.json
    python -m benchmarks.studies small_space run --data cifar10.npz      trains some of it again on a CPU

Random canonical classes, trained with one seed on task `cifar10-valid-16px`: their validation accuracies
are compared with the embedded official 200-epoch validation means. With --reference (a CSV with the
columns index, cifar10_valid_acc_12 and cifar10_test_acc_12) the official 12-epoch accuracies of the same
classes are held to the same standard.

The builds are the first of a lease's targets, see `benchmarks.gpu_lease`; the second one is of a candidate
for a better recipe at the same cost. On a CPU the plain trainer does the same in float32, for minutes of a
core per class, so: resumable (a class is in its JSON as soon as it is finished), in random order (so that
whatever is finished is a random sample), and evaluated only where the figures need it.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.studies.pages import DATA, DOCS, Pages, with_part
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.classes import representatives
from nb201env.comparison import spearman
from nb201env.files import appearing
from nb201env.output import markdown_table
from nb201env.space import official_order
from nb201env.tables import open_table
from nb201env.training.builds.plan import Folder
from nb201env.training.data import Data
from nb201env.training.images.tasks import load_task
from nb201env.training.loop import Alone, evaluate, skeleton_for, train_epochs
from nb201env.training.network import initial_network
from nb201env.training.recipe import Recipe, find_recipe
from nb201env.training.threads import one_thread
from nb201env.workers import processes

TASK, RECIPE, SEED, COUNT = "cifar10-valid-16px", "small-12", 777, 128
EPOCHS = (8, 10, 12)
"""After which the classes are evaluated on `valid`; after the last also on `test`."""
OFFICIAL = "cifar10-valid-200"
OFFICIAL_12 = {"official_12_valid": "cifar10_valid_acc_12", "official_12_test": "cifar10_test_acc_12"}
FILE, PLAIN_FILE = DATA / "small-space.json", DATA / "small-space-plain.json"
PAGE = DOCS / "gpu.md"
RESAMPLES = 2000
VALID_IMAGES, TEST_IMAGES = 25_000, 10_000

Row = dict[str, Any]
"""A class: its lexicographic `index`; `valid` by epoch and `test`, fractions; `cpu_seconds` if it was trained
on a CPU; the official ones."""


class Study(NamedTuple):
    """What is known: recipe and trainer by their names, and the classes."""

    recipe: str
    trainer: str
    rows: list[Row]


def chosen(count: int) -> list[int]:
    """Lexicographic indices of random canonical classes' first members, in the order of their draw."""
    order: list[int] = np.random.default_rng(0).permutation(representatives()).tolist()
    return order[:count]


def train_one(index: int, data: Data, recipe: Recipe) -> Row:
    """Train a class and evaluate it."""
    start = time.process_time()
    model = Alone(initial_network(Architecture.from_index(index), skeleton_for(data, recipe), SEED))

    def accuracy(split: str) -> float:
        images = data.splits[split]
        return round(int(evaluate(model, data, images)[0]) / len(images.labels), 6)

    valid: dict[str, float] = {}
    for epoch, _ in enumerate(train_epochs(model, data, recipe, SEED), 1):
        if epoch in EPOCHS:
            valid[str(epoch)] = accuracy("valid")
    row: Row = {"index": index, "valid": valid, "test": accuracy("test")}
    return row | {"cpu_seconds": round(time.process_time() - start, 1)}


@dataclass(frozen=True)
class _Trainer:
    """Trains classes on images that every process loads once."""

    source: Path

    @cached_property
    def data(self) -> Data:
        return load_task(TASK, self.source)

    def __call__(self, index: int) -> Row:
        with one_thread():  # the results depend on it
            return train_one(index, self.data, find_recipe(RECIPE))


def of_build(folder: Folder) -> Study:
    """The classes that a build has trained.

    Raises:
        ValueError: If it was made for something else.
    """
    plan = folder.plan
    if (plan.task, plan.seeds) != (TASK, (SEED,)):
        raise ValueError(f"{folder.store.address} is no build on {TASK} with seed {SEED}")
    rows: list[Row] = []
    for unit, arrays, _ in folder.finished():
        valid, test = arrays["valid_correct"] / VALID_IMAGES, arrays["test_correct"] / TEST_IMAGES
        for index, ours, last in zip(plan.indices[plan.rows(unit)].tolist(), valid, test[:, -1], strict=True):
            by_epoch = {str(e): round(float(ours[e - 1]), 6) for e in EPOCHS}
            rows.append({"index": index, "valid": by_epoch, "test": round(float(last), 6)})
    return Study(plan.recipe.name, plan.trainer, rows)


# -- the study's file -------------------------------------------------------------------------


def read(file: Path) -> Study:
    """A study as far as it goes; without a file there is nothing yet of one by the plain trainer."""
    if not file.exists():
        return Study(RECIPE, "plain", [])
    found = json.loads(file.read_text())
    return Study(found["recipe"], found["trainer"], found["classes"])


def write(file: Path, study: Study) -> None:
    """Write the study in one step, a class a line, in the order of their draw."""
    drawn = {index: place for place, index in enumerate(chosen(len(representatives())))}
    ordered = sorted(study.rows, key=lambda row: drawn[row["index"]])
    head = {"task": TASK, "recipe": study.recipe, "seed": SEED, "trainer": study.trainer}
    lines = ",\n  ".join(map(json.dumps, ordered))
    with appearing(file) as new:
        new.write_text(f'{json.dumps(head, indent=1)[:-2]},\n "classes": [\n  {lines}\n ]\n}}\n')


def with_short(rows: Sequence[Row], reference: Path) -> list[Row]:
    """The classes with their official 12-epoch accuracies, fractions."""
    with open(reference, newline="") as file:
        official = {int(official_order()[int(row["index"])]): row for row in csv.DictReader(file)}
    return [
        row
        | {
            name: round(float(official[row["index"]][column]) / 100, 6)
            for name, column in OFFICIAL_12.items()
        }
        for row in rows
    ]


# -- its figures ------------------------------------------------------------------------------


def agreement(scores: FloatArray, official: FloatArray) -> tuple[float, float]:
    """Spearman's rho and its bootstrap standard error over classes."""
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(scores), size=len(scores)) for _ in range(RESAMPLES)]
    return spearman(scores, official), float(np.std([spearman(scores[d], official[d]) for d in draws]))


def ranks(study: Study) -> list[tuple[str, float, float]]:
    """(what, Spearman's rho with the official 200-epoch validation means, standard error)."""
    rows, every = study.rows, open_table(OFFICIAL).accuracy(split="valid", epochs=200, run="mean")
    official = every[[row["index"] for row in rows]]
    name = study.recipe
    scores = {f"{name}, validation, epoch {e}": [row["valid"][str(e)] for row in rows] for e in EPOCHS}
    scores[f"{name}, test, epoch {EPOCHS[-1]}"] = [row["test"] for row in rows]
    for key, what in zip(OFFICIAL_12, ("validation", "test"), strict=True):
        if all(key in row for row in rows):
            scores[f"official 12 epochs, {what}"] = [row[key] for row in rows]
    return [(what, *agreement(np.array(values), official)) for what, values in scores.items()]


def table(study: Study) -> str:
    """The figures as Markdown."""
    headings = [
        f"accuracy of {len(study.rows)} random classes", "Spearman's rho with 200 epochs", "standard error",
    ]  # fmt: skip
    rows = ([what, f"{rho:.3f}", f"{error:.3f}"] for what, rho, error in ranks(study))
    return markdown_table(headings, rows, "lr")


def page() -> Pages:
    """The page of GPU training, with how well the study's classes are ranked."""
    return {PAGE: with_part(PAGE, "small_space", table(read(FILE)))}


def beside(rows: Sequence[Row], others: Sequence[Row]) -> str:
    """How far the same classes are apart in two studies, in a sentence."""
    theirs = {row["index"]: row for row in others}
    last = str(EPOCHS[-1])
    apart = 100 * np.array(
        [r["valid"][last] - theirs[r["index"]]["valid"][last] for r in rows if r["index"] in theirs]
    )
    return (
        f"Validation accuracies of {len(apart)} classes by the plain trainer on a CPU are lower by "
        f"{apart.mean():.2f} points in the mean, with a standard deviation of {apart.std(ddof=1):.2f}."
    )


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--build", type=Path, help="take the study from this build's folder")
    parser.add_argument("--reference", type=Path, help=f"CSV with index, {', '.join(OFFICIAL_12.values())}")
    parser.add_argument("--json", type=Path, default=FILE, help="the study")
    parser.add_argument("--data", type=Path, help="CIFAR-10: train classes by the plain trainer, on this CPU")
    parser.add_argument("--plain-json", type=Path, default=PLAIN_FILE, help="these; resumed if there")
    parser.add_argument("--count", type=int, default=COUNT, help="how many of these")
    parser.add_argument("--jobs", type=int, default=1, help="processes for these")


def run(a: argparse.Namespace) -> None:
    """Train what is missing, if there are images; take over a build; print the figures."""
    if a.data is not None:
        _train_missing(a.data, a.plain_json, a.count, a.jobs)
    if a.build is not None:
        write(a.json, of_build(Folder.open(a.build)))
    study, plain = read(a.json), read(a.plain_json)
    if a.reference is not None:
        study = study._replace(rows=with_short(study.rows, a.reference))
        write(a.json, study)
    print(table(study))
    if len(plain.rows) > 1 and plain.recipe == study.recipe:
        print(beside(study.rows, plain.rows))


def _train_missing(data: Path, file: Path, count: int, jobs: int) -> None:
    study = read(file)
    there = {row["index"] for row in study.rows}
    for done in processes(_Trainer(data), [index for index in chosen(count) if index not in there], jobs):
        study.rows.append(row := done.result())
        write(file, study)
        print(f"{len(study.rows)} of {count}, {row['cpu_seconds']:.0f} s of a core", flush=True)
