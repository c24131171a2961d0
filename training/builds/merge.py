"""From finished shards to a table: gather the facts once, then make the columns, then the manifest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch

from nb201env.architecture import Architecture
from nb201env.arrays import Array, FloatArray, IntArray
from nb201env.classes import canonical_classes, representatives
from nb201env.container import DamagedTable
from nb201env.space import CONV1X1, CONV3X3, SIZE
from nb201env.table import Table, write_table
from nb201env.training.builds.build import trainings_in
from nb201env.training.builds.plan import Folder, Plan
from nb201env.training.builds.shards import AGAIN, COLUMNS
from nb201env.training.data import SPLITS, Data, training_split
from nb201env.training.images.own import PREFIX
from nb201env.training.images.tasks import Task, find_task
from nb201env.training.loop import skeleton_for
from nb201env.training.network import Network, Skeleton, count_macs, count_params, live_ops
from nb201env.training.recipe import as_options

NOMINAL_MACS_PER_SECOND = 1e9
"""The table's clock: how many multiply-accumulates count as one simulated second."""
_TRAINING_PASSES = 3  # forward, and backward to activations and to weights


def merge(
    folder: Folder, out: Path, data: Data, name: str | None = None, measured: bool = False,
    seeds: Collection[int] | None = None,
) -> Table:  # fmt: skip
    """Make a table of all finished shards; what is not built yet is masked.

    The same plan on the same kind of machine gives the same bytes, because nothing measured enters the
    table: its clock counts arithmetic (`simulated_seconds`). The measured times stay in the shards.

    Args:
        folder: The build.
        out: The table's file.
        data: The task's images, whose sizes the manifest states.
        name: The table's name; the default is "<task>-<epochs>", of own images "<name>-<epochs>".
        measured: Also write the processors and the summed seconds into the manifest, whose bytes then
            differ between builds.
        seeds: Make the table of these seeds of the build alone, because the others are not whole
            yet; by default of all.

    Raises:
        FileNotFoundError: If no shard is finished.
        ValueError: If the build has no such seed, or these are not its images.
        DamagedTable: If a shard is damaged ('nb201 build' makes it again).
        ForeignShard: If a shard belongs to another plan.
    """
    facts = gather(folder, data, seeds)
    classes = None if facts.plan.every_string else canonical_classes()
    return write_table(out, manifest(facts, name, measured), columns(facts), classes)


def is_of_build(path: Path, plan: Plan) -> bool:
    """Whether a file is a table that was made of this plan's shards."""
    try:
        return bool(Table.open(path).manifest["provenance"].get("plan") == plan.digest)
    except (OSError, DamagedTable):
        return False


# -- what is known ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """What is known of a build, and of what it has trained.

    Attributes:
        plan: The build's plan.
        task: The plan's task.
        seeds: The seeds of the table, in the plan's order.
        images: How many images each split has; of `train`, those that are trained on.
        part: Whether these are only some of the data set's images.
        skeleton: What surrounds the cell.
        normalisation: What is taken from the pixels, and what they are divided by, of every channel.
        costs: Multiply-accumulates per image and parameters; counts, [rows, 2].
        raw: The shards' columns; [rows, seeds, epochs], -1 or NaN where missing.
        machines: What each finished shard says of where and how it was trained.
        trainings: How many trainings were found.
    """

    plan: Plan
    task: Task
    seeds: tuple[int, ...]
    images: dict[str, int]
    part: bool
    skeleton: Skeleton
    normalisation: dict[str, list[float]]
    costs: IntArray
    raw: dict[str, Array]
    machines: list[dict[str, Any]]
    trainings: int

    @property
    def epochs(self) -> range:
        """Every epoch of the recipe, from 1."""
        return range(1, self.plan.recipe.epochs + 1)


def gather(folder: Folder, data: Data, seeds: Collection[int] | None) -> Facts:
    """Read all finished shards of these seeds, or of all; raises as `merge` does."""
    plan = folder.plan
    chosen, skeleton = _chosen(plan, seeds), skeleton_for(data, plan.recipe)
    if data.digest != plan.data:
        raise ValueError(f"the images are not those that {folder.store.address} trains on; give their --data")
    images = {name: len(data.splits[name].labels) for name in SPLITS}
    images["train"] = len(training_split(data, plan.recipe).labels)
    costs = live_costs(plan.every_string, skeleton)
    raw, machines, trainings = _collect(folder, chosen, len(costs), images)
    if not trainings:
        which = "" if chosen == plan.seeds else f" of seed {_commas(chosen)}"
        raise FileNotFoundError(
            f"{folder.store.address} has no finished shard{which}; run 'nb201 build' first"
        )
    normalisation = {"mean": data.mean.tolist(), "std": data.std.tolist()}
    return Facts(
        plan, find_task(plan.task), chosen, images, data.part, skeleton, normalisation, costs, raw, machines,
        trainings,
    )  # fmt: skip


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


def _collect(
    folder: Folder, seeds: tuple[int, ...], rows: int, images: dict[str, int]
) -> tuple[dict[str, Array], list[dict[str, Any]], int]:
    """`Facts.raw`, `Facts.machines` and `Facts.trainings`."""
    plan, shape = folder.plan, (rows, len(seeds), folder.plan.recipe.epochs)
    raw: dict[str, Array] = {
        name: np.full(shape, -1, np.int32) if name.endswith("correct") else np.full(shape, np.nan, np.float32)
        for name in COLUMNS
    }
    machines, trainings = [], 0
    for unit, arrays, about in folder.finished(seeds):
        for split, count in images.items():
            if (most := arrays[f"{split}_correct"].max()) > count:
                raise DamagedTable(
                    f"{folder.store.name(unit.file)}: {most} correct {split} images of {count}; {AGAIN}"
                )
        where, place = plan.table_rows[plan.rows(unit)], seeds.index(unit.seed)
        for name in COLUMNS:
            raw[name][where, place] = arrays[name]
        machines.append(about["about"])
        trainings += trainings_in(arrays)
    return raw, machines, trainings


@cache
def live_costs(every_string: bool, skeleton: Skeleton) -> IntArray:
    """What the networks of a table's rows really compute, without edges that carry nothing.

    Args:
        every_string: A row is an architecture; otherwise it is a canonical class.
        skeleton: What surrounds the cell.

    Returns:
        Multiply-accumulates per image and parameters; counts, int64 [rows, 2].
    """
    known: dict[tuple[int, int], tuple[int, int]] = {}
    costs = []
    for index in (np.arange(SIZE) if every_string else representatives()).tolist():
        ops = live_ops(Architecture.from_index(index))
        key = ops.count(CONV1X1), ops.count(CONV3X3)  # nothing else costs anything, wherever it stands
        if key not in known:
            with torch.device("meta"):  # shapes only: nothing is allocated or computed
                network = Network(Architecture(ops), skeleton)
            known[key] = count_macs(network), count_params(network)
        costs.append(known[key])
    return np.array(costs)


# -- columns ---------------------------------------------------------------------------------


def columns(facts: Facts) -> dict[str, Array]:
    """The table's columns."""
    macs, params = facts.costs[:, 0], facts.costs[:, 1]
    made: dict[str, Array] = {"macs": macs, "params": params.astype(np.int32)}
    for split, images in facts.images.items():
        count, (dtype, missing) = facts.raw[f"{split}_correct"], _count_type(images)
        made[f"{split}_accuracy"] = np.where(count < 0, missing, count).astype(dtype)
        made[f"{split}_loss"] = facts.raw[f"{split}_loss"]
    shape = len(macs), len(facts.seeds), len(facts.epochs)
    for split, seconds in simulated_seconds(facts).items():
        made[f"{split}_seconds"] = np.broadcast_to(seconds[:, None, :], shape).astype(np.float32)
    return made


def simulated_seconds(facts: Facts) -> dict[str, FloatArray]:
    """What training up to each epoch, and one pass over valid, cost on the table's clock.

    multiply-accumulates per image x 3 x training images x epochs / 10^9: a nominal machine that
    does 10^9 of them in a second, with a backward pass twice as expensive as a forward pass.

    Returns:
        "train": seconds, float64 [rows, epochs]; "valid": seconds, float64 [rows, 1].
    """
    macs = facts.costs[:, :1]
    per_epoch = macs * _TRAINING_PASSES * facts.images["train"] / NOMINAL_MACS_PER_SECOND
    return {
        "train": per_epoch * np.array(facts.epochs),
        "valid": macs * facts.images["valid"] / NOMINAL_MACS_PER_SECOND,
    }


def _count_type(images: int) -> tuple[type[np.unsignedinteger[Any]], int]:
    """The narrowest type that counts these images and has a number left for "missing"."""
    return (np.uint16, 2**16 - 1) if images < 2**16 - 1 else (np.uint32, 2**32 - 1)


# -- manifest --------------------------------------------------------------------------------


def manifest(facts: Facts, name: str | None = None, measured: bool = False) -> dict[str, Any]:
    """The table's manifest; see `merge` for the arguments."""
    plan, recipe = facts.plan, facts.plan.recipe
    diverged = [run for machine in facts.machines for run in machine.get("diverged", ())]
    command = build_command(plan) + (" --mask-diverged" if diverged else "")
    if facts.seeds != plan.seeds:
        command += f" --out FOLDER && nb201 merge FOLDER --seeds {_commas(facts.seeds)}"
    about: dict[str, Any] = {
        "name": name or plan.table_name,
        "space": "NAS-Bench-201",
        "task": {"name": plan.task, "dataset": facts.task.dataset, "splits": _splits(facts)},
        "schedule": {"epochs": recipe.epochs, "what": f"cosine to 0 over {recipe.epochs} epochs, per epoch"},
        "seeds": list(facts.seeds),
        "columns": _describe_columns(facts),
        "protocol": asdict(recipe),
        "skeleton": asdict(facts.skeleton),
        "normalisation": facts.normalisation,
        "coverage": {
            "trainings": facts.trainings, "of": len(facts.costs) * len(facts.seeds), "diverged": diverged
        },
        "provenance": {
            "numbers": "trained by nb201env's training package",
            "command": command,
            "plan": plan.digest,
            "data_sha256": plan.data,
            "trainer": plan.trainer,
            "software": _software(facts.machines),
            "rows": "every architecture has its own runs" if plan.every_string else
            "architectures of one canonical class share the runs of its first member",
        },
        "licence": "not stated" if plan.task.startswith(PREFIX) else "MIT",
    }  # fmt: skip
    if measured:
        about["provenance"]["measured"] = {
            "processors": sorted({m["processor"] for m in facts.machines}),
            "shard_seconds": round(sum(m["seconds"] for m in facts.machines), 1),
        }
    return about


def _software(machines: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What decides a table's numbers beside its plan, once for every kind of machine.

    That is why it is in the manifest; what was measured, and the processor that fed a GPU, are not. Shards
    that were trained before GPUs were named have fewer entries. On a CPU activations are float32, which
    goes without saying.
    """
    found = set()
    for machine in machines:
        on_gpu = ("gpu", "triton", "activations") if machine["device"] != "cpu" else ()
        found.add(tuple((key, machine[key]) for key in ("torch", "device", *on_gpu) if key in machine))
    return [dict(pairs) for pairs in sorted(found)]


def build_command(plan: Plan) -> str:
    """The command that builds a plan, but for the place of its images."""
    extra = " --every-string" if plan.every_string else ""
    extra += f" --only {','.join(f'index:{index}' for index in plan.only)}" if plan.only else ""
    return (
        f"nb201 build --task {quote(plan.task)} {as_options(plan.recipe)} --seeds {_commas(plan.seeds)} "
        f"--trainer {plan.trainer} --shard {plan.shard}{extra}"
    )


def _splits(facts: Facts) -> dict[str, Any]:
    task, images = facts.task, facts.images
    first = f"the first {images['train']} of " if facts.plan.recipe.train_images else ""
    what = {"train": f"{first}{task.trained_on}", "valid": task.valid_on, "test": task.tested_on}
    part = "a part, for a trial in miniature, of " if facts.part else ""
    return {split: {"images": images[split], "what": f"{part}{what[split]}"} for split in SPLITS}


def _describe_columns(facts: Facts) -> dict[str, Any]:
    epochs = list(facts.epochs)
    described: dict[str, Any] = {
        "macs": {"unit": "count", "what": "multiply-accumulates per image of the edges that matter"},
        "params": {"unit": "count", "what": "trainable parameters of the edges that matter"},
        "train_seconds": {"unit": "s", "epochs": epochs, "what": "simulated: multiply-accumulates / 10^9"},
        "valid_seconds": {"unit": "s", "epochs": epochs, "what": "simulated: one pass over valid"},
    }
    for split, images in facts.images.items():
        described[f"{split}_accuracy"] = {
            "unit": "fraction", "epochs": epochs, "scale": images, "missing": _count_type(images)[1],
            "what": f"correct {split} images; divided by scale",
        }  # fmt: skip
        described[f"{split}_loss"] = {"unit": "nat", "epochs": epochs, "what": f"mean {split} cross-entropy"}
    return described
