"""Pictures of cells: the SVG and the image say the same, and can be read on white paper."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nb201env import drawing
from nb201env.plots import OP_NAMES


def contrast(colour: str) -> float:
    """With white; https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio"""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return 1.05 / (float(np.dot([0.2126, 0.7152, 0.0722], linear)) + 0.05)


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast("#000000") == pytest.approx(21)
    assert contrast("#777777") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("colour", drawing.COLOURS)
def test_edges_stand_out_from_white(colour: str) -> None:
    assert contrast(colour) >= 3


def test_ops_have_one_spelling_in_cells_and_plots() -> None:
    shown = re.findall(r">([^<]+)</text>", drawing.svg((0, 1, 2, 3, 4, 5)))
    assert shown[:6] == ["none", "skip", "1×1", "3×3", "pool", "?"]
    assert {name for name in drawing.LABELS if "×" in name} == {name.split()[1] for name in OP_NAMES[2:4]}


@pytest.mark.parametrize("op", range(6))
def test_every_label_is_written_into_the_image(op: int) -> None:
    """In the box in the middle of the edge, in ink."""
    found = drawing.image((op, 0, 0, 0, 0, 0)) == np.array([43, 52, 64], dtype=np.uint8)
    x, y = (40 + 133) // 2, 100
    assert 8 < found.all(axis=2)[y - 8 : y + 9, x - 16 : x + 17].sum() < 120
