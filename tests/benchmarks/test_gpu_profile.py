"""Where a step's time goes: every launch is counted, and what is printed adds up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.speed import gpu_profile

DEVICE = torch.device("cpu")


def test_launches_and_seconds_are_per_step() -> None:
    x = torch.randn(300, 300)

    def work() -> None:
        for _ in range(4):
            x.mm(x).mm(x)

    kernels = gpu_profile.kernel_times(work, DEVICE, 4)
    assert kernels[0]["name"] == "aten::mm"  # the slowest comes first
    assert kernels[0]["launches"] == 2
    alone = gpu_profile.kernel_times(work, DEVICE, 1)
    assert alone[0]["launches"] == 8
    assert alone[0]["seconds"] > 2 * kernels[0]["seconds"]


def test_a_table_adds_up() -> None:
    names = [*(f"kernel {k}" for k in range(20)), "a|b"]
    kernels = [{"name": name, "launches": 2.0, "seconds": 0.001} for name in names]
    found = {
        "row": "stacked:64",
        "shape": "small-12",
        "device": "a card",
        "step_seconds": 0.028,
        "kernels": kernels,
    }
    lines = gpu_profile.markdown(found)
    assert lines[0] == "stacked:64 on small-12, a card: 28.00 ms a step"
    assert lines[4] == "| kernel 0 | 2 | 1.00 | 4% |"
    assert lines[-2:] == ["| 6 others | 12 | 6.00 | 21% |", "| all | 42 | 21.00 | 75% |"]


def test_the_command_in_miniature(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "profile.json"
    gpu_profile.main(["--device", "cpu", "--row", "stacked:2", "--steps", "1", "--json", str(file)])
    found, said = json.loads(file.read_text()), capsys.readouterr().out
    assert (found["row"], found["backend"], found["steps"]) == ("stacked:2", "torch", 1)
    assert any(kernel["name"] == "aten::bmm" for kernel in found["kernels"])
    assert "\n".join(gpu_profile.markdown(found)) in said
    gpu_profile.main(["--show", str(file)])
    assert capsys.readouterr().out == said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        gpu_profile.main([])
    assert stopped.value.code == 2
    assert "sees no NVIDIA GPU here" in capsys.readouterr().err
