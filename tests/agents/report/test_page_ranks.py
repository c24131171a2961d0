"""The chart of mean ranks on the page, drawn from known numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agents.report.conftest import opened

LABELS = [4, 0, 2, 1, 3]
MEAN = [1.5, 2.0, 2.9, 4.2, 4.4]
RANKS = {"labels": LABELS, "mean": MEAN, "critical": 0.8, "groups": [[4, 0], [1, 3]]}


@pytest.fixture(params=[1200, 360])
def chart(request: pytest.FixtureRequest, browser: Any, many: Path, tmp_path: Path) -> Iterator[Any]:
    """The chart in a page that gets these ranks."""
    text = many.read_text(encoding="utf-8")
    match = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    data = json.loads(match[1])
    data["panels"]["all"]["ranks"] = RANKS
    whole = text[: match.start(1)] + json.dumps(data) + text[match.end(1) :]
    if 'data-chart="ranks"' not in whole:
        card = '<div class="card" data-chart="ranks"><h3>Ranks</h3></div>'
        whole = re.sub('(<section role="tabpanel" id="all".*?</h2>)', rf"\1{card}", whole)
    file = tmp_path / "report.html"
    file.write_text(whole, encoding="utf-8")
    for page in opened(browser, file, width=request.param):
        yield page.locator("[data-chart=ranks] svg")


def places(chart: Any) -> dict[int, float]:
    """Where on the axis every agent's dot is."""
    dots = chart.locator("g.agent > circle").all()
    agents = chart.locator("g.agent:has(circle)").all()
    return {
        int(a.get_attribute("data-agent")): float(d.get_attribute("cx"))
        for a, d in zip(agents, dots, strict=True)
    }


def test_agents_stand_at_their_mean_ranks_the_best_at_the_left(chart: Any) -> None:
    found = places(chart)
    axis = chart.locator("line.ink").first
    left, right = (float(axis.get_attribute(name)) for name in ("x1", "x2"))
    for label, mean in zip(LABELS, MEAN, strict=True):
        assert found[label] == pytest.approx(left + (mean - 1) / 4 * (right - left), abs=0.1)


def test_bars_join_those_not_told_apart(chart: Any) -> None:
    found, bars = places(chart), chart.locator("line.bar").all()
    ends = sorted(float(bar.get_attribute(end)) for bar in bars for end in ("x1", "x2"))
    assert ends == pytest.approx([found[4] - 4, found[0] + 4, found[1] - 4, found[3] + 4], abs=0.1)


def test_names_numbers_and_the_difference_are_written(chart: Any) -> None:
    texts = chart.locator("text").all_text_contents()
    for label, mean in zip(LABELS, MEAN, strict=True):
        assert str(label + 1) in texts
        assert any(text.endswith(f" {mean:.2f}") for text in texts)
    assert any(re.fullmatch("(critical difference|CD) 0.80", text) for text in texts)
    frame = chart.bounding_box()
    for text in chart.locator("text").all():
        box = text.bounding_box()
        assert frame["x"] - 1 <= box["x"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"] + 1


def test_it_says_the_same_in_words(chart: Any) -> None:
    spoken = chart.get_attribute("aria-label")
    assert [float(mean) for mean in re.findall(r" (\d\.\d\d)(?:,|\. )", spoken)][:5] == MEAN
