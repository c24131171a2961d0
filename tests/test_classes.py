"""Classes of architectures: their counts, and a proof with real layers that they are right.

The proof runs a small numpy cell with the official layers (ReLU, convolution with zero padding,
batch norm with running statistics, average pooling that does not count the padding). Members of
one class must compute the same outputs when convolutions of the same canonical name hold the same
weights; members of different classes must not, however the weights are matched.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nb201env import Architecture
from nb201env.architecture import all_strings
from nb201env.arrays import FloatArray
from nb201env.classes import (
    canonical_classes,
    canonical_form,
    canonical_naming,
    convolutions,
    official_classes,
    output_terms,
    representatives,
    unique_string,
)
from nb201env.space import CONV1X1, CONV3X3, EDGES, POOL, SIZE, SKIP, all_ops

SIDE, CHANNELS = 4, 3
ops_tuples = st.tuples(*[st.integers(0, 4)] * 6)


def test_counts() -> None:
    assert official_classes().max() + 1 == 6466
    assert canonical_classes().max() + 1 == 5485
    assert canonical_classes(linear_pooling=True).max() + 1 == 5234
    assert len(representatives()) == 5485


def test_official_strings_are_those_of_nats_bench() -> None:
    genotypes = pytest.importorskip("nats_bench.genotype_utils")
    for string in all_strings()[::3]:
        expected = genotypes.topology_str2structure(string).to_unique_str(consider_zero=True)
        assert unique_string(Architecture.parse(string)) == expected


def test_linear_pooling_only_merges() -> None:
    """Every canonical class lies within one class of the coarser rule."""
    pairs = set(zip(canonical_classes().tolist(), canonical_classes(True).tolist(), strict=True))
    assert len(pairs) == 5485


def test_where_official_and_canonical_classes_differ() -> None:
    # One convolution used twice against two convolutions: one official class, two functions.
    once, twice = Architecture((3, 0, 0, 0, 1, 0)), Architecture((3, 3, 0, 0, 1, 1))
    shared = Architecture((3, 0, 1, 0, 1, 1))
    assert unique_string(shared) != unique_string(once)
    assert canonical_form(shared.ops) != canonical_form(twice.ops)
    # A dead branch kept apart by the official string: two official classes, one function.
    plain, dead = Architecture((1, 0, 0, 0, 1, 0)), Architecture((1, 0, 0, 0, 1, 4))
    assert canonical_form(plain.ops) == canonical_form(dead.ops)


@given(ops_tuples)
def test_swapping_the_middle_nodes_changes_nothing(ops: tuple[int, ...]) -> None:
    """Without an edge between them, nodes 1 and 2 are interchangeable."""
    e01, e02, _, e03, e13, e23 = ops
    assert canonical_form((e01, e02, 0, e03, e13, e23)) == canonical_form((e02, e01, 0, e03, e23, e13))


# -- the proof -------------------------------------------------------------------------------


@cache
def image() -> FloatArray:
    return np.random.default_rng(0).normal(size=(CHANNELS, SIDE, SIDE))


@cache
def weights(name: int, kernel: int) -> FloatArray:
    return np.random.default_rng([name, kernel]).normal(size=(CHANNELS, CHANNELS, kernel, kernel))


@cache
def batch_norm(name: int, kind: str) -> tuple[FloatArray, FloatArray]:
    """Scale and shift of a batch norm in evaluation, running statistics included."""
    scale, shift = np.random.default_rng([name, len(kind)]).normal(size=(2, CHANNELS, 1, 1)) + 0.5
    return scale, shift


def windows(x: FloatArray, pad_value: float) -> FloatArray:
    """All 3x3 windows with padding; [channels, side, side, 3, 3]."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=pad_value)
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))


def convolve(x: FloatArray, name: int, kernel: int) -> FloatArray:
    kind = "constant" if not x.any() else f"nor_conv_{kernel}x{kernel}"
    scale, shift = batch_norm(name, kind)
    x = np.maximum(x, 0)
    if kernel == 1:
        x = np.einsum("oi,ihw->ohw", weights(name, 1)[:, :, 0, 0], x)
    else:
        x = np.einsum("oiab,ihwab->ohw", weights(name, 3), windows(x, 0.0))
    return scale * x + shift


def linear_pool(x: FloatArray) -> FloatArray:
    """The real op: the mean over the window without its padding."""
    return np.asarray(np.nanmean(windows(x, np.nan), axis=(-1, -2)))


def opaque_pool(x: FloatArray) -> FloatArray:
    """An op without parameters that maps 0 to 0 and is not linear."""
    return np.asarray(np.sin(linear_pool(x)) + 0.3 * np.roll(x, 1, axis=0) ** 2)


def run_cell(ops: tuple[int, ...], names: dict[int, int], pool: object) -> FloatArray:
    """The output of a cell; `names` gives the weights of each convolution's edge."""
    assert callable(pool)
    nodes: list[FloatArray] = [image()]
    for node in (1, 2, 3):
        total = np.zeros_like(image())
        for edge, (source, target) in enumerate(EDGES):
            if target != node:
                continue
            op, x = ops[edge], nodes[source]
            if op == SKIP:
                total = total + x
            elif op in (CONV1X1, CONV3X3):
                total = total + convolve(x, names.get(edge, 0), 1 if op == CONV1X1 else 3)
            elif op == POOL:
                total = total + pool(x)
        nodes.append(total)
    return nodes[3]


@pytest.mark.parametrize("linear", [False, True])
def test_members_of_a_class_compute_the_same(linear: bool) -> None:
    """All 15,625: with matched weights each equals the first member of its class."""
    pool = linear_pool if linear else opaque_pool
    first: dict[int, FloatArray] = {}
    for ops, number in zip(all_ops().tolist(), canonical_classes(linear).tolist(), strict=True):
        output = run_cell(tuple(ops), canonical_naming(tuple(ops), linear)[1], pool)
        np.testing.assert_allclose(output, first.setdefault(number, output), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("linear", [False, True])
def test_members_of_different_classes_do_not(linear: bool) -> None:
    """All 5,485: no two compute the same outputs under any matching of their weights.

    The outputs of a cell under all ways to hand out as many weights as it has convolutions are a
    set; two cells of one function have equal sets. With the real, linear pooling the 5,485 classes
    fall into exactly the 5,234 of `linear_pooling`.
    """
    pool = linear_pool if linear else opaque_pool
    classes_of: dict[tuple[float, ...], set[int]] = defaultdict(set)
    for index in representatives().tolist():
        ops = Architecture.from_index(index).ops
        sums = sorted(
            round(float((run_cell(ops, names, pool) * probe()).sum()), 6) for names in matchings(ops)
        )
        classes_of[tuple(sums)].add(int(canonical_classes(linear)[index]))
    assert len(classes_of) == (5234 if linear else 5485)
    assert all(len(numbers) == 1 for numbers in classes_of.values())


@cache
def probe() -> FloatArray:
    return np.random.default_rng(9).normal(size=(CHANNELS, SIDE, SIDE))


def matchings(ops: tuple[int, ...]) -> list[dict[int, int]]:
    """All ways to name the convolutions that reach the output, kind by kind."""
    by_kind: dict[str, list[int]] = defaultdict(list)
    for edge, kind in convolutions(output_terms(ops)).items():
        by_kind[kind].append(edge)
    groups = list(by_kind.values())
    return [
        {e: n for g, o in zip(groups, orders, strict=True) for e, n in zip(g, o, strict=True)}
        for orders in product(*(permutations(range(len(g))) for g in groups))
    ]


def test_classes_are_numbered_by_first_member() -> None:
    for numbers in (official_classes(), canonical_classes()):
        firsts = np.unique(numbers, return_index=True)[1]
        assert (np.diff(firsts) > 0).all()
        assert len(numbers) == SIZE
