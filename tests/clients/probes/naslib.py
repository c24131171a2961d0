"""NASLib's own search space, optimizers and Trainer on our CIFAR-10 table; NASLIB is a checkout's folder."""

from __future__ import annotations

import collections
import collections.abc
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from nb201env import Architecture, NotRecorded, open_table
from nb201env.compat import naslib_api
from nb201env.compat.orders import from_naslib, to_naslib
from tests.clients.probes import row, run

TABLE, ADDS = "cifar10-valid-200", "naslib_api(table, split='valid', run=777)"


def load() -> Any:
    """NASLib's search space, on a Python newer than its 3.9, and beside a torchvision for another torch."""
    sys.path.insert(0, os.environ["NASLIB"])
    collections.Iterable = collections.abc.Iterable  # type: ignore[attr-defined]
    if not hasattr(load, "boxes"):
        try:
            import torchvision  # noqa: F401
        except RuntimeError:  # a build for another PyTorch, whose operators are missing; NASLib calls none
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
            load.boxes = torch.library.Library("torchvision", "DEF")  # type: ignore[attr-defined]
            for name in ("nms", "qnms"):
                load.boxes.define(f"{name}(Tensor dets, Tensor scores, float t) -> Tensor")  # type: ignore[attr-defined]
    from naslib.search_spaces import NasBench201SearchSpace

    return NasBench201SearchSpace


@row("query of validation accuracy, time and costs", adds=ADDS)
def query() -> None:
    space = load()
    from naslib.search_spaces.core.query_metrics import Metric

    table, api, rng = open_table(TABLE), naslib_api(TABLE, split="valid", run=777), random.Random(0)
    for _ in range(20):
        cell, graph = Architecture.from_index(rng.randrange(15625)), space()
        graph.set_spec(to_naslib(cell))
        told = [
            graph.query(metric, "cifar10", dataset_api=api) for metric in (Metric.VAL_ACCURACY, Metric.HP)
        ]
        held = table.query(cell, split="valid", epochs=200, run=777)
        assert abs(told[0] - 100 * held.accuracy) < 1e-9
        assert told[1]["train_time"] == held.seconds / 200
        assert told[1]["params"] == table.values("params")[cell.index] / 1e6
        lacks = [(Metric.VAL_ACCURACY, "cifar10", 50), (Metric.TRAIN_ACCURACY, "cifar10", -1),
                 (Metric.VAL_ACCURACY, "cifar100", -1)]  # fmt: skip
        for metric, dataset, epoch in lacks:
            try:
                graph.query(metric, dataset, epoch=epoch, dataset_api=api)
            except NotRecorded:
                continue
            raise AssertionError(f"{metric} of {dataset} at {epoch} was answered")


@row("RandomSearch and RegularizedEvolution by Trainer", adds=ADDS.replace(")", ", strict=False)"))
def trainer() -> None:
    space = load()
    from fvcore.common.config import CfgNode
    from naslib.defaults.trainer import Trainer
    from naslib.optimizers import RandomSearch, RegularizedEvolution
    from naslib.utils import set_seed

    table = open_table(TABLE)
    for kind in (RandomSearch, RegularizedEvolution):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "search").mkdir()
            settings = {"seed": 0, "epochs": 20, "fidelity": -1, "checkpoint_freq": 21, "population_size": 10,
                        "sample_size": 5}  # fmt: skip
            config = CfgNode({"dataset": "cifar10", "save": folder, "search": settings})
            set_seed(0)
            optimizer = kind(config)
            api = naslib_api(TABLE, split="valid", run=777, strict=False)
            optimizer.adapt_search_space(space(), dataset_api=api)
            Trainer(optimizer, config, lightweight_output=True).search()
        assert len(optimizer.history) == 20
        for model in optimizer.history:
            held = table.query(from_naslib(model.arch.get_hash()), split="valid", epochs=200, run=777)
            assert abs(model.accuracy - 100 * held.accuracy) < 1e-9


if __name__ == "__main__":
    run()
