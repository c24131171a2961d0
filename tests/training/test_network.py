"""The official network: what it costs, what it computes, and what it leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nb201env import Architecture, NotRecorded, cost, open_table, training
from nb201env.classes import canonical_classes, canonical_naming, convolutions, output_terms
from nb201env.official import DATASETS
from nb201env.space import CONV1X1, CONV3X3, NONE, POOL, SIZE, SKIP
from nb201env.tables import embedded
from nb201env.training import load_network
from nb201env.training.network import (
    AveragePool,
    Network,
    Skeleton,
    count_macs,
    count_params,
    initial_network,
    live_ops,
    make_op,
    network_for,
)

TINY = Skeleton(width=4, cells=1, classes=10, image_size=8, channels=1)
COUNTS = [(n1, n3) for n1 in range(7) for n3 in range(7 - n1)]


def with_counts(n1: int, n3: int) -> Architecture:
    """An architecture with these convolutions, all other edges skips, so that every edge matters."""
    return Architecture((CONV1X1,) * n1 + (CONV3X3,) * n3 + (SKIP,) * (6 - n1 - n3))


def test_there_are_28_combinations() -> None:
    assert len(COUNTS) == 28


@pytest.mark.parametrize(("n1", "n3"), COUNTS)
@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "ImageNet16-120"])
def test_params_and_macs_equal_the_closed_forms(n1: int, n3: int, dataset: str) -> None:
    architecture, spec = with_counts(n1, n3), DATASETS[dataset]
    with torch.device("meta"):
        network = Network(architecture, Skeleton(classes=spec.classes, image_size=spec.image_size))
    assert count_params(network) == cost.params(architecture.index, dataset)
    assert count_macs(network) == cost.macs(architecture.index, dataset)


def test_dead_edges_have_weights_but_are_not_computed() -> None:
    architecture = Architecture((CONV3X3, NONE, NONE, SKIP, NONE, NONE))
    network = Network(architecture, TINY)
    assert count_params(network) > count_params(
        Network(Architecture((NONE, NONE, NONE, SKIP, NONE, NONE)), TINY)
    )
    called = []
    network.get_submodule("stages.0.0.edges.0").register_forward_hook(lambda *_: called.append(1))
    network(torch.zeros(2, 1, 8, 8))
    assert not called


@pytest.mark.parametrize(
    ("ops", "live"),
    [
        ((1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1)),
        ((0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0)),
        ((3, 0, 0, 1, 0, 0), (0, 0, 0, 1, 0, 0)),  # node 1 leads nowhere
        ((0, 0, 1, 1, 4, 4), (0, 0, 0, 1, 0, 0)),  # nodes 1 and 2 are zero
        ((0, 0, 3, 0, 0, 1), (0, 0, 3, 0, 0, 1)),  # a convolution of zero is a constant
        ((3, 3, 2, 0, 0, 2), (3, 3, 2, 0, 0, 2)),
        ((3, 0, 0, 0, 0, 2), (0, 0, 0, 0, 0, 2)),  # node 2 is zero: edge 5 is a constant
    ],
)
def test_live_ops(ops: tuple[int, ...], live: tuple[int, ...]) -> None:
    assert live_ops(Architecture(ops)) == live


def test_live_convolutions_are_those_of_the_canonical_form() -> None:
    rng = np.random.default_rng(0)
    for index in rng.choice(SIZE, 300, replace=False).tolist():
        architecture = Architecture.from_index(index)
        live = {e for e, op in enumerate(live_ops(architecture)) if op in (CONV1X1, CONV3X3)}
        assert live == set(convolutions(output_terms(architecture.ops)))


def test_dead_edges_do_not_change_the_output() -> None:
    network = initial_network(Architecture((CONV3X3, NONE, NONE, POOL, NONE, NONE)), TINY, seed=1)
    images = torch.randn(4, 1, 8, 8)
    before = network(images)
    cells: Any
    for cells in network.stages:
        cells[0].edges[0][1].weight.data.fill_(7.0)
    assert torch.equal(before, network(images))


def test_a_cell_without_any_path_sees_nothing() -> None:
    network = initial_network(Architecture((NONE,) * 6), TINY, seed=1).eval()
    logits = network(torch.randn(5, 1, 8, 8))
    assert torch.equal(logits, logits[:1].expand_as(logits))


def same_weights(source: Network, target: Network) -> None:
    """Give the target's convolutions the weights of the source's that have the same canonical name."""

    def names(network: Network) -> dict[tuple[str, int], int]:
        ops = network.architecture.ops
        kinds = convolutions(output_terms(ops))
        return {(kinds[edge], name): edge for edge, name in canonical_naming(ops)[1].items()}

    state = {k: v for k, v in source.state_dict().items() if ".edges." not in k}
    target.load_state_dict(state, strict=False)
    edges = names(source)
    for key, to in names(target).items():
        stages: Any = zip(source.stages, target.stages, strict=True)
        for ours, theirs in stages:
            for a, b in zip(ours, theirs, strict=True):
                b.edges[to].load_state_dict(a.edges[edges[key]].state_dict())


def test_members_of_one_class_compute_the_same() -> None:
    rng, classes = np.random.default_rng(3), canonical_classes()
    images, checked = torch.randn(6, 1, 8, 8), 0
    for number in rng.choice(np.flatnonzero(np.bincount(classes) > 1), 40, replace=False).tolist():
        first, other = rng.choice(np.flatnonzero(classes == number), 2, replace=False).tolist()
        one, two = (initial_network(Architecture.from_index(i), TINY, seed=2) for i in (first, other))
        if "constant" in convolutions(output_terms(one.architecture.ops)).values():
            continue  # a constant's kernel may differ in size, and never matters
        same_weights(one, two)
        torch.testing.assert_close(one(images), two(images), rtol=1e-4, atol=1e-5)
        checked += 1
    assert checked > 10


def test_the_start_of_a_run_depends_on_its_seed_alone() -> None:
    architecture = Architecture((CONV3X3,) * 6)
    torch.manual_seed(5)
    first = torch.rand(1)
    torch.manual_seed(5)
    one = initial_network(architecture, TINY, seed=3)
    assert torch.equal(first, torch.rand(1))  # the global generator is put back
    two, other = (initial_network(architecture, TINY, seed=s) for s in (3, 4))
    assert torch.equal(one.classifier.weight, two.classifier.weight)
    assert not torch.equal(one.classifier.weight, other.classifier.weight)


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"cells": 0}, {"image_size": 10}, {"image_size": 0}, {"classes": 0}]
)
def test_impossible_skeletons(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Skeleton(**wrong)


@pytest.mark.parametrize("pool", [AveragePool(2), make_op(POOL, 3)])
def test_poolings_on_a_gpu_see_one_channel_after_the_other(pool: AveragePool) -> None:
    """PyTorch's gradient is wrong there where channels lie side by side; its layout is seen without one."""
    for device, plain in (("meta", True), ("cpu", False)):
        x = torch.empty(2, 3, 8, 8, device=device).to(memory_format=torch.channels_last)
        assert pool(x).is_contiguous() == plain
    x = torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last)
    assert torch.equal(pool(x), pool(x.contiguous()))


def test_the_network_of_a_data_set_is_the_official_one() -> None:
    """Parameters and multiply-accumulates are those of the closed forms; for CIFAR-10's best: 1,073,466."""
    best = Architecture.from_official_index(6111)
    assert count_params(network_for("cifar10", best)) == 1_073_466
    for dataset in DATASETS:
        network = network_for(dataset, best)
        assert count_params(network) == cost.params(best.index, dataset)
        assert count_macs(network) == cost.macs(best.index, dataset)


def test_the_network_of_a_table() -> None:
    """As it was trained, where the table says so; else as the data set's official one."""
    best = Architecture.from_official_index(6111)
    digits, official = open_table("digits-10"), open_table("cifar100-200")
    assert network_for(digits, best).skeleton == Skeleton(4, 5, 10, 8, 1)
    assert network_for(official, best).skeleton == network_for("cifar100", str(best)).skeleton
    assert network_for(digits, best)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    for nothing in ("mnist", "digits-10", "cifar10-valid"):
        with pytest.raises(
            LookupError, match=f"nothing says what surrounds a cell for '{nothing}'; known are cif"
        ):
            network_for(nothing, best)


def test_embedded_tables_come_without_weights() -> None:
    for name in embedded():
        with pytest.raises(
            NotRecorded, match="come without weights; train some with 'nb201 build --weights' and"
        ):
            load_network(open_table(name), 3124, 777)


def test_names_that_are_imported_late_are_listed() -> None:
    assert {"load_network", "network_for"} <= {*dir(training)}
    assert all(getattr(training, name) for name in training.__all__)
    with pytest.raises(AttributeError, match="no attribute 'x'"):
        training.x  # noqa: B018
