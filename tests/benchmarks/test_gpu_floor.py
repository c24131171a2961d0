"""The floor's counts against counts by hand, and its sums against closed forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.speed.gpu_bounds import OPERATIONS
from benchmarks.speed.gpu_floor import (
    COUNTS,
    FLOOR,
    PLAIN,
    STACKED,
    Leaving,
    canonical_live_ops,
    estimate,
    floor_cell,
    leaving,
    plain_cell,
    stacked_cell,
    step_bytes,
)
from nb201env import Architecture
from nb201env.classes import representatives
from nb201env.space import CONV3X3, NONE, NUM_EDGES, POOL, SKIP
from nb201env.training.network import Network, Skeleton, live_ops
from nb201env.training.recipe import find_recipe
from tests.training.gpu.common import MIXED

OFFICIAL = find_recipe("official-12")
ONE_SKIP = (NONE, NONE, NONE, SKIP, NONE, NONE)
ONE_CONV = (NONE, NONE, NONE, CONV3X3, NONE, NONE)


def test_a_node_that_is_one_skip_is_the_node_before() -> None:
    assert floor_cell(ONE_SKIP) == FLOOR.evaluated(ONE_SKIP) == 0
    assert stacked_cell(ONE_SKIP) > 0  # the kernels copy it
    assert floor_cell((SKIP, NONE, NONE, NONE, CONV3X3, NONE)) == floor_cell(ONE_CONV)


def test_one_convolution_by_hand() -> None:
    # x -> y; y -> node; (g, y) -> sums; (g, y, x) -> gradients
    assert floor_cell(ONE_CONV) == 2 + 2 + 2 + 4
    assert plain_cell(ONE_CONV) == 7 + 12
    # x -> copy -> y -> node
    assert STACKED.evaluated(ONE_CONV) == 6
    # (g, y) -> sums; (g, y) -> dy; (dy, copy) -> gradient of x; (dy, copy) -> weights
    assert stacked_cell(ONE_CONV) == 6 + 2 + 3 + 3 + 2


def test_a_node_that_both_kinds_leave_is_stored_twice() -> None:
    ops = (CONV3X3, NONE, SKIP, NONE, CONV3X3, POOL)
    assert leaving(ops) == [Leaving(1, 0), Leaving(1, 1), Leaving(0, 1), Leaving(0, 0)]
    # A copy; two convolutions; four terms; nodes 1 (twice), 2 and 3.
    assert STACKED.evaluated(ops) == 2 + 4 + 4 + 4
    # Sums: two nodes, two outputs. Gradients of outputs: the same, and written. Terms, signs of nodes 0 and
    # 1, gradients of nodes 0, 1, 2. Weights.
    assert stacked_cell(ops) == 14 + 4 + 6 + 4 + 2 + 3 + 4


def test_a_skip_and_a_pool_of_one_node_are_two_terms() -> None:
    ops = (NONE, POOL, NONE, SKIP, NONE, SKIP)
    # Forward: two nodes written, three terms read. Backward: three gradients read, two written.
    assert floor_cell(ops) == 5 + 5
    assert stacked_cell(ops) == 5 + 5


def test_nothing_costs_nothing() -> None:
    assert floor_cell((NONE,) * NUM_EDGES) == plain_cell((NONE,) * NUM_EDGES) == 0


@pytest.mark.parametrize("architecture", MIXED, ids=str)
def test_the_floor_is_the_least(architecture: Architecture) -> None:
    ops = live_ops(architecture)
    assert floor_cell(ops) <= stacked_cell(ops)
    for training in (True, False):
        least, kernels, modules = (step_bytes(c, ops, OFFICIAL, training=training) for c in COUNTS)
        assert least <= kernels
        assert least <= modules


def test_bytes_scale_as_they_should() -> None:
    ops = live_ops(MIXED[0])
    whole = step_bytes(FLOOR, ops, OFFICIAL)
    assert step_bytes(FLOOR, ops, replace(OFFICIAL, batch=128)) * 2 == whole
    assert step_bytes(FLOOR, ops, OFFICIAL, side=16) * 4 == whole
    assert step_bytes(FLOOR, ops, replace(OFFICIAL, width=8)) * 2 == whole
    # Stages of one, a half and a quarter: five cells each.
    more = step_bytes(FLOOR, ops, replace(OFFICIAL, cells=6)) - whole
    assert more == floor_cell(ops) * (256 * 32 * 32 * 16 * 2) * 7 // 4


def test_the_mean_class() -> None:
    found = estimate(FLOOR, OFFICIAL, 4e12)
    assert len(canonical_live_ops()) == 5485
    assert found.convolutions == pytest.approx(3.0, abs=0.01)
    assert found.milliseconds == pytest.approx(found.gigabytes / 4)
    assert found.epoch_seconds == pytest.approx(found.milliseconds * 1e-3 * 25_000 / 256)
    assert found.hours == pytest.approx(found.epoch_seconds * 12 * 5485 / 3600)
    assert found.hours < found.hours_evaluated < estimate(STACKED, OFFICIAL, 4e12).hours_evaluated
    assert estimate(FLOOR, OFFICIAL, 8e12).hours == pytest.approx(found.hours / 2)


def test_mean_over_given_architectures() -> None:
    two = estimate(PLAIN, OFFICIAL, 1e12, architectures=[ONE_SKIP, ONE_CONV])
    assert two.passes == np.mean([plain_cell(ONE_SKIP), plain_cell(ONE_CONV)])
    assert two.convolutions == 0.5


class Operations(TorchDispatchMode):
    """Counts PyTorch operations that compute or move something."""

    VIEWS = frozenset((
        "view", "_unsafe_view", "t", "transpose", "permute", "expand", "detach", "slice", "select",
        "unsqueeze", "squeeze", "alias", "as_strided",
    ))  # fmt: skip

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ not in self.VIEWS
        return func(*args, **(kwargs or {}))


def test_operations_of_a_plain_step() -> None:
    counts = []
    for index in np.random.default_rng(0).choice(representatives(), 8, replace=False).tolist():
        network = Network(Architecture.from_index(index), Skeleton(image_size=4))
        optimizer = torch.optim.SGD(
            network.parameters(), 0.1, 0.9, nesterov=True, weight_decay=5e-4, foreach=True
        )
        with Operations() as operations:
            functional.cross_entropy(network(torch.randn(2, 3, 4, 4)), torch.tensor([0, 1])).backward()
            optimizer.step()
        counts.append(operations.count)
    assert np.mean(counts) == pytest.approx(OPERATIONS, rel=0.1)  # versions of PyTorch differ a little
