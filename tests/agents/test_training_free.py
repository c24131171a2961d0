"""Agents that know proxies: their order is that of brute force, on made-up proxies."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from math import log
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import Architecture, cost
from nb201env.agents import make_agent
from nb201env.agents.contract import Proposals
from nb201env.agents.searches.recorder import Recorder
from nb201env.agents.training_free import scores
from nb201env.arrays import FloatArray
from nb201env.classes import canonical_classes, representatives
from nb201env.proxies import Proxies
from nb201env.space import EDGE_PROBABILITIES, SIZE, neighbours

CLASSES = 5485
INITIALISATIONS = 2
ASKED_IN_ORDER: list[tuple[str, dict[str, Any]]] = [
    ("best_proxy", {"proxy": "fine"}),
    ("best_proxy", {"proxy": "coarse"}),
    ("proxy_ranks", {"proxies": ["fine", "coarse", "params"]}),
]


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> Proxies:
    """Two proxies at two initialisations: one that tells all classes apart, and one that knows ten levels."""
    rng = np.random.default_rng(0)
    coarse: FloatArray = (
        rng.integers(10, size=(1, CLASSES)).repeat(INITIALISATIONS, axis=0).astype(np.float64)
    )
    values = {"coarse": coarse, "fine": rng.standard_normal((INITIALISATIONS, CLASSES))}
    proxies = Proxies(MappingProxyType(values), dict.fromkeys(values, "made up"), {}, "none")
    monkeypatch.setattr(scores, "open_proxies", lambda: proxies)
    return proxies


def proposals(name: str, seed: int = 0, **kwargs: Any) -> Proposals:
    agent: Any = make_agent(name, **kwargs)
    found: Proposals = agent.proposals(np.random.default_rng(seed))
    return found


def seen(values: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Each class's score at the initialisation at which a search sees it, its generator's first draw."""
    drawn = rng.integers(INITIALISATIONS, size=CLASSES).tolist()
    return np.array([values[one][number] for number, one in enumerate(drawn)])


def asked(search: Proposals, queries: int, rewards: Any = None) -> list[int]:
    """The indices of what a search asks for; `rewards` by index, random ones if None."""
    rewards = np.random.default_rng(1).random(SIZE) if rewards is None else rewards
    found = [next(search).index]
    while len(found) < queries:
        found.append(search.send(float(rewards[found[-1]])).index)
    return found


def ranks(values: Any) -> list[float]:
    """From 1, the worst; equals share the mean of their places."""
    place: dict[float, float] = {}
    below = 0
    for value, count in sorted(Counter(values.tolist()).items()):
        place[value] = below + (count + 1) / 2
        below += count
    return [place[value] for value in values.tolist()]


# -- the order -------------------------------------------------------------------------------


def test_best_proxy_is_brute_force(made_up: Proxies) -> None:
    """Each class by the member with the lowest index."""
    score = seen(made_up.values["fine"], np.random.default_rng(0))
    first = {number: index for index, number in reversed([*enumerate(canonical_classes().tolist())])}
    expected = [first[number] for number in sorted(range(CLASSES), key=lambda number: -score[number])]
    assert asked(proposals("best_proxy", proxy="fine"), CLASSES) == expected


@pytest.mark.parametrize("combine", ["log", "mean"])
def test_proxy_ranks_are_brute_force(combine: str, made_up: Proxies) -> None:
    params = cost.params(representatives(), "cifar10")
    columns = [ranks(seen(made_up.values["fine"], np.random.default_rng(0))), ranks(params)]
    worth = log if combine == "log" else float
    promise = [sum(worth(rank / CLASSES) for rank in own) for own in zip(*columns, strict=True)]
    found = asked(proposals("proxy_ranks", proxies=["fine", "params"], combine=combine), CLASSES)
    along = np.array(promise)[canonical_classes()[found]]
    assert (np.diff(along) <= 1e-9).all()
    assert len(set(found)) == CLASSES


def test_a_poor_rank_counts_more_by_its_logarithm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two classes, one last and first, one in the middle twice: their mean ranks are equal."""
    level = np.arange(CLASSES, dtype=np.float64)
    values = {"up": level[None], "down": level[::-1][None]}
    monkeypatch.setattr(scores, "open_proxies", lambda: Proxies(values, {}, {}, "none"))
    rng = np.random.default_rng(0)
    mean, logarithm = (scores.class_scores(("up", "down"), rng, combine) for combine in ("mean", "log"))
    assert mean == pytest.approx(np.full(CLASSES, 0.5))
    assert logarithm.argmax() == CLASSES // 2
    assert logarithm[0] == logarithm.min() == pytest.approx(0.5 * log(1 / CLASSES))


def test_the_largest_network_first() -> None:
    """Costs are proxies too: those of a class's first member, where no operation is dead."""
    assert asked(proposals("best_proxy", proxy="macs"), 1) == [Architecture((3,) * 6).index]
    known = scores.known()
    assert known.names == ("coarse", "fine", "params", "macs")
    for name, form in cost.CLOSED_FORMS.items():
        np.testing.assert_array_equal(known.of_classes(name), form(representatives(), "cifar10"))


@pytest.mark.parametrize(("name", "kwargs"), ASKED_IN_ORDER)
def test_every_class_is_asked_before_any_is_asked_again(name: str, kwargs: dict[str, Any]) -> None:
    found = asked(proposals(name, **kwargs), 2 * CLASSES)
    for turn in (found[:CLASSES], found[CLASSES:]):
        assert sorted(turn) == representatives().tolist()


@pytest.mark.parametrize(("name", "kwargs"), ASKED_IN_ORDER)
def test_answers_teach_them_nothing(name: str, kwargs: dict[str, Any]) -> None:
    one, other = (asked(proposals(name, **kwargs), 100, np.full(SIZE, reward)) for reward in (0.0, 1.0))
    assert one == other


def test_each_network_is_seen_once(made_up: Proxies, monkeypatch: pytest.MonkeyPatch) -> None:
    """By all proxies at one initialisation: what they say is of one and the same network."""
    values = made_up.values["fine"]
    opposed = replace(made_up, values={"up": values, "down": -values})
    monkeypatch.setattr(scores, "open_proxies", lambda: opposed)
    both = scores.class_scores(("up", "down"), np.random.default_rng(5), "mean")
    assert both == pytest.approx(np.full(CLASSES, 0.5))
    alone = scores.class_scores(("up",), np.random.default_rng(5), "mean")
    order = np.argsort(np.argsort(seen(values, np.random.default_rng(5))))
    assert alone == pytest.approx(order / (CLASSES - 1))


def test_ties_are_broken_by_the_seed(made_up: Proxies) -> None:
    level = made_up.values["coarse"][0]
    searches = (proposals("best_proxy", seed, proxy="coarse") for seed in (0, 0, 1))
    first, again, other = (asked(search, CLASSES) for search in searches)
    assert first == again != other
    for found in (first, other):
        assert (np.diff(level[canonical_classes()[found]]) <= 0).all()


def test_ties_are_broken_evenly() -> None:
    """Of three best out of five, each comes first equally often."""
    rng = np.random.default_rng(0)
    counts = Counter(int(scores.best_first(np.array([1.0, 2, 2, 0, 2]), rng)[0]) for _ in range(3000))
    assert set(counts) == {1, 2, 4}
    assert all(abs(count - 1000) < 4 * np.sqrt(3000 * 2 / 9) for count in counts.values())


@pytest.mark.parametrize(("name", "kwargs"), ASKED_IN_ORDER)
def test_a_budget_of_one_query_asks_for_the_best(name: str, kwargs: dict[str, Any]) -> None:
    seen: list[str] = []
    env = gym.make("NB201-ImageNet16-120-v0", budget_queries=1)
    make_agent(name, **kwargs).search(Recorder(env, 7, lambda q: seen.append(q["architecture"])), 7)
    assert [Architecture.parse(one).index for one in seen] == asked(proposals(name, 7, **kwargs), 1)


# -- warm evolution --------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [100, 3000, SIZE])
def test_the_first_population_is_the_best_of_the_pool(pool: int, made_up: Proxies) -> None:
    """By brute force over what the generator draws; no two of them are one network."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        score = seen(made_up.values["fine"], rng)
        drawn = set(canonical_classes()[rng.choice(SIZE, pool, replace=False)].tolist())
        numbers = [number for number in np.argsort(-score).tolist() if number in drawn]
        found = asked(proposals("warm_evolution", seed, proxies=["fine"], pool=pool), 10)
        assert found == representatives()[numbers[:10]].tolist()


def test_then_it_evolves() -> None:
    """Every further one is a mutation of one that is alive, and the best of ten climb."""
    rewards = cost.macs(np.arange(SIZE), "cifar10") / 1e9
    found = asked(proposals("warm_evolution", proxies=["fine"]), 200, rewards)
    for place in range(10, 200):
        alive = found[place - 10 : place]
        assert any(found[place] in neighbours(parent) for parent in alive)
    assert rewards[found[-10:]].mean() > rewards[found[:10]].mean()


def test_of_many_moves_the_best_by_proxy_is_made(made_up: Proxies) -> None:
    """With 400 mutations all 24 neighbours are among them; with one alive, it is the parent."""
    promise = seen(made_up.values["fine"], np.random.default_rng(0))[canonical_classes()]
    found = asked(proposals("warm_evolution", proxies=["fine"], population=1, sample=1, moves=400), 30)
    for parent, child in pairwise(found):
        assert child in neighbours(parent)
        assert promise[child] == promise[neighbours(parent)].max()


def test_a_pool_of_too_few_networks_is_filled_up() -> None:
    """With what is drawn at random: all architectures are but 5,485 networks."""
    search = proposals("warm_evolution", proxies=["fine"], population=SIZE, pool=SIZE)
    found = asked(search, CLASSES + 100)
    assert sorted(found[:CLASSES]) == representatives().tolist()
    assert len(set(canonical_classes()[found[CLASSES:]].tolist())) > 60


def test_only_the_start_differs_from_regularized_evolution() -> None:
    warm: Any = make_agent("warm_evolution", proxies=["fine"])
    plain: Any = make_agent("regularized_evolution")
    for name in ("population", "sample", "edges"):
        assert getattr(warm, name) == getattr(plain, name)
    found = asked(proposals("warm_evolution", proxies=["fine"], population=1, sample=1), 500)
    changed = np.array([np.array(Architecture.from_index(one).ops) != Architecture.from_index(other).ops
                        for one, other in pairwise(found)])  # fmt: skip
    assert (changed.sum(axis=1) == 1).all()
    share = np.array(EDGE_PROBABILITIES[plain.edges])
    assert np.abs(changed.mean(axis=0) - share).max() < 4 * np.sqrt(share.max() / 499)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("best_proxy", {"proxy": "fime"}, "no proxy 'fime'; there are coarse, fine, params, macs"),
        ("proxy_ranks", {"proxies": "fine"}, "proxies must be a list of names, such as .* got 'fine'"),
        ("proxy_ranks", {"proxies": []}, r"proxies must be a list of names, such as .* got \[\]"),
        ("proxy_ranks", {"proxies": ["fine"], "combine": "sum"}, "combine must be 'log' or 'mean'; got"),
        ("warm_evolution", {"proxies": ["grasp"]}, "no proxy 'grasp'; there are coarse"),
        ("warm_evolution", {"proxies": ["fine"], "pool": 9}, r"pool must be from population \(10\) to 15625"),
        ("warm_evolution", {"proxies": ["fine"], "moves": 0}, ".* and moves at least 1; got 3000 and 0"),
        ("warm_evolution", {"proxies": ["fine"], "sample": 0}, "population and sample must be at least 1"),
    ],
)  # fmt: skip
def test_hyperparameters_are_checked(name: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"agent '{name}': {message}"):
        make_agent(name, **kwargs)
