"""REINFORCE: its gradient, its optimiser, and that it climbs."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import Architecture
from nb201env.agents import make_agent
from nb201env.agents.reinforce import Adam, Reinforce, score, softmax
from nb201env.agents.searches.recorder import Recorder, agent_seed


def test_the_score_is_the_gradient_of_log_p() -> None:
    """Against central differences, in random directions."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        logits = rng.standard_normal((6, 5))
        ops = rng.integers(5, size=6)

        def log_p(values: np.ndarray[Any, Any], ops: Any = ops) -> float:
            return float(np.log(softmax(values)[np.arange(6), ops]).sum())

        direction = rng.standard_normal((6, 5))
        slope = (log_p(logits + 1e-6 * direction) - log_p(logits - 1e-6 * direction)) / 2e-6
        assert slope == pytest.approx((score(softmax(logits), ops) * direction).sum(), rel=1e-6, abs=1e-8)


def test_the_expected_score_is_zero() -> None:
    """Over all 15,625 architectures, weighted by their chances: so a baseline does not bias."""
    from nb201env.space import all_ops

    chance = softmax(np.random.default_rng(1).standard_normal((6, 5)))
    weight = chance[np.arange(6), all_ops()].prod(axis=1)
    assert weight.sum() == pytest.approx(1.0)
    mean = sum(w * score(chance, ops) for w, ops in zip(weight, all_ops(), strict=True))
    np.testing.assert_allclose(mean, 0.0, atol=1e-12)


def test_softmax_survives_large_logits() -> None:
    chance = softmax(np.array([[1e4, 0.0, -1e4, 0.0, 0.0]]))
    np.testing.assert_array_equal(chance, [[1.0, 0.0, 0.0, 0.0, 0.0]])


def test_adam_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    ours = rng.standard_normal((6, 5))
    theirs = torch.nn.Parameter(torch.tensor(ours))
    optimizer = torch.optim.Adam([theirs], lr=0.03)
    adam = Adam(0.03, (0.9, 0.999), 1e-8)
    for _ in range(50):
        gradient = rng.standard_normal((6, 5))
        ours = adam.step(ours, gradient)
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12)


def test_a_constant_reward_moves_nothing() -> None:
    """The baseline counts the reward at hand and corrects for its start, so the advantage is 0."""
    seen = asked(Reinforce(learning_rate=0.5), 400, constant=0.5)
    counts = np.array([[(seen[:, e] == op).sum() for op in range(5)] for e in range(6)])
    assert np.abs(counts - 80).max() < 5 * np.sqrt(80)


def asked(agent: Any, queries: int, seed: int = 0, constant: float | None = None) -> np.ndarray[Any, Any]:
    """The architectures that an agent asks for, int [queries, 6]; every reward is `constant` if given."""
    seen: list[tuple[int, ...]] = []
    env = gym.make("NB201-cifar10-v0", budget_queries=queries)
    if constant is not None:
        env = gym.wrappers.TransformReward(env, lambda reward: constant)
    agent.search(
        Recorder(env, seed, lambda q: seen.append(Architecture.parse(q["architecture"]).ops)),
        agent_seed(seed),
    )
    return np.array(seen)


def test_the_first_queries_are_uniform() -> None:
    """Initial logits are near 0: over many seeds every operation comes equally often."""
    first = np.concatenate([asked(make_agent("reinforce"), 3, seed) for seed in range(300)])
    counts = np.array([[(first[:, e] == op).sum() for op in range(5)] for e in range(6)])
    assert np.abs(counts - 180).max() < 4.5 * np.sqrt(180 * 0.8)


def test_it_climbs() -> None:
    """The mean reward of its last 100 of 1,000 queries is far above the first 100's."""
    rewards: list[float] = []
    env = gym.make("NB201-cifar10-v0", budget_queries=1000)
    make_agent("reinforce", learning_rate=0.05).search(
        Recorder(env, 0, lambda q: rewards.append(q["reward"])), agent_seed(0)
    )
    assert np.mean(rewards[-100:]) > np.mean(rewards[:100]) + 0.02


def test_mistakes() -> None:
    mistakes: list[dict[str, Any]] = [{"learning_rate": 0.0}, {"momentum": 1.0}]
    for wrong in mistakes:
        with pytest.raises(ValueError, match="learning_rate must be above 0 and momentum in"):
            make_agent("reinforce", **wrong)
