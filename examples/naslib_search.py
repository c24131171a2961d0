r"""NASLib's random search and regularized evolution on our CIFAR-10 table, by NASLib's own Trainer.

Run on 28 November 2026 with NASLib's branch Develop (commit 0b51bc18), Python 3.11.7, torch 2.13.0 (CPU),
torchvision 0.28.0, fvcore 0.1.5.post20221221, NumPy 2.3.5 (2.4 refuses a sum that NASLib does); ``NASLIB`` is
a checkout's folder:

    PYTHONPATH=$NASLIB python examples/naslib_search.py

NASLib pins releases that Python 3.11 does not have. In an environment with this package and all its extras,
what its optimizers import besides comes with:

    pip install --no-deps "numpy<2.4" torchvision fvcore iopath yacs portalocker tabulate termcolor \
        pytorch-msssim scikit-image imageio lazy-loader tifffile transforms3d ConfigSpace more-itertools \
        nasbench-pytorch lightgbm ngboost pybnn emcee pyro-ppl opt-einsum grakel six tensorwatch pyzmq \
        tornado ipython ipywidgets comm seaborn

It printed:

    random search: 60 queries, best 90.57 % (NASLib's number), 90.57 % (the table's)
    regularized evolution: 60 queries, best 91.38 % (NASLib's number), 91.38 % (the table's)
"""

from __future__ import annotations

import collections
import collections.abc
import tempfile
from pathlib import Path
from typing import Any

import torch

collections.Iterable = collections.abc.Iterable  # type: ignore[attr-defined]  # NASLib was written for 3.9
boxes = torch.library.Library("torchvision", "DEF")  # torchvision for CUDA lacks them beside torch for CPUs
for name in ("nms", "qnms"):
    boxes.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from fvcore.common.config import CfgNode  # noqa: E402
from naslib.defaults.trainer import Trainer  # noqa: E402
from naslib.optimizers import RandomSearch, RegularizedEvolution  # noqa: E402
from naslib.search_spaces import NasBench201SearchSpace  # noqa: E402
from naslib.search_spaces.core.query_metrics import Metric  # noqa: E402
from naslib.utils import set_seed  # noqa: E402

from nb201env import open_table  # noqa: E402
from nb201env.compat import naslib_api  # noqa: E402
from nb201env.compat.orders import from_naslib  # noqa: E402

TABLE, RUN, QUERIES = "cifar10-valid-200", 777, 60


def search(optimizer_class: Any, seed: int = 0) -> Any:
    """Search with one of NASLib's optimizers, as its runners do; returns the optimizer."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"seed": seed, "epochs": QUERIES, "fidelity": -1, "checkpoint_freq": QUERIES + 1,
                    "population_size": 30, "sample_size": 10}  # fmt: skip
        Path(folder, "search").mkdir()
        config = CfgNode({"dataset": "cifar10", "save": folder, "search": settings})
        set_seed(seed)
        optimizer = optimizer_class(config)
        # Trainer also asks for training accuracies, which the embedded table lacks: NaN, in the log alone.
        api = naslib_api(TABLE, split="valid", run=RUN, strict=False)
        optimizer.adapt_search_space(NasBench201SearchSpace(), dataset_api=api)
        Trainer(optimizer, config, lightweight_output=True).search()
    return optimizer


def main() -> None:
    """Search twice and compare what NASLib found with the table."""
    table = open_table(TABLE)
    for name, optimizer_class in (
        ("random search", RandomSearch),
        ("regularized evolution", RegularizedEvolution),
    ):
        optimizer = search(optimizer_class)
        best = optimizer.get_final_architecture()
        told = best.query(Metric.VAL_ACCURACY, "cifar10", dataset_api=optimizer.dataset_api)
        held = 100 * table.query(from_naslib(best.get_hash()), split="valid", epochs=200, run=RUN).accuracy
        print(f"{name}: {QUERIES} queries, best {told:.2f} % (NASLib's number), {held:.2f} % (the table's)")


if __name__ == "__main__":
    main()
