"""All proxies of a network together: a function of architecture, images and seed."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from nb201env.architecture import Architecture
from nb201env.space import CONV3X3, NONE, POOL, SKIP
from nb201env.training.network import Skeleton, initial_network
from nb201env.training.proxies.gradients import layers, weight
from nb201env.training.proxies.measure import SOURCES, Batch, draw_weights, score
from tests.training.proxies.small import DEAD, LIVE, TINY, images, labels

BATCH = Batch(images().float(), labels())


def scores(architecture: Architecture, seed: int = 0) -> dict[str, float]:
    """Of a tiny network."""
    return score(architecture, TINY, BATCH, seed)


@pytest.mark.parametrize("architecture", [*LIVE, *DEAD], ids=str)
def test_every_network_has_a_finite_score_by_every_formula(architecture: Architecture) -> None:
    found = scores(architecture)
    assert [*found] == sorted(SOURCES)
    assert all(map(math.isfinite, found.values()))


def test_scores_are_a_function_of_the_seed() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one, again, other = scores(LIVE[0]), scores(LIVE[0]), scores(LIVE[0], seed=1)
    assert one == again
    assert all(one[name] != other[name] for name in SOURCES)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_networks_that_cannot_learn_are_the_last() -> None:
    """By all proxies that promise anything of them."""
    for name in {*SOURCES} - {"plain", "l2_norm"}:
        assert max(scores(one)[name] for one in DEAD) < min(scores(one)[name] for one in LIVE[:2]), name


def test_members_of_a_class_differ_by_their_draw_alone() -> None:
    """Sums in another order are the same sum."""
    one, other = (
        Architecture((SKIP, NONE, NONE, POOL, SKIP, NONE)),
        Architecture((POOL, SKIP, NONE, NONE, SKIP, SKIP)),
    )
    assert scores(one) == pytest.approx(scores(other), rel=1e-3)


def test_weights_are_drawn_with_the_variance_that_is_asked_for() -> None:
    network = initial_network(Architecture((CONV3X3,) * 6), Skeleton(width=64, cells=1), 0)
    for fan_in in (True, False):
        draw_weights(network, torch.Generator().manual_seed(0), fan_in=fan_in)
        for layer in layers(network):
            wanted = 2 / weight(layer)[0].numel() if fan_in else 1.0
            count = weight(layer).numel()
            spread = 4 * wanted * math.sqrt(2 / count)
            assert float(weight(layer).detach().var()) == pytest.approx(wanted, abs=spread)
            if isinstance(layer, nn.Linear):
                assert float(layer.bias.detach().abs().max()) == 0.0
