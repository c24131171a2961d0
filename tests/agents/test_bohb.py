"""BOHB: Hyperband's brackets, the density model against a plain one, and partial trainings."""

from __future__ import annotations

from itertools import islice
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("statsmodels")

from nb201env import Architecture
from nb201env.agents import make_agent
from nb201env.agents.bohb import BOHB, Model, after, promise
from nb201env.agents.searches.recorder import Recorder, agent_seed
from tests.epoch_table import PREFERRED


def queries(agent: BOHB, table: str, budget: int, seed: int = 0) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    env = gym.make("NB201-cifar10-v0", table=table, budget_queries=budget, run="mean")
    agent.search(Recorder(env, seed, seen.append), agent_seed(seed))
    return seen


def test_brackets_are_hyperbands() -> None:
    """eta 3, budgets 1.33, 4 and 12: the sizes that hpbandster's formula gives."""
    first, second, third, again = islice(BOHB().brackets(), 4)
    assert [size for size, _ in first] == [9, 3, 1]
    assert [size for size, _ in second] == [3, 1]
    assert [size for size, _ in third] == [3]
    assert [12 * share for _, share in first] == pytest.approx([12 / 9, 4, 12])
    assert [share for _, share in second] == pytest.approx([1 / 3, 1])
    assert [share for _, share in third] == [1.0]
    assert again == first


@pytest.mark.parametrize(
    ("ratio", "rungs"), [(1, 1), (2.9, 1), (3, 2), (9, 3), (12, 3), (27, 4), (200 / 12, 3)]
)
def test_rungs(ratio: float, rungs: int) -> None:
    assert len(next(BOHB(longest_over_shortest=ratio).brackets())) == rungs


def test_shares_are_recorded_epochs() -> None:
    twelve = tuple(range(1, 13))
    assert [after(share, twelve) for share in (1 / 9, 1 / 3, 1.0)] == [1, 4, 12]
    assert [after(share, (200,)) for share in (1 / 9, 1 / 3, 1.0)] == [200, 200, 200]
    assert [after(share, (60, 200)) for share in (1 / 9, 1 / 3, 1.0)] == [60, 60, 200]


def test_a_bracket_promotes_the_best(epoch_table: str) -> None:
    seen = queries(BOHB(), epoch_table, 13)
    assert [q["epochs"] for q in seen] == [1] * 9 + [4] * 3 + [12]
    for here, there in ((seen[:9], seen[9:12]), (seen[9:12], seen[12:])):
        best = sorted(here, key=lambda q: -q["accuracy"])[: len(there)]
        assert [q["architecture"] for q in there] == [q["architecture"] for q in best]


def test_a_table_without_curves_trains_wholly() -> None:
    seen = queries(BOHB(), "cifar10-valid-200", 13)
    assert [q["epochs"] for q in seen] == [200] * 13
    assert seen[12]["architecture"] in {q["architecture"] for q in seen[:9]}
    assert seen[12]["seconds"] > 0, "a promoted architecture is paid for again"


# -- the model -------------------------------------------------------------------------------


def kernel_density(data: np.ndarray[Any, Any], h: np.ndarray[Any, Any], x: np.ndarray[Any, Any]) -> float:
    """Aitchison and Aitken's product kernel, written out; levels are those that the data has."""
    total = 0.0
    for row in data:
        product = 1.0
        for edge in range(6):
            levels = len(set(data[:, edge]))
            product *= 1 - h[edge] if row[edge] == x[edge] else h[edge] / (levels - 1)
        total += product
    return total / len(data)


def filled(good: np.ndarray[Any, Any], bad: np.ndarray[Any, Any]) -> Model:
    model = Model(top_percent=15, min_points=7, min_bandwidth=0.3)
    for ops, reward in [*((g, 1.0) for g in good), *((b, 0.0) for b in bad)]:
        model.add(Architecture(tuple(ops.tolist())), reward)
    return model


def test_the_density_is_the_textbooks() -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(5, size=(40, 6))
    density = filled(data, data)._density(data)
    assert (density.bw >= 0.3).all()
    for x in rng.integers(5, size=(20, 6)):
        assert density.pdf(x) == pytest.approx(kernel_density(data, density.bw, x), rel=1e-12)


def test_the_most_promising_candidate_wins() -> None:
    """With many candidates the proposal has the best ratio of all that could be drawn."""
    rng = np.random.default_rng(1)
    good, bad = rng.integers(3, 5, size=(7, 6)), rng.integers(0, 3, size=(30, 6))
    proposed = [filled(good, bad).propose(200, np.random.default_rng(seed)).ops for seed in range(20)]
    assert np.mean(np.array(proposed) >= 3) > 0.95


def test_infinite_densities_are_taken() -> None:
    """Where a group agrees on an edge, another operation there is infinitely dense."""

    class Density:
        def __init__(self, *values: float) -> None:
            self.values = np.array(values)

        def pdf(self, _: Any) -> Any:
            return self.values

    inf = np.inf
    ratio = promise(Density(0.1, inf, 0.1, inf, 0.0), Density(0.2, 0.2, inf, inf, 0.0), None)
    assert ratio.tolist() == [0.5, inf, inf, 0.0, 1.0]


def test_a_model_needs_both_groups() -> None:
    model = Model(top_percent=15, min_points=7, min_bandwidth=0.3)
    ready = []
    for n in range(20):
        model.add(Architecture.from_index(n), float(n))
        ready.append(model.ready)
    assert ready.index(True) == 13, "seven good ones and seven others"


def test_agreement_among_the_good_raises_no_warning() -> None:
    good = np.tile(PREFERRED, (7, 1))
    bad = np.random.default_rng(0).integers(5, size=(20, 6))
    model = filled(good, bad)
    for seed in range(30):
        model.propose(4, np.random.default_rng(seed))


# -- the search ------------------------------------------------------------------------------


def test_the_model_beats_uniform_proposals(epoch_table: str) -> None:
    """Same brackets, same seeds: with the model the asked architectures are closer to the best."""

    def mean(agent: BOHB) -> float:
        found = [q for seed in range(5) for q in queries(agent, epoch_table, 150, seed) if q["epochs"] == 1]
        return float(np.mean([q["accuracy"] for q in found]))

    assert mean(BOHB()) > mean(BOHB(random_fraction=1.0)) + 0.01


def test_mistakes() -> None:
    mistakes: list[dict[str, Any]] = [{"eta": 1}, {"num_samples": 0}, {"min_points": 6}]
    for wrong in mistakes:
        with pytest.raises(ValueError, match="eta must be at least 2"):
            make_agent("bohb", **wrong)
