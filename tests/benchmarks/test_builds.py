"""What leases have brought home: every shard is sound, and the page says what is covered."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from benchmarks.checkout import ROOT
from benchmarks.gpu_lease.collect import check_shard
from benchmarks.gpu_lease.lease import finished
from benchmarks.gpu_lease.targets import FULL
from benchmarks.studies.official12 import compare, read_reference, report
from nb201env.training.builds.plan import Folder
from nb201env.training.builds.shards import COLUMNS
from tests.conftest import reference

BUILDS = sorted(plan.parent for plan in (ROOT / "builds").glob("*/plan.json"))
PAGE = " ".join((ROOT / "docs" / "gpu.md").read_text().split())
SMALL = ROOT / "builds" / "small-12-stacked"


@pytest.mark.parametrize("folder", BUILDS, ids=lambda folder: folder.name)
def test_every_shard_is_sound(folder: Path) -> None:
    build = Folder.open(folder)
    files = {unit.file: unit for unit in build.plan.units}
    shards = [f"shards/{file.name}" for file in sorted((folder / "shards").iterdir())]
    assert shards
    for name in shards:
        check_shard(build, files[name])


def test_the_next_lease_goes_on_with_them() -> None:
    """The plans are still those of a lease's targets; else it would begin anew."""
    for target in FULL.targets:
        folder = ROOT / "builds" / target.folder("stacked")
        if folder in BUILDS:
            plan = Folder.open(folder).plan
            assert plan.digest == target.plan("stacked", plan.data).digest


def test_the_page_says_what_is_covered() -> None:
    for seed, count in finished(SMALL).items():
        if count:
            assert f"{count:,} of 5,485 classes of seed {seed}" in PAGE


def test_a_class_in_two_builds_has_the_same_numbers() -> None:
    """Whatever else is in the shard: networks that are trained at once do not touch each other."""
    found: list[dict[tuple[int, int], list[np.ndarray]]] = []
    for folder in (SMALL, ROOT / "builds" / "small-space-stacked"):
        build = Folder.open(folder)
        found.append({})
        for unit, arrays, _ in build.finished():
            for row, index in enumerate(build.plan.indices[build.plan.rows(unit)].tolist()):
                found[-1][unit.seed, index] = [arrays[name][row] for name in COLUMNS]
    for one, two in combinations(found, 2):
        both = sorted(one.keys() & two.keys())
        assert f"({len(both)} are in both of the builds below)" in PAGE
        for key in both:
            for ours, theirs in zip(one[key], two[key], strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_official_12_on_a_gpu_is_the_official_training() -> None:
    """32 architectures that span the range, in bfloat16: the ranks and the mean of the official numbers."""
    folder = ROOT / "builds" / "validate-official-12-stacked"
    found = compare(build := Folder.open(folder), read_reference(reference("nb201_cifar10.csv")))
    assert len(found.ours) == 32
    assert found.tau > 0.95
    assert abs(found.difference) < 0.002
    assert (folder / "report.md").read_text() == report(build, found)
    tau = f"{found.tau:.3f}".removeprefix("0")
    most = np.abs(found.ours - found.official).max()
    for page, said in (
        ("docs/gpu.md", f"tau {tau}, mean difference {100 * found.difference:+.2f} points"),
        (
            "docs/building.md",
            f"tau {tau}, {100 * found.difference:+.2f} points on average and {100 * most:.2f} at",
        ),
        ("README.md", f"(tau {tau}), {100 * found.difference:.2f} points above"),
    ):
        assert said in " ".join((ROOT / page).read_text().split())
