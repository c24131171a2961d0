"""Four data sets from one training: random, medium, expert and replay, in D4RL's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium as gym
import numpy as np

from nb201env.agents.offline.convert import replayed
from nb201env.agents.offline.episodes import (
    Collection,
    Episode,
    make,
    sampled,
    spec_of,
    table_entry,
)
from nb201env.agents.offline.policies import mean_rewards, probabilities, uniform
from nb201env.agents.rl.ppo import PPO
from nb201env.agents.searches.recorder import Recorder, agent_seed
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.envs.single import NB201Env
from nb201env.space import SIZE
from nb201env.table import Table

if TYPE_CHECKING:
    from torch import nn

SETS = ("random", "medium", "expert", "replay")
LEAST, MOST = 100, 1_000_000
"""Of episodes: fewer queries do not train a policy, and more are a mistake."""


@dataclass(frozen=True)
class Student(PPO):
    """PPO with settings under which its policy settles, and that shows its policy after each update.

    A search's agent pays for asking again, so that it does not stay with a cell; what data are collected
    from shall stay.

    Attributes:
        ent_coef: Weight of the entropy bonus.
        novelty: No price for asking again.
        show: Called with the policy network after every update.
    """

    ent_coef: float = 0.03
    novelty: float = 0.0
    show: Callable[[nn.Module], None] = lambda network: None

    def updated(self, policy: nn.Module) -> None:
        """Show it."""
        self.show(policy)


class Training(NamedTuple):
    """What is left of a training.

    Attributes:
        queries: All that was asked, as a trajectory records it.
        stages: The policy after every update, as probabilities of cells; each float64 [15625].
        settings: The agent's hyper-parameters.
    """

    queries: list[dict[str, Any]]
    stages: list[FloatArray]
    settings: dict[str, Any]


def train(env: NB201Env, queries: int, seed: int) -> Training:
    """Train a policy by one recorded search.

    Args:
        env: The environment; it has no budget.
        queries: What to spend.
        seed: Of the search; the agent's own is derived from it.
    """
    spec = spec_of(env)
    asked: list[dict[str, Any]] = []
    stages: list[FloatArray] = []
    agent = Student(show=lambda network: stages.append(probabilities(network)))
    searched = gym.make(spec, budget_queries=queries)
    agent.search(Recorder(searched, seed, asked.append), agent_seed(seed))
    left_out = ("show", "tensorboard")
    settings = {name: value for name, value in asdict(agent).items() if name not in left_out}
    return Training(asked, stages, settings)


def half_way(stages: Iterable[FloatArray], rewards: FloatArray, low: float, high: float) -> int:
    """The first stage whose expected reward is at least half way from `low` to `high`."""
    worth = np.array([stage @ rewards for stage in stages])
    return int(np.argmax(worth >= (low + high) / 2))


def four_sets(
    env_id: str, table: Table, episodes: int, seed: int, options: dict[str, Any] | None = None
) -> dict[str, Collection]:
    """The four data sets of an environment; the same again from the same seed.

    Args:
        env_id: The environment's id.
        table: What answers.
        episodes: Of each set; as many queries train the policy.
        seed: Of the training and of what is drawn.
        options: Further arguments of the environment: `actions` and `observations`.

    Raises:
        ValueError: If the episodes are too few or too many, or the training made nothing better than chance.
    """
    if not LEAST <= episodes <= MOST:
        raise ValueError(f"--episodes must be in {LEAST}..{MOST:,}, for they train a policy; got {episodes}")
    env = make(env_id, table, options or {})
    rewards = mean_rewards(env)
    training = train(env, episodes, seed)
    low, high = float(uniform() @ rewards), float(training.stages[-1] @ rewards)
    if not high > low:
        raise ValueError(
            f"after {episodes} queries the policy is no better than a random one; take more --episodes, or "
            "another --seed"
        )
    middle = half_way(training.stages, rewards, low, high)
    updates = len(training.stages)
    index = [Architecture.parse(query["architecture"]).index for query in training.queries]
    trained = f"PPO trained with {episodes:,} queries"

    def draw(likely: FloatArray, place: int) -> Iterable[Episode]:
        rng = np.random.default_rng([seed, place])
        return sampled(env, rng.choice(SIZE, episodes, p=likely), int(rng.integers(2**31)))

    def collection(which: str, made: Iterable[Episode], algorithm: str, what: str, **more: Any) -> Collection:
        common = {"set": which, "seed": seed, "hyperparameters": training.settings, "updates": updates}
        return Collection(
            spec_of(env), spec_of(env), made, algorithm, f"{what}, on the table {table.name}.", (low, high),
            {"table": table_entry(table)} | common | more,
        )  # fmt: skip

    halfway, last = training.stages[middle], training.stages[-1]
    return {
        "random": collection("random", draw(uniform(), 1), "uniform random",
                             "Architectures drawn evenly", policy_mean=low),
        "medium": collection("medium", draw(halfway, 2), "ppo",
                             f"Sampled from {trained}, once it was half way from random to its end",
                             policy_mean=float(halfway @ rewards), update=middle + 1),
        "expert": collection("expert", draw(last, 3), "ppo", f"Sampled from {trained}, after its last update",
                             policy_mean=high, update=updates),
        "replay": collection("replay", replayed(training.queries, index, env, seed), "ppo",
                             f"All that {trained} asked for, in order"),
    }  # fmt: skip
