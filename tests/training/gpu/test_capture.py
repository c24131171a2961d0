"""Recording leaves no trace: not in weights, momentum, statistics, sums or gradients.

Where there is no GPU the two functions that talk to CUDA are replaced by what they mean: run a few
times; run again at every replay. Everything around them is the real thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.gpu.common import DEVICE, MIXED
from training.data import batches
from training.gpu import capture
from training.gpu.capture import Lane, Recorded, fit
from training.gpu.codes import Codes
from training.gpu.stacked import Stacked
from training.loop import Alone
from training.network import Network, Skeleton, initial_network
from training.recipe import find_recipe
from training.tasks import load_task

DATA = load_task("digits").to(DEVICE)
RECIPE = replace(find_recipe("smoke-2"), width=4, batch=48)  # 128 images: two whole batches and a rest
SKELETON = Skeleton(4, 1, 10, 8, 1)


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make lanes record; what was recorded, in order."""
    recorded: list[str] = []
    real = capture._record

    def warm_up(work: Callable[[], None]) -> None:
        for _ in range(3):
            work()

    def record(work: Callable[[], None], pool: Any) -> Callable[[], None]:
        recorded.append("graph")
        return real(work, pool) if DEVICE == "cuda" else work

    if DEVICE == "cpu":
        monkeypatch.setattr(capture, "_warm_up", warm_up)
    monkeypatch.setattr(capture, "_record", record)
    return recorded


def stacked_lane(records: bool) -> tuple[Lane, Stacked]:
    networks = [initial_network(a, SKELETON, 3) for a in MIXED[:3]]
    model = Stacked(SKELETON, Codes.of(MIXED[:3], DEVICE))
    model.load(networks)
    lane = Lane(model, 3, RECIPE, DATA)
    lane.records = records
    return lane, model


def plain_lane(records: bool) -> tuple[Lane, Network]:
    network = initial_network(MIXED[0], SKELETON, 3).to(DEVICE)
    lane = Lane(Alone(network), 1, RECIPE, DATA)
    lane.records = records
    return lane, network


@pytest.mark.parametrize("make", [stacked_lane, plain_lane], ids=["stacked", "plain"])
def test_recorded_steps_are_the_steps(make: Callable[..., Any], recording: list[str]) -> None:
    results = []
    for records in (False, True):
        lane, model = make(records)
        some = MIXED[: len(lane.correct)]
        logs = fit([lane], [some], DATA, RECIPE, seed=2)[0]
        results.append((logs, model.state_dict()))
    assert len(recording) == 3  # a batch, what is left of an epoch, and an evaluation
    (eager, weights), (replayed, same) = results
    for split in ("train", "valid", "test"):
        np.testing.assert_allclose(replayed.loss[split], eager.loss[split], rtol=1e-6)
        assert np.array_equal(replayed.correct[split], eager.correct[split])
    for name, value in weights.items():
        torch.testing.assert_close(same[name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_the_rate_is_read_at_every_replay(recording: list[str]) -> None:
    lane, model = stacked_lane(True)
    images, labels = next(batches(DATA, RECIPE, 1, 0))
    lane.train(images, labels)
    before = model.weight.detach().clone()
    lane.rate.fill_(0.0)
    lane.train(images, labels)
    assert torch.equal(model.weight, before)
    assert recording == ["graph"]


def test_a_restart_forgets_the_momentum(recording: list[str]) -> None:
    lane, model = stacked_lane(True)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    batch = next(batches(DATA, RECIPE, 1, 0))
    ends = []
    for _ in range(2):
        model.load_state_dict(start)
        lane.restart()
        lane.train(*batch)
        ends.append(model.weight.detach().clone())
    assert torch.equal(*ends)


def test_a_function_and_its_state(recording: list[str]) -> None:
    total, made = torch.zeros(2, device=DEVICE), []

    def work(x: torch.Tensor) -> None:
        if not made:
            made.append(torch.ones(1, device=DEVICE))
        made[0].add_(1)
        total.add_(x)

    recorded = Recorded(work, [torch.ones(2, device=DEVICE)], lambda: [total, *made], None)
    assert total.tolist() == [0, 0]
    assert made[0].tolist() == [0]  # state that the function made by itself starts at zero
    recorded(torch.full((2,), 3.0, device=DEVICE))
    recorded(torch.full((2,), 4.0, device=DEVICE))
    assert total.tolist() == [7, 7]
