"""Bounds by memory and by issue, and the predictions from them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.checkout import ROOT
from benchmarks.speed.gpu_bounds import (
    BEFORE,
    BEFORE_COUNT,
    GPUS,
    LIMIT,
    NOW,
    Clocks,
    Range,
    cell_before,
    cell_clocks,
    issue_milliseconds,
    main,
    mean_issue,
    predictions,
)
from benchmarks.speed.gpu_floor import FLOOR, PLAIN, STACKED, estimate
from nb201env.space import CONV1X1, CONV3X3, NONE, NUM_EDGES, POOL, SKIP
from nb201env.training.recipe import find_recipe

OFFICIAL, H100 = find_recipe("official-12"), GPUS["H100"]
KEPT = ROOT / "docs" / "data" / "gpu-instructions.json"
ONE_CONV = (NONE, NONE, NONE, CONV3X3, NONE, NONE)
PRIMES: Clocks = dict(
    zip(NOW, [(float(n),) * 3 for n in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)], strict=True)
)
"""A number for each kernel, so that a sum says what was added up."""


def kept(name: str) -> dict[str, list[float]]:
    """Clocks per pixel by kernel as `gpu_instructions` wrote them, with the device's Triton."""
    clocks = json.loads(KEPT.read_text())[name]["3.6.0"]["clocks per pixel"]
    return {
        kernel if op == "any" else f"{kernel} {op}": list(widths.values())
        for kernel, ops in clocks.items()
        for op, widths in ops.items()
    }


def test_the_clocks_are_those_that_were_counted() -> None:
    found = kept("now")
    assert NOW.keys() == found.keys()
    for name, clocks in NOW.items():
        assert clocks == pytest.approx(found[name], abs=0.006), name


def test_the_clocks_of_the_earlier_kernels() -> None:
    """Of which some did not exist, and one could not be told apart at 16 channels."""
    found = kept("f9c3497")
    for name in NOW.keys() - found.keys():
        assert BEFORE[name] == (0, 0, 0)
    for name, clocks in found.items():
        whole = [clocks[0] / 2, *clocks] if len(clocks) == 2 else clocks
        assert BEFORE[name] == pytest.approx(whole, abs=0.006), name


def test_a_convolution_by_hand() -> None:
    # The copy of node 0, convolve, the last node and its term, sums, the output's gradient, both gradients.
    assert cell_clocks(PRIMES, ONE_CONV, 0) == 2 + 3 + 7 + 11 + 17 + 19 + 23 + 43
    ops = (NONE, NONE, NONE, CONV1X1, NONE, NONE)
    assert cell_clocks(PRIMES, ops, 0) == 2 + 5 + 7 + 11 + 17 + 19 + 29 + 47


def test_a_skip_and_a_pooling_by_hand() -> None:
    ops = (NONE, POOL, NONE, SKIP, NONE, SKIP)
    # Nodes 2 and 3, and the gradients of nodes 0 and 2; two skips and a pooling, forward and backward.
    assert cell_clocks(PRIMES, ops, 1) == 2 * 7 + 2 * 31 + 2 * (11 + 37) + (13 + 41)


def test_convolutions_that_leave_one_node_share_its_costs() -> None:
    one, two = (cell_clocks(PRIMES, ops, 0) for ops in (ONE_CONV, (NONE, CONV3X3, NONE, CONV3X3, NONE, SKIP)))
    # More: a convolution without a copy and without the node in its gradient; node 2 with a skip.
    assert two - one == (3 + 11 + 17 + 19 + 23 - 31 + 43) + (7 + 31 + 11 + 37)


def test_issue_scales_as_it_should() -> None:
    whole = issue_milliseconds(NOW, ONE_CONV, OFFICIAL, H100)
    assert issue_milliseconds(NOW, ONE_CONV, OFFICIAL, H100, LIMIT / 2) == pytest.approx(2 * whole)
    assert issue_milliseconds(NOW, ONE_CONV, OFFICIAL, H100, side=16) == pytest.approx(whole / 4)
    assert issue_milliseconds(NOW, ONE_CONV, replace(OFFICIAL, batch=128), H100) == pytest.approx(whole / 2)
    pixels = 256 * 32 * 32
    stages = [pixels >> 2 * stage for stage in range(3)]
    clocks = sum(
        n * cell_clocks(NOW, ONE_CONV, stage) * (5 + (2 if stage else 1)) for stage, n in enumerate(stages)
    )
    assert whole == pytest.approx(1e3 * clocks / 132 / 1.75e9)


def test_widths_that_were_not_counted() -> None:
    with pytest.raises(ValueError, match="counted for networks of width 16; official-12 has 8"):
        issue_milliseconds(NOW, ONE_CONV, replace(OFFICIAL, width=8), H100)


@pytest.mark.parametrize(("gpu", "plain", "before", "now"), [
    ("H100", (5.0, 6.5), (2.1, 3.1), (1.4, 1.8)), ("H200", (5.0, 6.5), (2.0, 2.9), (1.0, 1.3)),
])  # fmt: skip
def test_the_predictions(
    gpu: str, plain: tuple[float, float], before: tuple[float, float], now: tuple[float, float]
) -> None:
    found = predictions(OFFICIAL, GPUS[gpu])
    for name, ends in (("plain loop, float32", plain), ("stacked at f9c3497, bf16, 64 at once", before),
                       ("stacked, bf16, 64 at once", now)):  # fmt: skip
        assert found[name] == pytest.approx(ends, abs=0.12), name
    assert all(low <= high for low, high in found.values())
    least = estimate(FLOOR, OFFICIAL, GPUS[gpu].bandwidth).milliseconds
    assert found["floor, bf16"] == Range(least, least)
    assert least < found["stacked, bf16, 64 at once"].low


def test_memory_is_the_longer_bound_again() -> None:
    for gpu in GPUS.values():
        assert mean_issue(NOW, OFFICIAL, gpu, 2.8) < estimate(STACKED, OFFICIAL, gpu.bandwidth).milliseconds
        memory = estimate(BEFORE_COUNT, OFFICIAL, gpu.bandwidth).milliseconds
        assert mean_issue(BEFORE, OFFICIAL, gpu, 2.8) > memory


def test_the_earlier_kernels_moved_a_little_less() -> None:
    # x -> y -> node; the nodes; (g, y) -> sums; (g, y, signs, gradients); (x, g, y) -> weights
    assert cell_before(ONE_CONV) == 2 + 1 + 3 + 2 + (1 + 1 + 6) + 3
    assert cell_before((NONE,) * NUM_EDGES) < cell_before(ONE_CONV)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--gpu", "H200"])
    printed = capsys.readouterr().out
    assert printed.startswith("H200: 132 multiprocessors at 1.9 GHz, 4.3 TB/s; nothing here was measured\n")
    assert all(f"| {count.name} |" in printed for count in (FLOOR, STACKED, PLAIN, BEFORE_COUNT))
    assert "| issue of instructions | ms at 4 a clock | ms at 2.8 a clock | ms at 2 a clock |" in printed
    assert "| stacked, bf16, 64 at once | 1.0 to 1.2 |" in printed
