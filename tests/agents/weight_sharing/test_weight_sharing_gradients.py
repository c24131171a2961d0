"""What moves the architecture: DARTS' gradients, GDAS' estimator and ENAS' controller, against exact ones."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import torch
from torch import Tensor, nn

from nb201env.agents.weight_sharing.darts import mixed_product, unrolled_gradient
from nb201env.agents.weight_sharing.enas import Controller, initial_controller
from nb201env.agents.weight_sharing.gdas import gumbel_sample
from nb201env.agents.weight_sharing.gradient import strongest
from nb201env.agents.weight_sharing.search import Lab
from nb201env.architecture import Architecture
from nb201env.space import SKIP
from nb201env.training.images.tasks import load_task
from tests.agents.weight_sharing.test_weight_sharing import tiny

# -- DARTS -----------------------------------------------------------------------------------


class TinyProblem:
    """A smooth loss of two weights' tensors and logits, in double precision."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.double)

        self.weights = [draw(4, 3).requires_grad_(), draw(5, 4).requires_grad_()]
        self.logits = (0.3 * draw(6, 5)).requires_grad_()
        self.inputs = [draw(7, 3), draw(7, 3)]

    def loss(self, part: int, weights: list[Tensor] | None = None) -> Tensor:
        first, second = weights or self.weights
        mixed = torch.tanh(self.inputs[part] @ first.T) @ second.T
        return (torch.sin(mixed @ self.logits.softmax(dim=1).T) ** 2).mean()


def test_the_mixed_product_is_autograds() -> None:
    problem = TinyProblem()
    vector = [torch.ones_like(w) for w in problem.weights]
    gradients = torch.autograd.grad(problem.loss(0), problem.weights, create_graph=True)
    inner = sum((g * v).sum() for g, v in zip(gradients, vector, strict=True))
    assert isinstance(inner, Tensor)
    exact = torch.autograd.grad(inner, [problem.logits])[0]
    before = [w.detach().clone() for w in problem.weights]
    errors = []
    for radius in (1e-1, 1e-2, 1e-3):
        ours = mixed_product(lambda: problem.loss(0), problem.weights, problem.logits, vector, radius)
        errors.append(float((ours - exact).norm() / exact.norm()))
    assert errors[1] < 1e-4
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.1)  # a central difference: error ~ radius²
    assert all(torch.equal(w, b) for w, b in zip(problem.weights, before, strict=True))


def test_the_unrolled_gradient_is_autograds_through_the_step() -> None:
    problem = TinyProblem()
    rate, decay, momentum = 0.3, 0.01, 0.9
    velocity = [0.1 * torch.ones_like(w) for w in problem.weights]

    def velocity_of(weight: Tensor) -> Tensor:
        return next(v for v, w in zip(velocity, problem.weights, strict=True) if w is weight)

    ours = unrolled_gradient(
        lambda: problem.loss(0),
        lambda: problem.loss(1),
        problem.weights,
        problem.logits,
        lambda w, g: rate * (g + decay * w + momentum * velocity_of(w)),
        rate,
        1e-3,
    )
    gradients = torch.autograd.grad(problem.loss(0), problem.weights, create_graph=True)
    stepped = [
        w - rate * (g + decay * w + momentum * v)
        for w, g, v in zip(problem.weights, gradients, velocity, strict=True)
    ]
    exact = torch.autograd.grad(problem.loss(1, stepped), [problem.logits])[0]
    first_order = torch.autograd.grad(problem.loss(1), [problem.logits])[0]
    torch.testing.assert_close(ours, exact, rtol=1e-4, atol=1e-7)
    assert not torch.allclose(first_order, exact, rtol=0.05)


def test_a_vector_of_zeros_moves_nothing() -> None:
    problem = TinyProblem()
    zeros = [torch.zeros_like(w) for w in problem.weights]
    assert not mixed_product(lambda: problem.loss(0), problem.weights, problem.logits, zeros, 0.01).any()


def test_collapse_to_skip_connections_shows(tmp_path: Path) -> None:
    """Logits that favour skips from the start derive the all-skip cell, and the trajectory says so."""
    logits = torch.zeros(6, 5)
    logits[:, SKIP] = 0.1
    assert strongest(logits) == Architecture((SKIP,) * 6)
    from benchmarks.studies.weight_sharing import skips

    assert skips(str(strongest(logits))) == 6
    assert skips("|skip_connect~0|+|none~0|skip_connect~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|") == 2


# -- GDAS ------------------------------------------------------------------------------------


def test_gumbel_samples_follow_the_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, 0.5]] * 6)
    for tau in (10.0, 0.1):
        drawn = torch.tensor([gumbel_sample(logits, tau, generator)[0].ops for _ in range(2000)])
        shares = torch.bincount(drawn.flatten(), minlength=5) / drawn.numel()
        assert (shares - logits[0].softmax(dim=0)).abs().max() < 0.015


def test_gates_are_one_and_pass_the_straight_through_gradient() -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    factor = torch.arange(1.0, 7.0)
    tau = 0.7
    architecture, gates = gumbel_sample(logits, tau, torch.Generator().manual_seed(2))
    assert torch.equal(gates, torch.ones(6))
    ours = torch.autograd.grad((gates * factor).sum(), [logits])[0]
    noise = -torch.empty(6, 5).exponential_(generator=torch.Generator().manual_seed(2)).log()
    p = ((logits + noise) / tau).softmax(dim=1)  # adding a constant per edge changes nothing
    for edge, op in enumerate(architecture.ops):
        assert op == int((logits + noise)[edge].argmax())
        expected = -p[edge, op] * p[edge] / tau  # d p_op / d logits = p_op (e_op - p) / tau
        expected[op] += p[edge, op] / tau
        torch.testing.assert_close(ours[edge], factor[edge] * expected, rtol=1e-4, atol=1e-6)


# -- ENAS ------------------------------------------------------------------------------------


def controller_of(edges: int, ops: int) -> Controller:
    torch.manual_seed(3)
    controller = Controller(8, 2.5, 5.0, edges, ops)
    for parameter in controller.parameters():
        nn.init.uniform_(parameter, -2, 2)
    return controller


def test_chances_sum_to_one_and_the_entropy_is_their_own() -> None:
    controller = controller_of(edges=3, ops=4)
    everything = torch.tensor(list(itertools.product(range(4), repeat=3)))
    with torch.no_grad():
        found = controller.judge(everything)
    chance = found.log_chance.exp()
    assert float(chance.sum()) == pytest.approx(1, abs=1e-5)
    assert float(chance.max() / chance.min()) > 5
    # the chain rule of entropy: the mean of the conditional entropies is the joint one
    joint = -(chance * found.log_chance).sum()
    assert float((chance * found.entropy).sum()) == pytest.approx(float(joint), rel=1e-4)
    assert float(joint) < 3 * math.log(4) - 0.05


def test_draws_follow_the_chances() -> None:
    controller = controller_of(edges=2, ops=3)
    everything = torch.tensor(list(itertools.product(range(3), repeat=2)))
    with torch.no_grad():
        expected = controller.judge(everything).log_chance.exp()
        drawn = controller.draw(20_000, torch.Generator().manual_seed(0))
        shares = torch.bincount(3 * drawn.ops[:, 0] + drawn.ops[:, 1], minlength=9) / 20_000
        torch.testing.assert_close(controller.judge(drawn.ops).log_chance, drawn.log_chance)
    assert (shares - expected).abs().max() < 0.015


def test_the_controllers_logits_are_bounded() -> None:
    controller = controller_of(edges=6, ops=5)
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(50)
        chances = controller.draw(50, torch.Generator().manual_seed(0)).log_chance
    assert float(chances.min()) >= -6 * (5.0 + math.log(5)) - 1e-4  # each logit in (-2.5, 2.5)


def test_a_controller_starts_small_and_seeded() -> None:
    first, second = (initial_controller(32, 2.5, 5.0, torch.Generator().manual_seed(4)) for _ in range(2))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.abs().max() <= 0.1


def test_a_controller_learns_what_is_rewarded() -> None:
    """With a reward for 3x3 convolutions alone, ENAS draws more and more of them."""
    agent = tiny("enas", epochs=2, controller_steps=40, aggregate=8, controller_rate=0.02, batch=400)
    lab = Lab(agent, load_task("digits"), seed=0)
    shares = []

    def accuracy(architecture: Architecture, batch: Any) -> float:
        shares.append(sum(op == 3 for op in architecture.ops) / 6)
        return shares[-1]

    lab.accuracy = accuracy  # type: ignore[method-assign]
    for _ in agent.train(lab):
        pass
    assert np.mean(shares[:40]) < 0.35
    assert np.mean(shares[-40:]) > 0.8
