"""Agents look different to everyone: measured as colours are seen, not as they are written."""

from __future__ import annotations

from itertools import combinations

import pytest

from nb201env.agents.report.looks import look

coloraide = pytest.importorskip("coloraide", reason="needs coloraide, of the extra dev")

CARDS = {"light": "#ffffff", "dark": "#1a2027"}
PAGES = {"light": "#f5f7f9", "dark": "#12161b"}
SIGHTS = (None, "protan", "deutan", "tritan")
COUNT = 50


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("theme", CARDS)
def test_any_two_agents_differ_in_dash_or_clearly_in_colour(theme: str, sight: str | None) -> None:
    colours = {getattr(look(number), theme) for number in range(COUNT)}
    seen = {
        one: coloraide.Color(one) if sight is None else coloraide.Color(one).filter(sight) for one in colours
    }
    apart = {
        frozenset(pair): seen[pair[0]].delta_e(seen[pair[1]], method="2000")
        for pair in combinations(colours, 2)
    }
    for a, b in combinations([look(number) for number in range(COUNT)], 2):
        pair = frozenset((getattr(a, theme), getattr(b, theme)))
        assert a.dash != b.dash or apart[pair] >= 8
    assert min(apart.values()) >= 10.5  # what the palette was made for: dashes come on top


@pytest.mark.parametrize("theme", CARDS)
def test_lines_stand_out_from_the_page(theme: str) -> None:
    for number in range(COUNT):
        line = coloraide.Color(getattr(look(number), theme))
        assert line.contrast(CARDS[theme]) >= 3


def test_cards_are_those_of_the_page() -> None:
    from nb201env.pages.html import asset

    style = asset("nb201env.pages", "base.css")
    for theme in CARDS:
        assert f"--page: {PAGES[theme]}; --card: {CARDS[theme]};" in style


def test_neighbours_differ_in_dash_too() -> None:
    """So that few agents are told apart without any colour."""
    assert len({look(number).dash for number in range(5)}) == 5
