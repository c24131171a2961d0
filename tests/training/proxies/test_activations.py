"""Proxies of how well images are told apart, beside loops, finite differences and NumPy's own formulas."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from nb201env.architecture import Architecture
from nb201env.space import CONV1X1, NONE, SKIP
from nb201env.training.network import Network
from nb201env.training.proxies.activations import LEAST, Response, epe_nas, jacov, nwot, zen
from tests.training.proxies.small import DEAD, LIVE, images, labels, network


def response(found: Network, count: int = 6) -> Response:
    """A network on some images."""
    return Response(found, images(count), labels(count))


def patterns(found: Network, count: int) -> list[list[bool]]:
    """Which units of all ReLUs each image turns on."""
    outputs: list[Tensor] = []
    hooks = [
        unit.register_forward_hook(lambda _, __, output: outputs.append(output))
        for unit in found.modules() if isinstance(unit, nn.ReLU)
    ]  # fmt: skip
    found(images(count))
    for hook in hooks:
        hook.remove()
    return [[value > 0 for output in outputs for value in output[one].flatten().tolist()]
            for one in range(count)]  # fmt: skip


@pytest.mark.parametrize("architecture", LIVE, ids=str)
def test_nwot_by_hand(architecture: Architecture) -> None:
    """The determinant of three rows by the rule of Sarrus."""
    found = network(architecture)
    on = patterns(found, 3)
    k = [[sum(a == b for a, b in zip(one, other, strict=True)) for other in on] for one in on]
    plus = sum(k[0][i] * k[1][(i + 1) % 3] * k[2][(i + 2) % 3] for i in range(3))
    minus = sum(k[0][i] * k[1][(i - 1) % 3] * k[2][(i - 2) % 3] for i in range(3))
    assert response(found, 3).agreement.tolist() == k
    assert nwot(response(found, 3)) == pytest.approx(math.log(plus - minus))


@pytest.mark.parametrize("architecture", LIVE, ids=str)
def test_the_jacobian_by_finite_differences(architecture: Architecture) -> None:
    found, step, given = network(architecture), 1e-6, images()
    wanted = np.zeros((6, 64))
    with torch.no_grad():
        for image, pixel in itertools.product(range(6), range(64)):
            sides = []
            for side in (step, -step):
                moved = given.clone()
                moved[image].view(-1)[pixel] += side
                sides.append(float(found(moved).sum()))
            wanted[image, pixel] = (sides[0] - sides[1]) / (2 * step)
    assert response(found).jacobian == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("architecture", LIVE, ids=str)
def test_jacov_and_epe_nas_by_numpys_correlations(architecture: Architecture) -> None:
    made = response(network(architecture))
    values: Any = np.linalg.eigvalsh(np.corrcoef(made.jacobian)) + 1e-5
    assert jacov(made) == pytest.approx(-(np.log(values) + 1 / values).sum(), rel=1e-6)
    of_labels: list[Any] = [np.corrcoef(made.jacobian[label::3]) for label in range(3)]
    wanted = sum(abs(np.log(abs(one) + 1e-5).sum()) for one in of_labels)
    assert epe_nas(made) == pytest.approx(wanted)


@pytest.mark.parametrize("architecture", DEAD, ids=str)
def test_a_network_that_pays_no_heed_to_images_is_the_last(architecture: Architecture) -> None:
    """All its images are alike: one eigenvalue is their number, the others are 0."""
    made = response(network(architecture))
    assert nwot(made) == LEAST < min(nwot(response(network(one))) for one in LIVE)
    alike = -(math.log(6 + 1e-5) + 1 / (6 + 1e-5)) - 5 * (math.log(1e-5) + 1e5)
    assert jacov(made) == pytest.approx(alike)
    assert jacov(made) < min(jacov(response(network(one))) for one in LIVE)
    assert epe_nas(made) == pytest.approx(3 * 4 * math.log(1 + 1e-5))
    assert epe_nas(made) < min(epe_nas(response(network(one))) for one in LIVE)


# -- zen -------------------------------------------------------------------------------------


def zen_of(found: Network) -> float:
    """On two draws of noise."""
    with torch.no_grad():
        return zen(found, images(seed=3), images(seed=4))


@pytest.mark.parametrize("architecture", LIVE, ids=str)
def test_zen_in_numpy(architecture: Architecture) -> None:
    found = network(architecture)
    inputs: list[Any] = []
    features: list[Any] = []
    hooks = [found.last.register_forward_hook(lambda _, __, output: features.append(output.numpy()))]
    hooks += [
        unit.register_forward_pre_hook(lambda _, given: inputs.append(given[0].numpy()))
        for unit in found.modules() if isinstance(unit, nn.BatchNorm2d)
    ]  # fmt: skip
    with torch.no_grad():
        found(images(seed=3))
        scales = [math.sqrt(one.var(axis=(0, 2, 3)).mean()) for one in inputs]
        found(images(seed=3) + 0.01 * images(seed=4))
    for hook in hooks:
        hook.remove()
    moved = np.abs(features[0] - features[1]).sum(axis=(1, 2, 3)).mean()
    assert zen_of(found) == pytest.approx(math.log(moved) + sum(map(math.log, scales)))


def test_zen_takes_back_what_batch_norms_do_to_the_scale() -> None:
    """A convolution that is three times as large changes nothing behind its batch norm."""
    found = network()
    before = zen_of(found)
    with torch.no_grad():
        found.stem[0].weight *= 3
    assert zen_of(found) == pytest.approx(before + math.log(3))


def test_zen_does_not_count_a_batch_norm_of_nothing() -> None:
    """Behind a convolution of a zero node."""
    bare = network(Architecture((NONE, NONE, NONE, SKIP, NONE, NONE)))
    whole = network(Architecture((NONE, NONE, NONE, SKIP, NONE, CONV1X1)), seed=3)
    for module in whole.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-20
    whole.load_state_dict(bare.state_dict(), strict=False)
    assert zen_of(whole) == pytest.approx(zen_of(bare), abs=1e-9)
