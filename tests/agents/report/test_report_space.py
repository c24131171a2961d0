"""The space in the report's page: what it tells of the searches."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from nb201env.agents.report.data import Bench
from nb201env.agents.report.summary import visits
from nb201env.pages.space import space_scripts

AGENTS = ["random search", "regularized evolution"]


def buckets(page: Any, key: str, agents: str = "all") -> list[int]:
    """Every architecture's place in a colouring of the first environment; 255 for none."""
    code = f"""() => {{ {space_scripts()}
        const all = DATA.panels["environment-0"].agents;
        const found = agentColourings(all, () => {agents}).find(([key]) => key === "{key}")[2]();
        return [...found.buckets];
    }}"""
    return list(page.evaluate(code))


def test_a_dot_has_the_colour_of_the_agent_that_asked_most_often(page: Any, bench: Bench) -> None:
    """By the share of its searches; of equals the one that asked for fewer cells in all."""
    counts = np.array([visits(entry) for entry in bench.settings[0].entries])
    cells = (counts > 0).sum(axis=1)
    order = sorted(range(2), key=lambda k: cells[k])
    best = np.array(order)[counts[order].argmax(axis=0)]
    expected = np.where(counts.any(axis=0), best, 255)
    assert buckets(page, "agents") == expected.tolist()
    assert {0, 1, 255} == set(expected.tolist())
    assert buckets(page, "agents", "[all[0]]") == np.where(counts[0], 0, 255).tolist()


def test_dots_are_coloured_by_how_many_asked(page: Any, bench: Bench) -> None:
    counts = np.array([visits(entry) for entry in bench.settings[0].entries])
    crowd = (counts > 0).sum(axis=0)
    assert buckets(page, "crowd") == np.where(crowd, crowd - 1, 255).tolist()
    assert (
        buckets(page, "asked:1")
        == np.where(counts[1], counts[1] - counts[1][counts[1] > 0].min(), 255).tolist()
    )


def test_the_panel_says_who_asked_and_what_other_tables_hold(page: Any, bench: Bench) -> None:
    chosen = bench.settings[0].entries[1].searches[0].chosen
    form = page.locator("section:not([hidden]) .find")
    form.get_by_label("Find a cell").fill(f"index:{chosen}")
    page.keyboard.press("Enter")
    text = page.locator("section:not([hidden]) .pinned").inner_text()
    for entry in bench.settings[0].entries:
        count = int(visits(entry)[chosen])
        asked = re.search(rf"{entry.label}\s+(\d) of 6", text)
        assert (int(asked[1]) if asked else 0) == count
    names = [re.search(rf"{name}\s+rank\s+validation accuracy\s+[\d.]+ %", text)
             for name in ("cifar10-valid-200", "cifar100-200", "ImageNet16-120-200")]  # fmt: skip
    assert all(names)


def test_each_environment_begins_with_the_table_that_was_searched(page: Any) -> None:
    page.get_by_role("tab", name="NB201-cifar100-v0", exact=True).click()
    upwards = page.locator("section:not([hidden])").get_by_label("Upwards", exact=True)
    assert upwards.locator("option").first.inner_text() == "validation accuracy, cifar100-200"
    assert "latency, cifar10-valid-200" not in upwards.locator("option").all_inner_texts()
