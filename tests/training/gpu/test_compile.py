"""The kernels compile for GPUs that are not there: what the interpreter lets pass, a compiler may not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SHARED = {80: 163 * 1024, 89: 99 * 1024, 90: 227 * 1024}
"""Bytes of shared memory that one program may have: A100, RTX 40 series, H100 and H200."""


def check(capability: int, dtype: str, widths: tuple[int, ...]) -> None:
    pytest.importorskip("triton")
    command = [sys.executable, "-m", "tests.training.gpu.compile_kernels", str(capability), dtype]
    environment = os.environ | {"TRITON_INTERPRET": "0"}
    done = subprocess.run(
        [*command, *map(str, widths)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["kernel"] for line in found} == {
        "rectify", "convolve", "finish_statistics", "node_sum", "norm_sums", "finish_sums",
        "output_gradient", "data_gradient", "weight_gradient", "finish_weights",
    }  # fmt: skip
    for line in found:
        assert line["binary"] > 0
        assert line["shared"] <= SHARED[capability], line
        multiplies = line["kernel"] in ("convolve", "data_gradient", "weight_gradient")
        assert line["mma"] == (multiplies and dtype == "bfloat16"), line
        assert line["spilled"] == 0, line


def test_the_first_stage_on_an_h200() -> None:
    check(90, "bfloat16", (16,))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("capability", "dtype"), [(90, "bfloat16"), (80, "bfloat16"), (89, "bfloat16"), (90, "float32")]
)
def test_all_stages(capability: int, dtype: str) -> None:
    check(capability, dtype, (16, 32, 64))
