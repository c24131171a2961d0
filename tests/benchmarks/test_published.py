"""The page beside the papers: which rows are compared, which are not, and where a fitted number is from."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.studies import published
from benchmarks.studies.pages import read_data
from nb201env.agents.papers.protocols import PROTOCOLS


@pytest.fixture(scope="module")
def results() -> Any:
    return read_data(published.RESULTS)


def rows(text: str, agent: str) -> list[list[str]]:
    """The three rows of an agent in a Markdown table."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    first = next(place for place, cells in enumerate(lines) if cells[0].startswith(agent))
    return lines[first : first + 3]


def test_what_cannot_be_compared_has_a_note_and_no_difference(results: Any) -> None:
    part = published.protocol_part("nats", results["protocols"]["nats"], results["epochs"])
    ours, _, difference = rows(part, "BOHB")
    assert ours[0] == "BOHB \\*"
    assert difference[3:-1] == ["not comparable \\*"] * 2
    assert "\\* BOHB: not the search of the paper" in part
    assert rows(part, "REINFORCE")[2][3:-1] == ["+0.03", "+0.02"]


def test_with_learning_curves_all_is_compared(results: Any) -> None:
    part = published.protocol_part("nats", results["protocols"]["nats"], [*range(1, 13)])
    assert "\\*" not in part
    assert rows(part, "BOHB")[2][3:-1] == ["-0.11", "-0.10"]


def test_the_learning_rate_of_the_protocol_is_in_the_table(results: Any) -> None:
    """Its row there is that of the protocol, and in no column further from the paper than the goal."""
    (rate,) = PROTOCOLS["nb201"].hyperparameters["reinforce"].values()
    by_rate = results["learning_rates"]
    part = published.protocol_part("nb201", results["protocols"]["nb201"], results["epochs"])
    assert rows(part, "REINFORCE")[0][0] == "REINFORCE †"
    assert f"† REINFORCE: learning_rate {rate}, chosen because it agrees with this row; see below." in part
    assert by_rate[str(rate)]["cells"] == results["protocols"]["nb201"]["reinforce"]["cells"]
    within = [float(one) for one, row in by_rate.items() if published._largest(row) <= published.GOAL]
    assert within == [0.03, 0.05]
    assert f"| **{rate}** |" in published.rates_part(by_rate)
    searched = {one: row["cells"]["cifar10 test"] for one, row in by_rate.items()}
    distance = {one: abs(cell["ours"][0] - cell["published"][0]) for one, cell in searched.items()}
    assert min(within, key=lambda one: distance[str(one)]) == rate
