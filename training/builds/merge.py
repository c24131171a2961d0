"""From finished shards to a table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nb201env.architecture import Architecture
from nb201env.arrays import Array, FloatArray, IntArray
from nb201env.classes import canonical_classes, representatives
from nb201env.space import CONV1X1, CONV3X3, SIZE
from nb201env.table import Table, write_table
from nb201env.training.builds.build import trainings_in
from nb201env.training.builds.plan import COLUMNS, Folder, Plan
from nb201env.training.data import SPLITS, Data, training_split
from nb201env.training.images.tasks import find_task
from nb201env.training.loop import skeleton_for
from nb201env.training.network import Network, Skeleton, count_macs, count_params, live_ops

NOMINAL_MACS_PER_SECOND = 1e9
"""The table's clock: how many multiply-accumulates count as one simulated second."""
_TRAINING_PASSES = 3  # forward, and backward to activations and to weights


def merge(
    folder: Folder, out: Path, data: Data, name: str | None = None, measured: bool = False,
    seeds: Collection[int] | None = None,
) -> Table:  # fmt: skip
    """Make a table of all finished shards; what is not built yet is masked.

    The same plan on the same kind of machine gives the same bytes, hence the same id, because
    nothing measured enters the table: its clock counts arithmetic (`simulated_seconds`). The
    measured times stay in the shards.

    Args:
        folder: The build.
        out: The table's file.
        data: The task's images, whose sizes the manifest states.
        name: The table's name; the default is "<task>-<epochs>".
        measured: Also write the processors and the summed seconds into the manifest. The id then
            differs between builds.
        seeds: Make the table of these seeds of the build alone, because the others are not whole
            yet; by default of all.

    Raises:
        FileNotFoundError: If no shard is finished.
        ValueError: If the build has no such seed.
        DamagedTable: If a shard is damaged ('nb201 build' makes it again).
        ForeignShard: If a shard belongs to another plan.
    """
    plan = folder.plan
    part = replace(plan, seeds=_chosen(plan, seeds))
    columns, machines, built = _collect(folder, part)
    if not built:
        which = "" if part.seeds == plan.seeds else f" of seed {_commas(part.seeds)}"
        raise FileNotFoundError(
            f"{folder.store.address} has no finished shard{which}; run 'nb201 build' first"
        )
    skeleton = skeleton_for(data, plan.recipe)
    firsts = np.arange(SIZE) if plan.every_string else representatives()
    costs = np.array([live_costs(live_ops(Architecture.from_index(i)), skeleton) for i in firsts.tolist()])
    final = _final_columns(part, columns, data, costs)
    about = manifest(plan, data, name, built, machines, measured, part.seeds)
    return write_table(out, about, final, None if plan.every_string else canonical_classes())


def _chosen(plan: Plan, seeds: Collection[int] | None) -> tuple[int, ...]:
    """These seeds in the plan's order; all if nothing is said."""
    if seeds is None:
        return plan.seeds
    if not seeds or set(seeds) - set(plan.seeds):
        raise ValueError(
            f"choose among the build's seeds, {_commas(plan.seeds)}; got {_commas(seeds) or 'none'}"
        )
    return tuple(seed for seed in plan.seeds if seed in seeds)


def _commas(numbers: Collection[int]) -> str:
    return ",".join(map(str, numbers))


def _collect(folder: Folder, plan: Plan) -> tuple[dict[str, Array], list[dict[str, Any]], int]:
    """Raw columns [rows, seeds, epochs] (-1 or NaN where missing), machines, trainings found."""
    shape = (_rows(plan), len(plan.seeds), plan.recipe.epochs)
    columns: dict[str, Array] = {
        name: np.full(shape, -1, np.int32) if name.endswith("correct") else np.full(shape, np.nan, np.float32)
        for name in COLUMNS
    }
    machines, built = [], 0
    for unit, arrays, about in folder.finished(plan.seeds):
        rows, place = plan.table_rows[plan.rows(unit)], plan.seeds.index(unit.seed)
        for name in COLUMNS:
            columns[name][rows, place] = arrays[name]
        machines.append(about["about"])
        built += trainings_in(arrays)
    return columns, machines, built


def _rows(plan: Plan) -> int:
    return SIZE if plan.every_string else len(representatives())


def _final_columns(plan: Plan, raw: dict[str, Array], data: Data, costs: IntArray) -> dict[str, Array]:
    macs, params = costs[:, 0], costs[:, 1]
    final: dict[str, Array] = {"macs": macs, "params": params.astype(np.int32)}
    for split in SPLITS:
        count = raw[f"{split}_correct"]
        dtype, missing = _count_type(_images(plan, data)[split])
        final[f"{split}_accuracy"] = np.where(count < 0, missing, count).astype(dtype)
        final[f"{split}_loss"] = raw[f"{split}_loss"]
    seconds = simulated_seconds(plan, data, macs)
    final["train_seconds"] = np.repeat(seconds[:, None], len(plan.seeds), axis=1).astype(np.float32)
    valid = macs * _images(plan, data)["valid"] / NOMINAL_MACS_PER_SECOND
    final["valid_seconds"] = np.broadcast_to(
        valid[:, None, None], (*seconds.shape[:1], len(plan.seeds), plan.recipe.epochs)
    ).astype(np.float32)
    return final


def simulated_seconds(plan: Plan, data: Data, macs: IntArray) -> FloatArray:
    """What training up to each epoch costs on the table's clock, in seconds; [rows, epochs].

    multiply-accumulates per image x 3 x training images x epochs / 10^9: a nominal machine that
    does 10^9 of them in a second, with a backward pass twice as dear as a forward pass.
    """
    per_epoch = macs * _TRAINING_PASSES * _images(plan, data)["train"] / NOMINAL_MACS_PER_SECOND
    return np.asarray(per_epoch[:, None] * np.arange(1, plan.recipe.epochs + 1))


def live_costs(ops: tuple[int, ...], skeleton: Skeleton) -> tuple[int, int]:
    """Multiply-accumulates per image and parameters (counts) of what a network really computes.

    Args:
        ops: Live ops (`nb201env.training.network.live_ops`): edges that carry nothing are "none".
        skeleton: What surrounds the cell.
    """
    key = ops.count(CONV1X1), ops.count(CONV3X3)  # nothing else costs anything, wherever it stands
    if (key, skeleton) not in _COSTS:
        with torch.device("meta"):  # shapes only: nothing is allocated or computed
            network = Network(Architecture(ops), skeleton)
        _COSTS[key, skeleton] = count_macs(network), count_params(network)
    return _COSTS[key, skeleton]


_COSTS: dict[tuple[tuple[int, int], Skeleton], tuple[int, int]] = {}


def _images(plan: Plan, data: Data) -> dict[str, int]:
    counts = {name: len(data.splits[name].labels) for name in SPLITS}
    return counts | {"train": len(training_split(data, plan.recipe).labels)}


def _count_type(images: int) -> tuple[type[np.unsignedinteger[Any]], int]:
    """The narrowest type that counts these images and has a number left for "missing"."""
    return (np.uint16, 2**16 - 1) if images < 2**16 - 1 else (np.uint32, 2**32 - 1)


def manifest(
    plan: Plan, data: Data, name: str | None, built: int, machines: list[dict[str, Any]], measured: bool,
    seeds: tuple[int, ...],
) -> dict[str, Any]:  # fmt: skip
    """The table's manifest."""
    task, recipe = find_task(plan.task), plan.recipe
    wanted = _rows(plan) * len(seeds)
    diverged = [run for machine in machines for run in machine.get("diverged", ())]
    command = build_command(plan) + (" --mask-diverged" if diverged else "")
    if seeds != plan.seeds:
        command += f" --out FOLDER && nb201 merge FOLDER --seeds {_commas(seeds)}"
    about: dict[str, Any] = {
        "name": name or f"{plan.task}-{recipe.epochs}",
        "space": "NAS-Bench-201",
        "task": {"name": plan.task, "dataset": task.dataset, "splits": _splits(plan, data)},
        "schedule": {"epochs": recipe.epochs, "what": f"cosine to 0 over {recipe.epochs} epochs, per epoch"},
        "seeds": list(seeds),
        "columns": _describe_columns(plan, data),
        "protocol": asdict(recipe),
        "skeleton": asdict(skeleton_for(data, recipe)),
        "coverage": {"trainings": built, "of": wanted, "diverged": diverged},
        "provenance": {
            "numbers": "trained by nb201env's training package",
            "command": command,
            "plan": plan.digest,
            "data_sha256": plan.data,
            "trainer": plan.trainer,
            "software": _software(machines),
            "rows": "every architecture has its own runs" if plan.every_string else
            "architectures of one canonical class share the runs of its first member",
        },
        "licence": "MIT",
    }  # fmt: skip
    if measured:
        about["provenance"]["measured"] = {
            "processors": sorted({m["processor"] for m in machines}),
            "shard_seconds": round(sum(m["seconds"] for m in machines), 1),
        }
    return about


def _software(machines: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What decides a table's numbers beside its plan, once for every kind of machine.

    That is why it is in the manifest, and so in the table's id; what was measured, and the processor
    that fed a GPU, are not. Shards that were trained before GPUs were named have fewer entries. On a
    CPU activations are float32, which goes without saying.
    """
    found = set()
    for machine in machines:
        on_gpu = ("gpu", "triton", "activations") if machine["device"] != "cpu" else ()
        found.add(tuple((key, machine[key]) for key in ("torch", "device", *on_gpu) if key in machine))
    return [dict(pairs) for pairs in sorted(found)]


def build_command(plan: Plan) -> str:
    """The command that builds a plan."""
    extra = " --every-string" if plan.every_string else ""
    extra += f" --only {_commas(plan.only)}" if plan.only else ""
    return (
        f"nb201 build --task {plan.task} --recipe {plan.recipe.name} --seeds {_commas(plan.seeds)} "
        f"--trainer {plan.trainer} --shard {plan.shard}{extra}"
    )


def _splits(plan: Plan, data: Data) -> dict[str, Any]:
    task, counts = find_task(plan.task), _images(plan, data)
    part = f"the first {counts['train']} of " if plan.recipe.train_images else ""
    what = {"train": f"{part}{task.trained_on}", "valid": task.valid_on, "test": task.tested_on}
    return {split: {"images": counts[split], "what": what[split]} for split in SPLITS}


def _describe_columns(plan: Plan, data: Data) -> dict[str, Any]:
    epochs = list(range(1, plan.recipe.epochs + 1))
    described: dict[str, Any] = {
        "macs": {"unit": "count", "what": "multiply-accumulates per image of the edges that matter"},
        "params": {"unit": "count", "what": "trainable parameters of the edges that matter"},
        "train_seconds": {"unit": "s", "epochs": epochs, "what": "simulated: multiply-accumulates / 10^9"},
        "valid_seconds": {"unit": "s", "epochs": epochs, "what": "simulated: one pass over valid"},
    }
    for split, images in _images(plan, data).items():
        described[f"{split}_accuracy"] = {
            "unit": "fraction", "epochs": epochs, "scale": images, "missing": _count_type(images)[1],
            "what": f"correct {split} images; divided by scale",
        }  # fmt: skip
        described[f"{split}_loss"] = {"unit": "nat", "epochs": epochs, "what": f"mean {split} cross-entropy"}
    return described
