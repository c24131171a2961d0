"""Parts of the check, run in this process, and what their verdicts must say."""

from __future__ import annotations

import torch

from nb201env import Architecture
from nb201env.training.gpu.check import Verdict, run_part, usable
from nb201env.training.gpu.checks.setting import Setting
from tests.training.gpu.common import DEVICE


def verdict_on(
    part: str, dtype: torch.dtype = torch.bfloat16, backend: str = "torch", batch: int = 4, networks: int = 32
) -> Verdict:
    return run_part(part, Setting(torch.device(DEVICE), backend, dtype, batch, networks))


def wrong(verdict: Verdict, tensor: str, architecture: str = "") -> None:
    """The verdict is no, and says so with this tensor and an architecture that has this op."""
    assert not verdict["ok"]
    assert verdict["tensor"].startswith(tensor), verdict["problem"]
    assert architecture in verdict["architecture"], verdict["problem"]
    assert Architecture.parse(verdict["architecture"])
    assert verdict["error"] is None or verdict["error"] > verdict["allowed"]
    assert verdict["tensor"] in verdict["problem"]
    assert verdict["architecture"] in verdict["problem"]
    assert usable([verdict]) == ["plain"]
