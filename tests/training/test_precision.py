"""float32 is float32: TF32 is off in every training and evaluation, and only there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from nb201env import Architecture
from nb201env.training.gpu.graphs import train_graphs
from nb201env.training.gpu.trainer import train_stacked
from nb201env.training.images.tasks import load_task
from nb201env.training.loop import Alone, evaluate, skeleton_for, train_plain
from nb201env.training.network import initial_network
from nb201env.training.precision import exact_float32, matmul_uses_tf32
from nb201env.training.recipe import find_recipe

DATA = load_task("digits").to("cuda" if torch.cuda.is_available() else "cpu")
RECIPE = replace(find_recipe("smoke-2"), epochs=1, train_images=8, batch=8)
SOME = [Architecture((3, 1, 2, 4, 0, 3))]


def convolutions_use_tf32() -> bool:
    """Whether cuDNN may round float32 to TF32; PyTorch lets it unless it is told otherwise."""
    cudnn: Any = torch.backends.cudnn
    return bool(cudnn.conv.fp32_precision == "tf32" if hasattr(cudnn, "conv") else cudnn.allow_tf32)


def switches() -> dict[str, Any]:
    return {
        "convolutions": convolutions_use_tf32(), "matmul": matmul_uses_tf32(),
        "deterministic": torch.backends.cudnn.deterministic, "benchmark": torch.backends.cudnn.benchmark,
    }  # fmt: skip


EXACT = {"convolutions": False, "matmul": False, "deterministic": True, "benchmark": False}
LOOSE = {"convolutions": True, "matmul": True, "deterministic": False, "benchmark": True}


@pytest.fixture
def loose() -> Iterator[None]:
    """Somebody has asked for speed everywhere."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    yield
    torch.backends.cudnn.benchmark = False
    torch.set_float32_matmul_precision("highest")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The switches at every loss, and at every step of the optimizer, so after every backward pass."""
    found: list[dict[str, Any]] = []

    def noting(work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **named: Any) -> Any:
            found.append(switches())
            return work(*arguments, **named)

        return noted

    monkeypatch.setattr(functional, "cross_entropy", noting(functional.cross_entropy))
    monkeypatch.setattr(torch.optim.SGD, "step", noting(torch.optim.SGD.step))
    return found


def test_what_pytorch_does_by_itself() -> None:
    """The reason for all this; if it fails, PyTorch has thought better of it."""
    assert convolutions_use_tf32()


@pytest.mark.parametrize("train", [train_plain, train_graphs, train_stacked])
def test_trainings_are_exact(train: Callable[..., Any], seen: list[dict[str, Any]], loose: None) -> None:
    assert switches() == LOOSE
    train(SOME, DATA, RECIPE, 1)
    assert len(seen) >= 10  # a batch's loss and its step, and two evaluations of 500 images
    assert all(one == EXACT for one in seen)
    assert switches() == LOOSE


def test_evaluations_are_exact(seen: list[dict[str, Any]]) -> None:
    network = initial_network(SOME[0], skeleton_for(DATA, RECIPE), 1).to(DATA.mean.device)
    evaluate(Alone(network), DATA, DATA.splits["valid"])
    assert all(one == EXACT for one in seen)


def test_an_error_puts_the_switches_back(loose: None) -> None:
    found = []

    @exact_float32()
    def fail() -> None:
        found.append(switches())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert found == [EXACT]
    assert switches() == LOOSE
