"""Mean ranks: Friedman's test against scipy, Nemenyi's difference against Demšar's paper, groups by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nb201env.agents.report.ranks import critical_difference, friedman, mean_places, rank_agents
from nb201env.arrays import FloatArray

stats = pytest.importorskip("scipy.stats")
SHAPES = st.tuples(st.integers(2, 12), st.integers(3, 6))
BLOCKS = arrays(np.float64, SHAPES, elements=st.integers(0, 4).map(float))


@given(BLOCKS)
def test_equal_scores_share_the_mean_of_their_places(blocks: FloatArray) -> None:
    np.testing.assert_array_equal(mean_places(blocks), stats.rankdata(blocks, axis=1))


@given(BLOCKS)
def test_the_p_value_is_scipys(blocks: FloatArray) -> None:
    found = friedman(mean_places(blocks))
    if (np.ptp(blocks, axis=1) == 0).all():
        assert found == 1
    else:
        assert found == pytest.approx(stats.friedmanchisquare(*blocks.T).pvalue, abs=1e-9)


def test_the_critical_difference_of_demsars_paper() -> None:
    """Four algorithms on fourteen data sets (section 3.2.2): 1.25; two treatments are a sign test: 1.96."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(2, 1) == pytest.approx(1.95996, abs=1e-4)


def test_ranks_over_environments_by_hand() -> None:
    finals = {
        "worst": [np.array([3.0, 3, 9]), np.array([3.0])],
        "best": [np.array([1.0, 1]), np.array([1.0])],
        "middle": [np.array([2.0, 1, 9]), np.array([2.0, 0])],
    }
    ranks = rank_agents(finals)
    assert ranks is not None
    assert ranks.labels == ("best", "middle", "worst")
    assert ranks.blocks == 3, "two of the first environment, whose third seed one agent lacks, and one"
    assert ranks.mean == pytest.approx({"best": (1 + 1.5 + 1) / 3, "middle": (2 + 1.5 + 2) / 3, "worst": 3})
    assert ranks.groups == (("best", "middle", "worst"),), "three blocks tell nothing apart"


def test_groups_are_the_longest_runs_within_the_critical_difference() -> None:
    """Mean ranks 1.2, 1.8, 3 and 4, with a critical difference of 0.86."""
    rows = np.array([[1.0, 2, 3, 4]] * 24 + [[2, 1, 3, 4]] * 6)
    finals = {name: [column] for name, column in zip("abcd", rows.T, strict=True)}
    ranks = rank_agents(finals)
    assert ranks is not None
    assert ranks.critical == pytest.approx(0.856, abs=1e-3)
    assert ranks.groups == (("a", "b"),), "one alone is no group"
    assert ranks.p_value < 1e-9


def test_groups_may_overlap() -> None:
    rng = np.random.default_rng(0)
    finals = {str(i): [rng.normal(size=40) + 0.4 * i] for i in range(6)}
    ranks = rank_agents(finals)
    assert ranks is not None
    for group in ranks.groups:
        means = [ranks.mean[label] for label in group]
        first, last = ranks.labels.index(group[0]), ranks.labels.index(group[-1])
        assert group == ranks.labels[first : last + 1]
        assert max(means) - min(means) < ranks.critical
        assert first == 0 or ranks.mean[group[-1]] - ranks.mean[ranks.labels[first - 1]] >= ranks.critical
        assert last == 5 or ranks.mean[ranks.labels[last + 1]] - ranks.mean[group[0]] >= ranks.critical
    assert len(ranks.groups) > 1


def test_alike_agents_are_seldom_told_apart() -> None:
    """Blocks of independent searches: at 5 %, about 5 of 100 tests of agents that are alike say otherwise."""
    rng, said = np.random.default_rng(1), 0
    for _ in range(400):
        ranks = rank_agents({name: [rng.normal(size=10), 5 + rng.normal(size=10)] for name in "abcd"})
        assert ranks is not None
        said += ranks.p_value < 0.05
    assert 0.02 <= said / 400 <= 0.08


def test_one_agent_or_one_block_has_no_ranks() -> None:
    assert rank_agents({"a": [np.arange(5.0)]}) is None
    assert rank_agents({"a": [np.arange(5.0)], "b": [np.arange(1.0)]}) is None
