"""PPO with weights in its observation: what it is told, what it is paid, and that it learns."""

from __future__ import annotations

import random
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import open_table
from nb201env.agents import make_agent
from nb201env.agents.searches.front import FrontLandscape
from nb201env.agents.searches.recorder import Recorder, agent_seed
from nb201env.architecture import index_of
from nb201env.wrappers import Shaping

pytest.importorskip("torch")
pytest.importorskip("moocore")
import torch

from nb201env.agents.fronts.weighted_ppo import CONTRAST, WeightedSum


def asked(seed: int, queries: int, **settings: Any) -> list[int]:
    """The indices that a search asks for."""
    found: list[int] = []
    env = gym.make("NB201-cifar100-mo-v0", budget_queries=queries)
    keep = Recorder(env, seed, lambda query: found.append(index_of(query["architecture"])))
    make_agent("weighted_ppo", **settings).search(keep, agent_seed(seed))
    return found


def goal(objectives: int, sharpness: float = 0.0, novelty: float = 0.0) -> WeightedSum:
    generator = torch.Generator().manual_seed(0)
    return WeightedSum(Shaping(sharpness, novelty), objectives, generator)


def weights_of(seen: Any) -> np.ndarray[Any, Any]:
    """The weights behind what the networks see."""
    return np.asarray(seen.double().numpy() / CONTRAST + 1 / seen.shape[1])


@pytest.mark.parametrize("m", [2, 3, 5])
def test_weights_are_spread_evenly_over_the_simplex(m: int) -> None:
    """Each weight is Beta(1, m - 1): mean 1/m, and below t with the chance 1 - (1 - t)^(m - 1)."""
    weights = weights_of(goal(m).draw(20_000))
    assert weights.shape == (20_000, m)
    assert weights.min() > -1e-6
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    for t in (0.1, 0.3, 0.7):
        expected = 1 - (1 - t) ** (m - 1)
        np.testing.assert_allclose((weights < t).mean(axis=0), expected, atol=4 * 0.5 / 20_000**0.5)


def test_weights_are_drawn_anew() -> None:
    one = goal(2)
    assert not torch.equal(one.draw(8), one.draw(8))


def test_without_shaping_the_reward_is_the_weighted_sum_of_scaled_objectives() -> None:
    """0 is the worst on the front of what was seen, 1 the best; what is dominated may lie below 0."""
    one = goal(2)
    weights = weights_of(one.draw(3))
    rewards = np.array([[0.9, -0.8], [0.5, -0.2], [0.3, -0.5]])  # the second dominates the third
    expected = (np.array([[1, 0], [0, 1], [-0.5, 0.5]]) * weights).sum(axis=1)
    np.testing.assert_allclose(one.worth(rewards, ["a", "b", "c"]), expected, atol=1e-6)
    assert one.shaping.best == pytest.approx(0.5), "with equal weights"


def test_a_cell_is_compared_with_the_best_under_the_same_weights() -> None:
    one = goal(2, sharpness=10.0)
    one.draw(2)
    one.worth(np.array([[1.0, 0.0], [0.0, 1.0]]), ["a", "b"])
    weights = weights_of(one.draw(2))
    found = one.worth(np.array([[0.5, 0.4], [0.6, 0.3]]), ["c", "d"])
    sums = (np.array([[0.5, 0.4], [0.6, 0.3]]) * weights).sum(axis=1)
    np.testing.assert_allclose(found, np.exp(10 * (sums - np.maximum(weights.max(axis=1), sums))), atol=1e-5)


def test_asking_again_costs() -> None:
    one = goal(2, sharpness=10.0, novelty=0.5)
    one.draw(2)
    first, second = one.worth(np.ones((2, 2)), ["a", "a"])
    assert first - second == pytest.approx(0.5 * np.log(2))
    assert one.shaping.asked == {"a": 2}


def test_same_seed_same_search_and_no_global_generator() -> None:
    random.seed(3)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, again, other = (asked(seed, 30) for seed in (0, 0, 1))
    assert first == again != other
    assert random.random() == random.Random(3).random()
    assert torch.equal(torch.get_rng_state(), state)


def test_it_asks_for_the_budget_even_if_its_copies_do_not_divide_it() -> None:
    for budget in (1, 7, 8, 21):
        assert len(asked(0, budget)) == budget


def test_the_policy_heeds_the_weights() -> None:
    """After 600 queries it builds better cells where accuracy counts, and smaller ones where params do."""
    from nb201env.agents.fronts.weighted_ppo import WeightedPPO
    from nb201env.agents.rl.ppo import encode
    from nb201env.envs.spaces import UNDECIDED

    policies: list[Any] = []

    class Kept(WeightedPPO):
        def updated(self, policy: Any) -> None:
            policies[:] = [policy]

    env = gym.make("NB201-cifar100-mo-v0", budget_queries=600)
    Kept().search(env, 0)
    landscape = FrontLandscape.of(open_table("cifar100-200"), ["accuracy", "params"])
    means, generator = [], torch.Generator().manual_seed(0)
    for weights in ([1.0, 0.0], [0.0, 1.0]):
        seen = (CONTRAST * (torch.tensor(weights) - 0.5)).expand(400, 2)
        cells = torch.full((400, 6), UNDECIDED)
        for edge in range(6):
            with torch.no_grad():
                chances = policies[0](torch.cat([encode(cells), seen], dim=1)).softmax(-1)
            cells[:, edge] = torch.multinomial(chances, 1, generator=generator)[:, 0]
        index = (cells.numpy() * 5 ** np.arange(5, -1, -1)).sum(axis=1)
        means.append(landscape.scaled[index].mean(axis=0))
    (accurate, large), (inaccurate, small) = means
    assert accurate > inaccurate
    assert small > large + 0.1


def test_it_beats_random_search() -> None:
    """In 800 queries at least 2 of 3 searches dominate more than random search does on average."""
    landscape = FrontLandscape.of(open_table("cifar100-200"), ["accuracy", "params"])
    expected = landscape.expected_volumes(np.array([800]))[0]
    found = [landscape.volumes(np.array(asked(seed, 800)))[-1] for seed in range(3)]
    assert sum(one > expected for one in found) >= 2
