"""PPO for several objectives: one policy that is told how much each of them counts.

In every episode the weights of the objectives are drawn anew, evenly from all that add up to 1. The policy
and its value network see them beside the cell, and the reward is the weighted sum of the objectives, as in
the conditioned networks of Abels et al., "Dynamic weights in multi-objective deep reinforcement learning"
(ICML 2019). So one network learns a whole set of cells, each for the weights under which it is the best. Only
corners of the front's convex hull are best under any weights; the points between them are met on the way.

All else is `nb201env.agents.rl.ppo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nb201env.agents.contract import Env, objectives_of
from nb201env.agents.rl.ppo import PPO, Goal
from nb201env.arrays import FloatArray
from nb201env.extras import require
from nb201env.fronts.front import nondominated, scale
from nb201env.wrappers import Shaping

require("torch", "agents")
import torch  # noqa: E402
from torch import Tensor  # noqa: E402

CONTRAST = 6.0
"""What weights are multiplied by, less their mean, before the networks see them.

As plain weights they change a network's output too little, beside a cell's 36 numbers, for it to tell them
apart within some hundred queries.
"""


@dataclass(frozen=True)
class WeightedPPO(PPO):
    """Proximal policy optimisation with weights as a part of the observation.

    Its defaults were chosen on CIFAR-100 alone, with accuracy and params as the objectives.

    Attributes:
        ent_coef: Weight of the entropy bonus.
        sharpness, novelty: Of the weighted sum it learns from; see `nb201env.wrappers`. In the sum every
            objective goes from 0, the worst on the front of what was seen so far, to 1, the best.
    """

    ent_coef: float = 0.05
    sharpness: float = 15.0
    novelty: float = 0.6

    def goal(self, env: Env, generator: torch.Generator) -> WeightedSum:
        """What the policy of a search is to want."""
        return WeightedSum(Shaping(self.sharpness, self.novelty), objectives_of(env), generator)


class WeightedSum(Goal):
    """The weighted sum of objectives, under other weights in every episode, beside the best that is known.

    The best reward of `shaping` is that of all queries under equal weights.

    Args:
        shaping: How the distance from the best is turned into what the policy learns from.
        objectives: How many there are.
        generator: The source of randomness.
    """

    def __init__(self, shaping: Shaping, objectives: int, generator: torch.Generator) -> None:
        super().__init__(shaping)
        self.numbers = objectives
        self._generator = generator
        self._weights = torch.empty(0, objectives)
        self._seen: FloatArray = np.empty((0, objectives))

    def draw(self, copies: int) -> Tensor:
        """Weights of each copy's next episode, evenly from the simplex, as the networks see them.

        Returns:
            float32 [copies, objectives].
        """
        parts = torch.empty(copies, self.numbers).exponential_(generator=self._generator)
        self._weights = parts / parts.sum(dim=1, keepdim=True)
        return CONTRAST * (self._weights - 1 / self.numbers)

    def worth(self, rewards: FloatArray, architectures: Sequence[str]) -> list[float]:
        """The shaped weighted sums; see `Goal.worth`.

        Each is compared with the best that any cell seen so far has under the same weights.
        """
        self._seen = np.concatenate([self._seen, rewards])
        front = self._seen[nondominated(self._seen)]
        scaled = scale(self._seen, front)
        self.shaping.best = float(scaled.mean(axis=1).max())
        sums = scaled @ self._weights.numpy().T.astype(np.float64)
        own = np.diagonal(sums[-len(rewards) :])
        return [
            self.shaping.beside(*values)
            for values in zip(sums.max(axis=0).tolist(), own.tolist(), architectures, strict=True)
        ]
