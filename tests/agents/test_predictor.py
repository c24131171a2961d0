"""Predictor-guided evolution: its Gaussian process against scikit-learn's, its rules, and what it reaches."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import open_table
from nb201env.agents import make_agent
from nb201env.agents.contract import Proposals
from nb201env.agents.random_search import expected_best
from nb201env.agents.searches.recorder import Recorder, agent_seed, record, replay
from nb201env.architecture import index_of
from nb201env.classes import canonical_classes, representatives
from nb201env.extras import MissingExtra
from nb201env.space import SIZE
from nb201env.trajectory import read

pytest.importorskip("xgboost")
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from nb201env.agents import gaussian_process
from nb201env.agents.gaussian_process import GaussianProcess

CLASSES = len(representatives())
QUICK: list[dict[str, Any]] = [{}, {"exploration": 0.0}, {"predictor": "xgboost", "trees": 10}]


def proposals(seed: int = 0, **kwargs: Any) -> Proposals:
    agent: Any = make_agent("predictor_evolution", **kwargs)
    found: Proposals = agent.proposals(np.random.default_rng(seed))
    return found


def drive(search: Proposals, rewards: np.ndarray[Any, Any], queries: int) -> list[int]:
    """The indices that a search asks for, when these are the rewards."""
    asked = [next(search).index]
    while len(asked) < queries:
        asked.append(search.send(float(rewards[asked[-1]])).index)
    return asked


def accuracies(table: str = "cifar100-200") -> np.ndarray[Any, Any]:
    return open_table(table).accuracy(split="valid", epochs=200, run="mean")


# -- the Gaussian process --------------------------------------------------------------------


@pytest.mark.parametrize("length", gaussian_process.LENGTHS)
@pytest.mark.parametrize("noise", gaussian_process.NOISES)
def test_it_is_scikit_learns(length: float, noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """One grid point at a time: means, deviations, and the signal's variance as the likeliest."""
    monkeypatch.setattr(gaussian_process, "LENGTHS", (length,))
    monkeypatch.setattr(gaussian_process, "NOISES", (noise,))
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 7)) * rng.uniform(1, 9, size=7)
    seen = rng.integers(60, size=25)  # some of them twice
    values = np.sin(features[seen, 0]) + rng.normal(size=25)
    ours = GaussianProcess([features], capacity=25)
    for one in seen.tolist():
        ours.observe(one)
    mean, deviation = ours.posterior(values)

    scaled = (features - features.mean(axis=0)) / features.std(axis=0) / np.sqrt(2 * 7)

    def theirs(signal: float) -> Any:
        kernel = ConstantKernel(signal) * Matern(length, nu=2.5) + WhiteKernel(signal * noise)
        return GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None).fit(scaled[seen], values)

    unit = theirs(1.0)
    signal = float(values @ unit.alpha_) / len(values)
    expected, spread = theirs(signal).predict(scaled, return_std=True)
    np.testing.assert_allclose(mean, expected, atol=1e-4)
    # theirs is the deviation of an observation, ours that of the signal
    np.testing.assert_allclose(deviation**2 + signal * noise, spread**2, atol=1e-4)
    likelihoods = [theirs(signal * f).log_marginal_likelihood_value_ for f in (0.9, 1.0, 1.1)]
    assert max(likelihoods) == likelihoods[1]


def test_the_grid_is_averaged_by_likelihood() -> None:
    """The mixture's moments, from its grid points computed one at a time."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(40, 3))
    seen, values = rng.integers(40, size=9), rng.normal(size=9)
    whole = GaussianProcess([features], 9)
    for one in seen.tolist():
        whole.observe(one)
    mean, deviation = whole.posterior(values)
    points: list[Any] = []
    for point in whole._views[0]._grid:
        likelihood, white, signal = point.fit(values)
        points.append((likelihood, *point.predict(white, signal)))
    weights = np.exp(np.array([p[0] for p in points]) - max(p[0] for p in points))
    weights[weights < gaussian_process.NEGLIGIBLE] = 0
    weights /= weights.sum()
    assert (weights > 0).sum() > 1
    expected = sum(w * p[1] for w, p in zip(weights, points, strict=True))
    square = sum(w * (p[2] + p[1] ** 2) for w, p in zip(weights, points, strict=True))
    np.testing.assert_allclose(mean, expected, rtol=1e-9)
    np.testing.assert_allclose(deviation, np.sqrt(square - expected**2), rtol=1e-6)


def test_several_views_are_mixed_evenly() -> None:
    """The mixture's moments are the means of those of a process for each view."""
    rng = np.random.default_rng(2)
    views = [rng.normal(size=(40, size)) for size in (3, 8)]
    seen, values = rng.integers(40, size=9), rng.normal(size=9)

    def posterior(views: list[Any]) -> tuple[Any, Any]:
        process = GaussianProcess(views, 9)
        for one in seen.tolist():
            process.observe(one)
        return process.posterior(values)

    (first, one), (second, two) = (posterior([view]) for view in views)
    mean, deviation = posterior(views)
    np.testing.assert_allclose(mean, (first + second) / 2, rtol=1e-9, atol=1e-12)
    # The variance of a mixture: the mean variance, and the variance of the means.
    np.testing.assert_allclose(deviation**2, (one**2 + two**2) / 2 + ((first - second) / 2) ** 2, rtol=1e-6)


def test_constant_values_have_no_deviation() -> None:
    process = GaussianProcess([np.eye(5)], 3)
    for one in range(3):
        process.observe(one)
    mean, deviation = process.posterior(np.zeros(3))
    assert (mean == 0).all()
    assert (deviation < 1e-6).all()


# -- the search ------------------------------------------------------------------------------


@pytest.mark.parametrize("kwargs", QUICK)
def test_its_choice_is_what_it_predicts_to_be_the_best_that_it_asked_for(kwargs: dict[str, Any]) -> None:
    """By a second predictor that is told the same; before every proposal after the random ones."""
    agent: Any = make_agent("predictor_evolution", **kwargs)
    chosen: list[int] = []
    search = agent.proposals(np.random.default_rng(0), lambda one: chosen.append(one.index))
    asked = drive(search, accuracies(), 14)
    assert len(chosen) == 14 - agent.startup
    if agent.predictor == "gp":
        classes = canonical_classes()[asked[:-1]]
        mean, _ = agent._predictor(np.random.default_rng(0))(
            classes, agent._targets(accuracies()[asked[:-1]])
        )
        assert chosen[-1] == asked[int(mean[classes].argmax())]
    assert all(one in asked[: agent.startup + n] for n, one in enumerate(chosen))


def test_its_choice_is_recorded(tmp_path: Path) -> None:
    env = gym.make("NB201-cifar10-v0", budget_queries=12)
    record(make_agent("predictor_evolution"), env, 0, tmp_path / "x.jsonl")
    trajectory = read(tmp_path / "x.jsonl")
    assert ["incumbent" in query for query in trajectory.queries] == [False] * 5 + [True] * 7
    assert trajectory.choice  # with the last answer known
    assert replay(trajectory) == []


def test_it_learns_nothing_from_proxies_unless_it_is_told() -> None:
    with_, without = (drive(proposals(proxies=names), accuracies(), 12) for names in ("all", ""))
    some = drive(proposals(proxies="nwot+macs"), accuracies(), 12)
    assert with_[:5] == without[:5] == some[:5]  # the random ones
    assert with_ != without
    assert some not in (with_, without)


@pytest.mark.parametrize("kwargs", QUICK)
def test_one_member_of_each_class_is_asked(kwargs: dict[str, Any]) -> None:
    asked = drive(proposals(**kwargs), accuracies(), 20)
    classes = canonical_classes()[asked]
    assert len(set(classes.tolist())) == 20
    assert set(asked) <= set(representatives().tolist())


@pytest.mark.parametrize("kwargs", QUICK)
def test_same_seed_same_search(kwargs: dict[str, Any]) -> None:
    first, second, other = (drive(proposals(seed, **kwargs), accuracies(), 12) for seed in (0, 0, 1))
    assert first == second != other


def test_it_goes_on_when_every_class_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the classes' second members have their turn, or single members again."""
    search = make_agent("predictor_evolution", startup=CLASSES, memory=60)
    asked = drive(search.proposals(np.random.default_rng(0)), accuracies(), CLASSES + 50)  # type: ignore[attr-defined]
    classes = canonical_classes()
    assert sorted(classes[asked[:CLASSES]].tolist()) == list(range(CLASSES))
    later = asked[CLASSES:]
    assert len(set(classes[later].tolist())) == 50
    sizes = np.bincount(classes)
    assert all((index in asked[:CLASSES]) == (sizes[classes[index]] == 1) for index in later)
    assert np.median(accuracies()[later]) > np.quantile(accuracies(), 0.98)  # it explores bad ones, too


def test_forgetting_keeps_the_best() -> None:
    """With a memory of 20 a search of 80 still climbs."""
    asked = drive(proposals(memory=20), accuracies(), 80)
    assert accuracies()[asked].max() > np.quantile(accuracies(), 0.999)


def test_rewards_of_any_scale_lead_the_same_way() -> None:
    """So regrets and limited rewards will do, where a predictor of accuracies would fail."""
    truth = accuracies()
    plain = drive(proposals(), truth, 30)
    assert drive(proposals(), 4.0 * truth - 3.0, 30) == plain
    assert len(drive(proposals(), np.zeros(SIZE), 30)) == 30


@pytest.mark.parametrize(
    ("kwargs", "queries", "as_good_as"), [({}, 120, 1000), ({"predictor": "xgboost", "trees": 10}, 40, 40)]
)
def test_it_beats_random_search(kwargs: dict[str, Any], queries: int, as_good_as: int) -> None:
    """On at least 2 of 3 seeds its incumbent is above what random search expects of that many queries."""
    table = open_table("cifar10-valid-200")
    expected = float(expected_best(table, as_good_as, epochs=200))
    better = 0
    for seed in range(3):
        seen: list[tuple[float, int]] = []
        env = gym.make("NB201-cifar10-v0", budget_queries=queries)
        keep = Recorder(env, seed, lambda q, s=seen: s.append((q["accuracy"], index_of(q["architecture"]))))  # type: ignore[misc]
        make_agent("predictor_evolution", **kwargs).search(keep, agent_seed(seed))
        better += accuracies("cifar10-valid-200")[max(seen)[1]] > expected
    assert better >= 2


@pytest.mark.parametrize(
    "options",
    [
        {"budget_seconds": 60_000.0, "overshoot": "drop"},
        {"budget_queries": 20, "actions": "pick", "repeats": "free"},
        {"budget_queries": 20, "reward": "regret"},
        {"budget_queries": 20, "limit": {"on": "params", "max": 400_000, "how": "hard"}},
    ],
)
def test_every_environment_it_can_choose_in(options: dict[str, Any], tmp_path: Path) -> None:
    files = []
    for turn in range(2):
        env = gym.make("NB201-cifar10-v0", **options)
        record(make_agent("predictor_evolution"), env, 3, tmp_path / f"{turn}.jsonl")
        files.append((tmp_path / f"{turn}.jsonl").read_bytes())
    assert files[0] == files[1]
    trajectory = read(tmp_path / "0.jsonl")
    assert trajectory.complete
    assert len(trajectory.queries) >= 10
    assert replay(trajectory) == []


def test_editing_environments_are_refused(tmp_path: Path) -> None:
    env = gym.make("NB201-cifar10-v0", actions="edit", budget_queries=3)
    with pytest.raises(ValueError, match="it needs actions='build' or 'pick'"):
        record(make_agent("predictor_evolution"), env, 0, tmp_path / "x.jsonl")


@pytest.mark.parametrize("module", ["xgboost", "sklearn", "scipy"])
def test_a_missing_extra_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"this needs {module}, .*pip install 'nb201env\[surrogate\]'"):
        make_agent("predictor_evolution").search(gym.make("NB201-cifar10-v0", budget_queries=3), 0)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"predictor": "oracle"}, "predictor must be one of gp, xgboost; got 'oracle'"),
        ({"startup": 0}, "startup must be at least 1; got 0"),
        ({"memory": 0}, "memory must be at least 1; got 0"),
        ({"exploration": -1.0}, "exploration and floor must not be negative"),
        ({"floor": float("nan")}, "exploration and floor must not be negative"),
        ({"encoding": "smell"}, "unknown encoding 'smell'"),
        ({"proxies": "nwot+smell"}, "no proxy 'smell'; there are "),
    ],
)
def test_hyperparameters_are_checked(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(proposals(**kwargs))
