"""Every way in which the field writes an architecture is read, and nothing is read in two ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nb201env import Architecture, open_table
from nb201env.compat import orders
from nb201env.notation import FORMS, NASLIB_EDGES, NASLIB_NAMES, NASLIB_OPS
from nb201env.reading import read_architectures
from nb201env.space import EDGES, OPS
from tests.conftest import ROOT

ARCHITECTURES = st.tuples(*[st.integers(0, 4)] * 6).map(Architecture)
BEST = Architecture.from_official_index(6111)


def genotype(a: Architecture) -> list[list[tuple[str, int]]]:
    return [
        [(name, s) for name, (s, t) in zip(a.names, EDGES, strict=True) if t == node] for node in (1, 2, 3)
    ]


def matrix(a: Architecture) -> Any:
    found = np.zeros((4, 4), dtype=int)
    for op, (source, target) in zip(a.ops, EDGES, strict=True):
        found[target, source] = op
    return found


def graph(a: Architecture) -> tuple[Any, list[str]]:
    """Ops as nodes, from the rule itself: one leads to another if the other begins where it ends."""
    ends = [(-1, 0), *EDGES, (3, -1)]
    joined = np.array([[int(x[1] == y[0] != -1) for y in ends] for x in ends])
    return joined, ["input", *a.names, "output"]


def naslib_names(a: Architecture) -> list[str]:
    by_edge = dict(zip(EDGES, a.names, strict=True))
    return [NASLIB_NAMES[NASLIB_OPS.index(by_edge[edge])] for edge in NASLIB_EDGES]


WRITERS: dict[str, Callable[[Architecture], Any]] = {
    "official string": str,
    "official index": lambda a: f"official:{a.official_index}",
    "index": lambda a: f"index:{a.index}",
    "op numbers": lambda a: f"ops:{a.ops}",
    "structure": lambda a: f"Structure(4 nodes with {a})",
    "genotype": genotype,
    "op names": lambda a: a.names,
    "hp_x0 .. hp_x5": lambda a: {f"hp_x{i}": name for i, name in enumerate(a.names)},
    "Syne Tune's numbers": lambda a: f"syne-tune:{orders.to_syne_tune(a)}",
    "edges by nodes": lambda a: {
        f"{s}_{t}": name.removeprefix("nor_") for (s, t), name in zip(EDGES, a.names, strict=True)
    },
    "edges by nodes, backwards": lambda a: {
        f"{t}<-{s}": name for (s, t), name in zip(EDGES, a.names, strict=True)
    },
    "NASLib's numbers": lambda a: f"naslib:{orders.to_naslib(a)}",
    "NASLib's names": naslib_names,
    "matrix of op numbers": matrix,
    "adjacency matrix and op names": graph,
}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_example_names_the_best_cell(form: Any) -> None:
    assert Architecture.parse(form.example) == BEST
    assert Architecture.of(form.example) == BEST
    assert str(form.example) in (ROOT / "docs" / "notation.md").read_text(encoding="utf-8")


def test_the_list_is_whole() -> None:
    assert [form.name for form in FORMS] == list(WRITERS)


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=30)
@given(architecture=ARCHITECTURES)
def test_what_is_written_is_read(name: str, architecture: Architecture) -> None:
    """The object itself, and where it is plain, its text as Python and as JSON print it."""
    written = WRITERS[name](architecture)
    assert Architecture.parse(written) == architecture
    plain = written.tolist() if isinstance(written, np.ndarray) else written
    if name == "adjacency matrix and op names":
        plain = (written[0].tolist(), written[1])
    assert Architecture.parse(str(plain)) == architecture
    if not isinstance(plain, str):
        assert Architecture.parse(json.dumps(plain)) == architecture


@given(architecture=ARCHITECTURES, seed=st.integers(0, 1000))
def test_the_order_of_a_dictionarys_keys_and_of_a_graphs_nodes_does_not_matter(
    architecture: Architecture, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(6).tolist()
    for name in ("hp_x0 .. hp_x5", "edges by nodes", "edges by nodes, backwards"):
        items = list(WRITERS[name](architecture).items())
        assert Architecture.parse({items[i][0]: items[i][1] for i in order}) == architecture
    joined, names = graph(architecture)
    nodes = np.random.default_rng(seed).permutation(8)
    assert Architecture.parse((joined[np.ix_(nodes, nodes)], [names[i] for i in nodes])) == architecture


def test_a_graph_without_its_nones() -> None:
    joined, names = graph(Architecture((3, 0, 2, 0, 0, 4)))
    kept = [i for i, name in enumerate(names) if name != "none"]
    short = joined[np.ix_(kept, kept)], [names[i] for i in kept]
    assert Architecture.parse(short) == Architecture((3, 0, 2, 0, 0, 4))
    lonely = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]]), ["input", "nor_conv_3x3", "output"]
    with pytest.raises(ValueError, match="2 architectures have this graph: write the ops none as nodes too"):
        Architecture.parse(lonely)


def test_numbers_need_an_owner() -> None:
    numbers = (4, 0, 3, 1, 4, 3)
    for given_ in (str(numbers), list(numbers), np.array(numbers)):
        with pytest.raises(
            ValueError, match=r"whose they are, ops:.* naslib:\(4, 0, 3, 1, 4, 3\) or syne-tune:"
        ):
            Architecture.parse(given_)
        assert Architecture.parse(given_, notation="naslib") == orders.from_naslib(numbers)
        assert Architecture.parse(given_, notation="syne-tune") == orders.from_syne_tune(numbers)
        assert Architecture.parse(given_, notation="ops") == Architecture(numbers)
    assert Architecture.of(numbers) == Architecture(numbers), "in Python, six numbers are this package's"
    with pytest.raises(ValueError, match="6111 could be two architectures"):
        Architecture.parse("6111")


def test_objects_that_write_themselves() -> None:
    class Genotype:
        def tostr(self) -> str:
            return str(BEST)

    assert Architecture.of(Genotype()) == BEST  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("", "three node groups"),
        ("hello", "docs/notation.md lists what is read"),
        ("naslib:(1, 2, 3)", "naslib needs six op numbers"),
        ("naslib:(1, 2, 3, 4, 5, 1)", "naslib needs six op numbers"),
        ("naslib:(1, 2, 3, 4, 0, 1.0)", "naslib needs six op numbers"),
        ("official:-1", "after official: comes a whole number"),
        ("index:15625", r"0\.\.15624"),
        ("(1, 2", "not JSON"),
        ("{'0_1': 'conv_3x3'}", r"missing: \[\(0, 2\)"),
        ("{'1_0': 'conv_3x3'}", "none of a cell"),
        ("{'a': 'conv_3x3'}", "'a' names no edge"),
        ("{'0_1': 'conv_5x5'}", "unknown op 'conv_5x5'"),
        ("{'0_1': 'none', '1<-0': 'none'}", "named twice"),
        ("['Identity', 'nor_conv_3x3', 'Zero', 'Zero', 'Zero', 'Zero']", "unknown op 'nor_conv_3x3'"),
        ("[[['nor_conv_3x3', 1]], [], []]", "node 1 has inputs"),
        ("[[0, 3, 0, 0], [3, 0, 0, 0], [3, 3, 0, 0], [1, 3, 2, 0]]", "0 on and above the diagonal"),
        ("[[0, 0, 0, 0], [9, 0, 0, 0], [3, 3, 0, 0], [1, 3, 2, 0]]", "ops needs six op numbers"),
        ("([[0, 1], [0, 0]], ['input', 'input'])", "one node 'input' and one 'output'"),
        ("([[0, 1, 0], [0, 0]], ['input', 'output'])", "a square 0/1 matrix"),
        ("([[0, 2], [0, 0]], ['input', 'output'])", "holds 0 and 1"),
        ("([[0, 1], [0, 0]], ['input', 'output'])", "no architecture has this graph"),
        ("[" * 2000 + "]" * 2000, "architecture"),
        ("(" + "1," * 5000 + ")", "at most 4,096 characters"),
        (5, "5 is no architecture"),
        (None, "None is no architecture"),
        ({"0_1": [[[[[[]]]]]]}, "nested so deeply"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_names_none_is_one_sentence(wrong: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        Architecture.parse(wrong)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_table_takes_them_all() -> None:
    table = open_table("cifar10-valid-200")
    for form in FORMS:
        assert table.query(form.example, split="valid", epochs=200, run="mean").accuracy > 0.916


def test_commas_within_brackets_separate_nothing() -> None:
    texts = [form.example for form in FORMS]
    assert read_architectures([", ".join(texts[:9]), *texts[9:]]) == [BEST] * len(FORMS)


def test_names_of_ops_are_the_official_ones() -> None:
    assert sorted(NASLIB_OPS) == sorted(OPS)
