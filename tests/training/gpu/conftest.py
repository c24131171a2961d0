"""Triton's kernels run on a GPU where there is one, and elsewhere in its interpreter.

PyTorch's own operations, to which they are held, round no float32 to TF32 here; see
`nb201env.training.precision`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when the kernels are defined, so before their import

from nb201env.training.precision import exact_float32


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    with exact_float32():
        yield
