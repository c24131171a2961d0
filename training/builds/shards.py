"""One shard's file: what it must be before its numbers are taken for those of a build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nb201env.architecture import Architecture
from nb201env.arrays import Array
from nb201env.container import Container, DamagedTable
from nb201env.fields import Fields, shown
from nb201env.training.data import SPLITS

COLUMNS = tuple(f"{split}_{what}" for split in SPLITS for what in ("correct", "loss"))
_SECONDS = "measured_seconds"
_TYPES = {name: "I32" if name.endswith("correct") else "F32" for name in (*COLUMNS, _SECONDS)}
AGAIN = "delete it and run the build's own command again"


class ForeignShard(ValueError):
    """A folder or shard that belongs to another build; the message says what differs."""


class Unit(NamedTuple):
    """One shard's work: which seed, which block."""

    seed: int
    number: int

    @property
    def file(self) -> str:
        """The shard's file in the build's folder."""
        return f"shards/{self.seed}-{self.number:05d}.safetensors"


def read_shard(
    container: Container, where: str, unit: Unit, plan: str, chosen: Sequence[Architecture], epochs: int
) -> tuple[dict[str, Array], dict[str, Any]]:
    """A shard's arrays and manifest, if they are what its plan asks for.

    Args:
        container: Its file.
        where: The file's name, for messages.
        unit: Which shard it should be.
        plan: The plan's digest.
        chosen: The architectures that it should hold.
        epochs: Of the plan's recipe.

    Raises:
        ForeignShard: If it is a shard of another plan, or another shard of this one.
        DamagedTable: If its numbers, or what it says of them, cannot be a shard's.
    """
    entries = Fields(container.manifest, where, DamagedTable)
    if (found := entries.text("plan")) != plan:
        raise ForeignShard(
            f"{where} belongs to another build (its plan is {shown(found[:12])}, this folder's {plan[:12]}); "
            "take it out of the folder"
        )
    if (place := entries.wholes("unit", least=0)) != list(unit):
        raise ForeignShard(
            f"{where} is in another shard's place: it is {place}, and here belongs {list(unit)} (seed and "
            "number); take it out of the folder"
        )
    _check_arrays(entries, (len(chosen), epochs))
    arrays = {name: container.array(name) for name in _TYPES}
    missing = [chosen[row] for row in np.flatnonzero(_missing(arrays, where)).tolist()]
    _check_about(entries.object("about"), unit, missing)
    return arrays, container.manifest


def _check_arrays(entries: Fields, shape: tuple[int, int]) -> None:
    """Names, types and shapes, before anything is read."""
    specs = entries.object("arrays")
    specs.refuse_others(_TYPES)
    for name, dtype in _TYPES.items():
        spec = specs.object(name)
        if spec.text("dtype") != dtype or spec.wholes("shape") != list(shape):
            raise spec.refuse("shape", f"should be {dtype} {list(shape)}")


def _missing(arrays: dict[str, Array], where: str) -> npt.NDArray[np.bool_]:
    """Which architectures have no run, bool [architectures]; raises if any number cannot be one."""
    gone = arrays[f"{SPLITS[0]}_correct"] == -1
    for name, array in arrays.items():
        right = array >= 0
        if _TYPES[name] == "F32":
            right &= np.isfinite(array)
        nothing = array == -1 if _TYPES[name] == "I32" else np.isnan(array)
        if not np.where(gone, nothing, right).all():
            raise DamagedTable(f"{where}: {name} has values that are negative or no numbers")
    if (gone != gone[:, :1]).any():
        raise DamagedTable(f"{where}: a training of which some epochs are missing")
    missing: npt.NDArray[np.bool_] = gone[:, 0]
    return missing


def _check_about(about: Fields, unit: Unit, missing: Sequence[Architecture]) -> None:
    """What a shard says of how it was trained: what `merge` repeats in a table's manifest."""
    for name in ("torch", "device", "processor"):
        about.text(name)
    for name in ("gpu", "triton", "activations"):
        about.text(name, default="")
    about.number("seconds", least=0)
    said = [(run.text("architecture"), run.whole("seed")) for run in about.objects("diverged", default=[])]
    if sorted(said) != sorted((str(one), unit.seed) for one in missing):
        raise about.refuse("diverged", f"should name the {len(missing)} trainings that are missing")
