"""The four data sets: what their names promise, and the same again from the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import minari
import numpy as np
import pytest
import torch

from nb201env.agents.offline.policies import mean_rewards, probabilities, uniform
from nb201env.agents.offline.sets import SETS, half_way
from nb201env.agents.rl.ppo import encode, network
from nb201env.envs.single import NB201Env
from nb201env.envs.spaces import UNDECIDED
from nb201env.space import all_ops
from tests.agents.offline.conftest import ENV, EPISODES, nb201


def loaded(name: str) -> minari.MinariDataset:
    return minari.load_dataset(f"nb201/cifar10/{name}-v0")


def returns(data: minari.MinariDataset) -> Any:
    return np.array([episode.rewards.sum() for episode in data])


def contents(data: minari.MinariDataset) -> list[Any]:
    return [
        (e.observations.tolist(), e.actions.tolist(), e.rewards.tolist(), e.terminations.tolist(),
         {key: values.tolist() for key, values in e.infos.items()})
        for e in data
    ]  # fmt: skip


def test_the_names_keep_their_promises(four: Path) -> None:
    sets = {name: loaded(name) for name in SETS}
    made = {name: data.storage.metadata["nb201"] for name, data in sets.items()}
    low, high = (sets["expert"].storage.metadata[f"ref_{end}_score"] for end in ("min", "max"))
    assert made["random"]["policy_mean"] == low
    assert made["expert"]["policy_mean"] == high
    assert low + (high - low) / 2 <= made["medium"]["policy_mean"] < high
    assert made["medium"]["update"] < made["expert"]["update"] == EPISODES / 8
    for name, data in sets.items():
        found = returns(data)
        assert data.total_episodes == EPISODES
        assert data.total_steps == 6 * EPISODES
        assert data.env_spec == sets["random"].env_spec
        assert "budget_queries" not in data.env_spec.kwargs
        assert [e.infos["queries"][-1] for e in data] == list(range(1, EPISODES + 1))
        if name != "replay":  # whose policy changes
            error = found.std() / np.sqrt(EPISODES)
            assert abs(found.mean() - made[name]["policy_mean"]) < 4 * error
    assert minari.get_normalized_score(sets["expert"], np.array([low, high])).tolist() == [0, 1]
    early, late = np.split(returns(sets["replay"]), 2)
    assert early.mean() < late.mean()


def test_random_policies_are_worth_the_tables_mean() -> None:
    env: NB201Env = gym.make(ENV).unwrapped  # type: ignore[assignment]
    rewards = mean_rewards(env)
    table = env.table.accuracy(split="valid", epochs=200, run="mean")
    np.testing.assert_allclose(rewards, table)
    assert uniform() @ rewards == pytest.approx(table.mean())


def test_probabilities_are_those_of_acting_op_by_op() -> None:
    policy = network(16, 5, 1.0, torch.Generator().manual_seed(0))
    likely = probabilities(policy)
    assert likely.sum() == pytest.approx(1)
    for cell in (0, 4711, 15624):
        ops = torch.from_numpy(all_ops()[[cell]].copy())
        by_hand = 1.0
        for edge in range(6):
            partly = torch.full((1, 6), UNDECIDED)
            partly[:, :edge] = ops[:, :edge]
            by_hand *= float(policy(encode(partly)).softmax(-1)[0, ops[0, edge]].detach())
        assert likely[cell] == pytest.approx(by_hand, rel=1e-5)


def test_half_way_is_the_first_stage_that_is_there() -> None:
    rewards = np.array([0.0, 1.0])
    stages = [np.array([1 - good, good]) for good in (0.2, 0.49, 0.55, 0.3, 0.9)]
    assert half_way(stages, rewards, 0.0, 1.0) == 2


def test_the_same_seed_makes_the_same_sets(store: Path) -> None:
    words = ["trajectories", "datasets", "--env", "NB201-cifar100-onehot-v0", "--episodes", 120]
    nb201(*words, "--actions", "pick", "--out", "one")
    nb201(*words, "--actions", "pick", "--out", "two")
    nb201(*words, "--actions", "pick", "--out", "three", "--seed", 1)
    for name in SETS:
        one, two, three = (minari.load_dataset(f"{space}/{name}-v0") for space in ("one", "two", "three"))
        assert contents(one) == contents(two)
        assert contents(one) != contents(three)
        assert one.action_space == gym.spaces.MultiDiscrete([5] * 6)
        assert one.observation_space == gym.spaces.Box(0, 1, (36,), np.float32)
        assert one.total_steps == 120


def test_sets_of_one_environment_combine(four: Path) -> None:
    both = minari.combine_datasets([loaded("medium"), loaded("expert")], "nb201/cifar10/medium-expert-v0")
    try:
        assert both.total_episodes == 2 * EPISODES
    finally:
        minari.delete_dataset("nb201/cifar10/medium-expert-v0")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--episodes", "99"], r"--episodes must be in 100\.\.1,000,000"),
        (["--episodes", "1000001"], "--episodes must be in "),
        (["--env", "NB201-v0"], "NB201-v0 is for a table of your own; name it with --table"),
        (["--env", "NB201-cifar10-v0,NB201-cifar100-v0"], "--env names one environment here"),
        (["--table", "cifar100-200", "--env", ENV], "this id is for tables of cifar10"),
    ],
)
def test_wrong_words(store: Path, words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nb201("trajectories", "datasets", "--out", "here", *words)
    assert not list(store.rglob("*.hdf5"))


def test_none_of_the_four_is_written_if_one_is_there(four: Path) -> None:
    with pytest.raises(FileExistsError, match="random-v0 is there already"):
        nb201("trajectories", "datasets", "--out", "nb201/cifar10")
