"""Which architectures are the same network: official classes and canonical classes.

*Official classes* are those of the literature: 6,466 distinct unique strings. They keep zero
terms apart, do not flatten nested sums, and merge a cell that uses one convolution twice with a
cell that has two.

*Canonical classes* are the same trained function, 5,485 of them. The rule: write what reaches
the output as a sum of terms and

* drop zero terms; a skip passes its input's terms on, so nested sums become one sum;
* keep the identity of each convolution: one convolution used twice is not two convolutions;
* a convolution of nothing is a constant that its batch norm learns, whatever its kernel size;
* two sums are equal when some renaming of the convolutions makes them equal.

Pooling is taken as an opaque op by this rule. It is in fact linear and keeps constants, so
pooling a sum is the sum of the pooled terms; with `linear_pooling=True` that is used too, and
5,234 classes remain. They compute the same outputs in exact arithmetic, but along another path.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import permutations, product
from typing import Any

import numpy as np

from nb201env.architecture import Architecture, ArchitectureLike
from nb201env.arrays import IntArray
from nb201env.space import CONV1X1, CONV3X3, EDGES, NONE, OPS, POOL, SIZE, SKIP, all_ops

Term = tuple[Any, ...]
"""("input",) | ("constant", edge) | ("conv", op, edge, terms) | ("pool", terms)."""
Terms = tuple[Term, ...]


def unique_string(architecture: ArchitectureLike) -> str:
    """The official unique string: equal for architectures of one official class.

    A "none" edge, or one whose input is exactly "#", is "#"; a skip passes its input on; a node
    is the sorted join of its inputs (AutoDL-Projects ``CellStructure.to_unique_str(True)``).
    """
    ops, nodes = Architecture.of(architecture).ops, ["0"]
    for node in range(1, 4):
        inputs = []
        for (source, target), op in zip(EDGES, ops, strict=True):
            if target != node:
                continue
            if op == NONE or nodes[source] == "#":
                inputs.append("#")
            elif op == SKIP:
                inputs.append(nodes[source])
            else:
                inputs.append(f"({nodes[source]})@{OPS[op]}")
        nodes.append("+".join(sorted(inputs)))
    return nodes[3]


@cache
def official_classes() -> IntArray:
    """The official class number of every architecture; int64 [15625], numbered by first member."""
    return _number([unique_string(Architecture(tuple(ops))) for ops in all_ops().tolist()])


@cache
def canonical_classes(linear_pooling: bool = False) -> IntArray:
    """The canonical class number of every architecture; int64 [15625], numbered by first member.

    Args:
        linear_pooling: Also use that pooling is linear and keeps constants (5,234 classes
            instead of 5,485).
    """
    return _number([canonical_form(tuple(ops), linear_pooling) for ops in all_ops().tolist()])


@cache
def representatives() -> IntArray:
    """The first member (lowest index) of every canonical class; int64 [5485]."""
    return np.asarray(np.unique(canonical_classes(), return_index=True)[1])


def output_terms(ops: tuple[int, ...], linear_pooling: bool = False) -> Terms:
    """What reaches the output node, as a sorted sum of terms over the cell's input.

    Convolutions are named by their edge; edges that do not reach the output do not occur.

    Raises:
        ValueError: If `ops` are not six op numbers; so do all functions here that take them.
    """
    ops = Architecture(ops).ops
    nodes: list[Terms] = [(("input",),)]
    for node in range(1, 4):
        terms: list[Term] = []
        for edge, (source, target) in enumerate(EDGES):
            if target == node:
                terms += _edge_terms(ops[edge], edge, nodes[source], linear_pooling)
        nodes.append(tuple(terms))
    return nodes[3]


def _edge_terms(op: int, edge: int, value: Terms, linear_pooling: bool) -> Terms:
    if op == SKIP:
        return value
    if op in (CONV1X1, CONV3X3):
        return (("conv", op, edge, value),) if value else (("constant", edge),)
    if op == POOL and value:
        if not linear_pooling:
            return (("pool", value),)
        return tuple(t if t[0] == "constant" else ("pool", (t,)) for t in value)
    return ()


def convolutions(terms: Terms) -> dict[int, str]:
    """The convolutions in a sum: edge number to kind ("constant", or the op's name)."""
    found: dict[int, str] = {}
    for term in terms:
        if term[0] == "constant":
            found[term[1]] = "constant"
        elif term[0] == "conv":
            found[term[2]] = OPS[term[1]]
            found |= convolutions(term[3])
        elif term[0] == "pool":
            found |= convolutions(term[1])
    return found


def canonical_form(ops: tuple[int, ...], linear_pooling: bool = False) -> Terms:
    """The same value for all architectures of one canonical class, and for no other."""
    return canonical_naming(ops, linear_pooling)[0]


def canonical_naming(ops: tuple[int, ...], linear_pooling: bool = False) -> tuple[Terms, dict[int, int]]:
    """The canonical form, and the name (0, 1, … per kind) it gives to each convolution's edge.

    Two architectures of one class compute the same outputs when convolutions of the same kind
    and name hold the same weights.
    """
    terms = output_terms(ops, linear_pooling)
    by_kind: dict[str, list[int]] = defaultdict(list)
    for edge, kind in sorted(convolutions(terms).items()):
        by_kind[kind].append(edge)
    groups = [by_kind[kind] for kind in sorted(by_kind)]
    namings = (
        {edge: name for group, order in zip(groups, orders, strict=True)
         for edge, name in zip(group, order, strict=True)}
        for orders in product(*(permutations(range(len(group))) for group in groups))
    )  # fmt: skip
    return min(((_rename(terms, names), names) for names in namings), key=lambda pair: pair[0])


def _rename(terms: Terms, names: dict[int, int]) -> Terms:
    renamed: list[Term] = []
    for term in terms:
        if term[0] == "constant":
            renamed.append(("constant", names[term[1]]))
        elif term[0] == "conv":
            renamed.append(("conv", term[1], names[term[2]], _rename(term[3], names)))
        elif term[0] == "pool":
            renamed.append(("pool", _rename(term[1], names)))
        else:
            renamed.append(term)
    return tuple(sorted(renamed))


def _number(keys: list[Any]) -> IntArray:
    first: dict[Any, int] = {}
    numbers = np.array([first.setdefault(key, len(first)) for key in keys], dtype=np.int64)
    assert len(numbers) == SIZE
    numbers.flags.writeable = False
    return numbers
