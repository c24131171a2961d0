"""The check on Triton's kernels: it passes them, and finds a fault planted in a copy of one's source.

Where there is no GPU they run in Triton's interpreter, in float16.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from nb201env import Architecture
from nb201env.space import CONV1X1, CONV3X3, POOL, SKIP
from nb201env.training.gpu.check import Verdict
from nb201env.training.gpu.checks import blocks
from tests.training.gpu.common import DEVICE
from tests.training.gpu.verdicts import verdict_on, wrong

pytest.importorskip("triton")
from nb201env.training.gpu import passes

MIXED = Architecture((CONV3X3, POOL, CONV1X1, CONV3X3, SKIP, CONV3X3))


def half() -> torch.dtype:
    return torch.bfloat16 if DEVICE == "cuda" else torch.float16


def triton_verdict(monkeypatch: pytest.MonkeyPatch, part: str = "cells2x2") -> Verdict:
    """The verdict on one part. NumPy, which interprets, is as silent about what is not a number as a GPU."""
    monkeypatch.setattr(blocks, "architectures", lambda count: [MIXED])
    with np.errstate(all="ignore"):
        return verdict_on(part, half(), "triton", batch=2, networks=1)


def plant(monkeypatch: pytest.MonkeyPatch, folder: Path, kernels: str, right: str, planted: str) -> None:
    """Start kernels from a copy of their source in which one place is another."""
    module: ModuleType = getattr(passes, kernels)
    assert module.__file__ is not None
    source = Path(module.__file__).read_text()
    assert source.count(right) == 1, f"plant it elsewhere: {right}"
    file = folder / f"wrong_{kernels}.py"
    file.write_text(source.replace(right, planted))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    monkeypatch.setattr(passes, kernels, other)


@pytest.mark.parametrize("part", ["cells2x2", "convs2x4"])
def test_the_kernels_pass(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = triton_verdict(monkeypatch, part)
    assert verdict["ok"], verdict["problem"]
    assert verdict["of_allowed"] < 0.67, verdict["closest"]


KERNEL_FAULTS: dict[str, tuple[str, str, str, str]] = {
    "a tap of the convolution is shifted": (
        "kernels", "offset = ((tap // 3 - 1) * (W * STRIDE) + tap % 3 - 1) * CI",
        "offset = ((tap // 3 - 1) * (W * STRIDE) + tap % 3 - 1 - (tap == 8)) * CI", "",
    ),
    "the variance does not move": (
        "kernels", "old + momentum * (squares / (pixels - 1) - old)", "old", "moved variance",
    ),
    "the variance is that of the batch": (
        "kernels", "squares / (pixels - 1)", "squares / pixels", "moved variance",
    ),
    "the last pixel of a tile is left out": (
        "kernels", "bits = tl.where(p < pixels, taps_inside(p, H, W, STRIDE), 0)",
        "bits = tl.where(p < pixels - 1, taps_inside(p, H, W, STRIDE), 0)", "",
    ),
    "the last pixel is not written": (
        "kernels", "    known = (p < pixels)[:, None] & (co < CO)[None, :]\n    stored",
        "    known = (p < pixels - 1)[:, None] & (co < CO)[None, :]\n    stored", "",
    ),
    "kernels are not turned": ("kernels_backward", "(8 - tap) * (CI * CO)", "tap * (CI * CO)", "d_"),
    "no ReLU in the gradient": ("kernels_backward", "tl.where(sign > 0, total, 0.0)", "total", "d_"),
    "the gradient's mean stays": (
        "kernels_backward", "value = gradient - offset[None, :] -", "value = gradient -", "d_",
    ),
    "a weight's gradient lacks a row of taps": (
        "kernels_backward", "tl.store(partial + 2 * TAPS * CI * CO, total2, there)",
        "tl.store(partial + 2 * TAPS * CI * CO, total0, there)", "d_weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", KERNEL_FAULTS)
def test_a_fault_in_one_kernel(fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernels, right, planted, tensor = KERNEL_FAULTS[fault]
    plant(monkeypatch, tmp_path, kernels, right, planted)
    wrong(triton_verdict(monkeypatch), tensor, str(MIXED))
