"""What a training asks of cuDNN and cuBLAS: float32 that is float32, and the same bits twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def exact_float32() -> Iterator[None]:
    """Within: float32 products use all 23 bits, and cuDNN takes deterministic algorithms only.

    On an NVIDIA GPU PyTorch lets cuDNN's convolutions round float32 to TF32, 10 bits of mantissa,
    unless it is told otherwise. Every trainer tells it here, so TF32 is on nowhere in this package;
    bfloat16, where a trainer uses it, is said by its `dtype`. `deterministic` and no `benchmark` are
    also what the official code asks for. On a CPU this changes nothing. Afterwards all is as before;
    works as a decorator too.
    """
    cudnn: Any = torch.backends.cudnn
    # Since PyTorch 2.9 each kind of operation has a switch; before, cuDNN had one for all.
    tf32 = (cudnn.conv, "fp32_precision", "ieee") if hasattr(cudnn, "conv") else (cudnn, "allow_tf32", False)
    switches = [tf32, (cudnn, "deterministic", True), (cudnn, "benchmark", False)]
    before = [getattr(owner, name) for owner, name, _ in switches]
    rounded = matmul_uses_tf32()
    try:
        for owner, name, value in switches:
            setattr(owner, name, value)
        if rounded:
            # This sets the old and the new switch alike; PyTorch takes a mixture of both for an error.
            torch.set_float32_matmul_precision("highest")
        yield
    finally:
        for (owner, name, _), value in zip(switches, before, strict=True):
            setattr(owner, name, value)
        if rounded:
            torch.set_float32_matmul_precision("high")


def matmul_uses_tf32() -> bool:
    """Whether somebody has let cuBLAS round float32 to TF32; PyTorch does not do so by itself."""
    matmul: Any = torch.backends.cuda.matmul
    if hasattr(torch.backends.cudnn, "conv"):
        return bool(matmul.fp32_precision == "tf32")
    return bool(matmul.allow_tf32)
