"""Proxies of how signals pass, on blocks whose entropy and norm are known."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from nb201env.architecture import Architecture
from nb201env.training.proxies.flow import (
    az_nas,
    block_features,
    entropy,
    synflow,
    trainability,
    without_batch_norms,
)
from nb201env.training.proxies.gradients import layers, weight
from tests.training.proxies.small import DEAD, LIVE, TINY, images, network


def generator(seed: int = 0) -> torch.Generator:
    """A source of random numbers."""
    return torch.Generator().manual_seed(seed)


# -- synflow ---------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", LIVE, ids=str)
def test_synflow_is_how_much_more_flows_through_layers_twice_as_wide(architecture: Architecture) -> None:
    """Without batch norms the flow is linear in every layer, so doubling it adds its weights' share."""
    found = without_batch_norms(network(architecture))
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.abs_()
        ones = torch.ones(1, 1, TINY.image_size, TINY.image_size, dtype=torch.float64)
        once, total = float(found(ones).sum()), 0.0
        for layer in layers(found):
            weight(layer).mul_(2)
            total += float(found(ones).sum()) - once
            weight(layer).div_(2)
    assert synflow(network(architecture)) == pytest.approx(math.log1p(total))


def test_synflow_of_one_path() -> None:
    """Three layers of 1 x 1 on images of one pixel's worth: every weight lies on every path."""
    found = network(LIVE[2])
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.zero_()
        found.classifier.weight[0, 0] = 2.0
        found.stem[0].weight[0, 0, 1, 1] = 3.0
        for stage, block in enumerate(found.reductions):
            block.shortcut[1].weight[0, 0] = 5.0 + stage
    cell = sum_of_paths(found.stages[0][0])
    assert synflow(found) == pytest.approx(math.log1p(4 * 2 * 3 * 5 * 6 * cell**3))


def sum_of_paths(cell: torch.nn.Module) -> float:
    """What a cell of skips and poolings makes of ones."""
    found = cell(torch.ones(1, 1, 8, 8))
    assert float(found.min()) == float(found.max())
    return float(found.max())


@pytest.mark.parametrize("architecture", DEAD, ids=str)
def test_nothing_flows_through_dead_cells(architecture: Architecture) -> None:
    assert synflow(network(architecture)) == 0.0


# -- blocks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("spectrum", [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 0.0, 5.0], [3.0, 0.0, 0.0, 0.0]])
def test_the_entropy_of_a_known_spectrum(spectrum: list[float]) -> None:
    """Orthogonal signals of these variances, mixed by a rotation."""
    signs = np.array([[1, 1, 1, 1, -1, -1, -1, -1], [1, 1, -1, -1] * 2, [1, -1] * 4, [1, -1, -1, 1] * 2])
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    mixed = rotation @ (np.sqrt(spectrum)[:, None] * signs) + 7.0
    features = torch.from_numpy(mixed.reshape(4, 2, 2, 2).transpose(1, 0, 2, 3))
    parts = np.array(spectrum)[np.array(spectrum) > 0] / sum(spectrum)
    assert entropy(features) == pytest.approx(-(parts * np.log(parts)).sum(), abs=1e-6)


def test_a_block_that_gives_nothing_has_no_entropy() -> None:
    assert entropy(torch.zeros(2, 3, 4, 4)) == 0.0


def passing(before: Tensor, block: torch.nn.Module | None = None, scale: float = 1.0) -> float:
    """The trainability of a block, or of one that only scales."""
    before = before.requires_grad_()
    return trainability(before, block(before) if block else scale * before, generator())


@pytest.mark.parametrize("scale", [-1.0, 0.5, 2.0, -3.0])
def test_trainability_of_a_block_that_scales(scale: float) -> None:
    """Its norm is the scale; best is a norm of 1."""
    found = passing(torch.randn(4, 1, 8, 8), scale=scale)
    assert found == pytest.approx(2 - abs(scale) - 1 / abs(scale), abs=1e-5)


def test_a_block_that_rotates_channels_is_as_trainable_as_any() -> None:
    """As far as the random signs are uncorrelated: here of 16,384 each."""
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=generator()))[0]
    block = torch.nn.Conv2d(4, 4, 1, bias=False)
    with torch.no_grad():
        block.weight.copy_(rotation[:, :, None, None])
    assert -0.01 < passing(torch.randn(64, 4, 16, 16), block) <= 1e-5


def test_trainability_of_a_block_that_halves_the_side() -> None:
    """Each of four pixels gets a quarter: (1/4, 1/4, 1/4, 1/4) has norm 1/2."""
    before = torch.randn(4, 1, 8, 8).requires_grad_()
    assert trainability(before, avg_pool2d(before, 2), generator()) == pytest.approx(2 - 0.5 - 2, abs=1e-5)


def test_blocks_that_change_nothing_or_pass_nothing_on_are_not_trainable() -> None:
    before = torch.randn(4, 2, 8, 8).requires_grad_()
    nothing = torch.zeros(4, 2, 8, 8).requires_grad_()
    least = 2 - 1 / 1e-6
    assert trainability(before, before.clone(), generator()) == pytest.approx(least)
    assert trainability(before, nothing, generator()) == pytest.approx(least)


@pytest.mark.parametrize("architecture", [*LIVE, *DEAD], ids=str)
def test_the_scores_are_those_of_the_networks_own_blocks(architecture: Architecture) -> None:
    found = network(architecture)
    features = block_features(found, images())
    assert len(features) == 1 + 3 * TINY.cells + 2
    assert torch.equal(found.classifier(found.last(features[-1]).mean(dim=(2, 3))), found(images()))
    made = az_nas(found, images(), generator())
    each = [entropy(one.detach()) for one in features]
    assert made.expressivity == pytest.approx(sum(each))
    assert made.progressivity == pytest.approx(min(np.diff(each)))
    signs = generator()
    wanted = [trainability(*pair, signs) for pair in pairwise(features)]
    assert made.trainability == pytest.approx(np.mean(wanted), rel=1e-6)
