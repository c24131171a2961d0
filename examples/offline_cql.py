"""Offline reinforcement learning in one file: behaviour cloning and CQL on data sets of nb201env.

Kumar et al., Conservative Q-Learning, NeurIPS 2020, for discrete actions, in the way of CleanRL. A policy
is learned from a Minari data set alone, and evaluated in the environment that the data set names:

    nb201 trajectories datasets --out nb201/cifar10
    python examples/offline_cql.py --dataset nb201/cifar10/medium-v0 --algorithm cql

Needs nb201env[agents,offline]. Prints the mean reward of the data, of the policy, and its normalised score.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields

import gymnasium as gym
import minari
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss


@dataclass
class Args:
    """What may be chosen."""

    dataset: str = "nb201/cifar10/medium-v0"
    """Minari's id of a data set with actions="build"."""
    algorithm: str = "cql"
    """bc or cql."""
    seed: int = 0
    """Of the networks and the batches; the evaluation's follows from it."""
    updates: int = 2000
    """Gradient steps."""
    batch_size: int = 256
    """Transitions in each."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    alpha: float = 1.0
    """Weight of CQL's penalty."""
    target_every: int = 50
    """Updates between copies of the Q-network to its target."""
    evaluations: int = 200
    """Episodes of the evaluation."""


def transitions(dataset: minari.MinariDataset) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All steps of all episodes: observations, actions, rewards, next observations, whether they end.

    Accuracies of good cells differ by hundredths, so the rewards are normalised as scores are: 0 is the
    random policy's mean, 1 the expert's.
    """
    space = dataset.observation_space
    parts = []
    for episode in dataset:
        seen = np.stack([gym.spaces.flatten(space, one) for one in episode.observations])
        ends = episode.terminations | episode.truncations
        rewards = np.where(ends, minari.get_normalized_score(dataset, episode.rewards), 0.0)
        parts.append((seen[:-1], episode.actions, rewards, seen[1:], ends))
    x, a, r, y, end = (torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True))
    return x.float(), a.long(), r.float(), y.float(), end.float()


def network(inputs: int, outputs: int) -> nn.Sequential:
    """Logits, or the worth of each action."""
    return nn.Sequential(
        nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, outputs)
    )


def train(dataset: minari.MinariDataset, args: Args) -> nn.Sequential:
    """Learn from the data alone."""
    torch.set_num_threads(1)  # faster for networks as small as these
    torch.manual_seed(args.seed)
    rng = torch.Generator().manual_seed(args.seed)
    x, a, r, y, end = transitions(dataset)
    q = network(x.shape[1], int(dataset.action_space.n))
    target = network(x.shape[1], int(dataset.action_space.n))
    optimizer = torch.optim.Adam(q.parameters(), lr=args.learning_rate)
    for update in range(args.updates):
        rows = torch.randint(len(x), (args.batch_size,), generator=rng)
        out = q(x[rows])
        if args.algorithm == "bc":
            loss = cross_entropy(out, a[rows])
        else:
            # -- an action is worth its reward and what the best next one is worth, undiscounted; CQL's
            # penalty makes all actions worth less than those of the data -----------------------------
            if update % args.target_every == 0:
                target.load_state_dict(q.state_dict())
            with torch.no_grad():
                worth = r[rows] + (1 - end[rows]) * target(y[rows]).max(-1).values
            chosen = out.gather(-1, a[rows, None])[:, 0]
            loss = mse_loss(chosen, worth) + args.alpha * (out.logsumexp(-1) - chosen).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return q


def evaluate(policy: nn.Module, dataset: minari.MinariDataset, args: Args) -> float:
    """The policy's mean reward in the environment that the data set names: BC's is drawn, CQL's greedy."""
    env = dataset.recover_environment(eval_env=True)
    rng = torch.Generator().manual_seed(args.seed + 1)
    rewards = []
    for episode in range(args.evaluations):
        observation, _ = env.reset(seed=None if episode else args.seed)
        total, ended = 0.0, False
        while not ended:
            seen = torch.from_numpy(gym.spaces.flatten(env.observation_space, observation)).float()
            with torch.no_grad():
                out = policy(seen)
            drawn = args.algorithm == "bc"
            action = torch.multinomial(out.softmax(-1), 1, generator=rng) if drawn else out.argmax()
            observation, reward, terminated, truncated, _ = env.step(int(action))
            total, ended = total + float(reward), terminated or truncated
        rewards.append(total)
    return float(np.mean(rewards))


def main(args: Args) -> dict[str, float]:
    """Load, learn, evaluate."""
    dataset = minari.load_dataset(args.dataset)
    behaved = float(np.mean([episode.rewards.sum() for episode in dataset]))
    policy = evaluate(train(dataset, args), dataset, args)
    return {
        "data": behaved,
        "policy": policy,
        "normalised": float(minari.get_normalized_score(dataset, np.array(policy))),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for field in fields(Args):
        default = getattr(Args, field.name)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(default), default=default)
    for name, value in main(Args(**vars(parser.parse_args()))).items():
        print(f"{name:10} {value:.4f}")
