"""The sentences at the top of a report, for searches of which the right words are known."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from nb201env import open_table
from nb201env.agents.report.document import document
from nb201env.agents.report.marks import mark
from nb201env.agents.report.summary import summarise
from nb201env.agents.report.tables import interval
from nb201env.agents.report.verdict import verdict, verdict_overall, warnings
from tests.agents.report.made import Regrets, bench, setting

TEN = [0.1 * x for x in range(1, 11)]


def said(regrets: Regrets, **others: Any) -> list[str]:
    return list(verdict(summarise(bench(setting("env", regrets, **others))).settings[0]))


def said_overall(*environments: Regrets) -> list[str]:
    summary = summarise(bench(*(setting(f"env{i}", regrets) for i, regrets in enumerate(environments))))
    assert summary.overall is not None
    return list(verdict_overall(summary.overall, summary.bench))


def shifted(by: float) -> list[float]:
    return [x + by for x in TEN]


# -- one environment --------------------------------------------------------------------------


def test_one_agent() -> None:
    assert said({"PPO": TEN}) == [
        "Within 2 queries, PPO ends with a regret of 0.55 points [0.28, 0.82] (interquartile mean).",
        "No search asks for the optimum.",
    ]
    assert said({"PPO": [0.0] * 8 + [0.5] * 2})[1] == "The optimum is asked for by 8 of 10 searches."
    assert said({"PPO": [0.0] * 3}) == [
        "Within 2 queries, PPO ends at the optimum in every search.", "Every search asks for the optimum.",
    ]  # fmt: skip


def test_two_agents_told_apart() -> None:
    assert said({"random search": shifted(3), "PPO": TEN}) == [
        "Within 2 queries, PPO ends best, with a regret of 0.55 points [0.28, 0.82] (interquartile mean).",
        "It beats random search (3.55 points) with probability 100 % [80, 100].",
        "No search of either agent asks for the optimum.",
    ]


def test_two_agents_not_told_apart() -> None:
    assert said({"PPO": TEN, "A2C": [0.0, *shifted(0.05)[1:]]}) == [
        "Within 2 queries, PPO ends best, with a regret of 0.55 points [0.28, 0.82] (interquartile mean).",
        "It cannot be told apart from A2C (0.60 points): a search of PPO ends lower than one of A2C with "
        "probability 54 % [30, 76].",
        "The optimum is asked for by 1 of 10 searches of A2C and none of 10 searches of PPO.",
    ]


def test_three_agents() -> None:
    assert said({"a": TEN, "b": shifted(0.1), "c": shifted(3)})[1:3] == [
        "It cannot be told apart from b (0.65 points): a search of a ends lower than one of b with "
        "probability 60 % [32, 82] (95 % for both comparisons together).",
        "It beats c (3.55 points) with probability 100 % [75, 100].",
    ]
    assert said({"a": TEN, "b": shifted(0.1), "c": shifted(0.2)})[1].startswith(
        "Neither b nor c can be told apart from it: a search of a ends lower than one of theirs with a "
        "probability of 60 to 68 %, and every interval holds 50"
    )
    assert said({"a": TEN, "b": shifted(4), "c": shifted(3)})[1].startswith(
        "It beats b (4.55 points) with probability 100 % [75, 100] and c (3.55 points) with "
    )


def test_thirteen_agents_are_grouped() -> None:
    many = {f"near{i}": shifted(0.02 * i) for i in range(6)} | {f"far{i}": shifted(3 + i) for i in range(7)}
    _, alike, beaten, reached = said(many)
    assert alike.startswith("It cannot be told apart from five agents (marked in the tables): ")
    assert beaten.startswith(
        "It beats seven agents, each with a probability of at least 100 %; the closest is far"
    )
    assert alike.endswith("(95 % for all 12 comparisons together).")
    assert reached == "No search of any agent asks for the optimum."
    assert said({f"{i}": TEN for i in range(13)})[1].startswith(
        "None of the other 12 agents can be told apart from it: "
    )


def test_all_at_the_optimum() -> None:
    assert said({"a": [0.0] * 4, "b": [0.0] * 4}) == [
        "Within 2 queries, both agents end at the optimum in every search.",
        "Every search of both agents asks for the optimum.",
    ]  # fmt: skip
    assert (
        said({name: [0.0] * 4 for name in "abc"})[0]
        == "Within 2 queries, all three agents end at the optimum in every search."
    )
    assert (
        said({str(i): [0.0] for i in range(13)})[0]
        == "Within 2 queries, all 13 agents end at the optimum in every search."
    )


def test_some_at_the_optimum() -> None:
    assert said({"a": TEN, "b": [0.0] * 10})[:2] == [
        "Within 2 queries, b ends best, at the optimum in every search.",
        "It beats a (0.55 points) with probability 100 % [80, 100].",
    ]
    assert said({"a": [0.0] * 10, "b": [0.0] * 10, "c": shifted(1), "d": [0.0] * 9 + [1.0]}) == [
        "Within 2 queries, a and b end at the optimum in every search.",
        "They cannot be told apart from d (0.00 points): a search of a ends lower than one of d with "
        "probability 55 % [27, 80] (95 % for all three comparisons together).",
        "Each of them beats c (1.55 points) with probability 100 % [72, 100].",
        "The optimum is asked for by all 10 searches of a, all 10 searches of b, 9 of 10 searches of d and "
        "none of 10 searches of c.",
    ]


def test_who_reaches_the_optimum_among_many() -> None:
    mixed = {"a": [0.0] * 2 + [1.0] * 8, "b": [0.0] * 5 + [1.0] * 5, "c": [1.0] * 10, "d": [1.0] * 10,
             "e": [0.0] * 1 + [1.0] * 9}  # fmt: skip
    assert said(mixed)[-1] == (
        "The optimum is asked for most often by b (5 of 10 searches), then a (2) and e (1); "
        "two of the 5 agents never do."
    )


def test_one_search_each_claims_nothing() -> None:
    assert said({"a": [2.0], "b": [0.5]})[0] == (
        "Within 2 queries, b ended best, with a regret of 0.50 points; but one search of each agent does not "
        "say which of them is better."
    )
    assert (
        said({"a": [2.0]})[0] == "Within 2 queries, a ends with a regret of 2.00 points (interquartile mean)."
    )
    assert said({"a": [0.0], "b": [0.5]})[1] == (
        "The optimum is asked for by the one search of a and no search of b."
    )


def test_predictions_are_called_so() -> None:
    predicted = open_table("cifar10-valid-200-surrogate")
    assert said({"a": TEN}, table=predicted)[-1] == (
        "All this is by predictions of a surrogate, not by results of trainings."
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_sentences_agree_with_the_marks(seed: int) -> None:
    """Who is named or counted as not told apart is marked in the column of regrets."""
    rng = np.random.default_rng(seed)
    regrets = {f"agent{i}": (rng.gamma(2, 0.3, size=8) + 0.3 * i).round(2).tolist() for i in range(4)}
    one = summarise(bench(setting("env", regrets))).settings[0]
    cells = mark([interval(a.iqm) for a in one.agents], [[a.entry.finals()] for a in one.agents])
    text = " ".join(verdict(one))
    for agent, cell in zip(one.agents, cells, strict=True):
        label = agent.entry.label
        beaten = text.split("It beats ")[1:]
        assert cell.best == (not any(label in part.split(". ")[0] for part in beaten))


# -- all environments -------------------------------------------------------------------------


def test_over_environments() -> None:
    both = {"PPO": TEN, "A2C": shifted(0.1), "random search": shifted(2)}
    text = said_overall(both, both)
    assert text[0].startswith("Over both environments, PPO ends best, with ")
    assert text[0].endswith(" of the median architecture's regret left (interquartile mean).")
    assert text[1].startswith("It cannot be told apart from A2C (0.83 %): ")
    assert text[2].startswith("It beats random search (3.26 %) with probability 100 % [")
    assert text[3] == (
        "By mean rank PPO leads (1.00 of 3); no other agent lies within the critical difference of 0.74."
    )
    assert said_overall(both, both, both)[0].startswith("Over all three environments, PPO ends best")


def test_ranks_that_are_not_told_apart() -> None:
    rng = np.random.default_rng(0)
    alike = {name: rng.uniform(0, 3, size=8).round(2).tolist() for name in "abc"}
    assert said_overall(alike, alike)[-1].startswith(
        "Friedman's test does not tell the agents' ranks apart (p = "
    )


def test_agents_that_did_not_search_everywhere_are_named_as_left_out() -> None:
    some = {"a": TEN, "b": TEN}
    text = said_overall(some | {"c": TEN}, some)
    assert text[-1] == "One agent is left out here, without searches in every environment."


# -- warnings ---------------------------------------------------------------------------------


def warned(**counts: int) -> list[str]:
    return list(warnings({label: [np.zeros(count)] for label, count in counts.items()}))


def test_few_searches_are_warned_of() -> None:
    usual = (
        ": intervals are wide, and a better agent may not show as one. At least 10 searches of each agent "
        "are usual; the NAS-Bench-201 paper ran 500."
    )
    assert warned(a=10, b=10) == []
    assert warned(a=5) == [f"The agent has only five searches{usual}"]
    assert warned(a=1, b=1) == [f"Every agent has only one search{usual}"]
    assert warned(a=5, b=20)[0] == f"a has only five searches{usual}"
    assert warned(a=5, b=5, c=20)[0] == f"a and b have only five searches each{usual}"
    assert warned(a=3, b=5, c=20)[0] == f"a and b have only 3 to 5 searches each{usual}"
    assert warned(**{f"x{i}": 4 for i in range(6)}, y=20)[0].startswith("Six of the 7 agents have only four")


def test_different_numbers_of_searches_are_warned_of() -> None:
    assert warned(a=10, b=30) == [
        "The agents have different numbers of searches, from 10 to 30: intervals of those with fewer are "
        "wider for that reason alone."
    ]
    assert len(warned(a=5, b=20)) == 2


def test_the_fewest_of_all_environments_count() -> None:
    assert warnings({"a": [np.zeros(20), np.zeros(4)]})[0].startswith("The agent has only four searches")


# -- in the report ----------------------------------------------------------------------------


def test_every_section_of_results_begins_with_its_verdict() -> None:
    few = {"a": TEN[:5], "b": TEN[:5]}
    summary = summarise(bench(setting("one", few), setting("two", few)))
    over, one, two, sources = document(summary, "x")
    assert summary.overall is not None
    assert over.paragraphs == (" ".join(verdict_overall(summary.overall, summary.bench)),)
    for section, results in zip((one, two), summary.settings, strict=True):
        assert section.paragraphs[0] == " ".join(verdict(results))
        assert section.paragraphs[1].startswith("Budget: ")
    assert all(section.warnings[0].startswith("Every agent has only five") for section in (over, one, two))
    assert sources.warnings == ()


def test_no_number_is_missing_from_any_sentence() -> None:
    """Nothing reads "nan", and every sentence ends like one."""
    for count, agents in product((1, 2, 5, 12), (1, 2, 3, 13)):
        rng = np.random.default_rng([count, agents])
        regrets = {f"agent {i}": rng.choice([0.0, 0.1, 0.9], size=count).tolist() for i in range(agents)}
        for sentence in said(regrets) + said_overall(regrets, regrets):
            assert "nan" not in sentence
            assert "{" not in sentence
            assert "  " not in sentence
            assert sentence.endswith(".")
            assert not sentence.endswith("..")
