"""Proxies of the loss's gradient, beside finite differences and formulas written out in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nb201env.architecture import Architecture
from nb201env.space import CONV1X1, CONV3X3, NONE
from nb201env.training.network import Network
from nb201env.training.proxies.gradients import (
    Watched,
    fisher,
    grad_norm,
    l2_norm,
    layers,
    plain,
    snip,
    weight,
    zico,
)
from tests.training.proxies.small import DEAD, LIVE, images, labels, network, numeric


def flat(layer: nn.Module) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A layer's weight as one row."""
    return weight(layer).detach().numpy().ravel()


def watched(found: Network, seed: int = 1) -> Watched:
    """A network on six images."""
    return Watched(found, images(seed=seed), labels())


@pytest.mark.parametrize("architecture", LIVE, ids=str)
def test_grad_norm_snip_and_plain_by_finite_differences(architecture: Architecture) -> None:
    found = network(architecture)
    made = watched(found)
    with torch.no_grad():
        gradients = numeric(found, lambda: cross_entropy(found(images()), labels()))
    pairs = [(g, flat(layer)) for g, layer in zip(gradients, layers(found), strict=True)]
    assert grad_norm(made) == pytest.approx(sum(np.linalg.norm(g) for g, _ in pairs), rel=1e-5)
    assert snip(made) == pytest.approx(sum(np.abs(g * w).sum() for g, w in pairs), rel=1e-5)
    assert plain(made) == pytest.approx(sum((g * w).sum() for g, w in pairs), abs=1e-6)


@pytest.mark.parametrize("architecture", LIVE, ids=str)
def test_plain_is_that_of_layers_without_a_batch_norm_behind_them(architecture: Architecture) -> None:
    """The loss does not depend on the scale of the others' weights, so gradient and weight are orthogonal."""
    found = network(architecture)
    made = watched(found)
    free = {found.classifier, *(block.shortcut[1] for block in found.reductions)}
    pairs = zip(made.used, made.gradients, strict=True)
    parts = {layer: float((g * weight(layer)).detach().sum()) for layer, g in pairs}
    assert all(abs(part) < 1e-9 for layer, part in parts.items() if layer not in free)
    assert plain(made) == pytest.approx(sum(parts[layer] for layer in free), abs=1e-9)
    assert abs(plain(made)) > 1e-3


@pytest.mark.parametrize("architecture", LIVE, ids=str)
def test_fisher_is_the_gradient_in_gates_of_every_image_and_channel(architecture: Architecture) -> None:
    found = network(architecture)
    gates: list[Tensor] = []

    def gated(_: nn.Module, __: object, output: Tensor) -> Tensor:
        shape = [*output.shape[:2], *[1] * (output.ndim - 2)]
        gates.append(torch.ones(shape, dtype=torch.float64, requires_grad=True))
        return output * gates[-1]

    hooks = [layer.register_forward_hook(gated) for layer in layers(found)]
    loss = cross_entropy(found(images()), labels())
    for hook in hooks:
        hook.remove()
    by_gate = torch.autograd.grad(loss, gates)
    wanted = sum(float((g.flatten(1) ** 2).mean(0).sum()) / 2 for g in by_gate)
    assert fisher(watched(found)) == pytest.approx(wanted)


def test_zico_in_numpy() -> None:
    found = network()
    batches = [watched(found, seed) for seed in (1, 2, 3)]
    wanted = 0.0
    for layer in range(len(batches[0].gradients)):
        values = np.stack([batch.gradients[layer].numpy().ravel() for batch in batches])
        wanted += math.log((np.abs(values).mean(0) / values.std(0)).sum())
    assert zico(batches) == pytest.approx(wanted)


def test_zico_of_gradients_that_do_not_vary_is_nothing() -> None:
    found = network()
    assert zico([watched(found), watched(found)]) == 0.0


def test_l2_norm_counts_the_layers_that_reach_the_output() -> None:
    found = network()
    assert l2_norm(watched(found)) == pytest.approx(sum(np.linalg.norm(flat(one)) for one in layers(found)))
    dead = network(Architecture((CONV3X3, NONE, NONE, CONV1X1, NONE, NONE)))
    all_of_it = sum(np.linalg.norm(flat(one)) for one in layers(dead))
    unused = sum(np.linalg.norm(flat(cells[0].edges[0][1])) for cells in dead.stages)
    assert l2_norm(watched(dead)) == pytest.approx(all_of_it - unused)


@pytest.mark.parametrize("architecture", DEAD, ids=str)
def test_cells_that_ignore_their_input_have_gradients_only_behind_them(architecture: Architecture) -> None:
    made = watched(network(architecture))
    assert grad_norm(made) == pytest.approx(0.0, abs=1e-12)
    assert snip(made) == pytest.approx(0.0, abs=1e-12)
    assert zico([made, made]) == 0.0


def test_dead_edges_change_no_score() -> None:
    """Members of a class compute one function: with the same weights they have the same scores."""
    whole = network(Architecture((CONV3X3, NONE, NONE, CONV1X1, NONE, NONE)))
    bare = network(Architecture((NONE, NONE, NONE, CONV1X1, NONE, NONE)), seed=5)
    bare.load_state_dict(whole.state_dict(), strict=False)
    one, other = watched(whole), watched(bare)
    for formula in (grad_norm, snip, plain, fisher, l2_norm):
        assert formula(one) == formula(other)
