"""The fused trainer does what the plain one does, to rounding, for every op on every edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from nb201env import Architecture
from nb201env.space import NUM_EDGES, NUM_OPS, SIZE
from training.data import Data
from training.fused import ManyNetworks, convolve, halve, train_fused
from training.loop import train_plain
from training.network import Skeleton, initial_network
from training.recipe import find_recipe
from training.tasks import load_task

TINY = Skeleton(width=4, cells=2, classes=10, image_size=8, channels=1)
ONE_OP = [Architecture((op,) * NUM_EDGES) for op in range(NUM_OPS)]
SWAPPED = [
    Architecture((1,) * NUM_EDGES).replace(edge, op) for edge in range(NUM_EDGES) for op in range(NUM_OPS)
]
MIXED = [Architecture.from_index(int(i)) for i in np.random.default_rng(4).choice(SIZE, 24)]


def to_many(images: torch.Tensor) -> torch.Tensor:
    """[B, C, H, W] to [1, C, W, H, B]."""
    return images.permute(1, 3, 2, 0)[None].contiguous()


@pytest.mark.parametrize("side", [4, 8, 12])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_convolutions(side: int, kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(5, 3, side, side), torch.randn(6, 3, kernel, kernel)
    x.requires_grad_()
    weight.requires_grad_()
    plain = functional.conv2d(x, weight, stride=stride, padding=kernel // 2)
    many = convolve(to_many(x), weight[None], stride)
    torch.testing.assert_close(many, to_many(plain), rtol=1e-5, atol=1e-5)
    upstream = torch.randn_like(plain)
    expected = torch.autograd.grad(plain, (x, weight), upstream)
    found = torch.autograd.grad(many, (x, weight), to_many(upstream))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_halving_is_average_pooling() -> None:
    x = torch.randn(3, 2, 8, 8)
    torch.testing.assert_close(halve(to_many(x)), to_many(functional.avg_pool2d(x, 2)))


@pytest.mark.parametrize(
    "architectures", [ONE_OP, SWAPPED, MIXED], ids=["one-op", "every-op-and-edge", "mixed"]
)
def test_outputs_and_gradients(architectures: list[Architecture]) -> None:
    torch.manual_seed(1)
    networks = [initial_network(a, TINY, seed=9) for a in architectures]
    many = ManyNetworks([initial_network(a, TINY, seed=9) for a in architectures])
    images, labels = torch.randn(16, 1, 8, 8), torch.randint(0, 10, (16,))
    logits = many(images)
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.repeat(len(networks)), reduction="none")
    losses.view(len(networks), -1).mean(1).sum().backward()
    for k, network in enumerate(networks):
        expected = network(images)
        torch.testing.assert_close(logits[k], expected, rtol=1e-4, atol=1e-5)
        functional.cross_entropy(expected, labels).backward()
        stem = network.stem[0].weight
        from_plain = torch.zeros_like(stem) if stem.grad is None else stem.grad  # None: nothing passes
        torch.testing.assert_close(many.stem.weight.grad[k], from_plain, rtol=2e-3, atol=2e-4)
        torch.testing.assert_close(many.weight.grad[k], network.classifier.weight.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("architectures", [ONE_OP, MIXED[:6]], ids=["one-op", "mixed"])
def test_the_first_epoch_of_training(architectures: list[Architecture]) -> None:
    """Rounding grows with every step, so only two steps are compared closely."""
    recipe = replace(find_recipe("smoke-2"), epochs=1, width=4, pad=4)
    data = load_task("digits")
    plain, networks = train_plain(architectures, data, recipe, seed=3)
    fused, stored = train_fused(architectures, data, recipe, seed=3)
    np.testing.assert_allclose(fused.loss["train"], plain.loss["train"], rtol=1e-4)
    np.testing.assert_allclose(fused.loss["test"], plain.loss["test"], rtol=5e-3)
    assert np.abs(fused.correct["train"] - plain.correct["train"]).max() <= 1
    for one, two in zip(networks, stored, strict=True):
        for name, value in one.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                torch.testing.assert_close(two.state_dict()[name], value, rtol=2e-2, atol=2e-3)


def test_networks_do_not_touch_each_other() -> None:
    """A network ends the same, to rounding, whatever it was trained together with."""
    recipe, data = replace(find_recipe("smoke-2"), epochs=1), load_task("digits")
    alone = train_fused(MIXED[:1], data, recipe, seed=1)[0]
    together = train_fused(MIXED[:5], data, recipe, seed=1)[0]
    np.testing.assert_allclose(together.loss["train"][0], alone.loss["train"][0], rtol=1e-4)


@pytest.mark.slow
def test_whole_runs_agree_in_distribution() -> None:
    """Over full runs rounding turns into noise, which must not favour either trainer."""
    recipe = replace(find_recipe("smoke-2"), epochs=6, width=4, train_images=512)
    data: Data = load_task("digits")
    some = [Architecture.from_index(int(i)) for i in np.random.default_rng(0).choice(SIZE, 64)]
    plain, fused = (train(some, data, recipe, 5)[0] for train in (train_plain, train_fused))
    difference = (fused.correct["valid"][:, -1] - plain.correct["valid"][:, -1]) / 500
    assert abs(difference.mean()) < 3 * difference.std() / np.sqrt(len(some)) + 0.002
