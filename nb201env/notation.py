"""The ways in which the field writes an architecture, and how they are read.

`FORMS` lists them, with an example of each and who writes it; docs/notation.md shows the same. Three
rules keep one text from meaning two architectures:

* an op is known by its name, never by its place, unless it is said whose numbers stand there (``naslib:``);
* an edge is known by its two nodes wherever a form names them, so the order of a dictionary's keys does not
  matter; where it does not, the form's own order of edges holds;
* what could be two architectures is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

from nb201env.fields import parse_json, quoted
from nb201env.space import EDGES, NUM_EDGES, NUM_OPS, OPS, SIZE, all_ops, official_order, whole_number

NASLIB_OPS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
NASLIB_NAMES = ("Identity", "Zero", "ReLUConvBN3x3", "ReLUConvBN1x1", "AvgPool1x1")
NASLIB_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
SYNE_TUNE_OPS = ("avg_pool_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_1x1", "none")

Ops = tuple[int, ...]


class Form(NamedTuple):
    """One way to write an architecture.

    Attributes:
        name: What this form is called.
        example: The architecture with official index 6111, as a text.
        writer: Who writes it so.
    """

    name: str
    example: str
    writer: str


_BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"

FORMS: tuple[Form, ...] = (
    Form("official string", _BEST, "NAS-Bench-201, NATS-Bench, nearly everybody"),
    Form("official index", "official:6111", "NAS-Bench-201, NATS-Bench: the row in their files"),
    Form("index", "index:11667", "this package: lexicographic"),
    Form("op numbers", "ops:(3, 3, 3, 1, 3, 2)", "this package: in the official orders of ops and edges"),
    Form("structure", f"Structure(4 nodes with {_BEST})", "AutoDL-Projects, HPOBench: a printed genotype"),
    Form(
        "genotype",
        "[(('nor_conv_3x3', 0),), (('nor_conv_3x3', 0), ('nor_conv_3x3', 1)), "
        "(('skip_connect', 0), ('nor_conv_3x3', 1), ('nor_conv_1x1', 2))]",
        "NATS-Bench's str2lists, AutoDL-Projects: the inputs of each node",
    ),
    Form(
        "op names",
        "('nor_conv_3x3', 'nor_conv_3x3', 'nor_conv_3x3', 'skip_connect', 'nor_conv_3x3', 'nor_conv_1x1')",
        "Syne Tune and others: in the official order of edges",
    ),
    Form(
        "hp_x0 .. hp_x5",
        "{'hp_x0': 'nor_conv_3x3', 'hp_x1': 'nor_conv_3x3', 'hp_x2': 'nor_conv_3x3', "
        "'hp_x3': 'skip_connect', 'hp_x4': 'nor_conv_3x3', 'hp_x5': 'nor_conv_1x1'}",
        "Syne Tune's configurations",
    ),
    Form("Syne Tune's numbers", "syne-tune:(1, 1, 1, 2, 1, 3)", "positions in Syne Tune's list of choices"),
    Form(
        "edges by nodes",
        "{'0_1': 'conv_3x3', '0_2': 'conv_3x3', '1_2': 'conv_3x3', '0_3': 'skip_connect', '1_3': 'conv_3x3', "
        "'2_3': 'conv_1x1'}",
        "NNI; its names without nor_ or the official ones",
    ),
    Form(
        "edges by nodes, backwards",
        "{'1<-0': 'nor_conv_3x3', '2<-0': 'nor_conv_3x3', '2<-1': 'nor_conv_3x3', '3<-0': 'skip_connect', "
        "'3<-1': 'nor_conv_3x3', '3<-2': 'nor_conv_1x1'}",
        "AutoDL-Projects' and HPOBench's configurations",
    ),
    Form("NASLib's numbers", "naslib:(2, 2, 0, 2, 2, 3)", "NASLib's op_indices, NAS-Bench-Suite-Zero's keys"),
    Form(
        "NASLib's names",
        "('ReLUConvBN3x3', 'ReLUConvBN3x3', 'Identity', 'ReLUConvBN3x3', 'ReLUConvBN3x3', 'ReLUConvBN1x1')",
        "NASLib's get_op_name, in its order of edges",
    ),
    Form(
        "matrix of op numbers",
        "[[0, 0, 0, 0], [3, 0, 0, 0], [3, 3, 0, 0], [1, 3, 2, 0]]",
        "NATS-Bench's str2matrix: node by row, input by column",
    ),
    Form(
        "adjacency matrix and op names",
        "([[0, 1, 1, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0, 1, 0], "
        "[0, 0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1], "
        "[0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0]], "
        "['input', 'nor_conv_3x3', 'nor_conv_3x3', 'nor_conv_3x3', 'skip_connect', 'nor_conv_3x3', "
        "'nor_conv_1x1', 'output'])",
        "arch2vec, BRP-NAS and others: ops as nodes, in any order; nodes with none may be left out",
    ),
)  # fmt: skip
"""Every form that is read, as a text; all of them name the same architecture."""

_LONGEST, _DEEPEST = 4096, 4
_ALL_FORMS = "docs/notation.md lists what is read"


def read(value: Any, notation: str | None = None) -> Ops:
    """The six op numbers of an architecture in any of the `FORMS`, as a text or as the object itself.

    Args:
        value: The text; or a dictionary, six names, a genotype, a matrix, or a pair of matrix and names;
            or an object whose method ``tostr`` gives the official string.
        notation: Whose six numbers `value` holds: "ops", "naslib" or "syne-tune".

    Raises:
        ValueError: If it names no architecture, or could name two.
    """
    if notation is not None:
        return _numbered(value, notation)
    if hasattr(value, "tostr"):
        value = value.tostr()
    return _read_text(value) if isinstance(value, str) else _read_object(_plain(value))


# -- texts -----------------------------------------------------------------------------------


def _read_text(text: str) -> Ops:
    prefix, colon, rest = text.partition(":")
    if colon and prefix in _PREFIXES:
        return _PREFIXES[prefix](rest, text)
    text = text.strip()
    if re.fullmatch("[0-9]{1,18}", text):
        raise ValueError(
            f"{text} could be two architectures: write official:{text} (its row in the official "
            f"files) or index:{text} (lexicographic)"
        )
    if structure := re.fullmatch(r"\w+\(4 nodes with (.*)\)", text):
        return _official(structure[1])
    return _read_object(_plain(_literal(text))) if text[:1] in ("(", "[", "{") else _official(text)


def _official(text: str) -> Ops:
    groups = text.split("+")
    if len(groups) != 3:
        raise ValueError(
            f"an official string has three node groups joined by '+'; got {quoted(text)} ({_ALL_FORMS})"
        )
    ops = []
    for node, group in enumerate(groups, start=1):
        parts = group.split("|")
        if len(parts) != node + 2 or parts[0] or parts[-1]:
            raise ValueError(f"node {node} needs {node} inputs like '|op~0|': {quoted(group)}")
        for source, part in enumerate(parts[1:-1]):
            name, _, origin = part.partition("~")
            if origin != str(source):
                raise ValueError(f"input {source} of node {node} must end in '~{source}': {quoted(part)}")
            ops.append(_op(name, OPS))
    return tuple(ops)


def _by_index(row: Callable[[int], int]) -> Callable[[str, str], Ops]:
    def find(digits: str, text: str) -> Ops:
        number = int(digits) if re.fullmatch("[0-9]{1,18}", digits) else None
        if number is None:
            kind = text.partition(":")[0]
            raise ValueError(f"after {kind}: comes a whole number, such as {kind}:6111; got {quoted(text)}")
        if number >= SIZE:
            raise ValueError(f"the index of an architecture is in 0..{SIZE - 1}; got {quoted(text)}")
        return tuple(all_ops()[row(number)].tolist())

    return find


def _literal(text: str) -> Any:
    """A list, tuple or dictionary as Python or JSON prints it; nothing is evaluated."""
    if len(text) > _LONGEST:
        raise ValueError(f"an architecture is written in at most {_LONGEST:,} characters; got {len(text):,}")
    as_json = re.sub(r",\s*\]", "]", text.translate(str.maketrans("()'", '[]"')))
    return parse_json(as_json, f"{quoted(text)} is no architecture ({_ALL_FORMS})")


# -- objects ---------------------------------------------------------------------------------


def _plain(value: Any, depth: int = 0) -> Any:
    """Arrays and tuples as lists, so that one form is known by its shape alone."""
    if depth > _DEEPEST:
        raise ValueError(f"what is nested so deeply is no architecture; {_ALL_FORMS}")
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(one, depth + 1) for key, one in value.items()}
    return [_plain(one, depth + 1) for one in value] if isinstance(value, list | tuple) else value


def _read_object(value: Any) -> Ops:
    if isinstance(value, Mapping):
        return _by_edge(_keyed(value))
    if isinstance(value, list) and len(value) == NUM_EDGES:
        return _listed(value)
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, list) for part in value):
        return _from_graph(*value)
    if isinstance(value, list) and len(value) == 4 and all(_is_row(row, 4) for row in value):
        return _from_matrix(value)
    if isinstance(value, list) and len(value) == 3:
        return _from_genotype(value)
    raise ValueError(f"{quoted(value)} is no architecture; {_ALL_FORMS}")


def _listed(values: Sequence[Any]) -> Ops:
    if all(whole_number(value) is not None for value in values):
        raise ValueError(
            f"six numbers could be three architectures: say whose they are, ops:{_text(values)} (positions "
            f"in {', '.join(OPS)}), naslib:{_text(values)} or syne-tune:{_text(values)}"
        )
    if any(value in NASLIB_NAMES for value in values):
        ops = [OPS.index(NASLIB_OPS[_op(value, NASLIB_NAMES)]) for value in values]
        return _by_edge(dict(zip(NASLIB_EDGES, ops, strict=True)))
    return tuple(_op(value) for value in values)


def _text(values: Sequence[Any]) -> str:
    return f"({', '.join(map(str, values))})"


def _keyed(value: Mapping[Any, Any]) -> dict[tuple[int, int], int]:
    """The op of each edge, from a dictionary that names edges in one of three ways."""
    found: dict[tuple[int, int], int] = {}
    for key, op in value.items():
        if place := re.fullmatch("hp_x([0-5])", str(key)):
            edge = EDGES[int(place[1])]
        elif nodes := re.fullmatch("([0-3])_([0-3])", str(key)):
            edge = int(nodes[1]), int(nodes[2])
        elif nodes := re.fullmatch("([0-3])<-([0-3])", str(key)):
            edge = int(nodes[2]), int(nodes[1])
        else:
            raise ValueError(
                f"{quoted(key)} names no edge of a cell; edges are called '0_1', '1<-0' or 'hp_x0'"
            )
        if edge not in EDGES or edge in found:
            twice = "named twice" if edge in found else f"none of a cell: these are {EDGES}"
            raise ValueError(f"the edge {quoted(key)} is {twice}")
        found[edge] = _op(op)
    return found


def _by_edge(ops: Mapping[tuple[int, int], int]) -> Ops:
    missing = [edge for edge in EDGES if edge not in ops]
    if missing:
        raise ValueError(f"an architecture has an op on each of its six edges; missing: {missing}")
    return tuple(ops[edge] for edge in EDGES)


def _from_genotype(nodes: Sequence[Any]) -> Ops:
    found: dict[tuple[int, int], int] = {}
    for node, inputs in enumerate(nodes, start=1):
        for one in inputs if isinstance(inputs, list) else [inputs]:
            if not (isinstance(one, list) and len(one) == 2 and whole_number(one[1]) in range(node)):
                raise ValueError(
                    f"node {node} has inputs (op name, number of an earlier node); got {quoted(one)}"
                )
            if (one[1], node) in found:
                raise ValueError(f"node {node} has two inputs from node {one[1]}")
            found[one[1], node] = _op(one[0])
    return _by_edge(found)


def _is_row(row: Any, length: int) -> bool:
    return isinstance(row, list) and len(row) == length


def _from_matrix(matrix: Sequence[Sequence[Any]]) -> Ops:
    """Node by row and input by column; what lies on the diagonal and above must be 0."""
    above = [matrix[i][j] for i in range(4) for j in range(i, 4)]
    if any(whole_number(entry) != 0 for entry in above):
        raise ValueError(
            "a matrix of ops has nodes by row and their inputs by column, and 0 on and above the diagonal; "
            f"got {quoted(matrix)}"
        )
    entries = [matrix[target][source] for source, target in EDGES]
    if all(isinstance(entry, str) for entry in entries):
        return tuple(_op(entry) for entry in entries)
    return _numbered(entries, "ops")


def _from_graph(matrix: Sequence[Any], names: Sequence[Any]) -> Ops:
    """Ops as nodes between "input" and "output": node a leads to node b where edge a ends and b begins.

    The nodes may stand in any order, and those with the op none be left out, as long as only one
    architecture has that graph.
    """
    size = len(names)
    if not (2 <= size <= NUM_EDGES + 2 and len(matrix) == size and all(_is_row(row, size) for row in matrix)):
        raise ValueError(
            "a graph is a square 0/1 matrix and one name for each row, 'input', up to six ops and 'output'; "
            f"got {len(matrix)} rows and {size} names"
        )
    if sorted(name for name in names if name in ("input", "output")) != ["input", "output"]:
        raise ValueError(f"a graph has one node 'input' and one 'output'; got the names {quoted(names)}")
    joined = [[whole_number(entry) for entry in row] for row in matrix]
    if any(entry not in (0, 1) for row in joined for entry in row):
        raise ValueError(f"an adjacency matrix holds 0 and 1; got {quoted(matrix)}")
    at = [i for i, name in enumerate(names) if name not in ("input", "output")]
    ops = [_op(names[i]) for i in at]
    ends = {names.index("input"): (-1, 0), names.index("output"): (3, -1)}
    found = set()
    for places in permutations(EDGES, len(at)):
        edge = ends | dict(zip(at, places, strict=True))
        if all(joined[a][b] == (edge[a][1] == edge[b][0] != -1) for a in range(size) for b in range(size)):
            found.add(_by_edge(dict.fromkeys(EDGES, 0) | dict(zip(places, ops, strict=True))))
    if len(found) != 1:
        what = f"{len(found)} architectures have" if found else "no architecture has"
        raise ValueError(f"{what} this graph: write the ops none as nodes too, joined like the others")
    return found.pop()


# -- numbers and names -----------------------------------------------------------------------


def _numbered(value: Any, notation: str) -> Ops:
    if notation not in _NUMBERED:
        raise ValueError(f"notation is one of {', '.join(_NUMBERED)} (or None); got {quoted(notation)}")
    order, edges = _NUMBERED[notation]
    numbers = _plain(_literal(value) if isinstance(value, str) else value)
    whole = [whole_number(one) for one in numbers] if isinstance(numbers, list) else []
    if len(whole) != NUM_EDGES or any(one not in range(NUM_OPS) for one in whole):
        raise ValueError(
            f"{notation} needs six op numbers in 0..{NUM_OPS - 1}, whole ones; got {quoted(value)}"
        )
    return _by_edge({edge: OPS.index(order[one or 0]) for edge, one in zip(edges, whole, strict=True)})


def _op(name: Any, names: tuple[str, ...] = ()) -> int:
    """An op's position among the names; among the official ones, or NNI's for them, if none are given."""
    if not names and isinstance(name, str) and name in _WITHOUT_PREFIX:
        return _WITHOUT_PREFIX[name]
    if not isinstance(name, str) or name not in (names or OPS):
        raise ValueError(f"unknown op {quoted(name)}; the ops are {', '.join(names or OPS)}")
    return (names or OPS).index(name)


_WITHOUT_PREFIX = {name.removeprefix("nor_"): number for number, name in enumerate(OPS)}
_NUMBERED = {
    "ops": (OPS, EDGES),
    "naslib": (NASLIB_OPS, NASLIB_EDGES),
    "syne-tune": (SYNE_TUNE_OPS, EDGES),
}
_PREFIXES: dict[str, Callable[[str, str], Ops]] = {
    "official": _by_index(lambda number: int(official_order()[number])),
    "index": _by_index(lambda number: number),
    "ops": lambda rest, _: _numbered(rest, "ops"),
    "naslib": lambda rest, _: _numbered(rest, "naslib"),
    "syne-tune": lambda rest, _: _numbered(rest, "syne-tune"),
}
