"""Numbers that name no architecture: every public function that takes an index or ops refuses them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, Table, architecture, classes, cost, drawing, open_table, space
from nb201env.compat import orders
from nb201env.space import SIZE

BEST = Architecture((3, 3, 3, 1, 3, 2))
ASK: dict[str, Any] = {"split": "valid", "epochs": 200, "run": "mean"}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def table() -> Table:
    return open_table("cifar10-valid-200")


TAKE_AN_INDEX: dict[Callable[..., Any], Callable[[Any], Any]] = {
    space.indices: space.indices,
    space.decode: space.decode,
    space.official_index_of: space.official_index_of,
    space.neighbours: space.neighbours,
    space.mutate: lambda index: space.mutate(index, rng()),
    architecture.index_of: architecture.index_of,
    Architecture.from_index: Architecture.from_index,
    Architecture.from_official_index: Architecture.from_official_index,
    Architecture.of: Architecture.of,
    cost.params: lambda index: cost.params(index, "cifar10"),
    cost.macs: lambda index: cost.macs(index, "cifar10"),
    classes.unique_string: classes.unique_string,
    orders.to_naslib: orders.to_naslib,
    orders.to_syne_tune: orders.to_syne_tune,
    Table.query: lambda index: table().query(index, **ASK),
    Table.record: lambda index: table().record(index, "valid_accuracy"),
}
TAKE_OPS: dict[Callable[..., Any], Callable[[Any], Any]] = {
    space.op_numbers: space.op_numbers,
    space.encode: space.encode,
    Architecture: Architecture,
    classes.output_terms: classes.output_terms,
    classes.canonical_form: classes.canonical_form,
    classes.canonical_naming: classes.canonical_naming,
    orders.from_naslib: orders.from_naslib,
    orders.from_syne_tune: orders.from_syne_tune,
    drawing.text: drawing.text,
    drawing.svg: drawing.svg,
    drawing.image: drawing.image,
}
TAKE_AN_EDGE_OR_OP: dict[Callable[..., Any], Callable[[Any], Any]] = {
    Architecture.replace: lambda edge: BEST.replace(edge, 0),
}
TAKE_NEITHER: set[Callable[..., Any]] = {
    space.whole_number, space.whole_numbers, space.all_ops, space.official_order, space.official_ranks,
    space.sample, architecture.all_strings, architecture.official_strings, Architecture.from_names,
    Architecture.parse, Architecture.neighbours, Architecture.mutate, Architecture.draw,
    classes.official_classes, classes.canonical_classes, classes.representatives, classes.convolutions,
    drawing.SvgParts, drawing.svg_parts,
    Table, Table.open, Table.recorded_epochs, Table.values, Table.everything, Table.accuracy, Table.runs,
    Table.run_seconds, Table.seconds, Table.optimum, Table.verify, Table.to_pandas,
}  # fmt: skip

BAD_NUMBERS = [
    -1, SIZE, 10**30, -(10**30), True, False, 2.0, 2.5, float("nan"), float("inf"), "3", "0", b"3", None,
    Decimal(3), Fraction(3), 3j, np.float64(3), np.float32(3), np.True_, np.int64(-1), np.uint64(2**63),
    np.array(True), np.array(2.0), object(), {}, {3}, slice(3), np.datetime64("2020-01-01"),
]  # fmt: skip


def label(function: Callable[..., Any]) -> str:
    return function.__qualname__


def public(where: ModuleType | type) -> set[Callable[..., Any]]:
    """The functions, classes and methods that are there to be called and were written there."""
    found = set()
    for name in vars(where):
        value = getattr(where, name)
        ours = getattr(inspect.unwrap(value) if callable(value) else value, "__module__", None)
        if (
            not name.startswith("_")
            and callable(value)
            and ours == (where.__name__ if isinstance(where, ModuleType) else where.__module__)
        ):
            found.add(value)
    return found


@pytest.mark.parametrize(
    "where", [space, cost, classes, drawing, orders, architecture, Architecture, Table],
    ids=lambda where: where.__name__.rpartition(".")[2],
)  # fmt: skip
def test_the_lists_are_complete(where: ModuleType | type) -> None:
    listed = {*TAKE_AN_INDEX, *TAKE_OPS, *TAKE_AN_EDGE_OR_OP, *TAKE_NEITHER}
    assert {label(function) for function in public(where) - listed} == set()


@pytest.mark.parametrize("function", TAKE_AN_INDEX, ids=label)
def test_what_is_no_index(function: Callable[..., Any]) -> None:
    call = TAKE_AN_INDEX[function]
    for bad in BAD_NUMBERS:
        with pytest.raises(ValueError, match=".") as caught:
            call(bad)
        assert "\n" not in str(caught.value), bad


BAD_ARRAYS = [
    np.array([3, -1]), np.array([[3], [SIZE]]), np.array([1.0, 2.0]), np.array([True]), np.array(["3"]),
    np.array([2**63], dtype=np.uint64), np.array([[1, 2], [3, None]]), np.array([3, True], dtype=object),
]  # fmt: skip
OF_ARRAYS = [function for function in TAKE_AN_INDEX if function.__module__ in (space.__name__, cost.__name__)]


@pytest.mark.parametrize("function", OF_ARRAYS, ids=label)
def test_one_bad_index_among_good_ones(function: Callable[..., Any]) -> None:
    call = TAKE_AN_INDEX[function]
    for bad in BAD_NUMBERS:
        for values in ([3, bad], [[1, 2], [bad, 4]], (3, bad)):
            with pytest.raises(ValueError, match=r"is in 0\.\.15624, a whole number; got"):
                call(values)
    for array in BAD_ARRAYS:
        with pytest.raises(ValueError, match=r"is in 0\.\.15624, a whole number; got"):
            call(array)


NOT_SIX_OPS = [(), (0,) * 5, (0,) * 7, np.zeros(6), np.zeros(6, bool), np.full(6, -1), np.full(6, 6),
               np.zeros((6, 1), int), "012340"]  # fmt: skip


@pytest.mark.parametrize("function", TAKE_OPS, ids=label)
def test_what_is_no_op(function: Callable[..., Any]) -> None:
    call, most = TAKE_OPS[function], 5 if function.__module__ == drawing.__name__ else 4
    for bad in [*BAD_NUMBERS, most + 1]:
        for place in (0, 3, 5):
            ops: list[Any] = [3, 1, 0, 4, 2, 1]
            ops[place] = bad
            with pytest.raises(ValueError, match=rf"op numbers in 0\.\.{most}"):
                call(tuple(ops))
    for wrong in NOT_SIX_OPS:
        with pytest.raises(ValueError, match=r"op numbers in 0\.\.|unknown op"):
            call(wrong)


@pytest.mark.parametrize("bad", [-1, 6, True, 1.0, "0", None, np.float64(1), np.True_])
def test_what_is_no_edge(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"an edge is a number in 0\.\.5, a whole one; got"):
        BEST.replace(bad, 0)
    with pytest.raises(ValueError, match=r"6 op numbers in 0\.\.4"):
        BEST.replace(0, bad)


KINDS = [int, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.array]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_whole_numbers_of_any_type_name_the_same(kind: Callable[[int], Any]) -> None:
    """Also arrays without axes, and mixtures in a list."""
    for call in [*TAKE_AN_INDEX.values(), *TAKE_AN_EDGE_OR_OP.values()]:
        assert repr(call(kind(5))) == repr(call(5))
    for call in TAKE_OPS.values():
        for ops in (tuple(map(kind, BEST.ops)), [BEST.ops[0], *map(kind, BEST.ops[1:])]):
            assert repr(call(ops)) == repr(call(BEST.ops))
    np.testing.assert_array_equal(space.decode([kind(5), 7]), space.decode([5, 7]))


def test_arrays_of_any_shape_and_type() -> None:
    values = np.arange(24).reshape(2, 3, 4)
    for array in (values, values.astype(np.uint8), values.astype(object), values.tolist(), range(24)):
        assert space.indices(array).dtype == np.int64
        np.testing.assert_array_equal(space.indices(array).ravel(), np.arange(24))
    assert space.decode(np.zeros((0, 3), int)).shape == (0, 3, 6)
    assert space.decode([]).shape == (0, 6)
    assert space.encode(np.zeros((0, 6))).shape == (0,)
    assert space.encode(space.all_ops().astype(np.uint8)).tolist() == list(range(SIZE))
