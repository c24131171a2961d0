"""The search space against its published facts, and its arrays against its values."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nb201env import Architecture, architecture, space
from nb201env.compat import orders
from nb201env.space import EDGES, NUM_EDGES, NUM_OPS, OPS, SIZE

ops_tuples = st.tuples(*[st.integers(0, 4)] * 6)
indices = st.integers(0, SIZE - 1)


def test_official_order_has_the_published_hash() -> None:
    strings = architecture.all_strings()
    official = "\n".join(strings[i] for i in space.official_order())
    expected = "83abc799e45cf34e9d2163654668ab998b9a54d01c39e72ca1f71f2cdf356d84"
    assert hashlib.sha256(official.encode()).hexdigest() == expected


@pytest.mark.parametrize(
    ("official_index", "ops"),
    [  # the first three are asserted in the official sources
        (0, "pool 1x1 skip 1x1 skip skip"),
        (9, "pool none none skip none 3x3"),
        (123, "pool pool 1x1 none pool 3x3"),
        (1651, "none none none none none none"),
        (1462, "3x3 3x3 3x3 3x3 3x3 3x3"),
        (1835, "skip skip skip skip skip skip"),
    ],
)
def test_known_official_indices(official_index: int, ops: str) -> None:
    architecture = Architecture.from_official_index(official_index)
    short = {"none": "none", "skip": "skip_connect", "pool": "avg_pool_3x3"}
    names = [short.get(op, f"nor_conv_{op}") for op in ops.split()]
    assert architecture.names == tuple(names)
    assert str(architecture) == "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*names)
    assert Architecture.parse(str(architecture)) == architecture
    assert architecture.official_index == official_index


def test_lexicographic_order_is_that_of_itertools() -> None:
    products = list(itertools.product(range(NUM_OPS), repeat=NUM_EDGES))
    assert space.all_ops().tolist() == [list(ops) for ops in products]
    np.testing.assert_array_equal(space.encode(space.all_ops()), np.arange(SIZE))
    assert sorted(space.official_order().tolist()) == list(range(SIZE))


@given(ops_tuples)
def test_a_value_has_one_identity(ops: tuple[int, ...]) -> None:
    a = Architecture(ops)
    assert Architecture.from_index(a.index) == a
    assert Architecture.from_official_index(a.official_index) == a
    assert Architecture.parse(str(a)) == a
    assert Architecture.from_names(a.names) == a
    assert {a, Architecture(list(ops)), Architecture.of(np.array(ops))} == {a}  # type: ignore[arg-type]
    for name in (a, a.index, np.int64(a.index), str(a), ops, np.array(ops)):
        assert Architecture.of(name) == a
        assert architecture.index_of(name) == a.index
    assert architecture.all_strings()[a.index] == str(a)
    assert tuple(a) == ops


@given(st.lists(indices, max_size=20))
def test_arrays_agree_with_values(some: list[int]) -> None:
    array = np.array(some, dtype=np.int64)
    values = [Architecture.from_index(i) for i in some]
    assert space.decode(array).tolist() == [list(a.ops) for a in values]
    assert space.encode(space.decode(array)).tolist() == some
    assert space.official_index_of(array).tolist() == [a.official_index for a in values]
    assert space.neighbours(array).shape == (len(some), 24)


@given(ops_tuples)
def test_neighbours_differ_in_one_edge(ops: tuple[int, ...]) -> None:
    a = Architecture(ops)
    found = a.neighbours()
    expected = {a.replace(e, o) for e in range(6) for o in range(5) if o != ops[e]}
    assert len(found) == len(expected) == 24
    assert set(found) == expected


@given(ops_tuples, st.integers(0, 2**32), st.sampled_from(["uniform", "official"]))
def test_mutations_are_neighbours(ops: tuple[int, ...], seed: int, edges: str) -> None:
    a = Architecture(ops)
    assert a.mutate(np.random.default_rng(seed), edges) in a.neighbours()


@pytest.mark.parametrize("edges", ["uniform", "official"])
def test_mutations_touch_edges_as_often_as_they_say(edges: str) -> None:
    rng = np.random.default_rng(0)
    start = np.full(60_000, Architecture((0, 1, 2, 3, 4, 0)).index)
    changed = space.decode(space.mutate(start, rng, edges)) != space.decode(start)
    assert (changed.sum(axis=1) == 1).all()
    np.testing.assert_allclose(changed.mean(axis=0), space.EDGE_PROBABILITIES[edges], atol=0.01)
    new_ops = space.decode(space.mutate(start, rng, edges))[changed[:, 0], 0]
    assert set(np.unique(new_ops)) <= set(range(5))


def test_sampling_is_uniform_and_seeded() -> None:
    draws = space.sample(np.random.default_rng(3), (100, 1000))
    assert draws.shape == (100, 1000)
    np.testing.assert_array_equal(draws, space.sample(np.random.default_rng(3), (100, 1000)))
    assert abs(draws.mean() / (SIZE - 1) - 0.5) < 0.01
    assert len(np.unique(draws)) > 15_500


def test_other_libraries_orders() -> None:
    """NASLib lists its edges by source node; Syne Tune keeps the official edges."""
    a = Architecture.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|")
    # NASLib edges 0→1, 0→2, 0→3, 1→2, 1→3, 2→3; ops skip, none, 3x3, 1x1, pool
    assert orders.to_naslib(a) == (2, 1, 4, 0, 3, 1)
    # Syne Tune ops pool, 3x3, skip, 1x1, none
    assert orders.to_syne_tune(a) == (1, 4, 2, 0, 3, 4)


@given(ops_tuples)
def test_other_libraries_round_trip(ops: tuple[int, ...]) -> None:
    a = Architecture(ops)
    assert orders.from_naslib(orders.to_naslib(a)) == a
    assert orders.from_syne_tune(orders.to_syne_tune(a)) == a


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|none~0|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|",
        "|none~0|+|none~1|none~0|+|none~0|none~1|none~2|",
        "|zero~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2",
        "|none|+|none~0|none~1|+|none~0|none~1|none~2|",
    ],
)
def test_strings_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="official string|node|input|unknown op"):
        Architecture.parse(text)


def test_numbers_that_are_none() -> None:
    for ops in ((0,) * 5, (0,) * 7, (0, 0, 0, 0, 0, 5), (-1,) + (0,) * 5):
        with pytest.raises(ValueError, match="an architecture is 6 op numbers"):
            Architecture(ops)
    for index in (-1, SIZE):
        with pytest.raises(ValueError, match=r"is in 0\.\.15624"):
            Architecture.from_index(index)
        with pytest.raises(ValueError, match="official index"):
            Architecture.from_official_index(index)
    with pytest.raises(ValueError, match="an edge is a number"):
        Architecture((0,) * 6).replace(6, 0)
    with pytest.raises(ValueError, match="edges must be one of"):
        space.mutate(0, np.random.default_rng(0), "nodes")
    with pytest.raises(ValueError, match="naslib needs six op numbers"):
        orders.from_naslib([0, 0, 0])


def test_shared_arrays_cannot_be_changed() -> None:
    for array in (space.all_ops(), space.official_order()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_drawings() -> None:
    a = Architecture((3, 0, 1, 4, 0, 2))
    assert a.draw() == (
        "node 1 = nor_conv_3x3(input)\n"
        "node 2 = skip_connect(node 1)\n"
        "output = avg_pool_3x3(input) + nor_conv_1x1(node 2)"
    )
    svg = a._repr_svg_()
    assert svg.startswith("<svg")
    assert svg.count("<path") == len(EDGES)
    for name in ("none", "skip", "3×3", "1×1", "pool"):
        assert f">{name}</text>" in svg
    assert Architecture((0,) * 6).draw().splitlines()[-1] == "output = 0"
    assert len(OPS) == 5
