"""What the policy gradients learn from: a reward that tells good architectures apart.

Between the best cells lie fractions of a percentage point, between good and bad ones tens of them.
Learning from plain accuracy, a policy settles on the first good cell it meets and asks for nothing
else. Two changes mend that, both made of what the agent itself was answered:

* ``exp(sharpness * (reward - best))``, where best is the best reward so far: with sharpness 50 a
  point less halves it, nearly; all bad cells look alike.
* less ``novelty * log(n)`` for the n-th time the same architecture is asked for: exploration by
  counting (Strehl & Littman, 2008), as a price. It has no limit, so no policy stays for ever with
  the best cell it knows; with 0.2 that is worth less than a bad new one from the 149th time on.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import gymnasium as gym

from nb201env.agents.contract import Env
from nb201env.space import NUM_EDGES, NUM_OPS


class Shaping:
    """Turns a search's rewards into what a policy learns from.

    Args:
        sharpness: See the module; 0 leaves the rewards as they are.
        novelty: What repeated architectures cost; see the module.

    Attributes:
        best: The best reward so far.
        asked: How often each architecture was asked for.
    """

    def __init__(self, sharpness: float, novelty: float) -> None:
        self.sharpness = sharpness
        self.novelty = novelty
        self.best = -math.inf
        self.asked: Counter[str] = Counter()

    def __call__(self, reward: float, architecture: str) -> float:
        """The shaped reward of an answered query."""
        self.best = max(self.best, reward)
        self.asked[architecture] += 1
        sharp = math.exp(self.sharpness * (reward - self.best)) if self.sharpness else reward
        return sharp - self.novelty * math.log(self.asked[architecture])


class ShapedReward(gym.Wrapper[Any, Any, Any, Any]):
    """An environment with shaped rewards, for libraries that take their rewards from it.

    With actions="edit", where rewards are gains over the cell before, they stay as they are.
    """

    def __init__(self, env: Env, shaping: Shaping) -> None:
        super().__init__(env)
        self.shaping = shaping
        self._edits = env.action_space == gym.spaces.Discrete(NUM_EDGES * NUM_OPS)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; the reward of an answered query is the shaped one."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if info["architecture"]:
            shaped = self.shaping(float(reward), info["architecture"])
            reward = reward if self._edits else shaped
        return observation, reward, terminated, truncated, info
