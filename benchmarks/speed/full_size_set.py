"""A full-size set in the layout of NATS-tss-v1_0-3ffb9-simple, made from a few real files.

    python -m benchmarks.speed.full_size_set SAMPLE_FOLDER OUT_FOLDER

Every file gets its own index and architecture, and otherwise the numbers of one of the sample's
files. It is pickled and compressed like the originals, so reading it costs what reading the
originals costs. Run it again to go on after an interruption.
"""

from __future__ import annotations

import argparse
import bz2
import os
import pickle
import shutil
from collections import OrderedDict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.architecture import official_strings
from nb201env.files import appearing
from nb201env.sources.pickles.streams import from_bz2
from nb201env.sources.pickles.unpickle import Unpickler
from nb201env.space import SIZE
from nb201env.workers import in_order, processes


@cache
def sample(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = Unpickler(from_bz2(str(path), path.read_bytes())).load()
    return found


def relabelled(results: dict[str, Any], index: int) -> OrderedDict[str, Any]:
    """The results under another architecture's name, with the original's types."""
    text = official_strings()[index]
    out: OrderedDict[str, Any] = OrderedDict()
    for schedule, held in results.items():
        runs = {
            key: run
            | {
                "arch_config": run["arch_config"] | {"arch_str": text},
                "train_times": OrderedDict(run["train_times"]),
                **{field: own_keys(run[field]) for field in ("eval_acc1es", "eval_losses", "eval_times")},
                "params": np.float64(run["params"]),
                "latency": [np.float64(x) for x in run["latency"]],
            }
            for key, run in held["all_results"].items()
        }
        out[schedule] = held | {"arch_index": index, "arch_str": text, "all_results": runs}
    return out


def own_keys(values: dict[str, float]) -> dict[str, float]:
    """The same with keys that no other dictionary shares: the originals spell each one out, too."""
    return {key[:1] + key[1:]: value for key, value in values.items()}


def write(out: Path, samples: list[Path], index: int) -> None:
    path = out / f"{index:06d}.pickle.pbz2"
    if not path.exists():
        data = pickle.dumps(relabelled(sample(samples[index % len(samples)]), index), protocol=4)
        with appearing(path) as new:
            new.write_bytes(bz2.compress(data))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sample", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=SIZE)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    shutil.copy(arguments.sample / "meta.pickle.pbz2", arguments.out)
    samples = sorted(arguments.sample.glob("[0-9]*.pickle.pbz2"))
    make = partial(write, arguments.out, samples)
    in_order(processes(make, range(arguments.count), os.cpu_count() or 1))


if __name__ == "__main__":
    main()
