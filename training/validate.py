"""Compare our ``official-12`` with the official numbers: ``python -m training.validate --help``.

Trains architectures that span the official accuracy range on the official CIFAR-10 half and
compares the final validation accuracy with a reference file, a CSV with the columns ``index``
(official index) and ``cifar10_valid_acc_12`` (per cent). Resumable, like every build.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nb201env.classes import representatives
from nb201env.cost import macs
from nb201env.extras import require
from nb201env.space import SIZE, Architecture, official_index_of, official_order
from training.build import build
from training.merge import merge
from training.plan import Folder, Plan
from training.recipe import find_recipe
from training.tasks import load_task

COLUMN = "cifar10_valid_acc_12"
TASK = "cifar10-valid"


def read_reference(path: Path) -> npt.NDArray[np.float64]:
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


def choose(reference: npt.NDArray[np.float64], count: int) -> list[int]:
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
    """Our accuracies beside the official ones; fractions, one entry per architecture."""

    indices: npt.NDArray[np.int64]
    ours: npt.NDArray[np.float64]
    official: npt.NDArray[np.float64]

    @property
    def tau(self) -> float:
        """Kendall's rank correlation."""
        return float(require("scipy.stats", "surrogate").kendalltau(self.ours, self.official)[0])

    @property
    def difference(self) -> float:
        """Mean of ours minus official, a fraction."""
        return float((self.ours - self.official).mean())

    def report(self, command: str, table_id: str) -> str:
        """A page of Markdown."""
        lines = [
            "# official-12 against the official numbers", "",
            f"Command: `{command}`", "", f"Table: `{table_id}`", "",
            f"{len(self.ours)} architectures, Kendall tau {self.tau:.3f}, mean difference "
            f"{100 * self.difference:+.2f} points.", "",
            "| official index | architecture | ours % | official % |", "| ---: | --- | ---: | ---: |",
        ]  # fmt: skip
        for index, ours, official in zip(self.indices.tolist(), self.ours, self.official, strict=True):
            # A bar inside a table cell has to be escaped.
            name = str(Architecture.from_index(index)).replace("|", "\\|")
            lines.append(f"| {official_index_of(index)} | {name} | {100 * ours:.2f} | {100 * official:.2f} |")
        return "\n".join(lines) + "\n"


def validate(
    reference: Path, source: Path, out: Path, count: int, recipe: str, jobs: int, device: str,
    limit_seconds: float | None = None, trainer: str = "plain",
) -> Comparison:  # fmt: skip
    """Train, merge and compare; see the module's docstring."""
    official = read_reference(reference)
    data = load_task(TASK, source)
    only = tuple(choose(official, count))
    shard = count if trainer == "stacked" else 1
    plan = Plan(TASK, data.digest, find_recipe(recipe), (777,), trainer, shard=shard, only=only)
    folder = Folder.create(out, plan)
    build(folder, source=source, jobs=jobs, device=device, limit_seconds=limit_seconds)
    table = merge(folder, out / "table.safetensors", data)
    accuracy = table.accuracy(split="valid", epochs=plan.recipe.epochs, run=777)
    built = plan.indices[~np.isnan(accuracy[plan.indices])]
    found = Comparison(built, accuracy[built], official[built])
    command = f"python -m training.validate --count {count} --recipe {recipe} --trainer {trainer}"
    (out / "report.md").write_text(found.report(command, table.id))
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Compare official-12 with the official numbers.")
    parser.add_argument("--reference", type=Path, required=True, help=f"CSV with index and {COLUMN}")
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10: original files or an .npz")
    parser.add_argument("--out", type=Path, required=True, help="the build's folder; resumed if there")
    parser.add_argument("--count", type=int, default=8, help="architectures")
    parser.add_argument("--recipe", default="official-12")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit-seconds", type=float)
    parser.add_argument("--trainer", default="plain", help='"stacked" trains all at once on a GPU')
    a = parser.parse_args()
    found = validate(
        a.reference, a.data, a.out, a.count, a.recipe, a.jobs, a.device, a.limit_seconds, a.trainer
    )
    print((a.out / "report.md").read_text() if len(found.ours) else "nothing built yet")


if __name__ == "__main__":
    main()
