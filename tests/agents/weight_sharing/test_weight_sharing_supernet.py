"""The supernet against the plain network, and what the batch norms' choice changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from nb201env.agents.weight_sharing.supernet import (
    BATCH_STATISTICS,
    LEAVING,
    PLACE,
    Fan,
    SuperCell,
    Supernet,
    initial_supernet,
)
from nb201env.architecture import Architecture
from nb201env.space import CONV1X1, CONV3X3, EDGES, NONE, NUM_OPS, SKIP
from nb201env.training.network import Network, Skeleton, make_op

torch.set_num_threads(1)
SKELETON = Skeleton(width=3, cells=2, classes=10, image_size=8, channels=1)
ALL_SKIP = Architecture((SKIP,) * 6)
CELLS = [
    Architecture.parse(text)
    for text in (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
        "|nor_conv_1x1~0|+|avg_pool_3x3~0|skip_connect~1|+|none~0|nor_conv_1x1~1|avg_pool_3x3~2|",
        "|none~0|+|skip_connect~0|nor_conv_3x3~1|+|avg_pool_3x3~0|skip_connect~1|nor_conv_3x3~2|",
        "|skip_connect~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    )
] + [Architecture.from_index(int(i)) for i in np.random.default_rng(0).integers(15_625, size=8)]


def images(count: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def one_hot(architecture: Architecture) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(architecture.ops), NUM_OPS).float()


def plain_twin(supernet: Supernet, architecture: Architecture) -> Network:
    """The plain network of one architecture with the supernet's weights and running averages."""
    plain = Network(architecture, SKELETON)
    outside = {k: v for k, v in supernet.frame.state_dict().items() if not k.startswith("stages")}
    state = plain.state_dict() | outside
    cells: Any
    for stage, cells in enumerate(supernet.frame.stages):
        for place, cell in enumerate(cells):
            for edge, op in enumerate(architecture.ops):
                if op not in (CONV1X1, CONV3X3):
                    continue
                fan = cell.fans[EDGES[edge][0]]
                width = fan.width
                block = slice(PLACE[edge] * width, (PLACE[edge] + 1) * width)
                name = f"stages.{stage}.{place}.edges.{edge}"
                state[f"{name}.1.weight"] = fan.convs[str(op)].weight[block]
                norm = fan.norms[str(op)]
                if norm.running_mean is not None:
                    state[f"{name}.2.running_mean"] = norm.running_mean[block]
                    state[f"{name}.2.running_var"] = norm.running_var[block]
    plain.load_state_dict(state)
    return plain


def trained(choice: str) -> Supernet:
    """A supernet whose batch norms have seen something."""
    supernet = initial_supernet(SKELETON, choice, seed=5)
    with torch.no_grad():
        for seed in range(4):
            supernet.mixture(3 + 2 * images(8, seed), torch.full((6, 5), 0.2))
    return supernet


@pytest.mark.parametrize("architecture", CELLS, ids=lambda a: str(a.index))
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_path_and_a_one_hot_mixture_are_the_plain_network(architecture: Architecture, mode: str) -> None:
    supernet = trained("none")
    plain = plain_twin(supernet, architecture)
    x = images()
    outs = []
    for run in (
        lambda: plain(x),
        lambda: supernet.path(x, architecture),
        lambda: supernet.path(x, architecture, torch.ones(6)),
        lambda: supernet.mixture(x, one_hot(architecture)),
    ):
        plain.train(mode == "train")
        supernet.train(mode == "train")
        kept = {k: v.clone() for k, v in supernet.state_dict().items()}
        outs.append(run())
        supernet.load_state_dict(kept)  # training mode moves the running averages
    for out in outs[1:]:
        torch.testing.assert_close(out, outs[0], rtol=1e-4, atol=1e-5)


def test_a_path_trains_like_the_plain_network() -> None:
    supernet, architecture = trained("none"), CELLS[0]
    plain = plain_twin(supernet, architecture)
    x, labels = images(), torch.arange(6)
    for model in (lambda: plain(x), lambda: supernet.path(x, architecture)):
        nn.functional.cross_entropy(model(), labels).backward()
    fan: Any = supernet.frame.get_submodule("stages.0.0.fans.0")
    ours = fan.convs[str(CONV3X3)].weight.grad
    assert ours is not None
    for place, edge in enumerate(LEAVING[0]):
        if architecture.ops[edge] == CONV3X3:
            theirs = plain.get_submodule(f"stages.0.0.edges.{edge}.1").weight.grad
            torch.testing.assert_close(ours[3 * place : 3 * place + 3], theirs, rtol=1e-3, atol=1e-6)
        else:
            assert not ours[3 * place : 3 * place + 3].any()


def plain_mixture(cell: SuperCell, x: Tensor, weights: Tensor) -> Tensor:
    """The definition: on every edge five separate ops, weighted and summed."""
    nodes = [x]
    for target in (1, 2, 3):
        total = torch.zeros_like(x)
        for edge, (source, to) in enumerate(EDGES):
            if to != target:
                continue
            for op in range(NUM_OPS):
                module: Any = make_op(op, x.shape[1]).train()
                if op in (CONV1X1, CONV3X3):
                    fan: Any = cell.fans[source]
                    start = PLACE[edge] * fan.width
                    module[1].weight.data = fan.convs[str(op)].weight.data[start : start + fan.width]
                value = torch.zeros_like(x) if op == NONE else module(nodes[source])
                total = total + weights[edge, op] * value
        nodes.append(total)
    return nodes[3]


def test_a_mixture_and_its_gradient_are_those_of_separate_ops() -> None:
    torch.manual_seed(0)
    cell = SuperCell(3, track_running_stats=False)
    x = torch.randn(5, 3, 8, 8)
    gradients = []
    for run in (cell.mixture, lambda x, w: plain_mixture(cell, x, w)):
        weights = torch.rand(6, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
        out = run(x, weights)
        gradients.append((out, *torch.autograd.grad((out**3).sum(), [weights])))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_a_mixtures_gradient_is_right() -> None:
    """Against finite differences, in double precision."""
    torch.manual_seed(0)
    cell = SuperCell(2, track_running_stats=False).double()
    x = torch.randn(3, 2, 4, 4, dtype=torch.double)
    weights = torch.rand(6, 5, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: cell.mixture(x, w), [weights])


@pytest.mark.parametrize("choice", BATCH_STATISTICS)
def test_which_batch_norms_look_at_the_batch(choice: str) -> None:
    """Only with running averages everywhere does an image's output not depend on its batch."""
    supernet = trained(choice).eval()
    inside = [m for m in supernet.modules() if isinstance(m, Fan)]
    assert all((fan.norms[str(CONV3X3)].running_mean is not None) == (choice == "none") for fan in inside)
    x = images()
    for architecture, dependent in ((CELLS[0], choice != "none"), (ALL_SKIP, choice == "all")):
        with torch.no_grad():
            together = supernet.path(x, architecture)
            alone = torch.cat([supernet.path(one[None], architecture) for one in x])
        assert torch.allclose(together, alone, atol=1e-5) != dependent


def test_all_choices_start_and_train_alike() -> None:
    x = images()
    first, *others = (initial_supernet(SKELETON, choice, seed=1).train() for choice in BATCH_STATISTICS)
    expected = first.path(x, CELLS[0])
    for other in others:
        for one, same in zip(first.parameters(), other.parameters(), strict=True):
            assert torch.equal(one, same)
        assert torch.equal(other.path(x, CELLS[0]), expected)


def test_every_weight_belongs_to_one_op_of_one_edge() -> None:
    supernet = initial_supernet(SKELETON, "cells", 0)
    frame = Network(Architecture((NONE,) * 6), SKELETON)
    ops = sum(6 * (9 + 1) * (3 << stage) ** 2 * SKELETON.cells for stage in range(3))
    assert sum(p.numel() for p in supernet.parameters()) == ops + sum(p.numel() for p in frame.parameters())


def test_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    initial_supernet(SKELETON, "none", 3)
    assert torch.equal(before, torch.random.get_rng_state())
