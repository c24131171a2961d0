"""The compiled trainer does what the plain one does, to rounding, for every op on every edge."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from nb201env import Architecture
from nb201env.space import NUM_EDGES, NUM_OPS, SIZE
from nb201env.training.compiled import kernels
from nb201env.training.compiled.layout import RUNNING, WEIGHT, lay_out
from nb201env.training.compiled.trainer import Model
from nb201env.training.data import Data, batches
from nb201env.training.images.tasks import load_task
from nb201env.training.loop import DivergedTraining, evaluate, skeleton_for, train_plain
from nb201env.training.network import Skeleton, initial_network, live_ops
from nb201env.training.recipe import Recipe, find_recipe
from nb201env.training.trainers import train_compiled

ONE_OP = [Architecture((op,) * NUM_EDGES) for op in range(NUM_OPS)]
SWAPPED = [
    Architecture((1,) * NUM_EDGES).replace(edge, op) for edge in range(NUM_EDGES) for op in range(NUM_OPS)
]
MIXED = [Architecture.from_index(int(i)) for i in np.random.default_rng(4).choice(SIZE, 24)]
SMALL = replace(find_recipe("smoke-2"), epochs=1, width=4, pad=4)


def flat(images: torch.Tensor) -> Any:
    """[B, C, H, W] to [C, H, W * B]."""
    return images.detach().permute(1, 2, 3, 0).flatten(2).contiguous().numpy()


def padded(images: torch.Tensor) -> Any:
    """[B, C, H, W] to [C, H + 2, (W + 2) * B] with a border of zeros."""
    return flat(functional.pad(images, (1, 1, 1, 1)))


@pytest.mark.parametrize("side", [4, 8, 12])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("batch", [1, 5, 16])
def test_convolutions_3x3(side: int, stride: int, batch: int) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(batch, 3, side, side), torch.randn(6, 3, 3, 3)
    x.requires_grad_()
    weight.requires_grad_()
    out = functional.conv2d(x, weight, stride=stride, padding=1)
    upstream = torch.randn_like(out)
    x_grad, weight_grad = torch.autograd.grad(out, (x, weight), upstream)

    ours, w = flat(torch.ones_like(out)), weight.detach().numpy()
    kernels.convolve_3x3(padded(x), w, ours, batch, stride)
    np.testing.assert_allclose(ours, flat(out) + 1, rtol=1e-4, atol=1e-5)
    found = np.empty_like(w)
    kernels.weight_grad_3x3(padded(x), flat(upstream), found, batch, stride)
    np.testing.assert_allclose(found, weight_grad.numpy(), rtol=1e-4, atol=1e-4)
    if stride == 1:
        turned, into = np.empty((3, 6, 3, 3), np.float32), np.zeros_like(flat(x))
        kernels.turned(w, turned)
        kernels.convolve_3x3(padded(upstream), turned, into, batch, 1)
    else:
        border = np.empty_like(padded(x))
        kernels.input_grad_3x3_stride_2(flat(upstream), w, border, batch)
        into = border[:, 1:-1, batch:-batch]
    np.testing.assert_allclose(into, flat(x_grad), rtol=1e-4, atol=1e-4)


def test_convolutions_1x1() -> None:
    rng = np.random.default_rng(0)
    x, w, g = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 40), (5, 3), (5, 40)))
    out, x_grad, w_grad = np.ones_like(g), np.ones_like(x), np.empty_like(w)
    kernels.convolve_1x1(x, w, out)
    kernels.convolve_1x1(g, w.T, x_grad)
    kernels.weight_grad_1x1(x, g, w_grad)
    np.testing.assert_allclose(out, 1 + w @ x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(x_grad, 1 + w.T @ g, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(w_grad, g @ x.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("relu", [True, False])
def test_padding(relu: bool) -> None:
    """Whatever was in the memory before, the border is zero."""
    x = torch.randn(3, 2, 4, 4)
    out = np.full_like(padded(x), 7)
    kernels.pad(flat(x), out, 3, relu)
    np.testing.assert_array_equal(out, padded(x.relu() if relu else x))


@pytest.mark.parametrize("count", [2, 64])
def test_batch_norm(count: int) -> None:
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm1d(5)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    z = (3 * torch.randn(count, 5) + 1).requires_grad_()
    affine = np.stack([norm.weight.detach().numpy(), norm.bias.detach().numpy()])
    running = np.stack([np.zeros(5, np.float32), np.ones(5, np.float32)])
    expected = norm(z)
    upstream = torch.randn_like(expected)
    grads = torch.autograd.grad(expected, (z, norm.weight, norm.bias), upstream)

    normal, scale = z.detach().numpy().T.copy(), np.empty(5, np.float32)
    out = np.zeros_like(normal)
    kernels.normalise(normal, affine, running, scale, out)
    np.testing.assert_allclose(out.T, expected.detach(), rtol=1e-4, atol=1e-4)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    np.testing.assert_allclose(running[0], norm.running_mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(running[1], norm.running_var, rtol=1e-4)
    z_grad, norm_grad = np.empty_like(normal), np.empty_like(affine)
    kernels.normalise_grad(upstream.numpy().T.copy(), normal, affine, scale, norm_grad, z_grad)
    np.testing.assert_allclose(z_grad.T, grads[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(norm_grad[0], grads[1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(norm_grad[1], grads[2], rtol=1e-3, atol=1e-4)

    fixed = np.zeros_like(normal)
    kernels.normalise_fixed(z.detach().numpy().T.copy(), affine, running, fixed)
    np.testing.assert_allclose(fixed.T, norm.eval()(z).detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [2, 4, 8])
def test_pooling(side: int) -> None:
    x = torch.randn(3, 2, side, side, requires_grad=True)
    expected = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    upstream = torch.randn_like(expected)
    (x_grad,) = torch.autograd.grad(expected, x, upstream)
    line, counts = np.empty((side + 2) * 3, np.float32), kernels.pool_counts(side)
    out = np.zeros_like(flat(x))
    kernels.box_sum(padded(x), line, counts, out, 3)
    np.testing.assert_allclose(out, flat(expected), rtol=1e-4, atol=1e-6)
    weighed, back = np.empty_like(out), np.zeros_like(out)
    kernels.scaled(flat(upstream), counts, weighed, 3)
    grid = torch.from_numpy(weighed).view(2, side, side, 3).permute(3, 0, 1, 2)
    kernels.box_sum(padded(grid), line, np.ones_like(counts), back, 3)
    np.testing.assert_allclose(back, flat(x_grad), rtol=1e-4, atol=1e-6)


def test_halving() -> None:
    x = torch.randn(3, 2, 8, 8, requires_grad=True)
    expected = functional.avg_pool2d(x, 2)
    upstream = torch.randn_like(expected)
    (x_grad,) = torch.autograd.grad(expected, x, upstream)
    out, back = np.empty_like(flat(expected)), np.zeros_like(flat(x))
    kernels.halve(flat(x), out, 3)
    kernels.halve_grad(flat(upstream), back, 3)
    np.testing.assert_allclose(out, flat(expected), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(back, flat(x_grad), rtol=1e-5, atol=1e-6)


def test_classifying() -> None:
    torch.manual_seed(0)
    features, weight, bias = torch.randn(9, 6), torch.randn(4, 6), torch.randn(4)
    labels = torch.randint(0, 4, (9,))
    logits = (features @ weight.T + bias).requires_grad_()
    loss = functional.cross_entropy(logits, labels)
    loss.backward()
    grads = np.empty((4, 9), np.float32)
    summed, correct = kernels.classify(
        features.numpy().T.copy(), weight.numpy(), bias.numpy(), labels.numpy(), grads
    )
    assert summed / 9 == pytest.approx(loss.item(), rel=1e-5)
    assert correct == (logits.argmax(1) == labels).sum()
    assert logits.grad is not None
    np.testing.assert_allclose(grads.T, logits.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("nesterov", [True, False])
def test_sgd(nesterov: bool) -> None:
    rng = np.random.default_rng(0)
    theta, steps = rng.normal(size=20).astype(np.float32), rng.normal(size=(4, 20)).astype(np.float32)
    expected = torch.tensor(theta, requires_grad=True)
    optimizer = torch.optim.SGD([expected], 0.1, 0.9, nesterov=nesterov, weight_decay=0.01)
    velocity = np.zeros_like(theta)
    for step in steps:
        kernels.sgd(theta, step, velocity, 0.1, 0.9, 0.01, nesterov)
        expected.grad = torch.from_numpy(step)
        optimizer.step()
    np.testing.assert_allclose(theta, expected.detach(), rtol=1e-5, atol=1e-6)


def test_the_layout_covers_everything_once() -> None:
    """Offsets follow each other without gaps, and hold the network's own values."""
    for architecture in MIXED:
        network = initial_network(architecture, Skeleton(4, 2, 10, 8, 1), seed=1)
        layout, parameters = lay_out(network)
        live = sum(op in (2, 3) for op in live_ops(architecture))
        assert len(layout.units) == 1 + 6 * live + 6 + 1
        assert layout.units[0, WEIGHT] == 0
        assert layout.classifier[1] + layout.classifier[2] == len(parameters.theta)
        running = layout.units[:, RUNNING]
        assert (np.diff(running[running >= 0]) > 0).all()
        expected = network.classifier.weight.detach().flatten()
        np.testing.assert_array_equal(parameters.theta[layout.classifier[0] : layout.classifier[1]], expected)


@pytest.mark.parametrize(
    "architectures", [ONE_OP, SWAPPED, MIXED], ids=["one-op", "every-op-and-edge", "mixed"]
)
def test_the_first_epoch_of_training(architectures: list[Architecture]) -> None:
    """Rounding grows with every step, so only two are compared closely."""
    data = load_task("digits")
    plain = train_plain(architectures, data, SMALL, seed=3)[0]
    fast = train_compiled(architectures, data, SMALL, seed=3)[0]
    np.testing.assert_allclose(fast.loss["train"], plain.loss["train"], rtol=1e-4)
    np.testing.assert_allclose(fast.loss["test"], plain.loss["test"], rtol=1e-3)
    assert np.abs(fast.correct["train"] - plain.correct["train"]).max() <= 1


@pytest.mark.parametrize(
    "architectures", [ONE_OP, SWAPPED, MIXED], ids=["one-op", "every-op-and-edge", "mixed"]
)
def test_one_step_is_that_of_exact_arithmetic(architectures: list[Architecture]) -> None:
    """Every weight after one step, against PyTorch in float64 (whose own float32 is further away)."""
    data, recipe = load_task("digits"), replace(SMALL, train_images=64)
    images, labels = next(batches(data, recipe, seed=3, epoch=0))
    for architecture, stepped in zip(
        architectures, train_compiled(architectures, data, recipe, seed=3)[1], strict=True
    ):
        exact = initial_network(architecture, skeleton_for(data, recipe), seed=3).double()
        functional.cross_entropy(exact(images.double()), labels).backward()
        with torch.no_grad():
            for name, weight in exact.named_parameters():
                if weight.grad is None:  # nothing of it reaches the output
                    continue
                step = weight.grad + recipe.weight_decay * weight
                expected = weight - recipe.learning_rate * (1 + recipe.momentum) * step
                found = stepped.get_parameter(name).double()
                torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize(
    "change", [{"batch": 48}, {"width": 3}, {"cells": 2}, {"nesterov": False}, {"train_images": 100}], ids=str
)
def test_other_recipes(change: dict[str, Any]) -> None:
    """A last batch that is smaller, odd widths, and so on."""
    data, recipe = load_task("digits"), replace(SMALL, **change)
    plain = train_plain(MIXED[:4], data, recipe, seed=3)[0]
    fast = train_compiled(MIXED[:4], data, recipe, seed=3)[0]
    np.testing.assert_allclose(fast.loss["train"], plain.loss["train"], rtol=1e-4)


def test_colour_images_of_another_size() -> None:
    rng = np.random.default_rng(0)
    data = load_task("digits")
    splits = {
        name: split._replace(
            images=torch.from_numpy(rng.integers(0, 256, (len(split.labels), 3, 16, 16)).astype(np.uint8))
        )
        for name, split in data.splits.items()
    }
    colour = Data("colour", splits, torch.full((3,), 120.0), torch.full((3,), 60.0), 10)
    plain = train_plain(MIXED[:2], colour, SMALL, seed=3)[0]
    fast = train_compiled(MIXED[:2], colour, SMALL, seed=3)[0]
    np.testing.assert_allclose(fast.loss["train"], plain.loss["train"], rtol=1e-4)


def test_stored_networks_have_the_recorded_accuracy() -> None:
    data = load_task("digits")
    logs, networks = train_compiled(MIXED[:4], data, replace(SMALL, epochs=3), seed=3)
    for k, network in enumerate(networks):
        model = _alone(network)
        correct, loss = evaluate(model, data, data.splits["valid"])
        assert abs(int(correct) - logs.correct["valid"][k, -1]) <= 1
        assert float(loss) == pytest.approx(logs.loss["valid"][k, -1], rel=1e-4)


def test_networks_do_not_touch_each_other() -> None:
    """Trained together or alone: the same bits, so a build's numbers do not depend on its shards."""
    data = load_task("digits")
    alone = train_compiled(MIXED[:1], data, SMALL, seed=1)[0]
    together = train_compiled(MIXED[:5], data, SMALL, seed=1)[0]
    np.testing.assert_array_equal(together.loss["train"][0], alone.loss["train"][0])
    np.testing.assert_array_equal(together.loss["valid"][0], alone.loss["valid"][0])


def test_a_loss_that_is_no_number_is_reported() -> None:
    recipe = replace(find_recipe("smoke-2"), learning_rate=1e30)
    with pytest.raises(DivergedTraining, match="or lower the learning_rate"):
        train_compiled(ONE_OP[3:4], load_task("digits"), recipe, seed=1)


def test_memory_holds_the_largest_tensors() -> None:
    """Every padded input and every gradient fits the scratch memory of its model."""
    network = initial_network(ONE_OP[3], Skeleton(4, 1, 10, 8, 3), seed=1)
    work = Model(network, batch=7)._work
    assert work.padded.shape[1] >= 4 * 10 * 10 * 7
    assert work.plain.shape[1] >= 8 * 4 * 4 * 7
    assert work.turned.size >= 9 * 16 * 16


@pytest.mark.slow
def test_compiled_and_loaded_code_give_the_same_bits(tmp_path: Path) -> None:
    """Inlining differs between the two: with fast-math the numbers did too."""
    program = (
        "from tests.training.compiled.test_compiled import *\n"
        "recipe = replace(find_recipe('digits-10'), epochs=2, train_images=64)\n"
        "logs = train_compiled(MIXED[:6], load_task('digits'), recipe, seed=3)[0]\n"
        "print([logs.loss[name].tobytes().hex() for name in logs.loss])"
    )
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert list(tmp_path.rglob("*.nbc"))
        said.append(done.stdout)
    assert said[0] == said[1] != ""


@pytest.mark.slow
def test_whole_runs_agree_in_distribution() -> None:
    """Over full runs rounding turns into noise, which must not favour either trainer."""
    recipe: Recipe = replace(find_recipe("smoke-2"), epochs=6, width=4, train_images=512)
    data = load_task("digits")
    some = [Architecture.from_index(int(i)) for i in np.random.default_rng(0).choice(SIZE, 64)]
    plain, fast = (train(some, data, recipe, 5)[0] for train in (train_plain, train_compiled))
    difference = (fast.correct["valid"][:, -1] - plain.correct["valid"][:, -1]) / 500
    assert abs(difference.mean()) < 3 * difference.std() / np.sqrt(len(some)) + 0.002


def _alone(network: Any) -> torch.nn.Module:
    from nb201env.training.loop import Alone

    return Alone(network)
