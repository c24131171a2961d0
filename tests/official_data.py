"""Small made-up sets in the official layouts, and what they hold.

The numbers are random, but of the kind of the official ones: accuracies are counts of correct
images over the split's size with a float's rounding noise, and the same things are recorded at
the same epochs. So everything is tested on a machine that has none of the official files.
"""

from __future__ import annotations

import bz2
import pickle
import tarfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, Table
from nb201env.architecture import official_strings
from nb201env.official import TASKS
from nb201env.sources.importer import import_official

INDICES = (0, 11, 284, 1462, 6111, 15624)
SEEDS_12 = {"cifar10-valid": [111, 777], "cifar10": [111], "cifar100": [111], "ImageNet16-120": [111]}
NAME = "NATS-tss-v1_0-3ffb9"


def seeds_of(index: int, epochs: int) -> dict[str, list[int]]:
    """Like the official set: two or three runs of the long schedule."""
    long = [777, 888] if index % 2 else [777, 888, 999]
    return SEEDS_12 if epochs == 12 else dict.fromkeys(TASKS, long)


def accuracies(rng: np.random.Generator, count: int, images: int) -> list[float]:
    counts = rng.integers(0, images + 1, size=count)
    noisy = counts * 100 / images * (1 + 1e-10 * rng.standard_normal(count))
    return list(noisy.clip(0, 100).tolist())


def one_run(rng: np.random.Generator, index: int, task: str, seed: int, epochs: int, second: float) -> Any:
    """The sixteen fields of one training."""
    spec = TASKS[task]
    everything = range(epochs)
    recorded = {
        name: everything if epochs == 12 or name in _each_epoch(task) else [epochs - 1] for name in spec.sets
    }
    evals: dict[str, dict[str, float]] = {"acc1es": {}, "losses": {}, "times": {}}
    for name, split in spec.sets.items():
        keys = [f"{name}@{epoch}" for epoch in recorded[name]]
        evals["acc1es"] |= dict(zip(keys, accuracies(rng, len(keys), spec.splits[split].images), strict=True))
        evals["losses"] |= dict(zip(keys, rng.gamma(2, size=len(keys)).tolist(), strict=True))
        evals["times"] |= {
            f"{name}@{epoch}": second * spec.splits[split].images / 5e4 for epoch in everything
        }
    images = spec.splits["train"].images
    architecture = Architecture.from_official_index(index)
    return {
        "name": task,
        "net_state_dict": None,
        "train_acc1es": dict(enumerate(accuracies(rng, epochs, images))),
        "train_acc5es": dict(enumerate(accuracies(rng, epochs, images))) if epochs == 12 else None,
        "train_losses": dict(enumerate(rng.gamma(2, size=epochs).tolist())),
        "train_times": OrderedDict.fromkeys(everything, second * images / 5e4),
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": str(architecture), "class_num": 10},
        "params": np.float64((73306 + index) / 1e6),
        "flop": (7783050 + index) / 1e6,
        "seed": f"{seed:04d}",
        "epochs": epochs,
        "latency": [np.float64(0.01 + index / 1e6)],
        "eval_names": list(spec.sets),
        "eval_acc1es": evals["acc1es"],
        "eval_times": evals["times"],
        "eval_losses": evals["losses"],
    }


def _each_epoch(task: str) -> tuple[str, ...]:
    """The sets that the long schedule records after every epoch."""
    return ("x-valid",) if task == "cifar10-valid" else ("ori-test",)


def architecture_results(index: int, schedules: tuple[int, ...] = (12, 200)) -> OrderedDict[str, Any]:
    """What the file of one architecture holds."""
    rng = np.random.default_rng(index)
    second = float(rng.uniform(5, 30))
    out: OrderedDict[str, Any] = OrderedDict()
    for epochs in schedules:
        seeds = seeds_of(index, epochs)
        runs = {
            (task, seed): one_run(rng, index, task, seed, epochs, second)
            for task, held in seeds.items()
            for seed in reversed(held)
        }
        out[str(epochs)] = {
            "arch_index": index,
            "arch_str": official_strings()[index],
            "all_results": runs,
            "dataset_seed": {task: list(held) for task, held in seeds.items()},
            "clear_net_done": True,
        }
    return out


def write_pickle(path: Path, values: Any, protocol: int = 4) -> None:
    path.write_bytes(bz2.compress(pickle.dumps(values, protocol=protocol)))


def write_folder(folder: Path, indices: tuple[int, ...] = INDICES) -> Path:
    """A folder like NATS-tss-v1_0-3ffb9-simple."""
    folder.mkdir(parents=True)
    meta = {
        "meta_archs": official_strings(),
        "total_archs": 15625,
        "arch2infos": None,
        "evaluated_indexes": set(),
    }
    write_pickle(folder / "meta.pickle.pbz2", meta)
    for index in indices:
        write_pickle(folder / f"{index:06d}.pickle.pbz2", architecture_results(index))
    return folder


def write_tar(folder: Path, path: Path) -> Path:
    """The folder as a tar, with the folder's name in front, as the official one."""
    with tarfile.open(path, "w") as tar:
        tar.add(folder, arcname=f"{NAME}-simple")
    return path


def whole(legacy: bool = False) -> dict[str, Any]:
    """What the single files hold; with the keys of NAS-Bench-201's .pth files if legacy."""
    names = {"12": "less", "200": "full"} if legacy else {"12": "12", "200": "200"}
    infos = {
        index: {names[hp]: held for hp, held in architecture_results(index).items()} for index in INDICES
    }
    if not legacy:
        infos = {index: OrderedDict(held) for index, held in infos.items()}
    return {
        "meta_archs": official_strings(),
        "total_archs": 15625,
        "arch2infos": infos,
        "evaluated_indexes": set(INDICES),
    }


@pytest.fixture(scope="session")
def official_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up folder of six architectures."""
    return write_folder(tmp_path_factory.mktemp("official") / f"{NAME}-simple")


@pytest.fixture(scope="session")
def official_tables(official_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    """The eight tables imported from it."""
    tables = import_official(official_folder, tmp_path_factory.mktemp("tables"), workers=1)
    return {table.name: table for table in tables}
