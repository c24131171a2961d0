"""Trust: train a sample of a table again and see whether its numbers can be believed.

Three checks, all on the final validation accuracy:

* retrained: the stored mean over seeds of an architecture against one new training with a seed
  that the table does not have. The differences, divided by their expected deviation, must look
  like noise: their root mean square must stay below `TOLERANCE`.
* classes: where every architecture has its own runs, those of one canonical class must differ no
  more than seeds do.
* dead: architectures whose output carries nothing of the image must be at chance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import canonical_classes, output_terms, representatives
from nb201env.container import DamagedTable
from nb201env.fields import Fields
from nb201env.space import SIZE, all_ops
from nb201env.table import NotRecorded, Table
from nb201env.training.data import Data
from nb201env.training.recipe import Recipe
from nb201env.training.threads import one_thread
from nb201env.training.trainers import find_trainer

TOLERANCE = 2.0
"""How many times the expected noise is still believed; noise alone gives about 1."""


@dataclass
class Report:
    """What an audit found; `findings` is empty if nothing is wrong.

    Attributes:
        table: The table's id.
        measures: Named figures: fractions, or ratios to the expected noise.
        findings: One sentence for each thing that is wrong.
    """

    table: str
    measures: dict[str, float] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"table": self.table, "measures": self.measures, "findings": self.findings}

    def lines(self) -> list[str]:
        """For people."""
        figures = [f"{name}: {value:.4f}" for name, value in self.measures.items()]
        return [f"table {self.table[:12]}", *figures, *(self.findings or ["nothing wrong"])]


def audit(table: Table, data: Data, sample: int, seed: int) -> Report:
    """Audit a table that was built by this package.

    Args:
        table: The table; at least two seeds.
        data: The images of its task.
        sample: How many architectures to train again.
        seed: Chooses the sample.

    Raises:
        NotRecorded: If the table does not say how it was built, or has one seed.
        ValueError: If these are not the images it was built from, or its manifest does not say how they
            were trained on.
    """
    if not 0 <= seed <= 2**32:
        raise ValueError(f"a seed of an audit is in 0..{2**32}; got {seed}")
    recipe, provenance = _recipe(table), _provenance(table)
    if data.digest != provenance.text("data_sha256"):
        raise ValueError(f"the images are not those that {table.name} was built from; give their --data")
    runs = table.runs(split="valid", epochs=table.epochs)
    report = Report(table.id)
    noise = _seed_noise(runs)
    report.measures["seed_deviation"] = noise
    _check_sample(report, table, data, recipe, runs, noise, sample, seed)
    if "row" not in table.container:
        _check_classes(report, runs, noise)
    _check_dead(report, runs, data)
    return report


def _recipe(table: Table) -> Recipe:
    if not isinstance(table.manifest.get("protocol"), dict):
        raise NotRecorded(f"{table.name} was not built by this package; only such tables can be audited")
    if len(table.seeds) < 2:
        raise NotRecorded(f"{table.name} has one seed; an audit needs two to know the noise")
    return Recipe.read(_entries(table).object("protocol"))


def _entries(table: Table) -> Fields:
    return Fields(table.manifest, str(table.container.path), DamagedTable)


def _provenance(table: Table) -> Fields:
    return _entries(table).object("provenance")


def _seed_noise(runs: FloatArray) -> float:
    """The typical deviation between seeds, pooled over architectures with two runs or more."""
    several = runs[(~np.isnan(runs)).sum(axis=1) >= 2]
    if not len(several):
        raise NotRecorded("no architecture has two runs yet; an audit needs some to know the noise")
    return float(np.sqrt(np.nanvar(several, axis=1, ddof=1).mean()))


def _check_sample(
    report: Report, table: Table, data: Data, recipe: Recipe, runs: FloatArray, noise: float,
    sample: int, seed: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    first = representatives()
    built = first[(~np.isnan(runs[first])).any(axis=1)]
    chosen = rng.choice(built, min(sample, len(built)), replace=False)
    fresh_seed = max(table.seeds) + 1 + seed
    trainer = find_trainer(_provenance(table).text("trainer"))
    with one_thread():
        logs, _ = trainer([Architecture.from_index(int(i)) for i in chosen], data, recipe, fresh_seed)
    again = logs.correct["valid"][:, -1] / len(data.splits["valid"].labels)
    held = (~np.isnan(runs[chosen])).sum(axis=1)
    difference = again - np.nanmean(runs[chosen], axis=1)
    # One new run against the mean of n: variance noise^2 (1 + 1/n).
    ratio = float(np.sqrt(np.mean((difference / (noise * np.sqrt(1 + 1 / held))) ** 2))) if noise else 0.0
    report.measures["retrained_difference"] = float(difference.mean())
    report.measures["retrained_noise_ratio"] = ratio
    if ratio > TOLERANCE:
        worst = Architecture.from_index(int(chosen[np.abs(difference).argmax()]))
        report.findings.append(
            f"{len(chosen)} retrained architectures are {ratio:.1f} times as far from the table as seeds are "
            f"from each other; the worst is {worst}"
        )


def _check_classes(report: Report, runs: FloatArray, noise: float) -> None:
    complete = np.flatnonzero(~np.isnan(runs).any(axis=1))
    means, classes = runs[complete].mean(axis=1), canonical_classes()[complete]
    groups = [means[classes == c] for c in np.flatnonzero(np.bincount(classes) > 1)]
    if not groups or not noise:
        return
    spread = np.sqrt(np.mean([group.var(ddof=1) for group in groups]))
    ratio = float(spread / (noise / np.sqrt(runs.shape[1])))
    report.measures["class_noise_ratio"] = ratio
    if ratio > TOLERANCE:
        report.findings.append(f"members of one class differ {ratio:.1f} times as much as seeds do")


def _check_dead(report: Report, runs: FloatArray, data: Data) -> None:
    dead = dead_architectures()
    found = runs[dead].ravel()
    found = found[~np.isnan(found)]
    if not len(found):
        return
    chance = np.bincount(data.splits["valid"].labels.cpu().numpy()).max() / len(data.splits["valid"].labels)
    report.measures["dead_accuracy"] = float(found.max())
    if found.max() > chance + 1e-9:
        report.findings.append(
            f"an architecture whose output carries nothing reaches {found.max():.4f}; chance is {chance:.4f}"
        )


def dead_architectures() -> IntArray:
    """Indices of the architectures whose output does not depend on the image."""
    return np.array([i for i in range(SIZE) if not _sees(output_terms(tuple(all_ops()[i].tolist())))])


def _sees(terms: tuple[Any, ...]) -> bool:
    return any(term[0] == "input" or (term[0] in ("conv", "pool") and _sees(term[-1])) for term in terms)
