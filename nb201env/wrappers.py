"""Wrappers for reinforcement learning: rewards that tell good architectures apart, and that wear off.

Between the best cells lie fractions of a percentage point, between good and bad ones tens of them.
Learning from plain accuracy, a policy settles on the first good cell it meets and asks for nothing
else. Two changes mend that, both made of what the agent itself was answered:

* ``exp(sharpness * (reward - best))``, where best is the best reward so far: with sharpness 50 a
  point less halves it, nearly; all bad cells look alike.
* less ``novelty * log(n)`` for the n-th time the same architecture is asked for: exploration by
  counting (Strehl & Littman, 2008), as a price. It has no limit, so no policy stays for ever with
  the best cell it knows; with 0.2 that is worth less than a bad new one from the 149th time on.

Use::

    env = ShapedReward(gym.make("NB201-cifar10-v0"))

What stable-baselines3's PPO learns from it, and from other rewards, is measured in docs/tutorials/rl.md.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from nb201env.fields import quoted
from nb201env.space import NUM_EDGES, NUM_OPS


class Shaping:
    """Turns a search's rewards into what a policy learns from.

    Args:
        sharpness: How steeply the reward falls below the best so far; 0 leaves the rewards as they are.
        novelty: What asking for the same architecture again costs, times the log of how often; 0: nothing.

    Attributes:
        best: The best reward so far.
        asked: How often each architecture was asked for.

    Raises:
        ValueError: If one of them is negative or no finite number.
    """

    def __init__(self, sharpness: float, novelty: float) -> None:
        for name, value in (("sharpness", sharpness), ("novelty", novelty)):
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a finite number of at least 0; got {quoted(value)}")
        self.sharpness = sharpness
        self.novelty = novelty
        self.best = -math.inf
        self.asked: Counter[str] = Counter()

    def __call__(self, reward: float, architecture: str) -> float:
        """The shaped reward of an answered query."""
        self.best = max(self.best, reward)
        return self.beside(self.best, reward, architecture)

    def beside(self, best: float, reward: float, architecture: str) -> float:
        """The same where the best reward is another one than `best`: for what is wanted just now, say."""
        self.asked[architecture] += 1
        sharp = math.exp(self.sharpness * (reward - best)) if self.sharpness else reward
        return sharp - self.novelty * math.log(self.asked[architecture])


class ShapedReward(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """An environment with shaped rewards, for libraries that take their rewards from it.

    With actions="edit", where rewards are gains over the cell before, they stay as they are. A seeded
    reset starts a new search, so what was asked before is forgotten.

    Args:
        env: An environment of this package, wrapped or not.
        sharpness: How steeply the reward falls below the best so far; 0 leaves the rewards as they are.
        novelty: What asking for the same architecture again costs, times the log of how often; 0: nothing.

    Attributes:
        shaping: What it remembers of the search: the best reward, and how often each cell was asked for.
    """

    def __init__(self, env: gym.Env[Any, Any], sharpness: float = 50.0, novelty: float = 0.2) -> None:
        RecordConstructorArgs.__init__(self, sharpness=sharpness, novelty=novelty)
        gym.Wrapper.__init__(self, env)
        self.shaping = Shaping(sharpness, novelty)
        self._edits = env.action_space == gym.spaces.Discrete(NUM_EDGES * NUM_OPS)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; with a seed also a new search."""
        begun = self.env.reset(seed=seed, options=options)
        if seed is not None:
            self.shaping = Shaping(self.shaping.sharpness, self.shaping.novelty)
        return begun

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; the reward of an answered query is the shaped one."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if info["architecture"]:
            shaped = self.shaping(float(reward), info["architecture"])
            reward = reward if self._edits else shaped
        return observation, reward, terminated, truncated, info
