"""The check passes what is right and finds what is wrong, and says where.

Faults are planted in the program; the check itself is as it is.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from nb201env import Architecture
from nb201env.space import CONV3X3, EDGES, NUM_EDGES, NUM_OPS, POOL
from nb201env.training.gpu import capture, torch_ops
from nb201env.training.gpu.check import usable
from nb201env.training.gpu.checks import blocks
from nb201env.training.gpu.checks.setting import TOLERANCES, architectures, exact
from nb201env.training.gpu.stacked import Stacked
from nb201env.training.loop import Alone
from nb201env.training.network import AveragePool
from tests.training.gpu.common import DEVICE
from tests.training.gpu.verdicts import verdict_on, wrong

TYPES = [torch.bfloat16, torch.float32]
PARTS = ["cells4x4", "cells16x4", "convs4x8", "network4x8", "stacked4x8", "graphs4x8", "plain4x8"]


# -- what is right -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("part", PARTS)
def test_the_right_program_passes(part: str, dtype: torch.dtype) -> None:
    """With room to spare: nothing uses more than two thirds of what is allowed."""
    verdict = verdict_on(part, dtype, networks=32 if part.startswith("cells") else 4)
    assert verdict["ok"], verdict["problem"]
    assert verdict["of_allowed"] < 0.67, verdict["closest"]
    assert verdict["compared"] > 100
    assert usable([verdict]) == list(dict.fromkeys([verdict["trainer"], "plain"]))


@pytest.mark.slow
def test_a_builds_batch_of_rounded_gradients_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """262,144 pixels: sums of so many terms must not cancel down to what rounding does to each of them."""
    some = [
        "|nor_conv_3x3~0|+|avg_pool_3x3~0|avg_pool_3x3~1|+|nor_conv_1x1~0|nor_conv_3x3~1|avg_pool_3x3~2|",
        "|skip_connect~0|+|skip_connect~0|nor_conv_1x1~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
    ]
    monkeypatch.setattr(blocks, "architectures", lambda count: [Architecture.parse(text) for text in some])
    verdict = verdict_on("cells16x32", torch.bfloat16, networks=2, batch=256)
    assert verdict["ok"], verdict["problem"]
    assert verdict["of_allowed"] < 0.67, verdict["closest"]


def test_every_op_on_every_edge_is_looked_at() -> None:
    some = architectures(32)
    assert len(set(some)) == 32
    for edge, op in itertools.product(range(NUM_EDGES), range(NUM_OPS)):
        assert any(a.ops[edge] == op and exact(a) for a in some)
    assert not all(exact(a) for a in some)
    assert [len(architectures(n)) for n in (1, 2, 16, 40)] == [1, 2, 16, 40]


def test_types_have_tolerances_that_see_an_eighth() -> None:
    for tolerances in TOLERANCES.values():
        for allowed in (tolerances.out, tolerances.gradient, tolerances.chained, tolerances.moved):
            assert allowed.mean < 0.125


# -- the five faults that a comparison of losses let pass ----------------------------------------

real = SimpleNamespace(
    **{name: getattr(torch_ops, name) for name in ("pool", "convolve", "product", "_term")}
)


def centre_alone(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    mask = torch.zeros_like(weight)
    mask[:, 4] = 1
    return real.convolve(x, weight * mask, stride)  # type: ignore[no-any-return]


FIVE: dict[str, tuple[str, Callable[..., Tensor], str, str]] = {
    "pooling is the identity": ("pool", lambda x: x, "", "avg_pool_3x3"),
    "pooling gives zeros": ("pool", lambda x: x * 0, "", "avg_pool_3x3"),
    "taps in the wrong order": (
        "convolve", lambda x, w, stride=1: real.convolve(x, w.flip(1), stride), "", "nor_conv_3x3",
    ),
    "the centre tap alone": ("convolve", centre_alone, "", "nor_conv_3x3"),
    "no weight gradient": ("product", lambda x, w: real.product(x, w.detach()), "d_weight", "nor_conv"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FIVE)
def test_gross_faults_are_found_in_half_precision(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, planted, tensor, op = FIVE[fault]
    monkeypatch.setattr(torch_ops, name, planted)
    wrong(verdict_on("cells4x4"), tensor, op)


@pytest.mark.parametrize("fault", [name for name in FIVE if "pooling" not in name])
def test_and_outside_of_the_cells(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, planted, tensor, _ = FIVE[fault]
    monkeypatch.setattr(torch_ops, name, planted)
    verdict = verdict_on("convs4x8", networks=2)
    wrong(verdict, tensor)
    assert " of the stem" in verdict["tensor"] or " of reduction" in verdict["tensor"]


# -- smaller ones of the same kind ---------------------------------------------------------------


@pytest.mark.parametrize("edge", range(NUM_EDGES))
def test_a_weight_gradient_that_is_off_on_one_edge_alone(edge: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def term(x: Tensor, op: int, convs: Any, place: int, members: Any) -> Tensor:
        if place == edge and op == CONV3X3:
            weight = convs.weight.detach() + 1.1 * (convs.weight - convs.weight.detach())
            names = ("gain", "bias", "running_mean", "running_var", "training")
            convs = SimpleNamespace(weight=weight, **{name: getattr(convs, name) for name in names})
        return real._term(x, op, convs, place, members)  # type: ignore[no-any-return]

    monkeypatch.setattr(torch_ops, "_term", term)
    source, target = EDGES[edge]
    verdict = verdict_on("cells4x4")
    wrong(verdict, f"d_weight of edge {source}->{target}", f"nor_conv_3x3~{source}")
    assert verdict["error"] == pytest.approx(0.1, rel=0.2)


def test_pooling_that_is_off_on_one_edge_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the border alone: it counts the neighbours outside of the image."""

    def term(x: Tensor, op: int, convs: Any, edge: int, members: Any) -> Tensor:
        if edge == 4 and op == POOL:
            flat = x.flatten(0, 1).permute(0, 3, 1, 2)
            return torch.nn.functional.avg_pool2d(flat, 3, 1, 1).permute(0, 2, 3, 1).reshape(x.shape)
        return real._term(x, op, convs, edge, members)  # type: ignore[no-any-return]

    monkeypatch.setattr(torch_ops, "_term", term)
    verdict = verdict_on("cells4x4")
    wrong(verdict, "")
    assert Architecture.parse(verdict["architecture"]).ops[4] == POOL


def test_a_single_wrong_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a thousandth of the whole, which the mean does not see."""
    cell = torch_ops.cell

    def planted(*arguments: Any) -> Tensor:
        out = cell(*arguments)
        mask = torch.ones_like(out)
        mask[3, -1, -1, -1] = 0
        return out * mask

    monkeypatch.setattr(torch_ops, "cell", planted)
    verdict = verdict_on("cells4x8", batch=64, networks=8)
    wrong(verdict, "")
    assert verdict["architecture"] == str(architectures(8)[3])
    assert verdict["measure"] == "largest"


@pytest.mark.parametrize(
    ("which", "named"), [("running_mean", "moved mean"), ("running_var", "moved variance")]
)
def test_statistics_that_do_not_move(which: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = torch_ops.cell

    def planted(x: Tensor, convs: Any, codes: Any) -> Tensor:
        before = getattr(convs, which).clone()
        out = cell(x, convs, codes)
        getattr(convs, which).copy_(before)
        return out

    monkeypatch.setattr(torch_ops, "cell", planted)
    wrong(verdict_on("cells4x4"), named, "nor_conv")


def test_evaluation_by_the_batchs_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    batch_norm = torch_ops.batch_norm
    monkeypatch.setattr(torch_ops, "batch_norm", lambda y, gain, bias, *_: batch_norm(y, gain, bias))
    wrong(verdict_on("cells4x4"), "evaluated out", "nor_conv")


def test_what_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """New memory often holds what an earlier run wrote there, and looks right."""
    cell = torch_ops.cell

    def planted(*arguments: Any) -> Tensor:
        out = cell(*arguments)
        return torch.cat([out[:, :-1], torch.empty_like(out[:, :1])], dim=1)

    monkeypatch.setattr(torch_ops, "cell", planted)
    verdict = verdict_on("cells4x4", networks=4)
    wrong(verdict, "")
    assert verdict["error"] is None
    assert "never written" in verdict["problem"]
    assert json.loads(json.dumps(verdict, allow_nan=False)) == verdict


def test_two_runs_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """By less than is allowed otherwise."""
    cell, runs = torch_ops.cell, itertools.count()

    def planted(*arguments: Any) -> Tensor:
        out = cell(*arguments)
        off = torch.zeros_like(out)
        off[2, 0, 0, 0, 0] = 0.03125 * next(runs)
        return out + off

    monkeypatch.setattr(torch_ops, "cell", planted)
    verdict = verdict_on("cells4x4", networks=8)
    wrong(verdict, "")
    assert (verdict["measure"], verdict["architecture"]) == ("repeat", str(architectures(8)[2]))
    assert "two runs differ" in verdict["problem"]


def test_an_addend_without_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    conv_norm = torch_ops.conv_norm

    def planted(*arguments: Any, addend: Tensor | None = None, **more: Any) -> Tensor:
        return conv_norm(*arguments, addend=None if addend is None else addend.detach(), **more)

    monkeypatch.setattr(torch_ops, "conv_norm", planted)
    wrong(verdict_on("convs4x8", networks=2), "d_addend of reduction 1, conv_b")


# -- whole networks ------------------------------------------------------------------------------


def test_weights_that_go_to_the_wrong_place(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Stacked.load

    def planted(self: Stacked, networks: Any) -> None:
        load(self, networks)
        with torch.no_grad():
            block: Any = self.reductions[1]
            block.shortcut.copy_(block.shortcut.mT.reshape(block.shortcut.shape))

    monkeypatch.setattr(Stacked, "load", planted)
    wrong(verdict_on("network4x8", networks=4), "")


def test_a_shortcut_without_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    halve = torch_ops.halve
    monkeypatch.setattr(torch_ops, "halve", lambda x: halve(x).detach())
    verdict = verdict_on("network4x8", networks=4)
    wrong(verdict, "")
    assert verdict["tensor"].startswith(("gradient of ", "loss 2")), verdict["problem"]


def test_graphs_are_held_to_the_plain_network_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that recorded and other steps share."""
    monkeypatch.setattr(Alone, "forward", lambda self, images: self.network(images.flip(-1))[None])
    verdict = verdict_on("graphs4x8", networks=2)
    assert not verdict["ok"]
    assert usable([verdict]) == ["plain"]


def test_a_fault_of_pytorch_that_program_and_reference_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its pooling has on a GPU: the output is right, the gradient another's. A CPU in float64 has none."""
    real_pool = AveragePool.forward

    def shifted(self: AveragePool, x: Tensor) -> Tensor:
        out = real_pool(self, x)
        if x.dtype == torch.float64 or self.padding == 0:
            return out
        moved = real_pool(self, x.roll(1, -1))
        return out.detach() + moved - moved.detach()

    monkeypatch.setattr(AveragePool, "forward", shifted)
    assert verdict_on("graphs4x8", networks=8)["ok"]
    verdict = verdict_on("plain4x8", networks=8)
    assert verdict["tensor"].startswith(("gradient of ", "loss 2")), verdict["problem"]
    assert "avg_pool_3x3" in verdict["architecture"]
    assert usable([verdict]) == []


# -- recorded steps ------------------------------------------------------------------------------


@pytest.fixture
def _records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes record where there is no GPU, too: a recording runs nothing, a replay runs the work."""
    if DEVICE != "cpu":
        return
    made = capture.Lane.__init__

    def make(self: capture.Lane, *arguments: Any, **more: Any) -> None:
        made(self, *arguments, **more)
        self.records = True

    monkeypatch.setattr(capture.Lane, "__init__", make)
    monkeypatch.setattr(capture, "_record", lambda work, stream, pool: work)
    monkeypatch.setattr(capture, "_alone_on", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(capture, "_empty_cache", lambda: None)


@pytest.mark.usefixtures("_records")
@pytest.mark.parametrize("part", ["stacked4x8", "graphs4x8"])
def test_recorded_steps_that_are_the_steps_pass(part: str) -> None:
    verdict = verdict_on(part, networks=2)
    assert verdict["ok"], verdict["problem"]


@pytest.mark.usefixtures("_records")
@pytest.mark.parametrize("part", ["stacked4x8", "graphs4x8"])
def test_a_recording_that_leaves_a_trace(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_put_back", lambda tensors: contextlib.nullcontext())
    verdict = verdict_on(part, networks=2)
    assert not verdict["ok"]
    assert verdict["tensor"].startswith(("replayed of ", "loss of ")), verdict["problem"]
    assert usable([verdict, {"trainer": "graphs", "ok": part != "graphs4x8"}])[0] != part.removesuffix("4x8")


@pytest.mark.usefixtures("_records")
def test_a_replay_that_reads_the_batch_of_its_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture.Recorded, "__call__", lambda self, *inputs: self.replay())
    assert not verdict_on("stacked4x8", networks=2)["ok"]


@pytest.mark.usefixtures("_records")
def test_a_program_that_keeps_its_momentum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the second training of a recorded program shows it."""
    restart, calls = capture.Lane.restart, itertools.count()

    def planted(self: capture.Lane) -> None:
        if next(calls) < 3:  # two without records, and the first with
            restart(self)

    monkeypatch.setattr(capture.Lane, "restart", planted)
    wrong(verdict_on("stacked4x8", networks=2), "")
