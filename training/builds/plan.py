"""What a build consists of: the plan, its shards, and the folder they live in.

A build's folder holds ``plan.json`` and ``shards/<seed>-<number>.safetensors``. A shard is the
unit of work: a block of architectures trained with one seed. Its file appears in one step, is
checked by hashes, and says which plan it belongs to, so any number of processes may build into
one folder, be killed at any moment and be started again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nb201env.architecture import Architecture
from nb201env.arrays import Array, IntArray
from nb201env.classes import canonical_classes, representatives
from nb201env.container import DamagedTable
from nb201env.fields import Fields, shown
from nb201env.space import SIZE
from nb201env.training.builds.shards import AGAIN, ForeignShard, Unit, read_shard
from nb201env.training.builds.store import Store
from nb201env.training.images.tasks import find_task, short_name
from nb201env.training.recipe import Recipe
from nb201env.training.trainers import TRAINERS

_PLAN = "plan.json"
MOST_SEED = 2**63 - 1
_MOST_SHARDS = 1_000_000
_MOST_EPOCHS = 20_000
"""Of all seeds together; a table of these is 8 GB."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides a build's numbers, and how it is cut into shards.

    Attributes:
        task: The task's name.
        data: sha256 of its images, see `nb201env.training.data.Data.digest`.
        recipe: How every network is trained.
        seeds: One run each.
        trainer: A key of `nb201env.training.trainers.TRAINERS`.
        every_string: Train all 15,625 architectures instead of one per canonical class.
        shard: Architectures per shard; the stacked trainer takes these at once.
        only: Lexicographic indices of the architectures to train; empty means all.
    """

    task: str
    data: str
    recipe: Recipe
    seeds: tuple[int, ...]
    trainer: str = "plain"
    every_string: bool = False
    shard: int = 32
    only: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        find_task(self.task)
        if not 1 <= self.shard <= _MOST_SHARDS:
            raise ValueError(f"a shard holds 1 to {_MOST_SHARDS:,} architectures; got {self.shard}")
        if any(not 0 <= index < SIZE for index in self.only):
            raise ValueError(f"an architecture's index is in 0..{SIZE - 1}; got {list(self.only)}")
        seeds = self.seeds
        if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) > MOST_SEED:
            some = f"{list(seeds[:5])}{' ...' if len(seeds) > 5 else ''}"
            raise ValueError(f"seeds must be different numbers in 0..{MOST_SEED}; got {some}")
        if len(seeds) * -(-(len(self.only) or SIZE) // self.shard) > _MOST_SHARDS:
            raise ValueError(f"more than {_MOST_SHARDS:,} shards; take fewer seeds or a larger --shard")
        if len(seeds) * self.recipe.epochs > _MOST_EPOCHS:
            raise ValueError(
                f"{len(seeds)} seeds of {self.recipe.epochs} epochs are too many for a table "
                f"({_MOST_EPOCHS:,} epochs of all seeds together); take fewer seeds"
            )

    @cached_property
    def digest(self) -> str:
        """sha256 of all values."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()

    @cached_property
    def indices(self) -> IntArray:
        """The lexicographic index of every architecture that is trained, rising."""
        wanted = np.array(self.only, dtype=np.int64) if self.only else np.arange(SIZE)
        if self.every_string:
            return np.unique(wanted)
        chosen: IntArray = representatives()[np.unique(canonical_classes()[wanted])]
        return chosen

    @property
    def table_rows(self) -> IntArray:
        """The row of each of `indices` in the table: its class, or itself with `every_string`."""
        return self.indices if self.every_string else canonical_classes()[self.indices]

    @property
    def units(self) -> list[Unit]:
        """All shards, seed by seed."""
        blocks = -(-len(self.indices) // self.shard)
        return [Unit(seed, number) for seed in self.seeds for number in range(blocks)]

    @property
    def table_name(self) -> str:
        """What its table is called if nothing else is said."""
        return f"{short_name(self.task)}-{self.recipe.epochs}"

    def rows(self, unit: Unit) -> slice:
        """Which rows of `indices` a shard holds."""
        return slice(unit.number * self.shard, min((unit.number + 1) * self.shard, len(self.indices)))

    def architectures(self, unit: Unit) -> list[Architecture]:
        """What a shard trains."""
        return [Architecture.from_index(i) for i in self.indices[self.rows(unit)].tolist()]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"seeds": list(self.seeds), "only": list(self.only)}

    @classmethod
    def read(cls, entries: Fields) -> Plan:
        """Back from what `as_json` made, by way of a file.

        Raises:
            ValueError: If an entry is missing, unknown or not what it should be.
        """
        entries.refuse_others(field.name for field in fields(cls))
        if not re.fullmatch("[0-9a-f]{64}", data := entries.text("data")):
            raise entries.refuse("data", "should be a sha256")
        if (trainer := entries.text("trainer")) not in TRAINERS:
            raise entries.refuse("trainer", f"there is no trainer {shown(trainer)}")
        return cls(
            entries.text("task"), data, Recipe.read(entries.object("recipe")), tuple(entries.wholes("seeds")),
            entries.text("trainer"), entries.flag("every_string"), entries.whole("shard"),
            tuple(entries.wholes("only", least=0, most=SIZE - 1)),
        )  # fmt: skip


class Folder:
    """A build's folder, see `nb201env.training.builds.store` for where it can be.

    Args:
        address: The folder's path or URL.
        plan: The build's plan.
    """

    def __init__(self, address: str | os.PathLike[str], plan: Plan) -> None:
        self.store, self.plan = Store(address), plan

    @classmethod
    def create(cls, address: str | os.PathLike[str], plan: Plan) -> Folder:
        """Make a folder for a plan, or go on in one that was made for the same plan.

        Raises:
            ForeignShard: If the folder was made for another plan; the message says what differs.
        """
        store = Store(address)
        store.write_new_text(_PLAN, json.dumps(plan.as_json(), indent=1) + "\n")
        _check_same(store.address, cls.open(address).plan, plan)
        return cls(address, plan)

    @classmethod
    def open(cls, address: str | os.PathLike[str]) -> Folder:
        """An existing build.

        Raises:
            FileNotFoundError: If there is none.
            DamagedTable: If its plan cannot be read.
        """
        store = Store(address)
        if not store.has(_PLAN):
            raise FileNotFoundError(
                f"{address} is not a build's folder (no {_PLAN}); start one with 'nb201 build'"
            )
        try:
            return cls(address, Plan.read(Fields.parse(store.read_text(_PLAN), "it")))
        except ValueError as error:
            raise DamagedTable(
                f"{store.name(_PLAN)} cannot be read ({error}); delete it and run the build's own command "
                "again: its finished shards are kept"
            ) from error

    def missing(self) -> list[Unit]:
        """The shards that are not there, or damaged, in order."""
        return [unit for unit in self.plan.units if not self._sound(unit)]

    def finished(
        self, seeds: Collection[int] | None = None
    ) -> Iterator[tuple[Unit, dict[str, Array], dict[str, Any]]]:
        """Every shard that is there, with its arrays and manifest; of all seeds or of these alone.

        Raises:
            DamagedTable: If a shard is damaged.
            ForeignShard: If a shard belongs to another plan.
        """
        for unit in self.plan.units:
            if (seeds is None or unit.seed in seeds) and self.store.has(unit.file):
                yield unit, *self.read(unit)

    def read(self, unit: Unit) -> tuple[dict[str, Array], dict[str, Any]]:
        """One shard's arrays and manifest; raises as `finished` does."""
        where = self.store.name(unit.file)
        try:
            container, plan = self.store.read(unit.file), self.plan
            return read_shard(
                container, where, unit, plan.digest, plan.architectures(unit), plan.recipe.epochs
            )
        except DamagedTable as error:
            raise DamagedTable(f"{str(error).removesuffix('; get a fresh copy')}; {AGAIN}") from error

    def write(self, unit: Unit, arrays: dict[str, Array], about: dict[str, Any]) -> None:
        """Write a shard in one step.

        Raises:
            OSError: If it cannot be written; what was built before stays.
        """
        try:
            self.store.write(
                unit.file, {"plan": self.plan.digest, "unit": list(unit), "about": about}, arrays
            )
        except OSError as error:
            raise OSError(
                f"cannot write {self.store.name(unit.file)}: {error.strerror or error}; all earlier shards "
                "are safe, make room and run the same command again"
            ) from error

    def _sound(self, unit: Unit) -> bool:
        try:
            self.read(unit)
        except (FileNotFoundError, DamagedTable):
            return False
        return True


def this_machine(device: torch.device) -> dict[str, str]:
    """What trained a shard, for its manifest; a GPU is named beside the processor that feeds it."""
    about = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "device": str(device),
    }
    return about | ({"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {})


def processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def _check_same(address: str, old: Plan, new: Plan) -> None:
    if old.digest == new.digest:
        return
    a, b = old.as_json(), new.as_json()
    if a["recipe"]["name"] == b["recipe"]["name"]:
        a |= {f"recipe {key}": value for key, value in a.pop("recipe").items()}
        b |= {f"recipe {key}": value for key, value in b.pop("recipe").items()}
    differing = [f"{key} {_short(a[key])} (not {_short(b[key])})" for key in a if a[key] != b[key]]
    raise ForeignShard(
        f"{address} holds another build: {'; '.join(differing)}; repeat its own command, or give another "
        "--out"
    )


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("name", value))
    text = str(value) or "none"
    return text[:12] if len(text) == 64 else text
