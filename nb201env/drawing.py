"""Drawings of a cell: text, SVG for notebooks, and an RGB image; numpy only.

All take six op numbers in edge order, where 5 stands for an edge that is still undecided; anything else
is a `ValueError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nb201env.space import EDGES, OPS, whole_numbers

LABELS = ("none", "skip", "1×1", "3×3", "pool", "?")
COLOURS = ("#8b95a1", "#55626f", "#2f7ed8", "#d1495b", "#35916a", "#b5861a")
"""Of the ops in that order; all stand out from white paper by 3:1 at least."""

# Where the four nodes stand on a 360 x 200 canvas, and how far each edge bends (pixels; the
# long edges 0→2, 1→3 and 0→3 pass around the nodes between).
_NODES = ((40, 100), (133, 100), (226, 100), (320, 100))
_BENDS = (0, -62, 0, 100, 62, 0)
_WIDTH, _HEIGHT = 360, 200


def text(ops: Sequence[int]) -> str:
    """A table of the edges, and for each node what flows into it."""
    names, ops = (*OPS, "?"), _checked(ops)
    lines = []
    for node in (1, 2, 3):
        inputs = [
            f"{names[op]}({'input' if source == 0 else f'node {source}'})"
            for (source, target), op in zip(EDGES, ops, strict=True)
            if target == node and op != 0
        ]
        label = "output" if node == 3 else f"node {node}"
        lines.append(f"{label} = {' + '.join(inputs) or '0'}")
    return "\n".join(lines)


class SvgParts(NamedTuple):
    """What an SVG picture is put together from: ``head``, the edges, the labels, ``tail``.

    Attributes:
        head, tail: The beginning, and the nodes and the end.
        edges, labels: By edge and op (5 stands for undecided).
    """

    head: str
    edges: tuple[tuple[str, ...], ...]
    labels: tuple[tuple[str, ...], ...]
    tail: str


def svg(ops: Sequence[int]) -> str:
    """The cell as an SVG picture with its own fonts and colours."""
    parts, ops = svg_parts(), _checked(ops)
    edges = (parts.edges[edge][op] for edge, op in enumerate(ops))
    labels = (parts.labels[edge][op] for edge, op in enumerate(ops))
    return "".join([parts.head, *edges, *labels, parts.tail])


@cache
def svg_parts() -> SvgParts:
    """The pieces of `svg`, for pages that put cells together by themselves."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12" text-anchor="middle">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
    )
    nodes = "".join(
        f'<circle cx="{x}" cy="{y}" r="13" fill="#2b3440"/>'
        f'<text x="{x}" y="{y + 4}" fill="white">{("in", "1", "2", "out")[node]}</text>'
        for node, (x, y) in enumerate(_NODES)
    )
    every = range(len(EDGES)), range(len(LABELS))
    edges, labels = (tuple(tuple(draw(e, op) for op in every[1]) for e in every[0]) for draw in (_path, _tag))
    return SvgParts(head, edges, labels, nodes + "</svg>")


def _path(edge: int, op: int) -> str:
    (x0, y0), (cx, cy), (x1, y1) = _curve(edge)
    dash = ' stroke-dasharray="4 4"' if op in (0, 5) else ""
    line = f'fill="none" stroke="{COLOURS[op]}" stroke-width="3"'
    return f'<path d="M{x0} {y0}Q{cx} {cy} {x1} {y1}" {line}{dash}/>'


def _tag(edge: int, op: int) -> str:
    x, y = _middle(edge)
    return (
        f'<rect x="{x - 17}" y="{y - 9}" width="34" height="18" rx="4" fill="white" '
        f'stroke="{COLOURS[op]}"/><text x="{x}" y="{y + 4}">{LABELS[op]}</text>'
    )


def image(ops: Sequence[int]) -> npt.NDArray[np.uint8]:
    """The cell as an RGB image, uint8 [200, 360, 3]."""
    canvas, ops = np.full((_HEIGHT, _WIDTH, 3), 255, dtype=np.uint8), _checked(ops)
    for edge, op in enumerate(ops):
        _stroke(canvas, edge, op)
    for edge, op in enumerate(ops):
        x, y = _middle(edge)
        _box(canvas, x, y, _rgb(op))
        _write(canvas, LABELS[op], x, y, (43, 52, 64))
    for node, (x, y) in enumerate(_NODES):
        _disc(canvas, x, y, 13, (43, 52, 64))
        _write(canvas, ("in", "1", "2", "out")[node], x, y, (255, 255, 255))
    return canvas


def _checked(ops: Sequence[int]) -> list[int]:
    rule = f"a drawing is of {len(EDGES)} op numbers in 0..{len(LABELS) - 1}"
    numbers = whole_numbers(ops, len(LABELS), rule)
    if numbers.shape != (len(EDGES),):
        raise ValueError(f"{rule}; got an array of shape {numbers.shape}")
    checked: list[int] = numbers.tolist()
    return checked


def _curve(edge: int) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
    """Start, control point and end of an edge's quadratic curve."""
    source, target = EDGES[edge]
    (x0, y0), (x1, y1) = _NODES[source], _NODES[target]
    return (x0, y0), ((x0 + x1) / 2, y0 + 1.7 * _BENDS[edge]), (x1, y1)


def _middle(edge: int) -> tuple[int, int]:
    (x0, y0), (cx, cy), (x1, y1) = _curve(edge)
    return round((x0 + 2 * cx + x1) / 4), round((y0 + 2 * cy + y1) / 4)


def _rgb(op: int) -> tuple[int, ...]:
    return tuple(int(COLOURS[op][i : i + 2], 16) for i in (1, 3, 5))


def _stroke(canvas: npt.NDArray[np.uint8], edge: int, op: int) -> None:
    start, control, end = (np.array(point) for point in _curve(edge))
    t = np.linspace(0, 1, 400)[:, None]
    points = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    if op in (0, 5):  # dashed, as in the SVG
        steps = np.hypot(*np.diff(points, axis=0, prepend=points[:1]).T)
        points = points[np.cumsum(steps) // 5 % 2 == 0]
    offsets = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)
    pixels = (np.round(points)[:, None] + offsets).reshape(-1, 2).astype(int)
    canvas[np.clip(pixels[:, 1], 0, _HEIGHT - 1), np.clip(pixels[:, 0], 0, _WIDTH - 1)] = _rgb(op)


def _box(canvas: npt.NDArray[np.uint8], x: int, y: int, colour: tuple[int, ...]) -> None:
    canvas[y - 9 : y + 10, x - 17 : x + 18] = colour
    canvas[y - 8 : y + 9, x - 16 : x + 17] = 255


def _disc(canvas: npt.NDArray[np.uint8], x: int, y: int, radius: int, colour: tuple[int, ...]) -> None:
    rows, columns = np.ogrid[:_HEIGHT, :_WIDTH]
    canvas[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = colour


# A 5 x 7 dot font for the letters that occur in LABELS and in the nodes' names.
_FONT = {
    "1": "..#...##....#....#....#....#...###.",
    "2": ".###.#...#....#...#...#...#...#####",
    "3": "####.....#....#.###.....#....#####.",
    "?": ".###.#...#....#...#...#.........#..",
    "e": "...........###.#...######.....####.",
    "i": "..#.........##....#....#....#...###",
    "k": "#....#....#..#.#.#..##...#.#..#..#.",
    "l": ".##....#....#....#....#....#...###.",
    "n": "..........####.#...##...##...##...#",
    "o": "...........###.#...##...##...#.###.",
    "p": "..........####.#...##...#####.#....",
    "s": "...........#####.....###.....#####.",
    "t": ".#....#...####..#....#....#..#..##.",
    "u": "..........#...##...##...##..##.##.#",
    "×": "..........#...#.#.#...#...#.#.#...#",
}


def _write(canvas: npt.NDArray[np.uint8], label: str, x: int, y: int, colour: tuple[int, ...]) -> None:
    left = x - (6 * len(label) - 1) // 2
    for position, letter in enumerate(label):
        dots = np.array([dot == "#" for dot in _FONT[letter]]).reshape(7, 5)
        rows, columns = np.nonzero(dots)
        canvas[y - 3 + rows, left + 6 * position + columns] = colour
