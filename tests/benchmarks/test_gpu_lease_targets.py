"""What a lease does: its targets, the order of rows and trainers, and how many architectures it validates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.gpu_lease import budget
from benchmarks.gpu_lease.targets import FULL
from benchmarks.studies.small_space import chosen
from tests.benchmarks.lease_fakes import row


def test_the_targets_of_a_lease() -> None:
    study, candidate, small, official = FULL.targets
    for one in (study, candidate):
        assert one.plan("stacked", "").indices.tolist() == sorted(chosen(128))
        assert (one.task, one.seeds) == (small.task, small.seeds[:1])
    assert study.recipe == replace(candidate.recipe, name="small-12", batch=256) == small.recipe
    assert (small.task, small.recipe.name, small.seeds) == ("cifar10-valid-16px", "small-12", (777, 888, 999))
    assert (official.task, official.recipe.name) == ("cifar10-valid", "official-12")
    plan = small.plan("stacked", "")
    assert (len(plan.units), len(plan.indices), plan.shard) == (3 * 86, 5485, 64)
    assert plan.digest != small.plan("graphs", "").digest
    assert (FULL.least >= 32, FULL.limits["validate"] <= 200) == (True, True)


def test_the_most_valuable_rows_come_first() -> None:
    first = FULL.rows[0]
    assert (first.shape, first.rows) == ("official-12", ("plain:1", "stacked:64", "graphs:8"))
    assert len({(what.shape, row) for what in FULL.rows for row in what.rows}) == 12


def test_a_trainer_whose_rows_do_not_fit_into_the_memory_comes_last() -> None:
    rows = [row("stacked, triton", 32, error="does not fit"), row("graphs", 8)]
    assert budget.order(["stacked", "graphs", "plain"], rows, 64) == ["graphs", "plain"]
    assert budget.order(["stacked", "graphs", "plain"], rows, 16) == ["stacked", "graphs", "plain"]
    assert budget.order(["stacked"], rows, 64) == ["stacked"]
    slow = [row("stacked", 64, error="its time was up after 60 s")]
    assert budget.order(["stacked", "plain"], slow, 64) == ["stacked", "plain"]


def test_the_number_to_validate_follows_from_the_measured_rows() -> None:
    rows = [row("stacked, triton", 64, 3600 / 2.5), row("stacked, triton", 1, 900), row("graphs", 8, 600)]
    assert budget.seconds_each(rows, "stacked", 64) == pytest.approx(2.5)
    assert budget.seconds_each(rows, "plain", 1) is None

    def count(seconds: float) -> int:
        return budget.how_many(rows[:1], "stacked", seconds, 32, 64, 16)

    assert [count(s) for s in (200, 150, 10)] == [64, 48, 32]  # at 2.5 s each, in 85 % of the time
    assert budget.how_many([], "stacked", 200, 32, 64, 16) == 32
