"""Numbers that describe what an architecture computes: its paths and its live graph.

All of them are read off the canonical form (`nb201env.classes.canonical_form`), where dead edges
are gone and skips are dissolved. So architectures of one canonical class have the same numbers,
and everything that is predicted from them is equal within a class by construction.

A *path* leads from the cell's input to its output; it is written as the ops on it, input first:
"1" and "3" for the convolutions, "p" for pooling, skips left out. "" is a plain skip from input to
output. There are 40 such words of at most three letters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from nb201env.arrays import FloatArray
from nb201env.classes import Term, Terms, canonical_classes, canonical_form, representatives
from nb201env.space import CONV1X1, CONV3X3, all_ops

Features = dict[str, float]

_LETTERS = {CONV1X1: "1", CONV3X3: "3"}
WORDS: tuple[str, ...] = tuple("".join(word) for length in range(4) for word in product("13p", repeat=length))
"""The 40 words a path can be, "" (a skip) first."""

NOTHING = -1.0
"""The value of a maximum, minimum or mean over no paths; below every real one."""


@dataclass(frozen=True)
class LiveGraph:
    """What reaches the output of a cell.

    Attributes:
        terms: The canonical form: the sum that the output node is.
        paths: The word of every path from the input to the output.
        constants: The word behind every convolution of nothing (its batch norm's learned constant).
        convs: Every live convolution once, as its term ("conv", op, name, input terms).
        pools: Every distinct pooled sum once, as its term ("pool", terms).
    """

    terms: Terms
    paths: tuple[str, ...]
    constants: tuple[str, ...]
    convs: tuple[Term, ...]
    pools: tuple[Term, ...]

    @classmethod
    def of(cls, ops: tuple[int, ...]) -> LiveGraph:
        """The live graph of six op numbers."""
        terms = canonical_form(ops)
        found = list(_walk(terms, ""))
        inner = set(_all_terms(terms))
        return cls(
            terms=terms,
            paths=tuple(word for kind, word in found if kind == "input"),
            constants=tuple(word for kind, word in found if kind == "constant"),
            convs=tuple(sorted((term for term in inner if term[0] == "conv"), key=repr)),
            pools=tuple(sorted((term for term in inner if term[0] == "pool"), key=repr)),
        )


def _walk(terms: Terms, after: str) -> Iterator[tuple[str, str]]:
    """Where each path starts ("input" or "constant") and its word, depth first."""
    for term in terms:
        if term[0] == "conv":
            yield from _walk(term[3], _LETTERS[term[1]] + after)
        elif term[0] == "pool":
            yield from _walk(term[1], "p" + after)
        else:
            yield term[0], after


def _all_terms(terms: Terms) -> Iterator[Term]:
    """Every term at any depth."""
    for term in terms:
        yield term
        if term[0] in ("conv", "pool"):
            yield from _all_terms(term[-1])


# -- the two groups of features --------------------------------------------------------------


def path_features(graph: LiveGraph) -> Features:
    """How many paths carry each of the 40 words."""
    count = Counter(graph.paths)
    return {f"path_{word or 'skip'}": float(count[word]) for word in WORDS}


_MEASURES: dict[str, Callable[[str], int]] = {
    "convs": lambda word: word.count("1") + word.count("3"),
    "conv3x3": lambda word: word.count("3"),
    "conv1x1": lambda word: word.count("1"),
    "pools": lambda word: word.count("p"),
    "ops": len,
    "field": lambda word: word.count("3") + word.count("p"),  # half the receptive field's growth
}


def graph_features(graph: LiveGraph) -> Features:
    """Depth and width over all paths, live ops, and what stands where."""
    features: Features = {}
    for name, measure in _MEASURES.items():
        features |= _statistics(name, [measure(word) for word in graph.paths])
    return features | _whole_cell(graph) | _output_node(graph.terms) | _each_conv(graph.convs)


def _statistics(name: str, values: list[int]) -> Features:
    """How one measure is spread over the paths, and how many paths have 0, 1, 2 or 3 of it."""
    features = {
        f"max_{name}": float(max(values, default=NOTHING)),
        f"min_{name}": float(min(values, default=NOTHING)),
        f"sum_{name}": float(sum(values)),
        f"mean_{name}": float(np.mean(values)) if values else NOTHING,
    }
    return features | {f"paths_with_{k}_{name}": float(values.count(k)) for k in range(4)}


def _whole_cell(graph: LiveGraph) -> Features:
    unpooled = [word for word in graph.paths if "p" not in word]
    conv1x1 = sum(term[1] == CONV1X1 for term in graph.convs)
    conv3x3 = sum(term[1] == CONV3X3 for term in graph.convs)
    return {
        "paths": len(graph.paths),
        "paths_from_constants": len(graph.constants),
        "paths_with_a_conv": sum("1" in word or "3" in word for word in graph.paths),
        "paths_without_pool": len(unpooled),
        "max_convs_without_pool": max(map(_MEASURES["convs"], unpooled), default=NOTHING),
        "max_conv3x3_without_pool": max(map(_MEASURES["conv3x3"], unpooled), default=NOTHING),
        "has_skip": float("" in graph.paths),
        "is_dead": float(not graph.paths),
        "live_conv1x1": conv1x1,
        "live_conv3x3": conv3x3,
        "live_convs": conv1x1 + conv3x3,
        "live_pools": len(graph.pools),
        "live_constants": sum(term[0] == "constant" for term in set(_all_terms(graph.terms))),
    }


def _output_node(terms: Terms) -> Features:
    """The terms that the output node adds up."""
    return {
        "output_terms": len(terms),
        "output_convs": sum(term[0] == "conv" for term in terms),
        "output_conv3x3": sum(term[0] == "conv" and term[1] == CONV3X3 for term in terms),
        "output_pools": sum(term[0] == "pool" for term in terms),
    }


def _each_conv(convs: tuple[Term, ...]) -> Features:
    """How deep the convolutions stand, and what they are applied to."""
    deepest = [_depth(term[3], max) for term in convs]
    nearest = [_depth(term[3], min) for term in convs]
    features = {f"convs_after_at_most_{k}": float(deepest.count(k)) for k in range(3)}
    features |= {f"convs_after_at_least_{k}": float(nearest.count(k)) for k in range(3)}
    sums = [term for term in convs if len(term[3]) > 1]
    return features | {
        "convs_of_some_pool": sum(any(part[0] == "pool" for part in term[3]) for term in convs),
        "convs_of_pools_only": sum(
            all(part[0] in ("pool", "constant") for part in term[3]) for term in convs
        ),
        "convs_of_a_sum": len(sums),
        "conv3x3_of_a_sum": sum(term[1] == CONV3X3 for term in sums),
    }


def _depth(terms: Terms, pick: Callable[..., int]) -> int:
    """The most (pick=max) or fewest (pick=min) convolutions between the input and a sum."""
    depths = [
        _depth(term[-1], pick) + (term[0] == "conv") if term[0] in ("conv", "pool") else 0 for term in terms
    ]
    return pick(depths, default=0)


# -- the whole space at once -----------------------------------------------------------------


def _table(function: Callable[[LiveGraph], Features]) -> tuple[tuple[str, ...], FloatArray]:
    """One feature group for every architecture: names, and a read-only float64 [15625, features]."""
    first = representatives()
    rows = [function(LiveGraph.of(tuple(ops))) for ops in all_ops()[first].tolist()]
    names = tuple(rows[0])
    by_class = np.array([[row[name] for name in names] for row in rows], dtype=np.float64)
    values = by_class[canonical_classes()]
    values.flags.writeable = False
    return names, values


@cache
def all_path_features() -> tuple[tuple[str, ...], FloatArray]:
    """`path_features` of every architecture: names, and float64 [15625, 40] by index, read-only."""
    return _table(path_features)


@cache
def all_graph_features() -> tuple[tuple[str, ...], FloatArray]:
    """`graph_features` of every architecture: names, and float64 [15625, 75] by index, read-only."""
    return _table(graph_features)
