"""How well `small-12` on 16-pixel images ranks what the official 200 epochs find.

    python -m benchmarks.small_space --data cifar10.npz      # trains what is missing, writes the JSON
    python -m benchmarks.small_space                         # the figures of the JSON

Trains random canonical classes with one seed on task `cifar10-valid-16px` by the plain trainer and
compares their validation accuracies, after every epoch, with the embedded official 200-epoch
validation means. With --reference (a CSV with the columns index, cifar10_valid_acc_12 and
cifar10_test_acc_12) the official 12-epoch accuracies of the same classes are held to the same
standard. Minutes of a core per class, so: resumable, like every build, and in random order, so that
whatever is finished is a random sample; the JSON holds that.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.classes import representatives
from nb201env.comparison import spearman
from nb201env.processes import end_with_parent
from nb201env.space import official_order
from nb201env.table import FloatArray
from nb201env.tables import open_table
from training.build import Way, store, train_unit
from training.data import Data
from training.plan import Folder, Plan, Unit
from training.recipe import find_recipe
from training.tasks import load_task
from training.threads import one_thread

TASK, RECIPE, SEED, COUNT = "cifar10-valid-16px", "small-12", 777, 96
OFFICIAL = "cifar10-valid-200"
FOLDER = Path(__file__).parent.parent / "docs" / "data" / "small-space"
OFFICIAL_12 = ("cifar10_valid_acc_12", "cifar10_test_acc_12")
RESAMPLES = 2000


def chosen(count: int) -> tuple[int, ...]:
    """Lexicographic indices of random canonical classes' first members."""
    order: list[int] = np.random.default_rng(0).permutation(representatives()).tolist()
    return tuple(order[:count])


def train(source: Path, out: Path, count: int, jobs: int) -> tuple[Folder, Data]:
    """Train what is missing of the study, one class a shard, in the order in which they were drawn."""
    data = load_task(TASK, source)
    plan = Plan(TASK, data.digest, find_recipe(RECIPE), (SEED,), "plain", shard=1, only=chosen(count))
    folder = Folder.create(out, plan)
    drawn = {index: place for place, index in enumerate(plan.only)}
    todo = sorted(folder.missing(), key=lambda unit: drawn[int(plan.indices[unit.number])])
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_prepare, initargs=(folder, source)) as pool:
        for done, future in enumerate(as_completed([pool.submit(_train_one, unit) for unit in todo]), 1):
            future.result()
            print(f"{count - len(todo) + done} of {count}", flush=True)
    return folder, data


_prepared: tuple[Folder, Data] | None = None


def _prepare(folder: Folder, source: Path) -> None:
    """Load the images once in each process."""
    global _prepared
    end_with_parent()
    _prepared = folder, load_task(TASK, source)


def _train_one(unit: Unit) -> None:
    assert _prepared is not None
    folder, data = _prepared
    with one_thread():
        store(folder, unit, train_unit(folder.plan, unit, data, Way()))


def collect(folder: Folder, data: Data, reference: Path | None) -> dict[str, Any]:
    """What the study's JSON holds: every class with its accuracies by epoch, fractions."""
    official = open_table(OFFICIAL).accuracy(split="valid", epochs=200, run="mean")
    short = read_short(reference) if reference else {}
    rows = []
    for unit, arrays, manifest in folder.finished():
        index = int(folder.plan.indices[folder.plan.rows(unit)][0])
        row: dict[str, Any] = {"index": index}
        for split in ("valid", "test"):
            correct = arrays[f"{split}_correct"][0] / len(data.splits[split].labels)
            row[split] = np.round(correct, 6).tolist()
        row |= {"official_200": round(float(official[index]), 6), **short.get(index, {})}
        rows.append(row | {"seconds": manifest["about"]["seconds"]})
    plan = folder.plan
    return {
        "command": "python -m benchmarks.small_space --data cifar10.npz --reference nb201_cifar10.csv",
        "task": TASK, "recipe": RECIPE, "seed": SEED, "trainer": plan.trainer, "data_sha256": plan.data,
        "classes": rows,
    }  # fmt: skip


def as_text(found: dict[str, Any]) -> str:
    """The JSON, a class a line."""
    head = json.dumps({key: value for key, value in found.items() if key != "classes"}, indent=1)
    rows = ",\n  ".join(json.dumps(row) for row in found["classes"])
    return f'{head[:-2]},\n "classes": [\n  {rows}\n ]\n}}\n'


def read_short(reference: Path) -> dict[int, dict[str, float]]:
    """The official 12-epoch accuracies, fractions, by lexicographic index."""
    with open(reference, newline="") as file:
        return {
            int(official_order()[int(row["index"])]): {
                name.removeprefix("cifar10_"): round(float(row[name]) / 100, 6) for name in OFFICIAL_12
            }
            for row in csv.DictReader(file)
        }


def agreement(scores: FloatArray, official: FloatArray) -> tuple[float, float]:
    """Spearman's rho and its bootstrap standard error over classes."""
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(scores), size=len(scores)) for _ in range(RESAMPLES)]
    return spearman(scores, official), float(np.std([spearman(scores[d], official[d]) for d in draws]))


def figures(found: dict[str, Any]) -> list[tuple[str, float, float]]:
    """(what, Spearman's rho with the official 200-epoch validation means, standard error)."""
    rows = found["classes"]
    official = np.array([row["official_200"] for row in rows])
    valid, test = (np.array([row[split] for row in rows]) for split in ("valid", "test"))
    scores = {f"{RECIPE}, validation, epoch {epoch}": valid[:, epoch - 1] for epoch in (8, 10, 12)}
    scores[f"{RECIPE}, test, epoch 12"] = test[:, 11]
    for name, what in (("valid_acc_12", "validation"), ("test_acc_12", "test")):
        if all(name in row for row in rows):
            scores[f"official 12 epochs, {what}"] = np.array([row[name] for row in rows])
    return [(what, *agreement(values, official)) for what, values in scores.items()]


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows = found["classes"]
    lines = [
        f"| accuracy of {len(rows)} random classes | Spearman's rho with 200 epochs | standard error |",
        "| --- | ---: | ---: |",
    ]
    return "\n".join(
        [*lines, *(f"| {what} | {rho:.3f} | {error:.3f} |" for what, rho, error in figures(found))]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="How well small-12 ranks, against 200 official epochs.")
    parser.add_argument("--data", type=Path, help="CIFAR-10; without it only the JSON's figures are printed")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the build's folder and its JSON")
    parser.add_argument("--reference", type=Path, help=f"CSV with index, {', '.join(OFFICIAL_12)}")
    parser.add_argument("--count", type=int, default=COUNT, help="classes")
    parser.add_argument("--jobs", type=int, default=1)
    a = parser.parse_args(arguments)
    file = a.out / "study.json"
    if a.data is not None:
        found = collect(*train(a.data, a.out, a.count, a.jobs), a.reference)
        file.write_text(as_text(found))
    print(table(json.loads(file.read_text())))


if __name__ == "__main__":
    main()
