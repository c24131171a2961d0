"""What a lease checks, measures, validates and builds; and the same in miniature, for a CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from benchmarks.gpu_lease.budget import shard_for
from benchmarks.studies.small_space import chosen
from nb201env.training.builds.plan import Plan
from nb201env.training.recipe import Recipe, find_recipe


class Rows(NamedTuple):
    """One call of the bench.

    Attributes:
        shape: Whose images and network: a recipe's name, as of ``benchmarks.speed.gpu --task-shape``.
        rows: TRAINER:NETWORKS, the most valuable first.
    """

    shape: str
    rows: tuple[str, ...]

    @property
    def file(self) -> str:
        """Where they go in the work folder."""
        return f"rows-{self.shape}.jsonl"


class Profile(NamedTuple):
    """A step whose kernels are looked at.

    Attributes:
        shape: As of `Rows`.
        row: TRAINER:NETWORKS.
    """

    shape: str
    row: str

    @property
    def file(self) -> str:
        """Where it goes in the work folder."""
        return f"profile-{self.shape}.json"


@dataclass(frozen=True)
class Target:
    """A build that goes on from lease to lease.

    Attributes:
        name: Of the build's folder.
        recipe: How every network is trained.
        task: On what.
        side: Pixels of the images that it needs, 16 or 32.
        seeds: One run each, one after the other.
        shard: Architectures per shard of the stacked trainer: what a kill can lose.
        only: Indices, if not all classes.
    """

    name: str
    recipe: Recipe
    task: str
    side: int
    seeds: tuple[int, ...]
    shard: int
    only: tuple[int, ...] = ()

    def folder(self, trainer: str) -> str:
        """The build's folder; a trainer has its own, because the plan names it."""
        return f"{self.name}-{trainer}"

    def plan(self, trainer: str, data: str) -> Plan:
        """The build's plan, of images with this sha256."""
        shard = shard_for(trainer, self.shard)
        return Plan(self.task, data, self.recipe, self.seeds, trainer, shard=shard, only=self.only)


@dataclass(frozen=True)
class Work:
    """All that a lease may do.

    Attributes:
        check: Arguments of `nb201env.training.gpu.check`.
        rows: Calls of the bench, the most valuable first.
        profiles: Steps whose kernels are looked at.
        recipe: What is compared with the official numbers.
        least, most: How many architectures that takes, depending on what was measured.
        shard: Of these, trained at once.
        targets: Builds, the most valuable first.
        limits: Seconds that a stage may take at most, however much is left.
    """

    check: tuple[str, ...]
    rows: tuple[Rows, ...]
    profiles: tuple[Profile, ...]
    recipe: str
    least: int
    most: int
    shard: int
    targets: tuple[Target, ...]
    limits: dict[str, float]


SMALL, OFFICIAL, SMOKE = (find_recipe(name) for name in ("small-12", "official-12", "smoke-2"))
SMALLER_BATCHES = replace(SMALL, name="small-12-batch64", batch=64)
"""A candidate: four times as many steps on the same images, at the same cost if 128 are trained at once."""
SIXTEEN = "cifar10-valid-16px"
STUDY = tuple(chosen(128))
FULL = Work(
    check=(),
    rows=(
        Rows("official-12", ("plain:1", "stacked:64", "graphs:8")),
        Rows("small-12", ("stacked:64", "graphs:8")),
        Rows("official-12", ("graphs:1", "stacked:32", "stacked:16", "stacked:8", "stacked:1")),
        Rows("small-12", ("plain:1", "stacked:128")),
    ),
    profiles=(Profile("official-12", "stacked:64"), Profile("small-12", "stacked:64")),
    recipe="official-12",
    least=32,
    most=64,
    shard=16,
    targets=(
        Target("small-space", SMALL, SIXTEEN, 16, (777,), 64, only=STUDY),
        Target("small-space-batch64", SMALLER_BATCHES, SIXTEEN, 16, (777,), 128, only=STUDY),
        Target("small-12", SMALL, SIXTEEN, 16, (777, 888, 999), 64),
        Target("official-12", OFFICIAL, "cifar10-valid", 32, (777,), 32),
    ),
    limits={"images": 60, "check": 120, "rows": 150, "profile": 60, "validate": 200},
)
MINIATURE = Work(
    check=("--batch", "2", "--networks", "2", "--only", "stacked4x8", "graphs4x8"),
    rows=(Rows("official-12", ("stacked:2",)),),
    profiles=(Profile("official-12", "stacked:2"),),
    recipe="smoke-2",
    least=2,
    most=2,
    shard=2,
    targets=(Target("smoke-2", SMOKE, SIXTEEN, 16, (777,), 1, only=(62, 3124)),),
    limits={"images": 60, "check": 60, "rows": 60, "profile": 60, "validate": 60},
)
