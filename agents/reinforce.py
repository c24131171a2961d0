"""REINFORCE: a categorical distribution per edge, moved by the policy gradient.

Williams, Machine Learning 1992, as the NAS-Bench-201 and NATS-Bench papers use it (AutoDL-Projects
``exps/NATS-algos/reinforce.py``): one architecture per step, its accuracy in per cent as the
reward, a moving average as the baseline, Adam. In numpy: the gradient of log p has a closed form.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nb201env.agents.contract import Env, query
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray, IntArray
from nb201env.space import NUM_EDGES, NUM_OPS


@dataclass(frozen=True)
class Reinforce:
    """Policy gradient on 6 x 5 logits.

    Attributes:
        learning_rate: Adam's step size. NATS-Bench's 0.01; the 0.5 in NAS-Bench-201's instructions
            freezes the policy early and does not give its published row, 0.03 does (docs/published.md), and
            the protocol ``nb201`` takes that.
        momentum: Of the reward's moving average, the baseline.
        initial_scale: Standard deviation of the initial logits.
        reward_scale: What the reward is multiplied with; 100 makes accuracies per cent.
        betas: Adam's decay rates of the gradient's first and second moment.
        epsilon: Adam's guard against division by zero.
    """

    learning_rate: float = 0.01
    momentum: float = 0.9
    initial_scale: float = 1e-3
    reward_scale: float = 100.0
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        if not (self.learning_rate > 0 and 0 <= self.momentum < 1):
            raise ValueError(
                f"learning_rate must be above 0 and momentum in [0, 1); "
                f"got {self.learning_rate} and {self.momentum}"
            )

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        rng = np.random.default_rng(seed)
        logits = self.initial_scale * rng.standard_normal((NUM_EDGES, NUM_OPS))
        adam = Adam(self.learning_rate, self.betas, self.epsilon)
        weighted, weight = 0.0, 0.0
        over = False
        while not over:
            chance = softmax(logits)
            # One uniform number per edge, compared with the cumulative chances: a categorical draw.
            ops = (rng.random((NUM_EDGES, 1)) > chance.cumsum(axis=1)[:, :-1]).sum(axis=1)
            reward, _, over = query(env, Architecture(tuple(ops.tolist())))
            reward *= self.reward_scale
            # The baseline counts this reward too, as the official one does; dividing by the
            # weight corrects for starting at zero.
            weighted = self.momentum * weighted + (1 - self.momentum) * reward
            weight = self.momentum * weight + (1 - self.momentum)
            advantage = reward - weighted / weight
            logits = adam.step(logits, -advantage * score(chance, ops))


def softmax(logits: FloatArray) -> FloatArray:
    """Chances of the operations on each edge; float64 [edges, ops]."""
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))


def score(chance: FloatArray, ops: IntArray) -> FloatArray:
    """The gradient of log p(ops) in the logits: one-hot minus chance; float64 [edges, ops]."""
    return np.asarray(np.eye(NUM_OPS)[ops] - chance)


@dataclass
class Adam:
    """Adam (Kingma & Ba, ICLR 2015, algorithm 1) for one array of parameters."""

    learning_rate: float
    betas: tuple[float, float]
    epsilon: float
    steps: int = 0
    first: FloatArray | float = field(default=0.0)
    second: FloatArray | float = field(default=0.0)

    def step(self, parameters: FloatArray, gradient: FloatArray) -> FloatArray:
        """The parameters after one step down the gradient."""
        self.steps += 1
        one, two = self.betas
        self.first = one * self.first + (1 - one) * gradient
        self.second = two * self.second + (1 - two) * gradient**2
        size = np.sqrt(self.second / (1 - two**self.steps)) + self.epsilon
        return np.asarray(parameters - self.learning_rate * self.first / (1 - one**self.steps) / size)
