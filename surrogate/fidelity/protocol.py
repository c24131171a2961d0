"""The measurement behind the fidelity report: models, training sizes and random draws.

Results are kept one JSON line each, so that an evaluation can stop and go on, and every figure of
the report can be traced to its lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import canonical_classes
from nb201env.space import all_ops
from nb201env.surrogate.encodings import class_mean
from nb201env.surrogate.evaluations import table_runs
from nb201env.surrogate.fidelity import baselines
from nb201env.surrogate.metrics import calibration, noise_distance, scores
from nb201env.surrogate.noise import NoiseModel
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.table import Table

SIZES = (20, 78, 156, 469, 781, 1563, 3125, 7812)
DRAWS = 10
PAPER_SIZES = (78, 156, 469, 781, 1563)
"""Sizes at which the literature prints predictors of NAS-Bench-201: 0.5, 1, 3, 5 and 10 % of the space."""
MEAN = "mean"


@dataclass(frozen=True, order=True)
class Job:
    """One measurement.

    Attributes:
        table: The table's id.
        model: One of `nb201env.surrogate.fidelity.baselines.NAMES`.
        size: Training architectures.
        draw: The number of the random draw, and the seed of all else.
        run: What is learnt and what is predicted: "mean", the mean over runs, or a seed, its run's value.
    """

    table: str
    model: str
    size: int
    draw: int
    run: str = MEAN


def random_draw(truth: FloatArray, size: int, number: int) -> tuple[IntArray, IntArray]:
    """Training and held-out architectures: indices, `size` and all others that have a value.

    One number's draws are nested: the larger training sets hold the smaller ones.

    Raises:
        ValueError: If there are not more than `size` architectures with a value.
    """
    known = np.flatnonzero(~np.isnan(truth))
    if not 1 < size < len(known) - 1:
        raise ValueError(
            f"a training size lies between 2 and {len(known) - 2}, so that some remain; got {size}"
        )
    order = some(known, len(known), number)
    return order[:size], order[size:]


def some(known: IntArray, size: int, number: int) -> IntArray:
    """A random draw of that many of some indices; the first of `random_draw`'s two."""
    return np.random.default_rng(number).permutation(known)[:size]


def measure(table: Table, job: Job, *, split: str, epochs: int) -> dict[str, float]:
    """Fit one model on one random draw and score it on all held-out architectures.

    Returns:
        `metrics.scores`; for models with an uncertainty also `metrics.calibration`; and for the
        surrogate of means also `metrics.noise_distance` to the first two seeds, with the prefix "noise_".
    """
    truth = labels(table, job.run, split=split, epochs=epochs)
    train, rest = random_draw(truth, job.size, job.draw)
    model = baselines.model(job.model, job.draw).fit(all_ops()[train], truth[train])
    if not isinstance(model, SurrogateRegressor):
        return scores(truth[rest], model.predict(all_ops()[rest]))
    predicted, deviation = model.predict(all_ops()[rest], return_std=True)
    result = scores(truth[rest], predicted) | calibration(truth[rest], predicted, deviation)
    if job.model == baselines.SURROGATE and job.run == MEAN:
        result |= _noise(table_runs(table, split, epochs), train, rest, predicted, job.draw)
    return result


def labels(table: Table, run: str, *, split: str, epochs: int) -> FloatArray:
    """What a `Job` learns and predicts, float64 [15625], NaN where the table has no such run."""
    return table.accuracy(split=split, epochs=epochs, run="mean" if run == MEAN else int(run))


def _noise(
    runs: FloatArray, train: IntArray, rest: IntArray, mean: FloatArray, seed: int
) -> dict[str, float]:
    if runs.shape[1] < 2 or ((~np.isnan(runs[train])).sum(axis=1) > 1).sum() < NoiseModel.FEWEST:
        return {}
    model = NoiseModel(seed=seed).fit(all_ops()[train], runs[train])
    imagined = model.sample(all_ops()[rest], mean, 2, np.random.default_rng(seed), centred=False)
    both = ~np.isnan(runs[rest, :2]).any(axis=1)
    distance = noise_distance(runs[rest][both, :2], imagined[both])
    return {f"noise_{name}": value for name, value in distance.items()}


def ceilings(table: Table, *, split: str, epochs: int) -> dict[str, dict[str, float]]:
    """What noise leaves reachable: the scores of two predictors that know more than any surrogate.

    Returns:
        "seed": the first seed taken as the prediction of the second, over all architectures that have
        both (empty for tables of one seed), with the spread of another pair of seeds against theirs as
        "noise_…" where there are three; and "class": the mean of the other members of the canonical
        class as the prediction of an architecture's mean over seeds, over all that have others.
    """
    truth = table.accuracy(split=split, epochs=epochs, run="mean")
    runs = table_runs(table, split, epochs)
    found = {"seed": {}, "class": scores(*_class_means(truth))}
    if runs.shape[1] > 1:
        both = runs[~np.isnan(runs[:, :2]).any(axis=1)]
        found["seed"] = scores(both[:, 1], both[:, 0])
    if runs.shape[1] > 2:
        three = runs[~np.isnan(runs[:, :3]).any(axis=1)]
        distance = noise_distance(three[:, :2], three[:, 1:3])
        found["seed"] |= {f"noise_{name}": value for name, value in distance.items()}
    return found


def _class_means(truth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The values of architectures whose class has other known members, and those members' mean."""
    known = ~np.isnan(truth)
    count = np.bincount(canonical_classes(), known)[canonical_classes()]
    some = known & (count > 1)
    return truth[some], (class_mean(truth)[some] * count[some] - truth[some]) / (count[some] - 1)


# -- running and keeping -----------------------------------------------------------------------


def jobs(
    table: Table, models: Iterable[str], sizes: Iterable[int] = SIZES, draws: int = DRAWS
) -> Iterator[Job]:
    """All measurements of one table; baselines stop at the size their cost allows."""
    sizes = tuple(sizes)
    for model in models:
        for size in sizes:
            if size <= baselines.MOST.get(model, size):
                yield from (Job(table.id, model, size, number) for number in range(draws))


def one_run_jobs(
    table: Table, sizes: Iterable[int] = SIZES, draws: int = DRAWS, *, split: str, epochs: int
) -> Iterator[Job]:
    """The surrogate trained and tested on the table's first run alone, at `PAPER_SIZES`.

    None where the table has one run of each architecture, or means alone.
    """
    if table_runs(table, split, epochs).shape[1] > 1:
        for size in sorted({*sizes} & {*PAPER_SIZES}):
            for number in range(draws):
                yield Job(table.id, baselines.SURROGATE, size, number, str(table.seeds[0]))


def run_jobs(
    table: Table,
    todo: Iterable[Job],
    keep: Path,
    *,
    split: str,
    epochs: int,
    progress: Callable[[Job], None] = lambda job: None,
) -> dict[Job, dict[str, float]]:
    """Measure what the file of kept results does not hold yet, and return all of it.

    Args:
        table: The table.
        todo: What to measure.
        keep: JSON lines, one per measurement; written as results come.
        split: The split whose accuracy is predicted.
        epochs: Epochs completed.
        progress: Called before each new measurement.
    """
    kept = read_kept(keep)
    keep.parent.mkdir(parents=True, exist_ok=True)
    if keep.exists():  # a last line that was cut short goes: the next one must not continue it
        os.truncate(keep, keep.read_bytes().rfind(b"\n") + 1)
    results = {}
    with open(keep, "a", encoding="utf-8") as file:
        for job in todo:
            if job not in kept:
                progress(job)
                kept[job] = measure(table, job, split=split, epochs=epochs)
                file.write(json.dumps(asdict(job) | {"scores": kept[job]}) + "\n")
                file.flush()
            results[job] = kept[job]
    return results


def read_kept(path: Path) -> dict[Job, dict[str, float]]:
    """The results kept in a file; a last line that was cut short is left out.

    Raises:
        ValueError: If another line is no result.
    """
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    kept = {}
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record: dict[str, Any] = json.loads(line)  # with NaN, for scores that are not defined
            job_scores = {str(name): float(score) for name, score in record.pop("scores").items()}
            kept[Job(**record)] = job_scores
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path}:{number}: no kept result; remove the line and run again") from error
    return kept
